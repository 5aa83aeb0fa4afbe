"""Loading of pretrained language models and sentence encoders from folders and hub ids."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..storage.atomic import parse_json, read_json
from ..storage.errors import CorruptFileError
from ..storage.schema import shown
from ..text.tokenizers import load_tokenizer
from .config_file import MOST_BYTES, check_sizes, check_without_code
from .quiet import quiet_transformers
from .weights import has_weights, read_shapes


def load_lm(source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a pretrained causal LM in float32 and its tokenizer from a folder (GGUF supported) or hub id.

    Raises:
        OSError: The model or tokenizer could not be loaded.
    """
    check_source(source)
    gguf_file = _gguf_file(source)
    options = {"gguf_file": gguf_file} if gguf_file else {}
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=torch.float32, trust_remote_code=False, use_safetensors=not gguf_file, **options
            )
        tokenizer = load_tokenizer(source, gguf_file)
    except (OSError, ValueError) as error:
        raise OSError(f"no causal LM could be loaded from {source!r}, a folder or hub id: {error}") from error
    if gguf_file:
        # The weights are float32 now; with this entry in the config, saving them would fail.
        del model.config.quantization_config
    return model, tokenizer


def check_source(source: str, modules: bool = False) -> None:
    """Check that the JSON files of a folder name no code and no kernels; with `modules`, none but their library's own.

    Of a name on the hub nothing is checked here: transformers itself refuses code there.

    Raises:
        CorruptFileError: They do.
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    for path in sorted([*folder.glob("*.json"), *folder.glob("*/*.json")]):
        content = _json(path)
        if path.name.endswith(("config.json", "tokenizer.json")) and isinstance(content, dict):
            check_without_code(content, path)
        for module in content if modules and path.name == "modules.json" and isinstance(content, list) else ():
            kind = module.get("type") if isinstance(module, dict) else None
            if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
                raise CorruptFileError(f"{path} asks for the module {shown(kind)}, which may be any code: not loaded")


def _json(path: Path) -> Any:
    """Return what a JSON file says; its own library says what is wrong with others."""
    if path.name == "tokenizer.json" or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return None
    try:
        return parse_json(path.read_bytes())
    except ValueError:
        return None


def load_backbone(source: str) -> PreTrainedModel:
    """Load a pretrained encoder in float32, without a pooling layer, from a folder or hub id."""
    check_source(source)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    _check_weights(Path(source), config)
    # only BERT-like classes take the option
    options = {"add_pooling_layer": False} if config.model_type == "bert" else {}
    with quiet_transformers():
        return AutoModel.from_pretrained(
            source, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **options
        )


def _check_weights(folder: Path, config: PreTrainedConfig) -> None:
    """Raise CorruptFileError if a folder's network needs more numbers than twice those of its weights.

    Some encoders lack a pooling layer, which transformers then draws at random, and others have heads beside them.
    """
    if not folder.is_dir() or not has_weights(folder):
        return  # transformers says what is missing
    shapes = read_shapes(folder)
    path = folder / "config.json"
    check_sizes(read_json(path, MOST_BYTES), path, len(shapes))
    with torch.device("meta"), quiet_transformers():
        model = AutoModel.from_config(config, trust_remote_code=False)
    if model.num_parameters() > 2 * sum(prod(shape) for _, shape in shapes.values()):
        raise CorruptFileError(f"{path} describes a larger network than the weights beside it: restore both")


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
    check_source(encoder, modules=True)  # which sentence-transformers imports by their names
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ImportError(
            "a sentence encoder needs sentence-transformers: pip install 'textvae[sentence-transformers]'"
        ) from error
    try:
        with quiet_transformers():
            safe = {"use_safetensors": True}
            return SentenceTransformer(encoder, device=device, trust_remote_code=False, model_kwargs=safe)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise ValueError(
            f"sentence-transformers could not load the encoder {encoder!r} ({told}): give its folder or hub id"
        ) from error
