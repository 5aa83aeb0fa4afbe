"""A file that cannot be written ends a training with the code of a full disk, and it resumes to the same weights."""

import errno
import resource

import pytest

from textvae import TrainConfig, train
from textvae.cli.errors import EXHAUSTED, explain
from textvae.storage.atomic import sha256

QUICK = {"size": "tiny", "vocab_size": 300, "batch_tokens": 256, "max_steps": 4, "eval_steps": 2, "save_steps": 1}


@pytest.mark.parametrize("megabytes", [4, 1])  # for the weights but not the optimizer, and for neither
def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path, sentences, megabytes):
    config, texts = TrainConfig(**QUICK), sentences * 3
    train(texts, tmp_path / "whole", config, valid=sentences)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes << 20, limits[1]))
    try:
        with pytest.raises(Exception, match=r"free some space|[Ff]ile too large") as caught:
            train(texts, tmp_path / "run", config, valid=sentences)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert explain(caught.value).code == EXHAUSTED
    assert not list((tmp_path / "run").glob(".staged-*"))
    train(texts, tmp_path / "run", config, valid=sentences, resume=True)
    assert sha256(tmp_path / "run/model.safetensors") == sha256(tmp_path / "whole/model.safetensors")


def test_other_errors_of_a_save_stay_what_they_are(tmp_path, sentences, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("something else")

    monkeypatch.setattr("torch.save", fail)
    with pytest.raises(RuntimeError, match="something else") as caught:
        train(sentences * 3, tmp_path / "run", TrainConfig(**QUICK), valid=sentences)
    assert getattr(caught.value, "errno", None) != errno.ENOSPC
