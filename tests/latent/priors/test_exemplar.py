"""The prior of a few thousand posteriors."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from textvae.latent.priors import ExemplarPrior, MixturePrior, load_prior
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.storage.errors import CorruptFileError

DIM = 3


def ring(n=3000, seed=0):
    """Means on a circle, which one Gaussian fills."""
    angles = 2 * torch.pi * torch.rand(n, generator=torch.Generator().manual_seed(seed))
    mean = torch.stack([angles.cos() * 5, angles.sin() * 5, torch.zeros(n)], 1)
    return DiagonalGaussian(mean, torch.full_like(mean, -2.0))


def test_draws_lie_where_the_texts_lie_and_not_in_the_hole():
    prior = ExemplarPrior.fit(ring(), 500)
    radii = np.linalg.norm(prior.sample(2000, seed=0)[:, :2], axis=1)
    assert (np.abs(radii - 5) < 0.6).mean() > 0.99
    blurred = np.linalg.norm(MixturePrior.fit(ring(), 1).sample(2000, seed=0)[:, :2], axis=1)
    assert (np.abs(blurred - 5) < 0.6).mean() < 0.5


def test_the_density_is_that_of_the_mixture():
    prior = ExemplarPrior.fit(ring(40), 7)
    points = prior.sample(20, seed=1)
    parts = [
        multivariate_normal(mean * prior.scale.astype(float), np.diag(prior.width.astype(float) ** 2)).pdf(points)
        for mean in prior.means
    ]
    np.testing.assert_allclose(prior.log_prob(points), np.log(np.mean(parts, 0)), rtol=1e-4)


def test_its_moments_are_those_of_its_draws():
    prior = ExemplarPrior.fit(ring(), 400)
    drawn = prior.sample(100_000, seed=0)
    mean, covariance = prior.moments()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.2)


def test_a_saved_one_is_the_same_and_a_damaged_one_is_refused(tmp_path):
    prior = ExemplarPrior.fit(ring(100))
    path = tmp_path / "prior.safetensors"
    prior.save(path)
    loaded = load_prior(path, DIM)
    assert isinstance(loaded, ExemplarPrior) and len(loaded.means) == 100
    assert np.array_equal(loaded.sample(5, seed=3), prior.sample(5, seed=3))
    for field, wrong in (("width", -prior.width), ("scale", prior.scale[:2]), ("means", prior.means.astype(np.int32))):
        ExemplarPrior(**(prior.state() | {field: wrong})).save(path)
        with pytest.raises(CorruptFileError, match="is no prior"):
            load_prior(path, DIM)


@pytest.mark.parametrize(("components", "steps"), [(0, None), (101, None), (5, 10)])
def test_numbers_that_do_not_fit_are_refused(components, steps):
    with pytest.raises(ValueError, match=r"\d"):
        ExemplarPrior.fit(ring(100), components, steps=steps)
