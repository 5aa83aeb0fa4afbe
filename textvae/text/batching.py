"""Batches of texts of similar length for inference, with a batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from math import inf
from typing import TypeVar

ORDINARY_LENGTH = 16  # tokens of a sentence, for which a batch size counts
MOST_TEXTS = 16_384  # of a batch
CALL_TOKENS = 100  # that a call of the network costs beside its tokens, 5 ms for a small encoder on a CPU
BLOCK = 4096  # texts that are tokenised while the network reads those before
T = TypeVar("T")


def ahead(read: Callable[[Sequence[str]], T], texts: Sequence[str]) -> Iterator[T]:
    """Yield read(block) of each block of the texts; a thread reads the next one while the caller works on one.

    Where the work of `read` is native code, such as that of a tokenizer, both run at a time.
    """
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    if len(blocks) < 2:
        yield from map(read, blocks)
        return
    with ThreadPoolExecutor(1, "textvae-tokens") as pool:
        waiting: Future[T] = pool.submit(read, blocks[0])
        for block in blocks[1:]:
            done, waiting = waiting, pool.submit(read, block)
            yield done.result()
        yield waiting.result()


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
