"""The faiss backend: input checks, stable ids, tombstones, and search restricted to given ids."""

# N vectors, W dimensions of a vector, Q queries, M chosen ids
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...modeling.forks import check_fork
from .automatic import automatic_factory
from .base import AUTO, Ids, Neighbours, Vectors, reason, register_backend
from .faiss_file import check_factory, check_file
from .faiss_refined import CANDIDATES, fill, refined
from .faiss_vectors import stored_blocks, take

TRAINING, PER_LIST = 65_536, 39  # training vectors: at least this many, and this many per inverted list
TOMBSTONES = 1 / 5  # share of removed vectors above which a graph is rebuilt
EXACT = 50_000  # number of given ids up to which all are scored exactly; also vectors per block
CRASHES = re.compile(r"NSG|HNSW0*[01](?!\d)|IVF0+(?!\d)")  # faiss accepts these, then aborts or loses vectors


@register_backend("faiss")
class FaissBackend:
    """A vector store with ids in a faiss index.

    Attributes:
        index: The faiss index, wrapped in an IndexIDMap2 unless it has inverted lists, which store ids themselves.
        tombstones: Ids of vectors that faiss could not remove. Replaced vectors get ids below -1.
    """

    file = "index.faiss"
    take = take

    def __init__(self, index: Any, factory: str, tombstones: Iterable[int] = (), *, mapped: bool = False):
        """Wrap a faiss index. Use `empty` or `read`."""
        self.index, self.factory, self.tombstones, self.mapped = index, factory, set(tombstones), mapped

    @classmethod
    def empty(cls, width: int, factory: str, inner_product: bool, count: int | None = None) -> FaissBackend:
        """Return a store without vectors.

        Args:
            width: Dimensions W of a vector.
            factory: A faiss factory string, or "auto" for the choice of `automatic_factory`.
            inner_product: Score by inner products, else by squared Euclidean distances.
            count: Expected number of vectors; None if unknown, but above 50,000.

        Raises:
            ValueError: faiss does not know the factory.
        """
        import faiss

        factory = automatic_factory(count, width) if factory == AUTO else factory
        measure = faiss.METRIC_INNER_PRODUCT if inner_product else faiss.METRIC_L2
        try:
            if CRASHES.search(factory):
                raise RuntimeError("it would crash")
            vectors = faiss.index_factory(width, factory, measure)
        except RuntimeError as error:
            raise ValueError(
                f"faiss does not know the index factory {factory!r} for {width} dimensions ({reason(error)}): "
                "use auto, Flat, HNSW32, IVF256,Flat or another faiss factory string"
            ) from error
        check_factory(memoryview(faiss.serialize_index(vectors).tobytes()), factory, inner_product)
        lists = faiss.try_extract_index_ivf(vectors)
        if lists:
            lists.nprobe = max(1, round(lists.nlist**0.5))  # the default of 1 misses most neighbours
        if isinstance(vectors, faiss.IndexRefine):
            vectors.k_factor = CANDIDATES  # the default of 1 ranks anew what was found, and finds no more
        if isinstance(_behind_transform(vectors), faiss.IndexIVF):
            return cls(vectors, factory)  # an IDMap2 would shift the ids of all vectors behind one that is removed
        return cls(faiss.IndexIDMap2(vectors), factory)

    @classmethod
    def read(cls, path: Path, factory: str, tombstones: Iterable[int] = (), *, mapped: bool = False) -> FaissBackend:
        """Read a saved store.

        Args:
            path: The file.
            factory: The faiss factory string that made it.
            tombstones: Ids of removed vectors that are still in the file.
            mapped: Memory-map the vectors, so that a search reads only those it needs.

        Raises:
            RuntimeError: The file is not a faiss index of a kind that the factories make, or its parts disagree.
        """
        import faiss

        removed = set(tombstones)
        content = check_file(path)  # before faiss reads it
        if content.ids is None or not removed <= set(content.ids[np.isin(content.ids, list(removed))].tolist()):
            raise RuntimeError("removed vectors are not in the file")
        # IO_FLAG_MMAP_IFC maps every kind of index, the older IO_FLAG_MMAP only inverted lists
        flag = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP) if mapped else 0
        return cls(faiss.read_index(str(path), flag), factory, removed, mapped=mapped)

    def write(self, path: Path) -> None:
        """Write the vectors, tombstones included, to a file.

        Raises:
            RuntimeError: The file cannot be written.
        """
        import faiss

        faiss.write_index(self.index, str(path))

    def __len__(self) -> int:
        return self.index.ntotal - len(self.tombstones)

    @property
    def width(self) -> int:
        """Dimensions W of a vector."""
        return self.index.d

    @property
    def inner_product(self) -> bool:
        """Whether vectors are scored by inner products."""
        import faiss

        return self.index.metric_type == faiss.METRIC_INNER_PRODUCT

    @property
    def ids(self) -> Ids:
        """Ids of the vectors, tombstones left out, ascending."""
        import faiss

        if isinstance(self.index, faiss.IndexIDMap2):
            labels = self._labels()
        else:
            lists: Any = faiss.extract_index_ivf(self.index).invlists
            sizes = [lists.list_size(place) for place in range(lists.nlist)]
            labels = np.concatenate(
                [np.empty(0, np.int64)]
                + [faiss.rev_swig_ptr(lists.get_ids(place), size) for place, size in enumerate(sizes) if size]
            )
        return np.sort(labels[~np.isin(labels, list(self.tombstones))])

    @property
    def training(self) -> int:
        """Number of vectors to train on before any is added; 0 without training."""
        import faiss

        if self.index.is_trained:
            return 0
        lists = faiss.try_extract_index_ivf(self.index)
        return max(TRAINING, PER_LIST * lists.nlist if lists else 0)

    def train(self, sample: Vectors) -> None:
        """Train on vectors (N, W).

        Raises:
            ValueError: There are too few.
        """
        try:
            if not len(sample):
                raise RuntimeError("the corpus is empty")
            self.index.train(sample)
        except RuntimeError as error:
            raise ValueError(
                f"the index factory {self.factory!r} cannot be trained on {len(sample)} texts ({reason(error)}): "
                "give more texts, choose fewer lists, or use Flat"
            ) from error

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors (N, W) with new ids.

        Raises:
            ValueError: faiss refuses them, or the store is mapped.
        """
        self._check_unmapped()
        check_fork()
        try:
            self.index.add_with_ids(vectors, np.array(ids, np.int64))
        except RuntimeError as error:
            raise ValueError(f"the factory {self.factory!r} refuses these vectors: {reason(error)}") from error

    def fill(self, blocks: Iterable[tuple[Sequence[int], Vectors]], file: Path) -> None:
        """Add blocks of N new ids and vectors (N, W) to an empty store.

        Args:
            blocks: The blocks.
            file: Where full vectors beside compressed ones ("RFlat") are written instead of kept in memory.
        """
        if refined(self.index) is None:
            for ids, vectors in blocks:
                self.add(ids, vectors)
            return
        self._full, self.mapped = fill(self.index, blocks, file), True

    def remove(self, ids: Sequence[int]) -> None:
        """Remove the vectors of existing ids; a graph is rebuilt once a fifth of its vectors are tombstones.

        Raises:
            ValueError: The store is mapped.
        """
        self._check_unmapped()
        check_fork()
        self._drop(np.array(ids, np.int64))

    def replace(self, ids: Sequence[int], vectors: Vectors, before: Callable[[], Vectors]) -> None:
        """Replace the vectors of existing ids with new ones (N, W).

        Args:
            ids: The ids, without duplicates.
            vectors: The new vectors.
            before: Returns the old vectors; called only if they must be restored after an error.

        Raises:
            ValueError: faiss refuses the vectors, or the store is mapped. Nothing is replaced.
        """
        import faiss

        self._check_unmapped()
        check_fork()
        numbers = np.array(ids, np.int64)
        if isinstance(self.index, faiss.IndexIDMap2):
            slots = np.flatnonzero(np.isin(self._labels(), numbers))
            self.add(ids, vectors)
            labels = self._labels()  # again, since adding may have reallocated the array
            labels[slots] = -2 - slots  # neither the id of a text nor faiss's -1
            self._drop(labels[slots].copy())
            return
        self.index.remove_ids(numbers)
        try:
            self.add(ids, vectors)
        except ValueError:
            self.add(ids, before())
            raise

    def compact(self) -> int:
        """Rebuild the store without its tombstones and return their number.

        A factory that cannot return its vectors keeps the tombstones; the result is then 0.

        Raises:
            ValueError: The store is mapped.
        """
        import faiss

        self._check_unmapped()
        check_fork()
        if not self.tombstones or not isinstance(self.index, faiss.IndexIDMap2):
            return 0
        labels = self._labels()
        live = np.sort(labels[~np.isin(labels, list(self.tombstones))])
        try:
            fresh = faiss.clone_index(self.index)  # with the training of the old one
            fresh.reset()
            for part in np.split(live, range(EXACT, len(live), EXACT)):
                if len(part):
                    fresh.add_with_ids(self.index.reconstruct_batch(part), part)
        except RuntimeError:
            return 0
        dropped = len(self.tombstones)
        self.index, self.tombstones = fresh, set()
        return dropped

    def nearest(self, queries: Vectors, k: int, within: Ids | None = None) -> Neighbours:
        """Return the k nearest vectors of each query (Q, W), or all vectors if there are fewer.

        Args:
            queries: The queries.
            k: Neighbours per query.
            within: Existing ids (M,) to search among; by default all.
        """
        k = min(k, len(self) if within is None else len(within))
        if not k or not len(queries):
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        if within is not None and len(within) <= EXACT:
            scored = self._exactly(queries, k, within)
            if scored is not None:
                return scored
        scores, ids = self._approximately(queries, k, within)
        short = np.flatnonzero(ids[:, -1] < 0)
        scored = self._exactly(queries[short], k, within) if len(short) else None  # graphs may miss vectors
        if scored is not None:
            scores[short], ids[short] = scored
        return scores, ids

    def stored(self, size: int) -> Iterator[tuple[Ids, Vectors]] | None:
        """Yield ids and vectors (N, W), at most `size` at a time; None if the factory changes the vectors it stores."""
        check_fork()
        return stored_blocks(self.index, self.tombstones, size)

    def _approximately(self, queries: Vectors, k: int, within: Ids | None) -> Neighbours:
        """Search with faiss; queries with fewer than k results are repeated with a wider search."""
        import faiss

        allowed = None if within is None else np.bincount(within).astype(bool)
        lists = faiss.try_extract_index_ivf(self.index)
        probes = lists.nprobe if lists else 0
        scores, ids = np.zeros((len(queries), k), np.float32), np.full((len(queries), k), -1, np.int64)
        short, fetch, total, selects = np.arange(len(queries)), k, self.index.ntotal, within is not None
        try:
            while len(short):
                try:
                    chosen = self._parameters(allowed, fetch) if selects and allowed is not None else None
                    their_scores, found = self.index.search(queries[short], fetch, params=chosen)
                except RuntimeError:
                    if not selects:
                        raise
                    selects = False  # the factory has no id selector: search all vectors and filter below
                    continue
                scores[short], ids[short] = self._live(their_scores, found, allowed, k)
                short = short[ids[short, -1] < 0]
                if (fetch == total or selects) and (not lists or lists.nprobe == lists.nlist):
                    break
                fetch = min(2 * fetch, total)
                if lists:
                    lists.nprobe = min(2 * lists.nprobe, lists.nlist)
        finally:
            if lists:
                lists.nprobe = probes
        return scores, ids

    def _parameters(self, allowed: NDArray[np.bool_], fetch: int) -> Any:
        import faiss

        library: Any = faiss  # its type stubs lack the search parameters
        selector = library.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        inner = _behind_transform(self.index)
        if isinstance(inner, faiss.IndexIVF):
            return library.SearchParametersIVF(sel=selector, nprobe=inner.nprobe)
        leaf = _behind_transform(faiss.downcast_index(self.index.index))
        if isinstance(leaf, faiss.IndexHNSW):
            return library.SearchParametersHNSW(sel=selector, efSearch=max(leaf.hnsw.efSearch, fetch))
        return library.SearchParameters(sel=selector)

    def _live(self, scores: Vectors, ids: Ids, allowed: NDArray[np.bool_] | None, k: int) -> Neighbours:
        """Keep the first k live and allowed results of each row, padded with -1."""
        there = ids >= 0  # faiss pads with -1, and replaced vectors have ids below it
        if allowed is not None:
            there &= ids < len(allowed)
            there[there] = allowed[ids[there]]
        if self.tombstones:
            there &= ~np.isin(ids, list(self.tombstones))
        if there.all():
            return scores[:, :k], ids[:, :k]
        first = np.argsort(~there, axis=1, kind="stable")[:, :k]
        ids = np.where(there, ids, -1)
        return np.take_along_axis(scores, first, 1), np.take_along_axis(ids, first, 1)

    def _exactly(self, queries: Vectors, k: int, within: Ids | None) -> Neighbours | None:
        """Score vectors exactly; return None for factories that cannot return their vectors."""
        import faiss

        if not isinstance(self.index, faiss.IndexIDMap2):
            return None
        labels = self._labels()
        wanted = within if within is not None else labels[~np.isin(labels, list(self.tombstones))]
        slots = np.flatnonzero(np.isin(labels, wanted))
        leaf = faiss.downcast_index(self.index.index)
        if isinstance(leaf, faiss.IndexPreTransform):  # vectors are stored and scored after the transform
            chain: Any = leaf.chain  # a C++ vector; the type stubs declare a list
            for place in range(chain.size()):
                queries = chain.at(place).apply(queries)
            leaf = faiss.downcast_index(leaf.index)
        measure = self.index.metric_type
        larger = measure == faiss.METRIC_INNER_PRODUCT
        scores, ids = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        try:
            for part in np.split(slots, range(EXACT, len(slots), EXACT)):
                vectors = leaf.reconstruct_batch(part)
                theirs, found = faiss.knn(queries, vectors, min(k, len(part)), metric=measure)
                scores, ids = np.hstack([scores, theirs]), np.hstack([ids, labels[part[found]]])
                order = np.argsort(-scores if larger else scores, axis=1, kind="stable")[:, :k]
                scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
        except RuntimeError:
            return None
        return scores, ids

    def _check_unmapped(self) -> None:
        if self.mapped:
            raise ValueError("vectors that are mapped (mmap=True) cannot be changed: load the index without mmap")

    def _drop(self, ids: Ids) -> None:
        try:
            self.index.remove_ids(ids)
        except RuntimeError:  # graphs and refined factories cannot remove vectors
            self.tombstones.update(ids.tolist())
        if len(self.tombstones) > TOMBSTONES * self.index.ntotal:
            self.compact()

    def _labels(self) -> Ids:
        """Return the ids of an IDMap2 in vector order, as a writable view."""
        import faiss

        return faiss.rev_swig_ptr(self.index.id_map.data(), self.index.id_map.size())


def _behind_transform(index: Any) -> Any:
    import faiss

    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
