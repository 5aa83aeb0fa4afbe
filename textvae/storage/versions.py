"""Which version of a folder a handle has read or written, so that it never replaces a newer one."""

from __future__ import annotations

from pathlib import Path

from .atomic import sha256
from .folders import MANIFEST


class Versions:
    """The versions of folders that a handle knows, by the SHA-256 of their manifests.

    Examples:
        >>> versions = Versions()
        >>> versions.note(Path("index"))
        >>> versions.check(Path("index"))
    """

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def note(self, path: Path) -> None:
        """Remember the version that is in a folder now."""
        version = _version(path)
        if version is not None:
            self._known[path.resolve()] = version

    def check(self, path: Path) -> None:
        """Raise ValueError if a folder that is known holds another version; one that is gone passes.

        Call it where no other writer can come between, in `only_writer`.
        """
        known, version = self._known.get(path.resolve()), _version(path)
        if known is not None and version is not None and version != known:
            raise ValueError(
                f"{path} was saved by another writer since this handle loaded or saved it: load it again, repeat the "
                "change, and save, or save to another folder"
            )


def _version(path: Path) -> str | None:
    manifest = path / MANIFEST
    return sha256(manifest) if manifest.is_file() else None
