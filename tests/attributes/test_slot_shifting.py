"""Shifts of models with wording slots: the meaning moves, slots that carry the old value open, the others stay."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from overfitting import learn

from textvae import Attribute, TextVAE, shift
from textvae.attributes import judging, shifting
from textvae.attributes.slot_shifting import LEAST_VOTE, openings, ranked_slots, voted_slots
from textvae.attributes.target import Target
from textvae.latent.latents import Latents
from textvae.modeling import TextVAEConfig
from textvae.modeling.slots import ABSENT, OPEN

SUBJECTS = ["the soup", "our waiter", "my new phone", "the big room", "this old hotel", "their coffee"]
GOOD = [f"{subject} near the river was really good ." for subject in SUBJECTS]
BAD = [f"{subject} near the river was really bad ." for subject in SUBJECTS]


class Stub:
    """A model that writes which slot is open, and a target that this text misses by a table."""

    def __init__(self, missing):
        self.missed = missing

    def decode(self, latents):
        return [f"{i // 3}:{int((row == OPEN).argmax())}" for i, row in enumerate(latents.states)]

    def read(self, texts):
        return texts

    def move(self, meaning, further):
        return meaning

    def missing(self, texts):
        return np.array([self.missed[int(row)][int(slot)] for row, slot in (text.split(":") for text in texts)])


def test_slots_are_ranked_by_how_near_the_target_their_opening_brings_the_text():
    latents = Latents(np.zeros((2, 4)), np.ones((2, 3, 2)), np.array([[1, 1, 1], [1, 1, ABSENT]]))
    stub = Stub([[2.0, 0.5, 1.0], [3.0, 1.0, 0.0]])
    assert ranked_slots(stub, latents, stub).tolist() == [[1, 2, 0], [1, 0, 2]]  # padding comes last


def test_slots_are_opened_in_their_order_one_more_each_time_and_at_last_all():
    order = np.array([[2, 0, 1, 5, 3, 4], [0, 1, 2, 3, 4, 5]])
    latents = Latents(np.zeros((2, 4)), np.ones((2, 6, 2)), np.ones((2, 6)))
    steps = list(openings(latents, order))
    assert [np.flatnonzero(step[0]).tolist() for step in steps] == [
        [2], [0, 2], [0, 1, 2], [0, 1, 2, 5], [0, 1, 2, 3, 4, 5],
    ]  # fmt: skip
    assert [int(step[1].sum()) for step in steps] == [1, 2, 3, 4, 6]
    one = Latents(np.zeros((1, 4)), np.ones((1, 1, 2)), np.ones((1, 1)))
    assert [step.tolist() for step in openings(one, np.zeros((1, 1), int))] == [[[True]]]


class Votes:
    """A target that every token votes against with its number."""

    def votes(self, ids):
        return np.array(ids, np.float32)


def test_slots_open_whose_words_vote_for_the_old_value_and_always_the_one_with_most_votes():
    vote = LEAST_VOTE / 2
    ids = [[0, vote, 2 * vote, 0, 0, vote, vote + 0.1, 9], [0, 0.1, 0.2, 0.1, 9]]
    reading = SimpleNamespace(ids=ids, states=np.zeros((2, 4)))
    opened = voted_slots(reading, Votes(), 2)
    assert opened.tolist() == [[True, False, True, False], [True, False, False, False]]
    wider = voted_slots(reading, Votes(), 2.5)  # of a decoder whose tokens are shorter than the encoder's
    assert wider.tolist() == [[True, False, False, False], [True, False, False, False]]
    assert voted_slots(SimpleNamespace(ids=[[0, 1]], states=np.zeros((1, 0))), Votes(), 2).shape == (1, 0)


@pytest.fixture(scope="module")
def learnt():
    """A model that has learnt twelve sentences, slots opened at random."""
    split = {"latent_dim": 24, "slot_dim": 16, "unit_mean": True, "slot_tokens": 3}
    vae = TextVAE.from_texts(GOOD + BAD, TextVAEConfig.preset("tiny", vocab_size=380, max_length=24, **split))
    return learn(vae, GOOD + BAD, 150, 4e-3, free_bits=0.5, open_all=0.2, open_some=0.8)


def test_only_what_carries_the_attribute_changes(learnt):
    sentiment = Attribute.fit(learnt, GOOD, BAD, name="sentiment")
    assert [each.text for each in shift(learnt, BAD, sentiment, candidates=8, certainty=0.6)] == GOOD
    for one in shift(learnt, GOOD[:2], sentiment, -1.0, candidates=1):  # greedily, at the strength itself
        assert one.reached and one.text in BAD
    kept = shift(learnt, GOOD, sentiment, 1.0, candidates=8, certainty=0.6)
    assert [each.text for each in kept] == GOOD  # they have it
    assert [each.text for each in shift(learnt, BAD, sentiment, 0.0)] == BAD
    assert shift(learnt, [], sentiment, candidates=4) == []


def test_likelihood_is_judged_given_the_moved_meaning_unless_the_decoder_often_did_without(learnt, monkeypatch):
    attribute = Attribute.fit(learnt, GOOD, BAD, name="quality")
    target, latents = Target([attribute], [1.0]), learnt.encode(BAD)
    monkeypatch.setattr(learnt.model.config, "latent_dropout", 0.05)
    moved, weights = shifting._contexts(learnt, latents, target)
    assert np.allclose(moved, target.move(latents, shifting.AIM)) and weights == shifting.TOWARDS_AIM
    monkeypatch.setattr(learnt.model.config, "latent_dropout", shifting.LANGUAGE_MODEL_DROPOUT)
    without, weights = shifting._contexts(learnt, latents, target)
    assert not np.any(without) and weights == judging.Weights()


@pytest.mark.parametrize("dropout", [0.05, 0.2])
def test_judging_the_most_promising_drafts_first_finds_the_same_best_with_fewer_likelihoods(
    dropout, learnt, monkeypatch
):
    monkeypatch.setattr(learnt.model.config, "latent_dropout", dropout)
    attribute = Attribute.fit(learnt, GOOD, BAD, name="quality")
    target = Target([attribute], [1.0])
    quick, thorough = (shifting.close_loop(learnt, BAD, target, 16, 0, thorough) for thorough in (False, True))
    assert [pool.best.text for pool in quick] == [pool.best.text for pool in thorough]
    assert sum(len(pool.judged) for pool in quick) < sum(len(pool.judged) for pool in thorough)


def test_a_draft_that_cannot_become_the_best_is_not_read(learnt, monkeypatch):
    attribute = Attribute.fit(learnt, GOOD, BAD, name="quality")
    target, texts = Target([attribute], [1.0]), BAD[:1]
    (pool,) = shifting.close_loop(learnt, texts, target, 8, 0)
    assert pool.best.text != texts[0]
    read = []
    monkeypatch.setattr(judging, "_read", lambda drafts, *others: read.extend(draft.text for draft in drafts))
    pool.seen.clear()
    pool.best = dataclasses.replace(pool.best, worth=pool.best.worth - 0.1)
    judging.judge(learnt, [pool], [{pool.best.text: 1.0, "entirely other words stand in this one": 1.0}], target)
    assert read == [pool.best.text]
