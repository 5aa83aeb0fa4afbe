"""Verbs that describe a folder or this machine, and export a run."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Literal

from ..latent.hub import local_folder
from ..storage.atomic import read_json
from ..storage.folders import check_manifest, find_file, open_folder, require_file
from ..storage.kinds import kind_of
from .options import (
    PRINTING,
    Device,
    Output,
    Printing,
    can_write_folder,
    hush_libraries,
)
from .training import TRAINING, best_validation


def export(
    run: Path,
    /,
    *,
    output: Output,
    to: Literal["sentence-transformers", "onnx"] = "sentence-transformers",
    printing: Printing = PRINTING,
) -> None:
    """Write the encoder of a run as a folder that another library loads without textvae.

    Args:
        run: Run folder, or org/name on the hub; for sentence-transformers of a model with a pretrained encoder.
        output: Folder to write.
        to: The library. SentenceTransformer(OUTPUT).encode gives the same latents as textvae encode. onnx writes
            model.onnx, from token ids to mean and log_std, and tokenizer.json (pip install 'textvae[onnx]').
    """
    can_write_folder(output, "export", "onnx.json" if to == "onnx" else "modules.json")
    vae = Device(device="cpu", encoder_backend="torch").load(run)
    if to == "onnx":
        from ..integrations.onnx import save_onnx

        save_onnx(vae, output)
    else:
        from ..integrations.sentence_transformers import save_sentence_transformer

        save_sentence_transformer(vae, output)
    record = {"output": str(output), "to": to, "dim": vae.dim}
    printing.result(record, f"wrote {output} for {to}: vectors of {vae.dim} dimensions")


def info(path: Path, /, *, printing: Printing = PRINTING) -> None:
    """Describe a run, an index or an attribute folder.

    Args:
        path: The folder, or org/name of a run on the hub.
    """
    path = local_folder(str(path))
    kinds: dict[str, Callable[[Path], dict[str, Any]]] = {
        "index.json": _index_facts,
        "attribute.json": _attribute_facts,
        "config.json": _run_facts,
    }
    for mark, facts in kinds.items():
        if (path / mark).is_file():
            known = facts(path)
            printing.facts(known if printing.json or facts is not _attribute_facts else _in_words(known))
            return
    if not path.exists():
        raise FileNotFoundError(f"there is no run, index or attribute at {path}")
    if path.is_dir():
        check_manifest(path)
    raise ValueError(
        f"{path} is neither a run, an index nor an attribute: it has no {', '.join(kinds)}; it is {kind_of(path)}"
    )


def doctor(*, printing: Printing = PRINTING) -> None:
    """Describe this machine: versions, devices, threads, speed of matrix products, and missing extras."""
    hush_libraries()
    from .machine import facts

    printing.facts(facts())


def _run_facts(path: Path) -> dict[str, Any]:
    from ..modeling.config_file import read_config
    from ..modeling.weights import has_weights, read_shapes

    open_folder(path, "run", "config.json")
    if read_json(require_file(path, "config.json")).get("model_type") != "textvae":
        raise ValueError(f"{path} holds a model of another kind, not a run of textvae: it is {kind_of(path)}")
    config = read_config(path)
    shapes = [shape for _, shape in read_shapes(path).values()] if has_weights(path) else []
    training = find_file(path, TRAINING)
    made_from = read_json(training) if training is not None else {}
    best = {f"best_{name}": value for name, value in best_validation(path).items()}
    return {
        "kind": "run",
        "path": str(path),
        "encoder": config.encoder.model_type,
        "decoder": config.decoder.model_type,
        "latent_dim": config.latent_dim,
        "vocab_size": config.decoder.vocab_size,
        "max_length": config.max_length,
        "parameters": sum(map(prod, shapes)),
        "sentences": made_from.get("sentences"),
        "steps": made_from.get("steps"),
    } | best


def _index_facts(path: Path) -> dict[str, Any]:
    from ..index import LatentIndex

    index = LatentIndex.load(path)
    return {
        "kind": "index",
        "path": str(path),
        "texts": len(index),
        "ids": "given" if index.named else "numbers",
        "dim": index.dim,
        "factory": index.factory,
        "metric": index.metric,
        "model": index.model_path and str(index.model_path),
        "fingerprint": index.fingerprint,
    }


def _attribute_facts(path: Path) -> dict[str, Any]:
    from ..attributes.attribute import Attribute

    attribute = Attribute.load(path)
    return {
        "kind": "attribute",
        "path": str(path),
        "name": attribute.name,
        "probe": attribute.probe,
        "negative": attribute.negative,
        "positive": attribute.positive,
        "examples": attribute.examples,
        "unlabelled": attribute.unlabelled,
        "accuracy": attribute.accuracy,
        "interval": attribute.interval,
        "writability": attribute.writability,
        "fingerprint": attribute.fingerprint,
    }


def _in_words(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of an attribute as people read them."""
    if facts["accuracy"] is None:
        return facts | {"examples": "none: it is one latent dimension"}
    low, high = facts["interval"]
    words = {
        "examples": f"{facts['examples']:,} with a label, {facts['unlabelled']:,} without",
        "unlabelled": None,
        "accuracy": f"{facts['accuracy']:.1%} of held-out examples told apart; 50% is guessing",
        "interval": f"{low:.1%} to {high:.1%} (95%)",
    }
    if facts["writability"] is not None:
        words["writability"] = f"{facts['writability']:.1%} of shifted texts are as natural as the examples"
    return facts | words
