"""The standard normal, the prior of the loss."""

# N latents, D latent dimensions
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...modeling.gaussian import LOG_2PI, DiagonalGaussian
from ..geometry import Array
from .base import Prior, register_prior


@register_prior("standard")
@dataclass(frozen=True)
class StandardNormal(Prior):
    """N(0, I), the prior of a model without a fitted one.

    Attributes:
        dim: D.
    """

    dim: int

    @classmethod
    def fit(
        cls, posterior: DiagonalGaussian, components: int | None = None, seed: int = 0, steps: int | None = None
    ) -> StandardNormal:
        """Return N(0, I) of the posterior's dimension; nothing is fitted."""
        if components is not None:
            raise ValueError(f"the standard prior has no components, got components={components}: leave it out")
        if steps is not None:
            raise ValueError(f"the standard prior is not trained, got steps={steps}: leave it out")
        return cls(posterior.dim)

    def sample(self, n: int, seed: int | None = None) -> Array:
        """Draw latents, shape (n, D); the same seed gives the same ones."""
        return np.random.default_rng(seed).standard_normal((n, self.dim), dtype=np.float32)

    def log_prob(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the log density of latents (N, D) in nats, shape (N,)."""
        return -0.5 * (np.square(np.asarray(latents, np.float64)) + LOG_2PI).sum(-1)

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return zeros (D,) and the identity (D, D)."""
        return np.zeros(self.dim), np.eye(self.dim)

    def distance(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the lengths of latents (N, D), shape (N,)."""
        return np.linalg.norm(latents, axis=1)

    def state(self) -> dict[str, NDArray]:
        """Return {}: nothing but D is needed."""
        return {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray]) -> StandardNormal:
        """Return N(0, I) of {"dim": D}."""
        if set(arrays) != {"dim"} or arrays["dim"].size != 1 or arrays["dim"].dtype.kind != "i" or arrays["dim"] < 1:
            raise ValueError(f"it holds {', '.join(arrays) or 'nothing'}")
        return cls(int(arrays["dim"]))
