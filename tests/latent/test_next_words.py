"""The words that a decoder would write next."""

import numpy as np
import pytest
import torch

from textvae.latent.next_words import CONTRAST

PREFIXES = ["", "a man", "two dogs are"]


@pytest.fixture
def latents(small_vae):
    return 3 * np.random.default_rng(0).normal(size=(2, len(PREFIXES), small_vae.dim)).astype(np.float32)


def logs(vae, latent, prefix):
    """Return the token ids of a prefix and log p of each token after it."""
    row = vae.decoder_rows([prefix])[0][:-1]
    with torch.inference_mode():
        return row, vae.model.decode(torch.tensor(latent[None]), torch.tensor([row]))[0, -1].log_softmax(-1)


def words(vae, row, prefix, scores, looked_at):
    """Return the new word of each of the first tokens that begins one."""
    texts = [vae.tokenizer.decode([*row, token], skip_special_tokens=True) for token in scores.argsort(descending=True)]
    begun = prefix.split()
    split = [text.split() for text in texts[:looked_at]]
    return [each[-1] for each in split if len(each) == len(begun) + 1 and each[:-1] == begun]


def test_words_are_those_of_the_decoder_in_its_order(small_vae, latents):
    found = small_vae.next_words(latents[0], PREFIXES, 5)
    assert any(found)
    for latent, prefix, given in zip(latents[0], PREFIXES, found, strict=True):
        row, log_V = logs(small_vae, latent, prefix)
        assert given == words(small_vae, row, prefix, log_V, 10)[:5]


def test_against_other_latents_the_words_that_set_them_apart_come_first(small_vae, latents):
    found = small_vae.next_words(latents[0], PREFIXES, 5, latents[1])
    assert found != small_vae.next_words(latents[0], PREFIXES, 5)
    for latent, other, prefix, given in zip(*latents, PREFIXES, found, strict=True):
        row, log_V = logs(small_vae, latent, prefix)
        apart_V = log_V + CONTRAST * (log_V - logs(small_vae, other, prefix)[1])
        assert given == words(small_vae, row, prefix, apart_V, 10)[:5]


def test_no_more_words_than_asked_for_and_none_of_them_special(small_vae, latents):
    found = small_vae.next_words(latents[0], PREFIXES, 2)
    assert len(found) == len(PREFIXES) and all(len(each) <= 2 for each in found)
    assert not {word for each in found for word in each} & set(small_vae.tokenizer.all_special_tokens)
    assert small_vae.next_words(latents[0][:0], [], 2) == []
