"""What computes the latents of texts: the network in torch, or an export of it in a faster runtime."""

# N texts, D latent dimensions
from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..modeling import TextVAEModel
from ..modeling.config import StaticEncoderConfig
from ..storage.atomic import read_json, write_json
from ..storage.cache import keep_newest
from ..storage.errors import require
from ..storage.folders import atomic_folder, atomic_replacement
from ..storage.locks import only_writer
from .exported import (
    ABOUT,
    MODEL,
    MOST_EXPORTS,
    TOKENIZER,
    ExportedEncoder,
    export_folder,
    export_key,
    find_about,
)
from .onnx_file import LEAST_COSINE, Encoder, library_tokenizer, write_onnx
from .processor import machine
from .reading import read_rows
from .runtimes import MODULES, installed

logger = logging.getLogger("textvae")
BACKENDS, PRECISIONS = ("auto", "torch", *MODULES), ("fp32", "int8")
COMPARED = 1000  # texts on which the vectors of 8-bit products are compared with those of torch
LEAST_INT8 = 0.99  # cosine of a vector of 8-bit products with one of torch
PATIENCE = 20.0  # seconds of encoding in torch after which "auto" exports, which takes about 5
BULK = 512  # texts of a call from which "auto" leaves torch: seeded calls of fewer give the same before and after
PROBED = 128  # texts on which the backends are compared
WAIT = 120.0  # seconds for another process that exports the same model


class EncoderBackend:
    """Computes the means of the texts of one model, in torch or in the runtime that was asked for.

    A model whose weights were changed since it was loaded is computed in torch.

    Args:
        name: "torch", "onnx", "openvino", or "auto": for calls of at least 512 texts the fastest of those installed
            that agrees with torch. It is an export in the cache, if there is one; else torch, until that has encoded
            for 20 seconds. Calls of fewer texts stay with torch, so that they give the same throughout a process.
        precision: "fp32", or "int8" for products of 8-bit numbers, in onnxruntime.
        model: The network.
        folder: The folder it was loaded from, whose manifest has been checked; None for a model that is nowhere.

    Raises:
        ValueError: The name or the precision is unknown, or they do not go together.
        ImportError: The runtime is not installed.
    """

    def __init__(self, name: str, precision: str, model: TextVAEModel, folder: Path | None):
        check_backend(name, precision)
        self.name, self._model = "onnx" if precision == "int8" else name, model
        self._precision, self._compared = precision, 0
        static = isinstance(model.config.encoder, StaticEncoderConfig)  # no runtime is faster than a look-up
        self._key = None if name == "torch" or static or folder is None else export_key(folder, precision)
        self._weights, self._spent, self._settled = _changes(model), 0.0, False
        self._looked = False  # into the cache
        self._exported: ExportedEncoder | None = None

    def means(
        self, vae: Encoder, rows: Sequence[Sequence[int]], batch_size: int, advance: Callable[[int], object] | None
    ) -> torch.Tensor:
        """Return the means (N, D) of token ids, float32 on the CPU; the arguments are those of `read_rows`."""
        exported = self._find(vae, rows)
        if exported is not None:
            found = exported.means(rows, batch_size, advance)
            if self._precision == "int8" and self._compared < COMPARED:
                self._compare(vae, rows, found, batch_size)
            return torch.from_numpy(found)
        bag = _bag(vae.model, rows)
        if bag is not None:
            if advance is not None:
                advance(len(rows))
            return bag
        start = time.perf_counter()
        means = read_rows(vae.model, rows, vae.encoder_pad_id, batch_size, None, advance).meaning.mean
        self._spent += time.perf_counter() - start
        return means

    def __getstate__(self) -> dict[str, Any]:
        """Leave the session of a runtime out, which cannot be pickled; the copy looks its export up again."""
        key = self._key if _changes(self._model) == self._weights else None
        return self.__dict__ | {"_key": key, "_exported": None, "_settled": False, "_looked": False, "_spent": 0.0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._weights = _changes(self._model)  # a copy counts its changes from 0

    @property
    def used(self) -> str:
        """The backend that computes now: "torch", "onnx" or "openvino"."""
        return "torch" if self._exported is None else self._exported.runtime

    def _find(self, vae: Encoder, rows: Sequence[Sequence[int]]) -> ExportedEncoder | None:
        if self._key is None or _changes(self._model) != self._weights or (self.name == "auto" and len(rows) < BULK):
            return None
        if not self._settled and rows:
            if self.name != "auto":
                self._exported, self._settled = self._load(vae, rows, self.name), True
            elif vae.model.device.type == "cpu":
                self._choose(vae, rows)
        return self._exported if self._exported is None or self._exported.usable else None

    def _load(self, vae: Encoder, rows: Sequence[Sequence[int]], runtime: str) -> ExportedEncoder:
        """Return the export of the model, which is written if it is not in the cache."""
        assert self._key is not None
        folder, deadline = export_folder(self._key), time.monotonic() + WAIT
        while (about := find_about(self._key)) is None or about["fingerprint"] != vae.fingerprint:
            try:
                write_export(vae, folder, rows if self._precision == "int8" else None)
            except BlockingIOError:  # another process writes it
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._compared = about["compared"]
        return ExportedEncoder(folder, runtime)

    def _compare(
        self, vae: Encoder, rows: Sequence[Sequence[int]], means: NDArray[np.float32], batch_size: int
    ) -> None:
        """Raise ValueError if the vectors (N, D) of 8-bit products are not those of the model, on the first texts."""
        assert self._key is not None
        some = slice(0, COMPARED - self._compared)
        exact = read_rows(vae.model, rows[some], vae.encoder_pad_id, batch_size, precise=True).meaning.mean.numpy()
        least = least_cosine(means[some], exact)
        if least < LEAST_INT8:
            raise ValueError(
                f"products of 8-bit numbers change the vectors of this model too much (cosine {least:.3f}, at least "
                f"{LEAST_INT8} is needed): leave precision int8 out"
            )
        self._compared += len(exact)
        if self._compared >= COMPARED:
            _note(export_folder(self._key), {"compared": self._compared})

    def _choose(self, vae: Encoder, rows: Sequence[Sequence[int]]) -> None:
        """Adopt the fastest backend that the cache knows; measure it once torch has encoded for long enough."""
        assert self._key is not None
        if not self._looked:
            self._looked = True
            about = find_about(self._key)
            if about is not None and about["machine"] == machine() and about["fingerprint"] == vae.fingerprint:
                self._adopt(about["fastest"])
        if not self._settled and self._spent > PATIENCE:
            self._settled = True
            try:
                loaded = {name: self._load(vae, rows, name) for name in (installed() if find_spec("onnx") else [])}
                fastest = _fastest(vae, loaded, rows) if loaded else "torch"
                if loaded:
                    _note(export_folder(self._key), {"fastest": fastest, "machine": machine()})
            except (ValueError, OSError) as error:  # an encoder that cannot be exported, or a cache that is read-only
                logger.info("this model is encoded by torch: %s", error)
                return
            self._adopt(fastest)

    def _adopt(self, fastest: str) -> None:
        assert self._key is not None
        if fastest in installed():
            self._exported = ExportedEncoder(export_folder(self._key), fastest)
        self._settled = bool(fastest)


def check_backend(name: str, precision: str) -> None:
    """Raise ValueError or ImportError unless a backend can compute in a precision here."""
    require(name in BACKENDS, f"unknown backend {name!r}: use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}")
    require(precision in PRECISIONS, f"unknown precision {precision!r}: use {' or '.join(PRECISIONS)}")
    fits = precision == "fp32" or name in ("auto", "onnx")
    require(fits, f"precision int8 is for the backend onnx, got {name}: leave one of them out")
    runtime = "onnx" if precision == "int8" else name
    if runtime in MODULES and runtime not in installed():
        raise ImportError(f"the backend {runtime} needs {MODULES[runtime]}: pip install 'textvae[{runtime}]'")


def write_export(vae: Encoder, folder: Path, rows: Sequence[Sequence[int]] | None = None) -> None:
    """Export the encoder of a model to a folder of the cache, and delete the oldest ones there.

    Args:
        vae: The model.
        folder: The folder.
        rows: Token ids of the first texts, for products of 8-bit numbers, as in `write_onnx`.

    Raises:
        BlockingIOError: Another process writes the folder.
        OSError: The cache cannot be written; TEXTVAE_CACHE names another one.
        ValueError: The encoder cannot be traced, its file gives other vectors, or its tokenizer has no fast form.
        ImportError: onnx or onnxruntime is not installed.
    """
    logger.info("exporting the encoder once, to %s", folder)
    tokenizer, config = library_tokenizer(vae, alone=False), vae.model.config
    with atomic_folder(folder, ABOUT) as staged:
        write_onnx(vae, staged / MODEL, rows)
        tokenizer.save(str(staged / TOKENIZER))
        about = {
            "fingerprint": vae.fingerprint,
            "dim": config.latent_dim,
            "pad_id": vae.encoder_pad_id,
            "max_length": config.encoder_max_length or config.max_length,
            "text_normalization": config.text_normalization,
            "fastest": "",
            "machine": "",
            "compared": 0,
        }
        write_json(staged / ABOUT, about)
    keep_newest(folder.parent, "[0-9a-f]*", MOST_EXPORTS)


def _note(folder: Path, facts: dict[str, Any]) -> None:
    """Add facts to what an export says about itself."""
    about = read_json(folder / ABOUT) | facts
    with suppress(BlockingIOError), only_writer(folder), atomic_replacement(folder, ABOUT) as staged:
        staged.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _fastest(vae: Encoder, loaded: dict[str, ExportedEncoder], rows: Sequence[Sequence[int]]) -> str:
    """Return the fastest backend on some of the rows, of those that agree with torch in float32."""
    some = [rows[i] for i in np.linspace(0, len(rows) - 1, min(PROBED, len(rows))).astype(int)]

    def by_torch(*, precise: bool = False) -> NDArray[np.float32]:
        return read_rows(vae.model, some, vae.encoder_pad_id, PROBED, precise=precise).meaning.mean.numpy()

    reference = by_torch(precise=True)
    runs = {"torch": by_torch} | {name: partial(each.means, some, PROBED) for name, each in loaded.items()}
    seconds: dict[str, float] = {}
    for name, run in runs.items():
        agrees = least_cosine(run(), reference) >= LEAST_COSINE  # the first run is not timed
        start = time.perf_counter()
        run()
        seconds[name] = time.perf_counter() - start if agrees or name == "torch" else math.inf
    told = ", ".join(f"{name} {spent:.2f}" for name, spent in seconds.items())
    logger.info("seconds for %d texts: %s", len(some), told)
    return min(seconds, key=lambda name: seconds[name])


def least_cosine(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Return the smallest cosine of vectors (N, D) with others in the same rows."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    return float(((vectors * others).sum(1) / np.maximum(lengths, 1e-30)).min())


@torch.inference_mode()
def _bag(model: TextVAEModel, rows: Sequence[Sequence[int]]) -> torch.Tensor | None:
    bag = model.encoder.bag(rows) if rows and hasattr(model, "encoder") else None  # a sentence encoder has none
    return None if bag is None else bag.float().cpu()


def _changes(model: torch.nn.Module) -> int:
    """Return a number that grows when weights of a network are changed in place, as training does."""
    if model.training:
        return -1
    return sum(0 if value.is_inference() else value._version for value in model.parameters())
