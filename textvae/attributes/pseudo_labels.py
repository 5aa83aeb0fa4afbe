"""Labels for texts that have none, by a sentence encoder and a few examples (pseudo-labels: Lee 2013)."""

# N texts of which the first are labelled, H dimensions of an embedding
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..latent.geometry import Array
from ..modeling.pretrained import load_sentence_encoder
from .probes import Examples, Labels, LinearScore, Probe, folds, logistic

ROUNDS = 2  # of sentiment on Yelp, the labels were right more often after each, and hardly after a third


def sentence_embeddings(encoder: str, texts: Sequence[str], device: str) -> Array:
    """Return unit embeddings, shape (N, H), of a sentence encoder: a folder or hub id that sentence-transformers loads.

    Raises:
        ImportError: sentence-transformers is not installed.
        ValueError: It loads no such encoder.
    """
    model = load_sentence_encoder(encoder, device)
    return np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), np.float32)


def pseudo_label(embeddings_NH: NDArray, positive: Labels) -> Labels:
    """Return the class of all texts, shape (N,), given that of the first ones.

    The others are scored along the difference of the labelled class means, then by what tells the quarters at both ends
    apart, which are labelled nearly without mistakes, and cut into halves: a few examples do not tell where the cut
    belongs, and that both classes are equally common is the safer guess.
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
    """Return how often the score is right on labelled texts that neither the probe nor the pseudo-labels have seen."""
    positive = examples.positive[:labelled]
    others = np.arange(labelled, len(examples))
    right = 0
    for known, held_out in folds(positive, seed):
        seen = np.concatenate([known, others])
        labels = pseudo_label(embeddings_NH[seen], positive[known])
        score = LinearScore.fit(examples[seen].relabelled(labels), probe)
        right += int(((score(examples.latents[held_out]) > 0) == positive[held_out]).sum())
    return right / labelled
