"""Indexes: search, and items listed, added, replaced and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ...index import LatentIndex
from ..answers import Json
from ..errors import ApiError
from ..limits import HITS
from ..schemas.fields import Id
from ..schemas.items import Changed, Hits, Items, ItemsAdded, ItemsPut, NamedItem, NewItem, SearchAsked
from ..served_index import Change, ServedIndex
from .common import answer, workspace

router = APIRouter(prefix="/v1/indexes/{name}", tags=["Indexes"])
Ids = Annotated[list[Id], Query(min_length=1, max_length=HITS)]


@router.post("/search", response_model=Hits)
async def search(request: Request, name: str, asked: SearchAsked) -> Response:
    """Return the texts of an index that are nearest to a text or a vector."""
    space = workspace(request)
    served = space.index(name)
    if (asked.text is None) == (asked.vector is None):
        raise ApiError(422, "give either text or vector", param="text", code="invalid_value")
    query: Any = asked.text if asked.text is not None else np.array(asked.vector, np.float32)

    def found() -> dict[str, Any]:
        index = served.index
        hits = index.search(query, asked.k, where=asked.where)
        shown = {"hits": [hit._asdict() for hit in hits], "blend": None}
        return shown | {"blend": index.blend(hits)} if asked.blend else shown

    return await answer(request, found)


@router.get("/items", response_model=Items)
async def items(
    request: Request,
    name: str,
    ids: Annotated[list[Id] | None, Query(max_length=HITS)] = None,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=HITS)] = 100,
) -> Response:
    """Return items by id, or a page of all, in the order in which they were added."""
    served = workspace(request).index(name)

    def listed() -> dict[str, Any]:
        wanted = served.ids[offset : offset + limit] if ids is None else [served.item_id(id) for id in ids]
        return {"items": [_item(served.index, id) for id in wanted], "total": len(served.index)}

    return await answer(request, listed)


@router.post("/items", response_model=Changed)
async def add(request: Request, name: str, asked: ItemsAdded) -> Response:
    """Add texts; answered when they are on disk. With ids if the index was built with ids, else without."""
    given = [item.id for item in asked.items if item.id is not None]
    if given and len(given) < len(asked.items):
        raise ApiError(422, "some items have an id and others have none", param="items", code="invalid_value")
    texts, metadata = _parts(asked.items)
    ids = list(map(str, given)) or None
    return await _change(request, name, texts, lambda index: index.add(texts, metadata, ids=ids))


@router.put("/items", response_model=Changed)
async def put(request: Request, name: str, asked: ItemsPut) -> Response:
    """Replace the texts of ids, and add those of new ids; answered when they are on disk."""
    served = workspace(request).index(name)
    ids = [served.item_id(item.id) for item in asked.items]
    texts, metadata = _parts(asked.items)

    def change(index: LatentIndex) -> list[Any]:
        index.upsert(ids, texts, metadata)
        return ids

    return await _change(request, name, texts, change)


@router.delete("/items", response_model=Changed)
async def remove(request: Request, name: str, ids: Ids) -> Response:
    """Remove texts by id; answered when that is on disk."""
    served = workspace(request).index(name)
    gone = [served.item_id(id) for id in ids]

    def change(index: LatentIndex) -> list[Any]:
        index.remove(gone)
        return gone

    return await _change(request, name, [], change)


async def _change(request: Request, name: str, texts: Sequence[str], change: Change) -> Response:
    space = workspace(request)
    served: ServedIndex = space.index(name)
    space.check_writable()
    space.check_size(texts)
    ids = await asyncio.shield(asyncio.wrap_future(served.change(change)))
    return Json({"ids": ids, "total": len(served.index)})


def _parts(items: Sequence[NewItem | NamedItem]) -> tuple[list[str], list[dict[str, Any]]]:
    return [item.text for item in items], [item.metadata for item in items]


def _item(index: LatentIndex, id: Any) -> dict[str, Any]:
    try:
        text, metadata = index.get(id)
    except ValueError as error:
        raise ApiError(404, str(error), param="ids", code="no_id") from None
    return {"id": id, "text": text, "metadata": metadata}
