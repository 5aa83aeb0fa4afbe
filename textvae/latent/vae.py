"""TextVAE: text in, text and numpy out. Everything people do with a trained latent space."""

# N texts, D latent dimensions, K importance samples
from __future__ import annotations

import copy
import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
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
from . import geometry
from .decoding import Decoding, decode, write_ids
from .embeddings import Vectors, cosines, progress_bar
from .geometry import Array, Method
from .hub import local_folder, upload
from .latents import Latents, on_sphere, packed
from .likelihood import log_likelihood, nats
from .loading import ENCODER_TOKENIZER, load_model, load_tokenizers
from .priors import Prior, StandardNormal, load_prior, prior_class
from .reading import Reading, read_rows

logger = logging.getLogger("textvae")
PRIOR = "prior.safetensors"
SAMPLE_GUIDANCE = 0.8  # what each weight gains and costs: results/prior.json
VARY_WORDING = 0.5
VARY_SCALE = 0.5  # spread 1 draws with half the prior's standard deviation beside the posterior's own


class TextVAE:
    """A text variational autoencoder with its tokenizers.

    Example:
        >>> config = TextVAEConfig.preset("tiny", vocab_size=300)
        >>> vae = TextVAE.from_texts(["the food was good", "the room was cold"], config)
        >>> vae.encode("the food was cold").shape
        (32,)
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
    ) -> TextVAE:
        """Load a run.

        Args:
            path: A run folder written by `train` or `save_pretrained`, or org/name on the Hugging Face hub, from which
                only weights, JSON and vocabularies are fetched: nothing in them runs.
            device: Where to put the model; by default the GPU if there is one, else the CPU.
            revision: Branch, tag or commit on the hub; by default its main branch.
            cache_dir: Folder for what is fetched; by default the hub's cache.

        Raises:
            FileNotFoundError: There is no such folder or model, or the hub cannot be reached.
            ValueError: It is not a run.
            CorruptFileError: A file was truncated or altered, or a weight is not finite.
        """
        return read_folder(local_folder(path, revision, cache_dir), lambda folder: cls._read(folder, device))

    @classmethod
    def _read(cls, path: Path, device: str | torch.device | None) -> TextVAE:
        model = load_model(path)
        tokenizer, encoder_tokenizer = load_tokenizers(path)
        model.to(torch.device(device) if device else default_device())  # type: ignore[arg-type]
        prior = load_prior(path / PRIOR) if (path / PRIOR).exists() else None
        return cls(model, tokenizer, encoder_tokenizer, path=path.resolve(), prior=prior)

    @classmethod
    def from_texts(cls, texts: Sequence[str], config: TextVAEConfig, *, seed: int = 0) -> TextVAE:
        """Return an untrained model whose byte-level BPE tokenizer was trained on the texts.

        The vocabularies of both halves of the config shrink to what the tokenizer has.
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
                What is loaded from there is another model than this one: load it before you build an index on it.
        """
        require(dtype in ("float32", "bfloat16"), f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
        model = self.model if dtype == "float32" else copy.deepcopy(self.model).to(torch.bfloat16)  # type: ignore[arg-type]
        with atomic_folder(path, "config.json") as folder, quiet_transformers():
            model.save_pretrained(folder)
            if dtype == "bfloat16":  # stored so, not to be computed with
                write_json(folder / "config.json", read_json(folder / "config.json") | {"dtype": "float32"})
            self.save_tokenizers(folder)
            if self.prior.state():
                self.prior.save(folder / PRIOR)
        if dtype == "float32":
            self.path = Path(path).resolve()

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, commit_message: str = "Upload a textvae model"
    ) -> str:
        """Write the model to the Hugging Face hub, from which `from_pretrained` loads it, and return its address.

        Args:
            repo_id: org/name; it is created if it is not there.
            private: Whether a new model is private; by default as the organisation has it.
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
        self.tokenizer.save_pretrained(folder)
        if self.encoder_tokenizer is not self.tokenizer:
            self.encoder_tokenizer.save_pretrained(folder / ENCODER_TOKENIZER)

    @property
    def dim(self) -> int:
        """Number of latent dimensions D."""
        return self.model.config.latent_dim

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def to(self, device: str | torch.device) -> TextVAE:
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
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

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
        """Return posterior means, float32. Deterministic. Of a model with wording slots they are those of the meaning.

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

        Example:
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
        """Return all that the model reads of each text: token ids, and the posterior with its wording slots.

        Example:
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
        prefixes: Sequence[str] | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        batch_size: int = 256,
    ) -> list[str]:
        """Write a text for each latent.

        Args:
            latents: Shape (N, D), or `Latents`; one latent of shape (D,) gives a list of one text. In a model with
                wording slots an array of meanings leaves the wording to the decoder.
            temperature: 0 takes the likeliest token each time; above 0 samples.
            top_k: Sample among this many likeliest tokens; 0 for all.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            num_beams: Beams of a beam search; not together with a temperature.
            candidates: Texts written for each latent, of which the one whose own mean lies nearest is returned.
            refinements: Times that what was written is read again, and written anew with an aim that makes up for what
                it missed; the nearest text of all is returned. Needs no sampling.
            guidance: Weight of the latent: 1 is the decoder itself; below, it is mixed with what the decoder writes
                without a latent, for more fluent and less faithful texts; above, the latent is followed further. Other
                than 1 needs a model trained with latent dropout, and no beams.
            prefixes: What each text begins with, one for each latent; not with beams.
            max_length: Longest text in tokens; by default the model's.
            seed: Seed of the sampling; None draws fresh.
            batch_size: Latents decoded together.

        Returns:
            N texts.
        """
        options = Decoding(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            num_beams=num_beams,
            candidates=candidates,
            refinements=refinements,
            guidance=guidance,
            max_length=max_length,
            batch_size=batch_size,
        )
        longest = self.model.config.longest_text
        fits = longest is None or (max_length or 0) <= longest
        require(fits, f"max_length must be at most {longest}, what the decoder has positions for, got {max_length}")
        points = self.on_sphere(self._latents(latents))
        begun = None
        if prefixes is not None:
            require(num_beams == 1, "choose prefixes or beams (num_beams), not both")
            wrong = f"{len(points)} latents need as many prefixes, got {len(prefixes)}"
            require(len(prefixes) == len(points), wrong)
            begun = [row[:-1] for row in self.decoder_rows(gate_texts(prefixes))]
        return decode(points, self.dim, options, self.write, self.encode, begun, seed)

    def write(self, latents: Array, options: Decoding, begun: Sequence[Sequence[int]] | None = None) -> list[str]:
        """Return all candidates of each of N latents, those of one before those of the next; `decode` chooses.

        Args:
            latents: Shape (N, D), or packed with wording slots.
            options: How to decode.
            begun: Token ids that each latent's text begins with, BOS first.
        """
        return to_texts(self.tokenizer, write_ids(self.model, self.on_sphere(latents), options, begun))

    def reconstruct(self, texts: Sequence[str], /, *, refinements: int = 0, batch_size: int = 256) -> list[str]:
        """Write each text back from its posterior mean, refined as in `decode`."""
        latents = self.read(texts, batch_size=batch_size).mean
        return self.decode(latents, refinements=refinements, batch_size=batch_size)

    def sample(
        self,
        n: int,
        *,
        temperature: float = 0,
        top_p: float = 1,
        guidance: float | None = None,
        seed: int | None = None,
        batch_size: int = 256,
        prior: Literal["fitted", "standard"] = "fitted",
    ) -> list[str]:
        """Write n texts from latents drawn from the prior.

        The variety comes from the latents; a temperature adds the decoder's own.

        Args:
            n: Number of texts.
            temperature: Sampling temperature of the decoder.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            guidance: Weight of the latent, as in `decode`; by default 0.8 for a model trained with latent dropout,
                else 1.
            seed: Seed of the draw.
            batch_size: Latents decoded together.
            prior: "fitted" draws from the prior that training or `fit_prior` fitted to the latents of its texts, if
                there is one; "standard" from N(0, I).
        """
        require(n >= 1, f"n must be at least 1, got {n}")
        require(prior in ("fitted", "standard"), f"prior must be 'fitted' or 'standard', got {prior!r}")
        latents = (self.prior if prior == "fitted" else StandardNormal(self.dim)).sample(n, seed)
        if guidance is None:
            guidance = SAMPLE_GUIDANCE if self.model.config.latent_dropout else 1
        return self.decode(
            latents, temperature=temperature, top_p=top_p, guidance=guidance, seed=seed, batch_size=batch_size
        )

    def fit_prior(
        self, texts: Sequence[str], components: int | None = None, *, kind: str = "mixture", seed: int = 0
    ) -> Prior:
        """Fit the prior that `sample` draws from to the latents of texts; `save_pretrained` keeps it.

        Args:
            texts: Texts like those of the training; some thousands do.
            components: Gaussians of the mixture; by default one for every 8 * D texts, at least 1 and at most 20.
            kind: Name of a registered prior: "mixture", "standard" for N(0, I), or one of `register_prior`.
            seed: Seed of the fit.
        """
        posterior = self.posterior(texts)
        logger.info("fitting a %s prior to the latents of %s texts", kind, f"{len(texts):,}")
        self.prior = prior_class(kind).fit(posterior, components, seed)
        return self.prior

    def vary(
        self,
        text: str,
        n: int,
        *,
        spread: float = 1.0,
        wording: float | None = None,
        temperature: float = 0,
        seed: int | None = None,
    ) -> list[str]:
        """Write n texts from latents drawn around one sentence.

        Args:
            text: The sentence.
            n: Number of texts.
            spread: Width of the draw: 0 stays at the mean, 1 adds half the prior's standard deviation to the
                posterior's own.
            wording: Share of the wording slots that are kept, drawn anew for each text; the others are opened. 1 is
                near a copy, 0 keeps the meaning alone. By default 0.5; not for a model without slots.
            temperature: Sampling temperature of the decoder.
            seed: Seed of the draw.
        """
        require(n >= 1, f"n must be at least 1, got {n}")
        require(spread >= 0, f"spread must not be negative, got {spread}")
        has_slots = self.model.config.slot_dim > 0
        require(wording is None or has_slots, f"wording needs a model with wording slots, got {wording}")
        kept = VARY_WORDING if wording is None else wording
        require(0 <= kept <= 1, f"wording must be a share in [0, 1], got {wording}")
        reading = self.read([text])
        std = np.sqrt(reading.meaning.std.numpy() ** 2 + (VARY_SCALE * spread) ** 2) if spread else 0.0
        generator = np.random.default_rng(seed)
        noise = generator.standard_normal((n, self.dim), dtype=np.float32)
        meanings = (reading.meaning.mean.numpy() + std * noise).astype(np.float32)
        if not has_slots or not kept:  # with all slots open their number would still be known
            return self.decode(meanings, temperature=temperature, seed=seed)
        latents = reading.mean[[0] * n].moved(meanings)
        slots = latents.states.shape[1]
        ranks = generator.permuted(np.tile(np.arange(slots), (n, 1)), axis=1)
        return self.decode(latents.opened(ranks >= round(kept * slots)), temperature=temperature, seed=seed)

    # Moving

    def interpolate(self, a: str, b: str, n: int = 7, *, method: Method = "slerp") -> list[str]:
        """Write n texts along the path from one sentence to another, the reconstructions of both included.

        A model with wording slots writes the ends from all of z and what is between them from the meanings.
        """
        ends = self.read([a, b]).mean
        points = geometry.path(ends.meaning[0], ends.meaning[1], n, method)
        first, last = self.decode(ends)
        return [first, *self.decode(points[1:-1]), last]

    def analogy(self, a: str, b: str, c: str, *, scale: float = 1.0) -> str:
        """Write what is to c as b is to a: z = c + scale * (b - a)."""
        first, second, third = self.encode([a, b, c])
        return self.decode((third + scale * (second - first))[None])[0]

    def blend(self, texts: Sequence[str], weights: Sequence[float] | None = None) -> str:
        """Write one text from the weighted mean of several texts' latents."""
        return self.decode(geometry.barycentre(self.encode(gate_texts(texts)), weights)[None])[0]

    def traverse(self, text: str, dim: int, values: Sequence[float]) -> list[str]:
        """Write the text with one latent dimension set to each of the values.

        The others are kept, but for the scaling of a model with `unit_mean`.
        """
        require(0 <= dim < self.dim, f"dim must be in 0..{self.dim - 1}, got {dim}")
        latents = np.repeat(self.encode([text]), len(values), 0)
        latents[:, dim] = np.asarray(values, np.float32)
        return self.decode(latents)

    # Likelihood

    def log_likelihood(
        self, texts: Sequence[str], /, *, num_samples: int = 128, seed: int = 0, batch_size: int = 1024
    ) -> Array:
        """Return the importance-weighted estimate of log p(x) of each text (Burda et al. 2016, eq. 8).

        Args:
            texts: N texts.
            num_samples: K, the importance samples; the estimate is a lower bound that rises with K.
            seed: Seed of the samples.
            batch_size: Importance samples decoded together.

        Returns:
            Nats per sentence, shape (N,), float32, for the tokens and the end of the sentence.
        """
        require(num_samples >= 1, f"num_samples must be at least 1, got {num_samples}")
        require(batch_size >= 1, f"batch_size must be at least 1, got {batch_size}")
        return log_likelihood(self.model, self.read(texts), num_samples, seed, batch_size)

    def nats(self, texts: Sequence[str] | Reading, latents: ArrayLike | Latents, /, *, batch_size: int = 64) -> Array:
        """Return -log p(x|z) of each text given a latent of its own, as for `decode`: nats per sentence, shape (N,).

        Texts that were read already may be given as what `read` returned.
        """
        points = self._latents(latents)
        rows = texts.ids if isinstance(texts, Reading) else self.decoder_rows(gate_texts(texts))
        require(len(rows) == len(points), f"{len(rows)} texts need as many latents, got {len(points)}")
        return nats(self.model, rows, points, batch_size)

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
        """Scale meanings, the first D numbers of each row, to the length that means have in a model with `unit_mean`.

        Sums and centroids lose that length. In other models the points stay as they are.
        """
        return on_sphere(points, self.dim) if self.model.config.unit_mean else points
