"""Batches of texts of nearly one length: of about one number of tokens for training, of one size for all else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

ORDINARY_LENGTH = 16  # tokens of a sentence, for which a batch size counts
MOST_TEXTS = 16_384  # of a batch


def by_length(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of nearly one length, of at most `batch_size` ordinary texts' tokens, padded ones included.

    A batch that is half full ends where the length changes, so that most batches have no padding at all. A batch size
    above `MOST_TEXTS` counts as that: it would gain nothing and take memory.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    budget = min(batch_size, MOST_TEXTS) * ORDINARY_LENGTH
    chosen: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        length = len(rows[i])
        longer = chosen and length > len(rows[chosen[0]]) and 2 * len(chosen) * length > budget
        if longer or (chosen and (len(chosen) + 1) * length > budget):
            yield chosen
            chosen = []
        chosen.append(i)
    if chosen:
        yield chosen


def few_sizes(count: int, most: int) -> int:
    """Return the next power of two, `most` at most: on a CPU, kernels are compiled and kept for every size there is."""
    return max(count, min(1 << (count - 1).bit_length(), most))


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches of about `budget` tokens, of sentences of nearly one length.

    Sentences are sorted by length, equal lengths in a random order of each epoch, and cut into batches; the batches
    come in random order. Their number is the same in every epoch, which an exact resume needs.
    """

    def __init__(self, lengths: ArrayLike, budget: int, seed: int):
        super().__init__()
        self.lengths, self.budget, self.seed, self.epoch = np.asarray(lengths, np.int64), budget, seed, 0
        self.cuts = self._cut(np.sort(self.lengths))

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffled = generator.permutation(len(self.lengths))
        order = shuffled[np.argsort(self.lengths[shuffled], kind="stable")]
        for i in generator.permutation(len(self)):
            yield order[self.cuts[i] : self.cuts[i + 1]].tolist()

    def _cut(self, ascending: np.ndarray) -> list[int]:
        cuts = [0]
        for i, length in enumerate(ascending):
            if i > cuts[-1] and (i - cuts[-1] + 1) * length > self.budget:
                cuts.append(i)
        return [*cuts, len(ascending)] if len(ascending) else cuts
