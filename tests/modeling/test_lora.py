"""Low-rank adapters on a pretrained decoder: what learns, what stays, and what is saved."""

import builtins

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from textvae import TextVAE, TrainConfig, train
from textvae.modeling import TextVAEConfig
from textvae.text.tokenizers import train_tokenizer
from textvae.training.build import build_model

OPTIONS = {"size": "tiny", "batch_tokens": 256, "precision": "fp32", "max_length": 16, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def lm(tmp_path_factory, sentences):
    """The folder of a small causal language model of another family than the decoder from scratch."""
    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("lm")
    tokenizer = train_tokenizer(sentences, 300)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def of_lm(vae):
    """Return the weights of the language model by the names they have without adapters."""
    state = vae.model.decoder.lm.state_dict()
    return {name.replace(".base_layer", ""): value for name, value in state.items() if "lora_" not in name}


def test_adapters_change_nothing_at_first(lm, sentences):
    torch.manual_seed(0)
    plain = build_model(TrainConfig(**OPTIONS, decoder=str(lm)), sentences)
    adapted = build_model(TrainConfig(**OPTIONS, decoder=str(lm), lora_rank=4), sentences)
    before, after = of_lm(plain), of_lm(adapted)
    assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)
    for name in ("prefix", "addition"):  # drawn at random in each
        getattr(adapted.model.decoder, name).load_state_dict(getattr(plain.model.decoder, name).state_dict())
    latents, ids = torch.randn(3, plain.dim), torch.randint(4, 90, (3, 9))
    torch.testing.assert_close(adapted.model.decode(latents, ids), plain.model.decode(latents, ids))


def test_only_adapters_and_what_reads_the_latent_learn_and_a_run_goes_on_with_them(lm, sentences, tmp_path):
    corpus = sentences * 8
    config = TrainConfig(**OPTIONS, decoder=str(lm), lora_rank=4, max_steps=6, eval_steps=3)
    vae = train(corpus, tmp_path / "run", config, valid=sentences)
    original = AutoModelForCausalLM.from_pretrained(lm).state_dict()
    assert all(torch.equal(of_lm(vae)[name], value) for name, value in original.items())
    adapters = {name: value for name, value in vae.model.state_dict().items() if "lora_B" in name}
    assert len(adapters) == 14 and all(value.abs().max() > 0 for value in adapters.values())  # 7 layers in 2 blocks
    vae.save_pretrained(tmp_path / "copy")
    copy = TextVAE.from_pretrained(tmp_path / "copy")
    latents = vae.encode(sentences)
    assert copy.decode(latents) == vae.decode(latents)

    more = TrainConfig(batch_tokens=256, precision="fp32", from_=str(tmp_path / "run"), max_steps=2, eval_steps=2)
    tuned = train(corpus, tmp_path / "tuned", more, valid=sentences)
    assert all(torch.equal(of_lm(tuned)[name], value) for name, value in original.items())
    moved = [not torch.equal(tuned.model.state_dict()[name], value) for name, value in adapters.items()]
    assert all(moved)


def test_an_encoder_that_is_kept_is_kept_by_a_model_that_goes_on_from_it(lm, sentences, tmp_path):
    from transformers import BertConfig, BertModel

    train_tokenizer(sentences, 300).save_pretrained(tmp_path / "encoder")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=300, pad_token_id=2, **shape)).save_pretrained(tmp_path / "encoder")
    options = {"encoder": str(tmp_path / "encoder"), "keep_encoder": True, "residual": 0.2, "vocab_size": 300}
    config = TrainConfig(**OPTIONS, **options, max_steps=2, eval_steps=2)
    source = train(sentences * 8, tmp_path / "run", config, valid=sentences)
    more = TrainConfig(batch_tokens=256, precision="fp32", from_=str(tmp_path / "run"), max_steps=2, eval_steps=2)
    tuned = train(sentences * 8, tmp_path / "tuned", more, valid=sentences)
    before, after = source.model.encoder.state_dict(), tuned.model.encoder.state_dict()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("backbone")} <= kept
    assert "mean.weight" not in kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora_rank": -1, "decoder": "folder"}, "--lora-rank must not be negative, got -1"),
        ({"lora_rank": 4}, "--lora-rank is for a pretrained --decoder, got 4"),
        ({"lora_rank": 4, "decoder": "transformer"}, "--lora-rank is for a pretrained --decoder, got 4"),
        ({"lora_rank": 4, "from_": "run"}, "--lora-rank comes with the model of --from, got 4"),
    ],
)
def test_what_does_not_go_with_adapters(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


def test_a_gru_takes_no_adapters():
    with pytest.raises(ValueError, match="lora_rank is at least 0 and goes with a transformer decoder, got 2"):
        TextVAEConfig.preset("tiny", vocab_size=300, lora_rank=2)


def test_without_peft_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without_peft(name, *rest):
        if name.split(".")[0] == "peft":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    from textvae.modeling import TextVAEModel

    with pytest.raises(ImportError, match=r"pip install 'textvae\[peft\]'"):
        TextVAEModel(TextVAEConfig.preset("tiny", vocab_size=300, decoder="transformer", lora_rank=2))
