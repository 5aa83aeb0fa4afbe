"""Vectors read back from a faiss index: by their ids, or all of them where they are held as they were given."""

# N vectors, W dimensions of a vector
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .base import Ids, Vectors
from .faiss_refined import refined


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


def stored_blocks(index: Any, tombstones: Iterable[int], size: int) -> Iterator[tuple[Ids, Vectors]] | None:
    """Yield ids and vectors (N, W) of a faiss index, at most `size` at a time, without those of tombstones.

    Args:
        index: An IndexIDMap2, or inverted lists.
        tombstones: Ids to leave out.
        size: Vectors of a block.

    Returns:
        None if the index compresses or transforms its vectors.
    """
    import faiss

    gone = np.fromiter(tombstones, np.int64)
    if isinstance(index, faiss.IndexIVFFlat):
        return _of_lists(index, size)
    if not isinstance(index, faiss.IndexIDMap2):
        return None
    leaf = faiss.downcast_index(index.index)
    if not isinstance(leaf, faiss.IndexFlat | faiss.IndexHNSWFlat) and refined(index) is None:
        return None
    labels = faiss.vector_to_array(index.id_map)
    live = labels[(labels >= 0) & ~np.isin(labels, gone)]
    return ((part, index.reconstruct_batch(part)) for part in _parts(live, size))


def _of_lists(index: Any, size: int) -> Iterator[tuple[Ids, Vectors]]:
    import faiss

    lists = index.invlists
    for place in range(index.nlist):
        count = lists.list_size(place)
        if count:
            ids = faiss.rev_swig_ptr(lists.get_ids(place), count).copy()
            codes = faiss.rev_swig_ptr(lists.get_codes(place), count * index.code_size)
            vectors = codes.view(np.float32).reshape(count, index.d).copy()
            yield from zip(_parts(ids, size), _parts(vectors, size), strict=True)


def _parts(array: Any, size: int) -> list[Any]:
    return [array[start : start + size] for start in range(0, len(array), size)]
