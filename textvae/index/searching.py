"""Search in an index: nearest texts as hits or arrays, and one text decoded from the mean latent of hits."""

# N vectors, D latent dimensions
from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..modeling.forks import check_fork
from ..storage.errors import CorruptFileError
from ..storage.versions import Versions
from ..text.cleaning import gate_texts, refuse_table
from .backends import Backend
from .distances import Metric, closeness, comparable, embedded, weight, width
from .filters import Filter, parse_filter
from .item_store import ItemStore
from .model_source import ModelSource

if TYPE_CHECKING:
    from ..latent.exported import ExportedEncoder
    from ..latent.vae import TextVAE

logger = logging.getLogger("textvae")

MOST_HITS = 10_000_000  # of one search, all queries together
LEAST_WEIGHT = 1e-3  # of all hits of a blend together, below which they weigh the same


class Hit(NamedTuple):
    """A search result; a larger score is closer. The id is a string if the index was built with ids, else a number."""

    id: Any
    score: float
    text: str
    metadata: dict[str, Any]


class Block(NamedTuple):
    """Some texts of an index: their ids, metadata and vectors, in one order.

    Attributes:
        ids: N ids.
        texts: N texts.
        metadata: N dictionaries.
        vectors: What the metric compares, shape (N, W): latents of length 1 under "cosine", latents under "l2", means
            and standard deviations under "wasserstein".
    """

    ids: list[Any]
    texts: list[str]
    metadata: list[dict[str, Any]]
    vectors: NDArray[np.float32]


class SearchableIndex:
    """Vectors, their texts, and the model that embeds queries: the base class of `LatentIndex`."""

    def __init__(self, vectors: Backend, items: ItemStore, metric: Metric, model: ModelSource):
        """Wrap vectors and their items. Use `LatentIndex.build` or `LatentIndex.load`."""
        self.backend: str = vectors.name
        self.factory: str = vectors.factory
        self.metric: Metric = metric
        self.fingerprint: str = model.fingerprint
        self._vectors, self._items, self._model = vectors, items, model
        self._lock = threading.RLock()
        self._versions = Versions()

    @overload
    def search(self, queries: str, k: int = 10, *, where: str | None = None) -> list[Hit]: ...
    @overload
    def search(self, queries: list[str], k: int = 10, *, where: str | None = None) -> list[list[Hit]]: ...
    @overload
    def search(self, queries: ArrayLike, k: int = 10, *, where: str | None = None) -> list[Any]: ...
    def search(self, queries: Any, k: int = 10, *, where: str | None = None) -> list[Any]:
        """Return the k nearest texts of each query, nearest first.

        Args:
            queries: One text, a list, array or column of texts, one vector (D,) or vectors (N, D); never modified.
                "wasserstein" also takes means followed by standard deviations, (N, 2D); vectors (N, D) get deviations
                of 0.
            k: Hits per query, or all texts if there are fewer; at most 10 million for all queries together. If an
                approximate factory finds fewer than k, the search is repeated over more of its lists or graph.
            where: A condition on metadata, such as "topic = 'food' and stars >= 4": only matching texts are returned.
                The syntax is described in `textvae.index.filters`. A key that no text has is logged as a warning.

        Returns:
            A list of hits for one text or vector, a list of such lists for several; [] for [].

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
        """Search and return arrays of scores and ids, without fetching the texts.

        Args:
            queries: As in `search`; Q is their number, 1 for a single text or vector.
            k: Hits per query.
            where: As in `search`.

        Returns:
            Scores (Q, k), larger is closer, and ids (Q, k), nearest first. With fewer than k texts there are fewer
            columns; rows with fewer hits are padded with score -inf and id -1. If the index was built with ids, the
            ids are strings (dtype object), padded with None.

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
        return query_vectors(queries, self.metric, self.dim, self._query_encoder)

    def _query_encoder(self) -> TextVAE | ExportedEncoder:
        if self.metric == "wasserstein":  # of whole posteriors
            return self.vae
        with self._lock:
            return self._model.encoder()

    def _nearest(
        self, vectors: NDArray[np.float32], k: int, condition: Filter | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        check_fork()
        _check_size(len(vectors), min(k, len(self)))
        within = None if condition is None else self._matching(condition)
        scores, ids = self._vectors.nearest(vectors, k, within)
        if not np.isfinite(scores[ids >= 0]).all():  # no vector that was added can have such a distance
            raise CorruptFileError("the index holds vectors without a finite distance: restore it from a copy")
        return np.where(ids < 0, -np.inf, closeness(scores, self.metric)), ids

    def _matching(self, condition: Filter) -> NDArray[np.int64]:
        unknown = self._items.unknown_keys(condition.keys)
        if unknown and len(self):
            there = ", ".join(self._items.keys()) or "none"
            logger.warning("no text has the metadata key %s: the keys are %s", " or ".join(unknown), there)
        return self._items.matching(condition)

    def blend(self, hits: Sequence[Hit], *, refinements: int = 0) -> str:
        """Decode one text from the weighted mean latent of hits, a summary of what they have in common.

        It is `TextVAE.blend` of them. The weight of a hit is its cosine, or 1 / (1 + distance).

        Args:
            hits: Hits that `search` returned for a query.
            refinements: Refinement rounds of the decoding, as in `TextVAE.decode`: closer to the mean, but slower.

        Raises:
            ValueError: There are no hits.
            FileNotFoundError: The model folder is gone.
        """
        return blended(self.vae, hits, self.metric, refinements)

    def blocks(self, size: int = 1024) -> Iterator[Block]:
        """Yield everything that the index holds, in blocks of at most `size` texts, for another engine.

        The index must not be changed meanwhile. Vectors that the backend compresses are encoded again, exactly.

        Examples:
            >>> [block.texts for block in index.blocks()]
            [['a red fox', 'a blue whale']]
        """
        stored = self._vectors.stored(size)
        parts = stored if stored is not None else ((part, None) for part in _parts(self._items.ids(), size))
        for numbers, vectors in parts:
            with self._lock:
                wanted = [int(number) for number in numbers]
                items, names = self._items.get_many(wanted), self._items.names(wanted)
            texts = [items[number][0] for number in wanted]
            if vectors is None:
                vectors = embedded(self.vae, texts, self.metric)
            yield Block([names[number] for number in wanted], texts, [items[number][1] for number in wanted], vectors)

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

    def metadata(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the metadata of ids, in their order.

        Raises:
            ValueError: An id is not in the index.
        """
        with self._lock:
            numbers = self._items.numbers(ids, "found")
            found = self._items.get_many(numbers)
        missing = [id for id, number in zip(ids, numbers, strict=True) if number not in found]
        if missing:
            raise ValueError(f"the index has no id {missing[0]!r}")
        return [found[number][1] for number in numbers]

    def vectors(self, ids: Sequence[Any]) -> NDArray[np.float32]:
        """Return the stored vectors of existing ids, in their order: what the metric compares, of width W.

        A compressing factory gives approximate vectors.

        Returns:
            Shape (N, W); W is D, or 2D under "wasserstein".

        Raises:
            ValueError: The factory cannot return its vectors, or the backend is one of others without `take`.

        Examples:
            >>> index.vectors(index.ids).shape
            (2, 32)
        """
        if not hasattr(self._vectors, "take"):
            raise ValueError(f"the backend {self.backend!r} does not return its vectors: it has no method take")
        with self._lock:
            return self._vectors.take(self._items.numbers(ids, "found"))

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
        """True if the index was built with ids, False if it numbers its texts, None while it is empty."""
        with self._lock:
            return self._items.named

    @property
    def ids(self) -> list[Any]:
        """All ids, in the order in which the texts were added."""
        with self._lock:
            numbers = self._items.ids()
            names = self._items.names(numbers)
            return [names[number] for number in numbers]

    @property
    def texts(self) -> list[str]:
        """All texts, in the order of `ids`."""
        with self._lock:
            return self._items.texts()

    @property
    def metadata_keys(self) -> list[str]:
        """Every key of the metadata, sorted."""
        with self._lock:
            return self._items.keys()

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


def query_vectors(
    queries: Any, metric: Metric, dim: int, model: Callable[[], TextVAE | ExportedEncoder]
) -> tuple[NDArray[np.float32], bool]:
    """Return the vectors (N, W) of queries, and whether a single text or vector was given.

    Args:
        queries: As in `SearchableIndex.search`.
        metric: The metric of the index.
        dim: Its latent dimensions D.
        model: Returns the model; called only for texts.
    """
    if isinstance(queries, list | tuple) and not queries:
        return np.empty((0, width(metric, dim)), np.float32), False
    refuse_table(queries, "queries are")
    single = isinstance(queries, str)
    if single or _are_texts(queries):
        return embedded(model(), gate_texts([queries] if single else queries), metric), single
    given = np.asarray(queries)
    single = given.ndim == 1
    return comparable(given[None] if single else given, metric, dim), single


def blended(vae: TextVAE, hits: Sequence[Hit], metric: Metric, refinements: int) -> str:
    """Decode one text from the weighted mean latent of hits; see `SearchableIndex.blend`."""
    if not hits:
        raise ValueError("there are no hits to blend: search with another query or condition")
    weights = [weight(hit.score, metric) for hit in hits]
    texts = [hit.text for hit in hits]
    return vae.blend(texts, weights if sum(weights) > LEAST_WEIGHT else None, refinements=refinements)


def _check_size(queries: int, k: int) -> None:
    if queries * k > MOST_HITS:
        raise ValueError(
            f"{queries:,} queries with {k:,} hits each are more than {MOST_HITS:,} hits: search for fewer at a time"
        )


def _are_texts(queries: Any) -> bool:
    """Say whether several queries are texts: an array of texts or objects, or a list that holds a text."""
    if isinstance(queries, list | tuple):
        return any(isinstance(query, str) for query in queries)
    if queries is None:
        return False
    kind = getattr(queries, "dtype", None)
    if kind is None and hasattr(queries, "to_pylist"):  # an array of pyarrow
        return str(queries.type) in ("string", "large_string", "string_view", "null")
    if isinstance(queries, np.ndarray):
        return queries.ndim > 0 and queries.dtype.kind in "OSUT"
    return (kind is None and not hasattr(queries, "__array__")) or str(kind) in ("object", "str", "string", "category")


def _parts(ids: list[int], size: int) -> Iterator[list[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _checked(k: int, where: str | None) -> tuple[int, Filter | None]:
    """Check k and parse the condition of a search, before any text is encoded."""
    k = operator.index(k)
    if k < 1:
        raise ValueError(f"k, the number of hits, must be at least 1, got {k}")
    return k, None if where is None else parse_filter(where)
