"""Vectors read back from a faiss index by their ids."""

# N vectors, W dimensions of a vector
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Vectors


def take(store: Any, ids: Sequence[int]) -> Vectors:
    """Return the vectors (N, W) of existing ids, as precisely as the factory of a `FaissBackend` keeps them.

    Raises:
        ValueError: The factory cannot return vectors.
    """
    import faiss

    library: Any = faiss  # its type stubs lack the direct map
    numbers = np.array(ids, np.int64)
    if not len(numbers):
        return np.empty((0, store.width), np.float32)
    lists = None if isinstance(store.index, faiss.IndexIDMap2) else faiss.extract_index_ivf(store.index)
    try:
        if lists is not None:
            lists.set_direct_map_type(library.DirectMap.Hashtable)
        return store.index.reconstruct_batch(numbers)
    except RuntimeError as error:
        raise ValueError(f"the factory {store.factory} does not return its vectors") from error
    finally:
        if lists is not None:  # it would slow down changes
            lists.set_direct_map_type(library.DirectMap.NoMap)
