"""Disentanglement metrics: how well single latent dimensions represent known factors of the texts.

Factors are small integers; a negative value means unknown, and leaves its text out for that factor.
"""

# N texts, D latent dimensions, F factors
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..latent.information import information

RESAMPLES, SHARE = 30, 0.5
BATCH, VOTES = 64, 400

Factors = NDArray[np.integer]


@dataclass(frozen=True)
class Score:
    """A mean with its standard deviation over resamples or repetitions."""

    mean: float
    std: float


def codes(table: Sequence[Sequence[object]]) -> NDArray[np.intp]:
    """Encode the values of each column as small integers, shape (N, F); None and "" become -1, unknown.

    Examples:
        >>> codes([["past", 2], ["present", 1], ["", 2]]).tolist()
        [[0, 1], [1, 0], [-1, 1]]
    """
    columns = []
    for column in zip(*table, strict=True):
        values = np.array(["" if value is None else str(value) for value in column])
        known, numbers = np.unique(values, return_inverse=True)
        columns.append(numbers - (known[0] == ""))  # "" sorts first
    return np.stack(columns, 1)


def mutual_information_gap(latents_ND: NDArray, factors_NF: Factors, *, seed: int = 0) -> Score:
    """Return the MIG (Chen et al. 2018, sec. 4.1): per factor, the gap between its two most informative dimensions.

    Dimensions are discretised into 20 bins of equal width, and the gap is normalised by the factor's entropy. Mean and
    deviation are over 30 resamples of half the texts.
    """
    _check(latents_ND, factors_NF)
    generator = np.random.default_rng(seed)
    size = max(2, round(SHARE * len(latents_ND)))
    gaps = []
    for _ in range(RESAMPLES):
        chosen = generator.choice(len(latents_ND), size, replace=False)
        information_DF, entropy_F = information(latents_ND[chosen], factors_NF[chosen])
        best = np.sort(information_DF, 0)[::-1]
        lead = best[0] - (best[1] if len(best) > 1 else 0)
        gaps.append(np.mean(lead[entropy_F > 0] / entropy_F[entropy_F > 0]))
    return Score(float(np.mean(gaps)), float(np.std(gaps)))


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness, informativeness (Eastwood & Williams 2018, sec. 2).

    Attributes:
        disentanglement: 1 if every dimension is important for one factor only.
        completeness: 1 if every factor is predicted from one dimension only.
        informativeness: Accuracy of predicting the factors from the latents, on the held-out half.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def dci(latents_ND: NDArray, factors_NF: Factors, *, seed: int = 0) -> DCI:
    """Return the DCI scores, with feature importances from a random forest per factor."""
    from sklearn.ensemble import RandomForestClassifier

    _check(latents_ND, factors_NF)
    order = np.random.default_rng(seed).permutation(len(latents_ND))
    importances, accuracies = [], []
    for values in factors_NF.T:
        forest = RandomForestClassifier(100, max_depth=12, random_state=seed)
        train, test = np.array_split(order[values[order] >= 0], 2)
        importances.append(forest.fit(latents_ND[train], values[train]).feature_importances_)
        accuracies.append(forest.score(latents_ND[test], values[test]))
    weights_DF = np.stack(importances, 1)
    of_dimension, of_factor = weights_DF.sum(1), weights_DF.sum(0)
    purity_D = 1 - _normalised_entropies(weights_DF)
    return DCI(
        disentanglement=float((purity_D * of_dimension).sum() / of_dimension.sum()),
        completeness=float(((1 - _normalised_entropies(weights_DF.T)) * of_factor).sum() / of_factor.sum()),
        informativeness=float(np.mean(accuracies)),
    )


def z_diff(latents_ND: NDArray, factors_NF: Factors, *, seed: int = 0) -> Score:
    """Return the accuracy of predicting which factor pairs of texts share from their mean absolute latent difference.

    The beta-VAE metric (Higgins et al. 2017, sec. 3) with a linear classifier, averaged over five repetitions.
    """
    from sklearn.linear_model import LogisticRegression

    def point(rows: _Sharing, factor: int) -> NDArray:
        first, second = rows.pairs(factor, BATCH)
        return np.abs(latents_ND[first] - latents_ND[second]).mean(0)

    def accuracy(train: tuple[NDArray, NDArray], test: tuple[NDArray, NDArray]) -> float:
        return LogisticRegression(max_iter=2000).fit(*train).score(*test)

    return _votes(latents_ND, factors_NF, point, accuracy, seed)


def z_min_var(latents_ND: NDArray, factors_NF: Factors, *, seed: int = 0) -> Score:
    """Return the accuracy of predicting which factor a batch shares from its dimension of least variance.

    The FactorVAE metric (Kim & Mnih 2018, sec. 4) with a majority vote, averaged over five repetitions.
    """
    spread_D = latents_ND.var(0)
    live = spread_D > 1e-3 * spread_D.max()

    def point(rows: _Sharing, factor: int) -> NDArray:
        relative = latents_ND[rows.batch(factor, BATCH)][:, live].var(0) / spread_D[live]
        return np.array([relative.argmin()])

    def accuracy(train: tuple[NDArray, NDArray], test: tuple[NDArray, NDArray]) -> float:
        votes = np.zeros((int(live.sum()), factors_NF.shape[1]))
        np.add.at(votes, (train[0][:, 0], train[1]), 1)
        return float((votes.argmax(1)[test[0][:, 0]] == test[1]).mean())

    return _votes(latents_ND, factors_NF, point, accuracy, seed)


class _Sharing:
    """Sampler of texts that share the value of one factor."""

    def __init__(self, factors_NF: Factors, generator: np.random.Generator):
        self.factors, self.generator = factors_NF, generator
        self.values = [np.unique(column[column >= 0]) for column in factors_NF.T]
        self.groups = [
            [np.flatnonzero(column == value) for value in values]
            for column, values in zip(factors_NF.T, self.values, strict=True)
        ]

    def batch(self, factor: int, size: int) -> NDArray[np.intp]:
        group = self.groups[factor][self.generator.integers(len(self.groups[factor]))]
        return self.generator.choice(group, size)

    def pairs(self, factor: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        groups = self.groups[factor]
        first = self.generator.choice(np.flatnonzero(self.factors[:, factor] >= 0), size)
        places = np.searchsorted(self.values[factor], self.factors[first, factor])
        return first, np.array([self.generator.choice(groups[place]) for place in places])


def _votes(
    latents_ND: NDArray,
    factors_NF: Factors,
    point: Callable[[_Sharing, int], NDArray],
    accuracy: Callable[[tuple[NDArray, NDArray], tuple[NDArray, NDArray]], float],
    seed: int,
) -> Score:
    _check(latents_ND, factors_NF)
    scores = []
    for repetition in range(5):
        generator = np.random.default_rng([seed, repetition])
        rows = _Sharing(factors_NF, generator)
        factors = generator.integers(factors_NF.shape[1], size=2 * VOTES)
        points = np.stack([point(rows, int(factor)) for factor in factors])
        scores.append(accuracy((points[:VOTES], factors[:VOTES]), (points[VOTES:], factors[VOTES:])))
    return Score(float(np.mean(scores)), float(np.std(scores)))


def _check(latents_ND: NDArray, factors_NF: Factors) -> None:
    if latents_ND.ndim != 2 or factors_NF.ndim != 2 or len(latents_ND) != len(factors_NF) or len(latents_ND) < 2:
        raise ValueError(f"give latents (N, D), factors (N, F), N >= 2; got {latents_ND.shape} and {factors_NF.shape}")
    if not np.isfinite(latents_ND).all():
        raise ValueError("latents hold NaN or infinite values: encode the texts again or drop these rows")
    if not np.issubdtype(factors_NF.dtype, np.integer):
        raise ValueError(f"factors must be integers, got {factors_NF.dtype}: convert values with `codes`")
    for f, values in enumerate(factors_NF.T):
        if len(np.unique(values[values >= 0])) < 2:
            raise ValueError(f"factor {f} has fewer than 2 different known values: leave it out")


def _normalised_entropies(weights_RC: NDArray) -> NDArray[np.float64]:
    """Return each row's entropy over ln C; 1 for a row of zeros, which then adds 0 to a score."""
    from scipy.stats import entropy

    result_R, used_R = np.ones(len(weights_RC)), weights_RC.sum(1) > 0
    result_R[used_R] = entropy(weights_RC[used_R], axis=1) / np.log(max(weights_RC.shape[1], 2))
    return result_R
