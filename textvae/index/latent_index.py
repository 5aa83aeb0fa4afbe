"""LatentIndex: build, change, save and load an index of latents, with the texts and their metadata."""

# N vectors, D latent dimensions
from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..storage.atomic import write_json
from ..storage.errors import CorruptFileError
from ..storage.folders import REPLACED, atomic_folder, check_replaceable, read_folder, recover_folder
from ..storage.locks import only_writer
from ..storage.versions import Versions
from .backends import backend_class
from .backends.base import reason
from .build import Recipe, build_in_memory, build_on_disk, paired
from .distances import Metric, embedded, width
from .folder import ABOUT, FORMAT_VERSION, ITEMS, WITH_IDS, open_index, relative_path
from .item_store import ItemStore, StoreError
from .model_source import ModelSource
from .rows import Item, Row, rows_of
from .searching import SearchableIndex

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

logger = logging.getLogger("textvae")


class LatentIndex(SearchableIndex):
    """A searchable collection of texts; create one with `build` or `load`.

    Scores are cosines under the metric "cosine", negated Euclidean distances of posterior means under "l2", negated
    2-Wasserstein distances of posteriors under "wasserstein": larger is closer in every metric.
    All methods are thread-safe; calls from several threads run one after another.

    Examples:
        >>> index = LatentIndex.build(vae, ["a red fox", "a blue whale"])
        >>> index.search("a red fox", k=1)[0].text
        'a red fox'
    """

    @classmethod
    def build(
        cls,
        vae: TextVAE,
        corpus: Iterable[Item],
        *,
        factory: str = "Flat",
        backend: str = "faiss",
        metric: Metric = "cosine",
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Iterable[str] | None = None,
        latents: Iterable[ArrayLike] | None = None,
        batch_size: int = 64,
        path: str | Path | None = None,
        resume: bool = False,
    ) -> LatentIndex:
        """Encode a corpus and index it; texts are streamed. Without `ids`, texts are numbered from 0 in corpus order.

        Args:
            vae: The model that embeds the corpus and the queries.
            corpus: Texts, or mappings with a "text" whose other keys become metadata. Lone surrogates, which
                UTF-8 cannot encode, become U+FFFD; all other characters are kept. May be empty.
            factory: A faiss factory string. "Flat" is exact; "HNSW32" and "IVF256,Flat" are faster on large corpora.
                Trainable factories (IVF, PQ, PCA) train on the first 65,536 texts, or 39 per inverted list: shuffle
                a sorted corpus. "auto" is "Flat" up to 50,000 texts; above, about 4 * sqrt(N) inverted lists of full
                vectors, or of one byte a number ("SQ8") if vectors would take over 2 GB. A corpus of unknown length
                counts as a million texts if it has more than 50,000. `index.factory` names the choice.
            backend: Vector store: "faiss", "numpy" (exact, only with the factory "Flat"), or one registered with
                `textvae.index.backends.register_backend`.
            metric: "cosine" or "l2" of the posterior means, or "wasserstein", the distance of means and standard
                deviations, whose vectors have 2D dimensions. Under "cosine" a zero vector scores 0 against all vectors.
            metadata: One dictionary of JSON values (or None) per text, if the corpus is strings.
            ids: One unique string per text, such as a database key. Hits contain it, and `get`, `remove`, `update` and
                `upsert` take it.
            latents: What the model's `encode` gave for the texts, (N, D) or one (D,) after the other, to not encode
                them again; not for "wasserstein".
            batch_size: Texts that the model encodes at once.
            path: Folder to save the index to. The build then writes its blocks to PATH.partial, can be resumed after
                a crash, keeps no texts in memory, and samples the training texts from the whole corpus. With full
                vectors beside compressed ones ("RFlat"), these stay on disk: the index is returned as by
                `load(path, mmap=True)`.
            resume: Resume an interrupted build to `path` from the same corpus; start a new build if there is none.

        Raises:
            ValueError: Unknown metric, backend or factory, too few texts to train it, metadata that is not JSON, a
                repeated id, or an interrupted build of another corpus, model, metric or factory.
            TypeError: An item is neither a string nor a mapping, or an id is not a string.
            FileExistsError: The path holds something else, or an interrupted build and `resume` is False.
            BlockingIOError: Another process or thread is writing it.

        Examples:
            >>> len(LatentIndex.build(vae, [{"text": "a red fox", "page": 3}], factory="HNSW32", metric="l2"))
            1
        """
        recipe = Recipe(vae.fingerprint, vae.dim, metric, factory, backend)
        pairs = paired(rows_of(corpus, metadata, ids), latents, metric)
        if path is None:
            if resume:
                raise ValueError("only a build to a folder can be continued: give its path with resume=True")
            count = len(corpus) if isinstance(corpus, Sized) else None
            return cls(
                *build_in_memory(vae, recipe, pairs, count, batch_size), metric, ModelSource(vae.fingerprint, vae)
            )
        path = Path(path).resolve()
        with only_writer(path):
            check_replaceable(path, ABOUT)
            with build_on_disk(vae, recipe, pairs, path, batch_size, resume=resume) as parts:
                cls(*parts, metric, ModelSource(vae.fingerprint, vae))._write(path)
                mapped = getattr(parts[0], "mapped", False)
                del parts  # memory holds the vectors once
        return cls.load(path, vae, mmap=mapped)

    def add(
        self,
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        ids: Iterable[str] | None = None,
        batch_size: int = 64,
    ) -> list[Any]:
        """Add texts, given as in `build`, and return their ids; numbers are never reused.

        `ids` are required if the index was built with ids and refused if it numbers its texts; in an empty index the
        first call decides.

        Raises:
            ValueError: Metadata that is not JSON, ids that exist already or are of the wrong kind, or vectors that
                faiss refuses. Nothing is added.
            TypeError: An item is neither a string nor a mapping. Nothing is added.
            FileNotFoundError: The model folder is gone.

        Examples:
            >>> index.add(["a green frog"], metadata=[{"page": 7}])
            [2]
        """
        rows = list(rows_of(texts, metadata, ids))
        return self._append(rows, self._encode(rows, batch_size)) if rows else []

    def remove(self, ids: Iterable[Any]) -> int:
        """Remove texts by id and return how many were removed.

        A graph (HNSW) only marks the vectors as removed, and is rebuilt once a fifth of its vectors are marked.

        Raises:
            ValueError: An id is not in the index. Nothing is removed.

        Examples:
            >>> index.remove([2])
            1
        """
        with self._lock, self._items.removing(self._items.numbers(ids, "removed")) as removed:
            self._vectors.remove(removed)
        return len(removed)

    def update(
        self,
        ids: Iterable[Any],
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        batch_size: int = 64,
    ) -> None:
        """Replace the texts of ids, with their metadata and vectors; the texts are given as in `build`.

        A graph (HNSW) only marks the old vectors as removed, as in `remove`.

        Raises:
            ValueError: An id is unknown or repeated, the numbers of texts and ids differ, metadata is not JSON, or
                faiss refuses the vectors. Nothing is replaced.
            TypeError: An item is neither a string nor a mapping. Nothing is replaced.
            FileNotFoundError: The model folder is gone.

        Examples:
            >>> index.update([0], ["a white fox"], metadata=[{"page": 4}])
            >>> index.get(0)
            ('a white fox', {'page': 4})
        """
        self._update(*_paired(ids, list(rows_of(texts, metadata))), batch_size)

    def _update(self, given: Sequence[Any], rows: Sequence[Row], batch_size: int) -> None:
        if not rows:
            return
        vectors = self._encode(rows, batch_size)
        with self._lock:
            wanted = self._items.numbers(given, "replaced")
            with self._items.replacing(wanted, rows) as old:
                self._vectors.replace(wanted, vectors, before=lambda: self._encode(old, batch_size))

    def upsert(
        self,
        ids: Iterable[Any],
        texts: Iterable[Item],
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        batch_size: int = 64,
    ) -> None:
        """Update the texts of known ids, as in `update`, and add those of new ids, as in `add`.

        If the index numbers its texts, ids cannot be new, and this is the same as `update`.

        Raises:
            ValueError: As in `update` and `add`. Nothing is changed.
            TypeError: As in `update` and `add`. Nothing is changed.
            FileNotFoundError: The model folder is gone.
        """
        given, rows = _paired(ids, list(rows_of(texts, metadata)))
        if self._items.named is False:
            self._update(given, rows, batch_size)
            return
        with self._lock:
            old, new = self._items.split(rows, given)
            vectors = self._encode(new, batch_size) if new else None
            added = [] if vectors is None else self._append(new, vectors)
            try:
                self._update([row.name for row in old], old, batch_size)
            except BaseException:
                self.remove(added)
                raise

    def compact(self) -> int:
        """Rebuild a graph (HNSW) without the vectors marked as removed, and return their number.

        Factories that cannot return their vectors keep the marked ones; the result is then 0.

        Examples:
            >>> index.compact()  # inverted lists and "Flat" remove vectors at once
            0
        """
        with self._lock:
            return self._vectors.compact()

    def save(self, path: str | Path) -> None:
        """Write the index to a folder, atomically replacing an older index there.

        An index that was loaded from the folder, or saved there before, replaces only the version it knows: what
        another handle has saved there since is never lost. `edit` loads, changes and saves with nobody in between.

        Raises:
            ValueError: Another handle has saved the folder since: load it again and repeat the change.
            FileExistsError: The path holds something that is not an index; it is left alone.
            BlockingIOError: Another process or thread is writing it.
            OSError: The disk is full or the folder cannot be written; an older index is kept.

        Examples:
            >>> index.save(folder)
            >>> len(LatentIndex.load(folder))
            2
        """
        path = Path(path).resolve()
        with self._lock, only_writer(path):
            self._write(path)

    @classmethod
    def load(
        cls, path: str | Path, vae: TextVAE | None = None, *, mmap: bool = False, encoder_backend: str = "auto"
    ) -> LatentIndex:
        """Open a saved index. The folder is unchanged until `save`, and others may replace it while the index is open.

        Args:
            path: The folder.
            vae: The model that built the index. By default it is loaded when a text is first encoded, from the folder
                recorded in the index, as an absolute path or relative to the index.
            mmap: Memory-map the vectors, so that processes share them and they may exceed the memory. The index can
                then be searched and saved but not changed.
            encoder_backend: What encodes texts if `vae` is not given, as `backend` in `TextVAE.from_pretrained`. An
                export that is in the user's cache is used without importing torch.

        Raises:
            FileNotFoundError: There is no such folder.
            ValueError: The folder is not an index, comes from a newer textvae, or was built with another model.
            CorruptFileError: A file is missing, truncated or altered.

        Examples:
            >>> index.save(folder)
            >>> LatentIndex.load(folder, vae).texts
            ['a red fox', 'a blue whale']
        """
        index = read_folder(Path(path).resolve(), lambda folder: cls._read(folder, mmap, encoder_backend))
        if vae is not None:
            index._model.give(vae)
        return index

    @classmethod
    @contextmanager
    def edit(cls, path: str | Path, vae: TextVAE | None = None) -> Iterator[LatentIndex]:
        """Open a saved index for changes; it is saved at the end of the block, unless the block raises an error.

        The folder is locked against other writers during the block.

        Args:
            path: The folder.
            vae: The model, as in `load`.

        Raises:
            BlockingIOError: Another process or thread is writing it.
            FileNotFoundError: There is no such folder.

        Examples:
            >>> index.save(folder)
            >>> with LatentIndex.edit(folder, vae) as opened:
            ...     opened.remove([0])
            1
        """
        path = Path(path).resolve()
        replaced = path.with_name(REPLACED + path.name)  # left by a crash between the two renames of a save
        if not path.exists() and not replaced.exists():
            raise FileNotFoundError(f"there is no index at {path}")
        with only_writer(path):
            recover_folder(path)
            index = cls.load(path, vae)
            yield index
            with index._lock:
                index._write(path)

    @classmethod
    def _read(cls, path: Path, mmap: bool, encoder_backend: str) -> LatentIndex:
        versions = Versions()
        versions.note(path)
        about = open_index(path)
        try:
            store = backend_class(about["backend"])
            items = ItemStore(path / ITEMS, about["next_id"])
            vectors = store.read(path / store.file, about["factory"], about.get("tombstones", ()), mapped=mmap)
            model = ModelSource(about["fingerprint"], folders=about["model_folders"], backend=encoder_backend)
            index = cls(vectors, items, about["metric"], model)
            counts = len(index), items.extent()[0], about["count"]
        except (RuntimeError, StoreError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{path} is not a readable index ({reason(error)}): build it again") from error
        if len(set(counts)) > 1 or not np.array_equal(np.sort(vectors.ids), items.ids()):
            raise CorruptFileError(
                f"the files of {path} disagree: {counts[0]} vectors, {counts[1]} texts, {counts[2]} in {ABOUT}, or "
                "their ids differ: build the index again"
            )
        shape = index.dim, vectors.width, vectors.inner_product
        wanted = about["dim"], width(index.metric, about["dim"]), index.metric == "cosine"
        if shape != wanted:
            raise CorruptFileError(
                f"the files of {path} disagree: the vectors have {shape[1]} numbers for the metric {index.metric!r}, "
                f"not {wanted[1]}, or another measure: build the index again"
            )
        index._versions = versions
        return index

    def _write(self, path: Path) -> None:
        check_replaceable(path, ABOUT)
        self._versions.check(path)
        with atomic_folder(path, ABOUT, lock=False) as staged:
            try:
                self._vectors.write(staged / self._vectors.file)
                self._items.save(staged / ITEMS)
            except (RuntimeError, StoreError) as error:
                raise OSError(f"could not write {path} ({reason(error)}): is the disk full?") from error
            model = self.model_path
            about = {
                "format_version": WITH_IDS if self._items.named else FORMAT_VERSION,
                "model": model and str(model),
                "model_relative": model and relative_path(model, path),
                "fingerprint": self.fingerprint,
                "metric": self.metric,
                "backend": self.backend,
                "factory": self.factory,
                "dim": self.dim,
                "count": len(self),
                "next_id": self._items.next_id,
                "tombstones": sorted(self._vectors.tombstones),
            }
            write_json(staged / ABOUT, about)
        self._versions.note(path)

    def _encode(self, rows: Sequence[Row], batch_size: int) -> NDArray[np.float32]:
        vectors = embedded(self.vae, [row.text for row in rows], self.metric, batch_size=batch_size)
        assert len(vectors) == len(rows)
        return vectors

    def _append(self, rows: Sequence[Row], vectors: NDArray[np.float32]) -> list[Any]:
        with self._lock, self._items.adding(rows) as ids:
            self._vectors.add(ids, vectors)
        return [id if row.name is None else row.name for id, row in zip(ids, rows, strict=True)]


def _paired(ids: Iterable[Any], rows: list[Row]) -> tuple[list[Any], list[Row]]:
    given = ids if isinstance(ids, str) else list(ids)
    if isinstance(given, str):
        raise TypeError(f"ids come as a list, got the single {given!r}")
    if len(given) != len(rows):
        raise ValueError(f"there are {len(given)} ids and {len(rows)} texts: give one text for each id")
    return given, rows
