"""The user's cache: files that can be computed again, never inside a folder that somebody else may have made."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

VARIABLE = "TEXTVAE_CACHE"  # names another folder


def cache_folder(kind: str) -> Path:
    """Return the folder for cached files of a kind; it need not exist.

    It is `textvae/KIND` in the system's folder for caches, or KIND in the folder that TEXTVAE_CACHE names.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given) / kind
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "textvae" / kind


def keep_newest(folder: Path, pattern: str, most: int) -> None:
    """Delete all but the newest files or folders of a pattern; one that cannot be deleted stays."""
    files = []
    for file in folder.glob(pattern):
        with suppress(OSError):
            files.append((file.stat().st_mtime, file))
    for _, file in sorted(files, reverse=True)[most:]:
        with suppress(OSError):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
