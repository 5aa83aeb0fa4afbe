"""POST /v1/embeddings and GET /v1/models, as OpenAI has them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...latent.geometry import Array
from ..answers import Json
from ..errors import ApiError
from ..schemas.openai import Embeddings, EmbeddingsAsked, Model, Models
from ..work import batched
from ..workspace import Workspace
from .common import workspace

router = APIRouter(prefix="/v1", tags=["OpenAI"])


@router.get("/models", response_model=Models)
async def models(request: Request) -> Response:
    """List the model of this server."""
    return Json({"object": "list", "data": [_model(workspace(request))]})


@router.get("/models/{model}", response_model=Model)
async def model(request: Request, model: str) -> Response:
    """Describe a model."""
    _check_name(workspace(request), model)
    return Json(_model(workspace(request)))


@router.post("/embeddings", response_model=Embeddings)
async def embeddings(request: Request, asked: EmbeddingsAsked) -> Response:
    """Embed texts. The vectors are those of `TextVAE.encode`: not scaled to length 1."""
    space = workspace(request)
    _check_name(space, asked.model)
    size = asked.dimensions or space.vae.dim
    if size > space.vae.dim:
        raise ApiError(
            422, f"dimensions is {size}, the model has {space.vae.dim}", param="dimensions", code="invalid_value"
        )
    space.check_size(asked.input)
    found = await batched(lambda: space.vae.encoding(asked.input))
    show: Callable[[Array], Any] = _as_base64 if asked.encoding_format == "base64" else _as_numbers
    tokens = sum(count for _, count in found)
    data = [{"object": "embedding", "index": i, "embedding": show(mean[:size])} for i, (mean, _) in enumerate(found)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Json({"object": "list", "data": data, "model": space.name, "usage": usage})


def _as_numbers(mean: Array) -> list[float]:
    return mean.tolist()


def _as_base64(mean: Array) -> str:
    return base64.b64encode(mean.astype("<f4").tobytes()).decode("ascii")


def _model(space: Workspace) -> dict[str, Any]:
    return {"id": space.name, "object": "model", "created": space.created, "owned_by": "textvae"}


def _check_name(space: Workspace, name: str) -> None:
    if name != space.name:
        message = f"there is no model {name!r}: this server has {space.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
