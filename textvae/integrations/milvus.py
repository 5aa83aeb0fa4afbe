"""Milvus, by its own client: a server, or a file of Milvus Lite."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.conditions import Condition
from .engines import Neighbour, Record, needs
from .facets import Order, facets_of, kind_term, refuse, translated

try:
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError as error:
    raise needs("pymilvus", "milvus", "Milvus") from error

MOST_BYTES = 65_535  # of a VARCHAR and of a JSON field
PAGE = 1000  # rows of one request
ABOUT = "textvae.about"


class MilvusEngine:
    """A collection of Milvus, strongly consistent: searches find what was written before."""

    name = "Milvus"
    errors = (MilvusException, OSError)
    most_hits = 16_384

    def __init__(self, place: str, collection: str):
        token = os.environ.get("MILVUS_TOKEN", "") if "://" in place else ""
        self._client = MilvusClient(place, token=token)
        self._collection = collection
        self.about: dict[str, Any] | None = None
        if self._client.has_collection(collection):
            held = self._client.describe_collection(collection)
            written = (held.get("properties") or {}).get(ABOUT) or held.get("description") or "{}"
            self.about = json.loads(written) if written.startswith("{") else {}
            self._client.load_collection(collection)

    def create(self, about: dict[str, Any], width: int, inner_product: bool) -> None:
        """Create the collection, whose index Milvus chooses."""
        written = json.dumps(about)
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False, description=written)
        schema.add_field("id", DataType.VARCHAR, max_length=MOST_BYTES, is_primary=True)
        schema.add_field("text", DataType.VARCHAR, max_length=MOST_BYTES)
        schema.add_field("digest", DataType.VARCHAR, max_length=64)
        schema.add_field("metadata", DataType.JSON)
        schema.add_field("facets", DataType.JSON)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP" if inner_product else "L2")
        self._client.create_collection(
            self._collection,
            schema=schema,
            index_params=index,
            consistency_level="Strong",
            properties={ABOUT: written},
        )
        self.about = about

    def upsert(self, records: Sequence[Record]) -> None:
        """Store items."""
        rows = [
            {
                "id": _fits(record.key, "id", record.key),
                "text": _fits(record.text, "text", record.key),
                "digest": record.digest,
                "metadata": dict(record.metadata),
                "facets": facets.ordered | {"terms": facets.terms},
                "vector": record.vector.tolist(),
            }
            for record in records
            for facets in [facets_of(record.metadata)]
        ]
        self._client.upsert(self._collection, rows)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove items."""
        self._client.delete(self._collection, ids=list(keys))

    def fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return texts and metadata."""
        rows = self._rows(keys, ["id", "text", "metadata"])
        return {row["id"]: (row["text"], _json(row["metadata"])) for row in rows}

    def digests(self, keys: Sequence[str]) -> dict[str, str]:
        """Return digests."""
        return {row["id"]: row["digest"] for row in self._rows(keys, ["id", "digest"])}

    def keys(self) -> Iterator[str]:
        """Yield every key in order, page by page."""
        last = ""
        while True:
            rows = self._client.query(
                self._collection, filter=f"id > {_literal(last)}", output_fields=["id"], limit=PAGE
            )
            if not rows:
                return
            yield from (row["id"] for row in rows)
            last = max(row["id"] for row in rows)

    def nearest(self, queries: NDArray[np.float32], k: int, condition: Condition | None) -> list[list[Neighbour]]:
        """Return neighbours."""
        found = self._client.search(
            self._collection,
            data=queries.tolist(),
            limit=k,
            filter="" if condition is None else translated(condition, _Dialect(self._has_texts)),
            output_fields=["id", "text", "metadata"],
        )
        return [
            [
                Neighbour(hit["id"], hit["distance"], hit["entity"]["text"], _json(hit["entity"]["metadata"]))
                for hit in hits
            ]
            for hits in found
        ]

    def __len__(self) -> int:
        return int(self._client.query(self._collection, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _has_texts(self, path: str) -> bool:
        kind = _Dialect(None).holds_any([kind_term("texts", path)])
        return bool(self._client.query(self._collection, filter=kind, output_fields=["id"], limit=1))

    def _rows(self, keys: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        return list(self._client.get(self._collection, ids=list(keys), output_fields=fields)) if keys else []


class _Dialect:
    engine = "Milvus"

    def __init__(self, has_texts: Any):
        self._has_texts = has_texts

    def holds_any(self, terms: list[str]) -> str:
        return f'json_contains_any(facets["terms"], [{", ".join(map(_literal, terms))}])'

    def compares(self, order: Order, path: str, sign: str, value: float | str) -> str:
        at = f"facets[{_literal(order)}][{_literal(path)}]"
        there = self.holds_any([kind_term(order, path)])
        return f"({there} and {at} {sign} {_literal(value) if isinstance(value, str) else repr(value)})"

    def has_part(self, path: str, part: str) -> str:
        some = self.holds_any([kind_term("texts", path)])
        if not self._has_texts(path):  # servers before 2.4 refuse any pattern that begins with %
            return some
        if set(part) & set("%_\\"):
            raise refuse(self.engine, f"a part of a text that has %, _ or \\ in it ({part!r})")
        at = f'facets["texts"][{_literal(path)}]'
        return f"({some} and {at} like {_literal(f'%{part}%')})"

    def joined(self, word: str, parts: list[str]) -> str:
        return f"({f' {word} '.join(parts)})"

    def negated(self, part: str) -> str:
        return f"(not ({part}))"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json(value: Any) -> dict[str, Any]:
    held = json.loads(value) if isinstance(value, str | bytes) else value
    return dict(held)


def _fits(value: str, what: str, key: str) -> str:
    size = len(value.encode())
    if size > MOST_BYTES:
        raise ValueError(f"Milvus stores a {what} of at most {MOST_BYTES:,} bytes, that of {key[:40]!r} has {size:,}")
    return value
