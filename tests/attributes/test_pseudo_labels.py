"""Attributes of few examples and many texts without a label."""

import numpy as np
import pytest
from test_attributes import BAD, GOOD, SyntheticVAE

from textvae import Attribute
from textvae.attributes import attribute as attributes
from textvae.attributes.pseudo_labels import pseudo_label
from textvae.storage.atomic import read_json, write_json
from textvae.storage.folders import write_manifest

OTHERS = [f"{word} other {i}" for i in range(200) for word in ("good", "bad")]
NEW = [f"{word} new {i}" for i in range(200) for word in ("good", "bad")]


def right(attribute, vae, texts):
    return np.mean((attribute.score(vae.encode(texts)) > 0) == [text.startswith("good") for text in texts])


@pytest.fixture
def vae():
    vae = SyntheticVAE(spread=4.0)
    vae.model = type("Model", (), {"device": "cpu"})
    return vae


@pytest.fixture
def encoder(monkeypatch):
    """An encoder that tells the classes apart; "guess" is one that does not."""

    def embed(source, texts, device):
        assert device == "cpu"
        return SyntheticVAE(spread=0.5 if source == "sure" else 1e4).encode(texts)

    monkeypatch.setattr(attributes, "sentence_embeddings", embed)


def test_texts_are_cut_into_halves_along_the_difference_of_the_classes():
    embeddings = np.array([[1, 0], [-1, 0], [5, 0], [4, 0], [3, 0], [2, 0]], np.float32)
    labels = pseudo_label(embeddings, np.array([True, False]))
    assert labels.tolist() == [True, False, True, True, False, False]


def test_what_tells_the_surest_texts_apart_corrects_a_direction_that_two_examples_give():
    generator = np.random.default_rng(0)
    positive = np.arange(400) % 2 == 0
    embeddings = generator.normal(size=(400, 8)) + np.where(positive, 3, -3)[:, None] * np.eye(8)[0]
    embeddings = np.concatenate([[[1.0] * 8, [-1.0] * 8], embeddings]).astype(np.float32)
    labels = pseudo_label(embeddings, np.array([True, False]))[2:]
    along = embeddings[2:] @ np.ones(8)
    assert (labels == positive).mean() > 0.95 > ((along > np.median(along)) == positive).mean() + 0.05


def test_classes_with_the_same_mean_label_nothing(vae):
    with pytest.raises(ValueError, match="the same mean"):
        Attribute.fit(vae, GOOD[:2], GOOD[:2], unlabelled=OTHERS)
    # without the second of each the classes are the same
    sharing = Attribute.fit(vae, GOOD[:2], [GOOD[0], BAD[0]], unlabelled=OTHERS)
    assert 0 <= sharing.accuracy <= 1


def test_examples_among_the_unlabelled_texts_keep_their_label(vae, encoder):
    with pytest.raises(ValueError, match="fewer than 4 unlabelled texts beside the examples are too few, got 3"):
        Attribute.fit(vae, GOOD, BAD, unlabelled=[*GOOD, *BAD, *OTHERS[:3]], encoder="sure")
    with pytest.raises(TypeError, match="expected a list of strings"):
        Attribute.fit(vae, GOOD, BAD, unlabelled="")
    both = [Attribute.fit(vae, GOOD, BAD, unlabelled=np.array(more)) for more in (OTHERS, [*GOOD, *OTHERS])]
    np.testing.assert_array_equal(both[0].weights, both[1].weights)
    assert both[1].unlabelled == 400


def test_texts_without_a_label_make_a_few_examples_go_further(vae, encoder):
    alone = [right(Attribute.fit(vae, GOOD[i : i + 3], BAD[i : i + 3]), vae, NEW) for i in range(0, 15, 3)]
    helped = [
        Attribute.fit(vae, GOOD[i : i + 3], BAD[i : i + 3], unlabelled=OTHERS, encoder="sure") for i in range(0, 15, 3)
    ]
    assert np.mean([right(each, vae, NEW) for each in helped]) > np.mean(alone) + 0.05
    assert all(each.examples == each.scored == 6 and each.unlabelled == 400 for each in helped)
    assert "6 examples and 400 texts without a label" in helped[0].summary()


def test_the_accuracy_is_that_on_examples_which_labelled_nothing(vae, encoder):
    sure = Attribute.fit(vae, GOOD, BAD[:20], unlabelled=OTHERS, encoder="sure")
    assert abs(sure.accuracy - right(sure, vae, NEW)) < 0.15
    texts = [f"bad {i}" for i in range(400)]  # of which no encoder could tell the halves
    guesses = [
        Attribute.fit(vae, texts[i : i + 5], texts[i + 5 : i + 10], unlabelled=OTHERS, encoder="guess").accuracy
        for i in range(0, 400, 20)
    ]
    assert 0.4 < np.mean(guesses) < 0.6


def test_without_an_encoder_the_model_itself_labels(encoder):
    clear = SyntheticVAE(spread=1.0)
    attribute = Attribute.fit(clear, GOOD[:2], BAD[:2], unlabelled=OTHERS)
    assert attribute.unlabelled == 400 and right(attribute, clear, NEW) > 0.95
    labelled = Attribute.fit_labels(clear, ["good", "bad"] * 2, ["y", "n"] * 2, unlabelled=OTHERS)
    assert labelled.unlabelled == 400 and labelled.positive == "y"


def test_an_attribute_remembers_the_texts_without_a_label(vae, encoder, tmp_path):
    attribute = Attribute.fit(vae, GOOD[:2], BAD[:2], unlabelled=OTHERS, encoder="sure")
    attribute.save(tmp_path / "attribute")
    assert Attribute.load(tmp_path / "attribute").unlabelled == 400
    facts = read_json(tmp_path / "attribute" / "attribute.json")
    del facts["unlabelled"]  # as it was saved before
    write_json(tmp_path / "attribute" / "attribute.json", facts)
    write_manifest(tmp_path / "attribute")
    assert Attribute.load(tmp_path / "attribute").unlabelled == 0


def test_an_encoder_needs_texts_to_label(vae):
    with pytest.raises(ValueError, match="encoder labels unlabelled texts, and there are none"):
        Attribute.fit(vae, GOOD, BAD, encoder="sure")
