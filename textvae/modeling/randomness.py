"""Randomness that stays where it is asked for: seeded blocks, generators, and global generators left as they were."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_turn = threading.RLock()  # torch's global generator serves one seeded block at a time


def generator_of(seed: int | None, device: torch.device) -> torch.Generator | None:
    """Return a generator of one's own for a seed, which draws what the seeded global one would; None for None."""
    return None if seed is None else torch.Generator(device).manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generator in the block, for what takes no other, and restore it; threads take turns.

    Args:
        seed: The seed.
        device: Also seed the generator of this GPU; by default the CPU's alone.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with _turn, torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            torch.cuda.manual_seed(seed)
        yield


@contextmanager
def global_randomness_kept() -> Iterator[None]:
    """Leave the global generators of Python, numpy and torch as they were: the user's next draw may come from them.

    Threads take turns with other seeded blocks.
    """
    with _turn:
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - others draw from it
        try:
            with torch.random.fork_rng():
                yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
