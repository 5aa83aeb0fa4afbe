"""docs/extending.md: its Python blocks run in order, and what they register does what the page says."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from textvae import LatentIndex, TextVAE, TrainConfig
from textvae.index.backends import base as backends
from textvae.latent.priors import base as priors
from textvae.modeling import TextVAEConfig
from textvae.modeling import config as configs
from textvae.modeling.decoders import base as decoders
from textvae.modeling.objectives import terms

PAGE = Path(__file__).parent.parent / "docs/extending.md"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
REGISTRIES = [
    (backends, "_BACKENDS"), (priors, "_PRIORS"), (decoders, "_DECODERS"), (terms, "_TERMS"), (configs, "FROM_SCRATCH"),
]  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The names that the blocks define, and the folder they ran in; the registries are put back at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extending"))
        before = [(getattr(module, name), dict(getattr(module, name))) for module, name in REGISTRIES]
        names: dict = {"__name__": "extending"}
        for number, block in enumerate(PYTHON_BLOCK.findall(PAGE.read_text(encoding="utf-8")), 1):
            exec(compile(block, f"docs/extending.md, python block {number}", "exec"), names)
        yield names, Path.cwd()
        for registry, content in before:
            registry.clear()
            registry.update(content)


def test_the_loss_term_is_nil_for_independent_dimensions_only(page):
    names, _ = page
    step = SimpleNamespace(posterior=SimpleNamespace(mean=torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])))
    assert names["decorrelation"](step) == 0
    step.posterior.mean = torch.tensor([[1.0, 1], [-1, -1]])
    assert names["decorrelation"](step) == 2


def test_the_decoder_is_trained_by_name_and_found_again_by_its_config(page):
    names, folder = page
    loaded = TextVAE.from_pretrained(folder / "runs/bigram", device="cpu")
    assert type(loaded.model.decoder) is names["BigramDecoder"]
    ids = torch.tensor([[0, 5, 6, 1]])
    latents = torch.randn(1, loaded.dim)
    logits = loaded.model.decode(latents, ids)
    other = loaded.model.decode(latents, torch.tensor([[0, 9, 6, 1]]))
    assert torch.equal(logits[:, 2], other[:, 2]) and not torch.equal(logits[:, 1], other[:, 1])
    config = TrainConfig(decoder="bigram", dropout=0.1, reset_decoder=True)  # for decoders trained from scratch
    assert config.peak_learning_rate == 1e-3
    assert TextVAEConfig.preset("tiny", vocab_size=50, decoder="bigram").decoder.hidden_size == 128
    with pytest.raises(ValueError, match="unknown decoder 'trigram': use one of gru, transformer, bigram, a folder"):
        TextVAEConfig.preset("tiny", vocab_size=50, decoder="trigram")


def test_the_density_of_the_prior_sums_to_1(page):
    names, _ = page
    prior = names["KernelPrior"](np.array([[0.0], [2.0]], np.float32))
    grid = np.linspace(-5, 7, 4001)[:, None]
    assert np.exp(prior.log_prob(grid)).sum() * (grid[1] - grid[0]).item() == pytest.approx(1, rel=1e-4)
    assert np.abs(prior.sample(1000, seed=0).mean() - 1) < 0.1


def test_the_backend_finds_what_an_exact_one_finds(page):
    names, folder = page
    loaded = LatentIndex.load(folder / "runs/index")
    assert loaded.backend == "half"
    exact = LatentIndex.build(names["vae"], names["corpus"], backend="numpy")
    scores = [index.neighbours(names["corpus"][:5], 4)[0] for index in (loaded, exact)]
    np.testing.assert_allclose(*scores, atol=2e-3)
