"""The faiss factory that "auto" stands for."""

from __future__ import annotations

from .base import FLAT_LIMIT

PLANNED = 1_000_000  # texts that "auto" assumes for a stream longer than FLAT_LIMIT
MEMORY = 2 * 10**9  # bytes of float32 vectors above which "auto" stores one byte per number


def automatic_factory(count: int | None, width: int) -> str:
    """Choose the faiss factory for a number of vectors.

    Up to 50,000 vectors "Flat", which is exact. Above, about 4 * sqrt(N) inverted lists of float32 vectors, or of one
    byte per number ("SQ8") if the vectors would take more than 2 GB. An unknown number counts as a million.

    Args:
        count: Vectors N, or None for a stream of unknown length, longer than 50,000.
        width: Dimensions W of a vector, 4 bytes each.

    Examples:
        >>> automatic_factory(1000, 64), automatic_factory(None, 64), automatic_factory(10**7, 64)
        ('Flat', 'IVF4000,Flat', 'IVF12649,SQ8')
    """
    if count is not None and count <= FLAT_LIMIT:
        return "Flat"
    planned = PLANNED if count is None else count
    return f"IVF{round(4 * planned**0.5)},{'SQ8' if 4 * width * planned > MEMORY else 'Flat'}"
