"""Drafts: several texts for each place, ranked by their own meaning, and chosen without repeats."""

# N places, C drafts of each, D numbers of a meaning, S slots, W numbers of a slot
from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .geometry import Array
from .latents import Latents

DRAFTS = 8  # texts written for each one returned, of a model with wording slots; measured in results/operations.json
TEMPERATURE = 0.5  # of drafts that differ by their samples alone
VARY_DRAFTS = 4
SAMPLE_DRAFTS = 4
MOST_TOGETHER = 16  # places of a stream whose drafts are written together


def choose(drafts: Sequence[str], scores: Array, places: int, taken: Iterable[str] = ()) -> list[str]:
    """Return for each place its highest-scoring draft that neither `taken` nor an earlier place has.

    If all drafts of a place are taken, its highest-scoring one is returned.

    Args:
        drafts: N * C texts, grouped by place.
        scores: Of each draft, shape (N * C,); the highest is the best.
        places: N.
        taken: Texts to avoid; case and punctuation make no difference.

    Examples:
        >>> choose(["a b", "c", "a b.", "d"], [2.0, 1.0, 2.0, 1.0], 2)
        ['a b', 'd']
    """
    pool = Drafts(drafts, scores, len(drafts) // places if places else 0)
    used, chosen = {same_words(text) for text in taken}, []
    for place in range(places):
        found = pool.best(place, used)
        chosen.append(str(pool.best(place) if found is None else found))
        used.add(same_words(chosen[-1]))
    return chosen


class Drafts(NamedTuple):
    """Texts for several places, grouped by place.

    Attributes:
        texts: N * C texts.
        scores: Of each, shape (N * C,); the highest is the best.
        each: C.
    """

    texts: Sequence[str]
    scores: Array
    each: int

    def best(self, place: int, used: Container[str] = ()) -> str | None:
        """Return the highest-scoring draft of a place whose `same_words` are not in `used`; None if all are."""
        rows = range(place * self.each, (place + 1) * self.each)
        ranked = (self.texts[i] for i in sorted(rows, key=lambda i: -self.scores[i]))
        return next((text for text in ranked if same_words(text) not in used), None)


def growing(n: int, first: int = 1) -> Iterator[slice]:
    """Yield slices of n places: `first` of them, then twice as many, up to 16, so that the first text comes early.

    Examples:
        >>> [block.stop for block in growing(40)]
        [1, 3, 7, 15, 31, 40]
    """
    start = 0
    while start < n:
        yield slice(start, min(start + first, n))
        start, first = start + first, max(first, min(2 * first, MOST_TOGETHER))


def same_words(text: str) -> str:
    """Return a key that is the same for texts that differ only in case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def closeness(meanings: Array, targets: Array, unit_mean: bool) -> Array:
    """Return how near meanings (N, D) are to their targets, (N, D) or one (D,) for all; shape (N,), more is nearer.

    It is the cosine in a model with `unit_mean`, else minus the distance over the square root of D.
    """
    targets = np.broadcast_to(targets, meanings.shape)
    if not unit_mean:
        return -np.linalg.norm(meanings - targets, axis=1) / meanings.shape[1] ** 0.5
    lengths = np.linalg.norm(meanings, axis=1) * np.linalg.norm(targets, axis=1)
    return (meanings * targets).sum(1) / np.where(lengths > 0, lengths, 1)


def with_slots(start: Latents, meanings: Array, std: Array, kept: float, generator: np.random.Generator) -> Latents:
    """Return latents with the slots of one text, a share of them kept and drawn, the others open.

    Args:
        start: Of the text, one row with S slots.
        meanings: Shape (N, D).
        std: Standard deviations of the slots, shape (1, S, W).
        kept: Share of the slots that each row keeps.
        generator: Source of the choice and of the draws.
    """
    n, slots = len(meanings), start.states.shape[1]
    latents = start[[0] * n]
    drawn = latents.slots + std * generator.standard_normal(latents.slots.shape, dtype=np.float32)
    ranks = generator.permuted(np.tile(np.arange(slots), (n, 1)), axis=1)
    return Latents(meanings, drawn, latents.states).opened(ranks >= round(kept * slots))
