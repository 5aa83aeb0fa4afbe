"""Export of encoders to ONNX, for use without textvae."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..latent.onnx_file import INPUTS, OPSET, OUTPUTS, library_tokenizer, write_onnx
from ..storage.atomic import write_json
from ..storage.folders import atomic_folder

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

MODEL, ABOUT, TOKENIZER = "model.onnx", "onnx.json", "tokenizer.json"


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
    tokenizer = library_tokenizer(vae, alone=True)
    with atomic_folder(path, ABOUT) as folder:
        write_onnx(vae, folder / MODEL)
        tokenizer.save(str(folder / TOKENIZER))
        about = {"dim": vae.dim, "fingerprint": vae.fingerprint, "inputs": INPUTS, "outputs": OUTPUTS, "opset": OPSET}
        write_json(folder / ABOUT, about)
