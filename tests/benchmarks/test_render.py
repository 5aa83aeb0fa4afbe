"""The pages' tables are made of results/: bars are judged by what they say, and misses are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def render():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        import render

        yield render


@pytest.mark.parametrize(
    ("value", "bar", "met"),
    [
        (65.0, ">= 65", True), (64.9, ">= 65", False), (0.7, "<= 0.7", True), (0.71, "<= 0.7", False),
        (0.01, "< 0.01", False), (0.02, "> 0.016, the beta-VAE", True), (0, "0", True), (1, "0", False),
        (104.0, "<= 92, and below ptb.lm_word_ppl", False), (9999, "10,000", False),
    ],
)  # fmt: skip
def test_a_bar_is_met_as_it_says(render, value, bar, met):
    assert render._met(value, bar) is met


def test_the_headlines_show_misses_and_know_every_row(render):
    table = render.headlines()
    assert len(table.splitlines()) == len(render.HEADLINES) + 2
    assert re.search(r"\*\*no\*\* \|$", table, re.MULTILINE) and "| yes |" in table


def test_a_block_of_an_unknown_name_is_refused(render):
    with pytest.raises(KeyError, match="absent"):
        render.fill(re.match(r"(<)(\w+)(>)", "<absent>"))
