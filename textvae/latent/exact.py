"""Exact latents: gradient steps on z until greedy decoding gives a text back word for word."""

# N texts, B texts of a batch, P packed numbers, T tokens, V vocabulary
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .._progress import Progress
from ..modeling import TextVAEModel
from ..modeling.likelihood import IGNORED, reconstruction_nats
from ..text.batching import by_length
from ..text.tokenizers import pad
from .geometry import Array

RATE = 0.1  # of Adam; measured in results/operations.json
BETAS = 0.9, 0.999
STEPS = 50
BATCH = 32  # texts of a step: their logits are kept whole
EPS = 1e-8


@torch.inference_mode(False)
def exact_latents(
    model: TextVAEModel, rows: Sequence[list[int]], latents: Array, steps: int = STEPS, rate: float = RATE
) -> Array:
    """Return latents from which greedy decoding gives N texts back, or at least likelier ones.

    Adam (Kingma & Ba 2015) on each latent minimises -log p(x|z). A row stops at the first latent from which every token
    of its text is the likeliest one; a row that does not get there in so many steps has the likeliest of its latents.
    Weights stay as they are, and no row depends on those beside it.

    Args:
        model: The network.
        rows: The decoder's token ids of each text, BOS ... EOS.
        latents: Where the steps start, shape (N, P), as the decoder reads them.
        steps: Most steps.
        rate: Step size, in units of the prior's standard deviation.

    Returns:
        Shape (N, P); the numbers of open and absent slots are unchanged.
    """
    result = latents.copy()
    with Progress("made exact", len(rows)) as progress:
        for chosen in by_length(rows, BATCH):
            ids, mask = pad([rows[i] for i in chosen], model.config.pad_token_id)
            labels = ids.masked_fill(mask == 0, IGNORED).to(model.device)
            found = _descend(model, ids.to(model.device), labels, torch.tensor(latents[chosen]), steps, rate)
            result[chosen] = found.numpy()
            progress.advance(len(chosen))
    return result


def _descend(
    model: TextVAEModel, ids_BT: Tensor, labels_BT: Tensor, start_BP: Tensor, steps: int, rate: float
) -> Tensor:
    """Return the best latent of each row, shape (B, P), on the CPU; the arguments are those of `exact_latents`."""
    points_BP, best_BP = start_BP.to(model.device), start_BP.clone()
    with torch.no_grad():  # most rows are right already
        lowest_B, right_B = (each.cpu() for each in _look(model, points_BP, ids_BT, labels_BT))
    going = (~right_B).nonzero().squeeze(1)
    kept = going.to(model.device)
    points_BP, ids_BT, labels_BT = points_BP[kept], ids_BT[kept], labels_BT[kept]
    first_BP, second_BP = torch.zeros_like(points_BP), torch.zeros_like(points_BP)
    for step in range(1, steps + 2):
        if not len(going):
            break
        # one pass says how good the points of the last step are, and where the next step goes
        points_BP = points_BP.detach().requires_grad_()
        # cuDNN's GRU has no backward pass in evaluation
        with torch.set_grad_enabled(step <= steps), torch.backends.cudnn.flags(enabled=False):
            nats_B, right_B = _look(model, _seen(model, points_BP), ids_BT, labels_BT)
            gradient_BP = torch.autograd.grad(nats_B.sum(), points_BP)[0] if step <= steps else None
        points_BP, nats_B, right_B = points_BP.detach(), nats_B.detach().cpu(), right_B.cpu()
        better_B = right_B | (nats_B < lowest_B[going])
        best_BP[going[better_B]] = points_BP.cpu()[better_B]
        lowest_B[going[better_B]] = nats_B[better_B]
        if gradient_BP is None:
            break
        wrong = (~right_B).nonzero().squeeze(1)
        going, kept = going[wrong], wrong.to(model.device)
        points_BP, gradient_BP, first_BP, second_BP, ids_BT, labels_BT = (
            each[kept] for each in (points_BP, gradient_BP, first_BP, second_BP, ids_BT, labels_BT)
        )
        first_BP = BETAS[0] * first_BP + (1 - BETAS[0]) * gradient_BP
        second_BP = BETAS[1] * second_BP + (1 - BETAS[1]) * gradient_BP.square()
        corrected_BP = (second_BP / (1 - BETAS[1] ** step)).sqrt() + EPS
        points_BP = _seen(model, points_BP - rate * first_BP / (1 - BETAS[0] ** step) / corrected_BP)
    return best_BP


def _look(model: TextVAEModel, points_BP: Tensor, ids_BT: Tensor, labels_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nats of each row (B,), and whether every token is the likeliest one (B,)."""
    logits_BTV, targets_BT = model.decode(points_BP, ids_BT), labels_BT[:, 1:]
    with torch.no_grad():
        predictions_BTV = logits_BTV[:, :-1]
        own_BT = predictions_BTV.gather(-1, targets_BT.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        right_BT = (own_BT >= predictions_BTV.amax(-1)) | (targets_BT == IGNORED)  # sooner than by argmax
    return reconstruction_nats(logits_BTV, labels_BT), right_BT.all(1)


def _seen(model: TextVAEModel, points_BP: Tensor) -> Tensor:
    """Return latents with their meanings scaled to the length sqrt(D) in a model with `unit_mean`."""
    D = model.config.latent_dim
    if not model.config.unit_mean:
        return points_BP
    return torch.cat([D**0.5 * F.normalize(points_BP[:, :D], dim=1), points_BP[:, D:]], 1)
