"""Metrics of an index: the vectors that each one compares, and scores where larger is closer."""

# N texts, D latent dimensions, W dimensions of a vector: 2D under "wasserstein", else D
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from ..latent.exported import ExportedEncoder
    from ..latent.vae import TextVAE

Metric = Literal["cosine", "l2", "wasserstein"]
METRICS: tuple[str, ...] = get_args(Metric)
LARGEST = 1e8  # of a number in a vector: sums of squares, and variances of faiss, then stay far from infinity


def check_metric(metric: str) -> None:
    """Raise ValueError for an unknown metric."""
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}: use {', '.join(map(repr, METRICS[:-1]))} or {METRICS[-1]!r}")


def width(metric: Metric, dim: int) -> int:
    """Return the vector dimensions W under a metric for D latent dimensions."""
    return 2 * dim if metric == "wasserstein" else dim


def embedded(
    vae: TextVAE | ExportedEncoder, texts: Sequence[str], metric: Metric, *, batch_size: int = 64
) -> NDArray[np.float32]:
    """Encode texts to vectors (N, W): posterior means, followed by standard deviations under "wasserstein".

    Raises:
        ValueError: The model gives NaN or infinite values.
    """
    if metric != "wasserstein":
        return comparable(vae.encode(list(texts), batch_size=batch_size), metric, vae.dim)
    # 2-Wasserstein between diagonal Gaussians = Euclidean distance of (mu, sigma): Dowson and Landau 1982
    posterior = vae.posterior(list(texts), batch_size=batch_size)  # type: ignore[union-attr]  # of a model
    return comparable(np.concatenate([posterior.mean.numpy(), posterior.std.numpy()], 1), metric, vae.dim)


def comparable(vectors: ArrayLike, metric: Metric, dim: int) -> NDArray[np.float32]:
    """Return vectors as the index stores them, float32 (N, W); the argument is not changed.

    Args:
        vectors: Latents (N, D). "wasserstein" also takes means followed by standard deviations (N, 2D), and gives
            latents (N, D) standard deviations of 0. "cosine" scales vectors to length 1.
        metric: The metric.
        dim: Latent dimensions D.

    Raises:
        TypeError: The array is not numeric.
        ValueError: The shape is wrong, values are not finite or above 1e8, or standard deviations are negative.
    """
    given = np.asarray(vectors)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"queries are texts or arrays of numbers, got an array of {given.dtype}")
    if given.ndim != 2:
        raise ValueError(f"vectors have the shape (D,) or (N, D), got {given.shape}")
    if given.shape[1] not in (dim, width(metric, dim)):
        also = f" ({width(metric, dim)} with standard deviations)" if metric == "wasserstein" else ""
        raise ValueError(f"vectors have {given.shape[1]} dimensions, the index has {dim}{also}")
    with np.errstate(over="ignore"):
        checked = np.ascontiguousarray(given, np.float32)
    if not np.isfinite(checked).all():
        raise ValueError("vectors hold NaN or infinite values: encode the texts again or drop these rows")
    if metric == "cosine":
        norms = np.linalg.norm(checked.astype(np.float64), axis=1, keepdims=True)
        return (checked / np.where(norms == 0, 1, norms)).astype(np.float32)
    if (np.abs(checked) > LARGEST).any():
        raise ValueError(f"vectors hold values above {LARGEST:g}, whose distances are infinite: scale them down")
    if metric == "wasserstein" and given.shape[1] == dim:
        return np.concatenate([checked, np.zeros_like(checked)], 1)
    if metric == "wasserstein" and (checked[:, dim:] < 0).any():
        raise ValueError("standard deviations (the second half of each vector) are negative: give means, then sigmas")
    return checked


def closeness(scores: ArrayLike, metric: Metric) -> NDArray[np.float64]:
    """Convert faiss scores to the scores of hits: cosines, or negated distances."""
    scores = np.asarray(scores, np.float64)
    return scores if metric == "cosine" else 0.0 - np.sqrt(np.maximum(scores, 0.0))  # squared, may round below 0


def weight(closeness: float, metric: Metric) -> float:
    """Return the weight of a hit in a blend: its cosine clipped at 0, or 1 / (1 + distance)."""
    return max(closeness, 0.0) if metric == "cosine" else 1 / (1 - closeness)
