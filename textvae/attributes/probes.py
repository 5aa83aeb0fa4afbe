"""Linear probes: classifiers of two classes of texts by latents and words, with cross-validated calibration."""

# N texts, D latent dimensions, V tokens
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .._progress import Progress
from ..latent.geometry import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Labels = NDArray[np.bool_]
Probe = Literal["means", "lda", "logistic"]

FOLDS = 5
MAX_CROSS_VALIDATED = 10_000  # examples used by a cross-validation, drawn at random
BACKGROUND_EXAMPLES = 1  # weight of the background in a covariance, in examples per dimension
WORD_PENALTY = 0.3  # inverse strength of the penalty on the weights of words


@dataclass(frozen=True)
class Examples:
    """Texts of two classes.

    Attributes:
        latents: Shape (N, D).
        words: Which tokens each text has, shape (N, V).
        positive: Which texts are of the positive class, shape (N,).
        background: Covariance of the latents of any texts, shape (D, D).
    """

    latents: Array
    words: csr_matrix
    positive: Labels
    background: NDArray

    def __len__(self) -> int:
        return len(self.positive)

    def __getitem__(self, chosen: NDArray) -> Examples:
        """Return some of the examples."""
        return Examples(self.latents[chosen], self.words[chosen], self.positive[chosen], self.background)

    def relabelled(self, positive: Labels) -> Examples:
        """Return the same texts with other labels."""
        return dataclasses.replace(self, positive=positive)

    def means(self) -> tuple[NDArray, NDArray]:
        """Return the mean latent of the positive and of the negative texts."""
        return self.latents[self.positive].mean(0), self.latents[~self.positive].mean(0)

    def some(self, seed: int) -> Examples:
        """Return at most `MAX_CROSS_VALIDATED` random examples, and a few of each class."""
        drawn = np.random.default_rng(seed).permutation(len(self))[:MAX_CROSS_VALIDATED]
        few = [side.nonzero()[0][: 2 * FOLDS] for side in (self.positive, ~self.positive)]
        return self[np.unique(np.concatenate([drawn, *few]))]

    def folds(self, seed: int) -> Iterator[tuple[Examples, Examples]]:
        """Yield the examples to fit on and those held out, for each fold."""
        for seen, held_out in folds(self.positive, seed):
            yield self[seen], self[held_out]


@dataclass(frozen=True)
class LinearScore:
    """A score of latents whose class means are +1 and -1.

    Attributes:
        weights: Shape (D,).
        midpoint: Where the score is 0, shape (D,).
        direction: How latents change with the score among texts; adding it raises the score by 2, shape (D,).
    """

    weights: Array
    midpoint: Array
    direction: Array

    def __call__(self, latents: NDArray) -> NDArray:
        """Return the score of latents (N, D) or (D,)."""
        return (latents - self.midpoint) @ self.weights

    @classmethod
    def fit(cls, examples: Examples, kind: Probe) -> LinearScore:
        """Fit a probe.

        The direction is the covariance times the weights (Haufe et al. 2014), which for a linear discriminant is the
        difference of the means.
        """
        high, low = examples.means()
        difference = (high - low).astype(np.float64)
        if kind == "means":
            weights = direction = difference
        else:
            within = (examples.latents - np.where(examples.positive[:, None], high, low)).astype(np.float64)
            few = BACKGROUND_EXAMPLES * len(difference)
            covariance = (within.T @ within + few * examples.background) / (len(within) + few)
            if kind == "lda":
                weights, direction = np.linalg.solve(covariance, difference), difference
            else:
                scale = np.sqrt(np.diag(covariance))
                weights = logistic(examples.latents / scale, examples.positive)[0] / scale
                direction = covariance @ weights
        if weights @ difference > 0:  # else the class means coincide, and the score carries no information
            weights = weights * (2 / (weights @ difference))
            direction = direction * (2 / (weights @ direction))
        parts = (weights, (high + low) / 2, direction)
        return cls(*(np.asarray(part, np.float32) for part in parts))


@dataclass(frozen=True)
class HeldOut:
    """Scores of texts by probes that were not fitted on them.

    Attributes:
        scores: Of the latents, shape (N,).
        words: Log-odds of the words, shape (N,).
        positive: The class, shape (N,).
    """

    scores: NDArray
    words: NDArray
    positive: Labels

    @property
    def accuracy(self) -> float:
        """Return the share of the scores with the right sign."""
        return float(((self.scores > 0) == self.positive).mean())

    def calibrate(self) -> tuple[float, float]:
        """Return slope and threshold of the log-odds over the score (Platt 1999), with balanced classes."""
        (slope,), offset = logistic(self.scores[:, None], self.positive)
        if slope <= 0:  # the scores carry no information
            return 0.0, 0.0
        return float(slope), float(-offset / slope)

    def weigh(self) -> tuple[float, float, float]:
        """Return the weights of the score and of the words' log-odds in the combined log-odds, and the constant.

        A weight that would be negative is 0: that part adds nothing to the other.
        """
        both = np.stack([self.scores, self.words], 1)
        for used in ([True, True], [True, False], [False, True]):
            weights, offset = logistic(both * used, self.positive)
            if (weights[used] > 0).all():
                return float(weights[0]), float(weights[1]), offset
        return 0.0, 0.0, 0.0


def folds(positive: Labels, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the numbers of the texts to fit on and of those held out; each fold has texts of both classes.

    Args:
        positive: Which texts are of the positive class, at least 2 of each, shape (N,).
        seed: Seed of the shuffling.
    """
    from sklearn.model_selection import StratifiedKFold

    rarer = min(int(positive.sum()), int((~positive).sum()))
    yield from StratifiedKFold(min(FOLDS, rarer), shuffle=True, random_state=seed).split(positive, positive)


def hold_out(examples: Examples, probe: Probe | None, seed: int) -> HeldOut:
    """Score examples by cross-validation; without a `probe`, it is chosen on each fold's training part (nested)."""
    examples = examples.some(seed)
    scores, words, positive = [], [], []
    with Progress("cross-validated", len(examples), counts_inner=False) as progress:
        for fitted_on, held_out in examples.folds(seed):
            score = LinearScore.fit(fitted_on, probe or best_probe(fitted_on, seed + 1))
            scores.append(score(held_out.latents))
            weights, offset = fit_words(fitted_on)
            words.append(held_out.words @ weights + offset)
            positive.append(held_out.positive)
            progress.advance(len(held_out))
    return HeldOut(np.concatenate(scores), np.concatenate(words), np.concatenate(positive))


def best_probe(examples: Examples, seed: int) -> Probe:
    """Return the probe with the highest cross-validated accuracy, the simplest one of equals."""
    if min(examples.positive.sum(), (~examples.positive).sum()) < FOLDS:
        return "means"
    examples = examples.some(seed)
    right = dict.fromkeys(get_args(Probe), 0)
    with Progress("compared probes on", len(examples)) as progress:
        for fitted_on, held_out in examples.folds(seed):
            for kind in right:
                scores = LinearScore.fit(fitted_on, kind)(held_out.latents)
                right[kind] += int(((scores > 0) == held_out.positive).sum())
            progress.advance(len(held_out))
    return max(right, key=lambda kind: right[kind])


def fit_words(examples: Examples) -> tuple[NDArray, float]:
    """Return weights (V,) and constant of the log-odds of the class, given which tokens a text has."""
    return logistic(examples.words, examples.positive, WORD_PENALTY)


def presence(rows: Sequence[Sequence[int]], vocab_size: int) -> csr_matrix:
    """Return which tokens each row of ids has, (N, V), as a sparse matrix of zeros and ones."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(analyzer=list, vocabulary=range(vocab_size), binary=True, dtype=np.float32).transform(rows)


def logistic(features: NDArray | csr_matrix, labels: Labels, penalty: float = 1.0) -> tuple[NDArray, float]:
    """Return weights and constant of the log-odds of the class, with balanced classes."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000).fit(features, labels)
    return model.coef_[0], float(model.intercept_[0])
