"""Batches of texts of similar length: with a token budget for training, with a batch size for inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

ORDINARY_LENGTH = 16  # tokens of a sentence, for which a batch size counts
MOST_TEXTS = 16_384  # of a batch
CALL_TOKENS = 100  # that a call of the network costs beside its tokens, 5 ms for a small encoder on a CPU


def by_length(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of similar length, with at most 16 * batch_size tokens, padding included, or a single text.

    A batch has 1, 2, 4, 8 ... texts, or is the last: of these sizes, the one that costs least for each token that is
    no padding. A batch size above `MOST_TEXTS` counts as that: it would gain nothing and take memory.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    budget = min(batch_size, MOST_TEXTS) * ORDINARY_LENGTH
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    lengths = [even_length(len(rows[i])) for i in order]
    before = [0, *accumulate(lengths)]  # tokens of the texts before each
    start = 0
    while start < len(order):
        best, end, size = inf, start + 1, 1
        while size // 2 < len(order) - start:
            last = min(start + size, len(order))
            padded = size * lengths[last - 1]
            if size > 1 and padded > budget:
                break
            cost = (CALL_TOKENS + padded) / (before[last] - before[start])
            if cost < best:
                best, end = cost, last
            size *= 2
        yield order[start:end]
        start = end


def filled(count: int) -> int:
    """Return the power of two that a last batch is filled up to: CPU kernels are compiled and cached for every size."""
    return 1 << (count - 1).bit_length()


def even_length(longest: int) -> int:
    """Return the multiple of four tokens, at least one, that a batch is padded to: each shape's kernels take 4 MB."""
    return max(1, -(-longest // 4)) * 4


class TokenBudgetSampler(Sampler[list[int]]):
    """Sampler of batches with about `budget` tokens, from sentences of similar length.

    Each epoch sorts sentences by length, shuffling equal lengths, cuts them into batches, and shuffles the batches. The
    number of batches is the same in every epoch, so that training can resume exactly. Several processes take every
    `count`-th batch each, and equally many: where they do not come out even, the first ones of the epoch are repeated.

    Args:
        lengths: Tokens of each sentence, shape (N,).
        budget: Tokens of a batch, padding included.
        seed: Seed of the orders, together with the epoch.
        rank: Number of this process, from 0.
        count: How many processes there are.
    """

    def __init__(self, lengths: ArrayLike, budget: int, seed: int, rank: int = 0, count: int = 1):
        super().__init__()
        self.rank, self.count = rank, count
        self.lengths, self.budget, self.seed, self.epoch = np.asarray(lengths, np.int64), budget, seed, 0
        self.cuts = self._cut(np.sort(self.lengths))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order the next iteration uses."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return -(-(len(self.cuts) - 1) // self.count)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffled = generator.permutation(len(self.lengths))
        order = shuffled[np.argsort(self.lengths[shuffled], kind="stable")]
        batches = generator.permutation(len(self.cuts) - 1)
        for i in np.resize(batches, len(self) * self.count)[self.rank :: self.count]:
            yield order[self.cuts[i] : self.cuts[i + 1]].tolist()

    def _cut(self, ascending: np.ndarray) -> list[int]:
        cuts = [0]
        for i, length in enumerate(ascending):
            if i > cuts[-1] and (i - cuts[-1] + 1) * length > self.budget:
                cuts.append(i)
        return [*cuts, len(ascending)] if len(ascending) else cuts
