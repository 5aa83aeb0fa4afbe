"""Embeddings and models, as OpenAI has them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from .fields import Asked, Input


class EmbeddingsAsked(Asked):
    """Texts to embed, as in OpenAI's API. The vectors are those of `TextVAE.encode`."""

    input: Input = Field(description="A text or a list of texts; token ids, which are another model's, are refused")
    model: str = Field(max_length=500, description="Name of the model, as GET /v1/models lists it")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="The first so many numbers of each vector; by default all")
    user: str | None = Field(None, max_length=500, description="Ignored")


class Embedding(BaseModel):
    """The vector of a text: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens of the model's own tokenizer, with those at the start and the end of each text."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Model(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """The models of this server: one."""

    object: Literal["list"]
    data: list[Model]
