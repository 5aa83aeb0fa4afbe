"""Mutual information of single latent dimensions and the classes of texts."""

# N texts, D latent dimensions, F factors
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 20  # of equal width, into which a dimension is cut


def information(latents_ND: NDArray, factors_NF: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return I(dimension; factor) in nats, (D, F), and the factors' entropies, (F,).

    Args:
        latents_ND: Latents, shape (N, D).
        factors_NF: Class of each text by each factor, shape (N, F); negative where unknown.
    """
    from scipy.stats import entropy
    from sklearn.metrics import mutual_info_score

    low, high = latents_ND.min(0), latents_ND.max(0)
    bins_ND = ((latents_ND - low) / np.where(high > low, high - low, 1) * BINS).astype(int).clip(0, BINS - 1)
    result = np.zeros((latents_ND.shape[1], factors_NF.shape[1]))
    entropies = np.zeros(factors_NF.shape[1])
    for f, values in enumerate(factors_NF.T):
        known = values >= 0
        if known.any():
            entropies[f] = entropy(np.unique(values[known], return_counts=True)[1])
            result[:, f] = [mutual_info_score(values[known], bins) for bins in bins_ND[known].T]
    return result, entropies


@dataclass(frozen=True)
class Dimension:
    """Mutual information and correlation of one latent dimension and an attribute.

    Attributes:
        dim: Its number.
        information: Mutual information with the class in nats, over 20 bins of the dimension; at most ln 2 for two
            classes, and biased upwards below a few hundred texts.
        correlation: With the class, -1 to 1; 0 for a constant.
    """

    dim: int
    information: float
    correlation: float


def dimensions(latents: ArrayLike, positive: Sequence[bool]) -> list[Dimension]:
    """Return the `Dimension` of each column of latents (N, D), highest mutual information first."""
    from sklearn.feature_selection import r_regression

    latents_ND, labels_N = np.asarray(latents, np.float64), np.asarray(positive, int)
    information_D = information(latents_ND, labels_N[:, None])[0][:, 0]
    correlation_D = r_regression(latents_ND, labels_N)
    order = np.argsort(-information_D, kind="stable")
    return [Dimension(int(d), float(information_D[d]), float(correlation_D[d])) for d in order]
