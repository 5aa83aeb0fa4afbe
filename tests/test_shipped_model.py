"""The model that ships: it loads, does what its card says, and is small."""

import json
from pathlib import Path

import pytest

from textvae import TextVAE
from textvae.evaluation.text_scores import bleu

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "data" / "models" / "small"
SENTENCES = [
    "the food was great and the staff was friendly.",
    "a man is riding a horse on the beach.",
    "two dogs are playing in the snow.",
    "i will never come back to this place.",
    "she read the letter again.",
]


@pytest.fixture(scope="module")
def shipped():
    return TextVAE.from_pretrained(SMALL)


def test_it_is_small():
    assert sum(file.stat().st_size for file in SMALL.rglob("*")) <= 20e6


def test_it_writes_back_what_it_reads(shipped):
    assert bleu(shipped.reconstruct(SENTENCES), SENTENCES) > 50
    assert shipped.reconstruct(["THE FOOD WAS GREAT."]) == shipped.reconstruct(["the food was great."])


def test_its_space_has_a_meaning(shipped):
    near, far = shipped.encode(["the food was bad and the staff was rude.", SENTENCES[1]])
    first = shipped.encode(SENTENCES[0])
    assert (first - near) @ (first - near) < (first - far) @ (first - far)


def test_its_samples_differ(shipped):
    assert len(set(shipped.sample(50, seed=0))) >= 49


def test_its_card_says_what_was_measured():
    rows = {row["id"]: row["value"] for row in json.loads((ROOT / "results" / "small.json").read_text())["rows"]}
    card = (SMALL / "README.md").read_text(encoding="utf-8")
    assert f"{rows['small.recon_bleu']:.1f}" in card and f"{rows['small.stsb_dev']:.3f}" in card
    assert rows["small.megabytes"] <= 20
