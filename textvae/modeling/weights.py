"""The weights of a run: safetensors whose headers are compared with the network before either is in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.folders import find_file, require_file
from ..storage.schema import shown
from ..storage.tensors import check_header
from .config import TextVAEConfig
from .config_file import read_config
from .model import TextVAEModel
from .quiet import quiet_transformers

WEIGHTS, SHARDS = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model[\w.-]*\.safetensors")
FLOATS, COUNTS = {"F64", "F32", "F16", "BF16"}, {"I64"}
COUNTED = ("num_batches_tracked", "position_ids")
MOST_TENSORS, MOST_INDEX = 1 << 16, 1 << 24
OLDER = re.compile(r"^words\.|position_ids$|rotary_emb\.inv_freq$|masked_bias$|attn\.bias$")  # buffers once saved too
FEW = 4  # names that a message lists

Shape = tuple[int, ...]


def has_weights(folder: Path) -> bool:
    """Return whether a folder has weights that its manifest lists."""
    return any(find_file(folder, name) is not None for name in (WEIGHTS, SHARDS))


def read_shapes(folder: Path) -> dict[str, tuple[Path, Shape]]:
    """Return the file and the shape of each weight, from the headers alone.

    Raises:
        CorruptFileError: A file is no safetensors file, is not listed, or the index of the shards disagrees with them.
    """
    single = find_file(folder, WEIGHTS)
    files = {single: None} if single is not None else _shards(folder)
    found: dict[str, tuple[Path, Shape]] = {}
    for file, names in files.items():
        here = _header(file)
        if names is not None and set(here) != names:
            raise CorruptFileError(f"{file} holds other weights than {SHARDS} says: restore them from a copy")
        found |= {name: (file, shape) for name, shape in here.items()}
    if not 0 < len(found) <= MOST_TENSORS:
        raise CorruptFileError(f"{folder} holds {len(found):,} weights: restore them from a copy")
    return found


def load_network(folder: Path) -> TextVAEModel:
    """Return the network of a folder, in float32 on the CPU; nothing but its config.json and safetensors is read.

    Raises:
        CorruptFileError: A file is missing, altered or not of a run, or the weights are not those of the network.
    """
    shapes = read_shapes(folder)
    config = read_config(folder, len(shapes))
    _check_fit(config, {name: shape for name, (_, shape) in shapes.items()}, folder)
    state = _read(shapes)
    try:
        with quiet_transformers():
            loaded: Any = TextVAEModel.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # of transformers: shapes that do not fit, conversions that fail
        raise CorruptFileError(f"the weights in {folder} are not those of its config.json: restore both") from error
    model, info = loaded
    _check_complete(folder, info["missing_keys"], info["unexpected_keys"])
    if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
        raise CorruptFileError(f"{folder} holds weights that are not finite: restore it from a copy")
    return model


def _shards(folder: Path) -> dict[Path, set[str] | None]:
    """Return the files of split weights, with the names of the weights in each."""
    path = require_file(folder, SHARDS)
    places = read_json(path, MOST_INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CorruptFileError(f"{path} has no weight_map: restore it from a copy")
    files: dict[str, set[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or not SHARD.fullmatch(file):
            raise CorruptFileError(f"{path} takes weights from {shown(file)}, which is no safetensors file beside it")
        files.setdefault(file, set()).add(name)
    return {require_file(folder, file): names for file, names in files.items()}


def _header(file: Path) -> dict[str, Shape]:
    shapes = {}
    check_header(file)
    try:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118  # it is no mapping
                part = weights.get_slice(name)
                kinds = COUNTS | FLOATS if name.endswith(COUNTED) else FLOATS
                if part.get_dtype() not in kinds:
                    raise CorruptFileError(f"{file} holds {name!r} as {part.get_dtype()}: restore it from a copy")
                shapes[name] = tuple(part.get_shape())
    except (SafetensorError, OSError) as error:
        raise CorruptFileError(f"the weights in {file} are damaged ({error}): restore them from a copy") from error
    return shapes


def _read(shapes: dict[str, tuple[Path, Shape]]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for file in dict.fromkeys(file for file, _ in shapes.values()):
        with safe_open(file, framework="pt") as weights:
            # copies, since a mapped file could not be replaced on Windows, and would change below the network elsewhere
            state |= {name: weights.get_tensor(name).clone() for name in weights.keys()}  # noqa: SIM118
    return state


def _check_fit(config: TextVAEConfig, shapes: dict[str, Shape], folder: Path) -> None:
    """Raise CorruptFileError if the network needs more numbers than there are, before any is allocated."""
    try:
        with torch.device("meta"), quiet_transformers():
            model = TextVAEModel(config)
    except Exception as error:  # sizes that do not divide, an activation that there is not
        raise CorruptFileError(f"{folder / 'config.json'} describes no network: its fields do not fit") from error
    needed = {name: tuple(value.shape) for name, value in model.named_parameters()}
    if sum(map(prod, needed.values())) > sum(map(prod, shapes.values())):
        _check_complete(folder, sorted(set(needed) - set(shapes)), ())
        wrong = next((name for name, shape in needed.items() if shapes[name] != shape), "")
        raise CorruptFileError(
            f"{folder / 'config.json'} asks for the shape {needed[wrong]} of {wrong}, the weights have "
            f"{shapes[wrong]}: restore both from a copy"
        )


def _check_complete(folder: Path, lacking: Iterable[str], unexpected: Iterable[str]) -> None:
    if lacking := sorted(lacking):  # transformers draws them at random
        raise CorruptFileError(f"{folder} lacks the weights {_listed(lacking)}: restore it from a copy, or retrain it")
    if foreign := sorted(name for name in unexpected if not OLDER.search(name)):
        raise CorruptFileError(f"{folder} holds weights of another network, {_listed(foreign)}: restore it from a copy")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
