"""Variation, interpolation and arithmetic in the latent space, on top of `Reconstruction`."""

# N texts, D latent dimensions
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..storage.errors import check_range, require
from ..text.cleaning import gate_texts
from . import geometry
from .decoding import Decoding, repetition_guard
from .drafts import DRAFTS, TEMPERATURE, VARY_DRAFTS, Drafts, choose, closeness, growing, same_words, with_slots
from .exact import STEPS
from .geometry import Array, Method
from .latents import Latents
from .reconstruction import Reconstruction
from .statistics import LatentStatistics

VARY_WORDING = 0.5
MOST_TEXTS = 100_000  # of one call, whose latents are in memory together
VARY_SCALE = 0.5  # spread 1 draws with half the prior's standard deviation beside the posterior's own


class Variation(Reconstruction):
    """Texts around and between others. The base of `TextVAE`."""

    # Variation

    @property
    def latent_statistics(self) -> LatentStatistics | None:
        """Mean and deviation of the latents that the prior was fitted to; None for an older run, or without a fit."""
        return self.prior.statistics

    def vary(
        self,
        text: str,
        n: int,
        *,
        spread: float = 1.0,
        wording: float | None = None,
        temperature: float = 0,
        drafts: int | None = None,
        distinct: bool = True,
        exact: int = 0,
        seed: int | None = None,
    ) -> list[str]:
        """Write n texts from latents drawn around one sentence.

        Several drafts of each are re-encoded; the one whose meaning is nearest to the sentence's is returned.

        Args:
            text: The sentence.
            n: Number of texts.
            spread: Width of the draw: 0 stays at the mean, 1 adds half the corpus' standard deviation (the prior's if
                unknown) to the posterior's own. Kept wording slots are drawn from their posterior, of so many times its
                deviation.
            wording: Dial from paraphrase to copy: the share of the wording slots that are kept, redrawn for each text;
                the others are left to the decoder. 1 is near a copy, 0 keeps the meaning alone. By default 0.5; only
                for a model with slots.
            temperature: Sampling temperature of the decoder.
            drafts: Texts written for each one returned, each from a draw of its own; by default 4 for a model with
                wording slots, else 1.
            distinct: Prefer drafts that are neither the sentence nor one of the texts before, case and punctuation
                aside; where the default `wording` finds none, others are drawn from the meaning alone and further away.
                With one draft there is no choice.
            exact: Keep the slots of an exact latent, found in at most so many steps, as in `exact`.
            seed: Seed of the draw.
        """
        options = (spread, wording, temperature, drafts, distinct, exact, seed)
        return list(self.iter_vary(text, n, *options, first=n))

    def iter_vary(
        self,
        text: str,
        n: int,
        spread: float,
        wording: float | None,
        temperature: float,
        drafts: int | None,
        distinct: bool,
        exact: int,
        seed: int | None,
        *,
        first: int = 1,
    ) -> Iterator[str]:
        """Yield the texts of `vary`, whose arguments these are, as they are written, `first` together, then more."""
        check_range("n", n, 1, MOST_TEXTS)
        require(spread >= 0, f"spread must not be negative, got {spread}")
        config = self.model.config
        has_slots = config.slot_dim > 0
        require(wording is None or has_slots, f"wording needs a model with wording slots, got {wording}")
        kept = VARY_WORDING if wording is None else wording
        require(0 <= kept <= 1, f"wording must be a share in [0, 1], got {wording}")
        each = (VARY_DRAFTS if has_slots else 1) if drafts is None else drafts
        require(each >= 1, f"drafts must be at least 1, got {drafts}")
        reading = self.read([text])
        start = self.exact(reading, steps=exact) if exact else reading.mean
        generator = np.random.default_rng(seed)

        def drawn(spread: float, kept: float) -> Array | Latents:
            width = self.draw_width(reading.meaning.std.numpy(), spread)
            noise = generator.standard_normal((n * each, self.dim), dtype=np.float32)
            points = (start.meaning + width * noise).astype(np.float32)
            if not (has_slots and kept):  # open slots would still reveal their number
                return points
            return with_slots(start, points, np.float32(spread) * reading.slots.std.numpy(), kept, generator)

        def written(points: Array | Latents, block: slice) -> Drafts:
            rows = points[block.start * each : block.stop * each]
            texts = self.decode(rows, temperature=temperature, seed=None if seed is None else seed + block.start)
            if each == 1:
                return Drafts(texts, np.zeros(len(texts), np.float32), 1)
            scores = closeness(self.encode(texts), reading.meaning.mean.numpy()[0], config.unit_mean)
            return Drafts(texts, scores, each)

        points, used = drawn(spread, kept), {same_words(text)}
        beyond: Array | Latents | None = None
        for block in growing(n, first):
            near, far = written(points, block), None
            for place in range(block.stop - block.start):
                found = near.best(place, used if distinct and each > 1 else ())
                if found is None and spread and wording is None and has_slots:
                    # the decoder is sure of the sentence: from further away, without its words
                    beyond = drawn(2 * spread, 0) if beyond is None else beyond
                    far = written(beyond, block) if far is None else far
                    found = far.best(place, used)
                found = near.best(place) if found is None else found
                used.add(same_words(str(found)))
                yield str(found)

    def draw_width(self, std: Array, spread: float) -> Array:
        """Return the standard deviations (N, D) that a spread means for posteriors with these.

        Its unit is the corpus' deviation in each dimension if known, else the prior's, 1.
        """
        known = self.latent_statistics
        unit = np.float32(1) if known is None else known.deviation
        return np.sqrt(std**2 + (VARY_SCALE * spread * unit) ** 2) if spread else np.zeros_like(std)

    # Moving

    def interpolate(
        self,
        a: str,
        b: str,
        n: int = 7,
        *,
        at: Sequence[float] | None = None,
        method: Method = "slerp",
        exact: int | None = None,
        drafts: int | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Write n texts along the path from one sentence to another, the reconstructions of both included.

        In a model with wording slots the ends are written from exact latents, and the points between from meanings
        alone: of several drafts the one whose own meaning is nearest, and that is none of the texts before or the end.

        Args:
            a: The first sentence.
            b: The last sentence.
            n: Number of texts, at least 2.
            at: Positions in [0, 1] instead of n, whose texts are written one by one from meanings, also those of ends.
            method: "slerp" or "linear", as in `textvae.latent.geometry.path`.
            exact: Most steps of the exact latents that the ends are written from, as in `exact`; 0 takes the posterior
                means. By default 50 for a model with wording slots, else 0.
            drafts: Drafts of each point between, as in `blend`.
            seed: Seed of the drafts, as in `blend`.
        """
        return list(self.iter_interpolate(a, b, n, at, method, exact, drafts, seed, first=n if at is None else len(at)))

    def iter_interpolate(
        self,
        a: str,
        b: str,
        n: int,
        at: Sequence[float] | None,
        method: Method,
        exact: int | None,
        drafts: int | None,
        seed: int | None,
        *,
        first: int = 1,
    ) -> Iterator[str]:
        """Yield the texts of `interpolate`, whose arguments these are, as they are written, `first` together.

        Where drafts are sampled, they depend on `first`.
        """
        require(n <= MOST_TEXTS, f"n must be at most {MOST_TEXTS:,}, got {n:,}")
        reading = self.read([a, b])
        steps = (STEPS if self.model.config.slot_dim else 0) if exact is None else exact
        start, end = reading.meaning.mean.numpy()
        if at is not None:
            points, used = geometry.between(start, end, at, method), None
        else:
            points = geometry.path(start, end, n, method)[1:-1]
            used = self.decode(self.exact(reading, steps=steps) if steps else reading.mean)
            yield used[0]
        for block in growing(len(points), first):
            start_at = None if seed is None else seed + block.start
            written = self._from_meanings(points[block], drafts=drafts, seed=start_at, avoid=used)
            yield from written
            if used is not None:
                used += written
        if used is not None:
            yield used[1]

    def _from_meanings(
        self,
        meanings: ArrayLike,
        /,
        *,
        drafts: int | None = None,
        refinements: int = 0,
        seed: int | None = None,
        avoid: Sequence[str] | None = None,
    ) -> list[str]:
        """Write a text for each meaning, the best of several drafts: centroids, sums, points of a path.

        Args:
            meanings: Shape (N, D), or (D,) for one. In a model without wording slots a meaning is a whole latent.
            drafts: Texts for each meaning, as in `blend`.
            refinements: Refinement rounds, as in `decode`; not together with `avoid`.
            seed: Seed of the drafts, as in `blend`.
            avoid: With it, no text is one of these or of those before, where another draft is left; case and
                punctuation make no difference.

        Returns:
            N texts.
        """
        config = self.model.config
        each = (DRAFTS if config.slot_dim else 1) if drafts is None else drafts
        require(each >= 1, f"drafts must be at least 1, got {drafts}")
        require(avoid is None or not refinements, "choose refinements or texts to avoid (avoid), not both")
        if each == 1:
            return self.decode(meanings, refinements=refinements)
        if avoid is None and seed is None:
            return self.decode(meanings, num_beams=each, candidates=each, refinements=refinements)
        if avoid is None:
            return self.decode(meanings, temperature=TEMPERATURE, seed=seed, candidates=each, refinements=refinements)
        points = self.on_sphere(self._latents(meanings))
        if seed is None:
            penalty, size = repetition_guard(points, config, None, None)
            beams = Decoding(num_beams=each, candidates=each, repetition_penalty=penalty, no_repeat_ngram_size=size)
            written = self.write(points, beams)
        else:
            sampled = self.decode(points.repeat(each, 0), temperature=TEMPERATURE, seed=seed)
            greedy = self.decode(points)
            written = [text for i, first in enumerate(greedy) for text in (first, *sampled[i * each : (i + 1) * each])]
        scores = closeness(self.encode(written), points.repeat(len(written) // len(points), 0), config.unit_mean)
        return choose(written, scores, len(points), avoid)

    def analogy(
        self, a: str, b: str, c: str, *, scale: float = 1.0, drafts: int | None = None, seed: int | None = None
    ) -> str:
        """Write the text that is to c as b is to a: z = c + scale * (b - a), with drafts as in `blend`."""
        first, second, third = self.encode([a, b, c])
        return self._from_meanings((third + scale * (second - first))[None], drafts=drafts, seed=seed)[0]

    def blend(
        self,
        texts: Sequence[str],
        weights: Sequence[float] | None = None,
        *,
        drafts: int | None = None,
        refinements: int = 0,
        seed: int | None = None,
    ) -> str:
        """Write one text from the weighted mean of several texts' latents.

        Args:
            texts: The texts.
            weights: Weight of each, normalised to sum to 1; by default equal.
            drafts: Texts written, of which the one whose own latent is nearest to the mean is returned: those of a beam
                search, or with a seed sampled ones beside the greedy one. By default 8 for a model with wording slots,
                else 1, the greedy one alone.
            refinements: Refinement rounds, as in `decode`.
            seed: Seed of sampled drafts, for other wordings; without one, the text is the same each time.
        """
        middle = geometry.barycentre(self.encode(gate_texts(texts)), weights)
        return self._from_meanings(middle[None], drafts=drafts, refinements=refinements, seed=seed)[0]

    def traverse(self, text: str, dim: int, values: Sequence[float]) -> list[str]:
        """Write the text with one latent dimension set to each of the values.

        The others are kept, except for the scaling in a model with `unit_mean`.
        """
        require(0 <= dim < self.dim, f"dim must be in 0..{self.dim - 1}, got {dim}")
        latents = np.repeat(self.encode([text]), len(values), 0)
        latents[:, dim] = np.asarray(values, np.float32)
        return self.decode(latents)
