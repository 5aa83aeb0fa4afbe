"""A mixture of the posteriors of a few thousand texts: what it draws lies where texts lie, however they lie."""

# N latents or texts, K exemplars, D latent dimensions
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...modeling.gaussian import LOG_2PI, DiagonalGaussian
from ..geometry import Array
from .base import Prior, register_prior

EXEMPLARS = 8192
LEVELS = 127  # of a mean's numbers on either side of 0, in 8 bits
LEAST_WIDTH = 1e-6
AT_ONCE = 256  # latents whose distances to all exemplars are in memory together


@register_prior("exemplar")
@dataclass(frozen=True)
class ExemplarPrior(Prior):
    """Gaussians of one shared diagonal width around the posterior means of K texts (Norouzi et al. 2020, eq. 3).

    The width is that of the posteriors, so that K texts stand for the aggregate posterior. Means are kept in 8 bits.

    Attributes:
        means: Integers, shape (K, D), int8; times `scale` they are posterior means.
        scale: Step of each dimension, shape (D,).
        width: Standard deviation in each dimension, shape (D,).
    """

    means: NDArray[np.int8]
    scale: Array
    width: Array

    @classmethod
    def fit(
        cls, posterior: DiagonalGaussian, components: int | None = None, seed: int = 0, steps: int | None = None
    ) -> ExemplarPrior:
        """Keep the posterior means of some texts, drawn without replacement, and the width of all.

        Args:
            posterior: Of N texts, at least 1.
            components: K; by default 8,192, at most N.
            seed: Seed of the draw.
            steps: Only for a flow.

        Raises:
            ValueError: There are no texts, or fewer than the components, or less than one component; or steps.
        """
        if steps is not None:
            raise ValueError(f"the exemplar prior is not trained in steps, got steps={steps}: leave it out")
        n = len(posterior)
        count = min(EXEMPLARS, n) if components is None else components
        if not 1 <= count <= n:
            raise ValueError(f"an exemplar prior keeps from 1 text to all of the {n}, got {count} (components)")
        chosen = np.random.default_rng(seed).choice(n, count, replace=False)
        means = posterior.mean.float().numpy()[np.sort(chosen)]
        scale = np.maximum(np.abs(means).max(0) / LEVELS, LEAST_WIDTH).astype(np.float32)
        variance = posterior.std.double().square().mean(0).numpy()
        return cls(np.rint(means / scale).astype(np.int8), scale, np.sqrt(variance + LEAST_WIDTH**2).astype(np.float32))

    def sample(self, n: int, seed: int | None = None) -> Array:
        """Draw latents, shape (n, D); the same seed gives the same ones."""
        generator = np.random.default_rng(seed)
        chosen = generator.integers(len(self.means), size=n)
        noise = generator.standard_normal((n, len(self.width)), dtype=np.float32)
        return self.means[chosen] * self.scale + noise * self.width

    def log_prob(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the log density of latents (N, D) in nats, shape (N,)."""
        latents = np.asarray(latents, np.float64)
        width = self.width.astype(np.float64)
        centres = self.means * (self.scale / width)
        lengths = np.square(centres).sum(1)
        found = np.empty(len(latents))
        for start in range(0, len(latents), AT_ONCE):
            points = latents[start : start + AT_ONCE] / width
            squares = np.square(points).sum(1, keepdims=True) + lengths - 2 * points @ centres.T
            found[start : start + AT_ONCE] = np.logaddexp.reduce(-0.5 * squares, 1)
        return found - np.log(len(centres)) - np.log(width).sum() - 0.5 * len(width) * LOG_2PI

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean (D,) and the covariance (D, D)."""
        means = self.means * self.scale.astype(np.float64)
        covariance = np.cov(means, rowvar=False, bias=True).reshape(means.shape[1], -1)
        return means.mean(0), covariance + np.diag(np.square(self.width.astype(np.float64)))

    def state(self) -> dict[str, NDArray]:
        """Return means, scale and width."""
        return {"means": self.means, "scale": self.scale, "width": self.width}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray]) -> ExemplarPrior:
        """Return the prior of a state."""
        if set(arrays) != {"means", "scale", "width"}:
            raise ValueError(f"it holds {', '.join(arrays) or 'nothing'}")
        means, scale, width = arrays["means"], arrays["scale"], arrays["width"]
        if means.dtype != np.int8 or means.ndim != 2 or not means.size:
            raise ValueError(f"its means are {means.dtype} of shape {means.shape}")
        if not scale.shape == width.shape == means.shape[1:]:
            raise ValueError(f"its means, scale and width have the shapes {means.shape}, {scale.shape}, {width.shape}")
        if scale.dtype.kind != "f" or width.dtype.kind != "f" or (scale <= 0).any() or (width <= 0).any():
            raise ValueError("its scale or its width is not positive")
        return cls(means, scale.astype(np.float32), width.astype(np.float32))
