"""An index build on disk that can be resumed after a crash: acknowledged blocks are kept, others are discarded."""

# N texts, W dimensions of a vector
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.atomic import STAGED, open_no_link, read_json, sync, write_json
from ..storage.errors import CorruptFileError
from .item_store import ItemStore, StoreError
from .rows import Row

PARTIAL = ".partial"  # suffix of the folder during the build
VECTORS, ITEMS, ABOUT = "vectors.f32", "items.sqlite", "build.json"
FULL = "full.faiss"  # vectors beside compressed ones, while the index is written
OURS = {VECTORS, FULL, ITEMS, f"{ITEMS}-journal", ABOUT}
NUMBER = np.dtype("<f4")
OLDER = {"backend": "faiss"}  # settings that builds of older versions lack


class Staging:
    """Texts and vectors of an unfinished build, in the folder INDEX.partial.

    A block is acknowledged when its texts are committed to SQLite, after its vectors are on disk. On resume, vectors
    after the last acknowledged text are truncated.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], width: int, *, resume: bool):
        """Start or continue the build of an index.

        Args:
            path: Folder of the finished index.
            about: Settings that must match on resume: model, metric, factory.
            width: Dimensions W of a vector.
            resume: Resume an interrupted build; start a new one if there is none.

        Raises:
            FileExistsError: There is an interrupted build and `resume` is False, or the folder is not a build.
            ValueError: The interrupted build has another `about`.
            CorruptFileError: The interrupted build cannot be read.
        """
        self.folder, self.width = path.with_name(path.name + PARTIAL), width
        self._about = self.folder / ABOUT
        if self.folder.exists():
            self._check(dict(about), resume)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._about.exists():
            write_json(self._about, about)
        try:
            self.items = ItemStore(self.folder / ITEMS, durable=True)
        except StoreError as error:
            raise CorruptFileError(f"{self.folder} is not a readable build ({error}): delete it") from error
        self._file = open(self.folder / VECTORS, "ab", opener=open_no_link)
        sync(self.folder)
        acknowledged = len(self) * self._stride
        if self._file.tell() < acknowledged:
            self.close()
            raise CorruptFileError(f"{self.folder / VECTORS} was cut short: delete {self.folder} and build again")
        self._file.truncate(acknowledged)

    def __len__(self) -> int:
        return self.items.next_id

    def skip(self, rows: Iterator[Row]) -> None:
        """Skip the acknowledged rows at the beginning of a corpus.

        Raises:
            ValueError: The corpus has other rows than the interrupted build.
        """
        if not len(self):
            return
        for position, stored in enumerate(self.items.rows()):
            if next(rows, None) != stored:
                raise ValueError(
                    f"{self.folder} was built from another corpus: item {position} differs; give that corpus, or "
                    "delete the folder to start again"
                )

    def append(self, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        """Store a block of texts and their vectors (N, W) on disk and acknowledge it."""
        with self.items.adding(rows):
            self._file.write(np.ascontiguousarray(vectors, NUMBER).data)
            self._file.flush()
            os.fsync(self._file.fileno())

    def blocks(self, size: int) -> Iterator[tuple[range, NDArray[np.float32]]]:
        """Yield the ids and vectors of all texts, at most `size` at a time."""
        for start in range(0, len(self), size):  # read, since pages of a mapped file would stay in memory
            ids = range(start, min(start + size, len(self)))
            part = np.fromfile(self.folder / VECTORS, NUMBER, len(ids) * self.width, offset=start * self._stride)
            yield ids, part.reshape(-1, self.width).astype(np.float32, copy=False)

    def sample(self, size: int) -> NDArray[np.float32]:
        """Return the vectors of at most `size` texts, evenly spaced over the corpus."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(size, len(self))).astype(np.int64))
        return np.array(self._stored()[chosen], np.float32)

    def close(self) -> None:
        """Close the files and keep the build for resuming; a build without any block is deleted."""
        empty = not len(self)
        self._file.close()
        self.items.close()
        if empty:
            self.discard()

    def discard(self) -> None:
        """Delete the build."""
        self._file.close()
        self.items.close()
        self._about.unlink(missing_ok=True)  # first, since a folder without it does not count as a build
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _stride(self) -> int:
        return self.width * NUMBER.itemsize

    def _stored(self) -> NDArray[np.float32]:
        if not len(self):  # numpy cannot map an empty file
            return np.empty((0, self.width), np.float32)
        return np.memmap(self.folder / VECTORS, NUMBER, "r", shape=(len(self), self.width))

    def _check(self, about: dict[str, Any], resume: bool) -> None:
        files = [] if self.folder.is_symlink() or not self.folder.is_dir() else list(self.folder.iterdir())
        ours = [file for file in files if file.name in OURS or file.name.startswith(STAGED + ABOUT)]
        foreign = not self.folder.is_dir() or self.folder.is_symlink() or len(ours) < len(files)
        foreign = foreign or any(file.is_symlink() for file in files)  # which would be written through
        if foreign:
            raise FileExistsError(f"{self.folder} is in the way and holds something else: choose another folder")
        if not self._about.exists():  # a crash right after the start or before the end
            shutil.rmtree(self.folder)
            return
        if not resume:
            raise FileExistsError(
                f"{self.folder} holds an interrupted build: continue it with resume=True (--resume on the command "
                "line), or delete the folder"
            )
        before = OLDER | read_json(self._about)
        for key, (old, new) in {key: (before.get(key), about.get(key)) for key in {**before, **about}}.items():
            if old != new:
                raise ValueError(
                    f"{self.folder} was begun with the {key} {old!r}, not {new!r}: continue it with that, or delete "
                    "the folder to start again"
                )
