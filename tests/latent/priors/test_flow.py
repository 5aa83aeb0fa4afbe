"""The flow prior, against a density that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy.stats import multivariate_normal

from textvae import TextVAE
from textvae.latent.priors import FlowPrior, MixturePrior, load_prior
from textvae.latent.priors import flow as module
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.storage.errors import CorruptFileError

CENTRES, SHARES = np.array([[3.0, 1.0], [-2.0, 0.0]]), (0.3, 0.7)
STD = np.array([0.5, 0.8])  # of each mode, the posterior's own included
POSTERIOR_STD = 0.3


def two_modes(n=4000):
    """Posteriors whose draws have the density of `true_log_prob`."""
    generator = np.random.default_rng(0)
    within = np.sqrt(STD**2 - POSTERIOR_STD**2) * generator.standard_normal((n, 2))
    mean = torch.tensor(CENTRES[generator.choice(2, n, p=SHARES)] + within, dtype=torch.float32)
    return DiagonalGaussian(mean, torch.full_like(mean, np.log(POSTERIOR_STD)))


def true_log_prob(points):
    parts = [np.log(s) + multivariate_normal(c, np.diag(STD**2)).logpdf(points) for s, c in zip(SHARES, CENTRES)]  # noqa: B905
    return np.logaddexp(*parts)


@pytest.fixture(scope="module")
def flow():
    return FlowPrior.fit(two_modes(), seed=0, steps=250)


def test_draws_have_the_moments_and_the_modes_of_the_latents(flow):
    drawn = flow.sample(4000, seed=0)
    wanted = two_modes().sample(generator=torch.Generator().manual_seed(9)).numpy()
    np.testing.assert_allclose(drawn.mean(0), wanted.mean(0), atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(wanted.T), atol=0.4)
    assert (drawn[:, 0] > 0.5).mean() == pytest.approx(SHARES[0], abs=0.05)

    def in_the_gap(points):
        return ((points[:, 0] > -0.4) & (points[:, 0] < 1.4)).mean()

    gaussian = FlowPrior.fit(two_modes(), steps=0).sample(4000, seed=0)
    assert in_the_gap(drawn) < 0.03 and in_the_gap(gaussian) > 0.2


def test_the_density_sums_to_1_and_is_that_of_the_latents(flow):
    axes = np.linspace(-5, 6, 45), np.linspace(-4, 5, 37)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    log_density = flow.log_prob(grid)
    assert np.exp(log_density).sum() * cell == pytest.approx(1, abs=0.02)

    def missed(log_density):  # 0 if equal, 2 if apart
        return np.abs(np.exp(log_density) - np.exp(true_log_prob(grid))).sum() * cell

    assert missed(log_density) < 0.5 * missed(MixturePrior.fit(two_modes(), 1).log_prob(grid))


def test_an_untrained_flow_is_the_gaussian_of_the_latents_moments():
    mix = torch.randn(20, 20, generator=torch.Generator().manual_seed(1))
    mean = torch.randn(500, 20, generator=torch.Generator().manual_seed(0)) @ mix + 2
    prior = FlowPrior.fit(DiagonalGaussian(mean, torch.full_like(mean, -1.0)), steps=0)
    centre, covariance = prior.moments()
    np.testing.assert_allclose(centre, mean.mean(0), atol=1e-4)
    expected = np.cov(mean.numpy(), rowvar=False, bias=True) + np.exp(-2.0) * np.eye(20)
    np.testing.assert_allclose(covariance, expected, atol=1e-3 * np.abs(expected).max())
    points = prior.sample(20, seed=3)
    np.testing.assert_allclose(
        prior.log_prob(points), multivariate_normal(centre, covariance).logpdf(points), rtol=1e-3
    )
    drawn = prior.sample(4000, seed=0)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), covariance, atol=0.12 * covariance.max())


def test_the_estimated_trace_agrees_with_the_exact_one(flow, monkeypatch):
    points = flow.sample(20, seed=1)
    exact = flow.log_prob(points)
    monkeypatch.setattr(module, "EXACT_TRACE", 1)
    monkeypatch.setattr(module, "PROBES", 16)
    np.testing.assert_allclose(flow.log_prob(points), exact, atol=0.4)
    assert not np.array_equal(flow.log_prob(points), exact)


def test_the_same_seed_gives_the_same_flow_and_the_same_draws():
    state = torch.random.get_rng_state()
    first, second, other = (FlowPrior.fit(two_modes(50), seed=seed, steps=3) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    for name, array in first.state().items():
        assert np.array_equal(array, second.state()[name]), name
    assert not np.array_equal(first.state()["network.out.weight"], other.state()["network.out.weight"])
    assert np.array_equal(first.sample(5, seed=4), second.sample(5, seed=4))
    assert not np.array_equal(first.sample(5, seed=4), first.sample(5, seed=5))


def test_draws_do_not_depend_on_how_many_are_carried_together(flow, monkeypatch):
    whole = flow.sample(50, seed=2)
    monkeypatch.setattr(module, "ROWS", 7)
    np.testing.assert_allclose(flow.sample(50, seed=2), whole, atol=1e-4)


def test_a_saved_flow_is_the_same_bit_for_bit(flow, tmp_path):
    flow.save(tmp_path / "prior.safetensors")
    state = torch.random.get_rng_state()
    loaded = load_prior(tmp_path / "prior.safetensors")
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(loaded, FlowPrior)
    assert loaded.state().keys() == flow.state().keys()
    for name, array in flow.state().items():
        assert np.array_equal(array, loaded.state()[name]), name
    points = flow.sample(9, seed=4)
    assert np.array_equal(loaded.sample(9, seed=4), points)
    assert np.array_equal(loaded.log_prob(points), flow.log_prob(points))


def damaged(name, change):
    return lambda arrays: arrays | {name: change(arrays[name])}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged("network.out.bias", lambda a: a[:-1]), "other weights than one of 2 dimensions"),
        (damaged("network.out.bias", lambda a: a * np.nan), "not finite"),
        (damaged("axes", lambda a: a[:1]), "it holds"),
        (damaged("deviation", lambda a: -a), "not positive"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "network.time.weight"}, "other weights"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "mean"}, "it holds"),
        (lambda arrays: arrays | {"network.more": arrays["mean"]}, "other weights"),
    ],
    ids=["shape", "nan", "axes", "deviation", "missing", "no mean", "more"],
)
def test_a_damaged_flow_is_refused_with_the_name_of_its_file(flow, tmp_path, damage, message):
    file = tmp_path / "prior.safetensors"
    flow.save(file)
    save_file(damage(load_file(file)), file, metadata={"kind": "flow"})
    with pytest.raises(CorruptFileError, match=f"{file} is no prior .*{message}"):
        load_prior(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 2}, "has no components, got components=2"),
        ({"steps": -1}, "steps must not be negative, got -1"),
        ({"texts": 1}, "needs at least 2 texts, got 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FlowPrior.fit(two_modes(options.pop("texts", 9)), **options)


def test_dimensions_that_do_not_vary_are_no_obstacle():
    mean = torch.zeros(10, 3)
    prior = FlowPrior.fit(DiagonalGaussian(mean, torch.full_like(mean, -20)), steps=2)
    assert np.isfinite(prior.sample(5, seed=0)).all() and np.isfinite(prior.log_prob(np.zeros((1, 3)))).all()


@pytest.mark.parametrize("dim", [1, 32])
def test_a_flow_has_the_dimensions_of_its_latents(dim):
    mean = torch.randn(40, dim, generator=torch.Generator().manual_seed(0))
    prior = FlowPrior.fit(DiagonalGaussian(mean, torch.full_like(mean, -2.0)), steps=2)
    assert prior.sample(3, seed=0).shape == (3, dim) and prior.sample(0).shape == (0, dim)
    assert prior.log_prob(prior.sample(3, seed=0)).shape == (3,)


def test_a_flow_at_384_dimensions_has_about_5_million_weights():
    assert 4e6 < sum(weight.numel() for weight in module.Denoiser(384).parameters()) < 6e6


def test_texts_are_sampled_from_a_flow_that_was_fitted_and_saved(small_vae, sentences, tmp_path):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    prior = vae.fit_prior(sentences, kind="flow", steps=3, seed=1)
    assert isinstance(vae.prior, FlowPrior)
    assert vae.sample(5, seed=0) == vae.decode(prior.sample(5, seed=0))
    vae.save_pretrained(tmp_path / "run")
    assert TextVAE.from_pretrained(tmp_path / "run", device="cpu").sample(5, seed=0) == vae.sample(5, seed=0)


@pytest.mark.parametrize("kind", ["mixture", "standard"])
def test_steps_are_refused_where_nothing_is_trained(small_vae, sentences, kind):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    with pytest.raises(ValueError, match=f"the {kind} prior is not trained.*got steps=5: leave it out"):
        vae.fit_prior(sentences, kind=kind, steps=5)
