"""Answers that stream: server-sent events, one text at a time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from .errors import explained

EVENTS = b"text/event-stream"


class Events(StreamingResponse):
    """Server-sent events: `data: JSON` for each result, `data: [DONE]` at the end, as OpenAI streams."""

    def __init__(self, results: AsyncIterator[dict[str, Any]]):
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_lines(results), headers=headers, media_type=EVENTS.decode())


def error_event(error: BaseException) -> bytes:
    """Return the event that ends a stream early."""
    return b"event: error\ndata: " + json.dumps(explained(error).content()).encode() + b"\n\n"


async def _lines(results: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        async for result in results:
            yield b"data: " + json.dumps(result, allow_nan=False, separators=(",", ":")).encode() + b"\n\n"
    except Exception as error:
        yield error_event(error)
        return
    yield b"data: [DONE]\n\n"
