"""Plain files: what a folder may name and hold, so that nothing outside it is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import CorruptFileError

SNAPSHOTS, BLOBS = "snapshots", "blobs"  # folders of the hub's cache: the files of a snapshot link to blobs beside it
MOST_LETTERS, MOST_BYTES = 1000, 255  # of a name, and of one of its parts
NOT_IN_NAMES = frozenset('\\:*?"<>|')


def is_plain_name(name: object) -> bool:
    r"""Return whether a name is a relative path of visible parts, which stays in its folder on every system.

    Examples:
        >>> [is_plain_name(name) for name in ("a/b.json", "../b", "/etc/passwd", "a\\b", "a//b", "C:x", "")]
        [True, False, False, False, False, False, False]
    """
    if not isinstance(name, str) or not name.isprintable() or NOT_IN_NAMES & set(name):
        return False
    parts = _parts(name)
    if len(name) > MOST_LETTERS or any(len(part.encode()) > MOST_BYTES for part in parts):
        return False
    return all(part not in ("", ".", "..") and part == part.rstrip(" .") for part in parts)  # Windows strips these


def check_plain_file(folder: Path, name: str) -> Path:
    """Return the path of a file of a folder after checking that it is a regular file there, reached without links.

    The files of a snapshot in the hub's cache are links to the blobs beside it, and pass.

    Raises:
        CorruptFileError: The name leads elsewhere, or to a link, a folder or a device.
        FileNotFoundError: There is no such file.
    """
    if not is_plain_name(name):
        raise CorruptFileError(f"{folder} names the file {name!r}, which is not a plain name inside it: do not use it")
    path = folder
    *above, last = _parts(name)
    for part in above:
        path = path / part
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise CorruptFileError(f"{path} is not a folder, though {name!r} should be in it: restore it from a copy")
    path = path / last
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode) and _is_hub_blob(folder, path):
        return path
    if not stat.S_ISREG(mode):
        raise CorruptFileError(
            f"{path} is {_kind(mode)}, not a regular file: replace it by a copy of what it stands for"
        )
    return path


def _parts(name: str) -> list[str]:
    return name.split("/")


def _is_hub_blob(folder: Path, link: Path) -> bool:
    """Return whether a link of a snapshot in the hub's cache leads to a regular file among the blobs beside it."""
    snapshot = folder.resolve()
    while snapshot.parent.name != SNAPSHOTS:
        if snapshot == snapshot.parent:
            return False
        snapshot = snapshot.parent
    blobs = snapshot.parent.parent / BLOBS
    target = Path(os.path.realpath(link))
    return not blobs.is_symlink() and target.parent == blobs and target.is_file()


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
