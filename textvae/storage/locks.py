"""One writer at a time: a lock beside a folder, which the system releases when its process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock-"  # what precedes the name of a folder that is being written
NOTE_START, NOTE_BYTES = 1, 20  # the PID is written after byte 0, which nobody can read while Windows locks it


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep others from writing a file or folder during the block, also other threads; the lock file then disappears.

    A lock file that a killed writer left behind locks nothing.

    Raises:
        BlockingIOError: Somebody else is writing it; nothing waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(LOCK + path.name)
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
        with suppress(OSError):  # Windows deletes no open file: filelock deletes it there once it is released
            file.unlink()  # before it is released: the next writer makes its own
        lock.release()


def _write_note(file: Path) -> None:
    with suppress(OSError), open(file, "r+b", buffering=0) as note:  # without it, a message lacks the PID
        note.seek(NOTE_START)
        note.write(str(os.getpid()).ljust(NOTE_BYTES).encode())


def _read_note(file: Path) -> str:
    """Return the PID of the lock's holder, "" if it is not known."""
    try:
        with open(file, "rb", buffering=0) as note:
            note.seek(NOTE_START)
            return note.read(NOTE_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
