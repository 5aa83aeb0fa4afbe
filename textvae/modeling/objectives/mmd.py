"""Maximum mean discrepancy between latents and the prior."""

# N, M points, D latent dimensions
from __future__ import annotations

import torch
from torch import Tensor

from .terms import Step, register_term


def squared_mmd(a_ND: Tensor, b_ND: Tensor) -> Tensor:
    """Return the unbiased squared MMD of two samples (Gretton et al. 2012, eq. 3).

    The kernel is a sum of inverse multiquadrics at seven scales around 2D (Tolstikhin et al. 2018, sec. 4).
    """

    def kernel(x_ND: Tensor, y_ND: Tensor) -> Tensor:
        distances = torch.cdist(x_ND, y_ND).square()
        scales = [2 * x_ND.shape[1] * scale for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        return torch.stack([scale / (scale + distances) for scale in scales]).sum(0)

    def mean_off_diagonal(gram_NN: Tensor) -> Tensor:
        n = len(gram_NN)
        return (gram_NN.sum() - gram_NN.diagonal().sum()) / (n * (n - 1))

    between = kernel(a_ND, b_ND).mean()
    return mean_off_diagonal(kernel(a_ND, a_ND)) + mean_off_diagonal(kernel(b_ND, b_ND)) - 2 * between


@register_term("mmd")
def mmd(step: Step) -> Tensor:
    """Return the squared MMD between the latents and as many draws from N(0, I) (Zhao et al. 2019, eq. 6).

    0 for a batch of one text, since it has no pairs.
    """
    if len(step.latents) < 2:
        return step.latents.new_zeros(())
    prior_BD = torch.empty_like(step.latents).normal_(generator=step.generator)
    return squared_mmd(step.latents, prior_BD)
