"""ONNX files give the posteriors of the models they come from, also for batches that were not traced."""

import json

import numpy as np
import pytest
import torch
from test_sentence_transformers import ODD, build, encoder  # noqa: F401  the fixture

from textvae import TextVAE
from textvae.cli import main
from textvae.integrations.onnx import save_onnx
from textvae.latent import onnx_file as exporting

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
OPTIONS = [{}, {"bn_gamma": 0.6}, {"keep_encoder": True, "residual": 0.1}, {"slot_dim": 4}, {"on_sphere": True}]


def run_file(folder, texts):
    """Return what onnxruntime and tokenizers alone make of texts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    read = tokenizer.encode_batch(texts)
    batch = {
        "input_ids": np.array([each.ids for each in read], np.int64),
        "attention_mask": np.array([each.attention_mask for each in read], np.int64),
    }
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return session.run(["mean", "log_std"], batch)


def check_file(vae, folder, texts):
    expected = vae.posterior(texts)
    assert expected.mean.abs().max() > 0.1
    for part in (texts, texts[:1], texts[3:5]):
        means, log_stds = run_file(folder, part)
        assert means.dtype == np.float32 and means.shape == (len(part), vae.dim)
        rows = [texts.index(text) for text in part]
        cosines = torch.cosine_similarity(torch.from_numpy(means), expected.mean[rows])
        assert cosines.min() >= 0.9999
        np.testing.assert_allclose(means, expected.mean[rows], atol=1e-4)
        np.testing.assert_allclose(log_stds, expected.log_std[rows], atol=1e-4)


@pytest.fixture
def texts(sentences):
    return [*sentences, "good</s>", "<pad> and <s>", "a much longer sentence , " * 60, "x", *ODD]


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_file_of_a_pretrained_encoder_gives_its_posterior(encoder, sentences, texts, tmp_path, options):  # noqa: F811
    vae = build(encoder, sentences, **options)
    save_onnx(vae, tmp_path / "export")
    check_file(vae, tmp_path / "export", texts)


def test_a_file_of_an_encoder_from_scratch_gives_its_posterior(small_vae, texts, tmp_path):
    before = small_vae.fingerprint
    save_onnx(small_vae, tmp_path / "export")
    check_file(small_vae, tmp_path / "export", texts)
    assert small_vae.fingerprint == before


def test_a_file_that_gives_other_vectors_is_not_kept(small_vae, tmp_path, monkeypatch):
    trace = exporting._trace
    other = lambda network, probe, file: trace(torch.nn.Sequential(), probe, file)  # noqa: E731
    monkeypatch.setattr(exporting, "LEAST_COSINE", 1.1)
    with pytest.raises(ValueError, match="gives other vectors"):
        save_onnx(small_vae, tmp_path / "export")
    assert not (tmp_path / "export").exists()
    monkeypatch.setattr(exporting, "_trace", other)
    with pytest.raises(ValueError, match="torch cannot export this encoder to ONNX"):
        save_onnx(small_vae, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_command_exports_a_run_to_onnx(small_vae, tmp_path, monkeypatch, capsys, sentences):
    monkeypatch.chdir(tmp_path)
    small_vae.save_pretrained("run")
    for _ in range(2):  # the second replaces the first
        assert main(["export", "run", "-o", "out", "--to", "onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"output": "out", "to": "onnx", "dim": small_vae.dim}
    check_file(TextVAE.from_pretrained("run", "cpu"), tmp_path / "out", sentences)
    assert main(["export", "run", "-o", "run", "--to", "onnx"]) == 3
