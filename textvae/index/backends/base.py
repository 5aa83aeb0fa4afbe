"""What every backend of an index does, and the registry of backends."""

# N vectors, W dimensions of a vector, Q queries, M chosen ids
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Neighbours = tuple[Vectors, Ids]  # scores and ids, both (Q, k), nearest first; -1 where there are no more

AUTO = "auto"  # the factory that leaves the choice to the backend
FLAT_LIMIT = 50_000  # texts up to which "auto" is exact


class Backend(Protocol):
    """Vectors by id, and the nearest of them.

    Scores are inner products, of which the larger is nearer, or squared Euclidean distances, of which the smaller is.
    The ids are those of the item store: `LatentIndex` adds an id once, and removes or replaces only ids that are there.

    Attributes:
        name: What it is registered under, and what index.json names.
        file: Name of its file in the folder of an index.
        factory: How it stores and searches, in its own words.
        tombstones: Ids of removed vectors that are still in its file.
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
            count: Vectors that are expected; None for an unknown number above 50,000.

        Raises:
            ValueError: Unknown factory.
        """

    @classmethod
    def read(cls, path: Path, factory: str, tombstones: Iterable[int] = (), *, mapped: bool = False) -> Self:
        """Read what `write` wrote; with `mapped` it need not be in memory, and is never changed.

        Raises:
            RuntimeError: The file cannot be read.
        """

    def write(self, path: Path) -> None:
        """Write the vectors to a file.

        Raises:
            RuntimeError: The file cannot be written.
        """

    def __len__(self) -> int:
        """Return the number of vectors, tombstones left out."""

    @property
    def width(self) -> int:
        """Dimensions W of a vector."""

    @property
    def training(self) -> int:
        """Vectors that should train the store before any is added, 0 if it needs none."""

    def train(self, sample: Vectors) -> None:
        """Learn from vectors (N, W). Raise ValueError if they are too few."""

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors (N, W) under new ids. Raise ValueError if they are refused; then none is added."""

    def remove(self, ids: Sequence[int]) -> None:
        """Remove ids."""

    def replace(self, ids: Sequence[int], vectors: Vectors, before: Callable[[], Vectors]) -> None:
        """Give ids new vectors (N, W).

        Args:
            ids: The ids, each once.
            vectors: The new vectors.
            before: Returns the old vectors; called where they must be put back after an error.
        """

    def compact(self) -> int:
        """Free the tombstones and return how many they were."""

    def nearest(self, queries: Vectors, k: int, within: Ids | None = None) -> Neighbours:
        """Return the k nearest vectors of each query (Q, W): all there are where they are fewer.

        Args:
            queries: The queries.
            k: Neighbours of each.
            within: Ids (M,) that may be found, all of them in the store; by default every one.
        """


B = TypeVar("B", bound=type[Any])
_BACKENDS: dict[str, type[Backend]] = {}


def register_backend(name: str) -> Callable[[B], B]:
    """Register a backend under a name; it is a class decorator.

    Args:
        name: What `LatentIndex.build` calls it, and what index.json names.
    """

    def register(backend: B) -> B:
        backend.name = name
        _BACKENDS[name] = backend
        return backend

    return register


def backend_class(name: str) -> type[Backend]:
    """Return the backend that is registered under a name.

    Raises:
        ValueError: There is none.
    """
    if name not in _BACKENDS:
        raise ValueError(
            f"unknown index backend {name!r}: use {' or '.join(_BACKENDS)}, or import the module that registers it "
            "with register_backend"
        )
    return _BACKENDS[name]


def reason(error: Exception) -> str:
    """Keep what faiss says, without the C++ signature before it."""
    return " ".join(re.sub(r"^.*\.(?:cpp|h):\d+: (?:Error: '.*' failed:? ?)?", "", str(error), flags=re.S).split())
