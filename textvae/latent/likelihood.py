"""Likelihoods of texts: given their latents, and without them."""

# N texts, B texts of a batch, D latent dimensions, K importance samples, P packed numbers, T tokens
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from .._progress import Progress
from ..modeling import TextVAEModel
from ..modeling.forks import check_fork
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.likelihood import IGNORED, importance_weighted_bound
from ..modeling.precision import autocast
from ..modeling.slots import GIVEN
from ..text.batching import MOST_TEXTS, by_length
from ..text.tokenizers import pad
from .geometry import Array
from .reading import Reading, check_finite

MOST_SAMPLES = 100_000  # of a text, which are in memory together


@torch.inference_mode()
def log_likelihood(model: TextVAEModel, reading: Reading, num_samples: int, seed: int, batch_size: int) -> Array:
    """Return the importance-weighted estimate of log p(x) of N texts, nats per sentence, shape (N,).

    Args:
        model: The network.
        reading: Token ids and posteriors of the texts.
        num_samples: K.
        seed: Seed of the samples.
        batch_size: Importance samples decoded together.
    """
    check_fork()
    batch_size = min(batch_size, MOST_TEXTS)
    config = model.config
    posterior, rows = reading.flat(), reading.ids
    prior = DiagonalGaussian.standard(posterior.dim)
    own = (config.latent_dim + (reading.states == GIVEN).sum(1) * config.slot_dim).tolist()  # numbers of each z
    seeds = torch.randint(2**62, (len(rows),), generator=torch.Generator().manual_seed(seed)).tolist()
    result = torch.empty(len(rows))
    with autocast(model.device), Progress("scored", len(rows)) as progress:
        for chosen in by_length(rows, max(1, batch_size // num_samples)):
            likely = posterior[chosen]
            # One generator per text, so that its samples do not depend on the other texts of the batch.
            sources = [torch.Generator().manual_seed(seeds[i]) for i in chosen]
            noise = [
                F.pad(torch.randn(num_samples, own[i], generator=source), (0, posterior.dim - own[i]))
                for i, source in zip(chosen, sources, strict=True)
            ]
            latents_KBD = likely.mean + likely.std * torch.stack(noise, 1)
            packed_KBP = torch.cat([latents_KBD, reading.states[chosen].expand(num_samples, -1, -1)], -1)
            labels_KBT = _labels(model, rows, chosen).expand(num_samples, -1, -1)
            each = [
                model.nats(latents.to(model.device), labels.to(model.device)).cpu()
                for latents, labels in zip(
                    packed_KBP.flatten(0, 1).split(batch_size), labels_KBT.flatten(0, 1).split(batch_size), strict=True
                )
            ]
            likelihood_KB = -torch.cat(each).view(num_samples, -1)
            result[chosen] = importance_weighted_bound(
                likelihood_KB, prior.log_prob(latents_KBD), likely.log_prob(latents_KBD)
            )
            progress.advance(len(chosen))
    check_finite(result, "likelihoods")
    return result.numpy()


@torch.inference_mode()
def nats(model: TextVAEModel, rows: Sequence[list[int]], latents: Array, batch_size: int) -> Array:
    """Return -log p(x|z) of N texts, as token ids, given their latents: nats per sentence, shape (N,)."""
    check_fork()
    points, result = torch.tensor(latents), torch.empty(len(rows))
    with autocast(model.device):
        for chosen in by_length(rows, batch_size):
            labels = _labels(model, rows, chosen).to(model.device)
            result[chosen] = model.nats(points[chosen].to(model.device), labels).cpu()
    check_finite(result, "likelihoods")
    return result.numpy()


def _labels(model: TextVAEModel, rows: Sequence[list[int]], chosen: Sequence[int]) -> torch.Tensor:
    ids, mask = pad([rows[i] for i in chosen], model.config.pad_token_id)
    return ids.masked_fill(mask == 0, IGNORED)
