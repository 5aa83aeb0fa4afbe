"""A model and its tokenizers as a run folder: loaded, saved, identified, moved to a device."""

# D latent dimensions
from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, cast

import torch
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.forks import check_fork
from ..modeling.precision import default_device, prefer_attention
from ..modeling.randomness import seeded
from ..storage.errors import require
from ..storage.folders import find_file, read_folder
from ..storage.versions import Versions
from ..text.cleaning import NORMALIZATION, gate_texts, normalised
from ..text.tokenizers import train_tokenizer
from .backends import EncoderBackend, check_backend
from .familiarity import CALIBRATION, Calibration
from .hub import local_folder, upload
from .loading import ENCODER_TOKENIZER, load_model, load_tokenizers, weights_digest
from .priors import Prior, StandardNormal, load_prior
from .saving import replaced_run, save_network, save_tokenizer

PRIOR = "prior.safetensors"


class StoredModel:
    """A model, its tokenizers and its prior, as they are loaded and saved. The base of `LatentCodec`.

    Attributes:
        model: The network.
        tokenizer: The decoder's tokenizer.
        encoder_tokenizer: The encoder's tokenizer; the same object if they share one.
        path: The folder it was loaded from or saved to; None if there is none.
        prior: The distribution that `sample` draws latents from.
        versions: The versions of run folders that it was loaded from or saved to.
        calibration: Scores of held-out texts, which `familiarity` compares with; None if not measured.
        backend: What computes the latents of `encode`: torch, or an export of the encoder.
    """

    calibration: Calibration | None = None

    def __init__(
        self,
        model: TextVAEModel,
        tokenizer: PreTrainedTokenizerBase,
        encoder_tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        path: Path | None = None,
        prior: Prior | None = None,
    ):
        self.model = model.eval()
        prefer_attention(model, model.device)
        self.tokenizer = tokenizer
        self.encoder_tokenizer = encoder_tokenizer or tokenizer
        self.path = path
        self.prior: Prior = StandardNormal(self.dim) if prior is None else prior
        self.versions = Versions()
        self.backend = EncoderBackend("torch", "fp32", model, None)
        check_fork()

    # Loading and saving

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str | torch.device | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        backend: str = "auto",
        precision: str = "fp32",
    ) -> Self:
        """Load a run.

        Args:
            path: A run folder written by `train` or `save_pretrained`, or org/name on the Hugging Face hub, from which
                only weights, JSON and vocabularies are fetched: nothing in them runs.
            device: Where to put the model; by default a GPU or MPS if there is one, else the CPU.
            revision: Branch, tag or commit on the hub; by default its main branch.
            cache_dir: Folder for fetched files; by default the hub's cache.
            backend: What computes the latents of `encode`: "torch"; "onnx" or "openvino", which run an export of the
                encoder on the CPU; or "auto", for calls of at least 512 texts the fastest that is installed and agrees
                with torch, else torch. An export is kept in the user's cache (TEXTVAE_CACHE). "auto" makes one only
                after 20 seconds of encoding by torch.
            precision: "fp32", or "int8" for products of 8-bit numbers in onnxruntime, whose ranges are measured on the
                first texts (at least 256). The first thousand are compared with torch, and a model whose vectors
                change too much, with a cosine below 0.99, is refused.

        Raises:
            FileNotFoundError: There is no such folder or model, or the hub cannot be reached.
            ValueError: It is not a run, or the backend or precision is unknown.
            ImportError: The backend is not installed.
            CorruptFileError: A file was truncated or altered, or a weight is not finite.
        """
        check_backend(backend, precision)
        folder = local_folder(path, revision, cache_dir)
        return read_folder(folder, lambda folder: cls._read(folder, device, backend, precision))

    @classmethod
    def _read(cls, path: Path, device: str | torch.device | None, backend: str, precision: str) -> Self:
        versions = Versions()
        versions.note(path)
        model = load_model(path)
        tokenizer, encoder_tokenizer = load_tokenizers(path, cast(TextVAEConfig, model.config))
        fitted = find_file(path, PRIOR)
        prior = None if fitted is None else load_prior(fitted, model.config.latent_dim)
        model.to(torch.device(device) if device else default_device())  # type: ignore[arg-type]
        loaded = cls(model, tokenizer, encoder_tokenizer, path=path.resolve(), prior=prior)
        loaded.versions, loaded.backend = versions, EncoderBackend(backend, precision, model, path)
        measured = find_file(path, CALIBRATION)
        loaded.calibration = None if measured is None else Calibration.load(measured)
        return loaded

    @classmethod
    def from_texts(cls, texts: Sequence[str], config: TextVAEConfig, *, seed: int = 0) -> Self:
        """Return an untrained model whose byte-level BPE tokenizer was trained on the texts.

        Both vocabulary sizes of the configuration become that of the tokenizer, `text_normalization` the newest.
        """
        tokenizer = train_tokenizer(map(normalised, gate_texts(texts)), config.decoder.vocab_size)
        config = copy.deepcopy(config)
        config.text_normalization = NORMALIZATION
        config.encoder.vocab_size = config.decoder.vocab_size = len(tokenizer)
        with seeded(seed):
            model = TextVAEModel(config)
        return cls(model, tokenizer)

    def save_pretrained(self, path: str | Path, *, dtype: Literal["float32", "bfloat16"] = "float32") -> None:
        """Write the model and its tokenizers as a run folder, at once and with a manifest.

        Only the files of a model are replaced: an index or an attribute inside the folder stays, and so do training's.

        Args:
            path: The folder.
            dtype: How the weights are stored; "bfloat16" takes half the space and rounds them to 8 bits of precision.
                The loaded model then has another fingerprint: load it before you build an index or fit attributes.

        Raises:
            ValueError: Another handle has saved the folder since this model was loaded from it or saved there.
            FileExistsError: The path holds something else.
            BlockingIOError: Another process or thread is writing it; training does until it ends.
        """
        require(dtype in ("float32", "bfloat16"), f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
        with replaced_run(path, self.versions) as folder:
            save_network(self.model, folder, dtype)
            self.save_tokenizers(folder)
            if self.calibration is not None:
                self.calibration.save(folder / CALIBRATION)
            if self.prior.state() or self.prior.statistics:
                self.prior.save(folder / PRIOR)
        if dtype == "float32":
            self.path = Path(path).resolve()

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, commit_message: str = "Upload a textvae model"
    ) -> str:
        """Write the model to the Hugging Face hub, from which `from_pretrained` loads it, and return its address.

        Args:
            repo_id: org/name; it is created if needed.
            private: Whether a new repository is private; by default the organisation's setting.
            commit_message: Message of the commit.

        Raises:
            ValueError: The name is not org/name.
            OSError: The hub refused it or cannot be reached.
        """
        path = self.path
        try:
            return upload(repo_id, self.save_pretrained, private=private, message=commit_message)
        finally:
            self.path = path

    def save_tokenizers(self, folder: Path) -> None:
        """Write the tokenizer files into a folder."""
        save_tokenizer(self.tokenizer, folder)
        if self.encoder_tokenizer is not self.tokenizer:
            save_tokenizer(self.encoder_tokenizer, folder / ENCODER_TOKENIZER)

    @property
    def dim(self) -> int:
        """Number of latent dimensions D."""
        return self.model.config.latent_dim

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device, such as "cuda:1", and return this object."""
        self.model.to(torch.device(device))  # type: ignore[arg-type]
        prefer_attention(self.model, self.device)
        return self

    def __repr__(self) -> str:
        config = self.model.config
        slots = f", slots={config.max_slots} x {config.slot_dim}" if config.slot_dim else ""
        parts = f"{config.encoder.model_type} -> {config.decoder.model_type}"
        return f"TextVAE(dim={self.dim}{slots}, {parts}, {self.model.num_parameters():,} parameters on {self.device})"

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that identify the weights."""
        return weights_digest(self.model)
