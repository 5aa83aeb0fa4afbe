"""Batches of texts for inference: every text once, within the budget, with little padding."""

from __future__ import annotations

import random

import pytest

from textvae.text.batching import by_length, even_length, filled


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("lengths", [[], [0], [3] * 70, [5000, 1, 2], [*range(60), *range(30)]], ids=str)
def test_every_text_is_in_one_batch_within_the_budget(lengths, batch_size):
    rows = [[0] * length for length in lengths]
    batches = list(by_length(rows, batch_size))
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) == 1 or filled(len(batch)) * max(lengths[i] for i in batch) <= 16 * batch_size
    assert all(filled(len(batch)) == len(batch) for batch in batches[:-1])


@pytest.mark.parametrize(("count", "most"), [(32, 1.5), (256, 1.3), (1024, 1.2)])
def test_little_of_what_is_computed_is_padding(count, most):
    draw = random.Random(0)
    lengths = [min(47, max(7, round(draw.gauss(21, 6)))) for _ in range(count)]
    batches = by_length([[0] * length for length in lengths], 64)
    computed = sum(filled(len(batch)) * even_length(max(lengths[i] for i in batch)) for batch in batches)
    assert computed <= most * sum(lengths)
