"""Attributes: directions of the latent space learnt from examples, with their calibration."""

# N texts, D latent dimensions, M attributes
from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import ArrayLike
from safetensors.numpy import save_file

from ..latent import geometry
from ..latent.geometry import Array
from ..latent.reading import Reading
from ..latent.vae import TextVAE
from ..storage.atomic import read_json, write_json
from ..storage.errors import CorruptFileError
from ..storage.folders import atomic_folder, open_folder, read_folder, require_file
from ..storage.schema import check_fields
from ..text.cleaning import gate_texts
from .files import ABOUT, ARRAYS, DIRECTION, FIELDS, MOST_BYTES, read_arrays
from .labels import split_labels
from .probes import Examples, LinearScore, Probe, best_probe, fit_words, hold_out, presence
from .pseudo_labels import held_out_accuracy, pseudo_label, sentence_embeddings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

logger = logging.getLogger("textvae")

FEWEST_UNLABELLED = 4
LEAST_WRITABILITY = 0.5  # below which the card says that outputs are not natural
GUESSING = 0.5  # accuracy of a coin
MIN_LOG_ODDS = 0.1  # required of a shifted text even if typical examples have less


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A coordinate of one model's latent space: a linear score and the direction that raises it.

    Attributes:
        name: Name, such as "sentiment".
        weights: Of the score, shape (D,).
        midpoint: The point between the classes, where the score is 0, shape (D,).
        direction: From typical negative to typical positive latents, shape (D,); adding it raises the score by 2.
        slope: Log-odds per unit of score.
        threshold: Score at which both classes are equally likely.
        word_weights: Log-odds that each token of a text adds in `read`, shape (V,).
        reading: Log-odds per unit of score in `read`, and the constant.
        typical: Median log-odds, by `read`, of the negative and of the positive held-out examples; at least those of
            the scores -1 and 1.
        accuracy: Share of held-out examples whose score has the right sign, by cross-validation; None if not fitted.
        scored: Number of held-out examples behind `accuracy`.
        examples: Number of examples it was fitted on.
        unlabelled: Number of texts without a label that it was fitted on too.
        fingerprint: Fingerprint of the model it belongs to.
        probe: How the weights were fitted: "means" is the difference of the class means, "lda" and "logistic" are
            discriminants, "dimension" is one latent dimension.
        positive: Name of the class with high scores.
        negative: Name of the class with low ones.
        writability: Share of texts shifted along it that are natural, as `writability` measures; None if not measured.
    """

    name: str
    weights: Array
    midpoint: Array
    direction: Array
    slope: float = 1.0
    threshold: float = 0.0
    word_weights: Array
    reading: tuple[float, float] = (1.0, 0.0)
    typical: tuple[float, float] = (-1.0, 1.0)
    accuracy: float | None = None
    scored: int = 0
    examples: int = 0
    unlabelled: int = 0
    fingerprint: str
    probe: str = "means"
    positive: str = "positive"
    negative: str = "negative"
    writability: float | None = None

    @classmethod
    def fit(
        cls,
        vae: TextVAE,
        positive: Sequence[str],
        negative: Sequence[str],
        *,
        unlabelled: Sequence[str] | None = None,
        encoder: str | None = None,
        name: str = "attribute",
        probe: Probe | None = None,
        seed: int = 0,
    ) -> Attribute:
        """Fit the attribute that tells positive from negative examples.

        The weights are those of the probe with the highest cross-validated accuracy. The direction is the covariance of
        the latents times the weights, which for a linear discriminant is the difference of the class means (Haufe et
        al. 2014).

        With few examples, give `unlabelled` texts too: a sentence encoder, which separates classes from ten examples
        where the model's own latents do not, pseudo-labels them.

        Args:
            vae: The model.
            positive: Texts that have the attribute; at least 2, better ten or more.
            negative: Texts that lack it or have its opposite.
            unlabelled: Texts without a label, best thousands, of which about half have the attribute. Log-odds are then
                calibrated on the pseudo-labels, and overconfident where these are wrong; `accuracy` is measured on the
                examples.
            encoder: Folder or hub id of the sentence encoder that labels them; by default the model's own, which helps
                only if it is pretrained and kept.
            name: Name of the attribute.
            probe: "means", "lda" or "logistic"; by default the best of them.
            seed: Seed of the folds of the cross-validation.

        Raises:
            ValueError: There are fewer than 2 examples of a side, or both sides have the same mean; fewer than 4
                unlabelled texts; an encoder without unlabelled texts; the encoder cannot be loaded.
        """
        positive, negative = gate_texts(positive), gate_texts(negative)
        for side, texts in (("positive", positive), ("negative", negative)):
            if len(texts) < 2:
                raise ValueError(f"an attribute needs at least 2 {side} examples, got {len(texts)}")
        if probe is not None and probe not in get_args(Probe):
            raise ValueError(f"unknown probe {probe!r}: use one of {', '.join(get_args(Probe))}")
        texts, labelled = positive + negative, len(positive) + len(negative)
        classes = np.arange(labelled) < len(positive)
        if unlabelled is None and encoder is not None:
            raise ValueError(
                "encoder labels unlabelled texts, and there are none: give unlabelled, or leave encoder out"
            )
        known = set(texts)
        others = [text for text in gate_texts([] if unlabelled is None else unlabelled) if text not in known]
        if unlabelled is not None and len(others) < FEWEST_UNLABELLED:
            raise ValueError(
                f"fewer than {FEWEST_UNLABELLED} unlabelled texts beside the examples are too few, got {len(others)}: "
                "give more, or none"
            )
        texts += others
        embeddings = None if encoder is None else sentence_embeddings(encoder, texts, str(vae.model.device))
        reading = vae.read(texts)
        latents = reading.meaning.mean.numpy()
        embeddings = latents if embeddings is None else embeddings
        geometry.unit(embeddings[:labelled][classes].mean(0) - embeddings[:labelled][~classes].mean(0))
        labels = pseudo_label(embeddings, classes) if others else classes
        examples = Examples(latents, _words(reading, len(vae.tokenizer)), labels, vae.prior.moments()[1])
        geometry.unit(np.subtract(*examples.means()))  # refuses two sets with the same mean
        logger.info("fitting %s to %s examples", name, f"{len(texts):,}")
        held_out = hold_out(examples, probe, seed)
        probe = probe or best_probe(examples, seed)
        score = LinearScore.fit(examples, probe)
        of_score, of_words, constant = held_out.weigh()
        if not of_score and not of_words:
            of_score = MIN_LOG_ODDS  # too few examples to calibrate, enough for a direction
        read = of_score * held_out.scores + of_words * held_out.words + constant
        weights, offset = fit_words(examples)
        slope, threshold = held_out.calibrate()
        return cls(
            name=name,
            weights=score.weights,
            midpoint=score.midpoint,
            direction=score.direction,
            slope=slope,
            threshold=threshold,
            word_weights=np.asarray(of_words * weights, np.float32),
            reading=(of_score, constant + of_words * offset),
            typical=(
                min(float(np.median(read[~held_out.positive])), -of_score),
                max(float(np.median(read[held_out.positive])), of_score),
            ),
            accuracy=held_out_accuracy(examples, embeddings, labelled, probe, seed) if others else held_out.accuracy,
            scored=labelled if others else len(held_out.positive),
            examples=labelled,
            unlabelled=len(others),
            fingerprint=vae.fingerprint,
            probe=probe,
        )

    @classmethod
    def fit_labels(
        cls,
        vae: TextVAE,
        texts: Sequence[str],
        labels: Sequence[str] | Sequence[float],
        *,
        positive: str | None = None,
        unlabelled: Sequence[str] | None = None,
        encoder: str | None = None,
        name: str = "attribute",
        probe: Probe | None = None,
        seed: int = 0,
    ) -> Attribute:
        """Fit an attribute from a labelled column.

        Args:
            vae: The model.
            texts: N texts.
            labels: A class name for each text; or a number, of which those above the median are positive.
            positive: The positive class; all others are negative. With two classes by default the last in alphabetical
                order.
            unlabelled: As in `fit`.
            encoder: As in `fit`.
            name: Name of the attribute.
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
        fitted = cls.fit(vae, *sides, unlabelled=unlabelled, encoder=encoder, name=name, probe=probe, seed=seed)
        return dataclasses.replace(fitted, negative=names[0], positive=names[1])

    @classmethod
    def from_dimension(cls, vae: TextVAE, dim: int, *, name: str | None = None) -> Attribute:
        """Return one latent dimension as an attribute; a score of 1 is a standard deviation above the mean.

        Mean and standard deviation are those of the model's prior: 0 and 1 if none was fitted. Probabilities are not
        calibrated, since there are no examples.
        """
        if not 0 <= dim < vae.dim:
            raise ValueError(f"dim must be in 0..{vae.dim - 1}, got {dim}")
        mean, covariance = vae.prior.moments()
        axis = np.zeros(vae.dim, np.float32)
        axis[dim] = 1
        deviation = np.float32(np.sqrt(covariance[dim, dim]))
        return cls(
            name=name or f"dimension {dim}",
            weights=axis / deviation,
            midpoint=mean.astype(np.float32),
            direction=2 * deviation * axis,
            word_weights=np.zeros(len(vae.tokenizer), np.float32),
            fingerprint=vae.fingerprint,
            probe="dimension",
        )

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95% Wilson interval of the accuracy; None if it was not fitted on examples."""
        if self.accuracy is None:
            return None
        from scipy.stats import binomtest

        interval = binomtest(round(self.accuracy * self.scored), self.scored).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    def score(self, latents: ArrayLike) -> Array:
        """Return how strongly each text carries the attribute.

        Args:
            latents: Shape (N, D), or (D,) for one.

        Returns:
            Shape (N,) or (): -1 is typical of the negative examples, +1 of the positive ones.
        """
        return np.asarray((np.asarray(latents, np.float32) - self.midpoint) @ self.weights, np.float32)

    def log_odds(self, latents: ArrayLike) -> Array:
        """Return the logarithm of p / (1 - p), p the probability that a text is positive, both classes equally common.

        Args:
            latents: Shape (N, D), or (D,) for one.

        Returns:
            Nats, shape (N,) or ().
        """
        return np.asarray(self.slope * (self.score(latents) - self.threshold), np.float32)

    def read(self, reading: Reading) -> Array:
        """Return the log-odds of texts from their latents and from their words, shape (N,).

        The weight of the words was fitted by cross-validation; with few examples it is small.

        Args:
            reading: What the model reads of N texts.
        """
        of_score, constant = self.reading
        odds = of_score * self.score(reading.meaning.mean) + _words(reading, len(self.word_weights)) @ self.word_weights
        return np.asarray(odds + constant, np.float32)

    def asked(self, certainty: float, sign: float) -> float:
        """Return the log-odds above which a text counts as having the attribute, or its opposite for a negative sign.

        They are the log-odds of `certainty`, in (0, 1), or the typical log-odds of the class if these are lower.
        """
        typical = sign * self.typical[int(sign > 0)]
        return min(math.log(certainty / (1 - certainty)), max(typical, MIN_LOG_ODDS))

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
        """Return one line with the name, the number of examples and the accuracy."""
        if self.interval is None:
            return f"{self.name}: not fitted on examples"
        low, high = self.interval
        others = f" and {self.unlabelled} texts without a label" if self.unlabelled else ""
        return (
            f"{self.name}: {self.examples} examples{others}, cross-validated accuracy {self.accuracy:.1%} "
            f"({low:.1%} to {high:.1%}){self._doubt()}{self._writable()}"
        )

    def _doubt(self) -> str:
        if self.interval is None or self.interval[0] > GUESSING:
            return ""
        return ", not told from guessing: give more examples, or unlabelled texts and an encoder"

    def _writable(self) -> str:
        if self.writability is None:
            return ""
        odd = "" if self.writability >= LEAST_WRITABILITY else ": it tells texts apart, but does not write natural ones"
        return f", writability {self.writability:.1%}{odd}"

    def __repr__(self) -> str:
        sides = f"{self.negative!r} to {self.positive!r}"
        right = "" if self.accuracy is None else f", accuracy={self.accuracy:.2f}"
        return f"Attribute({self.name!r}, {sides}, dim={len(self.weights)}, probe={self.probe!r}{right})"

    def save(self, path: str | Path) -> None:
        """Write the attribute as a folder: attribute.json and direction.safetensors."""
        with atomic_folder(path, ABOUT) as folder:
            save_file({key: np.ascontiguousarray(getattr(self, key)) for key in ARRAYS}, folder / DIRECTION)
            facts = {key: getattr(self, key) for key in sorted(self._facts())}
            if self.writability is None:  # older versions know no such field
                del facts["writability"]
            write_json(folder / ABOUT, facts)

    @classmethod
    def _facts(cls) -> set[str]:
        return {field.name for field in dataclasses.fields(cls)} - ARRAYS

    @classmethod
    def load(cls, path: str | Path) -> Attribute:
        """Load a saved attribute.

        Raises:
            FileNotFoundError: There is no such folder.
            CorruptFileError: It was altered, or holds something else.
        """
        return read_folder(path, cls._read)

    @classmethod
    def _read(cls, folder: Path) -> Attribute:
        open_folder(folder, "attribute", ABOUT)
        path = require_file(folder, ABOUT)
        facts = read_json(path, MOST_BYTES)
        if not set(facts) <= cls._facts():
            raise CorruptFileError(f"{folder} does not hold the fields of an attribute: fit it again")
        check_fields(facts, FIELDS, path)
        if facts["accuracy"] is not None and not facts["scored"]:
            raise CorruptFileError(f"{path} has an accuracy of no examples: fit the attribute again")
        pairs = {key: tuple(facts[key]) for key in ("reading", "typical")}
        return cls(**(facts | pairs | read_arrays(require_file(folder, DIRECTION))))


def _words(reading: Reading, vocab_size: int) -> csr_matrix:
    """Return which tokens each text has, shape (N, V)."""
    return presence([row[1:-1] for row in reading.ids], vocab_size)
