"""The contrastive term: two views of a text should have similar means."""

# B sentences, D latent dimensions
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .terms import Step, register_term

CONTRASTIVE_TEMPERATURE = 0.05  # as in Gao et al. 2021


def contrastive_nats(means_BD: Tensor, others_BD: Tensor, groups_B: Tensor | None = None) -> Tensor:
    """Return the cross-entropy of identifying each text's other view within the batch (Gao et al. 2021, eq. 1).

    Cosines are divided by a temperature of 0.05; the loss is averaged over both directions.

    Args:
        means_BD: Latents of B texts, shape (B, D).
        others_BD: Latents of their other views, shape (B, D).
        groups_B: Group of each text, shape (B,). Other members of a text's group are left out of its negatives.

    Returns:
        A scalar in nats per text; ln of the number of candidates if all cosines are equal.
    """
    with torch.autocast(means_BD.device.type, enabled=False):  # bf16 is too coarse for cosines near 1
        cosines_BB = F.normalize(means_BD.float(), dim=-1) @ F.normalize(others_BD.float(), dim=-1).t()
    logits_BB = cosines_BB / CONTRASTIVE_TEMPERATURE
    if groups_B is not None:
        fellows_BB = (groups_B[:, None] == groups_B).fill_diagonal_(False)
        logits_BB = logits_BB.masked_fill(fellows_BB, float("-inf"))
    targets_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, targets_B) + F.cross_entropy(logits_BB.t(), targets_B)) / 2


@register_term("contrastive")
def contrastive(step: Step) -> Tensor:
    """Return `contrastive_nats` of the posterior means and those of the other views."""
    if step.partner_ids is None:
        raise ValueError("contrastive needs another view of each text: give partner_ids")
    return contrastive_nats(step.posterior.mean, step.partner_means, step.groups)
