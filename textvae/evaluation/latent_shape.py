"""Shape of the latent space: fit of the aggregate posterior to the prior, and smoothness of interpolations."""

# N texts, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..modeling.gaussian import DiagonalGaussian
from ..modeling.objectives.mmd import squared_mmd
from .text_scores import edit_distance

MMD_SAMPLES = 1000


def measure_geometry(posterior: DiagonalGaussian, *, seed: int = 0) -> dict[str, Any]:
    """Compare q(z), the mixture of N posteriors (N >= 2), with N(0, I); the names are those of `EvalReport`."""
    generator = torch.Generator().manual_seed(seed)
    latents_ND = posterior.sample(generator=generator)
    chosen_ND = latents_ND[torch.randperm(len(latents_ND), generator=generator)[:MMD_SAMPLES]]
    prior_ND = torch.randn(chosen_ND.shape, generator=generator)
    spectrum_D = torch.linalg.eigvalsh(posterior.mean.double().T.cov()).clamp(min=0)
    means, variances = latents_ND.mean(0).tolist(), latents_ND.var(0).tolist()
    return {
        "dim_means": means,
        "dim_variances": variances,
        "largest_mean": max(map(abs, means)),
        "smallest_variance": min(variances),
        "largest_variance": max(variances),
        "mmd": float(squared_mmd(chosen_ND, prior_ND)),
        "effective_dims": float(spectrum_D.sum() ** 2 / spectrum_D.square().sum().clamp(min=1e-30)),
    }


def smoothness(path: Sequence[str]) -> float:
    """Return d(first, last) / sum of d(neighbours) with word edit distances, 0 to 1; 1 for a direct path.

    1 if all texts are the same.

    Examples:
        >>> smoothness(["a red fox", "a red dog", "a big dog"])
        1.0
    """
    steps = sum(edit_distance(a, b) for a, b in zip(path, path[1:], strict=False))
    return min(1.0, edit_distance(path[0], path[-1]) / steps) if steps else 1.0


def neighbours(count: int, pairs: int, seed: int) -> np.ndarray:
    """Return random pairs of different numbers below `count`, shape (pairs, 2)."""
    generator = np.random.default_rng(seed)
    first = generator.integers(count, size=pairs)
    return np.stack([first, (first + generator.integers(1, count, size=pairs)) % count], 1)
