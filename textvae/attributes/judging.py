"""Which candidate of a moved sentence is best: near the source, likely, and on the side that was asked for."""

# N texts, M attributes, D latent dimensions
from __future__ import annotations

from collections import Counter, defaultdict
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
        likelier: Of a nat per word below that of the source, of which `most_likelier` count.
        less_likely: Of a nat per word above it.
        missing: Of a nat of log-odds missing.
        most_likelier: Nats per word; the less, the more drafts are known to be worse than the best so far.
    """

    kept: float = 14.0
    likelier: float = 1.2
    less_likely: float = 12.0
    missing: float = 3.0
    most_likelier: float = np.inf


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
    """The judged candidates of one text, of which `best` is worth most.

    Args:
        source: The text.
        latent: Its latent, shape (D,).
        scores: Score of each attribute, shape (M,).
        context: Latent given which candidates are likely or not, shape (D,); None for their own.
        weights: What a candidate is worth.
        thorough: Whether most others are wanted too, beside the best.
    """

    def __init__(
        self,
        source: str,
        latent: Array,
        scores: Array,
        context: Array | None,
        weights: Weights = Weights(),
        thorough: bool = False,
    ):
        self.source, self.latent, self.scores, self.context, self.weights = source, latent, scores, context, weights
        self.thorough = thorough
        self.seen: set[str] = set()
        self.usual = 0.0  # nats per word of the source, once it is judged
        self.best = Candidate("", 0.0, scores, np.full(len(scores), -np.inf), np.inf, np.inf, -np.inf, -np.inf)
        self.judged: list[Candidate] = []


def judge(vae: TextVAE, pools: Sequence[Pool], found: Found, target: Target) -> None:
    """Re-encode the candidates and keep the best of each pool.

    They come in waves, those nearest to the source first, and one that cannot become the best any more, whatever its
    attributes or its likelihood are, is not read. Of those that are read the most promising ones are judged first.
    """
    owners = [
        _Draft(pool, text, further, pair_similarity(pool.source, text))
        for pool, texts in zip(pools, found, strict=True)
        for text, further in texts.items()
        if text not in pool.seen
    ]
    owners.sort(key=lambda draft: -draft.kept)
    for wave in np.array_split(np.arange(len(owners)), WAVES):
        _read([owners[i] for i in wave if owners[i].possible()], vae, target)


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
        """Return the worth of the draft if it were as likely as counts; in a thorough pool, if all words were sure."""
        weights, usual = self.pool.weights, self.pool.usual
        likelier = usual if self.pool.thorough else min(usual, weights.most_likelier)
        return weights.kept * self.kept + weights.likelier * likelier - self.drift - weights.missing * self.missing

    def possible(self) -> bool:
        """Return whether the draft may still become the best of its pool."""
        return self.most() > self.pool.best.worth


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
    for wave in _waves(drafts):
        going = [i for i in wave if drafts[i].possible()]
        if not going:
            continue
        contexts = [drafts[i].pool.context for i in going]
        given = np.stack([own if other is None else other for own, other in zip(latents[going], contexts, strict=True)])
        for i, nats in zip(going, vae.nats(reading[going], given), strict=True):
            _keep(drafts[i], scores[i], odds_NM[i], float(nats))


def _waves(drafts: Sequence[_Draft]) -> list[list[int]]:
    """Return the drafts in waves: of each pool the most promising one, the next two, the next four and so on."""
    waves: defaultdict[int, list[int]] = defaultdict(list)
    before: Counter[int] = Counter()
    for i in sorted(range(len(drafts)), key=lambda i: -drafts[i].most()):
        pool = drafts[i].pool
        before[id(pool)] += 1
        waves[0 if pool.thorough else before[id(pool)].bit_length() - 1].append(i)
    return [waves[number] for number in sorted(waves)]


def _keep(draft: _Draft, scores: Array, odds: Array, nats: float) -> None:
    """Judge a draft that was read, and make it the best of its pool if it is."""
    pool, weights = draft.pool, draft.pool.weights
    per_word = nats / (len(draft.text.split()) + 1)
    if draft.text == pool.source:
        pool.usual = per_word
    less = pool.usual - per_word
    fluency = weights.less_likely * less if less < 0 else weights.likelier * min(less, weights.most_likelier)
    likeness = weights.kept * draft.kept + fluency - draft.drift
    worth = likeness - weights.missing * draft.missing
    found = Candidate(draft.text, draft.further, scores, odds, draft.missing, nats, likeness, worth)
    pool.judged.append(found)
    if worth > pool.best.worth:
        pool.best = found
