"""What the routes share: the workspace of a request, and the errors that every route may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ..answers import Json
from ..events import Events
from ..schemas.fields import Error
from ..workspace import Workspace

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": description}
    for status, description in {
        400: "Not JSON, or not HTTP",
        401: "No key, or a wrong one",
        403: "The server is read-only",
        404: "No such model, index, attribute, id or route",
        405: "No such method",
        408: "The body did not arrive in time",
        409: "The name is taken, or another process has written",
        413: "Too large",
        422: "A field is wrong, or the request takes too long",
        429: "The server is busy: see Retry-After",
        431: "Too many headers",
        500: "The server failed",
        507: "No room on the disk",
    }.items()
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON object, or with `stream` an event for each text, then one with the data [DONE]",
        "content": {"text/event-stream": {}},
    }
}


def workspace(request: Request) -> Workspace:
    """Return the workspace of the app."""
    found: Workspace = request.app.state.workspace
    return found


async def answer(request: Request, function: Callable[[], Any]) -> Response:
    """Run a function in a thread and answer its result as JSON."""
    return Json(await workspace(request).workers.run(function))


def streamed(request: Request, results: Callable[[], Iterable[dict[str, Any]]]) -> Response:
    """Run a generator in a thread and stream its results."""
    return Events(workspace(request).workers.stream(results))
