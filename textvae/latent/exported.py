"""Encoders exported to ONNX, kept in the user's cache and run without torch.

What is exported is kept in the user's cache and never beside the run: whoever made that folder may be a stranger, its
manifest would have to change, and it may be read-only. An export is named after the SHA-256 digests of the files that
decide what `encode` returns (weights, configuration, tokenizer), so that it belongs to these files and no others.
"""

# N texts, B sentences, T tokens, D latent dimensions
from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..storage.atomic import read_json
from ..storage.cache import cache_folder
from ..storage.errors import CorruptFileError
from ..storage.folders import file_digests, open_folder
from ..storage.schema import check_fields, integer, text
from ..text.batching import ahead, by_length, even_length, filled
from ..text.cleaning import gate_texts, normalised
from .hub import PLAIN_FILES
from .processor import sums_8_bits_exactly
from .runtimes import RUNTIMES, Run, installed

logger = logging.getLogger("textvae")
MODEL, TOKENIZER, ABOUT = "model.onnx", "tokenizer.json", "encoder.json"
FORMAT = 1  # part of the names: a change of what is exported, or of the network's arithmetic, increases it
MOST_EXPORTS = 8  # kept in the cache
UNREAD = {"manifest.json", "metrics.jsonl", "training.json", "prior.safetensors", "familiarity.json"}
DECIDING = [name for name in PLAIN_FILES if name not in UNREAD]
FIELDS = {
    "fingerprint": text(256), "dim": integer(1), "pad_id": integer(0), "max_length": integer(1),
    "text_normalization": integer(0), "fastest": text(16), "machine": text(256),
    "compared": integer(0),
}  # fmt: skip


class ExportedEncoder:
    """An encoder in a folder of the cache: it gives the vectors of `TextVAE.encode`, float32, without torch.

    Args:
        folder: The folder.
        runtime: "onnx" or "openvino".

    Raises:
        CorruptFileError: A file of it was truncated or altered.
        ImportError: The runtime is not installed.

    Attributes:
        fingerprint: That of the model it was exported from.
        dim: Latent dimensions D.
    """

    def __init__(self, folder: Path, runtime: str):
        self.folder, self.runtime, self.about = folder, runtime, read_about(folder)
        self.fingerprint: str = self.about["fingerprint"]
        self.dim: int = self.about["dim"]
        self._process = os.getpid()
        self._run: Run = RUNTIMES[runtime](folder / MODEL, ["mean"])
        self._tokenizer: Tokenizer | None = None

    @property
    def usable(self) -> bool:
        """False in a child of the process that loaded it: the threads of the runtime stayed with the parent."""
        return self._process == os.getpid()

    def encode(self, texts: str | Sequence[str], /, *, batch_size: int = 64) -> NDArray[np.float32]:
        """Return the means of texts, as `TextVAE.encode` does: (N, D), or (D,) for one string."""
        single = isinstance(texts, str)
        gated = gate_texts([texts] if single else texts)  # type: ignore[list-item]
        parts = [self.means(rows, batch_size) for rows in ahead(self._rows, gated)]
        means = np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)
        return means[0] if single else means

    def means(
        self, rows: Sequence[Sequence[int]], batch_size: int, advance: Callable[[int], object] | None = None
    ) -> NDArray[np.float32]:
        """Return the means (N, D) of token ids; the arguments are those of `read_rows`."""
        means = np.empty((len(rows), self.dim), np.float32)
        for chosen in by_length(rows, batch_size):
            ids, mask = self._padded([rows[i] for i in chosen])
            means[chosen] = self._run(ids, mask)[0][: len(chosen)]
            if advance is not None:
                advance(len(chosen))
        return means

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ids and mask (B, T); rows are repeated to a size for which a runtime has prepared itself before."""
        lengths = np.array([len(row) for row in rows])
        width = min(even_length(int(lengths.max())), self.about["max_length"])
        mask = np.arange(width) < lengths[:, None]
        ids = np.full(mask.shape, self.about["pad_id"], np.int64)
        ids[mask] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        full = np.minimum(np.arange(filled(len(rows))), len(rows) - 1)
        return ids[full], mask[full].astype(np.int64)

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_file(str(self.folder / TOKENIZER))
            self._tokenizer.encode_special_tokens = True  # "</s>" in a text is text
        version = self.about["text_normalization"]
        return [row.ids for row in self._tokenizer.encode_batch_fast([normalised(each, version) for each in texts])]


def find_encoder(folder: Path, backend: str) -> ExportedEncoder | None:
    """Return the export of a model folder that is in the user's cache, None without one; nothing imports torch.

    Args:
        folder: The folder of the model, whose files are compared with its manifest.
        backend: "onnx" or "openvino"; "auto" is onnxruntime, which starts fastest.

    Raises:
        CorruptFileError: A file of the model was truncated or altered.
    """
    runtime = "onnx" if backend == "auto" else backend
    if runtime not in installed() or not cache_folder("encoders").is_dir():
        return None
    key = export_key(open_folder(folder, "run", "config.json"))
    return None if find_about(key) is None else ExportedEncoder(export_folder(key), runtime)


def export_key(folder: Path, precision: str = "fp32") -> str:
    """Return the name of the export of a model folder, whose manifest has been checked.

    Products of 8-bit numbers are of other weights where the processor would not sum them exactly.

    Raises:
        CorruptFileError: It holds links or devices in the place of files.
    """
    kind = f"{precision} unsigned" if precision == "int8" and not sums_8_bits_exactly() else precision
    digest = hashlib.sha256(f"{FORMAT} {kind}".encode())
    for name, value in file_digests(folder, DECIDING).items():
        digest.update(f"\n{name} {value}".encode())
    return digest.hexdigest()


def export_folder(key: str) -> Path:
    """Return the folder of an export in the user's cache; it need not exist."""
    return cache_folder("encoders") / key


def find_about(key: str) -> dict[str, Any] | None:
    """Return what is known about an export in the cache, None without one; a damaged one is deleted."""
    folder = export_folder(key)
    if not (folder / ABOUT).is_file():
        return None
    try:
        return read_about(folder)
    except CorruptFileError as error:
        logger.warning("an export of an encoder in the cache is damaged and is deleted: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def read_about(folder: Path) -> dict[str, Any]:
    """Return what an export says about itself, after its files were compared with its manifest.

    Raises:
        CorruptFileError: They differ.
    """
    open_folder(folder, "export", ABOUT)
    about = read_json(folder / ABOUT)
    check_fields(about, FIELDS, folder / ABOUT)
    return about
