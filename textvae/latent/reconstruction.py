"""Texts beside their latents: reconstructions, exact latents and likelihoods, on top of `LatentCodec`."""

# N texts, D latent dimensions, K importance samples
from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike

from ..modeling.slots import SplitLatents
from ..storage.errors import check_range, require
from ..text.cleaning import gate_texts
from .codec import LatentCodec
from .exact import STEPS, exact_latents
from .geometry import Array
from .latents import Latents
from .likelihood import MOST_SAMPLES, log_likelihood, nats
from .reading import Reading


class Reconstruction(LatentCodec):
    """Texts beside their latents. The base of `Variation`."""

    def reconstruct(
        self, texts: Sequence[str], /, *, refinements: int = 0, exact: int = 0, batch_size: int = 256
    ) -> list[str]:
        """Write each text back from its posterior mean.

        Args:
            texts: N texts.
            refinements: Refinement rounds, as in `decode`.
            exact: Write from exact latents instead, found in at most so many steps, as in `exact`.
            batch_size: Texts encoded together.

        Returns:
            N texts.

        Raises:
            ValueError: Both refinements and exact are asked for, or a number is out of range.
        """
        require(not (exact and refinements), "choose refinements or exact latents (exact), not both")
        reading = self.read(texts, batch_size=batch_size)
        latents = self.exact(reading, steps=exact) if exact else reading.mean
        return self.decode(latents, refinements=refinements, batch_size=batch_size)

    def exact(self, texts: Sequence[str] | Reading, /, *, steps: int = STEPS) -> Latents:
        """Return latents from which `decode` gives the texts back word for word, where a few steps find them.

        Gradient steps lower -log p(x|z) from the posterior mean on, in the meaning and in the wording slots. A text
        that the mean already gives back keeps it. Deterministic; the weights stay as they are. A text longer than the
        model's `max_length` comes back as far as that.

        Args:
            texts: N texts, or what `read` returned for them.
            steps: Most steps for each text. With fewer, and for texts that the model cannot write, the likeliest latent
                that was met is returned.

        Returns:
            One latent a text. In a model without wording slots `meaning` is all of it.

        Raises:
            ValueError: steps is negative.

        Examples:
            >>> vae.decode(vae.exact(["a dog barks"]))  # doctest: +SKIP
            ['a dog barks']
        """
        require(steps >= 0, f"steps must not be negative, got {steps}")
        reading = texts if isinstance(texts, Reading) else self.read(texts)
        start = reading.mean
        found = torch.tensor(exact_latents(self.model, reading.ids, start.pack(), steps))
        split = SplitLatents.unpack(found, self.dim, start.slots.shape[2])
        return Latents(split.meaning.numpy(), split.slots.numpy(), start.states)

    # Likelihood

    def log_likelihood(
        self, texts: Sequence[str], /, *, num_samples: int = 128, seed: int = 0, batch_size: int = 1024
    ) -> Array:
        """Return the importance-weighted estimate of log p(x) of each text (Burda et al. 2016, eq. 8).

        Args:
            texts: N texts.
            num_samples: K, the importance samples; the estimate is a lower bound that rises with K.
            seed: Seed of the samples.
            batch_size: Importance samples decoded together.

        Returns:
            Nats per sentence, shape (N,), float32, for the tokens and the end of the sentence.
        """
        check_range("num_samples", num_samples, 1, MOST_SAMPLES)
        require(batch_size >= 1, f"batch_size must be at least 1, got {batch_size}")
        return log_likelihood(self.model, self.read(texts), num_samples, seed, batch_size)

    def nats(self, texts: Sequence[str] | Reading, latents: ArrayLike | Latents, /, *, batch_size: int = 64) -> Array:
        """Return -log p(x|z) of each text, one latent for each, as in `decode`: nats per sentence, shape (N,).

        `texts` may also be a `Reading`, which saves tokenising again.
        """
        points = self._latents(latents)
        rows = texts.ids if isinstance(texts, Reading) else self.decoder_rows(gate_texts(texts))
        require(len(rows) == len(points), f"{len(rows)} texts need as many latents, got {len(points)}")
        return nats(self.model, rows, points, batch_size)
