"""Index construction: encode a corpus block by block, in memory, or on disk with resume after a crash."""

# N texts, W dimensions of a vector
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._progress import Progress
from .backends import Backend, backend_class
from .backends.base import AUTO, FLAT_LIMIT
from .distances import Metric, check_metric, comparable, embedded, width
from .item_store import ItemStore
from .partial_build import FULL, Staging
from .rows import Row

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

BLOCK = 8192  # texts that are encoded and stored together
Block = tuple[list[Row], NDArray[np.float32]]  # N rows, and their vectors of shape (N, W)
Parts = tuple[Backend, ItemStore]
Pair = tuple[Row, Any]  # a row, and its latent of shape (D,), or None to encode its text


@dataclass(frozen=True)
class Recipe:
    """The settings that determine the vectors of an index. A build is only resumed with the same settings.

    Attributes:
        fingerprint: Fingerprint of the model.
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
        """Return an empty vector store for `count` texts; None means unknown, but above `FLAT_LIMIT`."""
        return backend_class(self.backend).empty(self.width, self.factory, self.metric == "cosine", count)


def build_in_memory(vae: TextVAE, recipe: Recipe, pairs: Iterator[Pair], count: int | None, batch_size: int) -> Parts:
    """Return the vectors and items of a corpus of `count` rows, None if unknown; see `LatentIndex.build`."""
    blocks = encoded_blocks(vae, recipe.metric, pairs, batch_size)
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
    vae: TextVAE, recipe: Recipe, pairs: Iterator[Pair], path: Path, batch_size: int, *, resume: bool
) -> Iterator[Parts]:
    """Yield the vectors and items of a corpus; PATH.partial keeps them until the block ends without an error.

    Args:
        vae: The model.
        recipe: Settings of the index.
        pairs: The whole corpus, from its first row even if the build is resumed.
        path: Folder of the finished index.
        batch_size: Texts that the model encodes at once.
        resume: Continue an interrupted build.

    Raises:
        ValueError: The interrupted build has another recipe or corpus, or there are too few texts for the factory.
        FileExistsError: There is an interrupted build and `resume` is False.
    """
    staging = Staging(path, asdict(recipe), recipe.width, resume=resume)
    try:
        staging.skip(row for row, _ in pairs)
        for block, part in encoded_blocks(vae, recipe.metric, pairs, batch_size):
            staging.append(block, part)
        vectors = recipe.empty_store(len(staging))
        if vectors.training:
            try:
                vectors.train(staging.sample(vectors.training))
            except ValueError:  # too few texts: the user will choose another factory, so this build is of no use
                staging.discard()
                raise
        if hasattr(vectors, "fill"):
            vectors.fill(staging.blocks(BLOCK), staging.folder / FULL)
        else:
            for ids, part in staging.blocks(BLOCK):
                vectors.add(ids, part)
        yield vectors, staging.items
        staging.discard()
    finally:
        staging.close()


def encoded_blocks(vae: TextVAE, metric: Metric, pairs: Iterator[Pair], batch_size: int) -> Iterator[Block]:
    """Yield rows with their vectors, one block at a time, and log progress."""
    with Progress("indexed") as progress:
        for block in iter(lambda: list(islice(pairs, BLOCK)), []):
            rows, latents = [row for row, _ in block], [latent for _, latent in block]
            if latents[0] is None:
                vectors = embedded(vae, [row.text for row in rows], metric, batch_size=batch_size)
            else:
                vectors = comparable(np.stack(latents), metric, vae.dim)
            yield rows, vectors
            progress.advance(len(rows))


def paired(rows: Iterator[Row], latents: Iterable[Any] | None, metric: Metric) -> Iterator[Pair]:
    """Return each row with its latent, if latents are given.

    Raises:
        ValueError: The metric needs more than latents; on iteration, there are not as many latents as rows.
    """
    if latents is None:
        return zip(rows, repeat(None), strict=False)
    if metric == "wasserstein":
        raise ValueError(
            "the metric wasserstein needs standard deviations: leave the latents out, and encode the texts"
        )
    return _exactly_paired(rows, iter(latents))


def _exactly_paired(rows: Iterator[Row], latents: Iterator[Any]) -> Iterator[Pair]:
    position = 0
    for row in rows:
        latent = next(latents, None)
        if latent is None:
            raise ValueError(f"there are {position} latents for more texts: give one for each text")
        yield row, latent
        position += 1
    if next(latents, None) is not None:
        raise ValueError(f"there are more latents than the {position} texts: give one for each text")


def _take(blocks: Iterator[Block], count: int) -> list[Block]:
    """Take blocks until they hold `count` texts or there are no more."""
    taken: list[Block] = []
    total = 0
    while total < count and (block := next(blocks, None)):
        taken.append(block)
        total += len(block[0])
    return taken
