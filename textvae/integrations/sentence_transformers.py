"""Export of runs to folders that sentence-transformers loads without textvae."""

# H hidden, D latent dimensions
from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..modeling.quiet import quiet_transformers
from ..storage.atomic import read_json, write_json
from ..storage.folders import atomic_folder
from ..text.tokenizers import add_normalisation

if TYPE_CHECKING:
    from ..latent.vae import TextVAE
    from ..modeling.encoder import LatentEncoder

MODULES = "modules.json"
STOCK = "sentence_transformers.models."  # other classes load only with trust_remote_code
IDENTITY = "torch.nn.modules.linear.Identity"  # an unknown activation would silently become tanh
NO_MODULE = "for which sentence-transformers has no module"


def save_sentence_transformer(vae: TextVAE, path: str | Path) -> None:
    """Write a folder that `SentenceTransformer(path)` loads, with the same embeddings as `vae.encode`.

    The folder uses only modules of sentence-transformers (5 or newer), so it needs neither textvae nor
    trust_remote_code. It computes in float32, while `vae.encode` may use bf16.

    Args:
        vae: A model with a pretrained encoder.
        path: The folder; an existing export there is replaced.

    Raises:
        ValueError: These modules cannot compute the model's means.
        FileExistsError: `path` holds something else.
    """
    config, encoder = vae.model.config, vae.model.encoder
    _check_exportable(vae)
    hidden, dim = config.encoder.hidden_size, config.latent_dim
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    projection = _projection(encoder, dim)
    dense = {
        "in_features": hidden,
        "out_features": dim,
        "bias": "linear.bias" in projection,
        "activation_function": IDENTITY,
    }
    with atomic_folder(path, MODULES) as folder:
        with quiet_transformers():
            encoder.backbone.save_pretrained(folder)
        _save_tokenizer(vae, folder)
        settings = {"max_seq_length": config.encoder_max_length or config.max_length, "do_lower_case": False}
        write_json(folder / "sentence_bert_config.json", settings | _without_pooler(encoder))
        about = {"model_type": "SentenceTransformer", "prompts": {}, "similarity_fn_name": "cosine"}
        write_json(folder / "config_sentence_transformers.json", about)
        scaled = {"in_features": dim, "out_features": dim, "bias": False, "activation_function": IDENTITY}
        listed = [
            {"idx": 0, "name": "0", "path": "", "type": f"{STOCK}Transformer"},
            _add(folder, 1, "Pooling", pooling),
            _add(folder, 2, "Normalize", {})
            if encoder.kept
            else _add(folder, 2, "LayerNorm", {"dimension": hidden}, _named("norm", encoder.norm)),
            _add(folder, 3, "Dense", dense, projection),
        ]
        if encoder.on_sphere and not encoder.kept:  # of length sqrt(D)
            listed += [_add(folder, 4, "Normalize", {}), _add(folder, 5, "Dense", scaled, _diagonal(dim))]
        (folder / MODULES).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def _check_exportable(vae: TextVAE) -> None:
    config = vae.model.config
    if config.keep_encoder and config.residual:
        raise ValueError(
            f"this model adds a learnt residual to its encoder's embedding, {NO_MODULE}: "
            "train one with --residual 0, or encode with textvae"
        )
    if config.unit_mean and config.batch_norm_gamma is not None:
        raise ValueError(
            f"this model scales its vectors to one length and normalises them over batches, {NO_MODULE}: "
            "train one without --bn-gamma, or encode with textvae"
        )
    if vae.encoder_tokenizer is vae.tokenizer or (config.pooling == "attention" and not config.keep_encoder):
        raise ValueError(
            f"this model's encoder was trained from scratch and pools by attention, {NO_MODULE}: "
            "export it --to onnx, train one with a pretrained --encoder, or encode with textvae"
        )


def _projection(encoder: LatentEncoder, dim: int) -> dict[str, Tensor]:
    """Return the weights of the last layer, which computes mu."""
    if encoder.kept:  # the embedding of length sqrt(D)
        return _diagonal(dim)
    layer = _named("linear", encoder.mean)
    if encoder.gamma is None:
        return layer
    norm = encoder.batch_norm  # in evaluation mode, a scale and a shift
    assert norm.running_mean is not None and norm.running_var is not None
    mean, variance = norm.running_mean.cpu().double(), norm.running_var.cpu().double()
    scale_D = encoder.gamma / (variance + norm.eps).sqrt()
    return {
        "linear.weight": (scale_D[:, None] * layer["linear.weight"].double()).float(),
        "linear.bias": (scale_D * (layer["linear.bias"].double() - mean)).float(),
    }


def _diagonal(dim: int) -> dict[str, Tensor]:
    return {"linear.weight": dim**0.5 * torch.eye(dim)}


def _named(prefix: str, module: torch.nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value.detach().cpu().contiguous() for name, value in module.state_dict().items()}


def _add(
    folder: Path, position: int, kind: str, settings: dict[str, Any], weights: dict[str, Tensor] | None = None
) -> dict[str, Any]:
    """Write the folder of one module and return its entry in modules.json."""
    name = f"{position}_{kind}"
    (folder / name).mkdir()
    write_json(folder / name / "config.json", settings)
    if weights:
        save_file(weights, folder / name / "model.safetensors", {"format": "pt"})
    return {"idx": position, "name": str(position), "path": name, "type": STOCK + kind}


def _save_tokenizer(vae: TextVAE, folder: Path) -> None:
    """Save the encoder's tokenizer with the padding and special-token handling of `vae.encode`."""
    tokenizer = copy.deepcopy(vae.encoder_tokenizer)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # reset the state of the last batch
        backend.no_truncation()
        backend.no_padding()
    add_normalisation(tokenizer, vae.model.config.text_normalization)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    write_json(path, read_json(path) | {"padding_side": "right", "split_special_tokens": True})


def _without_pooler(encoder: LatentEncoder) -> dict[str, Any]:
    """Return the setting that prevents BERT-like classes from adding a randomly initialised pooler."""
    takes = "add_pooling_layer" in inspect.signature(type(encoder.backbone).__init__).parameters
    lacks = getattr(encoder.backbone, "pooler", None) is None
    return {"model_args": {"add_pooling_layer": False}} if takes and lacks else {}
