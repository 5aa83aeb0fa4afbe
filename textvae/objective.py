"""The training objective, and diagnostics that say whether the latent is used; all in nats per sentence."""

# B sentences, T target tokens, V vocabulary, D latent dimensions, K importance samples
from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .cross_entropy import IGNORED

ACTIVE_VARIANCE = 0.01
CONTRASTIVE_TEMPERATURE = 0.05  # as in Gao et al. 2021
COLLAPSED_KL = 0.5
COLLAPSED_ACTIVE_FRACTION = 0.25
REPEATED_SAMPLES = 0.5


def reconstruction_nats(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -log p(x|z) for each sentence, summed over its tokens.

    Args:
        logits: Scores where position t predicts token t + 1, shape (B, T, V).
        labels: The token ids themselves, shape (B, T); -100 marks positions that are not scored.

    Returns:
        Nats per sentence, shape (B,), float32.
    """
    predictions_BTV, targets_BT = logits[:, :-1], labels[:, 1:]
    nll_BT = F.cross_entropy(
        predictions_BTV.reshape(-1, predictions_BTV.shape[-1]).float(),
        targets_BT.reshape(-1),
        ignore_index=IGNORED,  # masked before the sum: ignored positions cost exactly 0
        reduction="none",
    ).view(targets_BT.shape)
    return nll_BT.sum(-1)


def free_bits(kl_BD: Tensor, floor: float) -> Tensor:
    """Return the KL objective with a floor: sum over dimensions of max(floor, mean over sentences).

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


def bag_of_words_nats(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the nats of each text's tokens when all are drawn from one distribution, whatever their order.

    The auxiliary loss of Zhao et al. 2017, eq. 6: the decoder's own history cannot lower it, so z must hold the words.

    Args:
        logits: Scores of the vocabulary for each text, shape (B, V).
        labels: Token ids, BOS first, shape (B, T); -100 marks positions that are not scored.

    Returns:
        Nats per text, shape (B,), float32.
    """
    targets_BT = labels[:, 1:]
    nats_BT = -logits.float().log_softmax(-1).gather(1, targets_BT.clamp(min=0))
    return nats_BT.masked_fill(targets_BT == IGNORED, 0).sum(-1)


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


def contrastive_nats(means_BD: Tensor, others_BD: Tensor, groups_B: Tensor | None = None) -> Tensor:
    """Return the nats it takes to find the other view of each text among those of the batch (Gao et al. 2021, eq. 1).

    Both ways on average, by the cosine over a temperature of 0.05.

    Args:
        means_BD: Latents of B texts, shape (B, D).
        others_BD: Latents of their other views, shape (B, D).
        groups_B: Group of each text, shape (B,): the views of its fellows count as neither right nor wrong.

    Returns:
        A scalar in nats per text; where nothing tells them apart, ln of the number of views that count.
    """
    with torch.autocast(means_BD.device.type, enabled=False):  # cosines near 1 in bf16 would be a coarse grid
        cosines_BB = F.normalize(means_BD.float(), dim=-1) @ F.normalize(others_BD.float(), dim=-1).t()
    logits_BB = cosines_BB / CONTRASTIVE_TEMPERATURE
    if groups_B is not None:
        fellows_BB = (groups_B[:, None] == groups_B).fill_diagonal_(False)
        logits_BB = logits_BB.masked_fill(fellows_BB, float("-inf"))
    targets_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, targets_B) + F.cross_entropy(logits_BB.t(), targets_B)) / 2


def cosine_distance(means_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Return 1 - cosine between each text's mean and its teacher's embedding, shape (B,); 0 in rows that are NaN."""
    known_B1 = teacher_BD.isfinite().all(-1, keepdim=True)
    cosines_B = F.cosine_similarity(means_BD, torch.where(known_B1, teacher_BD, 1.0).to(means_BD.dtype), dim=-1)
    return (1 - cosines_B) * known_B1.squeeze(-1)


def importance_weighted_bound(log_likelihood_KB: Tensor, log_prior_KB: Tensor, log_posterior_KB: Tensor) -> Tensor:
    """Return log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) for each sentence (Burda et al. 2016, eq. 8).

    All three inputs have shape (K, B); the result has shape (B,) and tends to log p(x) from below as K grows.
    """
    log_weights_KB = log_likelihood_KB + log_prior_KB - log_posterior_KB
    return torch.logsumexp(log_weights_KB, 0) - math.log(len(log_weights_KB))


def active_units(means_BD: Tensor, threshold: float = ACTIVE_VARIANCE) -> Tensor:
    """Return which dimensions are used, as booleans (D,): variance of the posterior mean above the threshold.

    Burda et al. 2016, sec. 5.2.
    """
    return means_BD.float().var(0, correction=0) > threshold


def diagnose_collapse(kl: float, active_fraction: float, repeated_fraction: float = 0.0) -> str | None:
    """Say in plain words that the latent is not used, and what to do; None if it is used.

    Args:
        kl: Mean KL in nats per sentence.
        active_fraction: Share of active latent dimensions.
        repeated_fraction: Share of prior samples that repeat an earlier sample.

    Returns:
        One line with the symptom and the remedy, or None.

    Example:
        >>> diagnose_collapse(12.0, 1.0) is None
        True
    """
    remedy = "lengthen --warmup, raise --free-bits, lower --beta, or set --bn-gamma 0.6"
    if kl < COLLAPSED_KL:
        return f"posterior collapse: the KL is {kl:.2f} nats, so the decoder ignores the latent; {remedy}"
    if active_fraction < COLLAPSED_ACTIVE_FRACTION:
        return f"partial collapse: only {active_fraction:.0%} of the latent dimensions are active; {remedy}"
    if repeated_fraction > REPEATED_SAMPLES:
        return (
            f"{repeated_fraction:.0%} of the prior samples repeat each other, so the decoder barely uses the latent; "
            f"{remedy}"
        )
    return None
