"""The network and the tokenizers of a run folder, loaded and checked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.config_file import CONFIG
from ..modeling.pretrained import load_backbone
from ..modeling.sentence_encoder import (
    SentenceEncoder,
    SentenceEncoderConfig,
    is_sentence_encoder,
    load_sentence_network,
)
from ..modeling.weights import has_weights, load_network
from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import find_file, listed_files, open_folder, require_file
from ..storage.kinds import kind_of
from ..storage.plain import check_plain_file, is_plain_name
from ..text.tokenizer_files import TOKENIZER, check_tokenizer_file
from ..text.tokenizers import check_ids, load_run_tokenizer, load_tokenizer

ADAPTER = "adapter_config.json"
# files that transformers looks for, apart from our manifest
OPENED_BY_NAME = re.compile(r"(?<!^manifest)\.(json|jinja|model|safetensors|bin)$|^(vocab|merges)\.txt$")
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
    _check_special(config, config.decoder.vocab_size, folder)
    return first, second


def _check_special(config: TextVAEConfig | SentenceEncoderConfig, vocab_size: int, folder: Path) -> None:
    if max(config.bos_token_id, config.eos_token_id, config.pad_token_id) >= vocab_size:
        raise CorruptFileError(f"the files in {folder} have special tokens that the model does not know: restore it")


def load_encoder(folder: Path) -> TextVAEModel:
    """Return a sentence encoder as the network of a model that only reads, on the CPU.

    Args:
        folder: Folder of sentence-transformers or of a plain encoder.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no encoder, or one with unknown modules.
        CorruptFileError: A file is damaged, or the network does not run.
    """
    open_folder(folder, "encoder", "config.json")
    listed = listed_files(folder)
    for file in folder.iterdir():  # transformers opens some of them by name, and would wait at a FIFO for ever
        if is_plain_name(file.name) and not file.is_dir():
            check_plain_file(folder, file.name)
            if listed is not None and OPENED_BY_NAME.search(file.name):
                require_file(folder, file.name)
    if (folder / ADAPTER).exists():
        raise ValueError(f"{folder} holds an adapter ({ADAPTER}), which is not supported: merge it into the weights")
    check_tokenizer_file(folder)
    try:
        tokenizer, backbone = load_tokenizer(folder), load_backbone(str(folder))
    except (CorruptFileError, ImportError):
        raise
    except (OSError, ValueError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{folder} holds no encoder that could be loaded ({told}): it is {kind_of(folder)}") from error
    except Exception as error:  # each class of transformers fails in its own way
        raise CorruptFileError(f"the files of the encoder in {folder} do not fit each other: restore it") from error
    network = load_sentence_network(folder, backbone, tokenizer)
    check_ids(tokenizer, backbone.config.vocab_size, folder)
    _check_special(network.config, backbone.config.vocab_size, folder)
    _try_out_encoder(network, folder)
    return network  # type: ignore[return-value]  # it stands in for one


@torch.inference_mode()
def _try_out_encoder(network: SentenceEncoder, folder: Path) -> None:
    try:
        mean = network.eval().encode(torch.zeros((1, 2), dtype=torch.long)).mean
    except Exception as error:
        raise CorruptFileError(f"the encoder that the files in {folder} describe does not run: restore it") from error
    if not all(torch.isfinite(value).all() for value in (mean, *network.state_dict().values())):
        raise CorruptFileError(f"the encoder in {folder} gives or holds numbers that are not finite: restore it")
    if mean.shape != (1, network.config.latent_dim):
        raise CorruptFileError(f"the encoder in {folder} gives vectors of another width than its files say: restore it")


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
