"""Exit codes and one-line error messages."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from cyclopts import CycloptsError

from ..storage.errors import CorruptFileError
from .hints import hint

FAILURE, USAGE, BAD_INPUT, CORRUPT, EXHAUSTED, INTERRUPTED = 1, 2, 3, 4, 5, 130
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.EFBIG}
# Messages of torch, safetensors, faiss and SQLite, which do not set errno.
OUT_OF_RESOURCES = re.compile(
    r"out of memory|can't allocate memory|no space left|file too large|quota exceeded|dis[ck]\b.* full", re.I
)


class UsageError(Exception):
    """Flags that exclude or need each other."""


@dataclass(frozen=True)
class Failure:
    """An exit code and its message."""

    code: int
    message: str


def explain(error: BaseException) -> Failure:
    """Return the exit code and the line of an error."""
    message = " ".join(_words(error).split()) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return Failure(INTERRUPTED, "interrupted")
    if isinstance(error, CycloptsError):
        verb = " ".join(["textvae", *(error.command_chain or ())])
        return Failure(USAGE, f"{hint(error) or message} See {verb} --help")
    if isinstance(error, UsageError):
        return Failure(USAGE, message)
    if _is_exhaustion(error):
        return Failure(EXHAUSTED, message if str(error) else "out of memory: lower --batch-size")
    if isinstance(error, CorruptFileError) or type(error).__name__ == "SafetensorError":
        return Failure(CORRUPT, message)
    if type(error).__name__ == "PanicException":  # of a library in Rust; no Exception
        return Failure(CORRUPT, f"a file makes the library that reads it fail ({message}): restore it from a copy")
    if isinstance(error, (ValueError, OSError)):
        return Failure(BAD_INPUT, message)
    if isinstance(error, (ArithmeticError, ImportError)):  # a diverged run or a missing extra: the message is enough
        return Failure(FAILURE, message)
    return Failure(FAILURE, f"{type(error).__name__}: {message} (TEXTVAE_DEBUG=1 shows where)")


def _is_exhaustion(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NO_ROOM
    return not isinstance(error, (ValueError, FileNotFoundError)) and bool(OUT_OF_RESOURCES.search(str(error)))


def _words(error: BaseException) -> str:
    """Return what the error says; of a system error the file and the reason, without the number."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror)
    return str(error)
