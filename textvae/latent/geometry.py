"""Latent geometry in numpy: paths, blends and directions between points of the latent space."""

# N points, D latent dimensions
from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]
Method = Literal["slerp", "linear"]
PARALLEL = 1e-6
NEARLY_SAME = 1e4  # condition number


def path(start: ArrayLike, end: ArrayLike, n: int, method: Method = "slerp") -> Array:
    """Return n points from start to end, both included exactly.

    Args:
        start: First point, shape (D,).
        end: Last point, shape (D,).
        n: Number of points, at least 2.
        method: "linear" walks the chord; "slerp" the great arc (Shoemake 1985), which keeps the norm that latents of
            a high-dimensional Gaussian have.

    Returns:
        Points, shape (n, D), float32.

    Examples:
        >>> path([0.0, 1.0], [1.0, 0.0], 3, "linear").tolist()
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    if n < 2:
        raise ValueError(f"a path needs at least 2 points, got n={n}")
    points = between(start, end, np.linspace(0, 1, n, dtype=np.float32), method)
    points[0], points[-1] = start, end
    return points


def between(start: ArrayLike, end: ArrayLike, at: ArrayLike, method: Method = "slerp") -> Array:
    """Return the points of a path at N positions, 0 at its start and 1 at its end, shape (N, D), as in `path`."""
    if method not in ("slerp", "linear"):
        raise ValueError(f"unknown interpolation method {method!r}: use 'slerp' or 'linear'")
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    steps = np.asarray(at, np.float32)[:, None]
    if not ((steps >= 0) & (steps <= 1)).all():
        raise ValueError("positions on a path are numbers from 0 to 1")
    points = (1 - steps) * start + steps * end
    return _arc(start, end, steps, chord=points) if method == "slerp" else points


def _arc(start: Array, end: Array, steps: Array, chord: Array) -> Array:
    norms = np.linalg.norm(start), np.linalg.norm(end)
    if min(norms) < PARALLEL:
        return chord
    angle = np.arccos(np.clip(start @ end / (norms[0] * norms[1]), -1, 1))
    if np.sin(angle) < PARALLEL:  # parallel or opposite: the arc is the chord, or is not defined
        return chord
    return (np.sin((1 - steps) * angle) * start + np.sin(steps * angle) * end) / np.sin(angle)


def barycentre(points: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """Return the weighted mean of points (N, D), shape (D,); weights (N,) default to equal and are normalised."""
    points = np.asarray(points, np.float32)
    if points.ndim != 2 or not len(points):
        raise ValueError(f"a blend needs at least one point, got an array of shape {points.shape}")
    weights = np.ones(len(points), np.float32) if weights is None else np.asarray(weights, np.float32)
    if weights.shape != (len(points),):
        raise ValueError(f"{len(points)} texts need {len(points)} weights, got {weights.size}")
    total = weights.sum()
    if not np.isfinite(total) or abs(total) < PARALLEL:
        raise ValueError(f"the weights sum to {total:g}: give weights with a sum other than 0")
    return (weights / total) @ points


def unit(vector: ArrayLike) -> Array:
    """Return a vector (D,) scaled to length 1."""
    vector = np.asarray(vector, np.float32)
    norm = np.linalg.norm(vector)
    if norm < PARALLEL:
        raise ValueError("the direction has length 0: the two sets of examples have the same mean")
    return vector / norm


def raise_scores(weights: ArrayLike, directions: ArrayLike, changes: ArrayLike) -> Array:
    """Return linear combinations of directions that change each of several linear scores by a given amount.

    A score with a change of 0 is kept, whatever the changes of the others.

    Args:
        weights: Of the M scores, shape (M, D).
        directions: A direction that raises each of them, shape (M, D).
        changes: Change of each point's scores, shape (N, M).

    Returns:
        Moves, shape (N, D), float32.

    Raises:
        ValueError: Two scores cannot be told apart by the directions.

    Examples:
        >>> raise_scores([[1.0, 0.0]], [[0.5, 0.5]], [[2.0]]).tolist()
        [[2.0, 2.0]]
    """
    weights_MD, directions_MD = np.asarray(weights, np.float64), np.asarray(directions, np.float64)
    of_direction = np.linalg.norm(weights_MD, axis=1)[:, None] * np.linalg.norm(directions_MD, axis=1)
    effects_MM = weights_MD @ directions_MD.T  # how much direction j raises score i
    if np.linalg.cond(effects_MM / of_direction) > NEARLY_SAME:
        raise ValueError("two of the attributes are nearly the same direction: they cannot be moved apart")
    combined_MN = np.linalg.solve(effects_MM, np.asarray(changes, np.float64).T)
    return (combined_MN.T @ directions_MD).astype(np.float32)
