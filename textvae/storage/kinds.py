"""Descriptions of folder contents, for the error message when a folder of another kind was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .atomic import read_json
from .errors import CorruptFileError, listed, with_article
from .plain import check_plain_file

INDEX = "an index of textvae: textvae search {path} finds texts in it"
ATTRIBUTE = "an attribute of textvae: textvae shift takes it as --attribute {path}"
RUN = "a run of textvae: textvae sample {path} writes texts with it, textvae index {path} CORPUS -o INDEX an index"
UNFINISHED = "an unfinished index: build it with textvae index --resume"
SENTENCE_ENCODER = "a sentence-transformers model: textvae train --encoder {path} begins a run with it"
LANGUAGE_MODEL = "a transformers model ({name}): textvae train --decoder {path} begins a run with it"
ENCODER = "a transformers model ({name}): textvae train --encoder {path} begins a run with it"
MADE_BY = {  # by kind: the command that writes such a folder
    "run": "textvae train CORPUS -o {path}",
    "index": "textvae index RUN CORPUS -o {path}",
    "attribute": "textvae attribute RUN --positive FILE --negative FILE -o {path}",
}
MOST_NAMES = 3  # file names that a message lists


def kind_of(path: Path) -> str:
    """Describe what a folder holds and which command uses it."""
    files = {file.name for file in path.iterdir()}
    marks = {
        "index.json": INDEX,
        "attribute.json": ATTRIBUTE,
        "build.json": UNFINISHED,
        "modules.json": SENTENCE_ENCODER,
    }
    for mark, kind in marks.items():
        if mark in files:
            return kind.format(path=path)
    if "config.json" in files:
        return _model(path)
    runs = sorted(child.name for child in path.iterdir() if (child / "config.json").is_file())
    if runs:
        return f"a folder of models: choose one, such as {path / runs[0]}"
    if not files:
        return "an empty folder"
    return f"a folder of other files ({listed(sorted(files), MOST_NAMES)})"


def _model(path: Path) -> str:
    config = _config(path)
    name, architectures = config.get("model_type"), config.get("architectures")
    name = name if isinstance(name, str) and name else "of an unknown type"
    if name == "textvae":
        return RUN.format(path=path)
    writes = any("CausalLM" in str(each) for each in (architectures if isinstance(architectures, list) else ()))
    return (LANGUAGE_MODEL if writes else ENCODER).format(name=name, path=path)


def _config(path: Path) -> dict[str, Any]:
    try:
        return read_json(check_plain_file(path, "config.json"))
    except (CorruptFileError, OSError):
        return {}


def missing(path: Path, kind: str) -> str:
    """Return the error message for a folder that is not there, with the command that writes one."""
    made = f": {MADE_BY[kind].format(path=path)} writes one" if kind in MADE_BY else ""
    return f"there is no {kind} at {path}{made}"


def what_else(path: Path, kind: str, required: str) -> str:
    """Return the error message for a folder without the file that its kind requires."""
    return f"{path} is not {with_article(kind)} folder: it has no {required}; it is {kind_of(path)}"
