"""Numbers from the bytes of a faiss file, none of them beyond its end."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

PART = 1 << 22  # numbers that are checked at once
LARGEST = 1e17  # of a float; sums of the squares of larger ones are infinite, or anything


class Reader:
    """A place in the bytes of a file; every count is compared with what is left of it."""

    def __init__(self, data: memoryview):
        self.data, self.at, self.depth = data, 0, 0

    def require(self, holds: Any, message: str) -> None:
        """Raise RuntimeError unless a condition holds."""
        if not holds:
            raise RuntimeError(message)

    def one(self, kind: str) -> Any:
        """Return the next value of a `struct` format."""
        size = struct.calcsize("<" + kind)
        self.require(size <= len(self.data) - self.at, "the file ends early")
        (value,) = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += size
        return value

    def flag(self) -> bool:
        """Return the next byte, which is 0 or 1."""
        value = self.one("B")
        self.require(value in (0, 1), f"a truth value is {value}")
        return bool(value)

    def number(self, kind: str, low: float, high: float, name: str) -> Any:
        """Return the next value, which is in [low, high]."""
        value = self.one(kind)
        self.require(low <= value <= high, f"{name} is {value}, not in {low}..{high}")
        return value

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        """Return a view of the next `count` numbers, whose floats are finite and below 1e17."""
        size = np.dtype(dtype).itemsize
        self.require(0 <= count <= (len(self.data) - self.at) // size, f"{count} numbers do not fit in the file")
        found = np.frombuffer(self.data[self.at : self.at + size * count], dtype)
        self.at += size * count
        if found.dtype.kind == "f":
            self.require(all((np.abs(part) <= LARGEST).all() for part in _parts(found)), "a number is not finite")
        return found

    def vector(self, dtype: str, count: int | None = None, name: str = "an array") -> NDArray[Any]:
        """Return the next array, which its length precedes."""
        length = self.one("Q")
        self.require(count is None or length == count, f"{name} has {length} numbers, not {count}")
        return self.array(dtype, length)


def _parts(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array[start : start + PART] for start in range(0, len(array), PART)]
