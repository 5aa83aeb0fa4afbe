"""Attributes: directions of the latent space learnt from examples, with their calibration."""

# N texts, D latent dimensions, M attributes
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file, save_file

from . import geometry
from .artifacts import CorruptFileError, atomic_folder, open_folder, read_json, write_json
from .evaluation.disentanglement import information
from .gate import gate_texts
from .geometry import Array
from .text_vae import TextVAE

Probe = Literal["means", "lda", "logistic"]
FACTS = {"name", "probe", "positive", "negative", "slope", "threshold", "accuracy", "examples", "fingerprint"}
ARRAYS = {"direction", "weights", "midpoint"}
FOLDS = 5
WILSON_Z = 1.96  # 95%
ENOUGH = 5000  # examples of a side that choose the probe
FEW = 1  # examples that the background counts for in a covariance, for each dimension


@dataclass(frozen=True)
class Attribute:
    """A coordinate of one model's latent space: how strongly a text has something, and which way is more of it.

    Attributes:
        name: What it is called, such as "sentiment".
        weights: Of the score, shape (D,).
        midpoint: The point between the classes, where the score is 0, shape (D,).
        direction: The way from typical negative to typical positive texts, shape (D,): it raises the score by 2.
        slope: Of the log-odds over the score, from held-out scores.
        threshold: Score at which both classes are equally likely.
        accuracy: Share of the examples on the right side, cross-validated.
        examples: Number of examples it was fitted on.
        fingerprint: Fingerprint of the model it belongs to.
        probe: How the weights were found: "means" is the difference of the class means, "lda" and "logistic" are
            discriminants; "dimension" is one dimension, and "given" a direction that was not fitted.
        positive: Name of the class with high scores.
        negative: Name of the class with low ones.
    """

    name: str
    weights: Array
    midpoint: Array
    direction: Array
    slope: float
    threshold: float
    accuracy: float
    examples: int
    fingerprint: str
    probe: str = "means"
    positive: str = "positive"
    negative: str = "negative"

    @classmethod
    def fit(
        cls,
        vae: TextVAE,
        positive: Sequence[str],
        negative: Sequence[str],
        *,
        name: str = "attribute",
        probe: Probe | None = None,
        seed: int = 0,
    ) -> Attribute:
        """Fit the attribute that tells positive from negative examples.

        The score's weights are those of the probe that is right most often in cross-validation. The direction is what
        changes with the score among the latents of texts: the covariance times the weights, which for a linear
        discriminant is the difference of the means (Haufe et al. 2014).

        Args:
            vae: The model.
            positive: Texts that have the attribute; at least 2, ten already work.
            negative: Texts that lack it or have its opposite.
            name: What to call it.
            probe: "means", "lda" or "logistic" instead of the best of them.
            seed: Seed of the folds of the cross-validation.

        Raises:
            ValueError: There are fewer than 2 examples of a side, or both sides have the same mean.
        """
        positive, negative = gate_texts(positive), gate_texts(negative)
        for side, texts in (("positive", positive), ("negative", negative)):
            if len(texts) < 2:
                raise ValueError(f"an attribute needs at least 2 {side} examples, got {len(texts)}")
        return cls._of_latents(vae, vae.encode(positive), vae.encode(negative), name, probe, seed)

    @classmethod
    def fit_labels(
        cls,
        vae: TextVAE,
        texts: Sequence[str],
        labels: Sequence[str] | Sequence[float],
        *,
        positive: str | None = None,
        name: str = "attribute",
        probe: Probe | None = None,
        seed: int = 0,
    ) -> Attribute:
        """Fit an attribute from a labelled column.

        Args:
            vae: The model.
            texts: N texts.
            labels: A class name for each text; or a number, and the upper half is told from the lower half.
            positive: The class that is told from all others; with two classes by default the last in alphabetical
                order.
            name: What to call it.
            probe: As in `fit`.
            seed: As in `fit`.

        Raises:
            ValueError: There are not as many labels as texts, fewer than two classes, or more and no `positive`.
        """
        texts = gate_texts(texts)
        if len(labels) != len(texts):
            raise ValueError(f"{len(texts)} texts need as many labels, got {len(labels)}")
        high, names = split_labels(labels, positive)
        sides = [[text for text, chosen in zip(texts, high, strict=True) if chosen == side] for side in (True, False)]
        fitted = cls.fit(vae, *sides, name=name, probe=probe, seed=seed)
        return dataclasses.replace(fitted, negative=names[0], positive=names[1])

    @classmethod
    def from_dimension(cls, vae: TextVAE, dim: int, *, name: str | None = None) -> Attribute:
        """Return one latent dimension as an attribute; a score of 1 is a standard deviation above the mean of texts.

        Mean and deviation are those of the prior that was fitted to the training texts, else 0 and 1.
        """
        if not 0 <= dim < vae.dim:
            raise ValueError(f"dim must be in 0..{vae.dim - 1}, got {dim}")
        mean, covariance = _background(vae)
        axis = np.zeros(vae.dim, np.float32)
        axis[dim] = 1
        deviation = np.float32(np.sqrt(covariance[dim, dim]))
        return cls(
            name or f"dimension {dim}", axis / deviation, mean.astype(np.float32), 2 * deviation * axis, 1.0, 0.0,
            math.nan, 0, vae.fingerprint, "dimension",
        )  # fmt: skip

    @classmethod
    def _of_latents(cls, vae: TextVAE, high: Array, low: Array, name: str, probe: Probe | None, seed: int) -> Attribute:
        geometry.unit(high.mean(0) - low.mean(0))  # refuses two sets with the same mean
        if probe is not None and probe not in get_args(Probe):
            raise ValueError(f"unknown probe {probe!r}: use one of {', '.join(get_args(Probe))}")
        background = _background(vae)[1]
        held_out, labels = _held_out_scores(high, low, background, probe, seed)
        slope, threshold = _calibrate(held_out, labels)
        probe = probe or _best_probe(high, low, background, seed)
        weights, midpoint, direction = _fit_probe(probe, high, low, background)
        return cls(
            name, weights, midpoint, direction, slope, threshold, float(((held_out > 0) == labels).mean()),
            len(labels), vae.fingerprint, probe,
        )  # fmt: skip

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
            Shape (N,) or (): -1 is typical of the negative examples, +1 of the positive ones.
        """
        return (np.asarray(latents, np.float32) - self.midpoint) @ self.weights

    def log_odds(self, latents: ArrayLike) -> Array:
        """Return the logarithm of p / (1 - p), p the probability that a text is positive, both classes equally common.

        Args:
            latents: Shape (N, D), or (D,) for one.

        Returns:
            Nats, shape (N,) or ().
        """
        return np.asarray(self.slope * (self.score(latents) - self.threshold), np.float32)

    def move(self, latents: ArrayLike, strength: float = 1.0) -> Array:
        """Return latents + strength * direction, shape (N, D): plain arithmetic; strength 1 raises the score by 2."""
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
        if not self.examples:
            return f"{self.name}: not fitted on examples"
        low, high = self.interval
        return (
            f"{self.name}: {self.examples} examples, cross-validated accuracy {self.accuracy:.1%} "
            f"({low:.1%} to {high:.1%})"
        )

    def save(self, path: str | Path) -> None:
        """Write the attribute as a folder: attribute.json and direction.safetensors."""
        with atomic_folder(path, "attribute.json") as folder:
            save_file(
                {key: np.ascontiguousarray(getattr(self, key)) for key in ARRAYS}, folder / "direction.safetensors"
            )
            facts = {key: getattr(self, key) for key in sorted(FACTS)}
            write_json(folder / "attribute.json", facts)

    @classmethod
    def load(cls, path: str | Path) -> Attribute:
        """Load a saved attribute.

        Raises:
            FileNotFoundError: There is no such folder.
            CorruptFileError: It was altered, or holds something else.
        """
        folder = open_folder(path, "attribute", "attribute.json")
        facts, arrays = read_json(folder / "attribute.json"), load_file(folder / "direction.safetensors")
        if set(facts) != FACTS or set(arrays) != ARRAYS:
            raise CorruptFileError(f"{folder} does not hold what an attribute does: fit it again")
        return cls(**(facts | arrays))


@dataclass(frozen=True)
class Dimension:
    """What one latent dimension says about an attribute.

    Attributes:
        dim: Its number.
        information: Mutual information with the class in nats, the dimension cut into 20 bins; ln 2 is all there is.
        correlation: With the class, -1 to 1.
    """

    dim: int
    information: float
    correlation: float


def dimensions(latents: ArrayLike, positive: Sequence[bool]) -> list[Dimension]:
    """Return what each dimension of latents (N, D) says about the class of the texts, the most telling first."""
    latents_ND, labels_N = np.asarray(latents, np.float64), np.asarray(positive, int)
    information_D = information(latents_ND, labels_N[:, None])[0][:, 0]
    away_ND = latents_ND - latents_ND.mean(0)
    scale_D = np.maximum(latents_ND.std(0) * labels_N.std(), np.finfo(float).tiny)
    correlation_D = (labels_N - labels_N.mean()) @ away_ND / len(labels_N) / scale_D
    order = np.argsort(-information_D, kind="stable")
    return [Dimension(int(d), float(information_D[d]), float(correlation_D[d])) for d in order]


def split_labels(labels: Sequence[Any], positive: str | None = None) -> tuple[list[bool], tuple[str, str]]:
    """Return which texts are on the positive side, and the names of the negative and the positive side.

    Raises:
        ValueError: There are not two sides, or it is not said which class is the positive one.
    """
    if labels and all(isinstance(label, int | float) and not isinstance(label, bool) for label in labels):
        if positive is not None:
            raise ValueError(f"the labels are numbers, whose upper half is the positive side: {positive!r} is no class")
        middle = float(np.median(np.asarray(labels, np.float64)))
        if not math.isfinite(middle) or min(labels) == max(labels):
            raise ValueError(
                "the labels are one number, or not finite: an attribute needs texts with more and with less"
            )
        above = [label > middle for label in labels]
        if not any(above):  # half of them have the largest value
            return [label >= middle for label in labels], (f"below {middle:g}", f"at least {middle:g}")
        return above, (f"at most {middle:g}", f"above {middle:g}")
    classes = sorted({str(label) for label in labels})
    if len(classes) < 2:
        raise ValueError(
            f"an attribute needs two classes, the labels have {len(classes)}: {', '.join(classes) or 'none'}"
        )
    if positive is None and len(classes) > 2:
        raise ValueError(
            f"the labels have {len(classes)} classes: say which is the positive one, of {', '.join(classes)}"
        )
    positive = positive or classes[-1]
    if positive not in classes:
        raise ValueError(f"no label is {positive!r}: the classes are {', '.join(classes)}")
    negative = next(label for label in classes if label != positive) if len(classes) == 2 else f"not {positive}"
    return [str(label) == positive for label in labels], (negative, positive)


def _background(vae: TextVAE) -> tuple[NDArray, NDArray]:
    """Return mean (D,) and covariance (D, D) of the latents of the texts that the model knows."""
    prior = getattr(vae, "prior", None)
    if prior is None:
        return np.zeros(vae.dim), np.eye(vae.dim)
    weights = (prior.weights / prior.weights.sum())[:, None].astype(np.float64)
    mean = (weights * prior.means).sum(0)
    away = prior.means - mean
    within = np.einsum("k,kij,klj->il", weights[:, 0], prior.factors, prior.factors)
    return mean, within + (weights * away).T @ away


def _fit_probe(kind: Probe, high: Array, low: Array, background: NDArray) -> tuple[Array, Array, Array]:
    """Return weights, midpoint and direction, each (D,); the class means score +1 and -1."""
    difference = (high.mean(0) - low.mean(0)).astype(np.float64)
    if kind == "means":
        weights = direction = difference
    else:
        within = np.concatenate([high - high.mean(0), low - low.mean(0)]).astype(np.float64)
        few = FEW * background.shape[0]
        covariance = (within.T @ within + few * background) / (len(within) + few)
        if kind == "lda":
            weights = np.linalg.solve(covariance, difference)
            direction = difference
        else:
            from sklearn.linear_model import LogisticRegression

            scale = np.sqrt(np.diag(covariance))
            labels = np.repeat([1, 0], [len(high), len(low)])
            model = LogisticRegression(class_weight="balanced", max_iter=1000)
            weights = model.fit(np.concatenate([high, low]) / scale, labels).coef_[0] / scale
            direction = covariance @ weights
    weights = weights * (2 / (weights @ difference))
    direction = direction * (2 / (weights @ direction))
    midpoint = (high.mean(0) + low.mean(0)) / 2
    return weights.astype(np.float32), midpoint.astype(np.float32), direction.astype(np.float32)


def _folds(high: Array, low: Array, seed: int) -> list[tuple[Array, Array, Array, Array]]:
    """Return high and low to fit on, high and low held out, for each fold."""
    generator = np.random.default_rng(seed)
    folds_high, folds_low = generator.integers(FOLDS, size=len(high)), generator.integers(FOLDS, size=len(low))
    folds_high[:FOLDS] = np.arange(FOLDS)[: len(high)]  # so that no fold empties a small side
    folds_low[:FOLDS] = np.arange(FOLDS)[: len(low)]
    return [
        (high[folds_high != fold], low[folds_low != fold], high[folds_high == fold], low[folds_low == fold])
        for fold in range(FOLDS)
    ]


def _best_probe(high: Array, low: Array, background: NDArray, seed: int) -> Probe:
    """Return the probe that is right most often in cross-validation, the simpler one where several are."""
    if min(len(high), len(low)) < FOLDS:
        return "means"
    high, low = high[:ENOUGH], low[:ENOUGH]

    def right(kind: Probe) -> int:
        scores, labels = _held_out_scores(high, low, background, kind, seed)
        return int(((scores > 0) == labels).sum())

    return max(get_args(Probe), key=right)


def _held_out_scores(
    high: Array, low: Array, background: NDArray, probe: Probe | None, seed: int
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return cross-validated scores (N,) and labels (N,); the probe too is chosen without the fold that is scored."""
    scores, labels = [], []
    for fit_high, fit_low, out_high, out_low in _folds(high, low, seed):
        if not len(out_high) + len(out_low):
            continue
        kind = probe or _best_probe(fit_high, fit_low, background, seed + 1)
        weights, midpoint, _ = _fit_probe(kind, fit_high, fit_low, background)
        scores.append((np.concatenate([out_high, out_low]) - midpoint) @ weights)
        labels.append(np.repeat([True, False], [len(out_high), len(out_low)]))
    return np.concatenate(scores), np.concatenate(labels)


def _calibrate(scores: NDArray, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and threshold of the log-odds over the score (Platt 1999), both classes weighing the same."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced").fit(scores[:, None], labels)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:  # the scores say nothing
        return 0.0, 0.0
    return slope, -offset / slope
