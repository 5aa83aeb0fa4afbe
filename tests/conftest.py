"""What all tests share: no network, no home directory, one thread, fixed seeds, and a small model."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

# Before anything imports transformers, which reads these once. Subprocesses inherit them.
HOME = tempfile.mkdtemp(prefix="textvae-tests-")
for variable in ("HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
    os.environ.pop(variable, None)
os.environ |= {"HOME": HOME, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import hypothesis  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile(
    "tests",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("tests")

# Tests kill processes, not the machine, so nobody waits for a disk. A bad descriptor is an error still.
os.fsync = os.fstat

pytest_plugins = ["served"]
SENTENCES = [
    "the soup was hot and the bread was fresh .",
    "our waiter never smiled .",
    "I would not stay here again !",
    "the room was cold , small and dark .",
    "great coffee and friendly people .",
    "do n't waste your money on this phone .",
    "my dog loves the park near the river .",
    "is the museum open on Monday ?",
]


LONG = (  # files that take long come first, so that no process is alone with one at the end
    "server/test_page", "training/", "scripts/test_english_training", "test_documents", "modeling/test_slots",
    "modeling/test_model", "storage/test_folders", "cli/test_verbs", "test_architecture", "latent/",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.removeprefix("tests/").startswith(LONG))


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Eight different sentences."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def small_vae(sentences):
    """An untrained model: shapes, seeds and errors do not need a trained one. Tests leave it as it is."""
    from textvae import TextVAE
    from textvae.modeling import TextVAEConfig

    return TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24))


@pytest.fixture(scope="session")
def other_vae(sentences):
    """The same architecture with other weights."""
    from textvae import TextVAE
    from textvae.modeling import TextVAEConfig

    config = TextVAEConfig.preset("tiny", vocab_size=320, max_length=24)
    return TextVAE.from_texts(sentences, config, seed=1)


@pytest.fixture
def run(small_vae, tmp_path):
    """A saved copy of the small model, to be damaged."""
    small_vae.save_pretrained(tmp_path / "run")
    small_vae.path = None
    return tmp_path / "run"


@pytest.fixture
def watched(small_vae, monkeypatch):
    """The small model, and a list of the latents that it decodes."""
    decoded = []
    original = small_vae.decode

    def decode(latents, /, **options):
        decoded.append(latents.copy())
        return original(latents, **options)

    monkeypatch.setattr(small_vae, "decode", decode)
    return small_vae, decoded


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
