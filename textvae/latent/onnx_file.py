"""Encoders written as ONNX: token ids in, means and log standard deviations of the posterior out."""

# B sentences, T tokens, D latent dimensions
from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.quiet import quiet_transformers
from ..text.tokenizers import add_normalisation, pad
from .int8 import quantise, smooth
from .runtimes import installed, onnx_session

OPSET = 18
INPUTS, OUTPUTS = ["input_ids", "attention_mask"], ["mean", "log_std"]
LEAST_COSINE = 0.9999  # of a row of the file with one of the model
FEWEST, MEASURED, BATCH = 256, 512, 64  # texts on which ranges are measured, and of a batch of them
PROBES = [(3, 9), (1, 4), (5, 17)]  # batches (B, T) that the file is checked with; the first one is traced


class Encoder(Protocol):
    """What is exported of a `TextVAE`."""

    model: TextVAEModel
    tokenizer: PreTrainedTokenizerBase
    encoder_tokenizer: PreTrainedTokenizerBase

    @property
    def encoder_pad_id(self) -> int:
        """Padding id of the encoder's tokenizer."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that identify the weights."""


def write_onnx(vae: Encoder, file: Path, rows: Sequence[Sequence[int]] | None = None) -> None:
    """Write the encoder of a model with its pooling and heads; onnxruntime runs the file, which is then compared.

    Args:
        vae: The model.
        file: The new file. It takes input_ids and attention_mask, int64 (B, T), and gives mean and log_std, float32
            (B, D), of the posterior of the meaning; B and T are free.
        rows: Token ids of texts on which ranges are measured, for products of 8-bit numbers; by default all products
            are of float32. Their vectors are not compared here.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: The encoder cannot be traced, or its file gives other vectors.
    """
    if find_spec("onnx") is None or "onnx" not in installed():  # torch imports the first one when it writes the file
        raise ImportError("an export to ONNX needs onnx and onnxruntime: pip install 'textvae[onnx]'")
    network = _Means(vae).eval()
    if rows is not None:
        whole: Any = network.model
        smooth(network, getattr(whole, "encoder", whole).backbone, _batches(rows, vae.encoder_pad_id))
    _trace(network, _probe(vae, *PROBES[0]), file)
    if rows is not None:
        quantise(file)
        return
    run = onnx_session(file, OUTPUTS)
    for size in PROBES:
        _compare(network, run, _probe(vae, *size))


class _Means(nn.Module):
    """The encoder with the outputs of the file, on the CPU and in float32."""

    def __init__(self, vae: Encoder):
        super().__init__()
        model: Any = copy.deepcopy(vae.model)
        self.model = model.to("cpu", torch.float32)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        posterior = self.model.encode(input_ids, attention_mask)
        return posterior.mean, posterior.log_std


def _batches(rows: Sequence[Sequence[int]], pad_id: int) -> list[tuple[Tensor, Tensor]]:
    """Return batches of ids and mask (B, T) of texts of similar length, spread over all of them."""
    if len(rows) < FEWEST:
        raise ValueError(
            f"precision int8 measures the ranges of an encoder on the first texts, at least {FEWEST}, got {len(rows)}: "
            "encode more at once"
        )
    chosen = sorted(rows, key=len)[:: max(1, len(rows) // MEASURED)]
    return [pad(chosen[start : start + BATCH], pad_id) for start in range(0, len(chosen), BATCH)]


def _trace(network: nn.Module, probe: tuple[Tensor, Tensor], file: Path) -> None:
    free = {name: {0: "batch", 1: "tokens"} for name in INPUTS} | {name: {0: "batch"} for name in OUTPUTS}
    with quiet_transformers(), warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # about branches on shapes, which the comparison tries
        try:
            torch.onnx.export(
                network, probe, str(file), input_names=INPUTS, output_names=OUTPUTS, dynamic_axes=free,
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        except (RuntimeError, TypeError, NotImplementedError) as error:
            told = str(error).strip().splitlines()[0]
            raise ValueError(f"torch cannot export this encoder to ONNX ({told}): encode with textvae") from error


def _compare(network: nn.Module, run: Any, probe: tuple[Tensor, Tensor]) -> None:
    """Raise ValueError unless the file gives the vectors of the network."""
    found = run(*(value.numpy() for value in probe))
    with torch.inference_mode():
        expected = network(*probe)
    cosines = torch.cosine_similarity(torch.from_numpy(found[0]), expected[0], dim=-1)
    close = torch.allclose(torch.from_numpy(found[1]), expected[1], atol=1e-3)
    if not (close and bool((cosines >= LEAST_COSINE).all())):
        raise ValueError(
            f"the ONNX file of this encoder gives other vectors (cosine {float(cosines.min()):.4f}) for a batch of "
            f"{tuple(probe[0].shape)}: encode with textvae"
        )


def _probe(vae: Encoder, rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask (B, T) of rows of different lengths, padded on the right."""
    generator = torch.Generator().manual_seed(0)
    ids_BT = torch.randint(4, max(5, len(vae.encoder_tokenizer)), (rows, tokens), generator=generator)
    mask_BT = (torch.arange(tokens) < tokens - torch.arange(rows)[:, None] % tokens).long()
    return ids_BT.masked_fill(mask_BT == 0, vae.encoder_pad_id), mask_BT


def library_tokenizer(vae: Encoder, *, alone: bool) -> Any:
    """Return a tokenizer of the library tokenizers that gives the ids of `vae.encode`, cut and with special tokens.

    Args:
        vae: The model.
        alone: Whether it also normalises and pads, for use without textvae.

    Raises:
        ValueError: The encoder's tokenizer has no fast form.
    """
    config = vae.model.config
    whole = copy.deepcopy(vae.encoder_tokenizer)
    backend = getattr(whole, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("the encoder's tokenizer has no fast form, which the library tokenizers could load")
    if alone:
        add_normalisation(whole, config.text_normalization)
    if vae.encoder_tokenizer is vae.tokenizer:
        around = [(str(whole.convert_ids_to_tokens(id)), id) for id in (config.bos_token_id, config.eos_token_id)]
        single = f"{around[0][0]} $A {around[1][0]}"
        backend.post_processor = TemplateProcessing(single=single, special_tokens=around)
    backend.enable_truncation(config.encoder_max_length or config.max_length)
    if alone:
        pad_token = str(whole.convert_ids_to_tokens(vae.encoder_pad_id))
        backend.enable_padding(pad_id=vae.encoder_pad_id, pad_token=pad_token)
    else:
        backend.no_padding()
    return backend
