"""One writer at a time: a lock beside a folder, which the system releases when its process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: writers are not kept apart there
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock-"  # what precedes the name of a folder that is being written


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep others from writing a file or folder during the block, also other threads; the lock file then disappears.

    Raises:
        BlockingIOError: Somebody else is writing it; nothing waits.
    """
    if fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(LOCK + path.name)
    descriptor = _acquire(lock, path)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # before it is released: the next writer makes its own
        os.close(descriptor)


def _acquire(lock: Path, path: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, lock):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            who = "this process" if holder == str(os.getpid()) else f"another process (PID {holder})"
            raise BlockingIOError(f"{who} is writing {path}: wait until it has finished, or stop it") from None
        os.close(descriptor)  # its owner has just deleted it


def _is_at(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(lock))
    except FileNotFoundError:
        return False
