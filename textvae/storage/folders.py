"""Folders that appear at once, with manifests that are checked when they are read."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from .atomic import atomic_path, followed, read_json, sha256, staged_beside, staged_name, sync, write_json
from .errors import CorruptFileError, with_article
from .exchange import exchange
from .kinds import what_else
from .locks import only_writer

T = TypeVar("T")
MANIFEST = "manifest.json"
REPLACED = ".replaced-"
PATIENCE = 2.0  # seconds that a reader waits between a writer's two renames before it asks for the writer's lock


@contextmanager
def atomic_folder(path: str | Path, mark: str, *, own: Sequence[str] = (), lock: bool = True) -> Iterator[Path]:
    """Yield an empty temporary folder that takes the place of `path` on success, with a manifest of its files.

    A crash at any moment leaves the old folder or the new one; `open_folder` finds whichever it is. What others have
    put into the old folder is kept: an index inside a run, or a note.

    Args:
        path: The folder to write or replace; a symbolic link is followed.
        mark: A file that every folder of this kind has; a folder with other files is not replaced.
        own: Patterns of the file names that are replaced; by default those of the old manifest and of the new folder.
        lock: Keep other writers out; False where the caller is in `only_writer` already.

    Raises:
        FileExistsError: `path` holds something else.
        BlockingIOError: Somebody else is writing it.
    """
    path = followed(Path(path))
    with only_writer(path) if lock else nullcontext():
        check_replaceable(path, mark)
        for abandoned in staged_beside(path):  # the lock is ours, so their writers are dead
            shutil.rmtree(abandoned, ignore_errors=True)
        staged = staged_name(path)
        staged.mkdir(parents=True)
        try:
            yield staged
            _copy_listed(path, staged, own)
            publish_folder(staged, path, own)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def check_replaceable(path: Path, mark: str) -> None:
    """Raise FileExistsError if `path` holds something else than a folder with the file `mark`; for its only writer."""
    recover_folder(path)
    if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / mark).exists())):
        raise FileExistsError(f"{path} holds something else (it has no {mark}): choose another folder")


def publish_folder(staged: Path, path: Path, own: Sequence[str] = ()) -> None:
    """Put a finished folder in the place of `path`: manifest, sync, rename; for the only writer of `path`."""
    write_manifest(staged)
    for file in staged.rglob("*"):
        sync(file)
    sync(staged)
    recover_folder(path)  # of a crash after an earlier replacement
    replaced = path.with_name(REPLACED + path.name)
    if not path.exists():
        os.rename(staged, path)
    else:
        os.rename(staged, replaced)
        if not exchange(replaced, path):
            os.rename(replaced, staged)
            os.rename(path, replaced)
            os.rename(staged, path)
        _move_others(replaced, path, own)
    sync(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def recover_folder(path: str | Path) -> None:
    """Finish or undo a folder replacement that a crash interrupted, for the only writer of the folder."""
    path = Path(path)
    replaced = path.with_name(REPLACED + path.name)
    if not replaced.is_dir() or replaced.is_symlink():
        return
    if path.exists():
        _move_others(replaced, path)
        shutil.rmtree(replaced, ignore_errors=True)
    else:
        os.rename(replaced, path)


def _copy_listed(old: Path, new: Path, own: Sequence[str]) -> None:
    """Copy the files that the old manifest lists but that are not replaced, so that the new one lists them too."""
    listed = _read_digests(old) if old.is_dir() else {}
    for name in listed:
        if (old / name).is_file() and not (new / name).exists() and not _is_own(name, own, listed):
            (new / name).parent.mkdir(exist_ok=True)
            shutil.copy2(old / name, new / name)


def _move_others(old: Path, new: Path, own: Sequence[str] = ()) -> None:
    """Move what is not part of a replaced folder, and not in its successor, into that."""
    try:
        listed = _read_digests(old)
    except CorruptFileError:  # then nothing is known to be replaceable
        listed = {}
    for entry in old.iterdir():
        if not (new / entry.name).exists() and not _is_own(entry.name, own, listed):
            os.rename(entry, new / entry.name)


def _is_own(name: str, own: Sequence[str], listed: Iterable[str]) -> bool:
    top = name.split("/")[0]
    if own:
        return top == MANIFEST or any(fnmatchcase(top, pattern) for pattern in own)
    return top == MANIFEST or top in {each.split("/")[0] for each in listed}


def read_folder(path: str | Path, read: Callable[[Path], T]) -> T:
    """Return read(path), read again if a writer has put another folder there meanwhile: never files of two versions.

    A writer that died between its two renames is undone.

    Args:
        path: The folder, as `atomic_folder` writes it.
        read: What reads its files; its OSError or ValueError is raised if it is about the folder that is there.

    Raises:
        BlockingIOError: A living writer, suspended perhaps, has been between its two renames for seconds.
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
    """Return `path` after checking that it is a folder of the given kind and that its manifest holds.

    Args:
        path: The folder.
        kind: What it should be, for the message: "run" or "index".
        required: A file that every folder of this kind has.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder is something else.
        CorruptFileError: A file is missing or differs from the manifest.
    """

    def check(path: Path) -> Path:
        if not path.exists():
            raise FileNotFoundError(f"there is no {kind} at {path}")
        if not path.is_dir():
            raise ValueError(f"{path} is a file, not {with_article(kind)} folder")
        check_manifest(path)  # first: a file that the manifest lists is lost, not foreign
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
    """Compare every file of a manifest with its SHA-256; a folder without a manifest passes (it is not ours).

    Raises:
        CorruptFileError: Naming the first file that is missing or differs.
    """
    folder = Path(folder)
    for name, accepted in _read_digests(folder).items():
        file = folder / name
        if not file.is_file():
            raise CorruptFileError(
                f"{file} is missing although {MANIFEST} lists it: restore it or write the folder anew"
            )
        if sha256(file) not in accepted:
            raise CorruptFileError(
                f"{file} does not match its checksum: it was truncated or altered; restore it from a copy"
            )


@contextmanager
def atomic_replacement(folder: str | Path, name: str) -> Iterator[Path]:
    """Yield a temporary path for a new version of one file of a manifested folder, then put it in place.

    The manifest accepts the old and the new digest while the file changes hands, so a crash leaves a folder that loads.
    For the only writer of the folder.
    """
    folder = Path(folder)
    for name_of in (name, MANIFEST):
        for abandoned in staged_beside(folder / name_of):
            abandoned.unlink(missing_ok=True)
    digests = _read_digests(folder)
    with atomic_path(folder / name) as staged:
        yield staged
        new = sha256(staged)
        if name in digests:  # a new file is listed once it is there
            _write_digests(folder, digests | {name: [*digests[name], new]})
    _write_digests(folder, digests | {name: [new]})


def _read_digests(folder: Path) -> dict[str, list[str]]:
    manifest = folder / MANIFEST
    if not manifest.exists():
        return {}
    digests = read_json(manifest)
    if not all(isinstance(value, list) for value in digests.values()):
        raise CorruptFileError(f"{manifest} is not a manifest: restore it from a copy")
    return digests


def _write_digests(folder: Path, digests: dict[str, list[str]]) -> None:
    write_json(folder / MANIFEST, digests)


def _version(path: Path) -> tuple[int, int] | None:
    """Return what tells the folder that is at `path` from the next one, None if nothing is there."""
    replaced = path.with_name(REPLACED + path.name)
    deadline = time.monotonic() + PATIENCE
    while (version := _identity(path)) is None and replaced.exists():
        if time.monotonic() < deadline:
            time.sleep(0.001)
        else:
            with only_writer(path):  # a writer that lives, though it may be suspended, has the lock: BlockingIOError
                recover_folder(path)
    return version or _identity(path)  # the folder may have come between the two looks


def _identity(path: Path) -> tuple[int, int] | None:
    for file in (path / MANIFEST, path):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = file.stat()
            return found.st_ino, found.st_mtime_ns
    return None
