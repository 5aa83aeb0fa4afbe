"""Export of encoders to ONNX: token ids in, means and log standard deviations of the posterior out."""

# B sentences, T tokens, D latent dimensions
from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn

from ..modeling.quiet import quiet_transformers
from ..storage.atomic import write_json
from ..storage.folders import atomic_folder
from ..text.tokenizers import add_normalisation
from .engines import needs

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

MODEL, ABOUT, TOKENIZER = "model.onnx", "onnx.json", "tokenizer.json"
OPSET = 18
INPUTS, OUTPUTS = ["input_ids", "attention_mask"], ["mean", "log_std"]
LEAST_COSINE = 0.9999  # of a row of the file with one of the model
PROBES = [(3, 9), (1, 4), (5, 17)]  # batches (B, T) that the file is checked with; the first one is traced


def save_onnx(vae: TextVAE, path: str | Path) -> None:
    """Write a folder with the encoder of a model, its pooling and heads, as model.onnx, and with its tokenizer.

    The file takes input_ids and attention_mask, int64 (B, T), and gives mean and log_std, float32 (B, D), of the
    posterior of the meaning; B and T are free. tokenizer.json normalises, cuts, adds special tokens and pads as
    `vae.encode` does. What was written is run by onnxruntime and compared with the model.

    Args:
        vae: The model.
        path: The folder; an existing export there is replaced.

    Raises:
        ValueError: The encoder cannot be traced, its file gives other vectors, or its tokenizer has no fast form.
        ImportError: onnx or onnxruntime is not installed.
        FileExistsError: `path` holds something else.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise needs("onnx and onnxruntime", "onnx", "export --to onnx") from error
    del onnx  # which torch imports when it writes the file
    tokenizer = _tokenizer(vae)
    network = _Means(vae).eval()
    with atomic_folder(path, ABOUT) as folder:
        _trace(network, _probe(vae, *PROBES[0]), folder / MODEL)
        session = onnxruntime.InferenceSession(str(folder / MODEL), providers=["CPUExecutionProvider"])
        for size in PROBES:
            _compare(network, session, _probe(vae, *size))
        tokenizer.save(str(folder / TOKENIZER))
        about = {"dim": vae.dim, "fingerprint": vae.fingerprint, "inputs": INPUTS, "outputs": OUTPUTS, "opset": OPSET}
        write_json(folder / ABOUT, about)


class _Means(nn.Module):
    """The encoder with the outputs of the file, on the CPU and in float32."""

    def __init__(self, vae: TextVAE):
        super().__init__()
        self.model = copy.deepcopy(vae.model).to("cpu", torch.float32)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        posterior = self.model.encode(input_ids, attention_mask)
        return posterior.mean, posterior.log_std


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


def _compare(network: nn.Module, session: Any, probe: tuple[Tensor, Tensor]) -> None:
    """Raise ValueError unless the file gives the vectors of the network."""
    found = session.run(OUTPUTS, {name: value.numpy() for name, value in zip(INPUTS, probe, strict=True)})
    with torch.inference_mode():
        expected = network(*probe)
    cosines = torch.cosine_similarity(torch.from_numpy(found[0]), expected[0], dim=-1)
    close = torch.allclose(torch.from_numpy(found[1]), expected[1], atol=1e-3)
    if not (close and bool((cosines >= LEAST_COSINE).all())):
        raise ValueError(
            f"the ONNX file of this encoder gives other vectors (cosine {float(cosines.min()):.4f}) for a batch of "
            f"{tuple(probe[0].shape)}: encode with textvae"
        )


def _probe(vae: TextVAE, rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask (B, T) of rows of different lengths, padded on the right."""
    generator = torch.Generator().manual_seed(0)
    ids_BT = torch.randint(4, max(5, len(vae.encoder_tokenizer)), (rows, tokens), generator=generator)
    mask_BT = (torch.arange(tokens) < tokens - torch.arange(rows)[:, None] % tokens).long()
    return ids_BT.masked_fill(mask_BT == 0, vae.encoder_pad_id), mask_BT


def _tokenizer(vae: TextVAE) -> Any:
    """Return a tokenizer of the library tokenizers that gives the ids and masks of `vae.encode`."""
    config = vae.model.config
    whole = copy.deepcopy(vae.encoder_tokenizer)
    backend = getattr(whole, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("the encoder's tokenizer has no fast form, which the library tokenizers could load")
    add_normalisation(whole, config.text_normalization)
    if vae.encoder_tokenizer is vae.tokenizer:
        around = [(str(whole.convert_ids_to_tokens(id)), id) for id in (config.bos_token_id, config.eos_token_id)]
        single = f"{around[0][0]} $A {around[1][0]}"
        backend.post_processor = TemplateProcessing(single=single, special_tokens=around)
    backend.enable_truncation(config.encoder_max_length or config.max_length)
    backend.enable_padding(pad_id=vae.encoder_pad_id, pad_token=str(whole.convert_ids_to_tokens(vae.encoder_pad_id)))
    return backend
