"""Exact latents: gradient steps on z after which greedy decoding gives a text back."""

import copy

import numpy as np
import pytest
import torch
from overfitting import learn

from textvae import TextVAE
from textvae.latent.exact import RATE, exact_latents
from textvae.modeling import TextVAEConfig


@pytest.fixture(scope="module", params=["gru", "transformer", "flat"])
def half_trained(request, sentences):
    """A model that gives some of eight sentences back, not all."""
    split = {} if request.param == "flat" else {"latent_dim": 24, "slot_dim": 16, "unit_mean": True}
    decoder = "gru" if request.param == "flat" else request.param
    config = TextVAEConfig.preset("tiny", vocab_size=320, decoder=decoder, max_length=24, **split)

    def some(vae):
        return sum(a == b for a, b in zip(vae.reconstruct(sentences), sentences, strict=True)) >= 2

    return learn(TextVAE.from_texts(sentences, config), sentences, 300, until=some, every=1, free_bits=0.5)


def test_more_texts_come_back_and_those_that_did_keep_their_latents(half_trained, sentences):
    start, found = half_trained.read(sentences).mean, half_trained.exact(sentences)
    before, after = ([a == b for a, b in zip(half_trained.decode(z), sentences, strict=True)] for z in (start, found))
    assert 0 < sum(before) < sum(after)
    assert all(late for early, late in zip(before, after, strict=True) if early)
    assert half_trained.decode(found) == half_trained.reconstruct(sentences, exact=50)
    changed = (found.pack() != start.pack()).any(1)
    assert [not each for each in changed] == before
    assert np.array_equal(found.states, start.states)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_no_text_becomes_less_likely(half_trained, sentences, steps):
    texts = [*sentences, "words that it has never seen before !", ""]
    start, found = half_trained.read(texts).mean, half_trained.exact(texts, steps=steps)
    before, after = (half_trained.nats(texts, z) for z in (start, found))
    tolerance = 0.02 * before  # nats are measured in bf16 where there is one
    assert (after <= before + tolerance).all()
    assert np.array_equal(start.pack(), found.pack()) if steps == 0 else after.sum() < before.sum()


def test_the_weights_and_their_gradients_stay(half_trained, sentences):
    before = copy.deepcopy(half_trained.model.state_dict())
    half_trained.exact(sentences, steps=2)
    assert all(torch.equal(before[name], value) for name, value in half_trained.model.state_dict().items())
    assert all(parameter.grad is None for parameter in half_trained.model.parameters())


def test_neither_the_other_texts_nor_a_seed_nor_inference_mode_change_what_is_found(half_trained, sentences):
    together = half_trained.exact(sentences, steps=5)
    state = torch.get_rng_state()
    with torch.inference_mode():
        again = half_trained.exact(sentences, steps=5)
    assert np.array_equal(together.pack(), again.pack())
    assert torch.equal(torch.get_rng_state(), state)
    for i, text in enumerate(sentences[:3]):
        alone = half_trained.exact([text], steps=5)
        np.testing.assert_allclose(together.meaning[i], alone.meaning[0], atol=0.05)
        np.testing.assert_allclose(together.slots[i, : alone.slots.shape[1]], alone.slots[0], atol=0.05)


def test_the_steps_are_those_of_adam(small_vae, sentences):
    """Until a row arrives: the untrained model is far from it."""
    reading = small_vae.read(sentences)
    start = reading.mean.pack()
    point = torch.tensor(start[:1]).requires_grad_()
    ids = torch.tensor(reading.ids[:1])
    optimizer, best = torch.optim.Adam([point], RATE), (np.inf, None)
    for _ in range(4):
        logits = small_vae.model.decode(point, ids)
        nats = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum")
        best = min(best, (nats.item(), point.detach().clone()), key=lambda pair: pair[0])
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    small_vae.model.zero_grad()
    found = exact_latents(small_vae.model, reading.ids, start, steps=3)
    torch.testing.assert_close(torch.tensor(found[:1]), best[1], atol=1e-4, rtol=1e-4)


def test_meanings_keep_their_length(half_trained, sentences):
    if half_trained.model.config.unit_mean:
        lengths = np.linalg.norm(half_trained.exact(sentences, steps=3).meaning, axis=1)
        np.testing.assert_allclose(lengths, half_trained.dim**0.5, rtol=1e-5)


def test_no_texts_have_no_latents_and_impossible_steps_are_refused(small_vae):
    assert len(small_vae.exact([])) == 0 and small_vae.reconstruct([], exact=5) == []
    with pytest.raises(ValueError, match="steps must not be negative, got -1"):
        small_vae.exact(["a"], steps=-1)
    with pytest.raises(ValueError, match="choose refinements or exact latents"):
        small_vae.reconstruct(["a"], exact=5, refinements=1)
