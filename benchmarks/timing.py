"""Two or more sides that take turns on one machine, whose speed changes meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def alternate(trials: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of each trial's values; the trials take turns."""
    values: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(rounds):
        for name, trial in trials.items():
            values[name].append(trial())
    return {name: statistics.median(found) for name, found in values.items()}


def seconds(action: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def fastest(options: list[int], trial: Callable[[int], float]) -> int:
    """Return the option whose trial takes least; each is tried twice and the first time does not count."""
    return min(options, key=lambda option: [trial(option), trial(option)][1])
