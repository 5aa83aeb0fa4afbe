"""A static encoder imitates the latents of its teacher, is saved and loaded, and writes by the same decoder."""

import json

import numpy as np
import pytest
import torch

from textvae import TextVAE
from textvae.cli import main
from textvae.modeling import TextVAEConfig
from textvae.training.static import distill_static

WORDS = ["soup", "bread", "waiter", "room", "coffee", "phone", "dog", "museum", "was", "cold", "fresh", "late", "good"]


@pytest.fixture(scope="module")
def texts():
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, 5)) for _ in range(400)]


@pytest.fixture(scope="module", params=[0, 4], ids=["no slots", "slots"])
def teacher(texts, request):
    config = TextVAEConfig.preset("tiny", vocab_size=320, max_length=24, unit_mean=True, slot_dim=request.param)
    return TextVAE.from_texts(texts, config)


@pytest.fixture(scope="module")
def distilled(teacher, texts):
    return distill_static(teacher, texts, epochs=8)


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_its_latents_are_near_those_of_the_teacher(teacher, distilled, texts):
    far = cosines(teacher.encode(texts[:200]), teacher.encode(texts[200:])).mean()  # of texts with each other
    near = cosines(distilled.vae.encode(texts), teacher.encode(texts)).mean()
    assert distilled.cosine > 0.9 and near > 0.9
    assert 1 - near < 0.5 * (1 - far)
    np.testing.assert_allclose(np.linalg.norm(distilled.vae.encode(texts), axis=1), 32**0.5, rtol=1e-4)


def test_its_widths_are_the_mean_ones_of_the_teacher(teacher, distilled, texts):
    expected = teacher.posterior(texts).log_std.mean(0)
    np.testing.assert_allclose(distilled.vae.posterior(texts[:3]).log_std, expected.expand(3, -1), atol=0.02)


def test_a_look_up_without_padding_gives_what_the_network_gives(distilled, texts, sentences):
    given = [*texts, "", "a much longer sentence , " * 60, *sentences]
    found, expected = distilled.vae.encode(given), distilled.vae.read(given).meaning.mean
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_is_saved_and_loaded_bit_for_bit(distilled, texts, tmp_path):
    distilled.vae.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run", "cpu")
    assert loaded.fingerprint == distilled.vae.fingerprint
    np.testing.assert_array_equal(loaded.encode(texts), distilled.vae.encode(texts))
    assert loaded.backend.used == "torch"


def test_the_decoder_is_that_of_the_teacher(teacher, distilled, texts):
    latents = teacher.encode(texts[:5])
    assert distilled.vae.decode(latents) == teacher.decode(latents)
    assert len(distilled.vae.reconstruct(texts[:2])) == 2


def test_the_teacher_stays_as_it_was(teacher, texts):
    before = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    distill_static(teacher, texts[:120], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in teacher.model.state_dict().items())


def test_latents_of_different_lengths_and_few_texts_are_refused(small_vae, teacher, texts):
    with pytest.raises(ValueError, match="train it with --teacher or --keep-encoder"):
        distill_static(small_vae, texts)
    with pytest.raises(ValueError, match="at least 100 texts, got 99"):
        distill_static(teacher, texts[:99])


def test_the_command_writes_a_run(teacher, texts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    teacher.save_pretrained("run")
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    words = ["distill", "run", "texts.txt", "-o", "fast", "--static", "--epochs", "2", "--device", "cpu", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 400
    assert json.loads((tmp_path / "fast" / "config.json").read_text())["encoder"]["model_type"] == "textvae-static"
    assert main(["encode", "fast", "texts.txt", "-o", "z.npy", "--quiet"]) == 0
    assert np.load("z.npy").shape == (400, 32)
    assert main(["distill", "run", "texts.txt", "-o", "fast"]) == 2
    assert main(["distill", "run", "texts.txt", "-o", "run", "--static"]) == 2
