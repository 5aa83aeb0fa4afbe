"""The texts and metadata of an index: conversion of a corpus to rows, and an SQLite store for them."""

from __future__ import annotations

import json
import operator
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.errors import CorruptFileError, listed
from .filters import Filter, json_path
from .item_checks import ITEMS, NAMES, READ, Guard, check_content, check_schema, read_metadata
from .rows import Row, checked_name

# NaN, which older versions stored, is no JSON to SQLite, which would give up the whole query
OBJECTS = "CASE WHEN json_valid(metadata) THEN metadata ELSE without_nan(metadata) END"
COPIES = os.name == "nt"  # at once when a saved store is opened: Windows replaces no folder with an open file
StoreError = sqlite3.Error  # what a store raises when its file is damaged or the disk is full
MOST_IDS = 5  # ids that an error message lists


class ItemStore:
    """Rows with integer ids that are never reused. Either all rows have names (user ids) or none has.

    A new store is an anonymous temporary file. A saved store is read in place and copied before its first change (on
    Windows on opening). A durable store writes every added block to disk before `adding` ends.
    The store is not thread-safe: callers must lock it.

    Examples:
        >>> from textvae.index.rows import Row
        >>> store = ItemStore()
        >>> with store.adding([Row("a red fox", "{}")]) as ids:
        ...     print(list(ids))
        [0]
        >>> store.get(0)
        ('a red fox', {})
    """

    def __init__(self, path: Path | None = None, next_id: int = 0, *, durable: bool = False):
        """Create an empty store, or open the one at `path`.

        Args:
            path: The file of a saved or durable store; a durable one need not exist.
            next_id: Id of the next row to add to a saved store.
            durable: Write changes to the file itself instead of a copy.

        Raises:
            StoreError: The file cannot be opened.
        """
        self.next_id, self._path = next_id, path
        self._is_saved = path is not None and not durable
        self._guard: Guard | None = None
        if path is None:
            self._database = _temporary_database()
        elif durable:
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA trusted_schema = OFF")
            self._database.execute("PRAGMA synchronous = EXTRA")  # a commit is on disk, its journal gone
        else:
            address = f"{path.as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._guard = Guard(self._database, path.stat().st_size)
            check_schema(self._database, path)
            check_content(self._database, path, next_id)
            if COPIES:
                self._own()
        if not self._is_saved:
            self._database.execute(ITEMS.replace("TABLE", "TABLE IF NOT EXISTS"))
        if durable and path is not None:
            check_schema(self._database, path)
        if durable:
            self.next_id = self.extent()[1] + 1
        self._add_function()
        table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'names'"
        self._has_names = self._database.execute(table).fetchone() is not None

    @property
    def named(self) -> bool | None:
        """Whether the rows have names; None while the store is empty, since the first row decides."""
        return self._has_names or (None if not self.next_id else False)

    def numbers(self, names: Iterable[Any], done: str) -> list[int]:
        """Convert user ids to row ids: look up names if the store has them, else return the numbers.

        Args:
            names: Ids given by the user.
            done: Participle for the error message, such as "removed".

        Raises:
            ValueError: A name is unknown.
            TypeError: An id is not a string in a store with names, or not an integer in one without.
        """
        if isinstance(names, str):
            raise TypeError(f"ids come as a list, got the single {names!r}")
        if not self.named:
            return [_number(name) for name in names]
        wanted = [checked_name(name) for name in names]
        found = self._known(wanted)
        unknown = [repr(name) for name in wanted if name not in found]
        if unknown:
            raise ValueError(f"the index has no id {listed(unknown, MOST_IDS)}: nothing was {done}")
        return [found[name] for name in wanted]

    def names(self, ids: Iterable[int]) -> dict[int, Any]:
        """Return the user id of each row id: its name, or the number itself if the store has no names."""
        if not self.named:
            return {id: id for id in ids}
        wanted = "SELECT id, name FROM names WHERE id IN (SELECT value FROM json_each(?))"
        return dict(self._query(wanted, (json.dumps(list(ids)),)))

    def split(self, rows: Sequence[Row], names: Sequence[Any]) -> tuple[list[Row], list[Row]]:
        """Name the rows and split them into those whose names are in the store and new ones.

        Raises:
            ValueError: A name is empty or given twice.
            TypeError: A name is not a string.
        """
        named = [row._replace(name=checked_name(name)) for row, name in zip(rows, names, strict=True)]
        _check_distinct([str(row.name) for row in named], "changed")
        found = self._known([str(row.name) for row in named])
        return [row for row in named if row.name in found], [row for row in named if row.name not in found]

    def get(self, id: int) -> tuple[str, dict[str, Any]]:
        """Return the text and the metadata of an id.

        Raises:
            ValueError: There is no such id.
        """
        row = self._row(id)
        if row is None:
            raise ValueError(f"the index has no id {id}")
        return row[0], read_metadata(row[1], self._path, id)

    def get_many(self, ids: Iterable[int]) -> dict[int, tuple[str, dict[str, Any]]]:
        """Return the text and the metadata of each id; unknown ids are left out."""
        wanted = "SELECT id, text, metadata FROM items WHERE id IN (SELECT value FROM json_each(?))"
        rows = self._query(wanted, (json.dumps(list(ids)),))
        return {id: (text, read_metadata(metadata, self._path, id)) for id, text, metadata in rows}

    def ids(self) -> list[int]:
        """Return every id, ascending."""
        return [id for (id,) in self._query("SELECT id FROM items ORDER BY id")]

    def texts(self) -> list[str]:
        """Return every text, in the order of `ids`."""
        return [text for (text,) in self._query("SELECT text FROM items ORDER BY id")]

    def rows(self) -> Iterator[Row]:
        """Yield every row, in the order of `ids`."""
        names = "LEFT JOIN names USING (id)" if self._has_names else ""
        chosen = f"SELECT text, metadata, {'name' if names else 'NULL'} FROM items {names} ORDER BY id"
        yield from map(Row._make, self._query(chosen))

    def matching(self, condition: Filter) -> NDArray[np.int64]:
        """Return the ids whose metadata meet a condition, ascending."""
        read = f"SELECT id, {OBJECTS} AS metadata FROM items"
        query = f"SELECT id FROM ({read}) WHERE {condition.sql} ORDER BY id"
        return np.fromiter((id for (id,) in self._query(query, condition.values)), np.int64)

    def unknown_keys(self, keys: Iterable[str]) -> list[str]:
        """Return those of the metadata keys, or paths of nested ones, that no text has."""
        found = f"SELECT 1 FROM items, json_each({OBJECTS}) WHERE key = ? LIMIT 1"
        inside = f"SELECT 1 FROM items WHERE json_type({OBJECTS}, ?) IS NOT NULL LIMIT 1"
        asked = {key: [(found, key), *((inside, path) for path in [json_path(key)] if path)] for key in keys}
        return [
            key
            for key, queries in asked.items()
            if not any(next(self._query(query, (value,)), None) for query, value in queries)
        ]

    def keys(self) -> list[str]:
        """Return every metadata key, sorted."""
        every = f"SELECT DISTINCT key FROM items, json_each({OBJECTS}) ORDER BY key"
        return [key for (key,) in self._query(every)]

    def extent(self) -> tuple[int, int]:
        """Return the number of rows and the largest id, -1 if there is none.

        Raises:
            StoreError: The file is damaged.
        """
        return next(self._query("SELECT count(*), coalesce(max(id), -1) FROM items"))

    @contextmanager
    def adding(self, rows: Sequence[Row]) -> Iterator[range]:
        """Add rows and yield their new ids; an error inside the block rolls the addition back.

        Raises:
            ValueError: Some rows have names and others have none, or a name is used twice. Nothing is added.
        """
        names = [row.name for row in rows if row.name is not None]
        self._check_new(names, len(rows))
        self._own()
        ids = range(self.next_id, self.next_id + len(rows))
        stored = zip(ids, rows, strict=True)
        with self._database:
            self._database.executemany("INSERT INTO items VALUES (?, ?, ?)", ((id, *row[:2]) for id, row in stored))
            if names:
                self._database.execute(NAMES.replace("TABLE", "TABLE IF NOT EXISTS"))
                self._database.executemany("INSERT INTO names VALUES (?, ?)", zip(ids, names, strict=True))
            yield ids
        self.next_id = ids.stop
        self._has_names = self._has_names or bool(names)

    @contextmanager
    def removing(self, ids: Iterable[int]) -> Iterator[list[int]]:
        """Remove ids and yield them sorted without duplicates; an error inside the block rolls it back.

        Raises:
            ValueError: An id is unknown. Nothing is removed.
        """
        removed = sorted(set(ids))
        self._check_known(removed, "removed")
        self._own()
        with self._database:
            for table in ("items", "names")[: 1 + self._has_names]:
                self._database.executemany(f"DELETE FROM {table} WHERE id = ?", ((id,) for id in removed))
            yield removed

    @contextmanager
    def replacing(self, ids: Sequence[int], rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Replace the rows of ids and yield the old rows; an error inside the block rolls it back.

        Raises:
            ValueError: An id is unknown or given twice. Nothing is replaced.
        """
        self._check_known(ids, "replaced")
        names = self.names(ids)
        _check_distinct([names[id] for id in ids], "replaced")
        old = [Row(*row) for row in map(self._row, ids) if row is not None]
        self._own()
        stored = zip(rows, ids, strict=True)
        with self._database:
            self._database.executemany(
                "UPDATE items SET text = ?, metadata = ? WHERE id = ?", ((*row[:2], id) for row, id in stored)
            )
            yield old

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()

    def save(self, path: Path) -> None:
        """Write the store to a new file; removed rows leave no data in it.

        Raises:
            StoreError: The file cannot be written.
        """
        if self._guard is not None:
            self._guard.start()
        self._database.execute("PRAGMA query_only = OFF")  # forbids writing another file too
        self._database.execute("VACUUM INTO ?", (str(path),))

    def _check_known(self, ids: Sequence[int], done: str) -> None:
        unknown = [str(id) for id in ids if self._row(id) is None]
        if unknown:
            raise ValueError(f"the index has no id {listed(unknown, MOST_IDS)}: nothing was {done}")

    def _check_new(self, names: Sequence[str], rows: int) -> None:
        if rows and self.named is not None and self.named != bool(names):
            raise ValueError(
                "this index numbers its texts itself: leave ids out, or build the index with ids"
                if names
                else "this index was built with ids: give one for each text (--id on the command line)"
            )
        _check_distinct(names, "added")
        there = list(map(repr, self._known(names)))
        if there:
            already = listed(there, MOST_IDS)
            raise ValueError(f"the index already has the id {already}: nothing was added; update replaces texts")

    def _known(self, names: Sequence[str]) -> dict[str, int]:
        if not self._has_names:
            return {}
        wanted = "SELECT name, id FROM names WHERE name IN (SELECT value FROM json_each(?)) ORDER BY id"
        return dict(self._query(wanted, (json.dumps(list(names)),)))

    def _row(self, id: int) -> tuple[str, str] | None:
        if not 0 <= id < self.next_id:
            return None
        return next(self._query("SELECT text, metadata FROM items WHERE id = ?", (int(id),)), None)

    def _query(self, question: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds; a saved database that fails then is damaged."""
        if self._guard is not None:
            self._guard.start()
        try:
            yield from self._database.execute(question, values)
        except StoreError as error:
            if not self._is_saved:
                raise
            raise CorruptFileError(f"{self._path} cannot be read ({error}): restore it from a copy") from error

    def _own(self) -> None:
        if self._is_saved:
            saved, self._database = self._database, _temporary_database()
            saved.backup(self._database)
            saved.close()
            self._is_saved, self._guard = False, None
            self._add_function()

    def _add_function(self) -> None:
        self._database.create_function("without_nan", 1, _without_nan)


def _without_nan(stored: str) -> str:
    try:
        return json.dumps(READ(stored))
    except ValueError:  # damaged
        return "{}"


def _number(name: Any) -> int:
    if isinstance(name, str):
        raise TypeError(f"the ids of this index are numbers, got {name!r}: build it with ids to have others")
    if isinstance(name, bool) or not hasattr(name, "__index__"):
        raise TypeError(f"the ids of this index are whole numbers, got {name!r}")
    return operator.index(name)


def _check_distinct(names: Sequence[Any], done: str) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"the id {twice!r} is given twice: nothing was {done}")


def _temporary_database() -> sqlite3.Connection:
    return sqlite3.connect("", check_same_thread=False)  # an anonymous file, deleted on close
