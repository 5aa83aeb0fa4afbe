"""The folder of a saved index: its files, and what index.json must say before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import MANIFEST, open_folder
from .distances import METRICS

FORMAT_VERSION, WITH_IDS = 1, 2  # of indexes whose ids are numbers, and of those with ids that their users gave
VECTORS, ITEMS, ABOUT = "index.faiss", "items.sqlite", "index.json"


def open_index(path: Path) -> dict[str, Any]:
    """Check the folder of an index and return its index.json, with the `model_folders` where its model may be.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder is not an index, or comes from a newer textvae.
        CorruptFileError: A file is missing, truncated or altered.
    """
    open_folder(path, "index", ABOUT)
    if not (path / ABOUT).is_file():
        raise ValueError(f"{path} is not an index folder: it has no {ABOUT}")
    listed = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    for name in (VECTORS, ITEMS, ABOUT):
        if name not in listed:  # an unlisted file would be read unchecked, and faiss crashes on a damaged one
            raise CorruptFileError(f"{path / MANIFEST} does not list {name}: restore it from a copy or build it again")
    about = read_json(path / ABOUT)
    if about.get("format_version") not in (FORMAT_VERSION, WITH_IDS):
        raise ValueError(
            f"{path} has the index format {about.get('format_version')}, this textvae reads {FORMAT_VERSION} and "
            f"{WITH_IDS}: upgrade textvae or build the index again"
        )
    if about.get("metric") not in METRICS:
        raise ValueError(f"{path} has the metric {about.get('metric')!r}: upgrade textvae or build the index again")
    folders = [Path(about["model"]), (path / about["model_relative"]).resolve()] if about.get("model") else []
    return about | {"model_folders": list(dict.fromkeys(folders))}
