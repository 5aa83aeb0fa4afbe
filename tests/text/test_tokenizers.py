import doctest
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from textvae.text import tokenizers as tokenization
from textvae.text.tokenizers import encoder_ids, load_tokenizer, pad, readable, to_texts, train_tokenizer, wrap

BOS, EOS, PAD = 0, 1, 2
CONTROL = ["<s>", "</s>", "<pad>", "<mask>"]
TEXTS = [
    "The Quick brown FOX jumped .",
    "I do n't know , it 's \"fine\" ( really ) !",
    "3.14 % of $ 1,000 is 31.4 -- ok ?",
    "Größe, façade, naïve: déjà vu",
    "Привет, как дела?",
    "東京は日本の首都です。",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "e\u0301 is not \u00e9",
    "a family \U0001f468\u200d\U0001f469\u200d\U0001f467 and a fox \U0001f98a",
    "two  spaces\tand a tab",
    "nul\0inside",
    "",
]
TEXTS += [*CONTROL, "<s> hello", "good </s> bad", "a<pad>b", "<mask><mask>", "<unk> [CLS] [SEP]", " </s>"]


def limit(max_length):
    return SimpleNamespace(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, max_length=max_length)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS[:4] * 3, 400)


def test_the_examples_run():
    assert doctest.testmod(tokenization).failed == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(tokenizer, text):
    (row,) = wrap(tokenizer, [text], limit(1000))
    assert to_texts(tokenizer, [row]) == [text.strip()]


@given(text=st.one_of(st.text(), st.lists(st.sampled_from([*CONTROL, " ", "a", "</", "s>"])).map("".join)))
@example(text="\ufeff\u200b\u2028")
def test_any_text_comes_back_and_holds_no_special_token(tokenizer, text):
    (row,) = wrap(tokenizer, [text], limit(10_000))
    assert row[0] == BOS and row[-1] == EOS
    assert min(row[1:-1], default=4) > 3  # byte-level: nothing is unknown, and no text can end a sentence
    assert to_texts(tokenizer, [row]) == [text.strip()]


def test_the_special_tokens_have_the_ids_that_the_configuration_expects(tokenizer):
    assert tokenizer.convert_tokens_to_ids(CONTROL) == [0, 1, 2, 3]
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id)
    assert ids == (0, 1, 2, 3)
    assert tokenizer.unk_token_id is None


@pytest.mark.parametrize(("asked", "got"), [(1, 260), (260, 260), (262, 262)])
def test_the_vocabulary_is_as_large_as_asked_and_holds_every_byte(asked, got):
    tokenizer = train_tokenizer(["the food the food the food"], asked)
    assert len(tokenizer) == got
    assert to_texts(tokenizer, wrap(tokenizer, ["\U0001f98a"], limit(20))) == ["\U0001f98a"]


def test_training_is_deterministic(tokenizer):
    assert train_tokenizer(TEXTS[:4] * 3, 400).get_vocab() == tokenizer.get_vocab()


def test_a_first_word_has_the_token_of_the_same_word_inside(tokenizer):
    (row,) = wrap(train_tokenizer(["fox fox fox and fox"] * 3, 300), ["fox and fox"], limit(20))
    assert row[1] == row[-2]


@pytest.mark.parametrize("max_length", [3, 5, 9])
def test_a_long_text_is_cut_and_keeps_its_end(tokenizer, max_length):
    text = "the quick brown fox jumped over the lazy dog"
    (whole,) = wrap(tokenizer, [text], limit(1000))
    (row,) = wrap(tokenizer, [text], limit(max_length))
    assert row == [*whole[: max_length - 1], EOS]


def test_a_text_that_just_fits_is_not_cut(tokenizer):
    (whole,) = wrap(tokenizer, ["the fox"], limit(1000))
    assert wrap(tokenizer, ["the fox"], limit(len(whole))) == [whole]


def test_no_texts_give_no_rows(tokenizer):
    assert wrap(tokenizer, [], limit(10)) == encoder_ids(tokenizer, [], 10) == to_texts(tokenizer, []) == []


def test_padding_fills_on_the_right_and_the_mask_says_where():
    ids, mask = pad([[0, 7, 1], [0, 1], [0, 8, 9, 1]], PAD)
    assert ids.tolist() == [[0, 7, 1, 2], [0, 1, 2, 2], [0, 8, 9, 1]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert ids.dtype == mask.dtype == torch.int64


def test_special_tokens_are_not_written(tokenizer):
    (row,) = wrap(tokenizer, ["the fox"], limit(20))
    assert to_texts(tokenizer, [[*row, PAD, PAD], [BOS, EOS], []]) == ["the fox", "", ""]


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert wrap(loaded, TEXTS, limit(64)) == wrap(tokenizer, TEXTS, limit(64))
    assert to_texts(loaded, wrap(loaded, TEXTS, limit(1000))) == [text.strip() for text in TEXTS]


def test_a_pretrained_encoder_adds_its_own_special_tokens_and_reads_none_from_the_text():
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "the": 3, "fox": 4}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[UNK]"
    )
    assert encoder_ids(tokenizer, ["the fox", "the the the fox"], 5) == [[1, 3, 4, 2], [1, 3, 3, 3, 2]]
    (row,) = encoder_ids(tokenizer, ["the [SEP] fox"], 20)
    assert row.count(2) == 1 and row[-1] == 2


def test_a_lower_case_tokenizer_reads_and_writes_lower_case_also_after_loading(tokenizer, tmp_path):
    train_tokenizer(TEXTS[:4], 400, lowercase=True).save_pretrained(tmp_path)
    lower = load_tokenizer(tmp_path)
    rows = wrap(lower, ["The Quick FOX", "the quick fox"], limit(40))
    assert rows[0] == rows[1]
    assert to_texts(lower, rows) == ["the quick fox"] * 2 == readable(lower, ["The Quick FOX"]) * 2
    assert readable(tokenizer, ["The FOX"]) == ["The FOX"]
    assert not any(character in lower.get_vocab() for character in ("The", "FOX", "\u0120The"))


def test_many_threads_share_a_tokenizer():
    """Changing a tokenizer while another thread encodes with it waits for ever: in a process that can be stopped."""
    code = """
import threading
from textvae.text.tokenizers import encoder_ids, train_tokenizer
shared = train_tokenizer(["a b c d e f"], 300)
texts = ["the soup was cold </s> " * 5] * 50
rows = []
def work():
    for _ in range(15):
        rows.append(encoder_ids(shared, texts, 8))
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(rows) == 90 and all(row == rows[0] for row in rows)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_texts_of_any_length_are_read_in_calls_of_bounded_length(tokenizer, monkeypatch):
    texts = ["", "a family", "and a fox " * 30, "", "a", "fox " * 5]
    together = wrap(tokenizer, texts, limit(12)), encoder_ids(tokenizer, texts, 12)
    monkeypatch.setattr(tokenization, "CHARACTERS_AT_ONCE", 20)
    assert list(tokenization._groups(texts)) == [texts[:2], texts[2:3], texts[3:5], texts[5:]]
    assert (wrap(tokenizer, texts, limit(12)), encoder_ids(tokenizer, texts, 12)) == together
