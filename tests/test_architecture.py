"""The shape of the project: doors, the public names, and what importing costs; `lint-imports` holds the layers."""

import ast
import functools
import json
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import textvae

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "textvae"
# Which modules may import a library; TYPE_CHECKING imports count too: a type is a dependency of whoever reads it.
DOORS = {
    "filelock": {"storage.locks"},
    "tokenizers": {"text.tokenizers", "latent.exported", "latent.onnx_file"},
    "onnx": {"latent.int8"},
    "onnxruntime": {"latent.int8", "latent.runtimes"},
    "openvino": {"latent.runtimes"},
    "datasets": {"text.records"},
    "pyarrow": {
        "integrations.lancedb", "storage.row_files", "storage.shard_files", "text.lines", "text.records",
        "text.token_cache",
    },
    "faiss": {"index.backends.faiss", "index.backends.faiss_refined", "index.backends.faiss_vectors"},
    "sqlite3": {"index.item_store"},
    "transformers": {
        "modeling", "text.tokenizers", "latent.familiarity", "latent.loading", "latent.onnx_file", "latent.saving",
        "latent.stored",
        "training", "evaluation.fluency",
        "cli.options",
    },
    "huggingface_hub": {"modeling.config", "latent.hub"},
    "safetensors": {
        "modeling.weights", "latent.latents", "latent.priors", "attributes.attribute", "attributes.files",
        "index.backends.numpy", "integrations.sentence_transformers", "cli.folders", "modeling.sentence_encoder",
        "storage.tensors",
    },
    "matplotlib": {"evaluation.plots"},
    "peft": {"modeling.decoders"},
    "sentence_transformers": {"modeling.pretrained"},
    "langchain_core": {"integrations.langchain"},
    "qdrant_client": {"integrations.qdrant"},
    "pymilvus": {"integrations.milvus"},
    "psycopg": {"integrations.pgvector"},
    "pgvector": {"integrations.pgvector"},
    "lancedb": {"integrations.lancedb"},
    "llama_index": {"integrations.llama_index"},
    "haystack": {"integrations.haystack"},
    "ray": {"integrations.ray"},
    "tqdm": {"latent.embeddings"},
    "mteb": {"integrations.mteb"},
    "umap": {"evaluation.projection"},
    "pacmap": {"evaluation.projection"},
    "cyclopts": {"cli"},
    "fastapi": {"server", "cli.serving"},
    "starlette": {"server"},
    "pydantic": {"server.schemas"},
    "uvicorn": {"server.run", "server.protocol", "cli.serving"},
    "h11": {"server.protocol"},
    "prometheus_client": {"server.metrics", "cli.serving"},
    "sacrebleu": {"evaluation.text_scores"},
    "scipy": {"attributes", "evaluation.disentanglement", "latent.information"},
    "sklearn": {"attributes", "evaluation", "latent", "integrations.sklearn"},
}  # fmt: skip
PUBLIC = ["Attribute", "Decoding", "LatentIndex", "TextVAE", "TrainConfig", "evaluate", "shift", "train"]
LONGEST_FILE = 400
MAY_TAKE_ANY_KEYWORD = {"TextVAEModel.generate", "TextVAEConfig.preset"}

FILES = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
MODULES = {name: name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES}


@functools.cache
def imports(name, *, type_checking):
    """Return the dotted names that a file imports anywhere; ours begin with "textvae."."""
    skipped = set()
    for node in ast.walk(TREES[name]):
        if not type_checking and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            skipped |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    found = set()
    for node in ast.walk(TREES[name]):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = ["textvae", *name.split("/")[:-1]]
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
    return found


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    users = {
        module
        for name, module in MODULES.items()
        if any(dotted.split(".")[0] == library for dotted in imports(name, type_checking=True))
    }
    doors = DOORS[library]
    assert not {user for user in users if not any(user == door or user.startswith(f"{door}.") for door in doors)}


def test_no_other_library_is_used():
    known = {*DOORS, *sys.stdlib_module_names, "textvae", "torch", "numpy"}
    used = {dotted.split(".")[0] for name in FILES for dotted in imports(name, type_checking=True)}
    assert used <= known | {"peft", "gguf", "tensorboard"}


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_long(name):
    lines = len(FILES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE


@pytest.mark.parametrize("name", FILES)
def test_public_functions_name_their_arguments(name):
    assert not [
        function for function in functions_with_any_keyword(TREES[name]) if function not in MAY_TAKE_ANY_KEYWORD
    ]


def functions_with_any_keyword(node, prefix=""):
    """Yield the public functions and methods that take **kwargs; `**_` is what callbacks of others throw away."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from functions_with_any_keyword(child, f"{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if child.args.kwarg and child.args.kwarg.arg != "_" and not child.name.startswith("_"):
                yield prefix + child.name
        else:
            yield from functions_with_any_keyword(child, prefix)


# The package from outside


def test_the_public_names_are_these():
    assert textvae.__all__ == PUBLIC
    assert all(getattr(textvae, name).__name__ == name for name in PUBLIC)
    assert set(PUBLIC) <= set(dir(textvae))


def test_public_names_are_documented():
    assert all(getattr(textvae, name).__doc__ for name in PUBLIC)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'textvae' has no attribute 'TextVAEE'"):
        _ = textvae.TextVAEE


def python(code):
    """Run code in a fresh interpreter and return what it printed, read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


STATE = """
import json, logging, os, random, signal, sys, threading, warnings
def state():
    handlers = logging.root.handlers + logging.getLogger("textvae").handlers
    return [dict(os.environ), str(warnings.filters), str(handlers), logging.root.level, threading.active_count(),
            random.getstate(), str(signal.getsignal(signal.SIGINT)), str(sys.excepthook), os.getcwd()]
before = state()
"""


def test_importing_textvae_is_light_and_changes_nothing():
    heavy = ["torch", "transformers", "faiss", "numpy", "datasets", "cyclopts", "tokenizers", "sqlite3"]
    changed, loaded = python(
        f"{STATE}import textvae; print(json.dumps([before != state(), [n for n in {heavy} if n in sys.modules]]))"
    )
    assert not changed
    assert loaded == []


def test_modules_that_need_no_network_do_not_load_torch(tmp_path):
    """Nor does reading a file load the library of data sets."""
    (tmp_path / "a.csv").write_text("text\na\n")
    modules = ["training.config", "training.schedules", "storage.folders", "text.corpus", "index", "evaluation.plots"]
    modules += ["index.searching", "latent.exported"]
    loaded = python(
        "import importlib, json, sys\n"
        "heavy, loaded = ['torch', 'transformers', 'faiss', 'datasets', 'matplotlib'], {}\n"
        f"for module in {modules}:\n"
        "    importlib.import_module('textvae.' + module)\n"
        "    loaded[module] = [name for name in heavy if name in sys.modules]\n"
        f"sys.modules['textvae.text.corpus'].read_corpus({str(tmp_path / 'a.csv')!r})\n"
        "loaded['a file is read'] = [name for name in heavy if name in sys.modules]\n"
        "print(json.dumps(loaded))"
    )
    assert loaded == dict.fromkeys([*modules, "a file is read"], [])


def test_importing_everything_draws_no_random_number_and_adds_no_handler():
    needed = {
        "integrations.langchain": ["langchain_core"],
        "integrations.qdrant": ["qdrant_client"],
        "integrations.milvus": ["pymilvus"],
        "integrations.pgvector": ["psycopg", "pgvector"],
        "integrations.lancedb": ["lancedb"],
        "integrations.llama_index": ["llama_index"],
        "integrations.haystack": ["haystack"],
        "integrations.ray": ["ray"],
    }
    absent = {module for module, names in needed.items() if not all(map(find_spec, names))}
    left_out = ("cli", "__", *([] if find_spec("fastapi") else ["server"]))
    modules = {module for module in MODULES.values() if not module.startswith(left_out)} - absent
    names = [f"textvae.{module}" for module in sorted(modules)]
    before, after = python(
        "import importlib, json, logging, torch, transformers, numpy as np\n"
        "def state():\n"
        "    generators = [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()]\n"
        "    settings = [torch.get_num_threads(), torch.is_grad_enabled(), str(torch.get_default_dtype())]\n"
        "    return [generators, settings, str(logging.root.handlers)]\n"
        "before = state()\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "print(json.dumps([before, state()]))"
    )
    assert before == after


def test_the_version_is_told_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == textvae.__version__
    assert f"\nversion: {textvae.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
