"""A pretrained LM as the decoder: texts that begin with given words, and shifts that rewrite a few."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from textvae import Attribute, TrainConfig
from textvae.attributes.shifting import shift
from textvae.training.build import build_model


@pytest.fixture(scope="module")
def vae(tmp_path_factory, sentences):
    """A model whose LM has a tokenizer as most have: a word at the start is another token than the same word later."""
    folder = tmp_path_factory.mktemp("lm")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    bpe.train_from_iterator(
        sentences,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(bpe.get_vocab()), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    options = {"size": "tiny", "decoder": str(folder), "max_length": 24, "precision": "fp32", "latent_dropout": 0.1}
    return build_model(TrainConfig(**options), sentences)


@pytest.mark.parametrize("temperature", [0, 1])
def test_texts_begin_with_their_prefixes(vae, sentences, temperature):
    latents = vae.encode(sentences)
    prefixes = [" ".join(text.split()[: i % 3]) for i, text in enumerate(sentences)]
    written = vae.decode(latents, prefixes=prefixes, temperature=temperature, seed=1)
    assert all(text.startswith(prefix) for text, prefix in zip(written, prefixes, strict=True))
    assert any(len(text) > len(prefix) for text, prefix in zip(written, prefixes, strict=True))


def test_the_closed_loop_rewrites_with_it(vae, sentences):
    half = len(sentences) // 2
    attribute = Attribute.fit(vae, sentences[:half], sentences[half:])
    plain, closed = (shift(vae, sentences[:half], attribute, -1.0, candidates=count) for count in (1, 8))
    assert all(each.text for each in closed)
    assert np.mean([each.similarity for each in closed]) > np.mean([each.similarity for each in plain])
