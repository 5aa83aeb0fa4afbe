"""Writer locks: a lock file beside a folder; the operating system releases it when the process ends or is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock-"  # prefix of the lock file of a folder
NOTE_START, NOTE_BYTES = 1, 20  # the PID follows byte 0, which Windows makes unreadable while locked


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the writer lock of a file or folder during the block, against other processes and threads.

    The lock file is deleted at the end; one that a killed writer left behind does not block.

    Raises:
        BlockingIOError: Another process or thread holds the lock; raised at once, without waiting.
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
        with suppress(OSError):  # Windows cannot delete an open file; there filelock deletes it on release
            file.unlink()  # before the release, so that the next writer's file is not deleted
        lock.release()


def _write_note(file: Path) -> None:
    with suppress(OSError), open(file, "r+b", buffering=0) as note:  # on failure the error message only lacks the PID
        note.seek(NOTE_START)
        note.write(str(os.getpid()).ljust(NOTE_BYTES).encode())


def _read_note(file: Path) -> str:
    """Return the PID of the lock's holder, "" if unknown."""
    try:
        with open(file, "rb", buffering=0) as note:
            note.seek(NOTE_START)
            return note.read(NOTE_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
