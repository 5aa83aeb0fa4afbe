"""Diagonal Gaussians: the posterior q(z|x), the prior p(z), and the divergence between them."""

# B sentences, D latent dimensions, K samples
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_2PI = math.log(2 * math.pi)
MIN_LOG_STD, MAX_LOG_STD = -7.0, 1.0
INITIAL_LOG_STD = -2.0  # a small initial noise, so that the latent is informative from the first step


def bounded_log_std(raw: Tensor) -> Tensor:
    """Map the output of a layer to log standard deviations within the bounds; 0 maps to about INITIAL_LOG_STD.

    The upper bound is soft, since beyond a hard bound the gradient is zero and values could not return.
    """
    return (MAX_LOG_STD - F.softplus(MAX_LOG_STD - INITIAL_LOG_STD - raw)).clamp(min=MIN_LOG_STD)


@dataclass(frozen=True)
class DiagonalGaussian:
    """Diagonal Gaussians N(mean, diag(exp(log_std)^2)), one per row.

    Attributes:
        mean: Means, shape (..., D).
        log_std: Natural logarithms of the standard deviations, shape (..., D).
    """

    mean: Tensor
    log_std: Tensor

    @classmethod
    def standard(cls, *shape: int) -> DiagonalGaussian:
        """Return the prior N(0, I) of the given shape."""
        return cls(torch.zeros(shape), torch.zeros(shape))

    @property
    def std(self) -> Tensor:
        """Standard deviations, shape (..., D)."""
        return self.log_std.exp()

    @property
    def dim(self) -> int:
        """Number of latent dimensions D."""
        return self.mean.shape[-1]

    def __len__(self) -> int:
        """Return the number of distributions along the first axis."""
        return self.mean.shape[0]

    def __getitem__(self, rows: object) -> DiagonalGaussian:
        """Select distributions along the leading axes."""
        return DiagonalGaussian(self.mean[rows], self.log_std[rows])  # type: ignore[index]

    def sample(self, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw z = mean + std * noise, the reparameterised sample (Kingma & Welling 2014, sec. 2.4).

        Gradients reach mean and log_std. Shape (..., D).
        """
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """Return KL(self || N(0, I)) for each dimension in nats, shape (..., D) (Kingma & Welling 2014, app. B)."""
        return 0.5 * (self.mean.square() + (2 * self.log_std).exp() - 1) - self.log_std

    def log_prob(self, latents: Tensor) -> Tensor:
        """Return the log density of latents (..., D) in nats, summed over dimensions: shape (...)."""
        standardised = (latents - self.mean) * (-self.log_std).exp()
        return -(0.5 * (standardised.square() + LOG_2PI) + self.log_std).sum(-1)
