"""The labels of our own corpus can be read off its sentences, exactly."""

from pathlib import Path

import pytest

from textvae.text.corpus import read_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reader():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "data" / "corpus"))
        import corpus_reader
    return corpus_reader


@pytest.mark.parametrize("part", ["valid", "test"])
def test_every_label_is_read(reader, part):
    rows = list(read_rows(str(ROOT / "data" / f"{part}.tsv"), columns=[*reader.ATTRIBUTES, "topic"]))
    for row in rows:
        found = reader.read(str(row["text"]), str(row["topic"]))
        assert {name: found[name].value for name in reader.ATTRIBUTES} == {
            name: str(row[name]) for name in reader.ATTRIBUTES
        }, row["text"]
    assert len(rows) == 1000


@pytest.mark.parametrize(
    ("text", "topic", "expected"),
    [
        ("The view is bad and excellent.", "hotel", {"sentiment": None}),
        ("The view was bad, which annoys me.", "hotel", {"sentiment": "negative", "tense": None}),
        ("The HACCP-logged hot entree is bad.", "airline", {"sentiment": "negative"}),
        ("The view qzx.", "hotel", {"sentiment": "neutral", "tense": None, "brand_authority": "0"}),
    ],
    ids=["two sides", "two tenses", "a name is no praise", "nothing"],
)
def test_what_contradicts_itself_has_no_class(reader, text, topic, expected):
    found = reader.read(text, topic)
    assert {name: found[name].value for name in expected} == expected


def test_the_words_that_tell(reader):
    text = "Alas, the turbocharger from this fashionable car clinic was weak."
    found, words = reader.read(text, "garage"), reader.split(text)
    told = {name: [words[i] for i in sorted(reading.words)] for name, reading in found.items()}
    assert told == {
        "sentiment": ["alas", "weak"],
        "tense": ["was"],
        "technical_depth": ["turbocharger"],
        "brand_authority": ["fashionable"],
    }
