"""Projection of latents onto two dimensions for maps: PaCMAP, UMAP or principal components."""

# N texts, D latent dimensions
from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..storage.atomic import save_rows

Axes = Literal["auto", "pca", "umap", "pacmap"]
FEWEST_TEXTS = 3
FEWEST_FOR_NEIGHBOURS = 30  # texts below which "auto" takes principal components: there is no neighbourhood to keep


class Plane(NamedTuple):
    """Texts in two dimensions.

    Attributes:
        points: Shape (N, 2), float32.
        names: What lies along each axis, for a label.
        method: "pca", "umap" or "pacmap".
    """

    points: NDArray[np.float32]
    names: tuple[str, str]
    method: str


def automatic_axes(count: int) -> str:
    """Return what "auto" means for a number of texts: "pacmap" if it is installed and there are 30 texts, else "pca".

    Examples:
        >>> automatic_axes(3)
        'pca'
    """
    return "pacmap" if count >= FEWEST_FOR_NEIGHBOURS and find_spec("pacmap") else "pca"


def project(latents: ArrayLike, axes: Axes = "auto") -> Plane:
    """Project latents onto two dimensions; the same latents always give the same plane.

    Args:
        latents: Shape (N, D), N >= 3.
        axes: "pacmap" (Wang et al. 2021) and "umap" keep neighbourhoods, "pca" keeps distances as far as two dimensions
            can. "auto" is "pacmap" if it is installed and there are at least 30 texts, else "pca".

    Raises:
        ImportError: The package of the axes is not installed.
        ValueError: There are too few texts.

    Examples:
        >>> project([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [3.0, 0.0, 1.0]], "pca").points.shape
        (3, 2)
    """
    latents_ND = np.asarray(latents, np.float32)
    if len(latents_ND) < FEWEST_TEXTS:
        raise ValueError(f"a map needs at least {FEWEST_TEXTS} texts, got {len(latents_ND)}")
    method = automatic_axes(len(latents_ND)) if axes == "auto" else axes
    if method == "pca":
        return _components(latents_ND.astype(np.float64))
    try:
        if method == "umap":
            from umap import UMAP as Projection
        else:
            from pacmap import PaCMAP as Projection
    except ImportError as error:
        raise ImportError(f"this map needs {method}: pip install 'textvae[{method}]', or choose pca") from error
    with _quiet("pacmap"):  # it warns of the seed, and of small samples
        points = Projection(n_components=2, random_state=0).fit_transform(latents_ND)
    return Plane(np.asarray(points, np.float32), (f"{method} 1", f"{method} 2"), method)


def _components(latents_ND: NDArray[np.float64]) -> Plane:
    centred = latents_ND - latents_ND.mean(0)
    if centred.shape[1] == 1:
        centred = np.pad(centred, ((0, 0), (0, 1)))
    variances, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    shares = variances[:-3:-1] / max(variances.sum(), 1e-30)
    chosen = directions[:, :-3:-1]
    largest = np.abs(chosen).argmax(0)
    chosen = chosen * np.sign(chosen[largest, [0, 1]])  # the sign of an eigenvector is arbitrary
    first, second = (f"principal component {i} ({share:.0%} of the variance)" for i, share in enumerate(shares, 1))
    return Plane((centred @ chosen).astype(np.float32), (first, second), "pca")


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def main() -> None:
    """Project the rows of one .npy file into another; for a process of its own, since PaCMAP takes minutes."""
    parser = argparse.ArgumentParser(prog="python -m textvae.evaluation.projection", description=main.__doc__)
    parser.add_argument("latents")
    parser.add_argument("points")
    parser.add_argument("axes", choices=("pca", "umap", "pacmap"))
    given = parser.parse_args()
    save_rows(given.points, [project(np.load(given.latents, allow_pickle=False), given.axes).points])


if __name__ == "__main__":
    main()
