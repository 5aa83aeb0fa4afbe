"""Attributes: directions of the latent space learnt from examples, with their calibration."""

# N texts, D latent dimensions
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from safetensors.numpy import load_file, save_file

from . import geometry
from .artifacts import CorruptFileError, atomic_folder, open_folder, read_json, write_json
from .gate import gate_texts
from .geometry import Array
from .text_vae import TextVAE

FACTS = {"name", "accuracy", "examples", "fingerprint"}
FOLDS = 5
WILSON_Z = 1.96  # 95%


@dataclass(frozen=True)
class Attribute:
    """A direction of one model's latent space.

    Attributes:
        name: What it is called, such as "sentiment".
        direction: Mean of the positive latents less mean of the negative ones, shape (D,).
        midpoint: Point halfway between the two means, shape (D,).
        accuracy: Share of the examples whose sign of score is right, cross-validated.
        examples: Number of examples it was fitted on.
        fingerprint: Fingerprint of the model it belongs to.
    """

    name: str
    direction: Array
    midpoint: Array
    accuracy: float
    examples: int
    fingerprint: str

    @classmethod
    def fit(
        cls, vae: TextVAE, positive: Sequence[str], negative: Sequence[str], *, name: str = "attribute", seed: int = 0
    ) -> Attribute:
        """Fit the direction from the mean of the negative to the mean of the positive examples.

        Args:
            vae: The model.
            positive: Texts that have the attribute; at least 2, ten already work.
            negative: Texts that lack it or have its opposite.
            name: What to call it.
            seed: Seed of the folds of the cross-validation.
        """
        positive, negative = gate_texts(positive), gate_texts(negative)
        for side, texts in (("positive", positive), ("negative", negative)):
            if len(texts) < 2:
                raise ValueError(f"an attribute needs at least 2 {side} examples, got {len(texts)}")
        high, low = vae.encode(positive), vae.encode(negative)
        direction, midpoint = _means(high, low)
        geometry.unit(direction)  # refuses two sets with the same mean
        correct = _cross_validate(high, low, seed)
        return cls(name, direction, midpoint, correct, len(high) + len(low), vae.fingerprint)

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the accuracy."""
        n, p, z = self.examples, self.accuracy, WILSON_Z
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    def score(self, latents: ArrayLike) -> Array:
        """Return how strongly each text carries the attribute.

        Args:
            latents: Shape (N, D), or (D,) for one.

        Returns:
            Shape (N,) or (): -1 is typical of the negative examples, +1 of the positive ones, 0 is the threshold.
        """
        return _scores(np.asarray(latents, np.float32), self.direction, self.midpoint)

    def move(self, latents: ArrayLike, strength: float = 1.0) -> Array:
        """Return latents + strength * direction, shape (N, D); strength 1 raises the score by 2."""
        return np.asarray(latents, np.float32) + np.float32(strength) * self.direction

    def check(self, vae: TextVAE) -> None:
        """Raise ValueError unless the attribute was fitted on this model."""
        if vae.fingerprint != self.fingerprint:
            raise ValueError(
                f"attribute {self.name!r} was fitted on the model {self.fingerprint}, not on {vae.fingerprint}: "
                "fit it on this model"
            )

    def summary(self) -> str:
        """Return one line that says what it is and how far to trust it."""
        low, high = self.interval
        return (
            f"{self.name}: {self.examples} examples, cross-validated accuracy {self.accuracy:.1%} "
            f"({low:.1%} to {high:.1%})"
        )

    def save(self, path: str | Path) -> None:
        """Write the attribute as a folder: attribute.json and direction.safetensors."""
        with atomic_folder(path, "attribute.json") as folder:
            save_file({"direction": self.direction, "midpoint": self.midpoint}, folder / "direction.safetensors")
            facts = {key: getattr(self, key) for key in sorted(FACTS)}
            write_json(folder / "attribute.json", facts)

    @classmethod
    def load(cls, path: str | Path) -> Attribute:
        """Load a saved attribute."""
        folder = open_folder(path, "attribute", "attribute.json")
        facts, arrays = read_json(folder / "attribute.json"), load_file(folder / "direction.safetensors")
        if set(facts) != FACTS or set(arrays) != {"direction", "midpoint"}:
            raise CorruptFileError(f"{folder} does not hold what an attribute does: fit it again")
        return cls(direction=arrays["direction"], midpoint=arrays["midpoint"], **facts)


def _means(high: Array, low: Array) -> tuple[Array, Array]:
    return high.mean(0) - low.mean(0), (high.mean(0) + low.mean(0)) / 2


def _scores(latents: Array, direction: Array, midpoint: Array) -> Array:
    return 2 * ((latents - midpoint) @ direction) / (direction @ direction)


def _cross_validate(high: Array, low: Array, seed: int) -> float:
    generator = np.random.default_rng(seed)
    folds_high, folds_low = generator.integers(FOLDS, size=len(high)), generator.integers(FOLDS, size=len(low))
    folds_high[:FOLDS] = np.arange(FOLDS)[: len(high)]  # so that no fold empties a small side
    folds_low[:FOLDS] = np.arange(FOLDS)[: len(low)]
    right = 0
    for fold in range(FOLDS):
        direction, midpoint = _means(high[folds_high != fold], low[folds_low != fold])
        right += int((_scores(high[folds_high == fold], direction, midpoint) > 0).sum())
        right += int((_scores(low[folds_low == fold], direction, midpoint) <= 0).sum())
    return right / (len(high) + len(low))
