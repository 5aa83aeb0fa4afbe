"""The exact reference backend: one array of vectors, with brute-force search."""

# N vectors, W dimensions of a vector, Q queries, M chosen ids
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ...storage.tensors import UNREADABLE, check_header
from .base import AUTO, Ids, Neighbours, Vectors, register_backend

SCORES = 2**22  # float64 scores in memory at once, for a block of queries


@register_backend("numpy")
class NumpyBackend:
    """A vector store with brute-force search in float64: exact, but slow for many vectors.

    Args:
        ids: Shape (N,).
        vectors: Shape (N, W).
        inner_product: Score by inner products, else by squared Euclidean distances.
        mapped: Refuse changes.
    """

    file = "index.safetensors"
    factory = "Flat"
    training = 0

    def __init__(self, ids: Ids, vectors: Vectors, inner_product: bool, *, mapped: bool = False):
        self.ids, self.vectors, self.inner_product, self.mapped = ids, vectors, inner_product, mapped
        self.tombstones: set[int] = set()

    @classmethod
    def empty(cls, width: int, factory: str, inner_product: bool, count: int | None = None) -> NumpyBackend:
        """Return a store without vectors; the factory is "Flat" or "auto"."""
        if factory not in (cls.factory, AUTO):
            raise ValueError(f"the numpy backend knows the factories Flat and auto, got {factory!r}: use one of them")
        return cls(np.empty(0, np.int64), np.empty((0, width), np.float32), inner_product)

    @classmethod
    def read(cls, path: Path, factory: str, tombstones: Iterable[int] = (), *, mapped: bool = False) -> NumpyBackend:
        """Read a saved store into memory, even with `mapped`.

        Raises:
            RuntimeError: The file is not a store of this backend.
        """
        check_header(path)
        try:
            with safe_open(path, framework="numpy") as file:
                inner_product = file.metadata()["metric"] == "inner_product"
                ids, vectors = _checked(file.get_tensor("ids"), file.get_tensor("vectors"))
                return cls(ids, vectors, inner_product, mapped=mapped)
        except (*UNREADABLE, OSError) as error:
            raise RuntimeError(f"{path.name} holds no vectors: {error}") from error

    def write(self, path: Path) -> None:
        """Write ids and vectors to a safetensors file."""
        metric = "inner_product" if self.inner_product else "squared_l2"
        try:
            save_file({"ids": self.ids, "vectors": self.vectors}, path, metadata={"metric": metric})
        except (SafetensorError, OSError) as error:
            raise RuntimeError(str(error)) from error

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def width(self) -> int:
        """Dimensions W of a vector."""
        return self.vectors.shape[1]

    def train(self, sample: Vectors) -> None:
        """Do nothing: this backend needs no training."""

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors (N, W) with new ids."""
        self._check_unmapped()
        self.ids = np.concatenate([self.ids, np.array(ids, np.int64)])
        self.vectors = np.concatenate([self.vectors, np.asarray(vectors, np.float32)])

    def remove(self, ids: Sequence[int]) -> None:
        """Remove the vectors of existing ids."""
        self._check_unmapped()
        kept = ~np.isin(self.ids, np.array(ids, np.int64))
        self.ids, self.vectors = self.ids[kept], self.vectors[kept]

    def replace(self, ids: Sequence[int], vectors: Vectors, before: Callable[[], Vectors]) -> None:
        """Replace the vectors of existing ids with new ones (N, W)."""
        self._check_unmapped()
        rows = {id: row for row, id in enumerate(self.ids.tolist())}
        self.vectors[[rows[id] for id in ids]] = vectors

    def compact(self) -> int:
        """Return 0: removed vectors are freed at once."""
        self._check_unmapped()
        return 0

    def take(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors (N, W) of existing ids."""
        rows = {id: row for row, id in enumerate(self.ids.tolist())}
        return self.vectors[[rows[id] for id in ids]]

    def nearest(self, queries: Vectors, k: int, within: Ids | None = None) -> Neighbours:
        """Return the k nearest vectors of each query (Q, W); ties are in order of addition."""
        ids, vectors = self.ids, self.vectors
        if within is not None:
            chosen = np.isin(ids, within)
            ids, vectors = ids[chosen], vectors[chosen]
        k = min(k, len(ids))
        scores, found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        at_once = max(1, SCORES // max(1, len(ids)))
        for start in range(0, len(queries) if k else 0, at_once):
            part = slice(start, start + at_once)
            scores_QN = self._scores(queries[part].astype(np.float64), vectors.astype(np.float64))
            order_Qk = np.argsort(-scores_QN if self.inner_product else scores_QN, axis=1, kind="stable")[:, :k]
            with np.errstate(over="ignore"):  # infinite scores are refused where they are read
                scores[part] = np.take_along_axis(scores_QN, order_Qk, 1)
            found[part] = ids[order_Qk]
        return scores, found

    def stored(self, size: int) -> Iterator[tuple[Ids, Vectors]]:
        """Yield ids and vectors (N, W), at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self.ids[start : start + size], self.vectors[start : start + size]

    def _scores(self, queries_QW: np.ndarray, vectors_NW: np.ndarray) -> np.ndarray:
        products_QN = queries_QW @ vectors_NW.T
        if self.inner_product:
            return products_QN
        squares = np.square(queries_QW).sum(1)[:, None] + np.square(vectors_NW).sum(1) - 2 * products_QN
        return np.maximum(squares, 0)

    def _check_unmapped(self) -> None:
        if self.mapped:
            raise ValueError("vectors that are mapped (mmap=True) cannot be changed: load the index without mmap")


def _checked(ids: np.ndarray, vectors: np.ndarray) -> tuple[Ids, Vectors]:
    """Return ids and vectors; raise KeyError if they are not those of one store."""
    right = (
        ids.dtype == np.int64 and vectors.dtype == np.float32 and vectors.ndim == 2 and ids.shape == vectors.shape[:1]
    )
    if not right or not vectors.shape[1]:
        raise KeyError(f"ids of the shape {ids.shape} and vectors of the shape {vectors.shape}")
    if len(np.unique(ids)) != len(ids) or not np.isfinite(vectors).all():
        raise KeyError("an id comes twice, or a vector is not finite")
    return ids, vectors
