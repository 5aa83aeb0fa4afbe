"""Whether the server lives and is ready, what it has, and what it measures."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from starlette.responses import Response

from ... import __version__
from ..answers import Json
from ..schemas.items import Health, Info
from .attributes import described
from .common import workspace

router = APIRouter(tags=["Server"])


@router.get("/health", response_model=Health)
async def health() -> Response:
    """Answer as long as the process lives."""
    return Json({"status": "ok"})


@router.get("/ready", response_model=Health, responses={503: {"model": Health, "description": "Not now"}})
async def ready(request: Request) -> Response:
    """Answer 200 when requests are taken, 503 while the server stops."""
    return Json({"status": "stopping"}, 503) if request.app.state.stopping else Json({"status": "ok"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return metrics in the format of Prometheus."""
    content, kind = request.app.state.metrics.render()
    return Response(content, media_type=kind)


@router.get("/v1/info", response_model=Info)
async def info(request: Request) -> Response:
    """Describe the model, the indexes, the attributes and the limits."""
    space = workspace(request)
    indexes = [
        {
            "name": name,
            "size": len(served.index),
            "metric": served.index.metric,
            "metadata_fields": served.fields,
        }
        for name, served in space.indexes.items()
    ]
    return Json(
        space.facts()
        | {
            "version": __version__,
            "indexes": indexes,
            "attributes": [described(*each) for each in space.attributes.items()],
            "limits": asdict(space.limits),
        }
    )
