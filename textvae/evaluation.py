"""Evaluation: what a model's latent space is worth on held-out text, in units that compare."""

# N texts, D latent dimensions, K importance samples
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .gate import gate_texts
from .gaussian import DiagonalGaussian
from .objective import active_units
from .text_vae import TextVAE


@dataclass(frozen=True)
class EvalReport:
    """Measurements of one model on one set of texts; likelihoods in nats per sentence.

    Attributes:
        texts: N.
        nll: Importance-weighted negative log-likelihood.
        num_samples: K of the nll.
        word_perplexity: exp(total nats / total whitespace words, one end per sentence counted).
        reconstruction: -log p(x|z) with one z drawn from the posterior.
        kl: KL(q(z|x) || N(0, I)).
        mutual_information: Between text and latent under the encoder, estimated over the N texts.
        mutual_information_cap: ln N, which the estimate cannot exceed.
        active_fraction: Share of dimensions whose posterior mean has a variance above 0.01.
        recon_bleu: BLEU of the reconstruction from the posterior mean, on whitespace words; None without sacrebleu.
        exact_match: Share of texts reconstructed exactly.
        prior_samples: Number of samples drawn from N(0, I).
        duplicates: Share of them that repeat an earlier one.
    """

    texts: int
    nll: float
    num_samples: int
    word_perplexity: float
    reconstruction: float
    kl: float
    mutual_information: float
    mutual_information_cap: float
    active_fraction: float
    recon_bleu: float | None
    exact_match: float
    prior_samples: int
    duplicates: float

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the measurements as plain values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        width = max(len(field.name) for field in dataclasses.fields(self))
        return "\n".join(f"{name:{width}}  {_show(value)}" for name, value in self.to_dict().items())


def evaluate(
    vae: TextVAE, texts: Sequence[str], *, num_samples: int = 128, n_prior: int = 1000, seed: int = 0
) -> EvalReport:
    """Measure a model on held-out texts.

    Args:
        vae: The model.
        texts: N held-out texts, at least 1.
        num_samples: K, importance samples per text.
        n_prior: Samples drawn from the prior for the duplicate rate.
        seed: Seed of everything random.
    """
    texts = gate_texts(texts)
    if not texts:
        raise ValueError("evaluation needs at least 1 text, got none")
    posterior = vae.posterior(texts)
    nll = -vae.log_likelihood(texts, num_samples=num_samples, seed=seed)
    written = vae.decode(posterior.mean.numpy())
    samples = vae.sample(n_prior, seed=seed)
    words = sum(len(text.split()) + 1 for text in texts)
    return EvalReport(
        texts=len(texts),
        nll=float(nll.mean()),
        num_samples=num_samples,
        word_perplexity=float(np.exp(np.float64(nll.sum()) / words)),
        reconstruction=float(vae.reconstruction_nats(texts, posterior, seed=seed).mean()),
        kl=float(posterior.kl().sum(-1).mean()),
        mutual_information=mutual_information(posterior, seed=seed),
        mutual_information_cap=math.log(len(texts)),
        active_fraction=float(active_units(posterior.mean).float().mean()),
        recon_bleu=bleu(written, texts),
        exact_match=sum(a == b for a, b in zip(written, texts, strict=True)) / len(texts),
        prior_samples=n_prior,
        duplicates=1 - len(set(samples)) / n_prior,
    )


def mutual_information(posterior: DiagonalGaussian, *, seed: int = 0) -> float:
    """Return I(x; z) under q in nats, with q(z) the mixture of the N posteriors given (Hoffman & Johnson 2016).

    The estimate is at most ln N.
    """
    latents_ND = posterior.sample(generator=torch.Generator().manual_seed(seed))
    log_aggregate = torch.cat(
        [torch.logsumexp(posterior.log_prob(rows[:, None]), 1) for rows in latents_ND.split(64)]
    ) - math.log(len(posterior))
    return float((posterior.log_prob(latents_ND) - log_aggregate).mean())


def bleu(written: Sequence[str], references: Sequence[str]) -> float | None:
    """Return corpus BLEU on whitespace words, 0 to 100; None without sacrebleu."""
    try:
        import sacrebleu
    except ImportError:
        return None
    return sacrebleu.corpus_bleu(list(written), [list(references)], tokenize="none", force=True).score


def _show(value: float | int | None) -> str:
    if value is None:
        return "needs pip install 'textvae[eval]'"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
