"""Which candidate of a moved sentence is best: near the source, likely, and on the side that was asked for."""

# N texts, M attributes, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..text.word_diff import pair_similarity
from .slot_shifting import Found
from .target import Target

WAVES = 3  # in which candidates are read


@dataclass(frozen=True)
class Weights:
    """What a candidate is worth.

    Attributes:
        kept: Of the share of word pairs kept.
        likelier: Of a nat per word below that of the source.
        less_likely: Of a nat per word above it.
        missing: Of a nat of log-odds missing.
    """

    kept: float = 14.0
    likelier: float = 1.2
    less_likely: float = 12.0
    missing: float = 3.0


@dataclass(frozen=True)
class Candidate:
    """A rewritten text that was read and judged.

    Attributes:
        text: The text.
        further: Multiplier of the strength at which it was written; 0 for the source.
        scores: Score of each attribute, shape (M,).
        odds: Log-odds that each attribute is on the requested side, shape (M,); infinity for those that are kept.
        missing: Log-odds that it lacks, over all attributes.
        nats: -log p(text).
        likeness: What it is worth as a likely text near the source, whatever its attributes are.
        worth: The same less what it lacks.
    """

    text: str
    further: float
    scores: Array
    odds: Array
    missing: float
    nats: float
    likeness: float
    worth: float


class Pool:
    """The judged candidates of one text, of which `best` is worth most."""

    def __init__(self, source: str, latent: Array, scores: Array, context: Array | None, weights: Weights = Weights()):
        self.source, self.latent, self.scores, self.context, self.weights = source, latent, scores, context, weights
        self.seen: set[str] = set()
        self.usual = 0.0  # nats per word of the source, once it is judged
        self.best = Candidate("", 0.0, scores, np.full(len(scores), -np.inf), np.inf, np.inf, -np.inf, -np.inf)
        self.judged: list[Candidate] = []


def judge(vae: TextVAE, pools: Sequence[Pool], found: Found, target: Target) -> None:
    """Re-encode the candidates and keep the best of each pool.

    They come in waves, those nearest to the source first, and one that cannot become the best any more, whatever its
    attributes or its likelihood are, is not read.
    """
    owners = [
        _Draft(pool, text, further, pair_similarity(pool.source, text))
        for pool, texts in zip(pools, found, strict=True)
        for text, further in texts.items()
        if text not in pool.seen
    ]
    owners.sort(key=lambda draft: -draft.kept)
    for wave in np.array_split(np.arange(len(owners)), WAVES):
        _read([owners[i] for i in wave if owners[i].most() > owners[i].pool.best.worth], vae, target)


@dataclass
class _Draft:
    """A candidate that is not judged yet."""

    pool: Pool
    text: str
    further: float
    kept: float  # share of the word pairs kept
    missing: float = 0.0
    drift: float = 0.0  # of the kept attributes

    def most(self) -> float:
        """Return the worth of the draft if every word of it were certain."""
        weights = self.pool.weights
        likeness = weights.kept * self.kept + weights.likelier * self.pool.usual - self.drift
        return likeness - weights.missing * self.missing


def _read(drafts: list[_Draft], vae: TextVAE, target: Target) -> None:
    """Read drafts, and keep those that are better than the best of their pools."""
    if not drafts:
        return
    reading = vae.read([draft.text for draft in drafts])
    latents = reading.meaning.mean.numpy()
    scores, odds_NM = target.scores(latents), target.read(reading)
    missing_N = target.missing(odds_NM)
    for draft, latent, missing in zip(drafts, latents, missing_N, strict=True):
        draft.pool.seen.add(draft.text)
        draft.missing, draft.drift = float(missing), float(target.drift(latent[None], draft.pool.latent)[0])
    going = [i for i, draft in enumerate(drafts) if draft.most() > draft.pool.best.worth]
    if not going:
        return
    own = latents[going]
    contexts = [drafts[i].pool.context for i in going]
    given = np.stack([mine if other is None else other for mine, other in zip(own, contexts, strict=True)])
    nats = vae.nats(reading[going], given)
    for i, nat in zip(going, nats, strict=True):
        draft, pool = drafts[i], drafts[i].pool
        per_word = float(nat) / (len(draft.text.split()) + 1)
        if draft.text == pool.source:
            pool.usual = per_word
        more = per_word - pool.usual
        weights = pool.weights
        fluency = -more * (weights.less_likely if more > 0 else weights.likelier)
        likeness = weights.kept * draft.kept + fluency - draft.drift
        worth = likeness - weights.missing * draft.missing
        found = Candidate(
            draft.text, draft.further, scores[i], odds_NM[i], draft.missing, float(nat), likeness, worth
        )  # fmt: skip
        pool.judged.append(found)
        if worth > pool.best.worth:
            pool.best = found
