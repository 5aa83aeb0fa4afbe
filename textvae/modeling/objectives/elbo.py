"""The negative ELBO: reconstruction and KL, with a floor for each dimension."""

# B sentences, D latent dimensions
from __future__ import annotations

from torch import Tensor


def free_bits(kl_BD: Tensor, floor: float) -> Tensor:
    """Return the KL with a floor per dimension: sum over dimensions of max(floor, mean over sentences).

    Below the floor a dimension has no KL gradient, so it is free to carry information (Kingma et al. 2016, eq. 16).

    Args:
        kl_BD: KL per sentence and dimension in nats, shape (B, D).
        floor: Nats per dimension; 0 gives the plain KL.

    Returns:
        A scalar in nats per sentence.
    """
    return kl_BD.mean(0).clamp(min=floor).sum() if floor > 0 else kl_BD.sum(-1).mean()


def negative_elbo(reconstruction: Tensor, kl_BD: Tensor, *, beta: float = 1.0, floor: float = 0.0) -> Tensor:
    """Return reconstruction + beta * KL, the loss in nats per sentence (Higgins et al. 2017, eq. 4; scalar).

    `reconstruction` holds each sentence's nats, shape (B,), or their mean, a scalar.
    """
    return reconstruction.mean() + beta * free_bits(kl_BD, floor)
