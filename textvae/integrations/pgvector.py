"""PostgreSQL with the extension pgvector, by psycopg."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.conditions import Condition
from .engines import Neighbour, Record, needs
from .facets import Order, facets_of, translated

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import sql
    from psycopg.types.json import Json, Jsonb
except ImportError as error:
    raise needs("psycopg and pgvector", "pgvector", "pgvector") from error

OPERATORS = {True: "<#>", False: "<->"}  # negated inner product, Euclidean distance
PAGE = 10_000  # rows that a cursor fetches at once


class PgvectorEngine:
    """A table: id, text, metadata (json), digest, terms (text[]), facets (jsonb) and embedding (vector).

    Searches scan the table unless it gets an index by `CREATE INDEX ... USING hnsw`.
    """

    name = "pgvector"
    errors = (psycopg.Error, OSError)
    most_hits = None

    def __init__(self, place: str, collection: str):
        self._connection = psycopg.connect(place, autocommit=True)
        self._name, self._table = collection, sql.Identifier(collection)
        self.about: dict[str, Any] | None = None
        found = self._connection.execute("SELECT to_regclass(%s)", [f'"{collection}"']).fetchone()
        if found and found[0]:
            comment = self._connection.execute(
                "SELECT obj_description(%s::regclass, 'pg_class')", [f'"{collection}"']
            ).fetchone()
            self.about = json.loads(comment[0]) if comment and str(comment[0]).startswith("{") else {}
            register_vector(self._connection)

    def create(self, about: dict[str, Any], width: int, inner_product: bool) -> None:
        """Create the table, and an index of its terms."""
        with self._connection.transaction():
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            self._run(
                "CREATE TABLE {table} (id text PRIMARY KEY, text text NOT NULL, metadata json NOT NULL, "
                "digest text NOT NULL, terms text[] NOT NULL, facets jsonb NOT NULL, "
                "embedding vector({width}) NOT NULL)",
                width=sql.Literal(width),
            )
            self._run("CREATE INDEX ON {table} USING gin (terms)")
            self._run("COMMENT ON TABLE {table} IS {about}", about=sql.Literal(json.dumps(about)))
        register_vector(self._connection)
        self.about = about

    def upsert(self, records: Sequence[Record]) -> None:
        """Store items in one transaction."""
        rows = [
            (
                record.key,
                record.text,
                Json(dict(record.metadata)),
                record.digest,
                facets.terms,
                Jsonb(facets.ordered),
                record.vector,
            )
            for record in records
            for facets in [facets_of(record.metadata)]
        ]
        statement = sql.SQL(
            "INSERT INTO {table} (id, text, metadata, digest, terms, facets, embedding) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET text = excluded.text, "
            "metadata = excluded.metadata, digest = excluded.digest, terms = excluded.terms, "
            "facets = excluded.facets, embedding = excluded.embedding"
        ).format(table=self._table)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove items."""
        self._run("DELETE FROM {table} WHERE id = ANY(%s)", [list(keys)])

    def fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return texts and metadata."""
        rows = self._run("SELECT id, text, metadata FROM {table} WHERE id = ANY(%s)", [list(keys)])
        return {id: (text, metadata) for id, text, metadata in rows}

    def digests(self, keys: Sequence[str]) -> dict[str, str]:
        """Return digests."""
        return dict(self._run("SELECT id, digest FROM {table} WHERE id = ANY(%s)", [list(keys)]).fetchall())

    def keys(self) -> Iterator[str]:
        """Yield every key from a cursor of the server."""
        with self._connection.transaction(), self._connection.cursor("keys") as cursor:
            cursor.itersize = PAGE
            cursor.execute(sql.SQL("SELECT id FROM {table}").format(table=self._table))
            yield from (id for (id,) in cursor)

    def nearest(self, queries: NDArray[np.float32], k: int, condition: Condition | None) -> list[list[Neighbour]]:
        """Return neighbours, one statement a query."""
        inner_product = bool((self.about or {}).get("metric") == "cosine")
        dialect = _Dialect()
        where = sql.SQL("true") if condition is None else translated(condition, dialect)
        statement = sql.SQL(
            "SELECT id, embedding {op} %s AS distance, text, metadata FROM {table} WHERE {where} "
            "ORDER BY distance LIMIT %s"
        ).format(op=sql.SQL(OPERATORS[inner_product]), table=self._table, where=where)
        answers = [self._connection.execute(statement, [query, *dialect.values, k]).fetchall() for query in queries]
        return [
            [
                Neighbour(id, -distance if inner_product else distance**2, text, metadata)
                for id, distance, text, metadata in rows
            ]
            for rows in answers
        ]

    def __len__(self) -> int:
        row = self._run("SELECT count(*) FROM {table}").fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, statement: str, values: Sequence[Any] = (), **parts: sql.Composable) -> psycopg.Cursor[Any]:
        composed = sql.SQL(statement).format(table=self._table, **parts)  # type: ignore[arg-type]
        return self._connection.execute(composed, values or None)


class _Dialect:
    engine = "pgvector"

    def __init__(self) -> None:
        self.values: list[Any] = []

    def holds_any(self, terms: list[str]) -> sql.Composable:
        self.values.append(terms)
        return sql.SQL("terms && %s::text[]")

    def compares(self, order: Order, path: str, sign: str, value: float | str) -> sql.Composable:
        self.values += [order, path, value]
        left = "(facets->%s->>%s)"
        typed = f'{left} COLLATE "C" {sign} %s' if order == "texts" else f"{left}::float8 {sign} %s"
        return sql.SQL(f"coalesce({typed}, false)")  # type: ignore[arg-type]

    def has_part(self, path: str, part: str) -> sql.Composable:
        self.values += [part, path]
        return sql.SQL("coalesce(position(%s IN facets->'texts'->>%s) > 0, false)")

    def joined(self, word: str, parts: list[sql.Composable]) -> sql.Composable:
        return sql.SQL("({})").format(sql.SQL(f" {word.upper()} ").join(parts))  # type: ignore[arg-type]

    def negated(self, part: sql.Composable) -> sql.Composable:
        return sql.SQL("(NOT {})").format(part)
