"""The map of an index: its texts in two dimensions.

PaCMAP takes minutes for 100,000 texts, so a process of its own computes it, and until it is done the map shows
principal components. The result is kept in the user's cache and not in the index: whoever made the index may be a
stranger, its manifest would have to change, and a server may lack the right to write there. The name of the cached file
is the SHA-256 of the vectors, so that it belongs to these vectors and no others.
"""

# N texts, W dimensions of a vector
from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluation.projection import FEWEST_TEXTS, automatic_axes, project
from ..storage.atomic import save_rows
from ..storage.cache import cache_folder, keep_newest
from .served_index import ServedIndex

logger = logging.getLogger("textvae")
MOST_POINTS = 100_000  # of a map; of a larger index a random sample is shown
SCALE = 65_535  # coordinates are whole numbers from 0 to this
MOST_GROUPS, MOST_LETTERS = 40, 80  # of a field that colours the map: different values, and characters of one
NEIGHBOURS = 8  # among which a text is placed
MEDIAN_STEPS = 30
RECOMPUTED = 0.1  # share of changed texts above which the map is computed again
MOST_FILES = 32  # kept in the cache


class Texts(NamedTuple):
    """The texts of a map: ids, and vectors (N, W)."""

    ids: list[Any]
    vectors: NDArray[np.float32]

    @property
    def key(self) -> str:
        """The name of the map of these vectors."""
        return hashlib.sha256(str(self.vectors.shape).encode() + self.vectors.tobytes()).hexdigest()


class IndexMap:
    """The map of one index, refreshed when its texts change.

    Args:
        served: The index; its list of ids is another one after each change.
        folder: Where points are kept; by default in the user's cache.
    """

    def __init__(self, served: ServedIndex, folder: Path | None = None):
        self._served = served
        self._folder = folder or cache_folder("maps")
        self._lock = threading.Lock()
        self._base = Texts([], np.empty((0, 1), np.float32))  # that the points were computed for
        self._points = np.empty((0, 2), np.float32)
        self._method = "pca"
        self._seen: list[Any] | None = None  # the ids of the answer
        self._answer = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def answer(self) -> bytes:
        """Return the map as JSON."""
        with self._lock:
            self._refresh()
            return self._answer

    def place(self, vector: NDArray[np.float32]) -> tuple[int, int] | None:
        """Return where a vector (W,) lies on the map: the median of its neighbours' points, the nearest weighing most.

        None if the index has too few texts for a map.
        """
        with self._lock:
            self._refresh()
            if not len(self._points):
                return None
            x, y = _whole(self._placed(vector[None]), self._points)[0].tolist()
        return x, y

    def close(self) -> None:
        """Stop the process that computes, if there is one."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def _refresh(self) -> None:
        ids = self._served.ids
        if ids is self._seen:
            return
        now = self._read(ids)
        rows = {each: row for row, each in enumerate(self._base.ids)}
        before = np.array([rows.get(each, -1) for each in now.ids], np.int64)
        same = before >= 0
        same[same] = (self._base.vectors[before[same]] == now.vectors[same]).all(1)
        if len(now.ids) < FEWEST_TEXTS:
            points = np.empty((0, 2), np.float32)
            now = Texts([], now.vectors[:0])
        elif self._process is None and same.sum() < (1 - RECOMPUTED) * len(now.ids):
            self._compute(now)
            points = self._points
        else:
            points = np.empty((len(now.ids), 2), np.float32)
            points[same], points[~same] = self._points[before[same]], self._placed(now.vectors[~same])
        whole = _whole(points, self._points)
        content = {
            "method": self._method,
            "pending": self._process is not None,
            "total": len(ids),
            "scale": SCALE,
            "ids": now.ids,
            "x": whole[:, 0].tolist(),
            "y": whole[:, 1].tolist(),
            "fields": fields_of(self._served.index.metadata(now.ids), self._served.fields),
        }
        self._answer = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        self._seen = ids

    def _read(self, ids: list[Any]) -> Texts:
        """Return the texts to show: all, or a random sample that stays the same."""
        index = self._served.index
        if len(ids) > MOST_POINTS:
            chosen = np.random.default_rng(0).permutation(len(ids))[:MOST_POINTS]
            ids = [ids[i] for i in np.sort(chosen).tolist()]
        try:
            vectors = index.vectors(ids)
        except ValueError:  # a factory that does not return them
            wanted = set(ids)
            pairs = zip(index.ids, index.texts, strict=True)
            vectors = index.vae.encode([text for each, text in pairs if each in wanted])
        return Texts(ids, np.ascontiguousarray(vectors, np.float32))

    def _compute(self, texts: Texts) -> None:
        self._base = texts
        axes = automatic_axes(len(texts.ids))
        kept = self._load() if axes == "pacmap" else None
        if kept is not None:
            self._points, self._method = kept, axes
            return
        self._points, self._method = project(texts.vectors, "pca").points, "pca"
        if axes != "pca" and not self._stopped:
            self._start(axes)

    def _file(self) -> Path:
        return self._folder / f"{self._base.key}.npy"

    def _load(self) -> NDArray[np.float32] | None:
        try:
            points = np.load(self._file(), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        right = points.shape == (len(self._base.ids), 2) and points.dtype == np.float32
        return points if right and np.isfinite(points).all() else None

    def _start(self, axes: str) -> None:
        """Compute the map in a process of its own, watched by a thread."""
        folder = tempfile.TemporaryDirectory(prefix="textvae-map-")
        given, made, file = Path(folder.name) / "vectors.npy", Path(folder.name) / "points.npy", self._file()
        save_rows(given, [self._base.vectors])
        command = [sys.executable, "-P", "-m", "textvae.evaluation.projection", str(given), str(made), axes]
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        paths.append(
            str(Path(__file__).parents[2])
        )  # of this package: -P keeps out the working folder, whose it may be
        threads = str(max(1, (os.cpu_count() or 1) // 2))  # the others are the model's
        nowhere = subprocess.DEVNULL
        self._process = process = subprocess.Popen(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(paths), "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        )  # fmt: skip

        def watch() -> None:
            with folder:
                points = np.load(made, allow_pickle=False) if process.wait() == 0 else None
            if points is not None:
                with suppress(OSError):  # a cache that cannot be written
                    save_rows(file, [points])
                    keep_newest(file.parent, "*.npy", MOST_FILES)
            elif not self._stopped:
                logger.warning("the map stays one of principal components: %s failed", axes)
            with self._lock:
                self._process, self._seen = None, None
                if points is not None:
                    self._points, self._method = points, axes

        threading.Thread(target=watch, name="textvae-map", daemon=True).start()

    def _placed(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return points (M, 2) for vectors (M, W)."""
        own = self._base.vectors
        k = min(NEIGHBOURS, len(own))
        placed = np.empty((len(vectors), 2), np.float32)
        squares = np.square(own).sum(1)
        for row, vector in enumerate(vectors):
            distances = np.maximum(squares - 2 * own @ vector + vector @ vector, 0)
            nearest = np.argpartition(distances, k - 1)[:k]
            weights = 1 / (distances[nearest] + 1e-6 * (1 + float(vector @ vector)))
            placed[row] = geometric_median(self._points[nearest], weights)
        return placed


def geometric_median(points: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the point (2,) with the least weighted sum of distances to points (K, 2), by Weiszfeld's iteration.

    Unlike the mean it lies where most of the points are, and not in the empty middle of two groups.
    """
    median = weights @ points / weights.sum()
    for _ in range(MEDIAN_STEPS):
        pull = weights / np.maximum(np.linalg.norm(points - median, axis=1), 1e-6)
        median = pull @ points / pull.sum()
    return median


def fields_of(metadata: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """Return the fields by which a map can be coloured.

    A field of at most 40 different short values is {"name", "kind": "groups", "values", "codes"}, the commonest value
    first and -1 for texts without one. One of more different numbers is {"name", "kind": "scale", "low", "high",
    "numbers"}, with null for texts without one. Others are left out.
    """
    found: list[dict[str, Any]] = []
    for name in names:
        values = [row.get(name) for row in metadata]
        simple = [value for value in values if _is_simple(value)]
        counts = Counter((type(value).__name__, value) for value in simple if len(str(value)) <= MOST_LETTERS)
        if simple and len(counts) <= MOST_GROUPS and sum(counts.values()) == len(simple):
            common = [key for key, _ in counts.most_common()]
            code = {key: place for place, key in enumerate(common)}
            codes = [code.get((type(value).__name__, value), -1) if _is_simple(value) else -1 for value in values]
            found.append({"name": name, "kind": "groups", "values": [value for _, value in common], "codes": codes})
            continue
        numbers = [_number(value) for value in values]
        there = [number for number in numbers if number is not None]
        if there and len(there) >= len(simple) / 2:
            scale = {"low": min(there), "high": max(there), "numbers": numbers}
            found.append({"name": name, "kind": "scale"} | scale)
    return found


def _is_simple(value: object) -> bool:
    return isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value))


def _number(value: object) -> float | None:
    """Return a value as a number; a column of a csv file is text."""
    with suppress(TypeError, ValueError, OverflowError):
        number = float(value)  # type: ignore[arg-type]
        return number if math.isfinite(number) else None
    return None


def _whole(points: NDArray[np.float32], frame: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return points in whole numbers: the frame's larger side takes 0 to `SCALE`, and shapes are kept."""
    if not len(points):
        return np.empty((0, 2), np.int64)
    low, high = frame.min(0).astype(np.float64), frame.max(0).astype(np.float64)
    side = max(float((high - low).max()), 1e-12)
    return np.clip(np.rint(((points - (low + high) / 2) / side + 0.5) * SCALE), 0, SCALE).astype(np.int64)
