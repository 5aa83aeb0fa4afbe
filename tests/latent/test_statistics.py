"""Mean and deviation of a corpus' latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from textvae import TextVAE
from textvae.latent.priors import StandardNormal, load_prior
from textvae.latent.reading import Reading
from textvae.latent.statistics import LatentStatistics
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.storage.errors import CorruptFileError


def reading(n=5000):
    """Texts with one or two slots of 3 numbers; what stands in absent slots is to be ignored."""
    generator = torch.Generator().manual_seed(0)
    meaning = DiagonalGaussian(3 * torch.randn(n, 4, generator=generator) + 1, torch.full((n, 4), -1.0))
    slots = DiagonalGaussian(torch.randn(n, 2, 3, generator=generator) - 2, torch.full((n, 2, 3), 0.5))
    states = torch.ones(n, 2)
    states[::2, 1] = -1
    slots.mean[::2, 1] = 1000
    return Reading([[]] * n, meaning, slots, states)


def test_statistics_are_those_of_draws_from_the_posteriors_of_given_slots():
    texts = reading()
    found = LatentStatistics.measure(texts)
    drawn = texts.sample(seed=1)
    slots = drawn.slots[drawn.states == 1]
    np.testing.assert_allclose(found.mean, drawn.meaning.mean(0), atol=0.02)
    np.testing.assert_allclose(found.deviation, drawn.meaning.std(0), rtol=0.02)
    np.testing.assert_allclose(found.slot_mean, slots.mean(0), atol=0.06)
    np.testing.assert_allclose(found.slot_deviation, slots.std(0), rtol=0.02)


@pytest.mark.parametrize("kind", ["mixture", "flow", "standard"])
def test_a_fit_measures_them_and_a_run_keeps_them(small_vae, sentences, tmp_path, kind):
    vae = TextVAE(small_vae.model, small_vae.tokenizer)
    assert vae.latent_statistics is None
    vae.fit_prior(sentences, kind=kind, **({"steps": 1} if kind == "flow" else {}))
    posterior = vae.posterior(sentences)
    expected = np.sqrt(posterior.mean.numpy().var(0) + np.square(posterior.std.numpy()).mean(0))
    np.testing.assert_allclose(vae.latent_statistics.deviation, expected, rtol=1e-5)
    vae.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    for name, array in vae.latent_statistics.arrays().items():
        assert np.array_equal(array, loaded.latent_statistics.arrays()[name]), name
    assert loaded.prior.kind == kind and loaded.sample(3, seed=0) == vae.sample(3, seed=0)


def test_a_prior_without_statistics_is_saved_as_before(tmp_path, small_vae, sentences):
    prior = type(TextVAE(small_vae.model, small_vae.tokenizer).fit_prior(sentences)).fit(small_vae.posterior(sentences))
    prior.save(tmp_path / "prior.safetensors")
    assert load_file(tmp_path / "prior.safetensors").keys() == prior.state().keys()
    assert load_prior(tmp_path / "prior.safetensors").statistics is None


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("statistics.deviation", np.zeros(4, np.float32), "not positive"),
        ("statistics.mean", np.zeros(3, np.float32), "have shapes"),
        ("statistics.mean", np.full(4, np.inf, np.float32), "not finite"),
        ("statistics.median", np.zeros(4, np.float32), "its statistics are"),
        ("dim", np.array([1, 2]), "it holds"),
    ],
)
def test_damaged_statistics_are_refused_with_the_name_of_the_file(tmp_path, name, array, message):
    file = tmp_path / "prior.safetensors"
    StandardNormal(4).with_statistics(LatentStatistics.measure(DiagonalGaussian.standard(3, 4))).save(file)
    assert load_prior(file) == StandardNormal(4)
    save_file(load_file(file) | {name: array}, file, metadata={"kind": "standard"})
    with pytest.raises(CorruptFileError, match=f"{file} is no prior .*{message}"):
        load_prior(file)


def test_the_statistics_of_a_model_with_slots_include_them(sentences):
    from textvae.modeling import TextVAEConfig

    config = TextVAEConfig.preset("tiny", vocab_size=320, max_length=24)
    config.slot_dim = 8
    vae = TextVAE.from_texts(sentences, config)
    vae.fit_prior(sentences)
    assert vae.latent_statistics.slot_deviation.shape == (8,)
    assert LatentStatistics.measure(vae.read(sentences)).arrays().keys() == vae.latent_statistics.arrays().keys()
