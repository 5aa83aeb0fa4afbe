"""Tokenizers: byte-level BPE trained on the corpus, or that of a pretrained model; special tokens and padding."""

# B sentences, T tokens
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

# In this order, so that the ids are 0, 1, 2, 3, the defaults of TextVAEConfig.
BOS, EOS, PAD, MASK = "<s>", "</s>", "<pad>", "<mask>"


class SpecialTokens(Protocol):
    """Ids and maximum length that `wrap` needs."""

    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    max_length: int


def train_tokenizer(
    texts: Iterable[str], vocab_size: int = 8192, *, lowercase: bool = False
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, which encodes every string without unknown tokens.

    Args:
        texts: The corpus.
        vocab_size: Maximum vocabulary size, including 256 bytes and 4 special tokens.
        lowercase: Whether to lower-case texts.

    Examples:
        >>> tokenizer = train_tokenizer(["a small corpus"], 300)
        >>> to_texts(tokenizer, [tokenizer("a corpus")["input_ids"]])
        ['a corpus']
    """
    bpe = Tokenizer(models.BPE())
    if lowercase:
        bpe.normalizer = normalizers.Lowercase()
    # With the prefix space, a word has the same token at the start of a sentence and inside it.
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, eos_token=EOS, pad_token=PAD, mask_token=MASK,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def load_tokenizer(path: str | Path, gguf_file: str | None = None) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or hub id; `gguf_file` is the name of a GGUF file in the folder."""
    options = {"gguf_file": gguf_file} if gguf_file else {}
    return AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)


def wrap(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: SpecialTokens) -> list[list[int]]:
    """Return BOS ... EOS for each text, truncated to the maximum length with EOS kept."""
    if not texts:
        return []
    rows = _ids(tokenizer, texts)
    room = special.max_length - 2
    return [[special.bos_token_id, *row[:room], special.eos_token_id] for row in rows]


def encoder_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Return a pretrained encoder's token ids for each text, including its special tokens."""
    return _ids(tokenizer, texts, max_length) if texts else []


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask (1 for tokens), both (B, T) int64, padded on the right."""
    width = max(map(len, rows))
    ids_BT = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows])
    mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids_BT, mask_BT


def to_texts(tokenizer: PreTrainedTokenizerBase, ids: Iterable[Sequence[int]]) -> list[str]:
    """Return the text of each row of ids, without special tokens and outer spaces."""
    return [str(tokenizer.decode(list(row), skip_special_tokens=True)).strip() for row in ids]


def readable(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    """Return the texts as the tokenizer can reproduce them: lower-cased if it lower-cases."""
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    if normalizer is None or normalizer.normalize_str("A") != "a":
        return list(texts)
    return [normalizer.normalize_str(text) for text in texts]


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
    """Return the ids of each text, with special tokens and truncation if `max_length` is given."""
    if isinstance(tokenizer, PreTrainedTokenizerFast):  # twice as fast as through transformers
        backend = tokenizer.backend_tokenizer
        backend.no_padding()
        if max_length is None:
            backend.no_truncation()
        else:
            backend.enable_truncation(max_length)
        backend.encode_special_tokens = True  # "</s>" in a text is text
        return [row.ids for row in backend.encode_batch_fast(list(texts), add_special_tokens=max_length is not None)]
    return tokenizer(
        list(texts),
        add_special_tokens=max_length is not None,
        truncation=max_length is not None,
        max_length=max_length,
        return_attention_mask=False,
        verbose=False,
        split_special_tokens=True,
    )["input_ids"]
