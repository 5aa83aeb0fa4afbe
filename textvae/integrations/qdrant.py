"""Qdrant, by its own client: a server, or its local mode in a folder or in memory."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.conditions import Condition
from .engines import Neighbour, Record, needs
from .facets import Order, facets_of, kind_term, refuse, translated

try:
    from qdrant_client import QdrantClient
    from qdrant_client import models as q
    from qdrant_client.http.exceptions import ApiException, ResponseHandlingException
except ImportError as error:
    raise needs("qdrant-client", "qdrant", "Qdrant") from error

RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
PAGE = 1000  # points of one request
ABOUT = "textvae"


class QdrantEngine:
    """A collection of Qdrant. Payloads hold id, text, metadata, and the facets that conditions compare."""

    name = "Qdrant"
    errors = (ApiException, ResponseHandlingException, OSError, RuntimeError)
    most_hits = None

    def __init__(self, place: str, collection: str):
        remote = "://" in place
        self._local = not remote
        if remote:
            self._client = QdrantClient(url=place, api_key=os.environ.get("QDRANT_API_KEY"))
        else:
            self._client = QdrantClient(place) if place == ":memory:" else QdrantClient(path=place)
        self._collection = collection
        self.about: dict[str, Any] | None = None
        if self._client.collection_exists(collection):
            held = self._client.get_collection(collection).config.metadata or {}
            self.about = held.get(ABOUT, {})

    def create(self, about: dict[str, Any], width: int, inner_product: bool) -> None:
        """Create the collection, with an index of the terms on a server."""
        distance = q.Distance.DOT if inner_product else q.Distance.EUCLID
        self._client.create_collection(
            self._collection, vectors_config=q.VectorParams(size=width, distance=distance), metadata={ABOUT: about}
        )
        if not self._local:
            self._client.create_payload_index(self._collection, "terms", q.PayloadSchemaType.KEYWORD)
        self.about = about

    def upsert(self, records: Sequence[Record]) -> None:
        """Store items under UUIDs made of their keys, since Qdrant takes no strings as ids."""
        points = []
        for record in records:
            facets = facets_of(record.metadata)
            payload: dict[str, Any] = {
                "id": record.key,
                "text": record.text,
                "metadata": dict(record.metadata),
                "digest": record.digest,
                "terms": facets.terms,
            }
            payload |= {str(order): held for order, held in facets.ordered.items()}
            points.append(q.PointStruct(id=_point(record.key), vector=record.vector.tolist(), payload=payload))
        self._client.upsert(self._collection, points, wait=True)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove items."""
        self._client.delete(self._collection, q.PointIdsList(points=[_point(key) for key in keys]), wait=True)

    def fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return texts and metadata."""
        held = self._payloads(keys, ["id", "text", "metadata"])
        return {each["id"]: (each["text"], each["metadata"]) for each in held}

    def digests(self, keys: Sequence[str]) -> dict[str, str]:
        """Return digests."""
        return {each["id"]: each["digest"] for each in self._payloads(keys, ["id", "digest"])}

    def keys(self) -> Iterator[str]:
        """Yield every key, page by page."""
        offset: Any = None
        while True:
            points, offset = self._client.scroll(self._collection, limit=PAGE, offset=offset, with_payload=["id"])
            yield from (str((point.payload or {})["id"]) for point in points)
            if offset is None:
                return

    def nearest(self, queries: NDArray[np.float32], k: int, condition: Condition | None) -> list[list[Neighbour]]:
        """Return neighbours; Qdrant gives distances, which are squared here."""
        chosen = None if condition is None else _as_filter(translated(condition, _Dialect(self._has_texts)))
        requests = [
            q.QueryRequest(query=query.tolist(), limit=k, filter=chosen, with_payload=["id", "text", "metadata"])
            for query in queries
        ]
        squared = (self.about or {}).get("metric") != "cosine"
        return [
            [_neighbour(point, squared) for point in answer.points]
            for answer in self._client.query_batch_points(self._collection, requests)
        ]

    def __len__(self) -> int:
        return self._client.count(self._collection, exact=True).count

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _payloads(self, keys: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        wanted: list[Any] = [_point(key) for key in keys]
        return [point.payload or {} for point in self._client.retrieve(self._collection, wanted, with_payload=fields)]

    def _has_texts(self, path: str) -> bool:
        kind = q.Filter(must=[_Dialect(None).holds_any([kind_term("texts", path)])])
        return self._client.count(self._collection, count_filter=kind, exact=True).count > 0


class _Dialect:
    engine = "Qdrant"

    def __init__(self, has_texts: Any):
        self._has_texts = has_texts

    def holds_any(self, terms: list[str]) -> Any:
        return q.FieldCondition(key="terms", match=q.MatchAny(any=terms))

    def compares(self, order: Order, path: str, sign: str, value: float | str) -> Any:
        if order == "texts":
            raise refuse(self.engine, f"the order of texts ({path} {sign} {value!r})")
        if '"' in path.strip('"') or "\\" in path:
            raise refuse(self.engine, f"the order of values whose key has quotes ({path})")
        key = path if path.startswith('"') else f'"{path}"'
        return q.FieldCondition(key=f"{order}.{key}", range=q.Range(**{RANGES[sign]: float(value)}))

    def has_part(self, path: str, part: str) -> Any:
        if self._has_texts(path):
            raise refuse(self.engine, f"a part of a text ({path} contains {part!r}); a member of a list it finds")
        return q.HasIdCondition(has_id=[])

    def joined(self, word: str, parts: list[Any]) -> Any:
        return q.Filter(must=parts) if word == "and" else q.Filter(should=parts)

    def negated(self, part: Any) -> Any:
        return q.Filter(must_not=[part])


def _as_filter(condition: Any) -> q.Filter:
    return condition if isinstance(condition, q.Filter) else q.Filter(must=[condition])


def _neighbour(point: Any, squared: bool) -> Neighbour:
    held = point.payload
    return Neighbour(held["id"], point.score**2 if squared else point.score, held["text"], held["metadata"])


def _point(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key))
