"""Many rewrites of many texts, with scores by which they are filtered and ranked."""

# N texts, M attributes, D latent dimensions
from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .._progress import Progress
from ..latent.embeddings import pairwise_cosines
from ..latent.geometry import Array
from ..latent.naturalness import Naturalness
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts
from ..text.tokenizers import readable
from ..text.word_diff import word_overlap
from .attribute import Attribute
from .target import Target

AT_ONCE = 64  # texts whose rewrites are in memory together


@dataclass(frozen=True)
class Rewritten:
    """One rewrite of a text, with its scores.

    Attributes:
        source: The text.
        text: The rewrite.
        similarity: Cosine of the latents of both, re-encoded.
        overlap: BLEU of the rewrite against the source, 0 to 1: how much of the wording is taken over.
        naturalness: SLOR of the rewrite in nats per token, as in `textvae.latent.naturalness`; more is more natural.
        probability: The lowest probability of the requested attributes; None without attributes.
        score: What rewrites are ranked by: similarity * (1 - overlap) * min(1, exp(naturalness - that of the source)),
            times the probability if there is one. A rewrite that is less natural than its source so ranks lower.
    """

    source: str
    text: str
    similarity: float
    overlap: float
    naturalness: float
    probability: float | None
    score: float


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Bounds of the scores of a rewrite; None for no bound.

    Attributes:
        min_similarity: Smallest similarity.
        max_overlap: Largest overlap.
        min_naturalness: Smallest naturalness.
        min_probability: Smallest probability; only with attributes.
        dedupe: Leave out a rewrite that equals its source or a better one of the same source.
    """

    min_similarity: float | None = None
    max_overlap: float | None = None
    min_naturalness: float | None = None
    min_probability: float | None = None
    dedupe: bool = False

    def passes(self, rewritten: Rewritten) -> bool:
        """Return whether a rewrite is within the bounds."""
        bounds = (
            (self.min_similarity, rewritten.similarity),
            (self.min_naturalness, rewritten.naturalness),
            (self.min_probability, rewritten.probability),
            (rewritten.overlap, self.max_overlap),
        )
        return all(low is None or high is None or low <= high for low, high in bounds)


def rewrite(
    vae: TextVAE,
    texts: Sequence[str],
    attribute: Attribute | Sequence[Attribute] = (),
    strength: float | Sequence[float] = 1.0,
    *,
    n: int = 20,
    spread: float = 1.0,
    temperature: float = 0.0,
    min_similarity: float | None = None,
    max_overlap: float | None = None,
    min_naturalness: float | None = None,
    min_probability: float | None = None,
    dedupe: bool = False,
    seed: int | None = 0,
) -> list[Rewritten]:
    """Write n variations of each text, score them, and return those within the bounds, the best first.

    Args:
        vae: The model.
        texts: N texts.
        attribute: Attributes, fitted on this model, that every variation is moved along; none only vary, as
            `TextVAE.vary` does.
        strength: Strength of each attribute, as in `shift`.
        n: Variations of each text.
        spread: Width of the draw around the latent of the text, as in `TextVAE.vary`.
        temperature: Sampling temperature of the decoder.
        min_similarity: Smallest cosine with the source.
        max_overlap: Largest BLEU against the source.
        min_naturalness: Smallest SLOR, nats per token.
        min_probability: Smallest probability of the attributes.
        dedupe: Leave out what equals the source or a better rewrite of it.
        seed: Seed of the draws, the same for every text; None for a random one.

    Returns:
        The rewrites of each text, texts in their order, of each the one with the largest `score` first.

    Raises:
        ValueError: An attribute was fitted on another model, or the numbers do not fit.

    Examples:
        >>> len(rewrite(vae, ["the room was cold ."], n=3))
        3
    """
    filters = Filters(
        min_similarity=min_similarity,
        max_overlap=max_overlap,
        min_naturalness=min_naturalness,
        min_probability=min_probability,
        dedupe=dedupe,
    )
    rewriter = Rewriter(
        vae, attribute, strength, n=n, spread=spread, temperature=temperature, filters=filters, seed=seed
    )
    return [each for found in rewriter.blocks(texts) for each in found]


class Rewriter:
    """What `rewrite` does, a block of texts at a time.

    Its arguments are those of `rewrite`; `naturalness` is the scorer of this model if there is one already.
    """

    def __init__(
        self,
        vae: TextVAE,
        attribute: Attribute | Sequence[Attribute] = (),
        strength: float | Sequence[float] = 1.0,
        *,
        n: int = 20,
        spread: float = 1.0,
        temperature: float = 0.0,
        filters: Filters | None = None,
        naturalness: Naturalness | None = None,
        seed: int | None = 0,
    ):
        target = Target.of(vae, attribute, strength)
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        if spread < 0:
            raise ValueError(f"spread must not be negative, got {spread}")
        self.filters = filters or Filters()
        if self.filters.min_probability is not None and not any(target.strengths):
            raise ValueError("min_probability bounds the probability of attributes: give one with a strength")
        self.vae, self.n, self.spread, self.temperature, self.seed = vae, n, spread, temperature, seed
        self.target = target if target.attributes else None
        self.naturalness = Naturalness(vae) if naturalness is None else naturalness

    def blocks(self, texts: Sequence[str]) -> Iterator[list[Rewritten]]:
        """Yield the rewrites of up to 64 texts at a time."""
        texts = gate_texts(texts)
        with Progress("rewritten", len(texts), counts_inner=False) as progress:
            for start in range(0, len(texts), AT_ONCE):
                block = texts[start : start + AT_ONCE]
                yield self._block(block)
                progress.advance(len(block))

    def _block(self, sources: Sequence[str]) -> list[Rewritten]:
        written = self._moved(sources) if self.target else self._varied(sources)
        scored = self._scored([source for source in sources for _ in range(self.n)], written)
        return [each for i in range(len(sources)) for each in self._best(scored[i * self.n : (i + 1) * self.n])]

    def _varied(self, sources: Sequence[str]) -> list[str]:
        options = {"spread": self.spread, "temperature": self.temperature, "seed": self.seed}
        return [text for source in sources for text in self.vae.vary(source, self.n, **options)]  # type: ignore[arg-type]

    def _moved(self, sources: Sequence[str]) -> list[str]:
        """Return n texts for each source from draws around its latent, moved along the attributes."""
        assert self.target is not None
        posterior = self.vae.posterior(sources)
        mean_ND, std_ND = posterior.mean.numpy(), posterior.std.numpy()
        width_ND = self.vae.draw_width(std_ND, self.spread)
        noise_nD = np.random.default_rng(self.seed).standard_normal((self.n, self.vae.dim), dtype=np.float32)
        drawn = (mean_ND[:, None] + width_ND[:, None] * noise_nD).reshape(-1, self.vae.dim)
        moved = self.target.move(drawn.astype(np.float32))
        return self.vae.decode(moved, temperature=self.temperature, seed=self.seed)

    def _scored(self, sources: Sequence[str], written: Sequence[str]) -> list[Rewritten]:
        distinct = list(dict.fromkeys([*sources, *written]))
        places = {text: place for place, text in enumerate(distinct)}
        latents, natural = self.vae.encode(distinct), self.naturalness(distinct)
        of_source, of_text = ([places[text] for text in texts] for texts in (sources, written))
        cosines = pairwise_cosines(latents[of_source], latents[of_text]).tolist()
        chances = self._probabilities(distinct)
        lowered = readable(self.vae.tokenizer, distinct)
        scored = []
        for i, j, cosine in zip(of_source, of_text, cosines, strict=True):
            overlap, chance = word_overlap(lowered[i], lowered[j]), None if chances is None else float(chances[j])
            fluency = math.exp(min(0.0, float(natural[j] - natural[i])))
            score = cosine * (1 - overlap) * fluency * (1 if chance is None else chance)
            scored.append(Rewritten(distinct[i], distinct[j], cosine, overlap, float(natural[j]), chance, score))
        return scored

    def _probabilities(self, texts: Sequence[str]) -> Array | None:
        if self.target is None or not any(self.target.strengths):
            return None
        odds = self.target.read(self.vae.read(texts)).min(1)
        return 1 / (1 + np.exp(-odds.astype(np.float64)))

    def _best(self, scored: Sequence[Rewritten]) -> list[Rewritten]:
        """Return the rewrites of one source that pass, the best first."""
        kept = sorted(filter(self.filters.passes, scored), key=lambda each: -each.score)
        if not self.filters.dedupe:
            return kept
        itself = {*readable(self.vae.tokenizer, [each.source for each in kept]), *(each.source for each in kept)}
        return list({each.text: each for each in kept if each.text not in itself}.values())


COLUMNS = {field.name: str if field.name in ("source", "text") else float for field in dataclasses.fields(Rewritten)}
