"""A plain sentence encoder as the network of a model that only reads: its own pooling, and no decoder."""

# B sentences, T tokens, H hidden, D embedding dimensions
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel

from ..storage.atomic import parse_json, read_json, write_json
from ..storage.errors import CorruptFileError
from ..storage.folders import find_file, require_file
from ..storage.plain import check_plain_file, is_plain_name
from ..storage.schema import Field, check_fields, integer, text
from ..storage.tensors import check_header
from ..text.tokenizers import readable
from .gaussian import DiagonalGaussian

MODULES, RUN = "modules.json", "textvae"  # the model_type of a run
MOST_BYTES = 1 << 20  # of a JSON file
TRUTH = Field(lambda value: isinstance(value, bool), "true or false").or_absent()
DENSE = {
    "in_features": integer(1, 1 << 20), "out_features": integer(1, 1 << 20), "bias": TRUTH,
    "activation_function": text().or_absent(),
}  # fmt: skip
POOLING = {
    "pooling_mode": Field(
        lambda value: isinstance(value, str) or (isinstance(value, list) and all(isinstance(x, str) for x in value)),
        "a name or an array of names",
    ).or_null().or_absent(),
}  # fmt: skip
SETTINGS = {
    "max_seq_length": integer(1, 1 << 31).or_null().or_absent(), "do_lower_case": TRUTH.or_null(),
    "default_prompt_name": text().or_null().or_absent(),
}  # fmt: skip
POOLING_LENGTH = 512  # tokens that an encoder reads that says no length
POINT_LOG_STD = -30.0  # an embedding is a point: a posterior without a width
STOCK = "sentence_transformers.models."
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"Identity": lambda x: x, "Tanh": torch.tanh, "ReLU": torch.relu}


@dataclass
class NoDecoder:
    """Stands for the config of a decoder in a model without one."""

    model_type: str = "no decoder"
    vocab_size: int = 1  # asked for the size of a batch, before the refusal to write


@dataclass
class SentenceEncoderConfig:
    """What a model of texts asks of its network's config, for a sentence encoder.

    Attributes:
        encoder: Config of the Transformer.
        latent_dim: D, the width of the embedding.
        max_length: Longest text in tokens; longer texts are cut.
        bos_token_id: First token of a text, which encoders call CLS.
        eos_token_id: Last token, SEP.
        pad_token_id: Padding.
    """

    encoder: PreTrainedConfig
    latent_dim: int
    max_length: int
    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    decoder: Any = None
    encoder_max_length: int | None = None
    slot_dim: int = 0
    max_slots: int = 0
    unit_mean: bool = False
    keep_encoder: bool = True
    latent_dropout: float = 0.0
    longest_text: int | None = None
    text_normalization: int = 0  # texts as sentence-transformers reads them
    _attn_implementation: str = "sdpa"


class SentenceEncoder(nn.Module):
    """A Transformer and the modules behind it that make an embedding; it stands where a `TextVAEModel` stands.

    Args:
        backbone: The Transformer.
        stages: The modules, applied one after another to states or embeddings, as the folder lists them.
        config: What the model asks.
        origin: Where it came from, for messages.
    """

    def __init__(
        self, backbone: PreTrainedModel, stages: list[nn.Module], config: SentenceEncoderConfig, origin: str
    ) -> None:
        super().__init__()
        self.backbone, self.stages = backbone, nn.ModuleList(stages)
        self.config, self.origin = config, origin
        recipe = json.dumps([[type(stage).__name__, getattr(stage, "modes", None)] for stage in stages])
        self.register_buffer("recipe", torch.tensor(list(recipe.encode()), dtype=torch.uint8))  # in the fingerprint

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.backbone.dtype

    def set_attn_implementation(self, name: str) -> None:
        """Choose the attention of the Transformer."""
        self.backbone.set_attn_implementation(name)

    def num_parameters(self) -> int:
        """Return the number of weights."""
        return sum(parameter.numel() for parameter in self.parameters())

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> DiagonalGaussian:
        """Return the embedding of each row of ids (B, T) as a posterior without a width: mean of shape (B, D).

        The arithmetic is that of the weights, float32 as they are loaded, without autocast.
        """
        mask_BT = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        with torch.autocast(self.device.type, enabled=False):
            vectors = self.backbone(input_ids=input_ids, attention_mask=mask_BT).last_hidden_state
            for stage in self.stages:
                vectors = stage(vectors, mask_BT) if isinstance(stage, Pooling) else stage(vectors)
        return DiagonalGaussian(vectors, torch.full_like(vectors, POINT_LOG_STD))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the network as sentence-transformers does, which loads it too; the tokenizer is not in it."""
        folder = Path(folder)
        self.backbone.save_pretrained(folder)
        listed = [{"idx": 0, "name": "0", "path": "", "type": f"{STOCK}Transformer"}]
        for place, stage in enumerate(self.stages, 1):
            kind = type(stage).__name__
            (folder / f"{place}_{kind}").mkdir()
            stage.save(folder / f"{place}_{kind}")  # type: ignore[operator]
            listed.append({"idx": place, "name": str(place), "path": f"{place}_{kind}", "type": STOCK + kind})
        settings: dict[str, Any] = {"max_seq_length": self.config.max_length, "do_lower_case": False}
        if self.config.encoder.model_type == "bert":  # there are no weights of a pooler
            settings["model_args"] = {"add_pooling_layer": False}
        write_json(folder / "sentence_bert_config.json", settings)
        (folder / MODULES).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")

    @property
    def write(self) -> NoReturn:
        """What only a decoder has.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"this model has no trained decoder: train one with textvae train CORPUS -o RUN --encoder {self.origin} "
            "--keep-encoder"
        )

    generate = nats = decode = read = freeze = decoder = write


class Pooling(nn.Module):
    """Make a vector of states: the concatenation of one or more of the ways that sentence-transformers knows."""

    def __init__(self, hidden: int, modes: list[str]) -> None:
        super().__init__()
        unknown = [mode for mode in modes if mode not in POOLINGS]
        if unknown or not modes:
            raise ValueError(f"unknown pooling {', '.join(unknown) or 'of no kind'}: use {', '.join(POOLINGS)}")
        self.hidden, self.modes = hidden, modes
        self.width = hidden * len(modes)

    def forward(self, states_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        """Return one vector a row, shape (B, H times the number of ways)."""
        return torch.cat([POOLINGS[mode](states_BTH, mask_BT.unsqueeze(-1)) for mode in self.modes], -1)

    def save(self, folder: Path) -> None:
        """Write the settings."""
        settings: dict[str, Any] = {"embedding_dimension": self.hidden, "pooling_mode": self.modes}
        if self.modes == [mode for mode in POOLING_FLAGS if mode in self.modes]:  # older versions read it too
            flags = {flag: mode in self.modes for mode, flag in POOLING_FLAGS.items()}
            settings = {"word_embedding_dimension": self.hidden} | flags
        write_json(folder / "config.json", settings)


class Normalize(nn.Module):
    """Scale vectors to length 1."""

    def forward(self, vectors_BD: Tensor) -> Tensor:
        """Return vectors of length 1, shape (B, D)."""
        return F.normalize(vectors_BD, dim=-1)

    def save(self, folder: Path) -> None:
        """Write the settings, of which there are none."""
        write_json(folder / "config.json", {})


class Dense(nn.Module):
    """A linear layer and an activation."""

    def __init__(self, inputs: int, outputs: int, bias: bool, activation: str) -> None:
        super().__init__()
        self.linear, self.activation, self.width = nn.Linear(inputs, outputs, bias=bias), activation, outputs

    def forward(self, vectors_BD: Tensor) -> Tensor:
        """Return vectors of the layer's width."""
        return ACTIVATIONS[self.activation](self.linear(vectors_BD))

    def save(self, folder: Path) -> None:
        """Write the settings and the weights."""
        settings = {
            "in_features": self.linear.in_features,
            "out_features": self.width,
            "bias": self.linear.bias is not None,
            "activation_function": "torch.nn.modules."
            + {"Identity": "linear.", "Tanh": "activation.", "ReLU": "activation."}[self.activation]
            + self.activation,
        }
        write_json(folder / "config.json", settings)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _mean(states_BTH: Tensor, mask_BT1: Tensor) -> Tensor:
    return (states_BTH * mask_BT1).sum(1) / _count(mask_BT1)


def _weighted_mean(states_BTH: Tensor, mask_BT1: Tensor) -> Tensor:
    weights_BT1 = mask_BT1 * torch.arange(1, states_BTH.shape[1] + 1, device=states_BTH.device)[:, None]
    return (states_BTH * weights_BT1).sum(1) / _count(weights_BT1)


def _count(weights_BT1: Tensor) -> Tensor:
    return weights_BT1.sum(1).clamp(min=1e-9)  # a text without tokens, where a tokenizer adds none


def _last(states_BTH: Tensor, mask_BT1: Tensor) -> Tensor:
    return states_BTH[torch.arange(len(states_BTH)), mask_BT1.sum((1, 2)).long() - 1]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": lambda states_BTH, mask_BT1: states_BTH[:, 0],
    "max": lambda states_BTH, mask_BT1: states_BTH.masked_fill(mask_BT1 == 0, float("-inf")).amax(1),
    "mean": _mean,
    "mean_sqrt_len_tokens": lambda states_BTH, mask_BT1: (states_BTH * mask_BT1).sum(1) / _count(mask_BT1).sqrt(),
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
# in the order in which sentence-transformers concatenates them
POOLING_FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def is_sentence_encoder(folder: Path) -> bool:
    """Return whether a folder is laid out as sentence-transformers does, and no run."""
    if find_file(folder, MODULES) is None:
        return False
    config = find_file(folder, "config.json")
    return config is None or read_json(config).get("model_type") != RUN


def load_sentence_network(folder: Path, backbone: PreTrainedModel, tokenizer: Any) -> SentenceEncoder:
    """Return the network of a folder of sentence-transformers, or of a plain encoder, which is pooled by its mean.

    Args:
        folder: The folder.
        backbone: The Transformer in it.
        tokenizer: The tokenizer in it.

    Raises:
        ValueError: A module of it is unknown here, or it puts a prompt before each text.
    """
    settings, stages = _read(folder / "sentence_bert_config.json"), _stages(folder, backbone.config.hidden_size)
    if _read(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        raise ValueError(f"{folder} puts a prompt before each text, which is not supported: use another encoder")
    if settings.get("do_lower_case") and readable(tokenizer, ["A"]) == ["A"]:
        raise ValueError(f"{folder} lower-cases each text, which its tokenizer does not: use another encoder")
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    config = SentenceEncoderConfig(
        encoder=backbone.config,
        latent_dim=[stage.width for stage in stages if isinstance(stage, Pooling | Dense)][-1],
        max_length=settings.get("max_seq_length") or _longest(backbone.config, tokenizer),
        bos_token_id=first or 0,
        eos_token_id=last or 0,
        pad_token_id=tokenizer.pad_token_id or 0,
        decoder=NoDecoder(),
    )
    return SentenceEncoder(backbone, stages, config, str(folder))


def _stages(folder: Path, hidden: int) -> list[nn.Module]:
    if not is_sentence_encoder(folder):
        return [Pooling(hidden, ["mean"])]
    listed = _modules(folder)
    stages: list[nn.Module] = []
    for module in listed[1:]:
        kind = module["type"].rpartition(".")[2]
        if kind not in LOADERS:
            raise ValueError(
                f"{folder} has a module {module['type']}, which is unknown here: use an encoder of "
                f"{', '.join(LOADERS)}, or keep it with textvae train --teacher {folder}"
            )
        stages.append(LOADERS[kind](folder, module["path"], hidden))
    if not any(isinstance(stage, Pooling) for stage in stages):
        raise ValueError(f"{folder} lists no pooling, so it makes no sentence embedding: use another encoder")
    return stages


def _modules(folder: Path) -> list[dict[str, str]]:
    """Return the modules that a folder lists; their folders are inside it."""
    path = require_file(folder, MODULES)
    try:
        listed = parse_json(path.read_bytes()[:MOST_BYTES])
    except ValueError as error:
        raise CorruptFileError(f"{path} is not valid JSON ({error}): restore it from a copy") from error
    right = isinstance(listed, list) and all(
        isinstance(each, dict) and isinstance(each.get("type"), str) and isinstance(each.get("path"), str)
        for each in listed
    )
    if not right or not all(each["path"] == "" or is_plain_name(each["path"]) for each in listed):
        raise CorruptFileError(f"{path} lists no modules inside the folder: restore it from a copy")
    return listed


def _load_pooling(folder: Path, place: str, hidden: int) -> Pooling:
    settings = _settings(folder, place, POOLING | dict.fromkeys(POOLING_FLAGS.values(), TRUTH))
    modes = settings.get("pooling_mode") or [mode for mode, flag in POOLING_FLAGS.items() if settings.get(flag)]
    return Pooling(hidden, [modes] if isinstance(modes, str) else list(modes))


def _load_dense(folder: Path, place: str, hidden: int) -> Dense:
    settings = _settings(folder, place, DENSE)
    activation = settings.get("activation_function", "Tanh").rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"{folder / place} has the activation {activation}, which is unknown here: use another encoder"
        )
    file = _inner(folder, place, "model.safetensors")
    check_header(file)
    try:
        weights = load_file(file)
        if tuple(weights["linear.weight"].shape) != (settings["out_features"], settings["in_features"]):
            raise ValueError("a layer of another shape")
        dense = Dense(settings["in_features"], settings["out_features"], settings.get("bias", True), activation)
        dense.load_state_dict(weights)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise CorruptFileError(
            f"the weights in {file} are not those of the config.json beside: restore both"
        ) from error
    return dense


def _settings(folder: Path, place: str, fields: dict[str, Field]) -> dict[str, Any]:
    path = _inner(folder, place, "config.json")
    content = read_json(path, MOST_BYTES)
    check_fields(content, fields, path)
    return content


def _inner(folder: Path, place: str, name: str) -> Path:
    """Return a file of a module, of which the first may be in the folder itself."""
    return require_file(folder, f"{place}/{name}".lstrip("/"))


LOADERS: dict[str, Callable[[Path, str, int], nn.Module]] = {
    "Pooling": _load_pooling,
    "Dense": _load_dense,
    "Normalize": lambda folder, place, hidden: Normalize(),
}


def _longest(config: PreTrainedConfig, tokenizer: Any) -> int:
    """Return how many tokens sentence-transformers lets an encoder read that says no length of its own."""
    positions = getattr(config, "max_position_embeddings", None) or POOLING_LENGTH
    return min(positions, tokenizer.model_max_length)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = read_json(check_plain_file(path.parent, path.name), MOST_BYTES)
    check_fields(content, SETTINGS, path)
    return content
