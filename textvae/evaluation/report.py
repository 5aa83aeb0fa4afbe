"""Evaluation of a model on held-out text: likelihood, reconstruction, samples and latent space."""

# N texts, D latent dimensions, K importance samples
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..latent import geometry
from ..latent.collapse import active_units
from ..latent.vae import MOST_TEXTS, TextVAE
from ..modeling.gaussian import DiagonalGaussian
from ..storage.errors import check_range
from ..text.cleaning import gate_texts, normalised
from ..text.tokenizers import readable
from . import disentanglement
from .fluency import OutsideLM, SentenceLM, word_perplexity
from .latent_shape import measure_geometry, neighbours, smoothness
from .text_scores import bleu, distinct, duplicates, edit_distance, self_bleu, within_length

PATH_LENGTH = 7  # texts of an interpolation, including its ends


@dataclass(frozen=True)
class EvalReport:
    """Measurements of one model on one set of texts; likelihoods in nats per sentence.

    Attributes:
        texts: Number of texts N.
        nll: Importance-weighted negative log-likelihood.
        num_samples: Importance samples K of the nll.
        negative_elbo: reconstruction + kl, an upper bound of the nll.
        word_perplexity: exp(total nats / total whitespace words, one end per sentence counted).
        reconstruction: -log p(x|z) with one z drawn from the posterior.
        kl: KL(q(z|x) || N(0, I)).
        mutual_information: Mutual information of text and latent under the encoder, estimated over the N texts.
        mutual_information_cap: ln N, the maximum of that estimate.
        active_fraction: Share of dimensions whose posterior mean has a variance above 0.01.
        recon_bleu: BLEU of reconstructions from the posterior mean, on whitespace words; None without sacrebleu.
        exact_match: Share of texts reconstructed exactly.
        edit_distance: Mean word-level Levenshtein distance of reconstructions, relative to the longer text.
        prior: "fitted" if the samples come from a prior fitted to latents, "standard" if from N(0, I).
        prior_samples: Number of samples drawn from the prior.
        duplicates: Share of the samples that repeat an earlier one.
        distinct_1: Number of distinct words in the samples over the number of words.
        distinct_2: The same for word bigrams.
        self_bleu: Mean BLEU of each of the first 200 samples against the others of them; None without sacrebleu.
        dim_means: Mean of each dimension of the aggregate posterior; 0 for the prior. Not printed in the table.
        dim_variances: Variance of each dimension; 1 for the prior. Not printed in the table.
        largest_mean: Largest absolute mean of any dimension.
        smallest_variance: Smallest variance of any dimension.
        largest_variance: Largest variance of any dimension.
        mmd: Squared maximum mean discrepancy between aggregate posterior and N(0, I), inverse multiquadric kernels.
        effective_dims: Participation ratio of the covariance of the means; D if it is isotropic.
        smoothness: Mean d(ends) / sum of d(neighbours) of interpolations, with word edit distances.
        text_perplexity: Word perplexity of the texts under the outside LM; this and the next 3 are None without one.
        sample_perplexity: Word perplexity of the prior samples under the outside LM.
        sample_ppl_ratio: sample_perplexity / text_perplexity.
        interpolation_ratio: Nats per word of the interpolated texts over those of the ends of the paths.
        reverse_perplexity: Word perplexity of the texts under a small LM trained on the samples; None unless requested.
        mig: Mutual information gap of the factors, 0 to 1; it and the following are None without factors.
        mig_std: Its standard deviation over resamples.
        dci_disentanglement: 1 if every dimension is important for one factor only.
        dci_completeness: 1 if every factor is predicted from one dimension only.
        dci_informativeness: Accuracy of predicting the factors from the latents.
        z_diff: Accuracy of the beta-VAE metric; None with a single factor.
        z_min_var: Accuracy of the FactorVAE metric; None with a single factor.
    """

    texts: int
    nll: float
    num_samples: int
    negative_elbo: float
    word_perplexity: float
    reconstruction: float
    kl: float
    mutual_information: float
    mutual_information_cap: float
    active_fraction: float
    recon_bleu: float | None
    exact_match: float
    edit_distance: float
    prior: str
    prior_samples: int
    duplicates: float
    distinct_1: float
    distinct_2: float
    self_bleu: float | None
    dim_means: list[float]
    dim_variances: list[float]
    largest_mean: float
    smallest_variance: float
    largest_variance: float
    mmd: float
    effective_dims: float
    smoothness: float
    text_perplexity: float | None = None
    sample_perplexity: float | None = None
    sample_ppl_ratio: float | None = None
    interpolation_ratio: float | None = None
    reverse_perplexity: float | None = None
    mig: float | None = None
    mig_std: float | None = None
    dci_disentanglement: float | None = None
    dci_completeness: float | None = None
    dci_informativeness: float | None = None
    z_diff: float | None = None
    z_min_var: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        width = max(len(field.name) for field in dataclasses.fields(self))
        measured = {k: v for k, v in self.to_dict().items() if v is not None and not isinstance(v, list)}
        return "\n".join(f"{name:{width}}  {_show(value)}" for name, value in measured.items())


def evaluate(
    vae: TextVAE,
    texts: Sequence[str],
    *,
    num_samples: int = 128,
    n_prior: int = 1000,
    n_paths: int = 100,
    lm: str | None = None,
    reverse: bool = False,
    prior: Literal["fitted", "standard"] = "fitted",
    guidance: float | None = None,
    factors: ArrayLike | None = None,
    seed: int = 0,
) -> EvalReport:
    """Measure a model on held-out texts.

    Args:
        vae: The model.
        texts: N held-out texts, at least 2; each is cut to the model's maximum length.
        num_samples: Importance samples K per text.
        n_prior: Number of samples from the prior.
        n_paths: Number of interpolations, between random pairs of the texts.
        lm: Folder or hub id of a causal LM to score fluency with.
        reverse: Train a small LM on the prior samples and score the texts with it; use n_prior=10000 for this.
        prior: Where the samples come from; "fitted" is N(0, I) for a model without a fitted prior.
        guidance: Guidance of the samples, as in `TextVAE.sample`.
        factors: Known factors of the texts as small integers, shape (N, F), negative where unknown; adds the
            disentanglement scores.
        seed: Seed of all random numbers.

    Raises:
        ValueError: There are fewer than 2 texts, no samples or paths are requested, or factors do not match the texts.
    """
    read = [normalised(text, vae.model.config.text_normalization) for text in gate_texts(texts)]
    texts = within_length(vae, readable(vae.tokenizer, read))  # what a perfect reconstruction is
    if len(texts) < 2:
        raise ValueError(f"evaluation needs at least 2 texts, got {len(texts) or 'none'}")
    if min(num_samples, n_prior, n_paths) < 1:
        raise ValueError(f"num_samples, n_prior and n_paths must be at least 1, got {num_samples, n_prior, n_paths}")
    for name, value in (("num_samples", num_samples), ("n_prior", n_prior), ("n_paths", n_paths)):
        check_range(name, value, 1, MOST_TEXTS)
    outside = OutsideLM(lm) if lm else None  # first, so that a wrong name fails early
    reading = vae.read(texts)
    posterior = reading.meaning
    scores = {} if factors is None else disentanglement_scores(posterior.mean.numpy(), factors, seed=seed)
    nll = -vae.log_likelihood(texts, num_samples=num_samples, seed=seed)
    written = vae.decode(reading.mean)
    samples = vae.sample(n_prior, seed=seed, prior=prior, guidance=guidance)
    means = posterior.mean.numpy()
    pairs = neighbours(len(texts), n_paths, seed)
    points = np.concatenate([geometry.path(means[a], means[b], PATH_LENGTH) for a, b in pairs])
    along = vae.decode(points)
    paths = [along[i : i + PATH_LENGTH] for i in range(0, len(along), PATH_LENGTH)]
    reconstruction = float(vae.nats(texts, reading.sample(seed)).mean())
    kl = float(reading.flat().kl().sum(-1).mean())
    fluency = _fluency(outside, texts, samples, paths) if outside else {}
    if reverse:
        judge = SentenceLM(vae.tokenizer, seed=seed, max_length=vae.model.config.max_length).fit(samples)
        fluency["reverse_perplexity"] = word_perplexity(judge.nats(texts), texts)
    return EvalReport(
        texts=len(texts),
        nll=float(nll.mean()),
        num_samples=num_samples,
        negative_elbo=reconstruction + kl,
        word_perplexity=word_perplexity(nll, texts),
        reconstruction=reconstruction,
        kl=kl,
        mutual_information=mutual_information(posterior, seed=seed),
        mutual_information_cap=math.log(len(texts)),
        active_fraction=float(active_units(posterior.mean).float().mean()),
        recon_bleu=bleu(written, texts),
        exact_match=sum(a == b for a, b in zip(written, texts, strict=True)) / len(texts),
        edit_distance=float(np.mean([edit_distance(a, b) for a, b in zip(written, texts, strict=True)])),
        prior="standard" if vae.prior.kind == "standard" else prior,
        prior_samples=n_prior,
        duplicates=duplicates(samples),
        distinct_1=distinct(samples, 1),
        distinct_2=distinct(samples, 2),
        self_bleu=self_bleu(samples),
        smoothness=float(np.mean([smoothness(path) for path in paths])),
        **measure_geometry(posterior, seed=seed),
        **(fluency | scores),  # type: ignore[arg-type]
    )


def disentanglement_scores(latents: ArrayLike, factors: ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Return the disentanglement scores by their names in `EvalReport`; `z_diff` and `z_min_var` need two factors.

    Args:
        latents: Posterior means, shape (N, D).
        factors: Small integers, shape (N, F), negative where unknown.
        seed: Seed of all random numbers.
    """
    latents_ND, factors_NF = np.asarray(latents), np.asarray(factors)
    gap = disentanglement.mutual_information_gap(latents_ND, factors_NF, seed=seed)
    scores = {"mig": gap.mean, "mig_std": gap.std}
    for name, value in dataclasses.asdict(disentanglement.dci(latents_ND, factors_NF, seed=seed)).items():
        scores[f"dci_{name}"] = value
    if factors_NF.shape[1] > 1:  # these classify which factor is shared, so they need several
        scores["z_diff"] = disentanglement.z_diff(latents_ND, factors_NF, seed=seed).mean
        scores["z_min_var"] = disentanglement.z_min_var(latents_ND, factors_NF, seed=seed).mean
    return scores


def _fluency(
    judge: OutsideLM, texts: Sequence[str], samples: Sequence[str], paths: Sequence[Sequence[str]]
) -> dict[str, float]:
    real = word_perplexity(judge.nats(texts), texts)
    drawn = word_perplexity(judge.nats(samples), samples)
    ends = [text for path in paths for text in (path[0], path[-1])]
    between = [text for path in paths for text in path[1:-1]]
    per_word = [math.log(word_perplexity(judge.nats(chosen), chosen)) for chosen in (between, ends)]
    return {
        "text_perplexity": real,
        "sample_perplexity": drawn,
        "sample_ppl_ratio": drawn / real,
        "interpolation_ratio": per_word[0] / per_word[1],
    }


def mutual_information(posterior: DiagonalGaussian, *, seed: int = 0) -> float:
    """Return I(x; z) under q in nats, with q(z) the mixture of the N posteriors (Hoffman & Johnson 2016).

    The estimate is at most ln N.
    """
    latents_ND = posterior.sample(generator=torch.Generator().manual_seed(seed))
    log_aggregate = torch.cat(
        [torch.logsumexp(posterior.log_prob(rows[:, None]), 1) for rows in latents_ND.split(64)]
    ) - math.log(len(posterior))
    return float((posterior.log_prob(latents_ND) - log_aggregate).mean())


def _show(value: float | int | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
