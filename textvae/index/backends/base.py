"""The interface of an index backend, and the registry of backends."""

# N vectors, W dimensions of a vector, Q queries, M chosen ids
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Neighbours = tuple[Vectors, Ids]  # scores and ids, both (Q, k), nearest first; ids padded with -1

AUTO = "auto"  # the factory name with which the backend chooses by size
FLAT_LIMIT = 50_000  # "auto" is exact up to this number of texts


class Backend(Protocol):
    """A vector store with ids and nearest-neighbour search.

    Scores are inner products (larger is nearer) or squared Euclidean distances (smaller is nearer).
    Ids come from the item store: `LatentIndex` adds each id once, and removes or replaces only existing ids.

    Attributes:
        name: Name under which it is registered and recorded in index.json.
        file: File name in the folder of an index.
        factory: How it stores and searches vectors, in the backend's own syntax.
        tombstones: Ids of removed vectors that are still stored.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    factory: str
    tombstones: set[int]

    @property
    def ids(self) -> Ids:
        """Ids of the vectors, tombstones left out, shape (N,)."""

    @property
    def inner_product(self) -> bool:
        """Whether vectors are scored by inner products."""

    @classmethod
    def empty(cls, width: int, factory: str, inner_product: bool, count: int | None = None) -> Self:
        """Return a store without vectors.

        Args:
            width: Dimensions W of a vector.
            factory: How to store and search, or "auto".
            inner_product: Score by inner products, else by squared Euclidean distances.
            count: Expected number of vectors; None if unknown, but above 50,000.

        Raises:
            ValueError: Unknown factory.
        """

    @classmethod
    def read(cls, path: Path, factory: str, tombstones: Iterable[int] = (), *, mapped: bool = False) -> Self:
        """Read a file that `write` wrote; `mapped` permits memory-mapping and forbids changes.

        Raises:
            RuntimeError: The file cannot be read.
        """

    def write(self, path: Path) -> None:
        """Write the vectors to a file.

        Raises:
            RuntimeError: The file cannot be written.
        """

    def __len__(self) -> int:
        """Return the number of vectors without tombstones."""

    @property
    def width(self) -> int:
        """Dimensions W of a vector."""

    @property
    def training(self) -> int:
        """Number of vectors to train on before any is added; 0 without training."""

    def train(self, sample: Vectors) -> None:
        """Train on vectors (N, W). Raise ValueError if there are too few."""

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors (N, W) with new ids. If they are refused, raise ValueError and add none."""

    def remove(self, ids: Sequence[int]) -> None:
        """Remove the vectors of ids."""

    def replace(self, ids: Sequence[int], vectors: Vectors, before: Callable[[], Vectors]) -> None:
        """Replace the vectors of ids with new ones (N, W).

        Args:
            ids: The ids, without duplicates.
            vectors: The new vectors.
            before: Returns the old vectors; called only if they must be restored after an error.
        """

    def compact(self) -> int:
        """Free the tombstones and return their number."""

    def take(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors (N, W) of existing ids, or nearly so. Raise ValueError if they cannot be read back."""

    def nearest(self, queries: Vectors, k: int, within: Ids | None = None) -> Neighbours:
        """Return the k nearest vectors of each query (Q, W), or all vectors if there are fewer.

        Args:
            queries: The queries.
            k: Neighbours per query.
            within: Existing ids (M,) to search among; by default all.
        """

    def stored(self, size: int) -> Iterator[tuple[Ids, Vectors]] | None:
        """Yield the ids (N,) and vectors (N, W) that were added, at most `size` at a time, in any order.

        None if the store compresses vectors or changes them: whoever needs them encodes the texts again.
        """


B = TypeVar("B", bound=type[Any])
_BACKENDS: dict[str, type[Backend]] = {}


def register_backend(name: str) -> Callable[[B], B]:
    """Register a backend under a name, as a class decorator.

    Args:
        name: Value of `backend` in `LatentIndex.build` and in index.json.
    """

    def register(backend: B) -> B:
        backend.name = name
        _BACKENDS[name] = backend
        return backend

    return register


def backend_class(name: str) -> type[Backend]:
    """Return the backend class registered under a name.

    Raises:
        ValueError: The name is unknown.
    """
    if name not in _BACKENDS:
        raise ValueError(
            f"unknown index backend {name!r}: use {' or '.join(_BACKENDS)}, or import the module that registers it "
            "with register_backend"
        )
    return _BACKENDS[name]


def reason(error: Exception) -> str:
    """Return the message of a faiss error without its C++ location."""
    return " ".join(re.sub(r"^.*\.(?:cpp|h):\d+: (?:Error: '.*' failed:? ?)?", "", str(error), flags=re.S).split())
