"""Similarity search in latent space: FAISS over posterior means, beside the texts and their metadata."""

# N vectors, D latent dimensions
from __future__ import annotations

import operator
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .artifacts import MANIFEST, CorruptFileError, atomic_folder, open_folder, read_json, write_json
from .items import Item, ItemStore, Row, StoreError, rows_of

if TYPE_CHECKING:
    from .text_vae import TextVAE

Metric = Literal["cosine", "l2"]
FORMAT_VERSION = 1
VECTORS, ITEMS, ABOUT = "index.faiss", "items.sqlite", "index.json"
BLOCK = 8192  # texts that are encoded and stored together
TRAINING_BLOCKS = 8  # blocks that train the quantizers of IVF, PQ and the like
TOMBSTONES = 1 / 5  # share of removed vectors above which a graph is built again
CRASHES = re.compile(r"NSG|HNSW0*[01](?!\d)|IVF0+(?!\d)")  # faiss takes these, then aborts or loses vectors


@dataclass(frozen=True)
class Hit:
    """One neighbour of a query; a larger score is always closer."""

    id: int
    score: float
    text: str
    metadata: dict[str, Any]


class LatentIndex:
    """Texts that can be searched by meaning; make one with `build` or `load`.

    Scores are cosines under the metric "cosine", negated Euclidean distances under "l2": larger is closer in both.
    Every method may be called from several threads; calls wait for each other.

    Example:
        >>> index = LatentIndex.build(vae, ["a red fox", "a blue whale"])
        >>> index.search("a red fox", k=1)[0].text
        'a red fox'
    """

    def __init__(self, vectors: Any, items: ItemStore, about: Mapping[str, Any], vae: TextVAE | None = None):
        """Wrap a faiss index and its items; `build` and `load` are the ways in."""
        self.factory: str = about["factory"]
        self.metric: Metric = about["metric"]
        self.fingerprint: str = about["fingerprint"]
        self._vectors, self._items, self._vae = vectors, items, vae
        self._tombstones = set(about.get("tombstones", ()))
        self._model_folders: list[Path] = about.get("model_folders", [])
        self._lock = threading.RLock()

    @classmethod
    def build(
        cls,
        vae: TextVAE,
        corpus: Iterable[Item],
        *,
        factory: str = "Flat",
        metric: Metric = "cosine",
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        batch_size: int = 64,
    ) -> LatentIndex:
        """Encode a corpus and index it; texts are streamed, ids count from 0 in corpus order.

        Args:
            vae: The model that embeds the corpus and later the queries.
            corpus: Texts, or mappings with a "text" whose other keys become metadata. Lone surrogates, which no
                encoding can store, become U+FFFD; every other character comes back as it was. May be empty.
            factory: A faiss factory string. "Flat" is exact; "HNSW32" and "IVF256,Flat" are faster on large corpora.
                Factories that learn (IVF, PQ, PCA) train on the first 65,536 texts: shuffle a sorted corpus.
            metric: "cosine" or "l2". Under "cosine" a zero vector scores 0 against everything.
            metadata: One dictionary of JSON values (or None) per text, beside a corpus of strings.
            batch_size: Texts that the model encodes at once.

        Raises:
            ValueError: Unknown metric or factory, too few texts to train it, or metadata that is not JSON.
            TypeError: An item is neither a string nor a mapping.

        Example:
            >>> len(LatentIndex.build(vae, [{"text": "a red fox", "page": 3}], factory="HNSW32", metric="l2"))
            1
        """
        if metric not in get_args(Metric):
            raise ValueError(f"unknown metric {metric!r}: use 'cosine' or 'l2'")
        about = {"factory": factory, "metric": metric, "fingerprint": vae.fingerprint}
        index = cls(_new_vectors(vae.dim, factory, metric), ItemStore(), about, vae)
        rows = rows_of(corpus, metadata)
        blocks = ((block, index._encode(block, batch_size)) for block in iter(lambda: list(islice(rows, BLOCK)), []))
        if not index._vectors.is_trained:
            sample = list(islice(blocks, TRAINING_BLOCKS))
            index._train([vectors for _, vectors in sample])
            blocks = chain(sample, blocks)  # type: ignore[assignment]
        for block, vectors in blocks:
            index._append(block, vectors)
        return index

    @overload
    def search(self, queries: str, k: int = 10) -> list[Hit]: ...
    @overload
    def search(self, queries: list[str], k: int = 10) -> list[list[Hit]]: ...
    @overload
    def search(self, queries: ArrayLike, k: int = 10) -> list[Any]: ...
    def search(self, queries: Any, k: int = 10) -> list[Any]:
        """Return the k nearest texts of each query, nearest first.

        Args:
            queries: One text, a list of texts, one vector (D,) or vectors (N, D); never modified.
            k: Hits per query; an index of fewer texts returns all of them. Approximate factories search wider when
                they find fewer than k.

        Returns:
            A list of hits for one text or vector; a list of such lists for several, [] for [].

        Raises:
            ValueError: k is below 1, or vectors are of another dimension or not finite.
            FileNotFoundError: The query is a text and the model folder is gone.

        Example:
            >>> [[hit.id for hit in hits] for hits in index.search(index.vae.encode(["a blue whale"]), k=2)]
            [[1, 0]]
        """
        k = operator.index(k)
        if k < 1:
            raise ValueError(f"k is the number of hits and at least 1, got {k}")
        if isinstance(queries, list | tuple) and not queries:
            return []
        single = isinstance(queries, str)
        if single or (isinstance(queries, list | tuple) and all(isinstance(query, str) for query in queries)):
            queries = self.vae.encode([queries] if single else list(queries))
        vectors = np.asarray(queries)
        single = single or vectors.ndim == 1
        vectors = self._checked(vectors[None] if vectors.ndim == 1 else vectors)
        with self._lock:
            nearest = self._nearest(vectors, min(k, len(self)))
            items = self._items.get_many({id for row in nearest for id, _ in row})
        hits = [[Hit(id, self._closeness(score), *items[id]) for id, score in row] for row in nearest]
        return hits[0] if single else hits

    def add(
        self, texts: Iterable[Item], metadata: Sequence[Mapping[str, Any] | None] | None = None, *, batch_size: int = 64
    ) -> list[int]:
        """Add texts, given as in `build`, and return their new ids; an id is never used twice.

        Raises:
            ValueError: Metadata that is not JSON, or vectors that faiss refuses. Nothing is added.
            TypeError: An item is neither a string nor a mapping. Nothing is added.
            FileNotFoundError: The model folder is gone.

        Example:
            >>> index.add(["a green frog"], metadata=[{"page": 7}])
            [2]
        """
        rows = list(rows_of(texts, metadata))
        return self._append(rows, self._encode(rows, batch_size)) if rows else []

    def remove(self, ids: Iterable[int]) -> int:
        """Remove texts by id and return how many there were.

        A graph (HNSW) only forgets the vectors: it is built again once a fifth of them are removed.

        Raises:
            ValueError: An id is not in the index. Nothing is removed.

        Example:
            >>> index.remove([2])
            1
        """
        wanted = [operator.index(id) for id in ids]
        with self._lock:
            with self._items.removing(wanted) as removed:
                try:
                    self._vectors.remove_ids(np.array(removed, np.int64))
                except RuntimeError:  # graphs and refined factories cannot
                    self._tombstones.update(removed)
            if len(self._tombstones) > TOMBSTONES * self._vectors.ntotal:
                self._bury()
        return len(removed)

    def get(self, id: int) -> tuple[str, dict[str, Any]]:
        """Return the text and the metadata of an id.

        Raises:
            ValueError: There is no such id.

        Example:
            >>> index.get(0)
            ('a red fox', {})
        """
        with self._lock:
            return self._items.get(id)

    def __len__(self) -> int:
        with self._lock:
            return self._vectors.ntotal - len(self._tombstones)

    def __repr__(self) -> str:
        return f"LatentIndex({len(self)} texts, dim={self.dim}, factory={self.factory!r}, metric={self.metric!r})"

    @property
    def dim(self) -> int:
        """Latent dimensions D."""
        return self._vectors.d

    @property
    def ids(self) -> list[int]:
        """Every id, ascending."""
        with self._lock:
            return self._items.ids()

    @property
    def texts(self) -> list[str]:
        """Every text, in the order of `ids`."""
        with self._lock:
            return self._items.texts()

    @property
    def model_path(self) -> Path | None:
        """The folder of the model, None if the model was never saved; it may have moved since."""
        if self._vae is not None and self._vae.path is not None:
            return Path(self._vae.path).resolve()
        return next(iter([*self._folders_found(), *self._model_folders]), None)

    @property
    def vae(self) -> TextVAE:
        """The model of the index, loaded at first use.

        Raises:
            FileNotFoundError: Its folder is gone.
            ValueError: The folder now holds another model.
        """
        with self._lock:
            if self._vae is None:
                self._vae = self._load_model()
            return self._vae

    def save(self, path: str | Path) -> None:
        """Write the index to a folder, which replaces an older index there as a whole or not at all.

        Raises:
            FileExistsError: The path holds something that is not an index; it is left alone.
            OSError: The disk is full or the folder cannot be written; an older index stays.

        Example:
            >>> index.save(folder)
            >>> len(LatentIndex.load(folder))
            2
        """
        path = Path(path).resolve()
        import faiss

        with self._lock, atomic_folder(path, ABOUT) as staged:
            try:
                faiss.write_index(self._vectors, str(staged / VECTORS))
                self._items.save(staged / ITEMS)
            except (RuntimeError, StoreError) as error:
                raise OSError(f"could not write {path} ({_reason(error)}): is the disk full?") from error
            model = self.model_path
            about = {
                "format_version": FORMAT_VERSION,
                "model": model and str(model),
                "model_relative": model and os.path.relpath(model, path),
                "fingerprint": self.fingerprint,
                "metric": self.metric,
                "factory": self.factory,
                "dim": self.dim,
                "count": len(self),
                "next_id": self._items.next_id,
                "tombstones": sorted(self._tombstones),
            }
            write_json(staged / ABOUT, about)

    @classmethod
    def load(cls, path: str | Path, vae: TextVAE | None = None) -> LatentIndex:
        """Open a saved index; the folder does not change until `save`.

        Args:
            path: The folder.
            vae: The model that built the index. By default it is loaded when a text first needs it, from the folder
                it had when the index was saved, by its absolute path or by the one relative to the index.

        Raises:
            FileNotFoundError: There is no such folder.
            ValueError: The folder is not an index, comes from a newer textvae, or was built with another model.
            CorruptFileError: A file is missing, truncated or altered.

        Example:
            >>> index.save(folder)
            >>> LatentIndex.load(folder, vae).texts
            ['a red fox', 'a blue whale']
        """
        path = open_folder(Path(path).resolve(), "index", ABOUT)
        about = _read_about(path)
        import faiss

        try:
            vectors = faiss.read_index(str(path / VECTORS))
            items = ItemStore(path / ITEMS, about.get("next_id", 0))
            stored, last = items.extent()
            index = cls(vectors, items, about)
            counts = len(index), stored, about["count"]
        except (RuntimeError, StoreError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{path} is not a readable index ({_reason(error)}): build it again") from error
        if len(set(counts)) > 1 or last >= items.next_id or index.dim != about["dim"]:
            raise CorruptFileError(
                f"the files of {path} disagree: {counts[0]} vectors, {counts[1]} texts, {counts[2]} in {ABOUT}: "
                "build the index again"
            )
        if vae is not None:
            index._check_model(vae)
            index._vae = vae
        return index

    def _folders_found(self) -> list[Path]:
        return [folder for folder in self._model_folders if folder.exists()]

    def _load_model(self) -> TextVAE:
        folders = self._folders_found()
        if not folders:
            where = f"its folder {self._model_folders[0]} is gone" if self._model_folders else "it was never saved"
            raise FileNotFoundError(f"the index needs its model but {where}: pass vae= (--model on the command line)")
        from .text_vae import TextVAE

        for folder in folders:
            vae = TextVAE.from_pretrained(folder)
            if vae.fingerprint == self.fingerprint:
                return vae
        self._check_model(vae)
        return vae

    def _check_model(self, vae: TextVAE) -> None:
        if vae.fingerprint != self.fingerprint:
            raise ValueError(
                f"the index was built with the model {self.model_path} (fingerprint {self.fingerprint}), not with "
                f"{vae.path} (fingerprint {vae.fingerprint}): rebuild it or load that model"
            )

    def _encode(self, rows: Sequence[Row], batch_size: int) -> NDArray[np.float32]:
        vectors = self._checked(self.vae.encode([text for text, _ in rows], batch_size=batch_size))
        assert len(vectors) == len(rows)
        return vectors

    def _checked(self, vectors: ArrayLike) -> NDArray[np.float32]:
        given = np.asarray(vectors)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"queries are texts or arrays of numbers, got an array of {given.dtype}")
        if given.ndim != 2:
            raise ValueError(f"vectors have the shape (D,) or (N, D), got {given.shape}")
        if given.shape[1] != self.dim:
            raise ValueError(f"vectors have {given.shape[1]} dimensions, the index has {self.dim}")
        with np.errstate(over="ignore"):
            checked = np.ascontiguousarray(given, np.float32)
        if not np.isfinite(checked).all():
            raise ValueError("vectors hold NaN or infinite values: encode the texts again or drop these rows")
        if self.metric == "l2":
            return checked
        norms = np.linalg.norm(checked.astype(np.float64), axis=1, keepdims=True)
        return (checked / np.where(norms == 0, 1, norms)).astype(np.float32)

    def _train(self, blocks: list[NDArray[np.float32]]) -> None:
        count = sum(map(len, blocks))
        try:
            if not count:
                raise RuntimeError("the corpus is empty")
            self._vectors.train(np.concatenate(blocks))
        except RuntimeError as error:
            raise ValueError(
                f"the index factory {self.factory!r} cannot learn from {count} texts ({_reason(error)}): "
                "give more texts, choose fewer lists, or use Flat"
            ) from error

    def _append(self, rows: Sequence[Row], vectors: NDArray[np.float32]) -> list[int]:
        with self._lock, self._items.adding(rows) as ids:
            try:
                self._vectors.add_with_ids(vectors, np.array(ids, np.int64))
            except RuntimeError as error:
                raise ValueError(f"the factory {self.factory!r} refuses these vectors: {_reason(error)}") from error
        return list(ids)

    def _nearest(self, vectors: NDArray[np.float32], k: int) -> list[list[tuple[int, float]]]:
        import faiss

        nearest: list[list[tuple[int, float]]] = [[] for _ in vectors]
        short, fetch, total, buried = list(range(len(vectors))), k, self._vectors.ntotal, self._tombstones
        lists = faiss.try_extract_index_ivf(self._vectors)
        probes = lists.nprobe if lists else 0
        try:
            while short and k:
                scores, ids = self._vectors.search(vectors[short], fetch)
                for row, *pairs in zip(short, ids.tolist(), scores.tolist(), strict=True):
                    # faiss pads with -1, and tombstones are still in the graph
                    live = [(id, score) for id, score in zip(*pairs, strict=True) if id >= 0 and id not in buried]
                    nearest[row] = live[:k]
                short = [row for row in short if len(nearest[row]) < k]
                if fetch == total and (not lists or lists.nprobe == lists.nlist):
                    break
                fetch = min(2 * fetch, total)
                if lists:
                    lists.nprobe = min(2 * lists.nprobe, lists.nlist)
        finally:
            if lists:
                lists.nprobe = probes
        return nearest

    def _closeness(self, score: float) -> float:
        return score if self.metric == "cosine" else 0.0 - max(score, 0.0) ** 0.5  # faiss squares, rounds below 0

    def _bury(self) -> None:
        import faiss

        ids = np.array(self.ids, np.int64)
        try:
            vectors = np.array([self._vectors.reconstruct(int(id)) for id in ids], np.float32).reshape(-1, self.dim)
            fresh = faiss.clone_index(self._vectors)  # trained as the old one is
            fresh.reset()
            fresh.add_with_ids(vectors, ids)
        except RuntimeError:
            return  # a factory that cannot give its vectors back keeps its tombstones
        self._vectors, self._tombstones = fresh, set()


def _new_vectors(dim: int, factory: str, metric: Metric) -> Any:
    import faiss

    measure = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    try:
        if CRASHES.search(factory):
            raise RuntimeError("it would crash")
        vectors = faiss.index_factory(dim, factory, measure)
    except RuntimeError as error:
        raise ValueError(
            f"faiss does not know the index factory {factory!r} for {dim} dimensions ({_reason(error)}): "
            "use Flat, HNSW32, IVF256,Flat or another faiss factory string"
        ) from error
    inner = faiss.downcast_index(vectors.index) if isinstance(vectors, faiss.IndexPreTransform) else vectors
    if not isinstance(inner, faiss.IndexIVF):
        return faiss.IndexIDMap2(vectors)
    # inverted lists keep ids themselves; under an IDMap2, removal would leave every later id pointing at another text
    inner.nprobe = max(1, round(inner.nlist**0.5))  # the default of 1 misses most neighbours
    return vectors


def _read_about(path: Path) -> dict[str, Any]:
    if not (path / ABOUT).is_file():
        raise ValueError(f"{path} is not an index folder: it has no {ABOUT}")
    listed = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    for name in (VECTORS, ITEMS, ABOUT):
        if name not in listed:  # an unlisted file would be read unchecked, and faiss crashes on a damaged one
            raise CorruptFileError(f"{path / MANIFEST} does not list {name}: restore it from a copy or build it again")
    about = read_json(path / ABOUT)
    if about.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has the index format {about.get('format_version')}, this textvae reads {FORMAT_VERSION}: "
            "upgrade textvae or build the index again"
        )
    folders = [Path(about["model"]), (path / about["model_relative"]).resolve()] if about.get("model") else []
    return about | {"model_folders": list(dict.fromkeys(folders))}


def _reason(error: Exception) -> str:
    """Keep what faiss says, without the C++ signature before it."""
    return " ".join(re.sub(r"^.*\.(?:cpp|h):\d+: (?:Error: '.*' failed:? ?)?", "", str(error), flags=re.S).split())
