"""Language models that score fluency: a pretrained causal LM, and a small one trained on given texts."""

# B texts, T tokens
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, get_cosine_with_min_lr_schedule_with_warmup

from .._progress import Progress
from ..modeling.config import PRESETS, TextVAEConfig, decoder_config
from ..modeling.decoders import build_decoder
from ..modeling.likelihood import IGNORED, reconstruction_nats
from ..modeling.precision import autocast, default_device, prefer_attention
from ..modeling.pretrained import load_lm
from ..modeling.randomness import seeded
from ..text.token_budget import TokenBudgetSampler
from ..text.tokenizers import pad, wrap

BATCH_TOKENS = 1024
PEAK_LEARNING_RATES = {"gru": 2e-3, "transformer": 1e-3}


def word_perplexity(nats: np.ndarray, texts: Sequence[str]) -> float:
    """Return exp(total nats / total words), counting whitespace words and one end per text."""
    words = sum(len(text.split()) + 1 for text in texts)
    return math.exp(float(np.sum(nats, dtype=np.float64)) / words)


class OutsideLM:
    """A pretrained causal LM that scores texts; tokens beyond its context are ignored.

    Args:
        source: Folder (GGUF supported) or hub id.
        exact: Whether to compute in float32 even on devices with bf16 hardware.
    """

    def __init__(self, source: str, exact: bool = False):
        self.exact = exact
        self.model, self.tokenizer = load_lm(source)
        self.model.eval().to(default_device())  # type: ignore[arg-type]
        prefer_attention(self.model, self.model.device)
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        self.start, self.end = end if start is None else start, end

    @torch.inference_mode()
    def nats(self, texts: Sequence[str]) -> np.ndarray:
        """Return -log p of each text and its end token, given the start token, shape (N,), float32."""
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        room = getattr(self.model.config, "max_position_embeddings", None)
        rows = [[self.start, *row, self.end][:room] for row in ids]
        result = np.empty(len(rows), np.float32)
        for chosen in _batches(rows, seed=0):
            labels_BT = _labels([rows[i] for i in chosen]).to(self.model.device)
            inputs_BT = labels_BT.masked_fill(labels_BT == IGNORED, self.end)
            with nullcontext() if self.exact else autocast(self.model.device):
                logits_BTV = self.model(inputs_BT, attention_mask=(labels_BT != IGNORED).long()).logits
            result[chosen] = reconstruction_nats(logits_BTV.float(), labels_BT).cpu().numpy()
        return result


class SentenceLM:
    """A decoder without latents: the language model baseline of a text VAE.

    Args:
        tokenizer: Tokenizer with BOS and EOS.
        size: Width and depth, as in `TextVAEConfig.preset`.
        decoder: "gru" or "transformer".
        dropout: Dropout probability in training.
        seed: Seed of the weights and the batches.
        max_length: Maximum tokens of a text; longer texts are cut.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        size: str = "small",
        decoder: str = "gru",
        *,
        dropout: float = 0.0,
        seed: int = 0,
        max_length: int = 64,
    ):
        config = decoder_config(PRESETS[size], len(tokenizer), decoder, dropout)
        self.peak_learning_rate = PEAK_LEARNING_RATES[decoder]
        self.device = default_device()
        with seeded(seed):
            self.decoder = build_decoder(TextVAEConfig(decoder=config, latent_dim=1, prefix_length=0))
        self.decoder.to(self.device)  # type: ignore[arg-type]
        prefer_attention(self.decoder, self.device)
        self.tokenizer, self.seed, self.max_length = tokenizer, seed, max_length
        self.bos_token_id, self.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.pad_token_id = tokenizer.pad_token_id

    def fit(self, texts: Sequence[str], epochs: float = 3, *, batch_tokens: int = BATCH_TOKENS) -> SentenceLM:
        """Train on texts with AdamW, warm-up and a cosine decay to 5%; deterministic on a CPU for a given seed."""
        rows = wrap(self.tokenizer, texts, self)
        sampler = TokenBudgetSampler([len(row) for row in rows], batch_tokens, self.seed)
        steps = math.ceil(epochs * len(sampler))
        optimizer = torch.optim.AdamW(self.decoder.parameters(), self.peak_learning_rate, betas=(0.9, 0.98), fused=True)
        schedule = get_cosine_with_min_lr_schedule_with_warmup(optimizer, min(50, steps // 10), steps, min_lr_rate=0.05)
        self.decoder.train()
        # the global generator draws the dropout
        told = Progress("trained a judge on", round(epochs * len(rows)))
        with seeded(self.seed, self.device), told as progress:
            for step in range(steps):
                if step % len(sampler) == 0:
                    sampler.set_epoch(step // len(sampler))
                    batches = iter(sampler)
                chosen = next(batches)
                total, _ = self._nats([rows[i] for i in chosen])
                optimizer.zero_grad()
                (total / len(chosen)).backward()
                torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 5.0)
                optimizer.step()
                schedule.step()
                progress.advance(len(chosen))
        self.decoder.eval()
        return self

    @torch.inference_mode()
    def nats(self, texts: Sequence[str]) -> np.ndarray:
        """Return -log p of each text and its end token, shape (N,), float32."""
        rows = wrap(self.tokenizer, texts, self)
        result = np.empty(len(rows), np.float32)
        for chosen in _batches(rows, seed=0):
            result[chosen] = self._nats([rows[i] for i in chosen])[1].cpu().numpy()
        return result

    def _nats(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        labels_BT = _labels(rows).to(self.device)
        with autocast(self.device):
            inputs_BT = labels_BT.masked_fill(labels_BT == IGNORED, self.eos_token_id)
            return self.decoder.nats(inputs_BT, torch.zeros(len(rows), 1, device=self.device), labels_BT)


def _batches(rows: Sequence[Sequence[int]], seed: int) -> Iterator[list[int]]:
    """Yield the row numbers of each batch, and log progress."""
    with Progress("judged", len(rows)) as progress:
        for chosen in TokenBudgetSampler([len(row) for row in rows], BATCH_TOKENS, seed):
            yield chosen
            progress.advance(len(chosen))


def _labels(rows: Sequence[Sequence[int]]) -> Tensor:
    return pad(rows, IGNORED)[0]
