"""What users of sentence-transformers find again: arguments of encode, similarity, one latent, short reprs."""

import io

import numpy as np
import pytest
import torch

from textvae import Attribute
from textvae.latent.latents import Latents


def test_normalised_embeddings_have_length_one_and_the_same_directions(small_vae, sentences):
    plain, scaled = small_vae.encode(sentences), small_vae.encode(sentences, normalize_embeddings=True)
    lengths = np.linalg.norm(plain.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(scaled, plain / lengths, atol=1e-6)
    np.testing.assert_array_equal(small_vae.encode(sentences[0], normalize_embeddings=True).shape, (32,))
    assert small_vae.encode([], normalize_embeddings=True).shape == (0, 32)


def test_a_tensor_holds_what_the_array_holds(small_vae, sentences):
    tensor = small_vae.encode(sentences, convert_to_tensor=True)
    assert tensor.device == small_vae.device and not tensor.requires_grad
    assert np.array_equal(tensor.numpy(), small_vae.encode(sentences))
    assert small_vae.encode(sentences[0], convert_to_tensor=True).shape == (32,)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "drawn"), [(Terminal, True), (io.StringIO, False)])
def test_the_bar_is_drawn_on_a_terminal_only(small_vae, sentences, monkeypatch, stream, drawn):
    screen = stream()
    monkeypatch.setattr("sys.stderr", screen)
    shown = small_vae.encode(sentences, show_progress_bar=True, batch_size=2)
    assert ("8/8" in screen.getvalue()) is drawn
    assert np.array_equal(shown, small_vae.encode(sentences, batch_size=2))


def test_nothing_is_drawn_unless_asked(small_vae, sentences, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    small_vae.encode(sentences)
    assert screen.getvalue() == ""


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, list, lambda a: list(torch.from_numpy(a))])
def test_similarity_is_the_matrix_of_cosines(small_vae, convert):
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(3, 32)), generator.normal(size=(2, 32)) * 9
    expected = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    found = small_vae.similarity(convert(a), convert(b))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(small_vae.similarity(convert(a)[0], convert(b)), expected[:1], atol=1e-6)


def test_similarity_agrees_with_sentence_transformers(small_vae, sentences):
    util = pytest.importorskip("sentence_transformers.util")
    a = small_vae.encode(sentences)
    np.testing.assert_allclose(small_vae.similarity(a, a[:2]), util.cos_sim(a, a[:2]), atol=1e-6)


def test_similarity_leaves_its_arguments_alone(small_vae):
    a = np.ones((2, 3), np.float32)
    small_vae.similarity(a, a)
    assert (a == 1).all()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "vectors of 3 and 4 dimensions cannot be compared"),
        (np.ones((2, 3, 1)), np.ones(3), r"vectors have the shape \(D,\) or \(N, D\), got \(2, 3, 1\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(small_vae, a, b, message):
    with pytest.raises(ValueError, match=message):
        small_vae.similarity(a, b)


def test_one_latent_gives_a_list_of_its_text(small_vae, sentences):
    latents = small_vae.encode(sentences)
    written = small_vae.decode(latents)
    assert small_vae.decode(latents[0]) == written[:1]
    assert small_vae.decode(small_vae.encode(sentences, convert_to_tensor=True)) == written


def test_moving_the_model_returns_it_and_chooses_the_attention_again(small_vae, sentences):
    before = small_vae.encode(sentences)
    assert small_vae.to("cpu") is small_vae
    assert small_vae.to(torch.device("cpu")).device.type == "cpu"
    assert np.array_equal(small_vae.encode(sentences), before)
    assert small_vae.model.config._attn_implementation == "eager"


def test_the_attention_of_the_gpu_comes_back():
    from textvae.modeling.precision import prefer_attention

    class Model:
        class config:
            _attn_implementation = "sdpa"

        def set_attn_implementation(self, name):
            self.config._attn_implementation = name

    model = Model()
    for device, expected in (("cuda", "sdpa"), ("cpu", "eager"), ("cpu", "eager"), ("cuda", "sdpa")):
        prefer_attention(model, torch.device(device))
        assert model.config._attn_implementation == expected


def test_reprs_are_one_short_line_of_sizes(small_vae, sentences):
    size = small_vae.model.num_parameters()
    assert repr(small_vae) == f"TextVAE(dim=32, bert -> textvae-gru, {size:,} parameters on cpu)"
    reading = small_vae.read(sentences)
    tokens = sum(len(row) for row in small_vae.decoder_rows(sentences))
    assert repr(reading) == f"Reading(8 texts, dim=32, {tokens} token ids)"
    assert repr(reading.mean) == "Latents(8 texts, dim=32)"
    slotted = Latents(np.zeros((2, 4)), np.ones((2, 3, 5)), np.ones((2, 3)))
    assert repr(slotted) == "Latents(2 texts, dim=4, slots=3 x 5)"
    ones = np.ones(3, np.float32)
    attribute = Attribute(name="tone", weights=ones, midpoint=ones, direction=ones, word_weights=ones, fingerprint="0")
    assert repr(attribute) == "Attribute('tone', 'negative' to 'positive', dim=3, probe='means')"
