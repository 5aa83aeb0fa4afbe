"""The distillation term: the meaning follows a teacher's embedding."""

# B sentences, D latent dimensions
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine_distance(means_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Return 1 - cosine between each text's mean and its teacher's embedding, shape (B,); 0 in rows that are NaN."""
    known_B1 = teacher_BD.isfinite().all(-1, keepdim=True)
    cosines_B = F.cosine_similarity(means_BD, torch.where(known_B1, teacher_BD, 1.0).to(means_BD.dtype), dim=-1)
    return (1 - cosines_B) * known_B1.squeeze(-1)
