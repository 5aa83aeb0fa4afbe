"""Files made by version 0.1.0 of the flat package load and mean what they meant: tests/data/version_0_1_0."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from textvae import Attribute, LatentIndex, TextVAE, shift

ROOT = Path(__file__).parents[1]
OLDER = Path(__file__).parent / "data" / "version_0_1_0"
EXPECTED = json.loads((OLDER / "expected.json").read_text(encoding="utf-8"))
TEXTS = EXPECTED["texts"]


@pytest.fixture(scope="module")
def vae():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
        yield TextVAE.from_pretrained(OLDER / "small", "cpu")


@pytest.fixture(scope="module")
def attribute(vae):
    return Attribute.load(OLDER / "attribute")


def test_the_model_gives_the_same_vectors_and_texts(vae):
    np.testing.assert_allclose(vae.encode(TEXTS), EXPECTED["vectors"], atol=1e-4)
    assert vae.reconstruct(TEXTS) == EXPECTED["reconstructions"]
    assert vae.sample(3, seed=0) == EXPECTED["samples"]
    assert vae.interpolate(TEXTS[0], TEXTS[1], 4) == EXPECTED["interpolation"]


def test_the_index_gives_the_same_hits(vae):
    index = LatentIndex.load(OLDER / "index", vae)
    found = index.search(["the food was cold", "a dog in the snow"], k=3)
    for hits, expected in zip(found, EXPECTED["hits"], strict=True):
        assert [[hit.id, hit.text, hit.metadata] for hit in hits] == [
            [id, text, kept] for id, _, text, kept in expected
        ]
        np.testing.assert_allclose([hit.score for hit in hits], [score for _, score, _, _ in expected], atol=1e-4)


def test_the_attribute_gives_the_same_scores_and_texts(vae, attribute):
    latents = vae.encode(TEXTS)
    np.testing.assert_allclose(attribute.score(latents), EXPECTED["scores"], atol=1e-4)
    np.testing.assert_allclose(attribute.read(vae.read(TEXTS)), EXPECTED["log_odds"], atol=1e-3)
    assert [each.text for each in shift(vae, TEXTS[:3], attribute, -1.0, candidates=1)] == EXPECTED["shifted"]
