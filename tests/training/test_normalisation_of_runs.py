"""A run reads its corpus in the form in which its model reads texts afterwards."""

import json

import pytest

from textvae import TextVAE, TrainConfig, train

PLAIN = [f"the caf\u00e9 number {i} was cold" for i in range(20)]
ODD = [f" the\u00a0cafe\u0301 number {i}\nwas co\u00adld" for i in range(20)]
OPTIONS = TrainConfig(size="tiny", max_steps=1, vocab_size=300)


def digest(folder):
    return json.loads((folder / "training.json").read_text())["corpus_sha256"]


def test_a_new_run_has_the_mark_and_one_continued_from_an_older_model_has_that_models(tmp_path):
    assert train(PLAIN, tmp_path / "plain", OPTIONS).model.config.text_normalization == 1
    train(ODD, tmp_path / "odd", OPTIONS)
    assert digest(tmp_path / "odd") == digest(tmp_path / "plain")
    with pytest.raises(ValueError, match="at least 2 different sentences, got 1 that occurs 2 times"):
        train([PLAIN[0], ODD[0]], tmp_path / "same", OPTIONS)
    older = TextVAE.from_pretrained(tmp_path / "plain")
    older.model.config.text_normalization = 0
    older.save_pretrained(tmp_path / "older")
    options = TrainConfig(from_=str(tmp_path / "older"), max_steps=1)
    assert train(ODD, tmp_path / "tuned", options).model.config.text_normalization == 0
    assert digest(tmp_path / "tuned") != digest(tmp_path / "plain")
