"""How unusual single texts are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from textvae import TextVAE
from textvae.evaluation import surprise as novelty_module
from textvae.evaluation.surprise import novelty
from textvae.latent.priors import MixturePrior
from textvae.modeling import TextVAEConfig
from textvae.modeling.gaussian import DiagonalGaussian


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)


@pytest.fixture
def with_prior(small_vae, sentences):
    fitted = TextVAE(small_vae.model, small_vae.tokenizer)
    fitted.fit_prior(sentences, components=1)
    return fitted


def parts(scores):
    return scores.nats_per_word, scores.width, scores.distance


@pytest.mark.parametrize("count", [8, 1, 0])
def test_there_is_one_score_of_each_kind_for_each_text(small_vae, sentences, count):
    scores = parts(novelty(small_vae, sentences[:count], num_samples=2))
    assert all(part.shape == (count,) and part.dtype == np.float32 for part in scores)


def test_the_scores_of_a_text_do_not_depend_on_the_texts_beside_it(with_prior, sentences, monkeypatch):
    together = parts(novelty(with_prior, sentences, num_samples=3))
    alone = zip(*(parts(novelty(with_prior, [text], num_samples=3)) for text in sentences), strict=True)
    monkeypatch.setattr(novelty_module, "AT_ONCE", 3)
    backwards = parts(novelty(with_prior, sentences[::-1], num_samples=3))
    for whole, each, reverse in zip(together, alone, backwards, strict=True):
        np.testing.assert_allclose(whole, np.concatenate(each), rtol=1e-4)
        np.testing.assert_allclose(whole, reverse[::-1], rtol=1e-4)


def test_the_nats_are_those_of_the_importance_weighted_bound(small_vae, sentences):
    scores = novelty(small_vae, sentences, num_samples=5, seed=3)
    noise = torch.randn(5, 32, generator=torch.Generator().manual_seed(3))
    for text, nats in zip(sentences, scores.nats_per_word, strict=True):
        posterior = small_vae.posterior([text])
        latents = posterior.mean + posterior.std * noise
        weights = -torch.from_numpy(small_vae.nats([text] * 5, latents)).double()
        weights += torch.distributions.Normal(0, 1).log_prob(latents).sum(1)
        weights -= torch.distributions.Normal(posterior.mean, posterior.std).log_prob(latents).sum(1)
        bound = weights.exp().mean().log().item()
        assert nats == pytest.approx(-bound / (len(text.split()) + 1), rel=1e-4)


def test_a_likely_text_has_fewer_nats_and_a_text_that_is_cut_is_not_likely_for_its_length(sentences):
    vae = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24))
    optimizer = torch.optim.AdamW(vae.model.parameters(), 2e-3)
    rows = vae.encoder_rows([sentences[1]])
    for _ in range(30):
        vae.model.train()
        loss = vae.model(torch.tensor(rows), labels=torch.tensor(rows)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    vae.model.eval()
    known, other, cut = novelty(vae, [sentences[1], sentences[4], " ".join(sentences * 20)]).nats_per_word
    assert known < other / 2
    assert cut > known


def test_the_width_and_the_distance_are_those_of_the_posterior(with_prior, small_vae, sentences):
    posterior = small_vae.posterior(sentences)
    scores = novelty(small_vae, sentences, num_samples=1)
    np.testing.assert_allclose(scores.width, np.log(posterior.std.numpy()).mean(1), rtol=1e-5)
    np.testing.assert_allclose(scores.distance, posterior.mean.norm(dim=1), rtol=1e-5)
    mean, factor = with_prior.prior.means[0].astype(float), with_prior.prior.factors[0].astype(float)
    away = posterior.mean.numpy() - mean
    expected = np.sqrt(np.einsum("nd,de,ne->n", away, np.linalg.inv(factor @ factor.T), away))
    np.testing.assert_allclose(novelty(with_prior, sentences, num_samples=1).distance, expected, rtol=1e-3)


def test_the_distance_from_a_mixture_is_that_from_the_nearest_component():
    factors = np.stack([np.eye(2), 2 * np.eye(2)]).astype(np.float32)
    prior = MixturePrior(np.full(2, 0.5, np.float32), np.array([[0, 0], [10, 0]], np.float32), factors)
    np.testing.assert_allclose(prior.distance(np.array([[0, 3], [10, 3], [0, 0]])), [3, 1.5, 0])
    drawn = MixturePrior.fit(DiagonalGaussian(torch.randn(500, 4), torch.full((500, 4), -1.0)), components=1)
    inside = np.square(drawn.distance(drawn.sample(20_000, seed=0))).mean()
    assert math.isclose(inside, 4, rel_tol=0.05)  # chi-squared


def test_a_seed_decides_the_scores_and_no_global_state_changes(small_vae, sentences):
    state = torch.get_rng_state()
    first = novelty(small_vae, sentences, num_samples=2)
    assert torch.equal(torch.get_rng_state(), state)
    again, other = (novelty(small_vae, sentences, num_samples=2, seed=seed) for seed in (0, 1))
    assert np.array_equal(first.nats_per_word, again.nats_per_word)
    assert not np.array_equal(first.nats_per_word, other.nats_per_word)


def test_what_cannot_be_scored_is_refused(small_vae):
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        novelty(small_vae, ["a"], num_samples=0)
    with pytest.raises(TypeError, match="expected a list of strings, got a str"):
        novelty(small_vae, "a")


def test_slots_and_latent_dropout_leave_the_likelihood_to_the_decoder(sentences):
    split = {"latent_dim": 24, "slot_dim": 16, "unit_mean": True, "latent_dropout": 0.1}
    vae = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24, **split))
    found = novelty(vae, sentences[:3]).nats_per_word
    nats = vae.nats(sentences[:3], np.zeros((3, 24), np.float32))
    np.testing.assert_allclose(found, nats / [len(text.split()) + 1 for text in sentences[:3]], rtol=1e-5)
