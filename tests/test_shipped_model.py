"""The model that ships: it loads, does what its card says, and is small."""

import json
from pathlib import Path

import pytest

from textvae import TextVAE
from textvae.evaluation.text_scores import bleu

ROOT = Path(__file__).parent.parent
ENGLISH = ROOT / "data" / "models" / "english"
SENTENCES = [
    "Could you please send me the invoice for order 4471?",
    "A man is riding a horse on the beach.",
    "Two dogs are playing in the snow.",
    "I will never come back to this place.",
    "The government announced new rules for small companies on Monday.",
]


@pytest.fixture(scope="module")
def shipped():
    return TextVAE.from_pretrained(ENGLISH, "cpu")


def test_it_is_small():
    assert sum(file.stat().st_size for file in ENGLISH.rglob("*")) <= 40e6


def test_it_writes_back_what_it_reads(shipped):
    assert bleu(shipped.reconstruct(SENTENCES), SENTENCES) > 90


def test_its_space_has_a_meaning(shipped):
    cosines = shipped.similarity(
        shipped.encode(["The puppies ran through the snowy field.", "Please send the bill again."]),
        shipped.encode(SENTENCES),
    )
    assert cosines.argmax(1).tolist() == [2, 0]


@pytest.mark.parametrize(
    "other",
    ["the soup was cold.\n", "the\u00a0soup was\u00a0cold.", " the  soup\twas cold.", "the so\u00adup was cold."],
)
def test_spaces_that_look_alike_are_read_alike(shipped, other):
    assert (shipped.encode(other) == shipped.encode("the soup was cold.")).all()


def test_its_samples_differ(shipped):
    assert len(set(shipped.sample(50, seed=0))) >= 49


def test_it_knows_english_and_not_code(shipped):
    english, code = shipped.familiarity([SENTENCES[4], "for (int i = 0; i < n; ++i) { sum += a[i]; }"])
    assert code < 0.01 < english


def test_its_card_says_what_was_measured():
    rows = {row["id"]: row["value"] for row in json.loads((ROOT / "results" / "english.json").read_text())["rows"]}
    card = (ENGLISH / "README.md").read_text(encoding="utf-8")
    for key in ("recon_bleu", "sts_dev", "meaning.cosine", "shift.accuracy"):
        assert f"| {rows[f'english.{key}']:.3g} |" in card, key
    assert rows["english.megabytes"] <= 40
