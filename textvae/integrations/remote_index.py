"""An index in a vector database: pushed from a `LatentIndex`, searched and changed there with the same hits."""

# N items, D latent dimensions, W dimensions of a vector
from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._progress import Progress
from ..index.conditions import parse_condition
from ..index.distances import Metric, check_metric, closeness, embedded, width
from ..index.model_source import ModelSource
from ..index.rows import Item, checked_name, rows_of
from ..index.searching import Hit, SearchableIndex, blended, query_vectors
from ..storage.errors import listed
from .engines import Engine, Record, open_engine, unreachable

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

T = TypeVar("T")
FORMAT = 1  # of what `about` holds
BATCH = 512  # items of one request
MOST_IDS = 5  # ids that an error message lists
FIELDS = {"format", "fingerprint", "metric", "dim", "named"}


class Pushed(NamedTuple):
    """What a push did: items written, items that were there already, and items removed."""

    written: int
    unchanged: int
    removed: int


class RemoteIndex:
    """An index in Qdrant, Milvus, PostgreSQL or LanceDB; open one with `open` or `create`, or fill one with `push`.

    Hits, scores, conditions and metrics are those of `LatentIndex`. Engines search approximately once they have an
    index of their own. Changes are not transactions: an error may leave a part of them, and repeating them is safe.

    Attributes:
        metric: The metric of the scores.
        dim: Latent dimensions D.
        named: Whether ids are strings, else numbers.
        fingerprint: Fingerprint of the model.

    Examples:
        >>> push(index, "qdrant::memory:#foxes")  # doctest: +SKIP
        Pushed(written=2, unchanged=0, removed=0)
    """

    def __init__(self, engine: Engine, vae: TextVAE | None = None):
        """Wrap an engine whose collection exists. Use `open` or `create`."""
        about = engine.about
        if about is None:
            raise FileNotFoundError(f"{engine.name} has no such collection: textvae push makes one")
        if not about.keys() >= FIELDS or about["format"] != FORMAT:
            raise ValueError(f"the collection in {engine.name} was not made by this version of textvae: choose another")
        check_metric(about["metric"])
        self.metric: Metric = about["metric"]
        self.dim: int = about["dim"]
        self.named: bool = about["named"]
        self.fingerprint: str = about["fingerprint"]
        self._engine = engine
        self._model = ModelSource(self.fingerprint, folders=[Path(about["model"])] if about.get("model") else [])
        if vae is not None:
            self._model.give(vae)

    @classmethod
    def open(cls, address: str, vae: TextVAE | None = None) -> RemoteIndex:
        """Open a collection.

        Args:
            address: ENGINE:PLACE#COLLECTION, as `textvae.integrations.engines.open_engine` describes.
            vae: The model; by default it is loaded from the folder recorded in the collection when a text is encoded.

        Raises:
            FileNotFoundError: There is no such collection.
            ValueError: The address is none, the collection was not made by textvae, or of another model.
            ConnectionError: The engine cannot be reached.
            ImportError: Its client is not installed.
        """
        return cls(open_engine(address), vae)

    @classmethod
    def create(cls, address: str, vae: TextVAE, *, metric: Metric = "cosine", named: bool = True) -> RemoteIndex:
        """Create an empty collection.

        Args:
            address: As in `open`.
            vae: The model.
            metric: As in `LatentIndex.build`.
            named: Whether ids are strings, else numbers.

        Raises:
            FileExistsError: There is such a collection.
        """
        check_metric(metric)
        engine = open_engine(address)
        if engine.about is not None:
            engine.close()
            raise FileExistsError(f"there is a collection at {address}: open it, or choose another name")
        model = None if vae.path is None else str(Path(vae.path).resolve())
        _create(engine, vae.fingerprint, model, metric, vae.dim, named)
        return cls(engine, vae)

    def search(self, queries: Any, k: int = 10, *, where: str | None = None) -> list[Any]:
        """Return the k nearest texts of each query, as `LatentIndex.search` does.

        Args:
            queries: One text, several texts, one vector (D,) or vectors (N, D).
            k: Hits per query, or all texts if there are fewer.
            where: A condition on metadata.

        Returns:
            A list of hits for one text or vector, a list of such lists for several.

        Raises:
            ValueError: As `LatentIndex.search`; or the engine cannot say the condition, or returns at most fewer hits.
            ConnectionError: The engine cannot be reached.
        """
        k = operator.index(k)
        if k < 1:
            raise ValueError(f"k, the number of hits, must be at least 1, got {k}")
        condition = None if where is None else parse_condition(where)
        vectors, single = query_vectors(queries, self.metric, self.dim, lambda: self.vae)
        with self._speaking():
            k = min(k, len(self._engine))
            most = self._engine.most_hits
            if most is not None and k > most:
                raise ValueError(f"{self._engine.name} returns at most {most:,} hits of a query, got k = {k:,}")
            found = self._engine.nearest(vectors, k, condition) if k and len(vectors) else [[] for _ in vectors]
        hits = [
            [
                Hit(self._id(each.key), float(closeness(each.score, self.metric)), each.text, each.metadata)
                for each in row
            ]
            for row in found
        ]
        return hits[0] if single else hits

    def blend(self, hits: Sequence[Hit], *, refinements: int = 0) -> str:
        """Decode one text from the weighted mean latent of hits, as `LatentIndex.blend` does."""
        return blended(self.vae, hits, self.metric, refinements)

    def get(self, id: Any) -> tuple[str, dict[str, Any]]:
        """Return the text and the metadata of an id.

        Raises:
            ValueError: There is no such id.
        """
        key = self._key(id)
        with self._speaking():
            found = self._engine.fetch([key])
        if key not in found:
            raise ValueError(f"the index has no id {id!r}")
        return found[key]

    def add(
        self,
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        ids: Iterable[Any],
        batch_size: int = 64,
    ) -> list[Any]:
        """Add texts under new ids, which are always given, since several writers would number them alike.

        Raises:
            ValueError: An id exists already. Nothing is added.
        """
        return self._write(texts, metadata, ids, batch_size, new=True)

    def upsert(
        self,
        ids: Iterable[Any],
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        batch_size: int = 64,
    ) -> None:
        """Replace the texts of known ids, with metadata and vectors, and add those of new ids."""
        self._write(texts, metadata, ids, batch_size, new=False)

    def remove(self, ids: Iterable[Any]) -> int:
        """Remove texts by id and return how many were removed.

        Raises:
            ValueError: An id is not in the index. Nothing is removed.
        """
        if isinstance(ids, str):
            raise TypeError(f"ids come as a list, got the single {ids!r}")
        keys = list(dict.fromkeys(map(self._key, ids)))
        with self._speaking():
            known = self._engine.digests(keys)
            unknown = [repr(self._id(key)) for key in keys if key not in known]
            if unknown:
                raise ValueError(f"the index has no id {listed(unknown, MOST_IDS)}: nothing was removed")
            for part in _batches(keys, BATCH):
                self._engine.remove(part)
        return len(keys)

    @property
    def ids(self) -> list[Any]:
        """All ids, in no particular order."""
        with self._speaking():
            return [self._id(key) for key in self._engine.keys()]

    @property
    def vae(self) -> TextVAE:
        """The model, loaded at first use; FileNotFoundError if its folder is gone, as on another machine."""
        return self._model.get()

    def __len__(self) -> int:
        with self._speaking():
            return len(self._engine)

    def __repr__(self) -> str:
        return f"RemoteIndex({self._engine.name}, {len(self)} texts, dim={self.dim}, metric={self.metric!r})"

    def close(self) -> None:
        """Close the client."""
        self._engine.close()

    def __enter__(self) -> RemoteIndex:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _write(
        self,
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None,
        ids: Iterable[Any],
        batch_size: int,
        *,
        new: bool,
    ) -> list[Any]:
        if isinstance(ids, str):
            raise TypeError(f"ids come as a list, got the single {ids!r}")
        given, rows = list(ids), list(rows_of(texts, metadata))
        keys = [self._key(id) for id in given]
        if len(keys) != len(rows):
            raise ValueError(f"there are {len(keys)} ids and {len(rows)} texts: give one text for each id")
        if len(set(keys)) < len(keys):
            raise ValueError("an id is given twice: nothing was changed")
        with self._speaking():
            known = self._engine.digests(keys) if new else {}
            if known:
                there = listed([repr(self._id(key)) for key in known], MOST_IDS)
                raise ValueError(f"the index already has the id {there}: nothing was added; upsert replaces texts")
            vectors = embedded(self.vae, [row.text for row in rows], self.metric, batch_size=batch_size)
            records = (
                _record(key, row.text, json.loads(row.metadata), vector)
                for key, row, vector in zip(keys, rows, vectors, strict=True)
            )
            for part in _batches(records, BATCH):
                self._engine.upsert(part)
        return given

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        with speaking(self._engine):
            yield

    def _key(self, id: Any) -> str:
        if self.named:
            return checked_name(id)
        if isinstance(id, bool) or not hasattr(id, "__index__"):
            raise TypeError(f"the ids of this index are whole numbers, got {id!r}")
        return str(operator.index(id))

    def _id(self, key: str) -> Any:
        return key if self.named else int(key)


def push(index: SearchableIndex, to: str | Engine, *, prune: bool = False, batch_size: int = BATCH) -> Pushed:
    """Copy an index to a vector database; what is there already is not sent again.

    Every item is compared with the engine's by a hash, so that a push that was interrupted goes on, one that is
    repeated writes nothing, and one after changes writes the changes.

    Args:
        index: The index, such as a `LatentIndex`.
        to: Address of the collection, ENGINE:PLACE#COLLECTION, or an engine that is open; it is made if needed.
        prune: Remove items of the collection that the index does not have.
        batch_size: Items of one request.

    Raises:
        ValueError: The collection has another model, metric or kind of ids, or was not made by textvae.
        ConnectionError: The engine cannot be reached.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    engine = open_engine(to) if isinstance(to, str) else to
    try:
        with speaking(engine):
            return _push(index, engine, prune, batch_size)
    finally:
        if isinstance(to, str):
            engine.close()


def _push(index: SearchableIndex, engine: Engine, prune: bool, batch_size: int) -> Pushed:
    named = bool(index.named)
    if engine.about is None:
        model = None if index.model_path is None else str(index.model_path)
        _create(engine, index.fingerprint, model, index.metric, index.dim, named)
    else:
        there = RemoteIndex(engine)
        ours = {"model": index.fingerprint, "metric": index.metric, "dim": index.dim, "named ids": named}
        theirs = {"model": there.fingerprint, "metric": there.metric, "dim": there.dim, "named ids": there.named}
        for what, value in ours.items():
            if value != theirs[what]:
                raise ValueError(f"the collection has the {what} {theirs[what]!r}, the index {value!r}: choose another")
    written = unchanged = 0
    with Progress("pushed", len(index)) as progress:
        for block in index.blocks(batch_size):
            records = [_record(str(id), *parts) for id, *parts in zip(*block, strict=True)]
            held = engine.digests([record.key for record in records])
            changed = [record for record in records if held.get(record.key) != record.digest]
            if changed:
                engine.upsert(changed)
            written, unchanged = written + len(changed), unchanged + len(records) - len(changed)
            progress.advance(len(records))
    removed = _prune(index, engine, batch_size) if prune else 0
    return Pushed(written, unchanged, removed)


def _prune(index: SearchableIndex, engine: Engine, batch_size: int) -> int:
    ours = set(map(str, index.ids))
    foreign = [key for key in engine.keys() if key not in ours]
    for part in _batches(foreign, batch_size):
        engine.remove(part)
    return len(foreign)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    return iter(lambda: list(islice(remaining, size)), [])


@contextmanager
def speaking(engine: Engine) -> Iterator[None]:
    """Turn what the client of an engine raises into ConnectionError with one line."""
    try:
        yield
    except (FileNotFoundError, ConnectionError):  # of the model, or said already
        raise
    except engine.errors as error:
        raise unreachable(engine.name, error) from error


def _create(engine: Engine, fingerprint: str, model: str | None, metric: Metric, dim: int, named: bool) -> None:
    about = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "model": model,
        "metric": metric,
        "dim": dim,
        "named": named,
    }
    with speaking(engine):
        engine.create(about, width(metric, dim), metric == "cosine")


def _record(key: str, text: str, metadata: Mapping[str, Any], vector: NDArray[np.float32]) -> Record:
    written = json.dumps([text, metadata], sort_keys=True).encode() + np.ascontiguousarray(vector, "<f4").tobytes()
    return Record(key, text, metadata, hashlib.sha256(written).hexdigest()[:32], vector)
