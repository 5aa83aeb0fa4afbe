"""The prior that is fitted to latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.stats import multivariate_normal

from textvae import TextVAE
from textvae.latent import priors
from textvae.latent.priors import MixturePrior, Prior, StandardNormal, load_prior, register_prior
from textvae.latent.priors.mixture import default_components
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
    prior = MixturePrior.fit(aggregate, 1)
    drawn = prior.sample(200_000, seed=0)
    wanted = aggregate.sample(generator=torch.Generator().manual_seed(9)).numpy()
    np.testing.assert_allclose(drawn.mean(0), wanted.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(wanted.T), atol=0.15)


def test_the_density_is_that_of_scipy():
    prior = MixturePrior.fit(posterior(), 1)
    points = prior.sample(50, seed=1)
    covariance = prior.factors[0].astype(float) @ prior.factors[0].T.astype(float)
    expected = multivariate_normal(prior.means[0], covariance).logpdf(points)
    np.testing.assert_allclose(prior.log_prob(points), expected, rtol=1e-5)


def test_a_mixture_finds_clusters_that_one_gaussian_blurs():
    pytest.importorskip("sklearn")
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (3000, 1), generator=generator) * 2 - 1
    clusters = DiagonalGaussian(5.0 * signs.expand(-1, DIM), torch.full((3000, DIM), -0.5))
    one, two = (MixturePrior.fit(clusters, components) for components in (1, 2))
    fresh = clusters.sample(generator=generator).numpy()
    assert two.log_prob(fresh).mean() > one.log_prob(fresh).mean() + 0.5
    drawn = two.sample(2000, seed=0)
    assert (np.abs(drawn.mean(1)) > 3).mean() > 0.99  # none in the gap
    assert (np.abs(one.sample(2000, seed=0).mean(1)) < 3).mean() > 0.2


@pytest.mark.parametrize("components", [1, 3])
def test_a_saved_prior_is_the_same(tmp_path, components):
    if components > 1:
        pytest.importorskip("sklearn")
    prior = MixturePrior.fit(posterior(500), components)
    prior.save(tmp_path / "prior.safetensors")
    loaded = load_prior(tmp_path / "prior.safetensors")
    assert np.array_equal(loaded.sample(9, seed=4), prior.sample(9, seed=4))
    assert not np.array_equal(loaded.sample(9, seed=4), prior.sample(9, seed=5))
    assert np.array_equal(loaded.log_prob(prior.means), prior.log_prob(prior.means))


def test_dimensions_that_do_not_vary_are_no_obstacle():
    means = torch.zeros(10, DIM)
    prior = MixturePrior.fit(DiagonalGaussian(means, torch.full_like(means, -20)))
    assert np.isfinite(prior.sample(5, seed=0)).all() and np.isfinite(prior.log_prob(np.zeros((1, DIM)))).all()


@pytest.mark.parametrize("content", [b"", b"no safetensors"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "prior.safetensors").write_bytes(content)
    with pytest.raises(CorruptFileError, match="prior.safetensors (is no prior|says that its header has)"):
        load_prior(tmp_path / "prior.safetensors")


@pytest.mark.parametrize("components", [0, -3])
def test_a_mixture_of_nothing_is_refused(components):
    with pytest.raises(ValueError, match="components must be at least 1"):
        MixturePrior.fit(posterior(9), components)


@pytest.mark.parametrize(("texts", "components"), [(1, 1), (2, 3)])
def test_too_few_texts_are_refused(texts, components):
    with pytest.raises(ValueError, match=f"at least .* texts, got {texts}"):
        MixturePrior.fit(posterior(texts), components)


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
def test_the_prior_has_as_many_gaussians_as_the_texts_allow(texts, components):
    assert default_components(texts, 32) == components


def test_the_number_of_gaussians_follows_the_texts_unless_it_is_given(small_vae, sentences):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    assert len(vae.fit_prior(sentences).weights) == default_components(len(sentences), vae.dim)
    assert len(vae.fit_prior(sentences, 3).weights) == 3


def test_the_standard_normal_is_that_of_scipy_and_has_no_file(small_vae, tmp_path):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    prior = vae.prior
    assert prior == StandardNormal(vae.dim)
    points = 2 * prior.sample(40, seed=1)
    expected = multivariate_normal(np.zeros(vae.dim)).logpdf(points)
    np.testing.assert_allclose(prior.log_prob(points), expected, rtol=1e-6)
    np.testing.assert_allclose(prior.distance(points), np.sqrt((points**2).sum(1)), rtol=1e-6)
    vae.save_pretrained(tmp_path / "run")
    assert not (tmp_path / "run/prior.safetensors").exists()
    assert TextVAE.from_pretrained(tmp_path / "run", device="cpu").prior == prior


@pytest.mark.parametrize("components", [1, 3])
def test_the_moments_of_a_mixture_are_those_of_its_draws(components):
    prior = MixturePrior.fit(posterior(), components)
    for known, drawn in zip(prior.moments(), Prior.moments(prior), strict=True):
        np.testing.assert_allclose(known, drawn, atol=0.12)


def test_the_distance_from_one_gaussian_is_that_of_its_moments():
    prior = MixturePrior.fit(posterior(), 1)
    points = prior.sample(20, seed=3)
    np.testing.assert_allclose(Prior.distance(prior, points), prior.distance(points), rtol=0.05)


def test_the_file_of_an_older_run_which_names_no_kind_is_a_mixture(tmp_path):
    prior = MixturePrior.fit(posterior(200))
    save_file(prior.state(), tmp_path / "older.safetensors")
    loaded = load_prior(tmp_path / "older.safetensors")
    assert isinstance(loaded, MixturePrior)
    assert np.array_equal(loaded.sample(5, seed=0), prior.sample(5, seed=0))


def test_a_registered_prior_is_fitted_saved_and_loaded(small_vae, sentences, tmp_path, monkeypatch):
    monkeypatch.setattr(priors.base, "_PRIORS", dict(priors.base._PRIORS))

    @register_prior("kernel")
    class Kernel(Prior):
        def __init__(self, centres):
            self.centres = centres

        @classmethod
        def fit(cls, posterior, components=None, seed=0):
            return cls(posterior.mean.numpy())

        def sample(self, n, seed=None):
            return self.centres[np.random.default_rng(seed).integers(len(self.centres), size=n)]

        def log_prob(self, latents):
            return np.zeros(len(latents))

        def state(self):
            return {"centres": self.centres}

        @classmethod
        def from_state(cls, arrays):
            return cls(arrays["centres"])

    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    assert isinstance(vae.fit_prior(sentences, kind="kernel"), Kernel)
    vae.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    assert isinstance(loaded.prior, Kernel)
    assert loaded.sample(4, seed=0) == vae.sample(4, seed=0)
    del priors.base._PRIORS["kernel"]
    with pytest.raises(ValueError, match="unknown prior 'kernel': use exemplar, flow, mixture, standard, or import"):
        TextVAE.from_pretrained(tmp_path / "run", device="cpu")


@pytest.mark.parametrize("arrays", [{"means": np.ones((1, 4))}, {}])
def test_a_file_with_other_arrays_is_refused(tmp_path, arrays):
    save_file(arrays, tmp_path / "prior.safetensors")
    with pytest.raises(CorruptFileError, match="is no prior .it holds"):
        load_prior(tmp_path / "prior.safetensors")


@pytest.mark.parametrize("name", ["weights", "means", "factors"])
def test_whole_numbers_are_no_mixture(tmp_path, name):
    state = MixturePrior.fit(posterior(500), 1).state()
    save_file(state | {name: np.ones_like(state[name], np.int32)}, tmp_path / "prior.safetensors")
    with pytest.raises(CorruptFileError, match="floating-point"):
        load_prior(tmp_path / "prior.safetensors")
