"""The texts of an index with their metadata: corpora turned into rows, and rows kept in SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..text.cleaning import SURROGATES
from .filters import Filter

Item = str | Mapping[str, Any]
Row = tuple[str, str]  # a text and its metadata as JSON
# NaN is no JSON to SQLite, which would give up the whole query
OBJECTS = "CASE WHEN json_valid(metadata) THEN metadata ELSE '{}' END"
COPIES = os.name == "nt"  # at once when a saved store is opened: Windows replaces no folder with an open file
StoreError = sqlite3.Error  # what a store raises when its file is damaged or the disk is full


class ItemStore:
    """Rows by id, where an id is never used twice.

    A new store is a nameless temporary file; a saved one is read where it lies and copied before its first change (on
    Windows at once); a durable one is a file in which every added block is on disk before `adding` ends.
    Callers that share a store between threads take turns.

    Example:
        >>> store = ItemStore()
        >>> with store.adding([("a red fox", "{}")]) as ids:
        ...     print(list(ids))
        [0]
        >>> store.get(0)
        ('a red fox', {})
    """

    def __init__(self, path: Path | None = None, next_id: int = 0, *, durable: bool = False):
        """Make an empty store, or open the one at `path`.

        Args:
            path: The file of a saved or durable store; a durable one need not exist.
            next_id: The id of the next row of a saved store.
            durable: Write to the file itself.

        Raises:
            StoreError: The file cannot be opened.
        """
        self.next_id = next_id
        self._is_saved = path is not None and not durable
        if path is None:
            self._database = _temporary_database()
        elif durable:
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA synchronous = EXTRA")  # a commit is on disk, its journal gone
        else:
            address = f"{path.as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
            if COPIES:
                self._own()
        if not self._is_saved:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, text TEXT NOT NULL, metadata TEXT NOT NULL)"
            )
        if durable:
            self.next_id = self.extent()[1] + 1

    def get(self, id: int) -> tuple[str, dict[str, Any]]:
        """Return the text and the metadata of an id.

        Raises:
            ValueError: There is no such id.
        """
        row = self._row(id)
        if row is None:
            raise ValueError(f"the index has no id {id}")
        return row[0], json.loads(row[1])

    def get_many(self, ids: Iterable[int]) -> dict[int, tuple[str, dict[str, Any]]]:
        """Return the text and the metadata of each id that there is."""
        wanted = "SELECT id, text, metadata FROM items WHERE id IN (SELECT value FROM json_each(?))"
        rows = self._database.execute(wanted, (json.dumps(list(ids)),))
        return {id: (text, json.loads(metadata) if metadata != "{}" else {}) for id, text, metadata in rows}

    def ids(self) -> list[int]:
        """Return every id, ascending."""
        return [id for (id,) in self._database.execute("SELECT id FROM items ORDER BY id")]

    def texts(self) -> list[str]:
        """Return every text, in the order of `ids`."""
        return [text for (text,) in self._database.execute("SELECT text FROM items ORDER BY id")]

    def rows(self) -> Iterator[Row]:
        """Yield every row, in the order of `ids`."""
        yield from self._database.execute("SELECT text, metadata FROM items ORDER BY id")

    def matching(self, condition: Filter) -> NDArray[np.int64]:
        """Return the ids whose metadata meet a condition, ascending."""
        # NaN is no JSON to SQLite, which would give up the whole search: rows that hold it match nothing
        query = f"SELECT id FROM items WHERE CASE WHEN json_valid(metadata) THEN {condition.sql} END ORDER BY id"
        return np.fromiter((id for (id,) in self._database.execute(query, condition.values)), np.int64)

    def unknown_keys(self, keys: Iterable[str]) -> list[str]:
        """Return those of the metadata keys that no text has."""
        found = f"SELECT 1 FROM items, json_each({OBJECTS}) WHERE key = ? LIMIT 1"
        return [key for key in keys if self._database.execute(found, (key,)).fetchone() is None]

    def keys(self) -> list[str]:
        """Return every metadata key, sorted."""
        every = f"SELECT DISTINCT key FROM items, json_each({OBJECTS}) ORDER BY key"
        return [key for (key,) in self._database.execute(every)]

    def extent(self) -> tuple[int, int]:
        """Return the number of rows and the largest id, -1 if there is none.

        Raises:
            StoreError: The file is damaged.
        """
        return self._database.execute("SELECT count(*), coalesce(max(id), -1) FROM items").fetchone()

    @contextmanager
    def adding(self, rows: Sequence[Row]) -> Iterator[range]:
        """Add rows and yield their new ids; an error inside the block undoes it."""
        self._own()
        ids = range(self.next_id, self.next_id + len(rows))
        stored = zip(ids, rows, strict=True)
        with self._database:
            self._database.executemany("INSERT INTO items VALUES (?, ?, ?)", ((id, *row) for id, row in stored))
            yield ids
        self.next_id = ids.stop

    @contextmanager
    def removing(self, ids: Iterable[int]) -> Iterator[list[int]]:
        """Remove ids and yield them, each once and ascending; an error inside the block undoes it.

        Raises:
            ValueError: There is no such id. Nothing is removed.
        """
        removed = sorted(set(ids))
        self._check_known(removed, "removed")
        self._own()
        with self._database:
            self._database.executemany("DELETE FROM items WHERE id = ?", ((id,) for id in removed))
            yield removed

    @contextmanager
    def replacing(self, ids: Sequence[int], rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Give ids other rows and yield their old ones; an error inside the block undoes it.

        Raises:
            ValueError: There is no such id, or one is given twice. Nothing is replaced.
        """
        self._check_known(ids, "replaced")
        twice = next((id for id, count in Counter(ids).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"the id {twice} is given twice: nothing was replaced")
        old = [row for row in map(self._row, ids) if row is not None]
        self._own()
        stored = zip(rows, ids, strict=True)
        with self._database:
            self._database.executemany(
                "UPDATE items SET text = ?, metadata = ? WHERE id = ?", ((*row, id) for row, id in stored)
            )
            yield old

    def close(self) -> None:
        """Close the file; the store cannot be used any more."""
        self._database.close()

    def save(self, path: Path) -> None:
        """Write the store to a new file, which holds no trace of removed rows.

        Raises:
            StoreError: The file cannot be written.
        """
        self._database.execute("VACUUM INTO ?", (str(path),))

    def _check_known(self, ids: Sequence[int], done: str) -> None:
        unknown = [id for id in ids if self._row(id) is None]
        if unknown:
            names = ", ".join(map(str, unknown[:5])) + (f" and {len(unknown) - 5} more" if unknown[5:] else "")
            raise ValueError(f"the index has no id {names}: nothing was {done}")

    def _row(self, id: int) -> Row | None:
        if not 0 <= id < self.next_id:
            return None
        return self._database.execute("SELECT text, metadata FROM items WHERE id = ?", (int(id),)).fetchone()

    def _own(self) -> None:
        if self._is_saved:
            saved, self._database = self._database, _temporary_database()
            saved.backup(self._database)
            saved.close()
            self._is_saved = False


def rows_of(corpus: Iterable[Item], metadata: Sequence[Mapping[str, Any] | None] | None = None) -> Iterator[Row]:
    """Yield one row per text of a corpus; lone surrogates, which SQLite cannot store, become U+FFFD.

    Args:
        corpus: Texts, or mappings with a "text" whose other keys are its metadata.
        metadata: One dictionary of JSON values (or None) per text, beside a corpus of strings.

    Raises:
        ValueError: Metadata that is not JSON or not one per text, or a mapping without "text".
        TypeError: The corpus is a single item, or an item is neither a string nor a mapping.

    Example:
        >>> list(rows_of([{"text": "a red fox", "page": 3}]))
        [('a red fox', '{"page": 3}')]
    """
    if isinstance(corpus, str | bytes | Mapping):
        raise TypeError(f"texts come as a list or another iterable, got a single {type(corpus).__name__}")
    missing: Any = object()
    pairs: Any = (
        ((item, None) for item in corpus) if metadata is None else zip_longest(corpus, metadata, fillvalue=missing)
    )
    for position, (item, extra) in enumerate(pairs):
        if item is missing or extra is missing:
            raise ValueError(f"texts and metadata differ in length after {position}: give one dictionary per text")
        if isinstance(item, Mapping):
            if "text" not in item or extra is not None:
                raise ValueError(f"item {position} needs a 'text' and its metadata beside it, got {list(item)}")
            item, extra = item["text"], {key: value for key, value in item.items() if key != "text"}
        if not isinstance(item, str):
            raise TypeError(f"the text of item {position} is a {type(item).__name__}, not a string")
        try:
            yield SURROGATES.sub("\ufffd", item), json.dumps(dict(extra or {}))
        except (TypeError, ValueError) as error:
            raise ValueError(f"the metadata of item {position} is not JSON ({error})") from error


def _temporary_database() -> sqlite3.Connection:
    return sqlite3.connect("", check_same_thread=False)  # a nameless file: spills to disk, vanishes on close
