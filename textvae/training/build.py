"""Untrained models: from-scratch and pretrained halves put together with their tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..latent.loading import load_tokenizers
from ..latent.vae import TextVAE
from ..modeling import TextVAEModel
from ..modeling.config import PRESETS, TextVAEConfig, decoder_config, transformer_encoder
from ..modeling.config_file import read_config
from ..modeling.pretrained import load_backbone, load_lm
from ..text.cleaning import NORMALIZATION
from ..text.tokenizers import encoder_ids, load_tokenizer, train_tokenizer
from .config import TrainConfig, from_scratch

UNCUT = 1 << 20  # tokens
STRIDE_TEXTS = 2000  # texts on which the token counts of two tokenizers are compared
ENCODER_LENGTH = 256  # tokens that a pretrained encoder reads, as is usual for sentence encoders


def build_model(
    config: TrainConfig,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase | None = None,
    teacher_dim: int | None = None,
) -> TextVAE:
    """Return the model that training with these options starts from, with its tokenizers.

    A half given as "gru", "transformer" or nothing starts from scratch; a folder or hub id brings pretrained weights
    and its own tokenizer. With `from_` it is that run's model. `teacher_dim` is the width of the teacher's embeddings.
    """
    if config.from_ is not None:
        source = TextVAE.from_pretrained(config.from_, "cpu")
        source.model.config.latent_dropout = config.latent_dropout
        source.model.freeze()
        return TextVAE(source.model, source.tokenizer, source.encoder_tokenizer)
    preset = PRESETS[config.size]
    pretrained_lm = not from_scratch(config.decoder)
    if pretrained_lm:
        lm, its_tokenizer = load_lm(config.decoder)
        tokenizer = tokenizer or its_tokenizer
        decoder, vocab_size = lm.config, lm.config.vocab_size
    else:
        tokenizer = tokenizer or train_tokenizer(
            texts, config.vocab_size or preset.vocab_size, lowercase=config.lowercase
        )
        lm, vocab_size = None, len(tokenizer)
        decoder = decoder_config(preset, vocab_size, config.decoder, config.dropout)
    if config.encoder is not None:
        encoder_tokenizer = load_tokenizer(config.encoder)
        backbone = load_backbone(config.encoder)
        encoder = backbone.config
    else:
        encoder_tokenizer, backbone = None, None
        encoder = transformer_encoder(preset, vocab_size)
    model_config = TextVAEConfig(
        encoder=encoder,
        decoder=decoder,
        latent_dim=config.latent_dim
        or (encoder.hidden_size if config.keep_encoder else teacher_dim or preset.latent_dim),
        unit_mean=config.teacher is not None,
        slot_dim=config.slot_dim,
        slot_tokens=config.slot_tokens,
        slot_stride=_slot_stride(config, texts, tokenizer, encoder_tokenizer),
        keep_encoder=config.keep_encoder,
        residual=config.residual,
        lora_rank=config.lora_rank,
        pooling="mean" if backbone is not None else "attention",
        pooling_queries=preset.pooling_queries,
        prefix_length=preset.prefix_length,
        batch_norm_gamma=config.bn_gamma,
        latent_dropout=config.latent_dropout,
        max_length=config.max_length,
        encoder_max_length=None if backbone is None else _encoder_length(backbone.config, config.max_length),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        mask_token_id=tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id,
        text_normalization=NORMALIZATION,
    )
    return TextVAE(TextVAEModel(model_config, backbone, lm), tokenizer, encoder_tokenizer)


def _slot_stride(
    config: TrainConfig,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    encoder_tokenizer: PreTrainedTokenizerBase | None,
) -> float | None:
    """Return how many decoder tokens a slot covers if the encoder has another tokenizer, else None."""
    if not config.slot_dim or encoder_tokenizer is None:
        return None
    some = texts[:STRIDE_TEXTS]
    read, written = (sum(map(len, encoder_ids(each, some, UNCUT))) for each in (encoder_tokenizer, tokenizer))
    return round(config.slot_tokens * written / read, 2)


def rebuild_model(folder: Path) -> TextVAE:
    """Return the untrained model that a run folder describes, with the folder's tokenizers."""
    config = read_config(folder)
    return TextVAE(TextVAEModel(config), *load_tokenizers(folder, config))


def _encoder_length(config: Any, max_length: int) -> int:
    """Return how many tokens a pretrained encoder reads: up to 256, since only the decoder's length is expensive."""
    positions = getattr(config, "max_position_embeddings", None) or ENCODER_LENGTH
    return max(max_length, min(ENCODER_LENGTH, positions))
