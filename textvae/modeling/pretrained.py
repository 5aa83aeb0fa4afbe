"""Loading of pretrained language models and sentence encoders from folders and hub ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from ..text.tokenizers import load_tokenizer
from .quiet import quiet_transformers


def load_lm(source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a pretrained causal LM in float32 and its tokenizer from a folder (GGUF supported) or hub id.

    Raises:
        OSError: The model or tokenizer could not be loaded.
    """
    gguf_file = _gguf_file(source)
    options = {"gguf_file": gguf_file} if gguf_file else {}
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=torch.float32, trust_remote_code=False, **options
            )
        tokenizer = load_tokenizer(source, gguf_file)
    except (OSError, ValueError) as error:
        raise OSError(f"no causal LM could be loaded from {source!r}, a folder or hub id: {error}") from error
    if gguf_file:
        # The weights are float32 now; with this entry in the config, saving them would fail.
        del model.config.quantization_config
    return model, tokenizer


def load_backbone(source: str) -> PreTrainedModel:
    """Load a pretrained encoder in float32, without a pooling layer, from a folder or hub id."""
    # only BERT-like classes accept the option
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    options = {"add_pooling_layer": False} if config.model_type == "bert" else {}
    with quiet_transformers():
        return AutoModel.from_pretrained(source, dtype=torch.float32, trust_remote_code=False, **options)


def _gguf_file(source: str) -> str | None:
    folder = Path(source)
    if not folder.is_dir() or (folder / "config.json").exists():
        return None
    files = sorted(folder.glob("*.gguf"))
    return files[0].name if files else None


def load_sentence_encoder(encoder: str, device: str) -> Any:
    """Load a sentence encoder with sentence-transformers from a folder or hub id.

    Raises:
        ImportError: sentence-transformers is not installed.
        ValueError: The encoder could not be loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ImportError(
            "a sentence encoder needs sentence-transformers: pip install 'textvae[sentence-transformers]'"
        ) from error
    try:
        with quiet_transformers():
            return SentenceTransformer(encoder, device=device, trust_remote_code=False)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise ValueError(
            f"sentence-transformers could not load the encoder {encoder!r} ({told}): give its folder or hub id"
        ) from error
