"""The config.json of a run, checked before anything is built: it names no code and no kernels, nor huge sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import require_file
from ..storage.schema import Field, check_fields, check_tree, integer, is_int, shown
from .config import TextVAEConfig

CONFIG = "config.json"
MOST_BYTES, MOST_LABELS, MOST_SIZE, MOST_LENGTH, MOST_PARTS = 1 << 22, 1 << 16, 1 << 31, 1 << 17, 1 << 12
CODE = {
    "auto_map",
    "custom_generate",
    "custom_pipelines",
    "quantization_config",
    "transformers_weights",
    "fusion_config",
}
CHOICES = re.compile(r"(attn|experts|attention|kernel)\w*_implementation\w*|kernel_config")
PLAIN_CHOICE = re.compile(r"[a-z0-9_]*")
PARTS = re.compile(r"layer|block|depth|expert|stage|group|branch|heads?$|queries$|prefix_length$")
SIZES = re.compile(r"size|dim|hidden|width|embd|inner|positions?|position_embeddings|length|seq_len|d_model|d_ff|vocab")
HALF = Field(
    lambda value: isinstance(value, dict) and isinstance(value.get("model_type"), str), "an object with a model_type"
)
FIELDS = {
    "encoder": HALF,
    "decoder": HALF,
    "latent_dim": integer(1, MOST_SIZE),
    "max_length": integer(1, MOST_LENGTH),
    "encoder_max_length": integer(1, MOST_LENGTH).or_null().or_absent(),
    **{f"{name}_token_id": integer(0, MOST_SIZE) for name in ("bos", "eos", "pad")},
    "mask_token_id": integer(0, MOST_SIZE).or_null().or_absent(),
}


def read_config(folder: Path, tensors: int | None = None) -> TextVAEConfig:
    """Return the configuration in a run folder.

    Args:
        folder: The folder.
        tensors: Number of its weights, than which there are no more layers.

    Raises:
        CorruptFileError: It is no configuration of a run, or not one that these weights can have.
    """
    path = require_file(folder, CONFIG)
    content = read_json(path, MOST_BYTES)
    check_tree(content, path)
    check_without_code(content, path)
    check_fields(content, FIELDS, path)
    check_sizes(content, path, tensors)
    for half in ("encoder", "decoder"):
        if content[half]["model_type"] not in CONFIG_MAPPING:
            raise CorruptFileError(
                f"{path} has the {half} {shown(content[half]['model_type'])}, which this version of transformers does "
                "not know: upgrade it, or import the module that registers it"
            )
    try:
        config = TextVAEConfig.from_dict(content)
    except Exception as error:  # each class of transformers checks its fields in its own way
        raise CorruptFileError(f"{path} is not the configuration of a run ({_words(error)}): restore it") from error
    if config.max_slots > 4 * config.max_length:
        raise CorruptFileError(f"{path} asks for {config.max_slots:,} wording slots of a text: restore it from a copy")
    return config


def check_without_code(content: Any, path: Path) -> None:
    """Check that a JSON file names no code, no kernels of the hub and no other files.

    Raises:
        CorruptFileError: It does, in any of its objects.
    """
    for name, value in _fields(content):
        if name in CODE and value not in (None, {}, []):
            raise CorruptFileError(f"{path} has the field {name!r}, which may name code or other files: not loaded")
        if CHOICES.search(name) and not all(map(_is_plain_choice, _leaves(value))):
            raise CorruptFileError(
                f"{path} takes {name!r} from {shown(value)}, which is not of transformers: not loaded"
            )


def _is_plain_choice(value: Any) -> bool:
    return value is None or isinstance(value, bool) or (isinstance(value, str) and bool(PLAIN_CHOICE.fullmatch(value)))


def check_sizes(content: Mapping[str, Any], path: Path, tensors: int | None) -> None:
    """Check that no field asks for more layers than there are tensors, nor for sizes that no network has.

    Raises:
        CorruptFileError: One does.
    """
    for name, value in _fields(content):
        if isinstance(value, list | dict) and len(value) > MOST_LABELS:
            raise CorruptFileError(f"{path} has {len(value):,} entries in {name!r}: restore it from a copy")
        if not is_int(value):
            continue
        most = MOST_SIZE
        if "layers" in name or name == "n_layer":
            most = MOST_PARTS if tensors is None else min(MOST_PARTS, tensors)
        elif PARTS.search(name) or name == "num_labels":
            most = MOST_PARTS
        elif SIZES.search(name):
            most = 1 << 24
        if not -MOST_SIZE <= value <= most:
            raise CorruptFileError(f"{path} has {value:,} for {name!r}, at most {most:,} are possible here: restore it")


def _fields(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a JSON value and of all objects in it."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    return [leaf for inner in value for leaf in _leaves(inner)] if isinstance(value, list) else [value]


def _words(error: Exception) -> str:
    """Return what is wrong, without the names of Python's types."""
    if type(error) is ValueError:
        return " ".join(str(error).split())
    field = re.search(r"[Ff]ield '(\w+)'", str(error))
    return f"the field {field[1]!r} has a value of another kind" if field else "its fields do not fit together"
