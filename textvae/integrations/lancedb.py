"""LanceDB, by its own client: tables in a folder or an object store."""

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
    import lancedb
    import pyarrow as pa
except ImportError as error:
    raise needs("lancedb", "lancedb", "LanceDB") from error

ABOUT = b"textvae"
EVERY = 2**31 - 1  # rows of a query without a limit of its own


class LanceEngine:
    """A table of LanceDB. Searches scan it unless it gets an index by `create_index`.

    Every upsert makes a version of the table; `optimize` merges the files of many.
    """

    name = "LanceDB"
    errors = (OSError, RuntimeError)
    most_hits = None

    def __init__(self, place: str, collection: str):
        self._database = lancedb.connect(place)
        self._collection = collection
        self.about: dict[str, Any] | None = None
        if collection in self._names():
            self._table = self._database.open_table(collection)
            held = (self._table.schema.metadata or {}).get(ABOUT, b"{}")
            self.about = json.loads(held)

    def create(self, about: dict[str, Any], width: int, inner_product: bool) -> None:
        """Create the table."""
        self._table = self._database.create_table(
            self._collection,
            schema=_schema(width).with_metadata({ABOUT: json.dumps(about).encode()}),
        )
        self.about = about

    def upsert(self, records: Sequence[Record]) -> None:
        """Store items in one commit."""
        facets = [facets_of(record.metadata) for record in records]
        columns = {
            "id": [record.key for record in records],
            "text": [record.text for record in records],
            "metadata": [json.dumps(dict(record.metadata)) for record in records],
            "digest": [record.digest for record in records],
            "terms": [each.terms for each in facets],
            "facets": [json.dumps(each.ordered) for each in facets],
            "vector": [record.vector for record in records],
        }
        schema = _schema(self._table.schema.field("vector").type.list_size)
        table = pa.table({name: pa.array(column, schema.field(name).type) for name, column in columns.items()}, schema)
        self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(table)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove items."""
        if keys:
            self._table.delete(_among("id", keys))

    def fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return texts and metadata."""
        rows = self._rows(keys, ["id", "text", "metadata"])
        return {row["id"]: (row["text"], json.loads(row["metadata"])) for row in rows}

    def digests(self, keys: Sequence[str]) -> dict[str, str]:
        """Return digests."""
        return {row["id"]: row["digest"] for row in self._rows(keys, ["id", "digest"])}

    def keys(self) -> Iterator[str]:
        """Yield every key."""
        for batch in self._table.search().select(["id"]).limit(EVERY).to_batches():
            yield from batch["id"].to_pylist()

    def nearest(self, queries: NDArray[np.float32], k: int, condition: Condition | None) -> list[list[Neighbour]]:
        """Return neighbours, the condition applied before the search."""
        inner_product = bool((self.about or {}).get("metric") == "cosine")
        where = None if condition is None else translated(condition, _Dialect())
        answers = []
        for query in queries:
            search: Any = self._table.search(query)
            search = search.distance_type("dot" if inner_product else "l2")
            search = search if where is None else search.where(where, prefilter=True)
            rows = search.select(["id", "text", "metadata", "_distance"]).limit(k).to_list()
            answers.append([_neighbour(row, inner_product) for row in rows])
        return answers

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def close(self) -> None:
        """Do nothing: the client holds no connection."""

    def _rows(self, keys: Sequence[str], columns: list[str]) -> list[dict[str, Any]]:
        if not keys:
            return []
        return list(self._table.search().where(_among("id", keys)).select(columns).limit(len(keys)).to_list())

    def _names(self) -> list[str]:
        held = self._database.list_tables()
        return list(getattr(held, "tables", held))


class _Dialect:
    engine = "LanceDB"

    def holds_any(self, terms: list[str]) -> str:
        return f"array_has_any(terms, make_array({', '.join(map(_literal, terms))}))"

    def compares(self, order: Order, path: str, sign: str, value: float | str) -> str:
        read = "json_get_string" if order == "texts" else "json_get_float"
        at = f"{read}(json_get(facets, '{order}'), {_literal(path)})"
        return f"coalesce({at} {sign} {_literal(value) if isinstance(value, str) else repr(value)}, false)"

    def has_part(self, path: str, part: str) -> str:
        at = f"json_get_string(json_get(facets, 'texts'), {_literal(path)})"
        return f"coalesce(contains({at}, {_literal(part)}), false)"

    def joined(self, word: str, parts: list[str]) -> str:
        return f"({f' {word} '.join(parts)})"

    def negated(self, part: str) -> str:
        return f"(not ({part}))"


def _schema(width: int) -> pa.Schema:
    return pa.schema(
        {
            "id": pa.string(),
            "text": pa.string(),
            "metadata": pa.string(),
            "digest": pa.string(),
            "terms": pa.list_(pa.string()),
            "facets": pa.json_(),
            "vector": pa.list_(pa.float32(), width),
        }
    )


def _neighbour(row: dict[str, Any], inner_product: bool) -> Neighbour:
    distance = row["_distance"]
    return Neighbour(row["id"], 1 - distance if inner_product else distance, row["text"], json.loads(row["metadata"]))


def _among(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(_literal, values))})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
