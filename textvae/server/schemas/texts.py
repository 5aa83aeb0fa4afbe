"""Texts written from the latent space, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat

from ...attributes.rewriting import Rewritten
from ...attributes.shifting import Shifted
from ..limits import CANDIDATES, TEXTS, N
from .fields import (
    Asked,
    Drafts,
    Exact,
    Number,
    Probabilities,
    Seed,
    Streamed,
    Strength,
    Temperature,
    Text,
    Texts,
    Vector,
    WordChange,
    Written,
)


class ReconstructAsked(Streamed):
    """Texts to write back from their latents."""

    texts: Texts
    exact: Exact = 0
    refinements: int = Field(0, ge=0, le=16)
    familiarity: bool = Field(False, description="Also say how familiar the model is with each text")


class DecodeAsked(Streamed):
    """Latents to write texts for: in a model with wording slots, meanings."""

    vectors: list[Vector] = Field(min_length=1, max_length=TEXTS)
    temperature: Temperature = 0
    candidates: int = Field(1, ge=1, le=CANDIDATES)
    refinements: int = Field(0, ge=0, le=16)
    seed: Seed | None = None


class SampleAsked(Streamed):
    """Texts from latents drawn from the prior."""

    n: Written = 10
    temperature: Temperature = 0
    top_p: float = Field(1, gt=0, le=1)
    seed: Seed | None = None
    prior: Literal["fitted", "standard"] = "fitted"


class VaryAsked(Streamed):
    """Variations of a text."""

    text: Text
    n: Written = 5
    spread: float = Field(1, ge=0, le=10)
    wording: float | None = Field(None, ge=0, le=1)
    temperature: Temperature = 0
    drafts: Drafts | None = None
    distinct: bool = True
    exact: Exact = 0
    seed: Seed | None = None


class InterpolateAsked(Streamed):
    """A path between two texts: n texts, the ends included, or those at given positions."""

    a: Text
    b: Text
    n: int = Field(7, ge=2, le=N, validation_alias=AliasChoices("n", "steps"))
    at: list[Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None, min_length=1, max_length=N, description="Positions instead of n, each written by itself"
    )
    method: Literal["slerp", "linear"] = "slerp"
    exact: Exact | None = None
    drafts: Drafts | None = None
    seed: Seed | None = None


class AnalogyAsked(Asked):
    """The text that is to c as b is to a: c + scale * (b - a)."""

    a: Text
    b: Text
    c: Text
    scale: float = Field(1, ge=-10, le=10)
    drafts: Drafts | None = None
    seed: Seed | None = None


class BlendAsked(Asked):
    """One text from the weighted mean of several."""

    texts: Texts
    weights: list[Number] | None = Field(None, max_length=TEXTS)
    drafts: Drafts | None = None
    seed: Seed | None = None


class Moved(Asked):
    """An attribute and how far to move along it."""

    name: str = Field(max_length=200)
    strength: Strength = 1


class ShiftAsked(Streamed):
    """Texts to rewrite along attributes. Streamed, each text is a shift of its own."""

    texts: Texts
    attributes: list[Moved] = Field(min_length=1, max_length=16)
    keep: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=16)
    candidates: int = Field(16, ge=1, le=CANDIDATES)
    certainty: float = Field(0.9, gt=0, lt=1)
    seed: Seed | None = 0


class RewriteAsked(Streamed):
    """Texts to write many variations of, scored and filtered. Streamed, each text is a rewrite of its own."""

    texts: Texts
    attributes: list[Moved] = Field([], max_length=16)
    n: Written = 20
    spread: float = Field(1, ge=0, le=10)
    temperature: Temperature = 0
    min_similarity: FiniteFloat | None = None
    max_overlap: FiniteFloat | None = None
    min_naturalness: FiniteFloat | None = None
    min_probability: FiniteFloat | None = None
    dedupe: bool = False
    seed: Seed | None = 0


class ScoreAsked(Asked):
    """Texts to score."""

    texts: Texts
    attributes: list[Annotated[str, Field(max_length=200)]] | None = Field(
        None, max_length=16, description="Names of attributes; by default all"
    )
    num_samples: int = Field(16, ge=1, le=128)
    seed: Seed = 0


class TextAnswer(BaseModel):
    """One text."""

    text: str


class TextsAnswer(BaseModel):
    """Texts."""

    texts: list[str]


class Reconstructed(TextsAnswer):
    """The texts, and if asked how familiar the model is with their sources, in [0, 1]."""

    familiarity: list[float] | None


class Path(TextsAnswer):
    """The texts, and where on the path they are, in [0, 1]."""

    positions: list[float]


@dataclass(frozen=True)
class ShiftedText(Shifted):
    """What `textvae.shift` returns for a text, and more to judge it by.

    `probabilities` is of each attribute that is moved, on the side that was asked for; `probability` the lowest of
    them; `naturalness` is SLOR in nats per token, `naturalness_before` that of the source; `changes` are runs of words
    before and after.
    """

    probabilities: Probabilities
    naturalness: float
    naturalness_before: float
    changes: list[WordChange]


class Shifts(BaseModel):
    """One result for each text."""

    results: list[ShiftedText]


class Rewrites(BaseModel):
    """The rewrites within the bounds, those of each text together, the best first."""

    rows: list[Rewritten]


class ScoredText(BaseModel):
    """Scores of a text: those of `textvae score`, its familiarity, and the probability of each attribute."""

    text: str
    nats_per_word: float
    width: float
    distance: float
    familiarity: float
    attributes: Probabilities


class Scores(BaseModel):
    """One row for each text."""

    rows: list[ScoredText]
