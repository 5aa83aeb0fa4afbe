"""The prior that is fitted to latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from textvae import TextVAE
from textvae.latent.priors import LatentPrior
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.storage.errors import CorruptFileError

DIM = 4


def posterior(n=4000, seed=0):
    """Correlated means away from 0, and posteriors of different widths."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(1))
    mean = torch.randn(n, DIM, generator=generator) @ mix + 2
    return DiagonalGaussian(mean, torch.full_like(mean, -1.0))


def test_a_gaussian_prior_has_the_moments_of_the_aggregate_posterior():
    aggregate = posterior()
    prior = LatentPrior.fit(aggregate)
    drawn = prior.sample(200_000, seed=0)
    wanted = aggregate.sample(generator=torch.Generator().manual_seed(9)).numpy()
    np.testing.assert_allclose(drawn.mean(0), wanted.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(wanted.T), atol=0.15)


def test_the_density_is_that_of_scipy():
    prior = LatentPrior.fit(posterior())
    points = prior.sample(50, seed=1)
    covariance = prior.factors[0].astype(float) @ prior.factors[0].T.astype(float)
    expected = multivariate_normal(prior.means[0], covariance).logpdf(points)
    np.testing.assert_allclose(prior.log_prob(points), expected, rtol=1e-5)


def test_a_mixture_finds_clusters_that_one_gaussian_blurs():
    pytest.importorskip("sklearn")
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (3000, 1), generator=generator) * 2 - 1
    clusters = DiagonalGaussian(5.0 * signs.expand(-1, DIM), torch.full((3000, DIM), -0.5))
    one, two = (LatentPrior.fit(clusters, components) for components in (1, 2))
    fresh = clusters.sample(generator=generator).numpy()
    assert two.log_prob(fresh).mean() > one.log_prob(fresh).mean() + 0.5
    drawn = two.sample(2000, seed=0)
    assert (np.abs(drawn.mean(1)) > 3).mean() > 0.99  # none in the gap
    assert (np.abs(one.sample(2000, seed=0).mean(1)) < 3).mean() > 0.2


@pytest.mark.parametrize("components", [1, 3])
def test_a_saved_prior_is_the_same(tmp_path, components):
    if components > 1:
        pytest.importorskip("sklearn")
    prior = LatentPrior.fit(posterior(500), components)
    prior.save(tmp_path / "prior.safetensors")
    loaded = LatentPrior.load(tmp_path / "prior.safetensors")
    assert np.array_equal(loaded.sample(9, seed=4), prior.sample(9, seed=4))
    assert not np.array_equal(loaded.sample(9, seed=4), prior.sample(9, seed=5))
    assert np.array_equal(loaded.log_prob(prior.means), prior.log_prob(prior.means))


def test_dimensions_that_do_not_vary_are_no_obstacle():
    means = torch.zeros(10, DIM)
    prior = LatentPrior.fit(DiagonalGaussian(means, torch.full_like(means, -20)))
    assert np.isfinite(prior.sample(5, seed=0)).all() and np.isfinite(prior.log_prob(np.zeros((1, DIM)))).all()


@pytest.mark.parametrize("content", [b"", b"no safetensors"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "prior.safetensors").write_bytes(content)
    with pytest.raises(CorruptFileError, match="is no prior"):
        LatentPrior.load(tmp_path / "prior.safetensors")


@pytest.mark.parametrize("components", [0, -3])
def test_a_mixture_of_nothing_is_refused(components):
    with pytest.raises(ValueError, match="components must be at least 1"):
        LatentPrior.fit(posterior(9), components)


@pytest.mark.parametrize(("texts", "components"), [(1, 1), (2, 3)])
def test_too_few_texts_are_refused(texts, components):
    with pytest.raises(ValueError, match=f"at least .* texts, got {texts}"):
        LatentPrior.fit(posterior(texts), components)


def test_samples_come_from_the_fitted_prior_unless_told_otherwise(small_vae, sentences, tmp_path):
    small_vae.save_pretrained(tmp_path / "run")
    vae = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    before = vae.sample(5, seed=0)
    prior = vae.fit_prior(sentences)
    assert vae.sample(5, seed=0) == vae.decode(prior.sample(5, seed=0))
    assert vae.sample(5, seed=0, prior="standard") == before
    vae.save_pretrained(tmp_path / "other")
    assert TextVAE.from_pretrained(tmp_path / "other", device="cpu").sample(5, seed=0) == vae.sample(5, seed=0)
    with pytest.raises(ValueError, match="prior must be 'fitted' or 'standard'"):
        vae.sample(1, prior="uniform")


@pytest.mark.parametrize(("texts", "components"), [(7, 1), (511, 1), (512, 2), (30_000, 20)])
def test_the_prior_has_as_many_gaussians_as_the_texts_allow(small_vae, monkeypatch, texts, components):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)  # 32 dimensions
    asked = []
    monkeypatch.setattr(vae, "posterior", lambda texts: None)
    monkeypatch.setattr(LatentPrior, "fit", lambda posterior, components, seed: asked.append(components))
    vae.fit_prior(["a"] * texts)
    vae.fit_prior(["a"] * texts, 3)
    assert asked == [components, 3]
