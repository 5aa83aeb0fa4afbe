"""Atomic folder replacement, with a checksum manifest that is verified on reading."""

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
from .kinds import missing, what_else
from .locks import only_writer
from .plain import check_plain_file, is_plain_name

T = TypeVar("T")
MANIFEST, MOST_BYTES = "manifest.json", 1 << 22  # of some 40,000 files
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
    """Finish or undo a folder replacement that a crash interrupted. Only the folder's writer may call this."""
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
        if not (new / name).exists() and not _is_own(name, own, listed):
            with suppress(CorruptFileError, FileNotFoundError):  # what a link names is not the folder's
                file = check_plain_file(old, name)
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, new / name, follow_symlinks=False)


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
    """Return read(path), and repeat it if a writer replaced the folder meanwhile, so that versions never mix.

    If a writer crashed between its two renames, the old folder is restored first.

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
            raise FileNotFoundError(missing(path, kind))
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


def file_digests(folder: str | Path, patterns: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder whose name a pattern matches; patterns are those of fnmatch.

    They are those of the manifest, which `open_folder` has checked; without a manifest, of every plain file.

    Raises:
        CorruptFileError: A file without a manifest is a link, a folder or a device.
    """
    folder = Path(folder)
    if _has_manifest(folder):
        listed = _read_digests(folder)
    else:
        names = {file.relative_to(folder).as_posix() for file in [*folder.glob("*"), *folder.glob("*/*")]}
        listed = dict.fromkeys(filter(is_plain_name, names), [])
    wanted = sorted(name for name in listed if any(fnmatchcase(name, pattern) for pattern in patterns))
    known = {name: listed[name][0] for name in wanted if len(listed[name]) == 1}
    return {name: known.get(name) or sha256(check_plain_file(folder, name)) for name in wanted}


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
        if name in digests:  # a new file is listed after it was written
            _write_digests(folder, digests | {name: [*digests[name], new]})
    _write_digests(folder, digests | {name: [new]})


def _has_manifest(folder: Path) -> bool:
    return os.path.lexists(folder / MANIFEST)


def _read_digests(folder: Path) -> dict[str, list[str]]:
    if not _has_manifest(folder):
        return {}
    manifest = check_plain_file(folder, MANIFEST)
    digests = read_json(manifest, MOST_BYTES)
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
            with only_writer(path):  # a writer that lives, though it may be suspended, has the lock: BlockingIOError
                recover_folder(path)
    return version or _identity(path)  # the folder may have appeared between the two checks


def _identity(path: Path) -> tuple[int, int] | None:
    for file in (path / MANIFEST, path):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = file.stat()
            return found.st_ino, found.st_mtime_ns
    return None
