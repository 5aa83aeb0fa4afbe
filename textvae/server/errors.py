"""Errors in the shape of OpenAI's: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..storage.errors import CorruptFileError
from .answers import Json
from .batcher import Cancelled

logger = logging.getLogger("textvae")

TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 408: "timeout_error",
    409: "conflict_error", 429: "rate_limit_error", 500: "server_error", 507: "server_error",
}  # fmt: skip
TOO_LARGE = {"too_long", "string_too_long"}  # errors of pydantic that are answered with 413


class ApiError(Exception):
    """A refusal.

    Args:
        status: HTTP status.
        message: One line: what was wrong, what came, what to do.
        param: Field of the request.
        code: Word for programs.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, dict(headers or {})

    def answer(self) -> Response:
        """Return the answer."""
        return Json(self.content(), self.status, self.headers)

    def content(self) -> dict[str, Any]:
        """Return the body."""
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def busy(message: str = "the server is busy: try again later") -> ApiError:
    """Return the error of a full queue, with the second after which to try again."""
    return ApiError(429, message, code="queue_full", headers={"Retry-After": "1"})


def too_slow(seconds: float) -> ApiError:
    """Return the error of a request that took longer than the time limit; clients do not repeat a 422."""
    return ApiError(422, f"the request took longer than {seconds:g} seconds: ask for less", code="time_limit")


def explained(error: BaseException) -> ApiError:
    """Return any error as an answer; those that are no fault of the request are logged."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Cancelled):
        return ApiError(503, "the server is stopping: try again later", code="stopping")
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, (ValueError, TypeError)) and not isinstance(error, CorruptFileError):
        return ApiError(422, str(error) or type(error).__name__, code="invalid_value")
    logger.error("a request failed: %s: %s", type(error).__name__, error, exc_info=error)
    return ApiError(500, f"the server failed ({type(error).__name__}): its log says why", code="internal_error")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of an app in this shape."""

    async def handle(request: Request, error: Exception) -> Response:
        return explained(error).answer()

    for kind in (ApiError, RequestValidationError, HTTPException, ValueError, TypeError, Exception):
        app.add_exception_handler(kind, handle)


def _invalid(error: RequestValidationError) -> ApiError:
    first: Mapping[str, Any] = next(iter(error.errors()), {"type": "", "msg": "invalid request", "loc": ()})
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = ".".join(place)[:200] or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {message}", code="invalid_json")
    where = f"{param}: " if param else ""
    return ApiError(
        413 if first["type"] in TOO_LARGE else 422, where + message, param=param, code=first["type"] or None
    )
