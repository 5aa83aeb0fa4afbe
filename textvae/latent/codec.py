"""A model with its tokenizers: loading and saving, texts to latents, latents to texts."""

# N texts, D latent dimensions
from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

import torch
from numpy.typing import ArrayLike
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.precision import default_device, prefer_attention
from ..modeling.quiet import quiet_transformers
from ..storage.atomic import read_json, write_json
from ..storage.errors import require
from ..storage.folders import atomic_folder, read_folder
from ..text.cleaning import gate_texts
from ..text.tokenizers import encoder_ids, to_texts, train_tokenizer, wrap
from .decoding import Decoding, decode, repetition_guard, write_ids
from .embeddings import Vectors, cosines, progress_bar
from .geometry import Array
from .hub import local_folder
from .latents import Latents, on_sphere, packed
from .loading import ENCODER_TOKENIZER, load_model, load_tokenizers, save_tokenizer, weights_digest
from .priors import Prior, StandardNormal, load_prior
from .reading import Reading, read_rows

logger = logging.getLogger("textvae")
PRIOR = "prior.safetensors"


class LatentCodec:
    """A model and its tokenizers: texts to latents and back. The base of `TextVAE`.

    Attributes:
        model: The network.
        tokenizer: The decoder's tokenizer.
        encoder_tokenizer: The encoder's tokenizer; the same object if they share one.
        path: The folder it was loaded from or saved to; None if there is none.
        prior: The distribution that `sample` draws latents from.
    """

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

    # Loading and saving

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str | torch.device | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
    ) -> Self:
        """Load a run.

        Args:
            path: A run folder written by `train` or `save_pretrained`, or org/name on the Hugging Face hub, from which
                only weights, JSON and vocabularies are fetched: nothing in them runs.
            device: Where to put the model; by default a GPU or MPS if there is one, else the CPU.
            revision: Branch, tag or commit on the hub; by default its main branch.
            cache_dir: Folder for fetched files; by default the hub's cache.

        Raises:
            FileNotFoundError: There is no such folder or model, or the hub cannot be reached.
            ValueError: It is not a run.
            CorruptFileError: A file was truncated or altered, or a weight is not finite.
        """
        return read_folder(local_folder(path, revision, cache_dir), lambda folder: cls._read(folder, device))

    @classmethod
    def _read(cls, path: Path, device: str | torch.device | None) -> Self:
        model = load_model(path)
        tokenizer, encoder_tokenizer = load_tokenizers(path)
        model.to(torch.device(device) if device else default_device())  # type: ignore[arg-type]
        prior = load_prior(path / PRIOR) if (path / PRIOR).exists() else None
        return cls(model, tokenizer, encoder_tokenizer, path=path.resolve(), prior=prior)

    @classmethod
    def from_texts(cls, texts: Sequence[str], config: TextVAEConfig, *, seed: int = 0) -> Self:
        """Return an untrained model whose byte-level BPE tokenizer was trained on the texts.

        The vocabulary sizes of encoder and decoder are set to that of the tokenizer.
        """
        tokenizer = train_tokenizer(gate_texts(texts), config.decoder.vocab_size)
        config = copy.deepcopy(config)
        config.encoder.vocab_size = config.decoder.vocab_size = len(tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = TextVAEModel(config)
        return cls(model, tokenizer)

    def save_pretrained(self, path: str | Path, *, dtype: Literal["float32", "bfloat16"] = "float32") -> None:
        """Write the model and its tokenizers as a run folder, at once and with a manifest.

        Args:
            path: The folder.
            dtype: How the weights are stored; "bfloat16" takes half the space and rounds them to 8 bits of precision.
                The loaded model then has another fingerprint: load it before you build an index or fit attributes.
        """
        require(dtype in ("float32", "bfloat16"), f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
        model = self.model if dtype == "float32" else copy.deepcopy(self.model).to(torch.bfloat16)  # type: ignore[arg-type]
        with atomic_folder(path, "config.json") as folder, quiet_transformers():
            model.save_pretrained(folder)
            if dtype == "bfloat16":  # the stored type, not that of the computation
                write_json(folder / "config.json", read_json(folder / "config.json") | {"dtype": "float32"})
            self.save_tokenizers(folder)
            if self.prior.state():
                self.prior.save(folder / PRIOR)
        if dtype == "float32":
            self.path = Path(path).resolve()

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

    # Text to latents

    @overload
    def encode(
        self,
        texts: str | Sequence[str],
        /,
        *,
        batch_size: int = ...,
        normalize_embeddings: bool = ...,
        show_progress_bar: bool = ...,
        convert_to_tensor: Literal[False] = ...,
    ) -> Array: ...
    @overload
    def encode(
        self,
        texts: str | Sequence[str],
        /,
        *,
        batch_size: int = ...,
        normalize_embeddings: bool = ...,
        show_progress_bar: bool = ...,
        convert_to_tensor: bool,
    ) -> Any: ...
    def encode(
        self,
        texts: str | Sequence[str],
        /,
        *,
        batch_size: int = 64,
        normalize_embeddings: bool = False,
        show_progress_bar: bool = False,
        convert_to_tensor: bool = False,
    ) -> Any:
        """Return posterior means, float32. Deterministic. In a model with wording slots, means of the meaning.

        The arguments are those of `SentenceTransformer.encode`.

        Args:
            texts: A string gives shape (D,); a list of N gives (N, D), and an empty list (0, D).
            batch_size: Sentences of 16 tokens encoded together; of longer ones, fewer.
            normalize_embeddings: Scale each vector to length 1; a zero vector stays as it is.
            show_progress_bar: Show a bar on stderr while it encodes, if that is a terminal.
            convert_to_tensor: Return a tensor on the model's device instead of an array.
        """
        single = isinstance(texts, str)
        gated = gate_texts([texts] if single else texts)  # type: ignore[list-item]
        with progress_bar(len(gated), show_progress_bar) as done:
            reading = read_rows(self.model, self.encoder_rows(gated), self.encoder_pad_id, batch_size, advance=done)
        means = reading.meaning.mean
        means = F.normalize(means) if normalize_embeddings else means
        means = means[0] if single else means
        return means.to(self.device) if convert_to_tensor else means.numpy()

    @staticmethod
    def similarity(a: Vectors, b: Vectors) -> torch.Tensor:
        """Return the cosine of every vector of `a` with every one of `b`, as `SentenceTransformer.similarity` does.

        Args:
            a: Vectors, shape (N, D) or (D,): arrays, tensors or lists of these.
            b: Vectors, shape (M, D) or (D,).

        Returns:
            A tensor of shape (N, M), on the device of `a`; a zero vector has cosine 0 with all others.

        Examples:
            >>> vae.similarity(vae.encode(["a cat", "a dog"]), vae.encode("a cat")).shape  # doctest: +SKIP
            torch.Size([2, 1])
        """
        return cosines(a, b)

    def posterior(self, texts: Sequence[str], /, *, batch_size: int = 64) -> DiagonalGaussian:
        """Return q(m|x) of each text, which is q(z|x) in a model without wording slots.

        Mean and log_std have shape (N, D), float32, on the CPU.
        """
        return read_rows(self.model, self.encoder_rows(gate_texts(texts)), self.encoder_pad_id, batch_size).meaning

    def read(self, texts: Sequence[str], /, *, batch_size: int = 64) -> Reading:
        """Return token ids and the whole posterior of each text, wording slots included.

        Examples:
            >>> vae.decode(vae.read(["a dog barks"]).mean)  # doctest: +SKIP
            ['a dog barks']
        """
        texts = gate_texts(texts)
        ids = self.decoder_rows(texts)
        rows = ids if self.encoder_tokenizer is self.tokenizer else self.encoder_rows(texts)
        return read_rows(self.model, rows, self.encoder_pad_id, batch_size, ids)

    # Latents to text

    @torch.inference_mode()
    def decode(
        self,
        latents: ArrayLike | Latents,
        /,
        *,
        temperature: float = 0,
        top_k: int = 0,
        top_p: float = 1,
        num_beams: int = 1,
        candidates: int = 1,
        refinements: int = 0,
        guidance: float = 1,
        repetition_penalty: float | None = None,
        no_repeat_ngram_size: int | None = None,
        prefixes: Sequence[str] | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        batch_size: int = 256,
    ) -> list[str]:
        """Write a text for each latent.

        Args:
            latents: Shape (N, D), or `Latents`; one latent of shape (D,) gives a list of one text. In a model with
                wording slots an array of meanings leaves the wording to the decoder. With `unit_mean` vectors of any
                length will do: sums, differences, centroids, rows of a vector store.
            temperature: 0 takes the likeliest token each time; above 0 samples.
            top_k: Sample among this many likeliest tokens; 0 for all.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            num_beams: Beams of a beam search; not together with a temperature.
            candidates: Texts written for each latent, of which the one whose own mean lies nearest is returned (that of
                the highest cosine in a model with `unit_mean`). Beside samples the greedy text is tried too.
            refinements: Refinement rounds: re-encode the output and shift the target latent by the error; the text
                nearest to the latent is returned. Not together with sampling.
            guidance: Weight of the latent in the logits: 1 is the decoder itself; below 1 mixes in the decoder without
                a latent, for more fluent and less faithful texts; above 1 follows the latent more closely. Values other
                than 1 need a model trained with latent dropout, and no beams.
            repetition_penalty: Above 1 makes tokens that a text already has less likely (Keskar et al. 2019), as in
                transformers. By default 1, which changes nothing; 1.3 where no latent has a given wording slot.
            no_repeat_ngram_size: No text repeats so many tokens in a row; 0 allows all. By default 0; 2 where no latent
                has a given wording slot.
            prefixes: The beginning of each text, one for each latent; not with beams.
            max_length: Longest text in tokens; by default the model's.
            seed: Seed of the sampling; None for a random one.
            batch_size: Latents decoded together.

        Returns:
            N texts.
        """
        points = self.on_sphere(self._latents(latents))
        penalty, size = repetition_guard(points, self.model.config, repetition_penalty, no_repeat_ngram_size)
        options = Decoding(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            num_beams=num_beams,
            candidates=candidates,
            refinements=refinements,
            guidance=guidance,
            repetition_penalty=penalty,
            no_repeat_ngram_size=size,
            max_length=max_length,
            batch_size=batch_size,
        )
        longest = self.model.config.longest_text
        fits = longest is None or (max_length or 0) <= longest
        require(fits, f"max_length must be at most {longest}, the positions of the decoder, got {max_length}")
        begun = None
        if prefixes is not None:
            require(num_beams == 1, "choose prefixes or beams (num_beams), not both")
            wrong = f"{len(points)} latents need as many prefixes, got {len(prefixes)}"
            require(len(prefixes) == len(points), wrong)
            begun = [row[:-1] for row in self.decoder_rows(gate_texts(prefixes))]
        return decode(points, self.dim, options, self.write, self.encode, begun, seed)

    def write(self, latents: Array, options: Decoding, begun: Sequence[Sequence[int]] | None = None) -> list[str]:
        """Return all candidates of N latents, grouped by latent; `decode` returns the best one of each.

        Args:
            latents: Shape (N, D), or packed with wording slots.
            options: How to decode.
            begun: Token ids of each text's beginning, BOS first.
        """
        return to_texts(self.tokenizer, write_ids(self.model, self.on_sphere(latents), options, begun))

    # Shared with training

    @property
    def encoder_pad_id(self) -> int:
        """Padding id of the encoder's tokenizer."""
        shared = self.encoder_tokenizer is self.tokenizer
        return self.model.config.pad_token_id if shared else self.encoder_tokenizer.pad_token_id

    def encoder_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the encoder's token ids of each text."""
        if self.encoder_tokenizer is self.tokenizer:
            return wrap(self.tokenizer, texts, self.model.config)
        config = self.model.config
        return encoder_ids(self.encoder_tokenizer, texts, config.encoder_max_length or config.max_length)

    def decoder_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the decoder's token ids of each text, BOS ... EOS."""
        return wrap(self.tokenizer, texts, self.model.config)

    def _latents(self, latents: ArrayLike | Latents) -> Array:
        """Return checked latents as the network reads them: (N, D), or packed with wording slots."""
        return packed(latents, self.dim, self.model.config.slot_dim)

    def on_sphere(self, points: Array) -> Array:
        """Scale meanings, the first D numbers of each row, to length sqrt(D) in a model with `unit_mean`.

        Sums and centroids do not have that length. In other models the points are unchanged.
        """
        return on_sphere(points, self.dim) if self.model.config.unit_mean else points
