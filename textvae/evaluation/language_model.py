"""Judges of fluency: any causal LM from outside, and a small one trained on the texts at hand."""

# B texts, T tokens
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..assembly import load_lm
from ..batches import TokenBudgetSampler
from ..configuration import PRESETS, decoder_config
from ..cross_entropy import IGNORED
from ..modeling import GRUDecoder
from ..objective import reconstruction_nats
from ..precision import autocast, prefer_attention
from ..tokenization import pad, wrap

BATCH_TOKENS = 1024
LEARNING_RATE = 2e-3


def word_perplexity(nats: np.ndarray, texts: Sequence[str]) -> float:
    """Return exp(total nats / total words): whitespace words, and an end for each text."""
    words = sum(len(text.split()) + 1 for text in texts)
    return math.exp(float(np.sum(nats, dtype=np.float64)) / words)


class OutsideLM:
    """A pretrained causal LM that scores texts; what exceeds its context is not scored.

    Args:
        source: Its folder, also one with a GGUF file, or hub id.
    """

    def __init__(self, source: str):
        self.model, self.tokenizer = load_lm(source)
        self.model.eval()
        prefer_attention(self.model, self.model.device)
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        self.start, self.end = end if start is None else start, end

    @torch.inference_mode()
    def nats(self, texts: Sequence[str]) -> np.ndarray:
        """Return -log p of each text and its end, shape (N,), float32, given the token that texts start with."""
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        room = getattr(self.model.config, "max_position_embeddings", None)
        rows = [[self.start, *row, self.end][:room] for row in ids]
        result = np.empty(len(rows), np.float32)
        for chosen in _batches(rows, seed=0):
            labels_BT = _labels([rows[i] for i in chosen])
            inputs_BT = labels_BT.masked_fill(labels_BT == IGNORED, self.end)
            with autocast(self.model.device):
                logits_BTV = self.model(inputs_BT, attention_mask=(labels_BT != IGNORED).long()).logits
            result[chosen] = reconstruction_nats(logits_BTV.float(), labels_BT).numpy()
        return result


class SentenceLM:
    """The decoder with no latent: a GRU language model over a tokenizer's tokens.

    Args:
        tokenizer: Gives BOS, EOS and the vocabulary.
        size: Width of the GRU, as in `TextVAEConfig.preset`.
        seed: Seed of the weights and of the batches.
        max_length: Longest text in tokens; longer ones are cut.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: str = "small", seed: int = 0, max_length: int = 64):
        config = decoder_config(PRESETS[size], len(tokenizer), "gru")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = GRUDecoder(config, latent_dim=1)  # type: ignore[arg-type]
        self.tokenizer, self.seed, self.max_length = tokenizer, seed, max_length
        self.bos_token_id, self.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.pad_token_id = tokenizer.pad_token_id

    def fit(self, texts: Sequence[str], epochs: int = 3) -> SentenceLM:
        """Train on texts with AdamW and a cosine to 0; the same seed gives the same weights on a CPU."""
        rows = wrap(self.tokenizer, texts, self)
        per_epoch = sum(1 for _ in _batches(rows, seed=0))
        optimizer = torch.optim.AdamW(self.decoder.parameters(), LEARNING_RATE, betas=(0.9, 0.98), fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * per_epoch)
        self.decoder.train()
        for epoch in range(epochs):
            for chosen in _batches(rows, self.seed + epoch):
                total, _ = self._nats([rows[i] for i in chosen])
                optimizer.zero_grad()
                (total / len(chosen)).backward()
                torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 5.0)
                optimizer.step()
                schedule.step()
        self.decoder.eval()
        return self

    @torch.inference_mode()
    def nats(self, texts: Sequence[str]) -> np.ndarray:
        """Return -log p of each text and its end, shape (N,), float32."""
        rows = wrap(self.tokenizer, texts, self)
        result = np.empty(len(rows), np.float32)
        for chosen in _batches(rows, seed=0):
            result[chosen] = self._nats([rows[i] for i in chosen])[1].numpy()
        return result

    def _nats(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        labels_BT = _labels(rows)
        with autocast(labels_BT.device):
            inputs_BT = labels_BT.masked_fill(labels_BT == IGNORED, self.eos_token_id)
            return self.decoder.nats(inputs_BT, torch.zeros(len(rows), 1), labels_BT)


def _batches(rows: Sequence[Sequence[int]], seed: int) -> Iterator[list[int]]:
    return iter(TokenBudgetSampler([len(row) for row in rows], BATCH_TOKENS, seed))


def _labels(rows: Sequence[Sequence[int]]) -> Tensor:
    return pad(rows, IGNORED)[0]
