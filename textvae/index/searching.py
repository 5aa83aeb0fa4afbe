"""Searching an index: the nearest texts of queries, as hits or arrays, and a text written from hits."""

# N vectors, D latent dimensions
from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backends import Backend
from .distances import Metric, closeness, comparable, embedded, weight, width
from .filters import Filter, parse_filter
from .item_store import ItemStore
from .model_source import ModelSource

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

logger = logging.getLogger("textvae")

LEAST_WEIGHT = 1e-3  # of all hits of a blend together, below which they weigh the same


class Hit(NamedTuple):
    """One neighbour of a query; a larger score is always closer. The id is a string if the index was built with ids."""

    id: Any
    score: float
    text: str
    metadata: dict[str, Any]


class SearchableIndex:
    """Vectors, their texts, and the model that embeds queries. The base of `LatentIndex`."""

    def __init__(self, vectors: Backend, items: ItemStore, metric: Metric, model: ModelSource):
        """Wrap vectors and their items. Use `LatentIndex.build` or `LatentIndex.load`."""
        self.backend: str = vectors.name
        self.factory: str = vectors.factory
        self.metric: Metric = metric
        self.fingerprint: str = model.fingerprint
        self._vectors, self._items, self._model = vectors, items, model
        self._lock = threading.RLock()

    @overload
    def search(self, queries: str, k: int = 10, *, where: str | None = None) -> list[Hit]: ...
    @overload
    def search(self, queries: list[str], k: int = 10, *, where: str | None = None) -> list[list[Hit]]: ...
    @overload
    def search(self, queries: ArrayLike, k: int = 10, *, where: str | None = None) -> list[Any]: ...
    def search(self, queries: Any, k: int = 10, *, where: str | None = None) -> list[Any]:
        """Return the k nearest texts of each query, nearest first.

        Args:
            queries: One text, a list of texts, one vector (D,) or vectors (N, D); never modified. Under "wasserstein"
                also means beside standard deviations, (N, 2D); vectors (N, D) are points, with deviations of 0.
            k: Hits per query; an index of fewer texts returns all of them. Approximate factories search wider when
                they find fewer than k.
            where: A condition on metadata, such as "topic = 'food' and stars >= 4": only texts that meet it are
                found. `textvae.index.filters.parse_filter` has the rules. A key that no text has is logged.

        Returns:
            A list of hits for one text or vector; a list of such lists for several, [] for [].

        Raises:
            ValueError: k is below 1, vectors are of another dimension or not finite, or `where` is not a condition.
            FileNotFoundError: The query is a text and the model folder is gone.

        Examples:
            >>> [[hit.id for hit in hits] for hits in index.search(index.vae.encode(["a blue whale"]), k=2)]
            [[1, 0]]
        """
        k, condition = _checked(k, where)
        vectors, single = self._queries(queries)
        with self._lock:
            scores, ids = self._nearest(vectors, k, condition)
            found = set(ids[ids >= 0].tolist())
            items, names = self._items.get_many(found), self._items.names(found)
        rows = zip(ids.tolist(), scores.tolist(), strict=True)
        hits = [[Hit(names[id], score, *items[id]) for id, score in zip(*row, strict=True) if id >= 0] for row in rows]
        return hits[0] if single else hits

    def neighbours(
        self, queries: Sequence[str] | ArrayLike, k: int = 10, *, where: str | None = None
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Return what `search` finds as arrays of scores and ids, without the texts, which saves their time.

        Args:
            queries: As in `search`; Q of them, one is Q = 1.
            k: Hits per query.
            where: As in `search`.

        Returns:
            Scores (Q, k), larger is closer, and ids (Q, k), nearest first. An index of fewer texts has fewer columns;
            a query that found fewer than the others has -inf and -1 in the rest of its row. The ids of an index that
            was built with ids are strings (dtype object), None where there is no hit.

        Raises:
            ValueError: As in `search`.

        Examples:
            >>> scores, ids = index.neighbours(["a blue whale", "a red fox"], k=1)
            >>> ids.tolist()
            [[1], [0]]
        """
        k, condition = _checked(k, where)
        vectors, _ = self._queries(queries)
        with self._lock:
            scores, ids = self._nearest(vectors, k, condition)
            if not self._items.named:
                return scores, ids
            names: dict[int, Any] = self._items.names(set(ids.ravel().tolist()))
        return scores, np.array([[names.get(id) for id in row] for row in ids.tolist()], object).reshape(ids.shape)

    def _queries(self, queries: Any) -> tuple[NDArray[np.float32], bool]:
        """Return the vectors of queries, and whether it was a single one."""
        if isinstance(queries, list | tuple) and not queries:
            return np.empty((0, self._vectors.width), np.float32), False
        single = isinstance(queries, str)
        if single or (isinstance(queries, list | tuple) and all(isinstance(query, str) for query in queries)):
            return embedded(self.vae, [queries] if single else queries, self.metric), single
        given = np.asarray(queries)
        single = given.ndim == 1
        return comparable(given[None] if single else given, self.metric, self.dim), single

    def _nearest(
        self, vectors: NDArray[np.float32], k: int, condition: Filter | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        within = None if condition is None else self._matching(condition)
        scores, ids = self._vectors.nearest(vectors, k, within)
        return np.where(ids < 0, -np.inf, closeness(scores, self.metric)), ids

    def _matching(self, condition: Filter) -> NDArray[np.int64]:
        unknown = self._items.unknown_keys(condition.keys)
        if unknown and len(self):
            there = ", ".join(self._items.keys()) or "none"
            logger.warning("no text has the metadata key %s: the keys are %s", " or ".join(unknown), there)
        return self._items.matching(condition)

    def blend(self, hits: Sequence[Hit], *, refinements: int = 0) -> str:
        """Write one text from what hits of a search have in common, a generative snippet.

        It is `TextVAE.blend` of them, in which each weighs its cosine, or 1 / (1 + distance).

        Args:
            hits: What `search` returned for a query.
            refinements: Of the decoding, as in `TextVAE.decode`: nearer to the mean, and slower.

        Raises:
            ValueError: There are no hits.
            FileNotFoundError: The model folder is gone.
        """
        if not hits:
            raise ValueError("there are no hits to blend: search wider, or with another condition")
        weights = [weight(hit.score, self.metric) for hit in hits]
        texts = [hit.text for hit in hits]
        return self.vae.blend(texts, weights if sum(weights) > LEAST_WEIGHT else None, refinements=refinements)

    def get(self, id: Any) -> tuple[str, dict[str, Any]]:
        """Return the text and the metadata of an id.

        Raises:
            ValueError: There is no such id.

        Examples:
            >>> index.get(0)
            ('a red fox', {})
        """
        with self._lock:
            return self._items.get(*self._items.numbers([id], "found"))

    def __len__(self) -> int:
        with self._lock:
            return len(self._vectors)

    def __repr__(self) -> str:
        return f"LatentIndex({len(self)} texts, dim={self.dim}, factory={self.factory!r}, metric={self.metric!r})"

    @property
    def dim(self) -> int:
        """Latent dimensions D."""
        return self._vectors.width // width(self.metric, 1)

    @property
    def named(self) -> bool | None:
        """Whether the index was built with ids; else it numbers its texts. None before the first text."""
        with self._lock:
            return self._items.named

    @property
    def ids(self) -> list[Any]:
        """Every id, in the order in which the texts came."""
        with self._lock:
            numbers = self._items.ids()
            names = self._items.names(numbers)
            return [names[number] for number in numbers]

    @property
    def texts(self) -> list[str]:
        """Every text, in the order of `ids`."""
        with self._lock:
            return self._items.texts()

    @property
    def model_path(self) -> Path | None:
        """The folder of the model, None if the model was never saved; it may have moved since."""
        return self._model.path

    @property
    def vae(self) -> TextVAE:
        """The model of the index, loaded at first use.

        Raises:
            FileNotFoundError: Its folder is gone.
            ValueError: The folder now holds another model.
        """
        with self._lock:
            return self._model.get()


def _checked(k: int, where: str | None) -> tuple[int, Filter | None]:
    """Return k and the condition of a search, before any text is encoded."""
    k = operator.index(k)
    if k < 1:
        raise ValueError(f"k is the number of hits and at least 1, got {k}")
    return k, None if where is None else parse_filter(where)
