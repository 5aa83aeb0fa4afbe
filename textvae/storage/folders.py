"""Atomic folder replacement, with a checksum manifest that is verified on reading."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from .atomic import STAGED, atomic_path, read_json, sha256, sync, write_json
from .errors import CorruptFileError, with_article
from .kinds import what_else
from .plain import check_plain_file, is_plain_name

T = TypeVar("T")
MANIFEST = "manifest.json"
REPLACED = ".replaced-"
PATIENCE = 2.0  # seconds a reader waits for a writer's second rename before it assumes a crash


@contextmanager
def atomic_folder(path: str | Path, mark: str) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it gets a manifest and replaces `path`.

    After a crash at any moment the old or the new folder is complete, and `open_folder` opens it.

    Args:
        path: The folder to write or replace.
        mark: Name of a file that every folder of this kind has; a non-empty folder without it is not replaced.

    Raises:
        FileExistsError: `path` is a file, or a folder of another kind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_replaceable(path, mark)
    staged = path.with_name(STAGED + path.name)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        yield staged
        publish_folder(staged, path)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def check_replaceable(path: Path, mark: str) -> None:
    """Raise FileExistsError if `path` is a file, or a non-empty folder without the file `mark`."""
    recover_folder(path)
    if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / mark).exists())):
        raise FileExistsError(f"{path} holds something else (it has no {mark}): choose another folder")


def publish_folder(staged: Path, path: Path) -> None:
    """Replace `path` with a finished folder: write its manifest, sync, rename."""
    replaced = path.with_name(REPLACED + path.name)
    write_manifest(staged)
    for file in staged.rglob("*"):
        sync(file)
    sync(staged)
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)  # left by a crash during an earlier replacement
        os.rename(path, replaced)
    os.rename(staged, path)
    sync(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def recover_folder(path: str | Path) -> None:
    """Finish or undo a folder replacement that a crash interrupted. Only the folder's writer may call this."""
    path = Path(path)
    replaced = path.with_name(REPLACED + path.name)
    if not replaced.exists():
        return
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
    else:
        os.rename(replaced, path)


def read_folder(path: str | Path, read: Callable[[Path], T]) -> T:
    """Return read(path), and repeat it if a writer replaced the folder meanwhile, so that versions never mix.

    If a writer crashed between its two renames, the old folder is restored first.

    Args:
        path: The folder, as `atomic_folder` writes it.
        read: Function that reads its files. Its OSError or ValueError is raised only if the folder was not replaced.
    """
    path = Path(path)
    while True:
        version = _version(path)
        try:
            content = read(path)
        except (OSError, ValueError):
            if _version(path) == version:
                raise
        else:
            if _version(path) == version:
                return content


def open_folder(path: str | Path, kind: str, required: str) -> Path:
    """Check that `path` is a folder of the given kind whose files match its manifest, and return it.

    Args:
        path: The folder.
        kind: Kind of folder for error messages: "run" or "index".
        required: Name of a file that every folder of this kind has.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: `path` is a file, or a folder of another kind.
        CorruptFileError: A file is missing or differs from the manifest.
    """

    def check(path: Path) -> Path:
        if not path.exists():
            raise FileNotFoundError(f"there is no {kind} at {path}")
        if not path.is_dir():
            raise ValueError(f"{path} is a file, not {with_article(kind)} folder")
        check_manifest(path)  # first: a missing file that the manifest lists means damage, not another kind of folder
        if not (path / required).exists():
            raise ValueError(what_else(path, kind, required))
        return path

    return read_folder(path, check)


def write_manifest(folder: str | Path) -> None:
    """Record the SHA-256 of every file of a folder in its manifest."""
    folder = Path(folder)
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    names = [file.relative_to(folder).as_posix() for file in files]  # the same names on every system
    _write_digests(folder, {name: [sha256(folder / name)] for name in sorted(names)})


def check_manifest(folder: str | Path) -> None:
    """Compare every file with its SHA-256 in the manifest; a folder without a manifest passes.

    Raises:
        CorruptFileError: Naming the first file that is missing or differs; or a name leads out of the folder, or to
            anything but a regular file. Such a file is not opened.
    """
    folder = Path(folder)
    digests = _read_digests(folder)
    for name in digests:
        with suppress(FileNotFoundError):
            check_plain_file(folder, name)
    for name, accepted in digests.items():
        file = folder / name
        if not file.is_file():
            raise CorruptFileError(
                f"{file} is missing although {MANIFEST} lists it: restore it from a copy or create the folder again"
            )
        if sha256(file) not in accepted:
            raise CorruptFileError(
                f"{file} does not match its checksum: it was truncated or altered; restore it from a copy"
            )


def listed_files(folder: str | Path) -> frozenset[str] | None:
    """Return the names that the manifest of a folder lists, None if it has none.

    Raises:
        CorruptFileError: The manifest is not one.
    """
    folder = Path(folder)
    return frozenset(_read_digests(folder)) if _has_manifest(folder) else None


def find_file(folder: str | Path, name: str) -> Path | None:
    """Return a file of a folder, None if it is not there or the manifest does not list it.

    Without a manifest every plain file is there.

    Raises:
        CorruptFileError: It is a link, a folder or a device.
    """
    folder = Path(folder)
    listed = listed_files(folder)
    if listed is not None and name not in listed:
        return None
    try:
        return check_plain_file(folder, name)
    except FileNotFoundError:
        return None


def require_file(folder: str | Path, name: str) -> Path:
    """Return a file of a folder, as `find_file` does.

    Raises:
        CorruptFileError: It is missing, not in the manifest, or no plain file.
    """
    found = find_file(folder, name)
    if found is None:
        present = os.path.lexists(Path(folder) / name)
        wrong = f"{MANIFEST} does not list it" if present else "it is missing"
        raise CorruptFileError(f"{Path(folder) / name} cannot be used: {wrong}; restore the folder from a copy")
    return found


@contextmanager
def atomic_replacement(folder: str | Path, name: str) -> Iterator[Path]:
    """Yield a temporary path for a new version of one file in a folder with a manifest, then replace the file.

    During the replacement the manifest accepts the old and the new digest, so the folder still loads after a crash.
    """
    folder = Path(folder)
    digests = _read_digests(folder)
    with atomic_path(folder / name) as staged:
        yield staged
        new = sha256(staged)
        if name in digests:  # a new file is listed after it was written
            _write_digests(folder, digests | {name: [*digests[name], new]})
    _write_digests(folder, digests | {name: [new]})


def _has_manifest(folder: Path) -> bool:
    return os.path.lexists(folder / MANIFEST)


def _read_digests(folder: Path) -> dict[str, list[str]]:
    if not _has_manifest(folder):
        return {}
    manifest = check_plain_file(folder, MANIFEST)
    digests = read_json(manifest)
    if not all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in digests.values()):
        raise CorruptFileError(f"{manifest} is not a manifest: restore it from a copy")
    if unsafe := [name for name in digests if not is_plain_name(name)]:
        raise CorruptFileError(
            f"{manifest} lists {unsafe[0]!r}, which is not a plain name inside the folder: do not use the folder"
        )
    return digests


def _write_digests(folder: Path, digests: dict[str, list[str]]) -> None:
    write_json(folder / MANIFEST, digests)


def _version(path: Path) -> tuple[int, int] | None:
    """Return an identifier of the folder at `path` that changes when it is replaced; None if it is missing."""
    replaced = path.with_name(REPLACED + path.name)
    deadline = time.monotonic() + PATIENCE
    while (version := _identity(path)) is None and replaced.exists():
        if time.monotonic() < deadline:
            time.sleep(0.001)
        else:
            with suppress(FileNotFoundError):  # another reader recovered it first
                recover_folder(path)
    return version or _identity(path)  # the folder may have appeared between the two checks


def _identity(path: Path) -> tuple[int, int] | None:
    for file in (path / MANIFEST, path):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = file.stat()
            return found.st_ino, found.st_mtime_ns
    return None
