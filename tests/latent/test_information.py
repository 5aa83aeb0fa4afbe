"""What single latent dimensions say about a class."""

import numpy as np
import pytest

from textvae.latent.information import dimensions


def test_dimensions_are_ranked_by_what_they_say():
    labels = np.arange(400) % 2 == 0
    noise = np.random.default_rng(0).normal(size=(400, 3))
    latents = noise + np.outer(labels, [0, -4, 1])
    found = dimensions(latents, labels)
    assert [related.dim for related in found] == [1, 2, 0]
    assert found[0].information == pytest.approx(np.log(2), abs=0.15)
    assert found[0].correlation == pytest.approx(np.corrcoef(latents[:, 1], labels)[0, 1])


def test_a_constant_dimension_says_nothing():
    found = dimensions(np.stack([np.ones(6), np.arange(6) % 2], 1), [True, False] * 3)
    assert [(related.dim, related.correlation) for related in found] == [(1, pytest.approx(-1)), (0, 0.0)]
    assert [related.information for related in found] == pytest.approx([np.log(2), 0])
