"""The map of an index, and where a text lies on it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...index.distances import embedded
from ..schemas.maps import MapAnswer, PlaceAnswer, PlaceAsked
from .common import answer, workspace

router = APIRouter(prefix="/v1/indexes/{name}", tags=["Indexes"])


@router.get("/map", response_model=MapAnswer)
async def map(request: Request, name: str) -> Response:
    """Return the texts of an index in two dimensions.

    While `pending` is true, a better map is being computed: ask again.
    """
    space = workspace(request)
    drawn = space.map(name)
    return Response(await space.workers.run(drawn.answer), media_type="application/json")


@router.post("/place", response_model=PlaceAnswer)
async def place(request: Request, name: str, asked: PlaceAsked) -> Response:
    """Return where a text lies on the map of an index, its neighbours, and how familiar the model is with it."""
    space = workspace(request)
    served, drawn = space.index(name), space.map(name)

    def placed() -> dict[str, Any]:
        index = served.index
        vector = embedded(space.vae, [asked.text], index.metric)
        point = drawn.place(vector[0])
        hits = index.search(vector, asked.k, where=asked.where)[0]
        return {
            "x": None if point is None else point[0],
            "y": None if point is None else point[1],
            "neighbours": [hit._asdict() for hit in hits],
            "familiarity": float(space.vae.familiarity([asked.text])[0]) if space.writes else None,
            "calibrated": space.vae.calibration is not None,
        }

    return await answer(request, placed)
