"""How likely texts are: given a latent, and in all, by importance sampling."""

# N, B texts, K importance samples, D numbers of z, P of packed z, T tokens
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..modeling import TextVAEModel
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.likelihood import IGNORED, importance_weighted_bound
from ..modeling.precision import autocast
from ..modeling.slots import GIVEN
from ..text.batching import by_length
from ..text.tokenizers import pad
from .reading import Reading


@torch.inference_mode()
def log_likelihood(model: TextVAEModel, reading: Reading, num_samples: int, seed: int, batch_size: int) -> Tensor:
    """Return the importance-weighted estimate of log p(x) of each text (Burda et al. 2016, eq. 8), shape (N,).

    Args:
        model: The model.
        reading: What it reads of the texts.
        num_samples: K.
        seed: Seed of the samples.
        batch_size: Importance samples decoded together.
    """
    posterior, rows = reading.flat(), reading.ids
    prior = DiagonalGaussian.standard(posterior.dim)
    # numbers of each z
    own = (model.config.latent_dim + (reading.states == GIVEN).sum(1) * model.config.slot_dim).tolist()
    seeds = torch.randint(2**62, (len(rows),), generator=torch.Generator().manual_seed(seed)).tolist()
    result = torch.empty(len(rows))
    with autocast(model.device):
        for chosen in by_length(rows, max(1, batch_size // num_samples)):
            likely = posterior[chosen]
            # A text's samples are its own, whatever texts are beside it in the batch.
            sources = [torch.Generator().manual_seed(seeds[i]) for i in chosen]
            noise = [
                F.pad(torch.randn(num_samples, own[i], generator=source), (0, posterior.dim - own[i]))
                for i, source in zip(chosen, sources, strict=True)
            ]
            latents_KBD = likely.mean + likely.std * torch.stack(noise, 1)
            packed_KBP = torch.cat([latents_KBD, reading.states[chosen].expand(num_samples, -1, -1)], -1)
            ids, mask = pad([rows[i] for i in chosen], model.config.pad_token_id)
            labels_KBT = ids.masked_fill(mask == 0, IGNORED).expand(num_samples, -1, -1)
            nats = [
                model.nats(latents.to(model.device), labels.to(model.device)).cpu()
                for latents, labels in zip(
                    packed_KBP.flatten(0, 1).split(batch_size),
                    labels_KBT.flatten(0, 1).split(batch_size),
                    strict=True,
                )
            ]
            likelihood_KB = -torch.cat(nats).view(num_samples, -1)
            result[chosen] = importance_weighted_bound(
                likelihood_KB, prior.log_prob(latents_KBD), likely.log_prob(latents_KBD)
            )
    return result


@torch.inference_mode()
def nats_given(model: TextVAEModel, points: Tensor, rows: Sequence[Sequence[int]], batch_size: int) -> Tensor:
    """Return -log p(x|z) of each text, nats per sentence, shape (N,).

    Args:
        model: The model.
        points: A latent for each text, shape (N, D), or packed with wording slots.
        rows: The decoder's token ids of each text.
        batch_size: Sentences of 16 tokens scored together; of longer ones, fewer.
    """
    result = torch.empty(len(rows))
    with autocast(model.device):
        for chosen in by_length(rows, batch_size):
            ids, mask = pad([rows[i] for i in chosen], model.config.pad_token_id)
            labels = ids.masked_fill(mask == 0, IGNORED).to(model.device)
            result[chosen] = model.nats(points[chosen].to(model.device), labels).cpu()
    return result
