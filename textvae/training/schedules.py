"""KL weight schedules: the factor in [0, 1] that multiplies beta as training goes on."""

from __future__ import annotations

from typing import Literal, get_args

Schedule = Literal["constant", "linear", "cyclical"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)
CYCLES = 4
CYCLE_RISE = 0.5


def kl_weight(progress: float, schedule: Schedule = "linear", *, warmup: float = 0.0, ramp: float = 0.25) -> float:
    """Return the KL weight at a point of training.

    Args:
        progress: Share of training done, in [0, 1].
        schedule: "constant" is 1 after the warm-up; "linear" rises from 0 to 1 over `ramp` (Bowman et al. 2016);
            "cyclical" restarts four linear rises, each followed by an equal plateau (Fu et al. 2019).
        warmup: Share of training at weight 0, the autoencoder warm-up (Li et al. 2019).
        ramp: Share of training over which the weight rises.

    Returns:
        A weight in [0, 1].

    Examples:
        >>> kl_weight(0.5, "linear", warmup=0.25, ramp=0.5)
        0.5
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown KL schedule {schedule!r}: use one of {', '.join(SCHEDULES)}")
    if progress < warmup:
        return 0.0
    if schedule == "constant":
        return 1.0
    if schedule == "cyclical":
        cycle = (progress - warmup) / (1 - warmup) * CYCLES if warmup < 1 else CYCLES
        return 1.0 if cycle >= CYCLES else min(1.0, (cycle % 1) / CYCLE_RISE)
    return min(1.0, (progress - warmup) / ramp) if ramp > 0 else 1.0
