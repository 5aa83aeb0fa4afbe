"""Diagnostics of posterior collapse."""

# B sentences, D latent dimensions
from __future__ import annotations

from torch import Tensor

ACTIVE_VARIANCE = 0.01
COLLAPSED_KL = 0.5
COLLAPSED_ACTIVE_FRACTION = 0.25
REPEATED_SAMPLES = 0.5


def active_units(means_BD: Tensor) -> Tensor:
    """Return which dimensions are used, as booleans (D,): variance of the posterior mean above 0.01.

    Burda et al. 2016, sec. 5.2.
    """
    return means_BD.float().var(0, correction=0) > ACTIVE_VARIANCE


def diagnose_collapse(kl: float, active_fraction: float, repeated_fraction: float = 0.0) -> str | None:
    """Return a warning with a remedy if the latent is not used, else None.

    Args:
        kl: Mean KL in nats per sentence.
        active_fraction: Share of active latent dimensions.
        repeated_fraction: Share of prior samples that repeat an earlier sample.

    Returns:
        One line with the symptom and the remedy, or None.

    Examples:
        >>> diagnose_collapse(12.0, 1.0) is None
        True
    """
    remedy = "lengthen --warmup, raise --free-bits, lower --beta, or set --bn-gamma 0.6"
    if kl < COLLAPSED_KL:
        return f"posterior collapse: the KL is {kl:.2f} nats, so the decoder ignores the latent; {remedy}"
    if active_fraction < COLLAPSED_ACTIVE_FRACTION:
        return f"partial collapse: only {active_fraction:.0%} of the latent dimensions are active; {remedy}"
    if repeated_fraction > REPEATED_SAMPLES:
        return (
            f"{repeated_fraction:.0%} of the prior samples repeat each other, so the decoder barely uses the latent; "
            f"{remedy}"
        )
    return None
