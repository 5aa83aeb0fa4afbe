"""Compressed vectors with full ones beside them to rank by (RFlat), filled so that the full ones stay on disk."""

# N vectors, W dimensions of a vector
from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import Vectors

CANDIDATES = 10.0  # for each hit, found by the compressed vectors and ranked by the full ones
COUNT_AT = 8  # where a file of flat vectors says how many there are; its last 8 bytes say how many numbers


def refined(index: Any) -> Any | None:
    """Return the refined index inside an IndexIDMap2, if its full vectors are flat; else None."""
    import faiss

    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap2) else None
    if not isinstance(inner, faiss.IndexRefine):
        return None
    return inner if isinstance(faiss.downcast_index(inner.refine_index), faiss.IndexFlat) else None


def fill(index: Any, blocks: Iterable[tuple[Sequence[int], Vectors]], file: Path) -> Any:
    """Fill an empty trained index with vectors of which memory holds the compressed ones alone.

    Args:
        index: The IndexIDMap2 around a refined index.
        blocks: N ids and vectors (N, W), block by block.
        file: Where the full vectors are written, and stay while the index is used.

    Returns:
        The mapped vectors, to be kept as long as the index.
    """
    import faiss

    inner: Any = refined(index)
    base, width = faiss.downcast_index(inner.base_index), index.d
    head = bytearray(faiss.serialize_index(faiss.downcast_index(inner.refine_index)).tobytes())
    labels = []
    with open(file, "wb") as out:
        out.write(head)
        for ids, vectors in blocks:
            base.add(vectors)
            out.write(np.ascontiguousarray(vectors, "<f4").data)
            labels.append(np.asarray(ids, np.int64))
        struct.pack_into("<q", head, COUNT_AT, base.ntotal)
        struct.pack_into("<Q", head, len(head) - 8, base.ntotal * width)
        out.seek(0)
        out.write(head)
    mapped = faiss.read_index(str(file), getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP))
    inner.own_refine_index = False  # Python owns the mapped one
    inner.refine_index = mapped
    inner.ntotal = index.ntotal = base.ntotal
    faiss.copy_array_to_vector(np.concatenate([np.empty(0, np.int64), *labels]), index.id_map)
    index.construct_rev_map()
    return mapped
