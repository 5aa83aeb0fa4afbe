"""The shape of the project: layers, doors, the public names, and what importing costs."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import textvae
from textvae import TextVAE

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "textvae"
INDEX = {"filters", "items", "metrics", "vectors", "model_source", "staging", "building", "index_folder", "locks"}
LAYERS = [
    {
        "gaussian",
        "cross_entropy",
        "objective",
        "schedules",
        "geometry",
        "noise",
        "precision",
        "wording",
        "length_batches",
    },
    {
        "configuration",
        "train_config",
        "tokenization",
        "token_rows",
        "gate",
        "data",
        "artifacts",
        "prior",
        "probes",
        "pseudo_labels",
        "distillation",
    },
    {"modeling"},
    {"latents", "text_vae", "decoding", "shifting", "index", "assembly"} | INDEX,
    {
        "training",
        "batches",
        "callbacks",
        "evaluation",
        "attributes",
        "pictures",
        "doctor",
        "vectorizer",
        "exporting",
        "langchain",
    },
    {"cli", "__main__"},
]
# Which modules may import a library; TYPE_CHECKING imports count too: a type is a dependency of whoever reads it.
DOORS = {
    "tokenizers": {"tokenization"},
    "datasets": {"data"},
    "pyarrow": {"data", "token_rows"},
    "faiss": {"vectors"},
    "sqlite3": {"items"},
    "transformers": {
        "configuration",
        "tokenization",
        "modeling",
        "text_vae",
        "assembly",
        "training",
        "callbacks",
        "evaluation",
        "cli",
    },
    "huggingface_hub": {"configuration"},
    "safetensors": {"text_vae", "latents", "prior", "attributes", "exporting", "cli"},
    "matplotlib": {"pictures"},
    "peft": {"modeling"},
    "sentence_transformers": {"pseudo_labels"},
    "langchain_core": {"langchain"},
    "umap": {"pictures"},
    "pacmap": {"pictures"},
    "cyclopts": {"cli"},
    "sacrebleu": {"evaluation"},
    "scipy": {"probes", "attributes"},
    "sklearn": {"evaluation", "prior", "probes", "vectorizer"},
}
PUBLIC = [
    "Attribute",
    "EvalReport",
    "LatentIndex",
    "TextVAE",
    "TextVAEConfig",
    "TextVAEModel",
    "TextVAEVectorizer",
    "TrainConfig",
    "evaluate",
    "train",
]
LONGEST_FILE, AIM = 600, 400
MAY_TAKE_ANY_KEYWORD = {"TextVAEModel.generate", "TextVAEConfig.preset"}
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

FILES = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
MODULES = {name: name.removesuffix(".py").split("/")[0] for name in FILES if name != "__init__.py"}


def layer_of(module):
    return next(level for level, names in enumerate(LAYERS) if module in names)


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


def our_imports(name):
    """Return the modules of ours that a file imports."""
    parts = (dotted.split(".") for dotted in imports(name, type_checking=False) if dotted.startswith("textvae."))
    return {path[1] for path in parts if path[1] in set(MODULES.values())}


def test_every_module_has_a_layer_and_every_layer_has_its_modules():
    assert set(MODULES.values()) == set().union(*LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_layers_import_down_only(name):
    module = MODULES[name]
    upwards = {other for other in our_imports(name) - {module} if layer_of(other) > layer_of(module)}
    assert not upwards, f"{name} is in layer {layer_of(module)}"


def test_there_is_no_circle():
    graph = {module: set() for module in MODULES.values()}
    for name, module in MODULES.items():
        graph[module] |= our_imports(name) - {module}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    users = {
        module
        for name, module in MODULES.items()
        if any(dotted.split(".")[0] == library for dotted in imports(name, type_checking=True))
    }
    assert users <= DOORS[library]


def test_no_other_library_is_used():
    known = {*DOORS, *sys.stdlib_module_names, "textvae", "torch", "numpy"}
    used = {dotted.split(".")[0] for name in FILES for dotted in imports(name, type_checking=True)}
    assert used <= known | {"peft", "gguf", "tensorboard"}


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_long(name):
    lines = len(FILES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"the aim is {AIM} lines"


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


@pytest.mark.parametrize("module", ["train_config", "schedules", "artifacts", "data", "index", "pictures"])
def test_modules_that_need_no_network_do_not_load_torch(module):
    loaded = python(
        f"import json, sys, textvae.{module}\n"
        "heavy = ['torch', 'transformers', 'faiss', 'datasets', 'matplotlib']\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    assert loaded == []


def test_importing_everything_draws_no_random_number_and_adds_no_handler():
    absent = set() if find_spec("langchain_core") else {"langchain"}
    names = [f"textvae.{module}" for module in sorted(set(MODULES.values()) - {"cli", "__main__"} - absent)]
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


def test_the_readme_prints_what_the_results_hold():
    command = [sys.executable, "scripts/update_readme.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_readme_blocks_run(small_vae, tmp_path, monkeypatch):
    """Python blocks run in order in one namespace; an untrained model stands in for every run that they name.

    A line `# needs ...` in a block says that it cannot run here.
    """
    blocks = PYTHON_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    runnable = [block for block in blocks if not re.search("^# needs", block, re.MULTILINE)]
    if not runnable:
        pytest.skip("README.md has no python blocks that run by themselves")
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "data", tmp_path / "data")
    for run in set(re.findall(r'"(runs/[\w-]+)"', "".join(runnable))):
        TextVAE(small_vae.model, small_vae.tokenizer).save_pretrained(run)
    namespace = {"__name__": "readme"}
    for number, block in enumerate(runnable, 1):
        exec(compile(block, f"README.md, python block {number}", "exec"), namespace)
