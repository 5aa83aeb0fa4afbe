"""Batches of texts of nearly one length, for everything but training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

ORDINARY_LENGTH = 16  # tokens of a sentence, for which a batch size counts


def by_length(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of nearly one length, of at most `batch_size` ordinary texts' tokens, padded ones included.

    A batch that is half full ends where the length changes, so that most batches have no padding at all.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    budget = batch_size * ORDINARY_LENGTH
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
