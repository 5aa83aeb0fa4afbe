"""Cosines of embeddings and a progress bar, as in sentence-transformers."""

# N, M vectors, D latent dimensions
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from .._progress import Progress

Vectors = ArrayLike | Tensor | Sequence[Tensor]


def cosines(a: Vectors, b: Vectors) -> Tensor:
    """Return the cosines (N, M) of vectors (N, D) or (D,) with vectors (M, D) or (D,), on the device of `a`.

    Raises:
        ValueError: They are of another shape, or of different dimensions.
    """
    first, second = _as_rows(a), _as_rows(b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"vectors of {first.shape[1]} and {second.shape[1]} dimensions cannot be compared")
    return F.normalize(first) @ F.normalize(second.to(first.device)).T


def pairwise_cosines(a: Vectors, b: Vectors) -> Tensor:
    """Return the cosine of each vector of `a` with the vector of `b` in the same row, shape (N,), on the device of `a`.

    Raises:
        ValueError: They differ in shape.
    """
    first, second = _as_rows(a), _as_rows(b)
    if first.shape != second.shape:
        raise ValueError(
            f"vectors of shapes {tuple(first.shape)} and {tuple(second.shape)} cannot be paired: give as many of both"
        )
    return F.cosine_similarity(first, second.to(first.device), eps=1e-12)


def _as_rows(vectors: Any) -> Tensor:
    if isinstance(vectors, list | tuple) and any(isinstance(vector, Tensor) for vector in vectors):
        rows = torch.stack(list(vectors))
    else:
        rows = vectors if isinstance(vectors, Tensor) else torch.from_numpy(np.array(vectors, np.float32))
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2:
        raise ValueError(f"vectors have the shape (D,) or (N, D), got {tuple(rows.shape)}")
    return rows.float()


@contextmanager
def progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], object]]:
    """Yield a function that takes the number of texts encoded since its last call.

    Progress is logged every few seconds or, if `shown`, drawn as a bar on stderr if that is a terminal.
    """
    if not shown:
        with Progress("encoded", total) as progress:
            yield progress.advance
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="Encoding", unit=" texts", disable=None) as bar:
        yield bar.update


def batches(total: int, size: int, done: str = "decoded") -> Iterator[slice]:
    """Yield slices of `size` texts, and log how many are done."""
    with Progress(done, total) as progress:
        for start in range(0, total, size):
            yield slice(start, start + size)
            progress.advance(min(size, total - start))
