"""Exports: what sentence-transformers loads gives the latents that the model itself gives."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from textvae import TextVAE, TrainConfig
from textvae.attributes.pseudo_labels import sentence_embeddings
from textvae.cli import main
from textvae.integrations.sentence_transformers import save_sentence_transformer
from textvae.storage.folders import check_manifest
from textvae.text.tokenizers import train_tokenizer
from textvae.training.build import build_model

WIDTH = 24


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, sentences):
    """An untrained BERT with its tokenizer, as a folder for --encoder."""
    from tokenizers.processors import TemplateProcessing

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_tokenizer(sentences, 300)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=2,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def build(encoder, sentences, on_sphere=False, **options):
    vae = build_model(TrainConfig(size="tiny", encoder=str(encoder), max_length=16, **options), sentences)
    vae.model.config.unit_mean = vae.model.encoder.on_sphere = on_sphere  # as with a teacher
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():  # as training would leave them: no zeros, no ones
        for name, value in vae.model.encoder.state_dict().items():
            if name.startswith(("norm.", "mean.", "batch_norm.running")):
                value += torch.rand(value.shape, generator=generator)
    return vae


ODD = [
    " the\u00a0 room\r\nwas\u3000cold ",
    "so\u00adup \u200bcafe\u0301",
    "a\u200db \u200c c",
    "👩\u200d💻",
    "\u0928\u200d\u0928\u200c",
    "a\0b",
]


def texts(sentences):
    return [*sentences, "good</s>", "<pad> and <s>", "a much longer sentence , " * 60, "é 🦊", "x", *ODD]


SLOTS = {"slot_dim": 4, "beta": 0.001, "free_bits": 0.5}  # the meaning apart
OPTIONS = [{}, {"latent_dim": 7}, {"bn_gamma": 0.6}, {"keep_encoder": True}, SLOTS, {"on_sphere": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sentence_transformers_gives_the_latents_of_the_model(encoder, sentences, tmp_path, monkeypatch, options):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    vae = build(encoder, sentences, **options)
    save_sentence_transformer(vae, tmp_path / "export")
    loaded = sentence_transformers.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    expected = vae.encode(texts(sentences))
    assert np.abs(expected).max() > 0.1
    for batch_size in (1, 32):
        vectors = loaded.encode(texts(sentences), batch_size=batch_size)
        assert vectors.dtype == np.float32
        assert np.abs(vectors - expected).max() < 1e-5


def test_an_export_labels_texts_for_an_attribute(encoder, sentences, tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    vae = build(encoder, sentences)
    save_sentence_transformer(vae, tmp_path / "export")
    latents = vae.encode(sentences)
    found = sentence_embeddings(str(tmp_path / "export"), sentences, "cpu")
    np.testing.assert_allclose(found, latents / np.linalg.norm(latents, axis=1, keepdims=True), atol=1e-5)
    assert found.dtype == np.float32


def test_loading_an_export_misses_no_weight_and_warns_of_nothing(encoder, sentences, tmp_path, caplog):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    save_sentence_transformer(build(encoder, sentences), tmp_path / "export")
    caplog.clear()
    loaded = sentence_transformers.SentenceTransformer(str(tmp_path / "export"), device="cpu")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [name for name, _ in loaded.named_parameters() if "pooler" in name]
    assert loaded.max_seq_length == loaded.tokenizer.model_max_length == 64  # as many positions as the encoder has


def test_an_export_is_whole_without_pickle_and_leaves_the_model_alone(encoder, sentences, tmp_path):
    vae = build(encoder, sentences, bn_gamma=0.6)
    latents, before = vae.encode(sentences), vae.fingerprint
    cut = vae.encoder_tokenizer.backend_tokenizer.truncation
    for _ in range(2):  # the second replaces the first
        save_sentence_transformer(vae, tmp_path / "export")
    check_manifest(tmp_path / "export")
    files = {file.relative_to(tmp_path / "export").as_posix() for file in (tmp_path / "export").rglob("*.*")}
    assert {file.rsplit(".", 1)[1] for file in files if "." in file} == {"json", "safetensors"}
    assert str(tmp_path) not in "".join(file.read_text() for file in (tmp_path / "export").rglob("*.json"))
    types = [module["type"] for module in json.loads((tmp_path / "export/modules.json").read_text())]
    assert all(name.startswith("sentence_transformers.models.") for name in types)
    dense = load_file(tmp_path / "export/3_Dense/model.safetensors")
    assert dense["linear.weight"].shape == (vae.dim, WIDTH)
    del vae.__dict__["fingerprint"]
    assert vae.fingerprint == before
    assert vae.encoder_tokenizer.backend_tokenizer.truncation == cut is not None
    assert np.array_equal(vae.encode(sentences), latents)


def test_an_encoder_from_scratch_is_refused_and_nothing_is_written(small_vae, encoder, sentences, tmp_path):
    with pytest.raises(ValueError, match="from scratch and pools by attention, .* with a pretrained --encoder"):
        save_sentence_transformer(small_vae, tmp_path / "export")
    with pytest.raises(ValueError, match="one length and normalises them over batches, .* without --bn-gamma"):
        save_sentence_transformer(build(encoder, sentences, on_sphere=True, bn_gamma=0.6), tmp_path / "export")
    with pytest.raises(ValueError, match="adds a learnt residual to its encoder's embedding, .* --residual 0"):
        save_sentence_transformer(build(encoder, sentences, keep_encoder=True, residual=0.1), tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_another_folder_is_not_replaced(encoder, sentences, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="it has no modules.json"):
        save_sentence_transformer(build(encoder, sentences), tmp_path)


def test_the_command_exports_a_run(encoder, sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    build(encoder, sentences).save_pretrained("run")
    assert main(["export", "run", "-o", "out", "--to", "sentence-transformers", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {"output": "out", "to": "sentence-transformers", "dim": 32}
    save_sentence_transformer(TextVAE.from_pretrained("run", "cpu"), "again")
    written, again = ((tmp_path / name / "manifest.json").read_text() for name in ("out", "again"))
    assert written == again
    assert main(["export", "run", "-o", "run"]) == 3
    assert capsys.readouterr().err == "textvae: run exists and is not an export: choose another folder\n"
    assert main(["export", "run", "-o", "out", "--to", "openvino"]) == 2
