"""Likelihoods in nats: chunked cross-entropy with little memory, and the importance-weighted bound."""

# B sentences, K importance samples, N tokens, T target tokens, H hidden, V vocabulary, C tokens of a chunk
from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORED = -100
CHUNK_ELEMENTS = 2**20  # C * V: logits that fit a core's cache
CHUNK_ELEMENTS_ACCELERATOR = 2**27  # small against its memory, large enough for few kernel launches


def linear_cross_entropy(states_NH: Tensor, weight_VH: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of `states @ weight.T` against targets, in nats.

    Value and gradient are computed together, chunk by chunk while the logits are in the cache. The largest tensor has
    shape (N, V) in the dtype of the matrix product (bf16 under autocast) and is freed before the backward pass.

    Args:
        states_NH: Inputs of the layer, shape (N, H).
        weight_VH: Weight of the layer, shape (V, H).
        targets_N: Class of each token, shape (N,); -100 marks tokens that are not scored.

    Returns:
        The sum over tokens, a differentiable scalar; and the value of each token, shape (N,), float32, detached.
    """
    total, nats_N = _LinearCrossEntropy.apply(states_NH, weight_VH, targets_N, torch.is_grad_enabled())
    return total, nats_N


def sampled_cross_entropy(
    states_NH: Tensor, weight_VH: Tensor, targets_N: Tensor, words: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Estimate `linear_cross_entropy` from the targets of the batch and a random subset of the other classes.

    A class outside the batch is drawn with probability words / V and weighted by V / words, so that the estimate of the
    sum inside the logarithm is unbiased. A smaller subset is faster and noisier.

    Args:
        states_NH: Inputs of the layer, shape (N, H).
        weight_VH: Weight of the layer, shape (V, H).
        targets_N: Class of each token, shape (N,); -100 marks tokens that are not scored.
        words: Number of classes to draw, at most V.
        generator: Source of the draw; default: torch's global one.

    Returns:
        As `linear_cross_entropy`.
    """
    vocabulary = len(weight_VH)
    words = min(words, vocabulary)
    scored_N = targets_N != IGNORED
    own = targets_N[scored_N].unique()
    drawn = torch.randperm(vocabulary, generator=generator, device=weight_VH.device)[:words]
    others = drawn[~torch.isin(drawn, own)]
    classes_C = torch.cat([own, others])
    log_weights_C = torch.zeros(len(classes_C), device=weight_VH.device)
    log_weights_C[len(own) :] = math.log(vocabulary / words)
    places_N = torch.searchsorted(own, targets_N.clamp(min=0)).masked_fill(~scored_N, IGNORED)
    logits_NC = (states_NH @ weight_VH[classes_C].t()).float() + log_weights_C
    nats_N = F.cross_entropy(logits_NC, places_N, ignore_index=IGNORED, reduction="none")
    return nats_N.sum(), nats_N.detach()


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states_NH: Tensor, weight_VH: Tensor, targets_N: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor]:
        device = states_NH.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states_NH.dtype
        learns = learns and any(ctx.needs_input_grad[:2])  # parameters need gradients under no_grad too
        tokens, vocabulary = len(states_NH), len(weight_VH)
        with torch.autocast(device, enabled=False):
            states, weight = states_NH.to(dtype), weight_VH.to(dtype)
            gradient_NV = states.new_empty(tokens, vocabulary) if learns else None
            nats_N = states.new_empty(tokens, dtype=torch.float32)
            scored_N1 = (targets_N != IGNORED).unsqueeze(1)
            targets_N1 = targets_N.clamp(min=0).unsqueeze(1)
            in_cache = _has_large_cache(device)
            score = _scored_in_cache if in_cache else _scored_in_few_passes
            rows = max(64, (CHUNK_ELEMENTS if in_cache else CHUNK_ELEMENTS_ACCELERATOR) // vocabulary)
            for start in range(0, tokens, rows):
                chunk = slice(start, start + rows)
                logits_CV = (states[chunk] @ weight.t()).float()
                gradient_CV = None if gradient_NV is None else gradient_NV[chunk]
                nats_N[chunk] = score(logits_CV, targets_N1[chunk], scored_N1[chunk], gradient_CV)
            if gradient_NV is not None:
                if in_cache:
                    ctx.save_for_backward(gradient_NV @ weight, gradient_NV.t() @ states)
                else:
                    ctx.save_for_backward((gradient_NV @ weight) * scored_N1, gradient_NV.t() @ (states * scored_N1))
        ctx.dtypes = states_NH.dtype, weight_VH.dtype
        ctx.mark_non_differentiable(nats_N)
        return nats_N.sum(), nats_N

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        for_states, for_weight = ctx.saved_tensors
        states_dtype, weight_dtype = ctx.dtypes
        return (for_states.to(states_dtype) * outputs[0], for_weight.to(weight_dtype) * outputs[0], None, None)


def _has_large_cache(device: str) -> bool:
    """Return whether a chunk of logits is best small enough for a cache, rather than large."""
    return device == "cpu"


def _scored_in_cache(logits_CV: Tensor, targets_C1: Tensor, scored_C1: Tensor, gradient_CV: Tensor | None) -> Tensor:
    """Return the nats (C,) of a chunk, 0 for a token that is not scored; write the gradient, overwrite the logits."""
    largest_C1 = logits_CV.amax(1, keepdim=True)
    picked_C1 = logits_CV.gather(1, targets_C1)
    total_C1 = logits_CV.sub_(largest_C1).exp_().sum(1, keepdim=True)
    nats_C1 = total_C1.log() + largest_C1 - picked_C1
    if gradient_CV is not None:
        # softmax minus the target, and 0 for a token that is not scored
        logits_CV.mul_(scored_C1 / total_C1)
        logits_CV.scatter_add_(1, targets_C1, -scored_C1.float())
        gradient_CV.copy_(logits_CV)
    return (nats_C1 * scored_C1).squeeze(1)


def _scored_in_few_passes(
    logits_CV: Tensor, targets_C1: Tensor, scored_C1: Tensor, gradient_CV: Tensor | None
) -> Tensor:
    """Do the same for logits that no cache holds, in half as many passes; gradients of tokens not scored are left in.

    exp(x) - 1 of the target is computed before it is rounded: in bf16 it would be 0 for tokens likelier than .998.
    """
    logs_CV = logits_CV.log_softmax(1)
    picked_C1 = logs_CV.gather(1, targets_C1)
    if gradient_CV is not None:
        torch.exp(logs_CV, out=gradient_CV)
        gradient_CV.scatter_(1, targets_C1, picked_C1.expm1().to(gradient_CV.dtype))
    return -(picked_C1 * scored_C1).squeeze(1)


def reconstruction_nats(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -log p(x|z) for each sentence, summed over its tokens.

    Args:
        logits: Scores where position t predicts token t + 1, shape (B, T, V).
        labels: Token ids, not shifted, shape (B, T); -100 marks positions that are not scored.

    Returns:
        Nats per sentence, shape (B,), float32.
    """
    predictions_BTV, targets_BT = logits[:, :-1], labels[:, 1:]
    nll_BT = F.cross_entropy(
        predictions_BTV.reshape(-1, predictions_BTV.shape[-1]).float(),
        targets_BT.reshape(-1),
        ignore_index=IGNORED,  # masked before the sum: ignored positions contribute exactly 0
        reduction="none",
    ).view(targets_BT.shape)
    return nll_BT.sum(-1)


def importance_weighted_bound(log_likelihood_KB: Tensor, log_prior_KB: Tensor, log_posterior_KB: Tensor) -> Tensor:
    """Return log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) for each sentence (Burda et al. 2016, eq. 8).

    All three inputs have shape (K, B); the result has shape (B,) and tends to log p(x) from below as K grows.
    """
    log_weights_KB = log_likelihood_KB + log_prior_KB - log_posterior_KB
    return torch.logsumexp(log_weights_KB, 0) - math.log(len(log_weights_KB))
