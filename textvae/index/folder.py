"""The folder of a saved index: its file names, and the checks of index.json before loading."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import MANIFEST, open_folder
from .backends import backend_class
from .distances import METRICS

OLDER_BACKEND = "faiss"  # for indexes saved before index.json named the backend
FORMAT_VERSION, WITH_IDS = 1, 2  # format with numbered texts, and format with ids from the user
ITEMS, ABOUT = "items.sqlite", "index.json"


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
    listed = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    _check_listed(path, listed, ABOUT)
    about = {"backend": OLDER_BACKEND} | read_json(path / ABOUT)
    if about.get("format_version") not in (FORMAT_VERSION, WITH_IDS):
        raise ValueError(
            f"{path} has the index format {about.get('format_version')}, this textvae reads {FORMAT_VERSION} and "
            f"{WITH_IDS}: upgrade textvae or build the index again"
        )
    if about.get("metric") not in METRICS:
        raise ValueError(f"{path} has the metric {about.get('metric')!r}: upgrade textvae or build the index again")
    for name in (backend_class(about["backend"]).file, ITEMS):
        _check_listed(path, listed, name)
    folders = [Path(about["model"])] if about.get("model") else []
    if about.get("model_relative"):
        folders.append((path / about["model_relative"]).resolve())
    return about | {"model_folders": list(dict.fromkeys(folders))}


def relative_path(model: Path, path: Path) -> str | None:
    """Return the relative path from an index to its model, with "/"; None across Windows drives."""
    try:
        return Path(os.path.relpath(model, path)).as_posix()
    except ValueError:
        return None


def _check_listed(path: Path, listed: dict[str, Any], name: str) -> None:
    if name not in listed:  # an unlisted file has no checksum, and faiss crashes on damaged files
        raise CorruptFileError(f"{path / MANIFEST} does not list {name}: restore it from a copy or build it again")
