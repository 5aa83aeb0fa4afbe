"""Writer locks: a lock file beside a folder; the operating system releases it when the process ends or is killed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .atomic import open_no_link

LOCK = ".lock-"  # what precedes the name of a folder that is being written
NOTE_START, NOTE_BYTES = 1, 20  # the PID is written after byte 0, which nobody can read while Windows locks it


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the writer lock of a file or folder during the block, against other processes and threads.

    A lock file that a killed writer left behind locks nothing. Two names of one folder, such as a symbolic link and
    the folder itself, have one lock; a symbolic or hard link in the lock's own place is refused, not written.

    Raises:
        BlockingIOError: Somebody else is writing it; nothing waits.
        OSError: Something else has the lock's name, or the folder cannot be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(LOCK + path.name)
    _check_free(file)
    lock = FileLock(file, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        holder = _read_note(file)
        who = "this process" if holder == str(os.getpid()) else f"another process (PID {holder or 'unknown'})"
        raise BlockingIOError(f"{who} is writing {path}: wait until it has finished, or stop it") from None
    try:
        _write_note(file)
        yield
    finally:
        with suppress(OSError):  # Windows cannot delete an open file; there filelock deletes it on release
            file.unlink()  # before the release, so that the next writer's file is not deleted
        lock.release()


def _check_free(file: Path) -> None:
    """Raise OSError if the lock's name has something else, such as a link to a file that the note would overwrite."""
    with suppress(FileNotFoundError):
        found = file.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(errno.EEXIST, "a link, folder or pipe in the place of a lock file: remove it", str(file))


def _write_note(file: Path) -> None:
    # without the note, a message lacks the PID
    with suppress(OSError), open(file, "r+b", buffering=0, opener=open_no_link) as note:
        note.seek(NOTE_START)
        note.write(str(os.getpid()).ljust(NOTE_BYTES).encode())


def _read_note(file: Path) -> str:
    """Return the PID of the lock's holder, "" if unknown."""
    try:
        with open(file, "rb", buffering=0, opener=open_no_link) as note:
            note.seek(NOTE_START)
            return note.read(NOTE_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
