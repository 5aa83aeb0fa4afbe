"""Distillation of an encoder into a static one, hundreds of times faster (compare Tulkens & van Dongen 2024)."""

# N texts, V vocabulary, D latent dimensions
from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..latent.reading import read_rows
from ..latent.vae import TextVAE
from ..modeling import TextVAEModel
from ..modeling.config import StaticEncoderConfig, TextVAEConfig
from ..modeling.gaussian import INITIAL_LOG_STD, MAX_LOG_STD, DiagonalGaussian
from ..modeling.randomness import seeded
from ..storage.errors import require
from ..text.cleaning import gate_texts

logger = logging.getLogger("textvae")
COMMON = 1e-3  # share of all tokens at which a token's weight is a half: a of Arora et al. 2017, sec. 3
HELD_OUT, FEWEST = 0.05, 100  # share of the texts that choose the epoch; texts needed
BATCH, RATE, EPOCHS = 256, 3e-3, 30


class Distilled(NamedTuple):
    """A model with a static encoder, and the mean cosine of its latents with its teacher's on held-out texts."""

    vae: TextVAE
    cosine: float


def distill_static(vae: TextVAE, texts: Sequence[str], *, epochs: int = EPOCHS, seed: int = 0) -> Distilled:
    """Return a model with the same decoder and a static encoder, whose latents imitate those of the model.

    A token's vector begins as the latent of the token alone, weighted by how rare it is in the texts, and is then
    fitted to the latents of the texts. Wording slots are not imitated: texts are written from the meaning alone.

    Args:
        vae: A model whose latents have one length: trained with a teacher, or with a kept encoder.
        texts: At least 100 texts like those to be encoded; better 50,000.
        epochs: Passes over the texts; the best on a held-out twentieth is kept.
        seed: Seed of the order.

    Raises:
        ValueError: There are fewer texts, or the latents of the model have different lengths.
    """
    config = vae.model.config
    static = config.unit_mean or config.keep_encoder
    require(
        isinstance(config, TextVAEConfig) and static,
        "only the encoder of a run whose latents have one length can be made static: train it with --teacher or "
        "--keep-encoder",
    )
    rows = vae.encoder_rows(gate_texts(texts))
    require(len(rows) >= FEWEST, f"a static encoder is fitted to at least {FEWEST} texts, got {len(rows)}")
    vocabulary = len(vae.encoder_tokenizer)
    taught = read_rows(vae.model, rows, vae.encoder_pad_id, 64).meaning
    student = TextVAE(_student(vae, vocabulary, taught), vae.tokenizer, vae.encoder_tokenizer, prior=vae.prior)
    weights = torch.from_numpy(_weights(rows, vocabulary))
    table: Any = student.model.encoder.backbone.embeddings  # type: ignore[union-attr]
    table.weight.data = weights[:, None] * F.normalize(_alone(vae, vocabulary), dim=-1)
    with seeded(seed):
        cosine = _fit(student.model, rows, F.normalize(taught.mean, dim=-1), epochs)
    return Distilled(student, cosine)


def _student(vae: TextVAE, vocabulary: int, taught: DiagonalGaussian) -> TextVAEModel:
    """Return the model with an untrained static encoder, whose width is the teacher's mean one in each dimension."""
    fields = copy.deepcopy(vae.model.config).to_dict() | {
        "encoder": StaticEncoderConfig(vocab_size=vocabulary, hidden_size=vae.dim),
        "keep_encoder": True,
        "unit_mean": False,
        "tie_word_embeddings": False,
        "residual": 0.0,
        "pooling": "mean",
    }
    own = set(TextVAEConfig().to_dict()) - {"transformers_version", "architectures", "dtype", "model_type"}
    model = TextVAEModel(TextVAEConfig(**{name: value for name, value in fields.items() if name in own}))
    model.decoder.load_state_dict(vae.model.decoder.state_dict())
    log_std_D = taught.log_std.mean(0)
    with torch.no_grad():
        model.encoder.log_std.weight.zero_()  # the inverse of `bounded_log_std`
        model.encoder.log_std.bias.copy_(MAX_LOG_STD - INITIAL_LOG_STD - (MAX_LOG_STD - log_std_D).expm1().log())
    return model.to(vae.model.device)  # type: ignore[arg-type]


def _weights(rows: Sequence[Sequence[int]], vocabulary: int) -> np.ndarray:
    """Return a weight in (0, 1] for each token, smaller for common ones (Arora et al. 2017, eq. 4)."""
    counts = np.bincount(np.concatenate([np.asarray(row, np.int64) for row in rows]), minlength=vocabulary)
    return (COMMON / (COMMON + counts / counts.sum())).astype(np.float32)


def _alone(vae: TextVAE, vocabulary: int) -> Tensor:
    """Return the latent of each token alone, shape (V, D), between the special tokens that a text has."""
    around = vae.encoder_rows([""])[0]
    first, last = around[: len(around) // 2], around[len(around) // 2 :]
    rows = [[*first, token, *last] for token in range(vocabulary)]
    return read_rows(vae.model, rows, vae.encoder_pad_id, 64).meaning.mean


def _fit(model: TextVAEModel, rows: Sequence[Sequence[int]], target_ND: Tensor, epochs: int) -> float:
    """Fit the table to unit vectors (N, D); keep the epoch of the largest cosine on held-out rows, and return that."""
    order = torch.randperm(len(rows)).tolist()
    held = max(1, int(HELD_OUT * len(rows)))
    valid, train = order[:held], order[held:]
    backbone: Any = model.encoder.backbone
    table = backbone.embeddings.weight.requires_grad_(True)
    optimizer = torch.optim.Adam([table], lr=RATE)

    def cosines(chosen: list[int]) -> Tensor:
        target = target_ND[chosen].to(table.device)
        return F.cosine_similarity(backbone.mean([rows[i] for i in chosen]), target, dim=-1)

    def measured() -> float:
        with torch.no_grad():
            return float(cosines(valid).mean())

    best, kept = measured(), table.detach().clone()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - epoch / epochs)
        for start in torch.randperm(-(-len(train) // BATCH)).tolist():
            loss = 1 - cosines(train[start * BATCH : (start + 1) * BATCH]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = measured()
        logger.info("epoch %d of %d: cosine %.4f with the teacher on held-out texts", epoch + 1, epochs, found)
        if found > best:
            best, kept = found, table.detach().clone()
    table.requires_grad_(False).data = kept
    return best
