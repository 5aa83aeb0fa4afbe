"""Requests and answers about the map of an index."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ..limits import HITS
from .fields import Asked, Text
from .items import HitAnswer


class Groups(BaseModel):
    """A field of few different values, the commonest first; the code of a text without one is -1."""

    name: str
    kind: Literal["groups"]
    values: list[str | int | float | bool]
    codes: list[int]


class Scale(BaseModel):
    """A field of many different numbers; null for a text without one."""

    name: str
    kind: Literal["scale"]
    low: float
    high: float
    numbers: list[float | None]


class MapAnswer(BaseModel):
    """The texts of an index in two dimensions: all, or a random sample of 100,000.

    Coordinates are whole numbers from 0 to `scale`. While `pending` is true, a better map is being computed.
    """

    method: Literal["pca", "pacmap"]
    pending: bool
    total: int
    scale: int
    ids: list[Any]
    x: list[int]
    y: list[int]
    fields: list[Groups | Scale]


class PlaceAsked(Asked):
    """A text to place on the map."""

    text: Text
    k: int = Field(10, ge=1, le=HITS)
    where: str | None = Field(None, max_length=2000, description="Condition on the metadata of the neighbours")


class PlaceAnswer(BaseModel):
    """Where a text lies, its neighbours, and how familiar the model is with it.

    The place is the geometric median of its nearest texts' places; null if the index has too few texts for a map. The
    familiarity is null for a model that cannot write; if not `calibrated` it is the share of the words that come back.
    """

    x: int | None
    y: int | None
    neighbours: list[HitAnswer]
    familiarity: float | None
    calibrated: bool
