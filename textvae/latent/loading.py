"""The network and the tokenizers of a run folder, loaded and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.pretrained import load_backbone
from ..modeling.quiet import quiet_transformers
from ..modeling.sentence_encoder import is_sentence_encoder, load_sentence_network
from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import open_folder
from ..storage.kinds import kind_of
from ..text.tokenizers import load_tokenizer

ENCODER_TOKENIZER = "encoder_tokenizer"


def load_model(path: Path) -> TextVAEModel:
    """Return the network of a run folder, in float32 on the CPU.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is not a run, or not trained yet.
        CorruptFileError: A file was truncated or altered, or a weight is missing or not finite.
    """
    open_folder(path, "run", "config.json")
    if is_sentence_encoder(path):
        return load_encoder(path)
    if read_json(path / "config.json").get("model_type") != TextVAEConfig.model_type:
        raise ValueError(f"{path} holds a model of another kind, not a run of textvae: it is {kind_of(path)}")
    if not (path / "model.safetensors").exists() and not (path / "model.safetensors.index.json").exists():
        raise ValueError(f"{path} holds no trained model yet: finish its training with --resume")
    try:
        with quiet_transformers():
            loaded: Any = TextVAEModel.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    except SafetensorError as error:
        raise CorruptFileError(f"the weights in {path} are damaged ({error}): restore them from a copy") from error
    model: TextVAEModel = loaded[0]
    if lacking := sorted(loaded[1]["missing_keys"]):  # transformers draws them at random
        raise CorruptFileError(f"{path} lacks the weights {', '.join(lacking)}: restore it from a copy, or retrain it")
    if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
        raise CorruptFileError(f"{path} holds weights that are not finite: restore it from a copy")
    return model


def load_tokenizers(folder: Path) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase | None]:
    """Return the decoder's tokenizer of a run folder, and the encoder's if it has one of its own."""
    if is_sentence_encoder(folder):
        return encoder_tokenizers(folder)
    second = folder / ENCODER_TOKENIZER
    return load_tokenizer(folder), load_tokenizer(second) if second.exists() else None


def load_encoder(folder: Path) -> TextVAEModel:
    """Return a sentence encoder as the network of a model that only reads, on the CPU.

    Args:
        folder: Folder of sentence-transformers or of a plain encoder.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no encoder, or one with unknown modules.
    """
    open_folder(folder, "encoder", "config.json")
    try:
        tokenizer, backbone = load_tokenizer(folder), load_backbone(str(folder))
    except (OSError, ValueError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{folder} holds no encoder that could be loaded ({told}): it is {kind_of(folder)}") from error
    return load_sentence_network(folder, backbone, tokenizer)  # type: ignore[return-value]  # it stands in for one


def encoder_tokenizers(folder: Path) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Return the tokenizer of a sentence encoder, twice: the second puts its own special tokens around a text."""
    return load_tokenizer(folder), load_tokenizer(folder)


def weights_digest(model: TextVAEModel) -> str:
    """Return sixteen hexadecimal digits that identify the weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
