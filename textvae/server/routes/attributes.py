"""Attributes: listed, and learnt from posted examples."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...attributes.attribute import Attribute
from ..answers import Json
from ..schemas.items import AttributeAnswer, AttributeAsked, Attributes
from .common import answer, workspace

router = APIRouter(prefix="/v1/attributes", tags=["Attributes"])


@router.get("", response_model=Attributes)
async def attributes(request: Request) -> Response:
    """List the attributes."""
    return Json({"data": [described(*each) for each in workspace(request).attributes.items()]})


@router.post("", response_model=AttributeAnswer)
async def fit(request: Request, asked: AttributeAsked) -> Response:
    """Learn an attribute from texts that have it and texts that lack it; answered when it is on disk."""
    space = workspace(request)
    space.check_writable()
    space.check_size(asked.positive + asked.negative)
    return await answer(
        request, lambda: described(asked.name, space.fit_attribute(asked.name, asked.positive, asked.negative))
    )


def described(name: str, attribute: Attribute) -> dict[str, Any]:
    """Return an attribute as an answer."""
    return {
        "name": name,
        "accuracy": attribute.accuracy,
        "interval": attribute.interval,
        "examples": attribute.examples,
        "positive": attribute.positive,
        "negative": attribute.negative,
    }
