"""TextVAE: sampling, variation, interpolation and arithmetic in the latent space, on top of `Reconstruction`."""

# N texts, D latent dimensions
from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..modeling.precision import default_device
from ..modeling.sentence_encoder import is_sentence_encoder
from ..storage.errors import check_range, require
from ..text.cleaning import gate_texts
from . import geometry
from .drafts import DRAFTS, SAMPLE_DRAFTS, TEMPERATURE, VARY_DRAFTS, best, choose, closeness, same_words, with_slots
from .exact import STEPS
from .familiarity import Calibration, familiarity, measure
from .geometry import Array, Method
from .hub import local_folder
from .loading import encoder_tokenizers, load_encoder
from .naturalness import CONTEXTS, Naturalness
from .priors import Prior, StandardNormal, prior_class
from .reading import Reading
from .reconstruction import Reconstruction
from .statistics import LatentStatistics

logger = logging.getLogger("textvae")
SAMPLE_GUIDANCE = 0.8  # measured in results/prior.json
VARY_WORDING = 0.5
MOST_TEXTS = 100_000  # of one call, whose latents are in memory together
VARY_SCALE = 0.5  # spread 1 draws with half the prior's standard deviation beside the posterior's own


class TextVAE(Reconstruction):
    """A text variational autoencoder with its tokenizers.

    Examples:
        >>> config = TextVAEConfig.preset("tiny", vocab_size=300)
        >>> vae = TextVAE.from_texts(["the food was good", "the room was cold"], config)
        >>> vae.encode("the food was cold").shape
        (32,)
    """

    @classmethod
    def from_encoder(cls, path: str | Path, device: str | torch.device | None = None) -> Self:
        """Load a plain sentence encoder, to embed, index and search before anything is trained.

        `encode` gives the encoder's own embeddings, with its pooling and normalisation. There is no decoder: what
        would write a text, or score one, raises ValueError. `from_pretrained` loads what `save_pretrained` writes, and
        any folder of sentence-transformers; save a plain encoder, so that an index of it finds it again.

        Args:
            path: Folder or hub id of an encoder of sentence-transformers, or of a plain transformers encoder, whose
                states are then averaged over the tokens.
            device: Where to put it; by default a GPU or MPS if there is one, else the CPU.

        Raises:
            FileNotFoundError: There is no such folder or model, or the hub cannot be reached.
            ValueError: It holds no encoder, or one with modules that are unknown here.

        Examples:
            >>> TextVAE.from_encoder("sentence-transformers/all-MiniLM-L6-v2").dim  # doctest: +SKIP
            384
        """
        folder = local_folder(path)
        model, tokenizers = load_encoder(folder), encoder_tokenizers(folder)
        model.to(torch.device(device) if device else default_device())  # type: ignore[arg-type]
        return cls(model, *tokenizers, path=folder.resolve() if is_sentence_encoder(folder) else None)

    # Sampling

    def sample(
        self,
        n: int,
        *,
        temperature: float = 0,
        top_p: float = 1,
        guidance: float | None = None,
        seed: int | None = None,
        batch_size: int = 256,
        prior: Literal["fitted", "standard"] = "fitted",
        drafts: int | None = None,
    ) -> list[str]:
        """Write n texts from latents drawn from the prior.

        Variety comes from the latents; a temperature above 0 also samples the tokens.

        Args:
            n: Number of texts; with the drafts of all, 100,000 at most.
            temperature: Sampling temperature of the decoder.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            guidance: Weight of the latent, as in `decode`; by default 0.8 for a model trained with latent dropout,
                else 1.
            seed: Seed of the draw.
            batch_size: Latents decoded together.
            prior: "fitted" draws from the prior that training or `fit_prior` fitted to the latents of its texts, if
                there is one; "standard" from N(0, I).
            drafts: Texts written for each one returned, each from a latent of its own: the one that the decoder finds
                most natural (`Naturalness`) and that is not among those before. By default 4 for a model with wording
                slots that was trained with latent dropout, else 1.
        """
        each = self.sample_drafts if drafts is None else drafts
        require(each >= 1, f"drafts must be at least 1, got {drafts}")
        check_range("n" if each == 1 else "n times drafts", n * each, 1, MOST_TEXTS)
        latents = self.draw(n * each, seed, prior)
        weight = self.sample_guidance if guidance is None else guidance
        written = self.decode(
            latents, temperature=temperature, top_p=top_p, guidance=weight, seed=seed, batch_size=batch_size
        )
        return written if each == 1 else choose(written, Naturalness(self, contexts=written[:CONTEXTS])(written), n)

    def draw(self, n: int, seed: int | None = None, prior: Literal["fitted", "standard"] = "fitted") -> Array:
        """Return the latents that `sample` writes from, shape (n, D)."""
        check_range("n", n, 1, MOST_TEXTS)
        require(prior in ("fitted", "standard"), f"prior must be 'fitted' or 'standard', got {prior!r}")
        return (self.prior if prior == "fitted" else StandardNormal(self.dim)).sample(n, seed)

    @property
    def sample_guidance(self) -> float:
        """Weight of the latent that `sample` takes by default."""
        return SAMPLE_GUIDANCE if self.model.config.latent_dropout else 1

    @property
    def sample_drafts(self) -> int:
        """Drafts of each text that `sample` writes by default."""
        return SAMPLE_DRAFTS if self.model.config.slot_dim and self.model.config.latent_dropout else 1

    def fit_prior(
        self,
        texts: Sequence[str],
        components: int | None = None,
        *,
        kind: str | None = None,
        seed: int = 0,
        steps: int | None = None,
    ) -> Prior:
        """Fit the prior that `sample` draws from to the latents of texts; `save_pretrained` keeps it.

        Mean and deviation of these latents are kept with it, as `latent_statistics`.

        Args:
            texts: Texts like those of the training; a few thousand are enough.
            components: Gaussians of the mixture, by default one for every 8 * D texts, at least 1 and at most 20; or
                exemplars, by default 8,192 or all.
            kind: Name of a registered prior: "mixture" of a few Gaussians; "exemplar", the posteriors of some of the
                texts; "flow", a network that takes minutes to train; "standard" for N(0, I); or one of
                `register_prior`. By default exemplars for a model with wording slots, whose meanings a few Gaussians
                fit badly, else a mixture.
            seed: Seed of the fit.
            steps: Training steps of a flow; by default 1,500.
        """
        read = self.read(texts) if self.model.config.slot_dim else self.posterior(texts)
        posterior = read.meaning if isinstance(read, Reading) else read
        if kind is None:
            kind = "exemplar" if self.model.config.slot_dim else "mixture"
        logger.info("fitting the prior (%s) to the latents of %s texts", kind, f"{len(posterior.mean):,}")
        options = {} if steps is None else {"steps": steps}
        fitted = prior_class(kind).fit(posterior, components, seed, **options)
        self.prior = fitted.with_statistics(LatentStatistics.measure(read))
        return self.prior

    @property
    def latent_statistics(self) -> LatentStatistics | None:
        """Mean and deviation of the latents that the prior was fitted to; None for an older run, or without a fit."""
        return self.prior.statistics

    def familiarity(self, texts: Sequence[str]) -> Array:
        """Return how familiar each text is to the model, in [0, 1].

        It is the share of held-out training texts that score lower, so that 1% of such texts are below 0.01. The score
        is the share of the words that come back from the posterior mean by greedy decoding, minus the nats per token
        of the text from there (from the meaning alone in a model with wording slots). Training measures the held-out
        texts, `calibrate` others; a model without either, such as an older run, gives the share of the words that come
        back, which is not calibrated.

        Args:
            texts: N texts.

        Returns:
            Shape (N,), float32; below 0.01 (0.25 where it is not calibrated) the verbs of the command line warn.

        Examples:
            >>> vae.familiarity(["the room was cold .", "xq zzv kw"]).shape  # doctest: +SKIP
            (2,)
        """
        return familiarity(self, texts)

    def calibrate(self, texts: Sequence[str]) -> Calibration:
        """Measure what `familiarity` compares with on texts that the model was not trained on; saved with the model.

        Args:
            texts: At least 20 texts, better several hundred, such as users will give.

        Raises:
            ValueError: There are fewer.
        """
        self.calibration = measure(self, texts)
        return self.calibration

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

        def drawn(spread: float, kept: float) -> list[str]:
            width = self.draw_width(reading.meaning.std.numpy(), spread)
            noise = generator.standard_normal((n * each, self.dim), dtype=np.float32)
            points = (start.meaning + width * noise).astype(np.float32)
            if not (has_slots and kept):  # open slots would still reveal their number
                return self.decode(points, temperature=temperature, seed=seed)
            width = np.float32(spread) * reading.slots.std.numpy()
            return self.decode(with_slots(start, points, width, kept, generator), temperature=temperature, seed=seed)

        def near(written: Sequence[str]) -> Array:
            return closeness(self.encode(written), reading.meaning.mean.numpy()[0], config.unit_mean)

        written = drawn(spread, kept)
        if each == 1:
            return written
        if not distinct:
            return best(written, near(written), n)
        found = choose(written, near(written), n, [text])
        if spread and wording is None and has_slots and len({same_words(other) for other in (text, *found)}) <= n:
            further = drawn(2 * spread, 0)  # the decoder is sure of the sentence: from further away, without its words
            written = [t for i in range(0, n * each, each) for t in (*written[i : i + each], *further[i : i + each])]
            found = choose(written, near(written), n, [text])
        return found

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
        seed: int = 0,
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
            drafts: Sampled texts for each point between, beside the greedy one; 1 is the greedy one alone. By default
                8 for a model with wording slots, else 1.
            seed: Seed of the drafts.
        """
        require(n <= MOST_TEXTS, f"n must be at most {MOST_TEXTS:,}, got {n:,}")
        reading = self.read([a, b])
        steps = (STEPS if self.model.config.slot_dim else 0) if exact is None else exact
        start, end = reading.meaning.mean.numpy()
        if at is not None:
            return self._from_meanings(geometry.between(start, end, at, method), drafts=drafts, seed=seed)
        points = geometry.path(start, end, n, method)
        first, last = self.decode(self.exact(reading, steps=steps) if steps else reading.mean)
        return [first, *self._from_meanings(points[1:-1], drafts=drafts, seed=seed, avoid=[first, last]), last]

    def _from_meanings(
        self,
        meanings: ArrayLike,
        /,
        *,
        drafts: int | None = None,
        refinements: int = 0,
        seed: int = 0,
        avoid: Sequence[str] | None = None,
    ) -> list[str]:
        """Write a text for each meaning, the best of several drafts: centroids, sums, points of a path.

        Args:
            meanings: Shape (N, D), or (D,) for one. In a model without wording slots a meaning is a whole latent.
            drafts: Sampled texts for each meaning, beside the greedy one, of which the one whose own meaning is nearest
                is returned; 1 is the greedy one alone. By default 8 for a model with wording slots, else 1.
            refinements: Refinement rounds, as in `decode`; not together with `avoid`.
            seed: Seed of the drafts.
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
        if avoid is None:
            return self.decode(meanings, temperature=TEMPERATURE, seed=seed, candidates=each, refinements=refinements)
        points = self.on_sphere(self._latents(meanings))
        sampled, greedy = self.decode(points.repeat(each, 0), temperature=TEMPERATURE, seed=seed), self.decode(points)
        written = [text for i, first in enumerate(greedy) for text in (first, *sampled[i * each : (i + 1) * each])]
        scores = closeness(self.encode(written), points.repeat(each + 1, 0), config.unit_mean)
        return choose(written, scores, len(points), avoid)

    def analogy(self, a: str, b: str, c: str, *, scale: float = 1.0, drafts: int | None = None, seed: int = 0) -> str:
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
        seed: int = 0,
    ) -> str:
        """Write one text from the weighted mean of several texts' latents.

        Args:
            texts: The texts.
            weights: Weight of each, normalised to sum to 1; by default equal.
            drafts: Sampled texts, beside the greedy one, of which the one whose own latent is nearest to the mean is
                returned; 1 is the greedy one alone. By default 8 for a model with wording slots, else 1.
            refinements: Refinement rounds, as in `decode`.
            seed: Seed of the drafts.
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
