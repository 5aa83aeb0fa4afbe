"""The network and the tokenizers of a run folder, loaded and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.config_file import CONFIG
from ..modeling.pretrained import load_backbone
from ..modeling.sentence_encoder import is_sentence_encoder, load_sentence_network
from ..modeling.weights import has_weights, load_network
from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import find_file, open_folder, require_file
from ..storage.kinds import kind_of
from ..text.tokenizer_files import TOKENIZER
from ..text.tokenizers import check_ids, load_run_tokenizer, load_tokenizer

ENCODER_TOKENIZER = "encoder_tokenizer"


def load_model(path: Path) -> TextVAEModel:
    """Return the network of a run folder, in float32 on the CPU.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is not a run, or not trained yet.
        CorruptFileError: A file was truncated or altered, or a weight is missing or not finite.
    """
    open_folder(path, "run", CONFIG)
    if is_sentence_encoder(path):
        return load_encoder(path)
    if read_json(require_file(path, CONFIG)).get("model_type") != TextVAEConfig.model_type:
        raise ValueError(f"{path} holds a model of another kind, not a run of textvae: it is {kind_of(path)}")
    if not has_weights(path):
        raise ValueError(f"{path} holds no trained model yet: finish its training with --resume")
    model = load_network(path)
    _try_out(model, path)
    return model


@torch.inference_mode()
def _try_out(model: TextVAEModel, path: Path) -> None:
    """Read and write two tokens, so that a configuration with which the network cannot run is found here."""
    config = model.config
    ids = torch.tensor([[config.bos_token_id, config.eos_token_id]])
    read = torch.tensor([[0, min(1, config.encoder.vocab_size - 1)]])
    try:
        posterior = model.eval().read(read).meaning
        logits = model.decode(posterior.mean, ids)
        runs = bool(torch.isfinite(posterior.mean).all() and torch.isfinite(logits).all())
    except Exception as error:
        raise CorruptFileError(f"the network that {path / CONFIG} describes does not run: restore it") from error
    if not runs:
        raise CorruptFileError(f"the network that {path / CONFIG} describes gives no finite numbers: restore it")


def load_tokenizers(
    folder: Path, config: TextVAEConfig
) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase | None]:
    """Return the decoder's tokenizer of a run folder, and the encoder's if it has one of its own.

    Raises:
        CorruptFileError: One is damaged, or has tokens that the model of this configuration does not know.
    """
    if is_sentence_encoder(folder):
        return encoder_tokenizers(folder)
    first = load_run_tokenizer(folder)
    own = find_file(folder, f"{ENCODER_TOKENIZER}/{TOKENIZER}") is not None
    second = load_run_tokenizer(folder, ENCODER_TOKENIZER) if own else None
    check_ids(first, config.decoder.vocab_size, folder)
    check_ids(second or first, config.encoder.vocab_size, folder / ENCODER_TOKENIZER if own else folder)
    special = [config.bos_token_id, config.eos_token_id, config.pad_token_id]
    if max(special) >= config.decoder.vocab_size:
        raise CorruptFileError(f"{folder / CONFIG} has special tokens that the model does not know: restore it")
    return first, second


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
    except CorruptFileError:
        raise
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
