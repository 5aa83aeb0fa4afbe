"""Labels for texts that have none, by a sentence encoder and a few examples (pseudo-labels: Lee 2013)."""

# N texts of which the first are labelled, H dimensions of an embedding
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..latent.geometry import Array
from ..modeling.pretrained import load_sentence_encoder
from .probes import Examples, Labels, LinearScore, Probe, folds, logistic

ROUNDS = 2  # each raised the accuracy of the labels on Yelp sentiment; a third one hardly did


def sentence_embeddings(encoder: str, texts: Sequence[str], device: str) -> Array:
    """Return unit embeddings, shape (N, H), of a sentence encoder: a folder or hub id that sentence-transformers loads.

    Raises:
        ImportError: sentence-transformers is not installed.
        ValueError: The encoder cannot be loaded.
    """
    model = load_sentence_encoder(encoder, device)
    return np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), np.float32)


def pseudo_label(embeddings_NH: NDArray, positive: Labels) -> Labels:
    """Return the class of all texts, shape (N,), given that of the first ones.

    The others are scored along the difference of the labelled class means, then by a logistic regression between the
    lowest and the highest quarter of the scores, which contain few errors. They are split at the median: a few examples
    do not determine a threshold, so both classes are assumed equally common.
    """
    labelled, others = embeddings_NH[: len(positive)], embeddings_NH[len(positive) :]
    scores = others @ (labelled[positive].mean(0) - labelled[~positive].mean(0))
    quarter = len(others) // 4
    for _ in range(ROUNDS if quarter else 0):
        order = np.argsort(scores, kind="stable")
        surest = np.concatenate([order[:quarter], order[-quarter:]])
        weights, _ = logistic(others[surest], np.arange(2 * quarter) >= quarter)
        scores = others @ weights
    return np.concatenate([positive, scores > np.median(scores)])


def held_out_accuracy(examples: Examples, embeddings_NH: NDArray, labelled: int, probe: Probe, seed: int) -> float:
    """Return the accuracy of the score on labelled texts held out from the probe and from the pseudo-labels."""
    positive = examples.positive[:labelled]
    others = np.arange(labelled, len(examples))
    right = 0
    for known, held_out in folds(positive, seed):
        seen = np.concatenate([known, others])
        labels = pseudo_label(embeddings_NH[seen], positive[known])
        score = LinearScore.fit(examples[seen].relabelled(labels), probe)
        right += int(((score(examples.latents[held_out]) > 0) == positive[held_out]).sum())
    return right / labelled
