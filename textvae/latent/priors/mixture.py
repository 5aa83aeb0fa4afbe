"""A mixture of Gaussians: the aggregate posterior is rarely N(0, I), and samples from N(0, I) then land in its gaps."""

# N texts, D latent dimensions, K components
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...modeling.gaussian import LOG_2PI, DiagonalGaussian
from ..geometry import Array
from .base import Prior, register_prior

SHAPES = {"weights": 1, "means": 2, "factors": 3}
FLOOR = 1e-6  # of a variance
MOST_COMPONENTS, TEXTS_PER_DIMENSION = 20, 8  # measured in results/prior.json


@register_prior("mixture")
@dataclass(frozen=True)
class MixturePrior(Prior):
    """A mixture of Gaussians with full covariances in latent space.

    Attributes:
        weights: Share of each component, shape (K,).
        means: Shape (K, D).
        factors: Lower Cholesky factors of the covariances, shape (K, D, D).
    """

    weights: Array
    means: Array
    factors: Array

    @classmethod
    def fit(
        cls, posterior: DiagonalGaussian, components: int | None = None, seed: int = 0, steps: int | None = None
    ) -> MixturePrior:
        """Fit the aggregate posterior (1/N) sum q(z|x): by its exact moments, or by EM on one draw from each q(z|x).

        Args:
            posterior: Of N texts, at least 2.
            components: K; by default one for every 8 * D texts, at least 1 and at most 20.
            seed: Seed of the draws and of EM.
            steps: Only for a flow.

        Raises:
            ValueError: There are fewer than 2 texts, or fewer than the components, or less than one component; or
                steps.
        """
        if steps is not None:
            raise ValueError(f"the mixture prior is not trained in steps, got steps={steps}: leave it out")
        if components is None:
            components = default_components(len(posterior), posterior.dim)
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        if len(posterior) < max(2, components):
            raise ValueError(f"{components} components need at least {max(2, components)} texts, got {len(posterior)}")
        if components > 1:
            from sklearn.mixture import GaussianMixture

            draws = posterior.sample(generator=torch.Generator().manual_seed(seed)).numpy()
            fitted = GaussianMixture(components, reg_covar=1e-4, random_state=seed).fit(draws)
            weights, means, covariances = fitted.weights_, fitted.means_, fitted.covariances_
        else:
            mu, spread = posterior.mean.double().numpy(), posterior.std.double().square().numpy()
            covariance = np.cov(mu, rowvar=False, bias=True).reshape(mu.shape[1], -1)
            weights, means = np.ones(1), mu.mean(0, keepdims=True)
            covariances = (covariance + np.diag(spread.mean(0) + FLOOR))[None]
        factors = np.linalg.cholesky(covariances)
        return cls(*(np.ascontiguousarray(part, np.float32) for part in (weights, means, factors)))

    def sample(self, n: int, seed: int | None = None) -> Array:
        """Draw latents, shape (n, D); the same seed gives the same ones."""
        generator = np.random.default_rng(seed)
        shares = self.weights / self.weights.sum(dtype=np.float64)
        chosen = generator.choice(len(self.weights), size=n, p=shares)
        noise = generator.standard_normal((n, self.means.shape[1]), dtype=np.float32)
        latents = self.means[chosen]
        for k, factor in enumerate(self.factors):
            latents[chosen == k] += noise[chosen == k] @ factor.T
        return latents

    def log_prob(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the log density of latents (N, D) in nats, shape (N,)."""
        of_component = [
            np.log(weight) - np.log(np.diag(factor)).sum() - 0.5 * (len(factor) * LOG_2PI + square)
            for weight, factor, square in zip(
                self.weights.astype(np.float64), self.factors.astype(np.float64), self._squares(latents), strict=True
            )
        ]
        return np.logaddexp.reduce(of_component, 0)

    def distance(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of latents (N, D) from the nearest component, shape (N,)."""
        return np.sqrt(np.min(self._squares(latents), 0))

    def _squares(self, latents: NDArray) -> list[NDArray[np.float64]]:
        """Return the squared Mahalanobis distances from each of the K components, shape (N,) each."""
        pairs = zip(self.means.astype(np.float64), self.factors.astype(np.float64), strict=True)
        return [np.square(np.linalg.solve(factor, (latents - mean).T)).sum(0) for mean, factor in pairs]

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean (D,) and the covariance (D, D) of the mixture."""
        weights = (self.weights / self.weights.sum())[:, None].astype(np.float64)
        mean = (weights * self.means).sum(0)
        away = self.means - mean
        within = np.einsum("k,kij,klj->il", weights[:, 0], self.factors, self.factors)
        return mean, within + (weights * away).T @ away

    def state(self) -> dict[str, NDArray]:
        """Return weights, means and factors."""
        return {"weights": self.weights, "means": self.means, "factors": self.factors}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray]) -> MixturePrior:
        """Return the mixture of a state."""
        if {name: array.ndim for name, array in arrays.items()} != SHAPES:
            raise ValueError(f"it holds {', '.join(arrays) or 'nothing'}")
        weights, means, factors = (arrays[name] for name in SHAPES)
        if any(array.dtype.kind != "f" for array in arrays.values()):
            raise ValueError("its arrays are no floating-point numbers")
        shapes = weights.shape, means.shape, factors.shape
        if not means.size or shapes != (means.shape[:1], means.shape, (*means.shape, means.shape[1])):
            raise ValueError(f"its weights, means and factors have the shapes {shapes}")
        if (weights < 0).any() or not 0.99 < weights.sum(dtype=np.float64) < 1.01:
            raise ValueError("its weights are no shares of a whole")
        if np.triu(factors, 1).any() or (np.diagonal(factors, axis1=1, axis2=2) <= 0).any():
            raise ValueError("its factors are no Cholesky factors")
        return cls(**arrays)


def default_components(texts: int, dim: int) -> int:
    """Return how many Gaussians suit a number of texts."""
    return max(1, min(MOST_COMPONENTS, texts // (TEXTS_PER_DIMENSION * dim)))
