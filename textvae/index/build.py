"""How an index comes to be: a corpus encoded block by block, in memory, or on disk where it survives a crash."""

# N texts, W dimensions of a vector
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._progress import Progress
from .backends import Backend, backend_class
from .backends.base import AUTO, FLAT_LIMIT
from .distances import Metric, check_metric, embedded, width
from .item_store import ItemStore
from .partial_build import Staging
from .rows import Row

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

BLOCK = 8192  # texts that are encoded and stored together
Block = tuple[list[Row], NDArray[np.float32]]  # N rows, and their vectors of shape (N, W)
Parts = tuple[Backend, ItemStore]


@dataclass(frozen=True)
class Recipe:
    """What decides the vectors of an index: a build can only be continued with the same.

    Attributes:
        fingerprint: Of the model.
        dim: Latent dimensions D of the model.
        metric: "cosine", "l2" or "wasserstein".
        factory: A factory string of the backend, or "auto".
        backend: Name of a registered backend.

    Raises:
        ValueError: Unknown metric, backend or factory.
    """

    fingerprint: str
    dim: int
    metric: Metric
    factory: str
    backend: str = "faiss"

    def __post_init__(self) -> None:
        check_metric(self.metric)
        self.empty_store(0)

    @property
    def width(self) -> int:
        """Dimensions W of a vector."""
        return width(self.metric, self.dim)

    def empty_store(self, count: int | None) -> Backend:
        """Return the store for a number of texts, None for a stream longer than `FLAT_LIMIT`."""
        return backend_class(self.backend).empty(self.width, self.factory, self.metric == "cosine", count)


def build_in_memory(vae: TextVAE, recipe: Recipe, rows: Iterator[Row], count: int | None, batch_size: int) -> Parts:
    """Return the vectors and items of a corpus of `count` rows, None if nobody knows; see `LatentIndex.build`."""
    blocks = encoded_blocks(vae, recipe.metric, rows, batch_size)
    if recipe.factory == AUTO and count is None:
        head = _take(blocks, FLAT_LIMIT + 1)
        read = sum(len(block) for block, _ in head)
        count, blocks = read if read <= FLAT_LIMIT else None, chain(head, blocks)
    vectors, items = recipe.empty_store(count), ItemStore()
    if vectors.training:
        sample = _take(blocks, vectors.training)
        vectors.train(np.concatenate([np.empty((0, recipe.width), np.float32), *(part for _, part in sample)]))
        blocks = chain(sample, blocks)
    for block, part in blocks:
        with items.adding(block) as ids:
            vectors.add(ids, part)
    return vectors, items


@contextmanager
def build_on_disk(
    vae: TextVAE, recipe: Recipe, rows: Iterator[Row], path: Path, batch_size: int, *, resume: bool
) -> Iterator[Parts]:
    """Yield the vectors and items of a corpus, kept in PATH.partial until the block has saved them.

    Args:
        vae: The model.
        recipe: What the index is built with.
        rows: The corpus from its first row, also when a build goes on.
        path: Folder of the finished index.
        batch_size: Texts that the model encodes at once.
        resume: Continue an interrupted build.

    Raises:
        ValueError: The interrupted build had another recipe or corpus, or there are too few texts for the factory.
        FileExistsError: There is an interrupted build and `resume` is False.
    """
    staging = Staging(path, asdict(recipe), recipe.width, resume=resume)
    try:
        staging.skip(rows)
        for block, part in encoded_blocks(vae, recipe.metric, rows, batch_size):
            staging.append(block, part)
        vectors = recipe.empty_store(len(staging))
        if vectors.training:
            try:
                vectors.train(staging.sample(vectors.training))
            except ValueError:  # too few texts, which are soon encoded again for another factory
                staging.discard()
                raise
        for ids, part in staging.blocks(BLOCK):
            vectors.add(ids, part)
        yield vectors, staging.items
        staging.discard()
    finally:
        staging.close()


def encoded_blocks(vae: TextVAE, metric: Metric, rows: Iterator[Row], batch_size: int) -> Iterator[Block]:
    """Yield rows and their vectors, a block at a time, and log how many there were."""
    with Progress("indexed") as progress:
        for block in iter(lambda: list(islice(rows, BLOCK)), []):
            yield block, embedded(vae, [row.text for row in block], metric, batch_size=batch_size)
            progress.advance(len(block))


def _take(blocks: Iterator[Block], count: int) -> list[Block]:
    """Take blocks until they hold `count` texts or there are no more."""
    taken: list[Block] = []
    total = 0
    while total < count and (block := next(blocks, None)):
        taken.append(block)
        total += len(block[0])
    return taken
