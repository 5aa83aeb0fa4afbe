"""Latents that say nothing: a decoder learns from them, and those of older models are read as before."""

import pytest
import torch
from transformers import LlamaConfig

from textvae.modeling import TextVAEConfig, TextVAEModel

DEEP = 40  # layers: with zero vectors for a prefix, RMSNorms make a gradient of more than 1e38, which is no float32


def deep_config(latent_dropout=0.5, layers=DEEP):
    decoder = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=2,
        max_position_embeddings=64,
    )  # fmt: skip
    encoder = TextVAEConfig.preset("tiny", vocab_size=300).encoder
    return TextVAEConfig(
        encoder=encoder, decoder=decoder, latent_dim=16, latent_dropout=latent_dropout, prefix_length=4, max_length=24
    )


def sentence_ids(rows=6):
    ids = torch.randint(4, 300, (rows, 12))
    ids[:, 0], ids[:, -1] = 0, 1
    return ids


def gradient_norm(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item()


def test_dropped_latents_leave_the_gradients_of_a_deep_decoder_finite():
    model = TextVAEModel(deep_config()).train()
    norm = gradient_norm(model, model(sentence_ids(), generator=torch.Generator().manual_seed(0)).loss)
    assert norm < 1e4


@pytest.mark.parametrize("kind", ["gru", "transformer", "llama", "gru with slots"])
def test_a_zero_latent_has_a_gradient_like_that_of_any_other(kind):
    config = deep_config()
    if kind != "llama":
        slots = {"slot_dim": 4} if "slots" in kind else {}
        config = TextVAEConfig.preset("tiny", vocab_size=300, decoder=kind.split()[0], latent_dropout=0.5, **slots)
    model, ids = TextVAEModel(config).eval(), sentence_ids()
    latents = torch.randn(len(ids), config.latent_dim)
    zero, drawn = (
        gradient_norm(model, model.decoder.nats(ids, points, ids)[0]) for points in (torch.zeros_like(latents), latents)
    )
    assert zero < 10 * drawn


def test_a_blank_latent_is_learnt():
    model = TextVAEModel(deep_config(layers=2))
    ids = sentence_ids()
    optimizer = torch.optim.Adam([model.decoder.prefix.bias], lr=0.1)
    nats = [model.decoder.nats(ids, torch.zeros(len(ids), 16), ids)[0]]
    for _ in range(5):
        optimizer.zero_grad()
        nats[-1].backward()
        optimizer.step()
        nats.append(model.decoder.nats(ids, torch.zeros(len(ids), 16), ids)[0])
    assert nats[-1] < nats[0] - 0.1


def test_an_older_model_keeps_the_zero_prefix_that_it_was_saved_with(tmp_path):
    model = TextVAEModel(deep_config(layers=2)).eval()
    assert model.decoder.prefix.bias.abs().min() > 0
    torch.nn.init.zeros_(model.decoder.prefix.bias)
    model.save_pretrained(tmp_path)
    loaded = TextVAEModel.from_pretrained(tmp_path)
    assert not loaded.decoder.prefix.bias.any()
    ids, latents = sentence_ids(), torch.randn(6, 16)
    torch.testing.assert_close(loaded.decode(latents, ids), model.decode(latents, ids), rtol=0, atol=0)
