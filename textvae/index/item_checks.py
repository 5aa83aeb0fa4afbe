"""The database of a saved index, which may be a stranger's: guarded while it is read, and checked before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..storage.errors import CorruptFileError

ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, text TEXT NOT NULL, metadata TEXT NOT NULL)"
NAMES = "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
SCHEMA = {
    ("table", "items", "items", ITEMS),
    ("table", "names", "names", NAMES),
    ("index", "sqlite_autoindex_names_1", "names", None),
}
READ = json.JSONDecoder(parse_constant=lambda nan: None).decode  # NaN and infinity, of older versions, are null
STEP = 100_000  # instructions of SQLite between two looks at the budget
BUDGET, PER_BYTE = 50_000_000, 64  # instructions of a query: some, and so many for each byte of the file
LENGTH, THREADS = 0, 11  # SQLITE_LIMIT_LENGTH and SQLITE_LIMIT_WORKER_THREADS


class Guard:
    """A budget for the queries to a saved database, which stops one that would not end; `start` renews it.

    Args:
        database: The connection; it is set up to read only, and to trust nothing in the schema.
        size: Bytes of its file.
    """

    def __init__(self, database: Any, size: int):
        self._most = (BUDGET + PER_BYTE * size) // STEP
        self._left = self._most
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.setlimit(LENGTH, min((1 << 24) + 4 * size, 1_000_000_000))
        database.setlimit(THREADS, 0)
        database.set_progress_handler(self._spent, STEP)

    def start(self) -> None:
        """Renew the budget, for the next query."""
        self._left = self._most

    def _spent(self) -> bool:
        self._left -= 1
        return self._left < 0


def check_schema(database: Any, path: Path) -> None:
    """Check that a database has our tables and nothing else: no view, trigger, other table or index.

    Raises:
        CorruptFileError: It has something else.
    """
    found = database.execute(f"SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT {len(SCHEMA) + 1}").fetchall()
    have = {(kind, name, table, sql and " ".join(str(sql).split())) for kind, name, table, sql in found}
    names = {row for row in SCHEMA if row[2] == "names"}
    if have not in (SCHEMA, SCHEMA - names):
        other = sorted(f"{kind} {name!r}" for kind, name, *_ in have - SCHEMA)
        wrong = f"it has the {other[0]}" if other else "a table is missing"
        raise CorruptFileError(f"{path} is not a database of texts as textvae makes it: {wrong}; build the index again")


def check_content(database: Any, path: Path, next_id: int) -> None:
    """Check the pages of a database, and the type of every value in it.

    Args:
        database: The connection, whose schema was checked.
        path: Its file, for the message.
        next_id: What the ids must be below.

    Raises:
        CorruptFileError: A page is damaged, a value is of another type, an id out of range, metadata is no JSON
            object, or not every text has a name where some have.
    """
    (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    _require(state == "ok", path, f"its pages are damaged ({state})")
    types = "typeof(id) != 'integer' OR typeof(text) != 'text' OR typeof(metadata) != 'text'"
    wrong, least, last = database.execute(
        f"SELECT coalesce(sum({types}), 0), coalesce(min(id), 0), coalesce(max(id), -1) FROM items"
    ).fetchone()
    _require(not wrong, path, f"{wrong} rows hold values of other types")
    _require(least >= 0 and last < next_id, path, f"ids reach from {least} to {last}, and the next one is {next_id}")
    plain = "CASE WHEN json_valid(metadata) THEN json_type(metadata) = 'object' ELSE 0 END"
    unusual = f"SELECT id, metadata FROM items WHERE metadata != '{{}}' AND NOT {plain}"
    for id, metadata in database.execute(unusual):  # NaN is no JSON to SQLite
        read_metadata(metadata, path, id)
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'names'").fetchone():
        _check_names(database, path)


def read_metadata(metadata: str, path: Path | None, id: int) -> dict[str, Any]:
    """Return the metadata of a row.

    Raises:
        CorruptFileError: It is not a JSON object.
    """
    if metadata == "{}":
        return {}
    try:
        content = READ(metadata)
    except (ValueError, RecursionError):
        content = None
    _require(isinstance(content, dict), path, f"the metadata of the id {id} is not a JSON object")
    return content


def _check_names(database: Any, path: Path) -> None:
    rows, named, wrong = database.execute(
        "SELECT count(*), count(name), coalesce(sum(typeof(name) != 'text' OR name = '' OR instr(name, char(0))), 0) "
        "FROM items LEFT JOIN names USING (id)"
    ).fetchone()
    (names,) = database.execute("SELECT count(*) FROM names").fetchone()
    _require(rows == named == names, path, f"{rows} texts have {names} ids of their own")
    _require(not wrong, path, f"{wrong} ids are no texts, empty, or have a NUL character")


def _require(holds: bool, path: Path | None, wrong: str) -> None:
    if not holds:
        raise CorruptFileError(
            f"{path or 'the index'} cannot be used: {wrong}; restore it from a copy or build it again"
        )
