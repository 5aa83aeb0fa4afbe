"""From token ids to posteriors, in batches of nearly one length."""

# N texts, D latent dimensions, S slots, W numbers of a slot
from __future__ import annotations

from collections.abc import Sequence

import torch

from ..modeling import TextVAEModel
from ..modeling.encoder import Posterior
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.precision import autocast
from ..modeling.slots import ABSENT, GIVEN
from ..text.batching import ORDINARY_LENGTH, by_length, few_sizes
from ..text.tokenizers import pad
from .embeddings import progress_bar
from .latents import Reading


@torch.inference_mode()
def read(
    model: TextVAEModel,
    rows: Sequence[list[int]],
    decoder_ids: list[list[int]],
    pad_id: int,
    *,
    batch_size: int,
    slots: bool,
    bar: bool,
) -> Reading:
    """Return the posteriors of N texts, on the CPU.

    Args:
        model: The network.
        rows: The encoder's token ids of each text.
        decoder_ids: What the reading holds as the decoder's ids.
        pad_id: Padding id of the encoder.
        batch_size: Sentences of 16 tokens encoded together.
        slots: Whether to read the wording slots too, if the model has any.
        bar: Whether to draw a progress bar on stderr.
    """
    config, N = model.config, len(rows)
    S = config.max_slots if slots else 0
    means, log_stds = torch.empty(N, config.latent_dim), torch.empty(N, config.latent_dim)
    of_slots = torch.zeros(2, N, S, config.slot_dim)  # mean and log_std
    states = torch.full((N, S), ABSENT)
    with autocast(model.device), progress_bar(N, bar) as done:  # around all batches: it rounds the weights once
        for chosen in by_length(rows, batch_size):
            longest = len(rows[chosen[-1]])
            filled = few_sizes(len(chosen), batch_size * ORDINARY_LENGTH // longest)
            ids, mask = pad([rows[i] for i in chosen + chosen[-1:] * (filled - len(chosen))], pad_id)
            whole = len(rows[chosen[0]]) == longest
            batch = ids.to(model.device), None if whole else mask.to(model.device)
            posterior = model.read(*batch) if S else Posterior(model.encode(*batch))
            meaning = posterior.meaning[: len(chosen)]
            means[chosen], log_stds[chosen] = meaning.mean.float().cpu(), meaning.log_std.float().cpu()
            if posterior.slots is not None and posterior.states is not None:
                found = posterior.states.shape[1]
                of_slots[0, chosen, :found] = posterior.slots.mean[: len(chosen)].float().cpu()
                of_slots[1, chosen, :found] = posterior.slots.log_std[: len(chosen)].float().cpu()
                states[chosen, :found] = posterior.states[: len(chosen)].cpu()
            done(len(chosen))
    used = int((states == GIVEN).sum(1).max()) if N and S else 0
    return Reading(
        decoder_ids, DiagonalGaussian(means, log_stds), DiagonalGaussian(*of_slots[:, :, :used]), states[:, :used]
    )
