"""The form in which a model reads texts: `normalised`, and the mark in the model's configuration."""

import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from textvae import TextVAE
from textvae.modeling import TextVAEConfig
from textvae.text.cleaning import GateReport, clean_one, gate, normalised
from textvae.text.tokenizers import add_normalisation, train_tokenizer

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # its non-joiner keeps two letters apart
TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("a \n\t\u00a0\u00ad\u200b\u200c\u200d\u0301\u3000\ufeff\u0928"))
)


@pytest.mark.parametrize(
    "text, read",
    [
        ("the soup was cold.\n", "the soup was cold."),
        ("the\u00a0soup\u2009was\u3000cold.", "the soup was cold."),
        ("the soup\r\nwas\u2028cold.", "the soup was cold."),
        ("cafe\u0301", "caf\u00e9"),
        ("so\u00adup, \u200bso\u2060up, \ufeffsoup, \u200esoup\u202c", "soup, soup, soup, soup"),
        ("so\u200dup \u200csoup", "soup soup"),
        (FAMILY, FAMILY),
        (PERSIAN, PERSIAN),
        ("\u201cIt\u2019s\u201d \uff26ull", "\u201cIt\u2019s\u201d \uff26ull"),
    ],
)
def test_a_text_is_read_as_it_looks(text, read):
    assert normalised(text) == read
    assert normalised(text, 0) == text


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_normalising_twice_changes_nothing_more(text):
    once = normalised(gate(text))
    assert normalised(once) == once
    assert once == " ".join(once.split())
    assert unicodedata.is_normalized("NFC", once)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_a_text_is_read_alike_from_a_corpus_and_from_python(text):
    assert normalised(clean_one(text, GateReport())) == normalised(gate(text))


TOKENIZER = train_tokenizer(["a"], 300)
add_normalisation(TOKENIZER, 1)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_tokenizer_that_is_exported_normalises_alike(text):
    assume(not set(text) & set("\u200c\u200d"))  # beside which an export may leave a character uncomposed
    text = gate(text)
    assert TOKENIZER.backend_tokenizer.normalizer.normalize_str(text) == normalised(text)


@pytest.fixture(scope="module")
def marked():
    return TextVAE.from_texts(
        ["the soup was cold.", "the cafe\u0301 is dear."], TextVAEConfig.preset("tiny", vocab_size=300)
    )


LOOKS_LIKE = ["the\u00a0cafe\u0301  was\ncold.\n", "the caf\u00e9 wa\u00ads cold."]


def test_a_model_with_the_mark_encodes_texts_that_look_alike_alike(marked):
    plain, *others = marked.encode(["the caf\u00e9 was cold.", *LOOKS_LIKE])
    for vector in others:
        np.testing.assert_allclose(vector, plain, atol=1e-6)
    assert len({tuple(row) for row in marked.read(["the caf\u00e9 was cold.", *LOOKS_LIKE]).ids}) == 1


def test_the_mark_is_saved_and_an_older_model_without_it_reads_texts_as_they_are(marked, tmp_path):
    marked.save_pretrained(tmp_path / "run")
    assert TextVAE.from_pretrained(tmp_path / "run").model.config.text_normalization == 1
    older = TextVAE(marked.model, marked.tokenizer)
    older.model.config.text_normalization = 0
    try:
        ids = older.read(["the caf\u00e9 was cold.", *LOOKS_LIKE]).ids
    finally:
        older.model.config.text_normalization = 1
    assert len({tuple(row) for row in ids}) == 3
    assert TextVAEConfig.preset("tiny", vocab_size=300).text_normalization == 0


def test_a_newer_mark_is_refused():
    with pytest.raises(ValueError, match=r"text_normalization must be in 0..1, got 2: a newer textvae may know it"):
        TextVAEConfig(text_normalization=2)
