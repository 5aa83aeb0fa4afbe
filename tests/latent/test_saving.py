"""Saving a model into its folder: its own files are replaced, those of others stay, and no newer save is lost."""

import json
import os

import pytest

from textvae import Attribute, LatentIndex, TextVAE
from textvae.storage.folders import check_manifest
from textvae.storage.locks import only_writer


@pytest.fixture
def vae(run):
    return TextVAE.from_pretrained(run)


def test_what_others_put_into_a_run_folder_survives(vae, run, sentences):
    LatentIndex.build(vae, sentences).save(run / "index")
    Attribute.fit(vae, sentences[:4], sentences[4:]).save(run / "attributes" / "mood")
    (run / "note.txt").write_text("mine")
    (run / "metrics.jsonl").write_text("{}\n")
    vae.fit_prior(sentences * 5)
    vae.save_pretrained(run)
    loaded = TextVAE.from_pretrained(run)
    assert (loaded.prior.sample(3, 0) == vae.prior.sample(3, 0)).all()
    assert LatentIndex.load(run / "index", loaded).texts == sentences
    assert Attribute.load(run / "attributes" / "mood").fingerprint == loaded.fingerprint
    assert (run / "note.txt").read_text() == "mine" and (run / "metrics.jsonl").exists()


def test_files_of_the_older_model_go(vae, run, sentences):
    (run / "encoder_tokenizer").mkdir()
    (run / "encoder_tokenizer" / "vocab.txt").write_text("of another model")
    (run / "model-00001-of-00002.safetensors").write_text("of another model")
    vae.fit_prior(sentences * 5)
    vae.save_pretrained(run)
    listed = json.loads((run / "manifest.json").read_text())
    assert {file.name for file in run.iterdir()} == {*listed, "manifest.json"}
    assert "prior.safetensors" in listed and "encoder_tokenizer" not in os.listdir(run)
    fresh = TextVAE.from_pretrained(run)
    fresh.prior = type(fresh).from_texts(sentences, fresh.model.config).prior
    fresh.save_pretrained(run)
    assert not (run / "prior.safetensors").exists()
    check_manifest(run)


def test_a_model_that_another_handle_has_saved_since_is_not_overwritten(vae, run, sentences):
    late = TextVAE.from_pretrained(run)
    vae.fit_prior(sentences * 5)
    vae.save_pretrained(run)
    with pytest.raises(ValueError, match="saved by another writer since"):
        late.save_pretrained(run)
    vae.save_pretrained(run, dtype="bfloat16")
    vae.save_pretrained(run)  # its own save is no other's
    late.save_pretrained(run.with_name("copy"))
    assert (run / "prior.safetensors").exists() and not (run.with_name("copy") / "prior.safetensors").exists()


def test_a_folder_that_is_being_written_is_refused(vae, run, sentences):
    with only_writer(run), pytest.raises(BlockingIOError, match="is writing"):
        vae.save_pretrained(run)
    attribute = Attribute.fit(vae, sentences[:4], sentences[4:])
    with only_writer(run / "mood"), pytest.raises(BlockingIOError, match="is writing"):
        attribute.save(run / "mood")
    TextVAE.from_pretrained(run)


BOUNDS = [
    (lambda vae: vae.sample(10**6), "n must be at most 100,000, got 1,000,000"),
    (lambda vae: vae.sample(10**15), "n must be at most 100,000"),
    (lambda vae: vae.vary("a", 10**9), "n must be at most 100,000"),
    (lambda vae: vae.interpolate("a", "b", 10**9), "n must be at most 100,000"),
    (lambda vae: vae.decode(vae.encode(["a"]), temperature=1, candidates=10**6), "candidates must be at most 1,000"),
    (lambda vae: vae.decode(vae.encode(["a"]), num_beams=10**6), "num_beams must be at most 1,000"),
    (lambda vae: vae.decode(vae.encode(["a"]), refinements=10**9), "refinements must be at most 1,000"),
    (lambda vae: vae.log_likelihood(["a"], num_samples=10**9), "num_samples must be at most 100,000"),
]


@pytest.mark.parametrize(("call", "message"), BOUNDS, ids=[message for _, message in BOUNDS])
def test_an_argument_that_decides_memory_has_a_bound(small_vae, call, message):
    with pytest.raises(ValueError, match=message):
        call(small_vae)


def test_large_batches_are_cut_where_their_logits_would_not_fit(small_vae, monkeypatch):
    from textvae.latent import decoding

    latents = small_vae.encode(["the soup was hot", "our waiter", "great coffee"])
    whole = small_vae.decode(latents, num_beams=3)
    monkeypatch.setattr(decoding, "MOST_LOGITS", 3 * small_vae.model.config.decoder.vocab_size)
    assert decoding.rows_at_once(256, 3, small_vae.model.config.decoder.vocab_size) == 1
    assert small_vae.decode(latents, num_beams=3, batch_size=10**12) == whole
    monkeypatch.undo()
    assert decoding.rows_at_once(256, 4, 8192) == 256  # ordinary calls are as they were
    assert small_vae.encode(["a"], batch_size=10**12).shape == (1, small_vae.dim)
