"""Types of fields, and what all requests share."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
)

from ...text.cleaning import SURROGATES
from ..limits import CANDIDATES, CHARACTERS, EXACT_STEPS, NAME, TEXTS, N


def _without_surrogates(value: object) -> object:
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def _as_list(value: object) -> object:
    if isinstance(value, list) and value and isinstance(value[0], (int, list)):
        raise ValueError("token ids are refused, give texts; in LangChain set check_embedding_ctx_length=False")
    return [value] if isinstance(value, str) else value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("leave the NUL character out")
    return value


Text = Annotated[str, BeforeValidator(_without_surrogates), Field(max_length=CHARACTERS)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=TEXTS)]
Input = Annotated[
    Texts,
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [TypeAdapter(Text).json_schema(), TypeAdapter(Texts).json_schema()]}),
]
Written = Annotated[int, Field(ge=1, le=N)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Temperature = Annotated[float, Field(ge=0, le=10)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Vector = Annotated[list[Number], Field(min_length=1, max_length=8192)]
Strength = Annotated[float, Field(ge=-10, le=10)]
Exact = Annotated[int, Field(ge=0, le=EXACT_STEPS)]
Drafts = Annotated[int, Field(ge=1, le=CANDIDATES)]
Name = Annotated[str, Field(pattern=NAME)]
Id = (
    Annotated[int, Field(ge=0, lt=2**63)]
    | Annotated[str, BeforeValidator(_without_surrogates), AfterValidator(_no_nul), Field(min_length=1, max_length=500)]
)
Probabilities = dict[str, float]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]
WordChange = Annotated[list[str], Field(min_length=2, max_length=2)]  # before and after


class Asked(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Streamed(Asked):
    """A request whose results may be streamed."""

    stream: bool = Field(False, description="Server-sent events, one text at a time, instead of one JSON object")


class Problem(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """An error, in the shape of OpenAI's."""

    error: Problem
