"""The folder of a saved index: its file names, and the checks of index.json before loading."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from typing import Any

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import MANIFEST, listed_files, open_folder, require_file
from ..storage.schema import Field, check_fields, integer, is_int, text
from .backends import backend_class
from .distances import METRICS

OLDER_BACKEND = "faiss"  # for indexes saved before index.json named the backend
FORMAT_VERSION, WITH_IDS = 1, 2  # format with numbered texts, and format with ids from the user
ITEMS, ABOUT = "items.sqlite", "index.json"
MOST_BYTES = 1 << 26  # of index.json, which lists the removed vectors of a graph
MOST_DIM = 1 << 20
VERSION = {"format_version": integer(1, 1 << 16)}
FIELDS = {
    "model": text().or_null().or_absent(),
    "model_relative": text().or_null(),
    "fingerprint": text(256),
    "metric": text(256),
    "backend": text(256),
    "factory": text(1024),
    "dim": integer(1, MOST_DIM),
    "count": integer(0),
    "next_id": integer(0),
    "tombstones": Field(
        lambda value: isinstance(value, list) and all(map(is_int, value)) and len(set(value)) == len(value),
        "an array of different integers",
    ).or_absent(),
}


def open_index(path: Path) -> dict[str, Any]:
    """Check the folder of an index; return its index.json with the backend and the model folders filled in.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder is not an index, comes from a newer textvae, or names a backend that is not registered.
        CorruptFileError: A file is missing, truncated or altered.
    """
    open_folder(path, "index", ABOUT)
    if not (path / ABOUT).is_file():
        raise ValueError(f"{path} is not an index folder: it has no {ABOUT}")
    if listed_files(path) is None:
        raise CorruptFileError(f"{path} has no {MANIFEST}: restore it from a copy or build the index again")
    about = {"backend": OLDER_BACKEND} | read_json(require_file(path, ABOUT), MOST_BYTES)
    check_fields(about, VERSION, path / ABOUT)
    if about["format_version"] not in (FORMAT_VERSION, WITH_IDS):
        raise ValueError(
            f"{path} has the index format {about['format_version']}, this textvae reads {FORMAT_VERSION} and "
            f"{WITH_IDS}: upgrade textvae or build the index again"
        )
    check_fields(about, FIELDS, path / ABOUT)
    if about["metric"] not in METRICS:
        raise ValueError(f"{path} has the metric {about['metric']!r}: upgrade textvae or build the index again")
    _check_agreement(about, path / ABOUT)
    for name in (backend_class(about["backend"]).file, ITEMS):
        require_file(path, name)  # faiss crashes on a damaged one
    folders = [Path(about["model"])] if about.get("model") else []
    if about.get("model_relative"):
        folders.append((path / about["model_relative"]).resolve())
    return about | {"model_folders": list(dict.fromkeys(folders))}


def _check_agreement(about: dict[str, Any], path: Path) -> None:
    """Raise CorruptFileError unless the fields of an index.json agree with each other."""
    model, relative = about.get("model"), about["model_relative"]
    far = model is not None and bool(PureWindowsPath(model).drive)  # two drives of Windows have no relative path
    if "model" in about and (model is None) != (relative is None) and not far:
        raise CorruptFileError(f"{path} has one of 'model' and 'model_relative', not both: build the index again")
    if about["count"] > about["next_id"]:
        raise CorruptFileError(f"{path} has {about['count']} texts and ids up to {about['next_id']}: build it again")


def relative_path(model: Path, path: Path) -> str:
    """Return the path from an index to its model, with "/" on every system; between drives of Windows its own path."""
    try:
        return Path(os.path.relpath(model, path)).as_posix()
    except ValueError:
        return model.as_posix()
