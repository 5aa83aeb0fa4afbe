"""Attributes, indexes and their items, and what the server says about itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ..limits import EXAMPLES, HITS, TEXTS
from .fields import Asked, Id, Interval, Name, Text, Vector


class AttributeAsked(Asked):
    """Examples to learn an attribute from: ten or more of each are better."""

    name: Name
    positive: list[Text] = Field(min_length=2, max_length=EXAMPLES)
    negative: list[Text] = Field(min_length=2, max_length=EXAMPLES)


class AttributeAnswer(BaseModel):
    """An attribute; `accuracy` is cross-validated, `interval` its 95% interval."""

    name: str
    accuracy: float | None
    interval: Interval | None
    examples: int
    positive: str
    negative: str


class Attributes(BaseModel):
    """The attributes of this server."""

    data: list[AttributeAnswer]


class SearchAsked(Asked):
    """A query: a text or a vector."""

    text: Text | None = None
    vector: Vector | None = None
    k: int = Field(10, ge=1, le=HITS)
    where: str | None = Field(None, max_length=2000, description="Condition on metadata, such as topic = 'food'")
    blend: bool = Field(False, description="Also write one text from what the hits have in common")


class HitAnswer(BaseModel):
    """A hit; a larger score is closer."""

    id: int | str
    score: float
    text: str
    metadata: dict[str, Any]


class Hits(BaseModel):
    """The nearest texts, nearest first."""

    hits: list[HitAnswer]
    blend: str | None = None


class NewItem(Asked):
    """A text to add; with an id if the index was built with ids."""

    text: Text
    id: Id | None = None
    metadata: dict[str, Any] = {}


class NamedItem(Asked):
    """A text that replaces the one with its id, or is added under it."""

    text: Text
    id: Id
    metadata: dict[str, Any] = {}


class ItemsAdded(Asked):
    """Texts to add."""

    items: list[NewItem] = Field(min_length=1, max_length=TEXTS)


class ItemsPut(Asked):
    """Texts to replace or add by id."""

    items: list[NamedItem] = Field(min_length=1, max_length=TEXTS)


class Item(BaseModel):
    """A text of an index."""

    id: int | str
    text: str
    metadata: dict[str, Any]


class Items(BaseModel):
    """Texts of an index and their number in all."""

    items: list[Item]
    total: int


class Changed(BaseModel):
    """Ids that were written or removed, and the number of texts now; on disk when this is answered."""

    ids: list[int | str]
    total: int


class IndexAnswer(BaseModel):
    """An index."""

    name: str
    size: int
    metric: str
    metadata_fields: list[str]


class Info(BaseModel):
    """What this server has and allows."""

    model: str
    version: str
    latent_dim: int
    split: bool
    writes: bool = Field(description="Whether the model has a decoder")
    max_length: int
    indexes: list[IndexAnswer]
    attributes: list[AttributeAnswer]
    writable: bool
    limits: dict[str, float]


class Health(BaseModel):
    """State of the process."""

    status: Literal["ok", "starting", "stopping"]
