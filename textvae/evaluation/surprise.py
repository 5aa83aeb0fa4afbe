"""Novelty scores of single texts: likelihood, posterior width, and distance from the latent prior."""

# N texts, K importance samples, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..latent.embeddings import batches
from ..latent.geometry import Array
from ..latent.likelihood import MOST_SAMPLES
from ..latent.vae import TextVAE
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.likelihood import importance_weighted_bound
from ..storage.errors import check_range
from ..text.cleaning import gate_texts
from .text_scores import within_length

AT_ONCE = 1024  # texts per batch of importance sampling


@dataclass(frozen=True)
class Novelty:
    """Three scores per text, each float32 of shape (N,).

    The nats detect texts from another domain or in a wrong word order best. Texts from another domain also tend to have
    a narrow posterior, since the decoder depends more on the exact latent. The distance is the weakest score.

    Attributes:
        nats_per_word: -log p(x) over the whitespace words and one end; higher is more unusual. It is estimated by
            importance weighting; in a model with wording slots and latent dropout, where the few nats that tell texts
            apart would drown in those of the latent, it is that of the decoder without a latent.
        width: Mean log standard deviation of the posterior; lower is more unusual.
        distance: Mahalanobis distance of the posterior mean from the nearest component of the fitted prior, else from
            N(0, I), in standard deviations; about sqrt(D) for a sample of the prior. Higher is more unusual.
    """

    nats_per_word: Array
    width: Array
    distance: Array


def novelty(vae: TextVAE, texts: Sequence[str], *, num_samples: int = 16, seed: int = 0) -> Novelty:
    """Score how unusual each text is, independently of the other texts.

    Args:
        vae: The model.
        texts: N texts; [] gives empty arrays. In a model with wording slots but without latent dropout, the likelihood
            is given the meaning alone.
        num_samples: Importance samples K per text; with more, the nats decrease towards the true value.
        seed: Seed of the noise, which is shared by all texts to make their scores comparable.
    """
    check_range("num_samples", num_samples, 1, MOST_SAMPLES)
    texts = gate_texts(texts)
    noise_KD = torch.randn(num_samples, vae.dim, generator=torch.Generator().manual_seed(seed))
    posterior = vae.posterior(texts)
    log_likelihood = np.zeros(len(texts), np.float32)
    at_once = max(1, min(AT_ONCE, 10 * MOST_SAMPLES // num_samples))
    without_latent = vae.model.config.slot_dim and vae.model.config.latent_dropout
    for part in batches(len(texts), at_once, "scored"):
        if without_latent:
            log_likelihood[part] = -vae.nats(texts[part], np.zeros((len(texts[part]), vae.dim), np.float32))
        else:
            log_likelihood[part] = _log_likelihood(vae, texts[part], posterior[part], noise_KD)
    words = np.array([len(text.split()) + 1 for text in within_length(vae, texts)], np.float32)
    means = posterior.mean.numpy()
    return Novelty(
        -log_likelihood / words, posterior.log_std.mean(1).numpy(), vae.prior.distance(means).astype(np.float32)
    )


def _log_likelihood(
    vae: TextVAE, texts: Sequence[str], posterior: DiagonalGaussian, noise_KD: torch.Tensor
) -> np.ndarray:
    """Return the bound of Burda et al. 2016, eq. 8, with the same noise for each text."""
    latents_KND = posterior.mean + posterior.std * noise_KD[:, None]
    nats = vae.nats([*texts] * len(noise_KD), latents_KND.flatten(0, 1), batch_size=256)
    likelihood_KN = -torch.from_numpy(nats).view(len(noise_KD), -1)
    prior = DiagonalGaussian.standard(vae.dim)
    return importance_weighted_bound(
        likelihood_KN, prior.log_prob(latents_KND), posterior.log_prob(latents_KND)
    ).numpy()
