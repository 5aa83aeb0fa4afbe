"""Encoding speed against sentence-transformers (torch, ONNX, OpenVINO), products of 8 bits, and a static encoder.

A part of benchmarks/speed.py (--against encode, --against static), which runs it and writes its rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from timing import alternate, fastest, seconds
from torch import nn

from results import row
from textvae import TextVAE, TrainConfig
from textvae.latent import backends
from textvae.latent.processor import instruction_sets
from textvae.latent.runtimes import installed, onnx_session, openvino_session
from textvae.storage.folders import atomic_folder
from textvae.text.corpus import read_corpus
from textvae.training.build import build_model
from textvae.training.static import distill_static

BATCHES = [32, 64, 128, 256]
Encode = Callable[[list[str]], np.ndarray]


def sentences(arguments: argparse.Namespace) -> list[str]:
    """Return the texts that both sides encode."""
    return read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=arguments.texts)


def encode(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Encode with the same weights, textvae's automatic backend and 8-bit products against sentence-transformers."""
    texts = sentences(arguments)
    peers = {"st_fp32": _peer(arguments.encoder)}
    file = _exported(arguments.encoder)
    peers["st_onnx"] = _peer(arguments.encoder, onnx_session(file, ["states"]))
    if "openvino" in installed():
        peers["st_openvino"] = _peer(arguments.encoder, openvino_session(file, ["states"]))
    ours = {"auto": _automatic(arguments.encoder, texts)}
    ours["int8"] = TextVAE.from_encoder(arguments.encoder, "cpu", precision="int8")
    sizes = {
        name: fastest(
            BATCHES, lambda size, peer=peer: seconds(lambda: peer.encode(texts[: len(texts) // 10], batch_size=size))
        )
        for name, peer in peers.items()
    }
    exact, eight = peers["st_fp32"].encode(texts, batch_size=sizes["st_fp32"]), ours["int8"].encode(texts)
    cosines = (exact * eight).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(eight, axis=1)
    automatic = ours["auto"].encode(texts)
    agreement = (exact * automatic).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(automatic, axis=1)
    trials = {name: lambda vae=vae: seconds(lambda: vae.encode(texts)) for name, vae in ours.items()}
    trials |= {
        name: lambda name=name, peer=peer: seconds(lambda: peer.encode(texts, batch_size=sizes[name]))
        for name, peer in peers.items()
    }
    rate = {name: len(texts) / spent for name, spent in alternate(trials, arguments.rounds).items()}
    told = ", ".join(f"{name} {value:,.0f}/s" for name, value in rate.items())
    note = f"{told}; auto is {ours['auto'].backend.used}; their batch sizes {sizes}; {processor()}"
    near = f"smallest cosine with fp32 {agreement.min():.6f}"
    rows = [
        row(f"speed.encode_vs_{name}", round(rate["auto"] / rate[name], 2), n=len(texts), note=f"{note}; {near}")
        for name in peers
    ]
    pairs = _pairs(arguments.data)
    points = [similarity(each, pairs) for each in (lambda t: peers["st_fp32"].encode(t), ours["int8"].encode)]
    drop = f"STS-B dev, Spearman: fp32 {points[0]:.2f}, int8 {points[1]:.2f}"
    return [
        *rows,
        row("speed.encode_int8_vs_st_fp32", round(rate["int8"] / rate["st_fp32"], 2), n=len(texts), note=note),
        row("speed.encode_int8_min_cosine", round(float(cosines.min()), 4), n=len(texts), note="with fp32, each text"),
        row("speed.encode_int8_sts_drop", round(points[0] - points[1], 2), n=len(pairs), note=drop),
    ]


def static(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Distil a model that keeps MiniLM into a static encoder; its speed against MiniLM, and STS-B."""
    texts, corpus = sentences(arguments), _corpus(arguments)
    teacher = build_model(TrainConfig(encoder=str(arguments.encoder), keep_encoder=True, vocab_size=8000), texts)
    made = distill_static(teacher, corpus, epochs=arguments.epochs)
    peer = _peer(arguments.encoder)
    some = texts[: max(1, len(texts) // 10)]  # which take the peer longer than all of them the static encoder
    trials = {
        "static": lambda: seconds(lambda: made.vae.encode(texts)) / len(texts),
        "st_fp32": lambda: seconds(lambda: peer.encode(some, batch_size=32)) / len(some),
    }
    spent = alternate(trials, arguments.rounds)
    rates = f"static {1 / spent['static']:,.0f}/s, MiniLM in sentence-transformers {1 / spent['st_fp32']:,.0f}/s"
    pairs = _pairs(arguments.data)
    about = f"STS-B dev, cosine; fitted to {len(corpus):,} texts without labels, {made.cosine:.3f} with the teacher"
    return [
        row(
            "speed.static_vs_st_fp32",
            round(spent["st_fp32"] / spent["static"]),
            n=len(texts),
            note=f"{rates}; {processor()}",
        ),
        row("speed.static_sts", round(similarity(made.vae.encode, pairs) / 100, 4), n=len(pairs), seed=0, note=about),
    ]


def processor() -> str:
    """Return the instruction sets that decide how fast matrix products are, and the threads."""
    return f"{' '.join(instruction_sets()) or 'unknown sets'}, {torch.get_num_threads()} threads"


def similarity(encode: Encode, pairs: list[list[str]]) -> float:
    """Return Spearman's correlation, in points, of cosines with the scores of pairs."""
    first, second = (encode([pair[side] for pair in pairs]) for side in (1, 2))
    cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    return 100 * float(spearmanr(cosines, [float(pair[0]) for pair in pairs]).statistic)


def _pairs(data: Path) -> list[list[str]]:
    return [line.split("\t") for line in (data / "stsb" / "dev.tsv").read_text().splitlines()]


def _corpus(arguments: argparse.Namespace) -> list[str]:
    """Return texts of several kinds to fit the static encoder to, as many of each."""
    files = [*sorted(Path(arguments.corpus).glob("*.txt"))] if arguments.corpus else []
    each = arguments.distilled // (len(files) + 2)
    found = [text for file in files for text in read_corpus(file, limit=each)]
    for name, column in (("multi30k", "1"), ("yelp", "1")):
        found += read_corpus(arguments.data / name / "train.tsv", column=column, limit=each)
    return found


def _automatic(encoder: Path, texts: list[str]) -> TextVAE:
    """Return the encoder with the backend that "auto" adopts after a while, here at once."""
    vae, patience = TextVAE.from_encoder(encoder, "cpu"), backends.PATIENCE
    backends.PATIENCE = 0.0
    for _ in range(2):
        vae.encode(texts[:500])
    backends.PATIENCE = patience
    return vae


class _Session(nn.Module):
    """Stands where the Transformer of sentence-transformers does, as its own ONNX and OpenVINO backends do."""

    def __init__(self, network: Any, run: Any):
        super().__init__()
        self.config, self.device, self.dtype, self.run = network.config, torch.device("cpu"), torch.float32, run

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
        """Return the last states (B, T, H)."""
        (states,) = self.run(input_ids.numpy(), attention_mask.numpy())
        return SimpleNamespace(last_hidden_state=torch.from_numpy(states))


def _peer(encoder: Path, run: Any = None) -> Any:
    """Return sentence-transformers' encoder; with `run`, a session computes its states.

    Its own backends of that name need optimum, which needs an older transformers than textvae.
    """
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(encoder), device="cpu")
    if run is not None:
        session = _Session(peer[0].auto_model, run)
        peer[0].forward = lambda features, **_: (
            features
            | {"token_embeddings": session(features["input_ids"], features["attention_mask"]).last_hidden_state}
        )
    return peer


def _exported(encoder: Path) -> Path:
    """Return an ONNX file of the Transformer's states alone, which sentence-transformers then pools."""
    from textvae.latent.exported import export_folder, export_key
    from textvae.latent.onnx_file import INPUTS, OPSET

    folder = export_folder(export_key(encoder, "states"))
    if (folder / "states.onnx").exists():
        return folder / "states.onnx"
    backbone = TextVAE.from_encoder(encoder, "cpu", backend="torch").model.backbone

    class States(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    free = {name: {0: "batch", 1: "tokens"} for name in [*INPUTS, "states"]}
    probe = torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.long)
    with atomic_folder(folder, "states.onnx") as staged, torch.inference_mode():
        torch.onnx.export(
            States().eval(), probe, str(staged / "states.onnx"), input_names=INPUTS, output_names=["states"],
            dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    return folder / "states.onnx"
