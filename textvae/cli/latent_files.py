"""Files of `encode` and `decode`: columns beside the latents, and npy files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage.errors import CorruptFileError
from .options import BLOCK

if TYPE_CHECKING:
    from ..latent.geometry import Array

NPY_MAGIC = b"\x93NUMPY"


def columns_of(
    rows: Iterator[dict[str, Any]], ids: Iterator[str] | None, as_json: Callable[[dict[str, Any]], str]
) -> Iterator[dict[str, list[Any]]]:
    """Yield the columns id, text and metadata of blocks of rows; without ids, these count from 0."""
    numbers: Iterator[Any] = count() if ids is None else ids
    while block := list(islice(rows, BLOCK)):
        texts = [row.pop("text") for row in block]
        yield {
            "id": list(islice(numbers, len(block))),
            "text": texts,
            "metadata": [json.loads(as_json(row)) for row in block],
        }


def load_npy(path: Path) -> Array:
    """Return the latents of an npy file, shape (N, D)."""
    import numpy as np

    with open(path, "rb") as file:
        is_npy = file.read(len(NPY_MAGIC)) == NPY_MAGIC
        file.seek(0)
        if not is_npy:
            raise ValueError(f"{path} is not an npy file: write one with textvae encode -o FILE.npy or numpy.save")
        try:
            points = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise CorruptFileError(f"{path} is not a whole npy file of numbers ({error}): write it again") from error
    if points.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds {points.dtype}, not numbers")
    return points[None] if points.ndim == 1 else points
