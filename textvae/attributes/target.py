"""Attributes to set together, and the distance of a text from the target."""

# N texts, M attributes, D latent dimensions
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..latent import geometry
from ..latent.geometry import Array
from ..latent.reading import Reading
from ..latent.vae import TextVAE
from .attribute import Attribute


@dataclass(frozen=True)
class Target:
    """Attributes and the strength that each is set to.

    Attributes:
        attributes: M attributes; those with a strength of 0 are kept.
        strengths: Strength of each.
        certainty: Probability required of those that are moved.
        least: Log-odds required of each instead, on the side that its strength has; for those that are kept any number.
    """

    attributes: Sequence[Attribute]
    strengths: Sequence[float]
    certainty: float = 0.9
    least: Sequence[float] | None = None

    @classmethod
    def of(
        cls,
        vae: TextVAE,
        attribute: Attribute | Sequence[Attribute],
        strength: float | Sequence[float],
        keep: Sequence[Attribute] = (),
        certainty: float = 0.9,
    ) -> Target:
        """Return the target of `shift`, whose arguments these are.

        Raises:
            ValueError: An attribute was fitted on another model, two have one name, or the numbers do not fit.
        """
        attributes = [attribute] if isinstance(attribute, Attribute) else list(attribute)
        given = [strength] * len(attributes) if isinstance(strength, Real) else strength
        strengths = [float(each) for each in given]  # type: ignore[union-attr]
        if len(strengths) != len(attributes):
            raise ValueError(f"{len(attributes)} attributes need as many strengths, got {len(strengths)}")
        if not 0 < certainty < 1:
            raise ValueError(f"certainty must be above 0 and below 1, got {certainty}")
        if not all(map(math.isfinite, strengths)):
            raise ValueError(f"strengths must be finite numbers, got {', '.join(map(str, strengths))}")
        both = [*attributes, *keep]
        for each in both:
            each.check(vae)
        names = [each.name for each in both]
        if len(set(names)) < len(names):
            raise ValueError(
                f"two of the attributes have the same name, of {', '.join(names)}: fit one with another name"
            )
        return cls(both, [*strengths, *[0.0] * len(keep)], certainty)

    def scores(self, latents: Array) -> Array:
        """Return the score of each attribute, shape (N, M)."""
        return np.stack([attribute.score(latents) for attribute in self.attributes], -1)

    def move(self, latents: Array, further: float = 1.0) -> Array:
        """Return latents (N, D) with the attributes set.

        Strength 1 sets a score to the typical score of the positive class, -1 to that of the negative class; 0.5 moves
        it half of the way there, and 2 moves it beyond by the distance of the classes. A score that is already beyond
        the target stays.
        """
        scores_NM = self.scores(latents)
        changes_NM = np.zeros_like(scores_NM)
        for m, strength in enumerate(self.strengths):
            sign, size = np.sign(strength), abs(strength) * further
            missing_N = np.maximum(1 - sign * scores_NM[:, m], 0)
            changes_NM[:, m] = sign * (
                size * missing_N if size <= 1 else np.maximum(1 + 2 * (size - 1) - sign * scores_NM[:, m], 0)
            )
        weights = [attribute.weights for attribute in self.attributes]
        directions = [attribute.direction for attribute in self.attributes]
        return latents + geometry.raise_scores(weights, directions, changes_NM)

    def read(self, reading: Reading) -> Array:
        """Return the log-odds (N, M) that each attribute is on the requested side; infinity for those that are kept."""
        odds_NM = np.full((len(reading), len(self.attributes)), np.inf, np.float32)  # kept attributes require nothing
        for m, (attribute, strength) in enumerate(zip(self.attributes, self.strengths, strict=True)):
            if strength:
                odds_NM[:, m] = np.sign(strength) * attribute.read(reading)
        return odds_NM

    def votes(self, ids: Sequence[int]) -> Array:
        """Return how much each of a text's words speaks against the target, nats, shape (len(ids),)."""
        total = np.zeros(len(ids), np.float32)
        for attribute, strength in zip(self.attributes, self.strengths, strict=True):
            if strength:
                total -= np.sign(strength) * attribute.word_weights[list(ids)]
        return total

    def missing(self, odds_NM: Array) -> Array:
        """Return by how much log-odds (N, M) fall short, summed over the attributes, shape (N,).

        If the requirement of an attribute is below the certainty, its shortfall is scaled up by their ratio.
        """
        whole = math.log(self.certainty / (1 - self.certainty))
        total = np.zeros(len(odds_NM), np.float32)
        for m, (attribute, strength) in enumerate(zip(self.attributes, self.strengths, strict=True)):
            if strength:
                if self.least is not None:
                    total += np.maximum(self.least[m] - odds_NM[:, m], 0)
                    continue
                asked = attribute.asked(self.certainty, strength)
                scale = whole / asked if 0 < asked < whole else 1.0
                total += scale * np.maximum(asked - odds_NM[:, m], 0)
        return total

    def drift(self, latents: Array, origin: Array) -> Array:
        """Return by how much the scores of the kept attributes differ from those of the origin (D,), shape (N,)."""
        kept = [attribute for attribute, strength in zip(self.attributes, self.strengths, strict=True) if not strength]
        return sum((np.abs(a.score(latents) - a.score(origin)) for a in kept), np.zeros(len(latents), np.float32))
