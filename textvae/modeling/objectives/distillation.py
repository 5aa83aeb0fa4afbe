"""The distillation term: the cosine distance between the meaning and a teacher's embedding."""

# B sentences, D latent dimensions
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .terms import Step, register_term


def cosine_distance(means_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Return 1 - cosine between each text's mean and its teacher's embedding, shape (B,); 0 in rows with NaN."""
    known_B1 = teacher_BD.isfinite().all(-1, keepdim=True)
    cosines_B = F.cosine_similarity(means_BD, torch.where(known_B1, teacher_BD, 1.0).to(means_BD.dtype), dim=-1)
    return (1 - cosines_B) * known_B1.squeeze(-1)


@register_term("distillation")
def distillation(step: Step) -> Tensor:
    """Return 1 - cosine between mu and the teacher's embedding, averaged over the texts of the batch that have one.

    So the weight of the term does not depend on how much of a corpus the teacher has embedded.
    """
    if step.teacher is None:
        raise ValueError("distillation needs a teacher's embeddings of the texts: give teacher")
    known_B = step.teacher.isfinite().all(-1)
    return cosine_distance(step.posterior.mean, step.teacher).sum() / known_B.sum().clamp(min=1)
