"""Safetensors files: the size of their header, checked before a library reads it into many times as much memory."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from .errors import CorruptFileError

MOST_HEADER = 1 << 23  # bytes, of about 70,000 tensors
UNREADABLE = (SafetensorError, TypeError, KeyError, AttributeError)  # of reading as numpy, which lacks bfloat16, float8


def check_header(path: str | Path) -> None:
    """Check that the header of a safetensors file is no larger than one of ours.

    Raises:
        CorruptFileError: It is larger. Other damage is left to the library.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > MOST_HEADER:
        raise CorruptFileError(
            f"{path} says that its header has {length:,} bytes, at most {MOST_HEADER:,} are possible here: restore it"
        )
