"""Attributes, and sentences moved along them."""

import copy
import dataclasses
import doctest
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import flip_a_bit
from hypothesis import given, settings
from hypothesis import strategies as st
from stubs import reading_of

from textvae import Attribute
from textvae.attributes import dialing, judging, probes, shifting
from textvae.attributes.labels import split_labels
from textvae.attributes.probes import Examples, HeldOut, presence
from textvae.attributes.target import Target
from textvae.latent.priors import MixturePrior, StandardNormal
from textvae.storage.errors import CorruptFileError
from textvae.text import word_diff as wording


def made(weights, **facts):
    return Attribute(
        name="quality", weights=weights, midpoint=0 * weights, direction=weights, word_weights=0 * weights, **facts,
        fingerprint="0123456789abcdef",
    )  # fmt: skip


class SyntheticVAE:
    """Texts whose latents are known: two clouds around +centre and -centre."""

    fingerprint = "0123456789abcdef"
    tells = False  # whether the words say anything
    dim, prior, tokenizer = 6, StandardNormal(6), ["good", "bad", "other"]
    centre = np.linspace(1, 2, 6, dtype=np.float32)

    def __init__(self, spread):
        self.spread = spread

    def read(self, texts):
        words = [["good", "bad"].index(text.split()[0]) if self.tells else 2 for text in texts]
        return reading_of([[0, word, 0] for word in words], self.encode(texts))

    def encode(self, texts):
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
        noise = np.stack([np.random.default_rng(seed).normal(size=6) for seed in seeds])
        signs = np.array([[1.0 if "good" in text else -1.0] for text in texts])
        return (signs * self.centre + self.spread * noise).astype(np.float32)


GOOD, BAD = [f"good {i}" for i in range(20)], [f"bad {i}" for i in range(30)]


def test_separable_latents_are_told_apart():
    vae = SyntheticVAE(spread=0.1)
    attribute = Attribute.fit(vae, GOOD, BAD, name="quality")
    assert attribute.accuracy == 1 and attribute.examples == 50 and attribute.name == "quality"
    assert attribute.probe == "means"  # all are right: the simplest one is taken
    means = vae.encode(GOOD).mean(0), vae.encode(BAD).mean(0)
    np.testing.assert_allclose(attribute.direction, means[0] - means[1], rtol=1e-5)
    np.testing.assert_allclose(attribute.midpoint, (means[0] + means[1]) / 2, atol=1e-5)
    scores = attribute.score(vae.encode(["good new", "bad new"]))
    np.testing.assert_allclose(scores, [1, -1], atol=0.2)


def test_latents_that_say_nothing_are_told_apart_half_of_the_time():
    # Few examples in six dimensions: judged on the examples it was fitted on, the direction would seem right.
    texts = [f"bad {i}" for i in range(400)]
    fits = [Attribute.fit(SyntheticVAE(spread=1.0), texts[i : i + 5], texts[i + 5 : i + 10]) for i in range(0, 400, 10)]
    assert 0.4 < np.mean([attribute.accuracy for attribute in fits]) < 0.6


@pytest.mark.parametrize("probe", ["means", "lda", "logistic"])
def test_the_class_means_score_1_whatever_the_probe(probe):
    vae = SyntheticVAE(spread=2.0)
    attribute = Attribute.fit(vae, GOOD, BAD, probe=probe)
    scores = attribute.score(np.stack([vae.encode(BAD).mean(0), vae.encode(GOOD).mean(0)]))
    np.testing.assert_allclose(scores, [-1, 1], atol=1e-4)
    assert attribute.weights @ attribute.direction == pytest.approx(2, rel=1e-5)


class NoisyVAE(SyntheticVAE):
    """The class moves the first dimension only, and so does noise five times as wide, which the second one shows."""

    def encode(self, texts):
        signs = np.array([1.0 if "good" in text else -1.0 for text in texts])
        latents = super().encode(texts) - signs[:, None] * self.centre
        latents[:, 0] += signs + 5 * latents[:, 1]
        return latents.astype(np.float32)


def test_a_discriminant_sees_through_noise_that_drowns_the_means():
    vae = NoisyVAE(spread=0.3)
    good, bad = [f"good {i}" for i in range(200)], [f"bad {i}" for i in range(200)]
    fits = {probe: Attribute.fit(vae, good, bad, probe=probe) for probe in ("means", "lda", "logistic")}
    assert fits["means"].accuracy < 0.85 < 0.95 < min(fits["lda"].accuracy, fits["logistic"].accuracy)
    assert Attribute.fit(vae, good, bad).probe in ("lda", "logistic")


def test_the_log_odds_are_calibrated():
    vae = SyntheticVAE(spread=3.0)
    good, bad = [f"good {i}" for i in range(1000)], [f"bad {i}" for i in range(1000)]
    attribute = Attribute.fit(vae, good[:500], bad[:500])
    latents = vae.encode(good[500:] + bad[500:])
    probability = 1 / (1 + np.exp(-attribute.log_odds(latents)))
    labels = np.repeat([True, False], 500)
    for low, high in ((0.2, 0.5), (0.5, 0.8)):
        chosen = (probability >= low) & (probability < high)
        assert labels[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.12)
    balanced = Attribute.fit(vae, good[:500], bad[:50])
    assert balanced.threshold == pytest.approx(attribute.threshold, abs=0.3)  # the shares of the classes do not matter


def test_words_are_read_where_they_say_more_than_the_latents():
    class Telling(SyntheticVAE):
        tells = True

    good, bad = [f"good {i}" for i in range(50)], [f"bad {i}" for i in range(50)]
    silent, telling = (
        Attribute.fit(vae, good, bad, probe="means") for vae in (SyntheticVAE(spread=20.0), Telling(spread=20.0))
    )
    vae = Telling(spread=20.0)
    reading = reading_of(vae.read(["good", "bad"]).ids, [telling.midpoint] * 2)
    odds = telling.read(reading)
    assert odds[0] > 1 and odds[1] < -1
    assert np.ptp(silent.read(reading)) < 0.5  # its words said nothing
    assert telling.accuracy == silent.accuracy < 0.8  # which is of the latents alone


def test_words_that_say_nothing_more_weigh_nothing():
    labels = np.arange(100) % 2 == 0
    scores = np.random.default_rng(0).normal(size=100) + np.where(labels, 2, -2)
    held_out = HeldOut(scores, -scores, labels)
    slope, threshold = held_out.calibrate()
    assert held_out.weigh() == pytest.approx((slope, 0.0, -slope * threshold))
    assert HeldOut(-scores, scores, labels).calibrate() == (0.0, 0.0)
    of_score, of_words, _ = HeldOut(-scores, scores, labels).weigh()
    assert of_score == 0 and of_words > 1
    assert HeldOut(-scores, -scores, labels).weigh() == (0.0, 0.0, 0.0)


def test_examples_whose_folds_have_the_same_mean_are_no_evidence(small_vae):
    attribute = Attribute.fit(small_vae, ["a", "b"], ["a", "c"])  # one fold holds out b and c
    assert 0 <= attribute.accuracy <= 0.5 and np.isfinite(attribute.weights).all()


def test_a_rare_class_is_not_lost_among_many(monkeypatch):
    monkeypatch.setattr(probes, "MAX_CROSS_VALIDATED", 50)
    vae = SyntheticVAE(spread=0.1)
    for seed in range(5):
        fitted = Attribute.fit(vae, [f"good {i}" for i in range(6)], [f"bad {i}" for i in range(400)], seed=seed)
        assert fitted.accuracy == 1 and 50 <= fitted.scored <= 70 and fitted.examples == 406


def test_every_example_is_held_out_once():
    positive = np.arange(23) < 4
    latents = np.arange(23, dtype=np.float32)[:, None]
    examples = Examples(latents, presence([[0]] * 23, 1), positive, np.eye(1))
    folds = list(examples.folds(0))
    assert sorted(np.concatenate([held_out.latents[:, 0] for _, held_out in folds])) == list(range(23))
    assert all(fitted_on.positive.sum() == 3 and len(fitted_on) + len(held_out) == 23 for fitted_on, held_out in folds)


def test_labels_are_classes_or_numbers(small_vae, sentences):
    two = Attribute.fit_labels(small_vae, sentences, list("abababab"))
    assert (two.negative, two.positive) == ("a", "b")
    same = Attribute.fit(small_vae, sentences[1::2], sentences[::2])
    np.testing.assert_array_equal(two.direction, same.direction)
    turned = Attribute.fit_labels(small_vae, sentences, list("abababab"), positive="a")
    np.testing.assert_allclose(turned.direction, -two.direction, rtol=1e-5)
    three = Attribute.fit_labels(small_vae, sentences, list("abcabcab"), positive="c")
    assert (three.negative, three.positive, three.examples) == ("not c", "c", 8)
    numbers = Attribute.fit_labels(small_vae, sentences, [1.0, 9, 2, 8, 3, 7, 4, 6])
    np.testing.assert_array_equal(numbers.direction, same.direction)
    assert (numbers.negative, numbers.positive) == ("at most 5", "above 5")
    assert split_labels([1, 5, 5, 5])[0] == [False, True, True, True]
    assert split_labels(np.array([9, 10, 9, 10])) == (
        [False, True, False, True],
        ("at most 9.5", "above 9.5"),
    )
    assert split_labels(np.array(["a", "b"]))[1] == ("a", "b")


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        (list("abcabcab"), None, "the labels have 3 classes: say which is the positive one, of a, b, c"),
        (list("aaaaaaaa"), None, "an attribute needs two classes, the labels have 1: a"),
        (list("abababab"), "x", "no label is 'x': the classes are a, b"),
        ([1.0] * 8, None, "the labels are all equal"),
        ([1.0, 2.0] * 4, "b", "the labels are numbers"),
        (["a", "b"], None, "8 texts need as many labels, got 2"),
    ],
)
def test_labels_that_make_no_two_sides_are_refused(small_vae, sentences, labels, positive, message):
    with pytest.raises(ValueError, match=message):
        Attribute.fit_labels(small_vae, sentences, labels, positive=positive)


def test_a_dimension_is_an_attribute(small_vae, tmp_path):
    attribute = Attribute.from_dimension(small_vae, 3)
    assert attribute.name == "dimension 3"
    latents = np.zeros((2, small_vae.dim), np.float32)
    latents[1, 3] = 1.5
    np.testing.assert_allclose(attribute.score(latents), [0, 1.5])
    assert (attribute.move(latents) - latents).nonzero()[1].tolist() == [3, 3]
    attribute.save(tmp_path / "d")
    assert Attribute.load(tmp_path / "d").summary() == "dimension 3: not fitted on examples"
    vae = copy.copy(small_vae)
    vae.prior = MixturePrior(np.ones(1), np.full((1, vae.dim), 2.0), 3 * np.eye(vae.dim)[None])
    np.testing.assert_allclose(Attribute.from_dimension(vae, 3).score(latents), [-2 / 3, -0.5 / 3], rtol=1e-5)
    with pytest.raises(ValueError, match=f"dim must be in 0..{small_vae.dim - 1}, got {small_vae.dim}"):
        Attribute.from_dimension(small_vae, small_vae.dim)


@pytest.mark.parametrize(
    ("accuracy", "examples", "expected"),
    [(0.9, 100, (0.8256, 0.9448)), (1.0, 10, (0.7225, 1.0)), (0.0, 10, (0.0, 0.2775))],
)
def test_the_interval_is_that_of_wilson(accuracy, examples, expected):
    attribute = made(np.ones(2, np.float32), accuracy=accuracy, scored=examples)
    assert attribute.interval == pytest.approx(expected, abs=1e-3)


def test_a_move_of_strength_1_raises_the_score_by_2():
    vae = SyntheticVAE(spread=0.5)
    attribute = Attribute.fit(vae, GOOD, BAD)
    latents = vae.encode(BAD[:4])
    before = attribute.score(latents)
    np.testing.assert_allclose(attribute.score(attribute.move(latents)), before + 2, atol=1e-5)
    np.testing.assert_allclose(attribute.score(attribute.move(latents, -0.5)), before - 1, atol=1e-5)
    assert attribute.score(latents[0]).shape == ()


@pytest.fixture(scope="module")
def attribute(small_vae, sentences):
    return Attribute.fit(small_vae, sentences[:4], sentences[4:], name="first half")


def test_a_strength_sets_the_score(watched, attribute, sentences):
    vae, decoded = watched
    before = attribute.score(vae.encode(sentences))
    assert before.min() < -0.5 and 0.5 < before.max()
    for strength, expected in {
        1: np.maximum(before, 1),
        -1: np.minimum(before, -1),
        0.5: before + 0.5 * np.maximum(1 - before, 0),
        2: np.maximum(before, 3),
        0: before,
    }.items():
        decoded.clear()
        shifting.shift(vae, sentences, attribute, strength, candidates=1)
        np.testing.assert_allclose(attribute.score(decoded[0]), expected, atol=1e-4)


def test_several_attributes_are_set_at_once_and_others_kept(watched, attribute, sentences):
    vae, decoded = watched
    second = Attribute.fit(vae, sentences[::2], sentences[1::2], name="even")
    third = Attribute.from_dimension(vae, 0)
    latents = vae.encode(sentences[:3])
    shifting.shift(vae, sentences[:3], [attribute, second], [2, -2], keep=[third], candidates=1)
    (moved,) = decoded
    np.testing.assert_allclose(attribute.score(moved), 3, atol=1e-3)
    np.testing.assert_allclose(second.score(moved), -3, atol=1e-3)
    np.testing.assert_allclose(third.score(moved), third.score(latents), atol=1e-3)
    alone = Target([attribute], [2]).move(latents)
    assert np.abs(third.score(alone) - third.score(latents)).max() > 1e-3  # it would not have stayed by itself
    twin = dataclasses.replace(attribute, name="twin")
    with pytest.raises(ValueError, match="two of the attributes are nearly the same direction"):
        shifting.shift(vae, sentences, [attribute, twin], [1, 1])
    with pytest.raises(ValueError, match="two of the attributes have the same name, of first half, first half"):
        shifting.shift(vae, sentences, [attribute, attribute], np.ones(2))


def test_a_shift_says_what_it_did(small_vae, attribute, sentences):
    (one,) = shifting.shift(small_vae, sentences[:1], attribute, -2, candidates=1)
    after = small_vae.encode([one.text])
    assert (
        one.source == sentences[0]
        and one.text == small_vae.decode(Target([attribute], [-2]).move(small_vae.encode(sentences[:1])))[0]
    )
    assert one.before == {"first half": pytest.approx(float(attribute.score(small_vae.encode(sentences[0]))), abs=1e-4)}
    assert one.after == {"first half": pytest.approx(float(attribute.score(after)[0]), abs=1e-4)}
    read = attribute.read(small_vae.read([one.text]))[0]
    assert one.probability == pytest.approx(1 / (1 + np.exp(read)), abs=1e-4)
    assert one.reached == (one.probability >= 0.9)
    assert one.nats == pytest.approx(float(small_vae.nats([one.text], after)[0]), rel=1e-4)
    assert one.summary().startswith("first half ") and one.strengths == {"first half": -2.0}
    assert shifting.shift(small_vae, sentences[:1], attribute, 0.5, candidates=1)[0].strengths == {"first half": 0.5}


class Parrot:
    """A model over bags of words whose decoder writes the words of the nearest sentence it knows."""

    fingerprint = "0123456789abcdef"
    words = ["the", "food", "was", "bad", "great", "and", "cold", "warm"]
    dim, prior = len(words), StandardNormal(len(words))
    model = SimpleNamespace(config=SimpleNamespace(latent_dropout=0.1, max_length=16, slot_dim=0))

    def encode(self, texts):
        bags = np.array([[text.split().count(word) for word in self.words] for text in texts], np.float32)
        return bags.reshape(len(texts), self.dim)

    def decode(self, latents, *, prefixes=None, temperature=0.0, seed=None):
        endings = ["great" if latent[4] > latent[3] else "bad" for latent in latents]
        begun = [""] * len(latents) if prefixes is None else prefixes
        return [
            " ".join([*(prefix.split() or ["the", "food", "was"]), ending])
            for prefix, ending in zip(begun, endings, strict=True)
        ]

    def next_words(self, latents, prefixes, count, against):
        """The word that its latent would end with, where the other latents would end with another one."""
        ends, others = self.decode(latents), self.decode(against)
        return [[a.split()[-1]][:count] if a != b else [] for a, b in zip(ends, others, strict=True)]

    def beams(self, latents, n):
        """Its most likely texts of each latent: ever fewer words before the same end."""
        return [text.split(" ", k)[-1] for text in self.decode(latents) for k in range(n)]

    def write(self, latents, options):
        assert options.num_beams == options.candidates > 1
        return self.beams(latents, options.num_beams)

    def read(self, texts):
        return reading_of([[0, *map(self.words.index, text.split()), 0] for text in texts], self.encode(texts))

    @property
    def tokenizer(self):
        return self.words

    def nats(self, reading, latents):
        assert not np.any(latents)  # without a latent, for a model with latent dropout
        return np.array([self.likelihood(" ".join(self.words[i] for i in row[1:-1])) for row in reading.ids])

    def likelihood(self, text):
        return float(len(text.split()))


@pytest.fixture
def quality():
    weights = np.zeros(Parrot.dim, np.float32)
    weights[[3, 4]] = -1, 1
    return made(weights, reading=(4.0, 0.0))


def test_the_closed_loop_changes_the_words_that_count_and_keeps_the_rest(quality):
    texts = ["the food was cold and bad", "the food was bad and warm"]
    plain = shifting.shift(Parrot(), texts, quality, 1, candidates=1)
    assert [each.text for each in plain] == ["the food was great"] * 2  # a decoder that cannot say the rest
    found = shifting.shift(Parrot(), texts, quality, 1, candidates=8)
    assert [each.text for each in found] == ["the food was cold and great", "the food was great and warm"]
    assert all(each.reached and each.similarity > 0.8 for each in found)
    back = shifting.shift(Parrot(), [each.text for each in found], quality, -1, candidates=8)
    assert [each.text for each in back] == texts


def test_the_loop_keeps_what_already_is_there(quality):
    text = "great great food"  # the decoder would not write it, and the latent lies beyond where it would be moved
    (one,) = shifting.shift(Parrot(), [text], quality, 1, candidates=4)
    assert one.text == text and one.reached and one.similarity == 1 and one.strengths == {"quality": 0.0}


def test_what_already_is_there_stays_though_another_text_were_far_likelier(quality):
    class Judging(Parrot):
        def likelihood(self, text):
            return 0.0 if text == "the food was great" else 100.0 * len(text.split())

    (one,) = shifting.shift(Judging(), ["the food was cold and great"], quality, 1, candidates=4)
    assert one.text == one.source


def test_words_far_apart_take_two_rounds(quality):
    (one,) = shifting.shift(Parrot(), ["bad food was cold and warm and bad"], quality, 1, candidates=8)
    assert one.reached and one.text.endswith("food was cold and warm and great")


def test_whole_sentences_are_candidates_too(quality):
    texts = ["cold and bad", "warm and great"]
    found = shifting._whole(Parrot(), texts, Parrot().encode(texts), Target([quality], [1.0]))
    assert all({"the food was great", "food was great", "great"} <= set(each) for each in found)
    (back,) = shifting._whole(Parrot(), texts[1:], Parrot().encode(texts[1:]), Target([quality], [-1.0]))
    assert "was bad" in back and "was great" not in back


def judged(vae, source, candidates, target):
    latent = vae.encode([source])[0]
    pool = judging.Pool(source, latent, target.scores(latent[None])[0], np.zeros_like(latent))
    for texts in ([source], candidates):
        judging.judge(vae, [pool], [dict.fromkeys(texts, 1.0)], target)
    return pool.best.text


def test_what_shall_be_kept_decides_between_equals(quality):
    weights = np.zeros(Parrot.dim, np.float32)
    weights[6] = 1
    cold = dataclasses.replace(made(weights), name="cold")
    candidates = ["cold food was great", "warm food was great"]
    assert judged(Parrot(), "food was bad", candidates, Target([quality], [1.0])) == candidates[0]
    assert judged(Parrot(), "food was bad", candidates, Target([quality, cold], [1.0, 0.0])) == candidates[1]


def test_a_dial_writes_rising_versions_of_each_text_and_the_text_itself_where_it_stands(quality):
    texts, places = ["the food was cold and bad", "food was great"], (-2, -1, 0, 0.9, 2)
    rows = dialing.dial(Parrot(), texts, quality, places, candidates=8)
    assert [[each.position["quality"] for each in row] for row in rows] == [pytest.approx(places)] * 2
    for text, row in zip(texts, rows, strict=True):
        odds = [each.log_odds["quality"] for each in row]
        assert odds == sorted(odds) and odds[0] < 0 < odds[-1]
        assert text in [each.text for each in row]
        for each in row:
            assert each.log_odds["quality"] == pytest.approx(4 * (each.text.count("great") - each.text.count("bad")))
            assert each.similarity == wording.word_similarity(text, each.text)
    assert rows[0][-1].text == "the food was cold and great" and rows[1][0].text == "food was bad"


def test_two_dials_turn_apart(quality):
    weights = np.zeros(Parrot.dim, np.float32)
    weights[[6, 7]] = -1, 1
    warmth = dataclasses.replace(made(weights, reading=(4.0, 0.0)), name="warmth")
    (row,) = dialing.dial(Parrot(), ["the food was bad"], [quality, warmth], [(-1, 0), (1, 0)], candidates=8)
    assert [each.text for each in row] == ["the food was bad", "the food was great"]
    assert row[1].log_odds["warmth"] == 0 and row[1].position == {"quality": 1, "warmth": 0}


@pytest.mark.parametrize("places", [[], [1, float("nan")], [(1, 2)], ["far"], [(1,), (1, 2)]])
def test_a_dial_needs_numbers(quality, places):
    with pytest.raises(ValueError, match="positions must be"):
        dialing.dial(Parrot(), ["bad"], quality, places)


@pytest.mark.parametrize(
    ("usual", "near", "far", "expected"),
    [(3.0, 3.0, 2.0, "cold food was great"), (1.0, 3.0, 1.0, "food was great"), (9.0, 9.0, 1.0, "food was great")],
)
def test_to_be_less_likely_than_the_source_weighs_more_than_to_be_likelier(quality, usual, near, far, expected):
    per_word = {"cold food was bad": usual, "cold food was great": near, "food was great": far}

    class Judging(Parrot):
        def likelihood(self, text):
            return per_word[text] * (len(text.split()) + 1)

    candidates = ["cold food was great", "food was great"]
    assert judged(Judging(), "cold food was bad", candidates, Target([quality], [1.0])) == expected


def test_changes_in_one_place_are_fewer_than_as_many_changes_apart(quality):
    together, apart = "a b c d x y", "x b c d e y"
    assert wording.word_similarity("a b c d e f", together) == wording.word_similarity("a b c d e f", apart)
    assert wording.pair_similarity("a b c d e f", together) > wording.pair_similarity("a b c d e f", apart)
    together, apart = "food was great the cold and warm", "the was great and cold and warm"
    target = Target([quality], [1.0])
    assert judged(Parrot(), "food was bad and cold and warm", [apart, together], target) == together


def test_more_certainty_is_reached_less_often(quality):
    calibrated = dataclasses.replace(quality, typical=(-10.0, 10.0))
    sure, unsure = (
        shifting.shift(Parrot(), ["the food was bad"], calibrated, 1, candidates=4, certainty=c)[0]
        for c in (0.999, 0.9)
    )
    assert sure.text == unsure.text and unsure.reached and not sure.reached


@pytest.mark.parametrize(
    ("typical", "certainty", "sign", "expected"),
    [
        ((-9.0, 9.0), 0.9, 1, np.log(9)),
        ((-9.0, 0.5), 0.9, 1, 0.5),
        ((-0.7, 9.0), 0.9, -1, 0.7),
        ((3.0, 9.0), 0.9, -1, 0.1),
        ((-9.0, 0.5), 0.3, 1, np.log(3 / 7)),
    ],
    ids=["certainty", "typical", "negative side", "nothing typical", "unsure"],
)
def test_no_more_is_asked_than_is_typical_of_the_class(quality, typical, certainty, sign, expected):
    assert dataclasses.replace(quality, typical=typical).asked(certainty, sign) == pytest.approx(expected)


def test_what_is_missing_adds_up_and_weighs_the_same_for_an_unsure_attribute(quality):
    sure = dataclasses.replace(quality, typical=(-9.0, 9.0))
    unsure = dataclasses.replace(quality, typical=(-0.5, 0.5), name="unsure")
    target = Target([sure, unsure, sure], [1.0, -1.0, 0.0], 0.9)
    whole = np.log(9)
    odds = np.array([[whole, 0.5, np.inf], [whole + 1, 0.25, np.inf], [whole - 1, 0.0, np.inf]])
    np.testing.assert_allclose(target.missing(odds), [0, whole / 2, 1 + whole], rtol=1e-6)


def test_few_examples_calibrate_what_typical_is(small_vae, sentences):
    few = Attribute.fit(small_vae, sentences[:3], sentences[3:6])
    assert few.typical[0] < 0 < few.typical[1] and few.typical[1] >= few.reading[0] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"certainty": 1.0}, "certainty must be above 0 and below 1, got 1.0"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"strength": [1.0, 2.0]}, "1 attributes need as many strengths, got 2"),
    ],
)
def test_numbers_that_make_no_shift_are_refused(small_vae, attribute, sentences, arguments, message):
    with pytest.raises(ValueError, match=message):
        shifting.shift(small_vae, sentences[:1], attribute, **arguments)


def test_a_shift_needs_an_attribute(small_vae, attribute, sentences):
    with pytest.raises(ValueError, match="shift needs an attribute to move along, got none"):
        shifting.shift(small_vae, sentences[:1], [], keep=[attribute])


def test_texts_are_shifted_in_parts_as_they_are_together(quality, monkeypatch):
    texts = ["the food was bad", "food was bad and cold", "the food was warm and bad"]
    together = shifting.shift(Parrot(), texts, quality)
    monkeypatch.setattr(shifting, "AT_ONCE", 2)
    assert shifting.shift(Parrot(), texts, quality) == together


def test_an_empty_list_is_shifted_to_an_empty_list(small_vae, attribute):
    assert shifting.shift(small_vae, [], attribute) == shifting.shift(small_vae, [], attribute, candidates=4) == []


@settings(max_examples=100)
@given(*[st.lists(st.sampled_from("a b c d".split()), max_size=7).map(" ".join)] * 3)
def test_a_patch_does_what_it_says(source, before, after):
    assert wording.patch(source, source, after) == after
    assert wording.patch(source, before, before) == source
    assert set(wording.patch(source, before, after).split()) <= set(source.split()) | set(after.split())


def test_a_shift_of_strength_0_is_the_reconstruction(small_vae, attribute, sentences):
    kept = shifting.shift(small_vae, sentences[:3], attribute, strength=0)
    assert [each.text for each in kept] == small_vae.reconstruct(sentences[:3])


def test_a_saved_attribute_is_the_same(attribute, tmp_path):
    attribute.save(tmp_path / "a")
    loaded = Attribute.load(tmp_path / "a")
    assert np.array_equal(loaded.direction, attribute.direction) and np.array_equal(loaded.midpoint, attribute.midpoint)
    assert np.array_equal(loaded.weights, attribute.weights)
    names = ("name", "accuracy", "examples", "fingerprint", "slope", "threshold", "probe", "positive", "negative")
    assert [getattr(loaded, name) for name in names] == [getattr(attribute, name) for name in names]
    assert loaded.summary() == attribute.summary()
    assert attribute.summary().startswith("first half: 8 examples, cross-validated accuracy ")


@pytest.mark.parametrize(("accuracy", "doubted"), [(0.5, True), (0.63, True), (1.0, False)])
def test_an_accuracy_that_guessing_may_have_is_said_to_be_so(attribute, accuracy, doubted):
    judged = dataclasses.replace(attribute, accuracy=accuracy, scored=30)
    assert ("not told from guessing" in judged.summary()) == doubted == (judged.interval[0] <= 0.5)


def test_an_attribute_of_another_model_is_refused(other_vae, attribute, sentences):
    with pytest.raises(ValueError, match="attribute 'first half' was fitted on the model [0-9a-f]{16}, not on"):
        shifting.shift(other_vae, sentences[:1], attribute)


@pytest.mark.parametrize(
    ("positive", "negative", "error", "message"),
    [
        (["a"], ["b", "c"], ValueError, "needs at least 2 positive examples, got 1"),
        (["a", "b"], [], ValueError, "needs at least 2 negative examples, got 0"),
        ("good", ["a", "b"], TypeError, "expected a list of strings, got a str"),
        (["a", "b"], ["a", "b"], ValueError, "the two sets of examples have the same mean"),
    ],
)
def test_examples_that_define_no_direction_are_refused(small_vae, positive, negative, error, message):
    with pytest.raises(error, match=message):
        Attribute.fit(small_vae, positive, negative)


def test_a_folder_that_is_no_attribute_is_refused(attribute, run, tmp_path):
    with pytest.raises(ValueError, match="is not an attribute folder: it has no attribute.json"):
        Attribute.load(run)
    with pytest.raises(FileNotFoundError, match="there is no attribute at"):
        Attribute.load(tmp_path / "nothing")
    attribute.save(tmp_path / "a")
    flip_a_bit(tmp_path / "a" / "direction.safetensors")
    with pytest.raises(CorruptFileError, match="direction.safetensors does not match its checksum"):
        Attribute.load(tmp_path / "a")


def test_the_examples_of_the_documentation_run():
    found = doctest.testmod(wording)
    assert found.failed == 0 < found.attempted
