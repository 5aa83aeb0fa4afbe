"""How unusual single texts are to a model: unlikely, narrow in latent space, or far from other latents."""

# N texts, K importance samples, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..latent.embeddings import batches
from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.likelihood import importance_weighted_bound
from ..text.cleaning import gate_texts
from .text_scores import within_length

AT_ONCE = 1024  # texts whose samples are in memory together


@dataclass(frozen=True)
class Novelty:
    """Three scores of each of N texts, float32, shape (N,).

    The nats tell texts of another kind or in another word order best. Texts of another kind also tend to have a narrow
    posterior: the decoder expects nothing of them, so the latent must say it exactly. The distance says least.

    Attributes:
        nats_per_word: -log p(x), estimated by importance weighting, over the whitespace words and one end; more is
            more unusual.
        width: Mean log standard deviation of the posterior; less is more unusual.
        distance: Mahalanobis distance of the posterior mean from the fitted prior, else from N(0, I): in standard
            deviations, about sqrt(D) for a draw from it. With several components, from the nearest. More is more
            unusual.
    """

    nats_per_word: Array
    width: Array
    distance: Array


def novelty(vae: TextVAE, texts: Sequence[str], *, num_samples: int = 16, seed: int = 0) -> Novelty:
    """Score how unusual each text is; its scores do not depend on the texts beside it.

    Args:
        vae: The model.
        texts: N texts; none give empty arrays. Of a model with wording slots the likelihood is that of its decoder
            given the meaning alone.
        num_samples: K, the importance samples of each likelihood; more of them lower the nats towards the true ones.
        seed: Seed of the noise, which is the same for every text, so that it does not blur the comparison.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    texts = gate_texts(texts)
    noise_KD = torch.randn(num_samples, vae.dim, generator=torch.Generator().manual_seed(seed))
    posterior = vae.posterior(texts)
    log_likelihood = np.zeros(len(texts), np.float32)
    for part in batches(len(texts), AT_ONCE, "scored"):
        log_likelihood[part] = _log_likelihood(vae, texts[part], posterior[part], noise_KD)
    words = np.array([len(text.split()) + 1 for text in within_length(vae, texts)], np.float32)
    means = posterior.mean.numpy()
    return Novelty(
        -log_likelihood / words, posterior.log_std.mean(1).numpy(), vae.prior.distance(means).astype(np.float32)
    )


def _log_likelihood(
    vae: TextVAE, texts: Sequence[str], posterior: DiagonalGaussian, noise_KD: torch.Tensor
) -> np.ndarray:
    """Return the estimate of Burda et al. 2016, eq. 8, with the same noise for each text."""
    latents_KND = posterior.mean + posterior.std * noise_KD[:, None]
    nats = vae.nats([*texts] * len(noise_KD), latents_KND.flatten(0, 1), batch_size=256)
    likelihood_KN = -torch.from_numpy(nats).view(len(noise_KD), -1)
    prior = DiagonalGaussian.standard(vae.dim)
    return importance_weighted_bound(
        likelihood_KN, prior.log_prob(latents_KND), posterior.log_prob(latents_KND)
    ).numpy()
