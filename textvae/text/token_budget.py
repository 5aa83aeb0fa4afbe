"""Batches of texts of similar length for training, with a token budget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler


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
        # numbers of 16 bits are sorted by radix, in a tenth of the time: a GPU would wait for it in every epoch
        self.keys = self.lengths.astype(np.uint16) if self.lengths.max(initial=0) < 2**16 else self.lengths

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order the next iteration uses."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return -(-(len(self.cuts) - 1) // self.count)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffled = generator.permutation(len(self.lengths))
        order = shuffled[np.argsort(self.keys[shuffled], kind="stable")]
        batches = generator.permutation(len(self.cuts) - 1)
        for i in np.resize(batches, len(self) * self.count)[self.rank :: self.count]:
            yield order[self.cuts[i] : self.cuts[i + 1]].tolist()

    def _cut(self, ascending: np.ndarray) -> list[int]:
        cuts = [0]
        for i, length in enumerate(ascending):
            if i > cuts[-1] and (i - cuts[-1] + 1) * length > self.budget:
                cuts.append(i)
        return [*cuts, len(ascending)] if len(ascending) else cuts
