"""Texts to latents, and latents to texts."""

# N texts, D latent dimensions
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

import torch
from numpy.typing import ArrayLike
from torch.nn import functional as F

from ..modeling.gaussian import DiagonalGaussian
from ..modeling.randomness import generator_of
from ..storage.errors import require
from ..text.batching import ahead
from ..text.cleaning import gate_texts, normalised
from ..text.tokenizers import encoder_ids, to_texts, wrap
from .decoding import Decoding, decode, repetition_guard, write_ids
from .embeddings import Vectors, cosines, progress_bar
from .geometry import Array
from .latents import Latents, on_sphere, packed
from .next_words import next_words
from .reading import Reading, read_rows
from .stored import StoredModel

logger = logging.getLogger("textvae")
T = TypeVar("T")


class LatentCodec(StoredModel):
    """Texts to latents and back. The base of `TextVAE`; `StoredModel` has its attributes."""

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
            means = self.means(gated, batch_size, done)
        means = F.normalize(means) if normalize_embeddings else means
        means = means[0] if single else means
        return means.to(self.device) if convert_to_tensor else means.numpy()

    def means(self, texts: Sequence[str], batch_size: int, advance: Callable[[int], object]) -> torch.Tensor:
        """Return the means (N, D) of texts that are clean; `advance` is called with the number of each batch."""
        blocks = ahead(self.encoder_rows, texts) if texts else [[]]
        return torch.cat([self.backend.means(self, rows, batch_size, advance) for rows in blocks])

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
        """Return token ids and the whole posterior of each text, wording slots included."""
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
                transformers. By default 1, which changes nothing; where no latent has a given wording slot 1.1, or 1.3
                for a decoder without coverage.
            no_repeat_ngram_size: No text repeats so many tokens in a row; 0 allows all. By default 0; where no latent
                has a given wording slot 3, or 2 for a decoder without coverage.
            prefixes: The beginning of each text, one for each latent; not with beams.
            max_length: Longest text in tokens; by default the model's.
            seed: Seed of the sampling; None for a random one.
            batch_size: Latents decoded together.
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
            begun = [row[:-1] for row in self.decoder_rows(gate_texts(prefixes))]
            wrong = f"{len(points)} latents need as many prefixes, got {len(begun)}"
            require(len(begun) == len(points), wrong)
        generator = generator_of(seed, self.device) if temperature else None
        return decode(points, self.dim, options, self.write, self.encode, begun, generator)

    def write(
        self,
        latents: Array,
        options: Decoding,
        begun: Sequence[Sequence[int]] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """Return all candidates of N latents, grouped by latent; `decode` returns the best one of each.

        Args:
            latents: Shape (N, D), or packed with wording slots.
            options: How to decode.
            begun: Token ids of each text's beginning, BOS first.
            generator: Source of the samples, on the model's device; None for torch's global one.
        """
        return to_texts(self.tokenizer, write_ids(self.model, self.on_sphere(latents), options, begun, generator))

    def next_words(
        self, latents: Array, prefixes: Sequence[str], count: int, against: Array | None = None
    ) -> list[list[str]]:
        """Return up to `count` words that the decoder would write after each of N prefixes, each of one token.

        Args:
            latents: Shape (N, D), or packed with wording slots.
            prefixes: The beginning of each text.
            count: Words of each.
            against: Other latents of that shape: words that are likelier given `latents` than given these come first.
        """
        return self.alone(lambda: next_words(self, latents, prefixes, count, against))

    # Shared with training

    @property
    def encoder_pad_id(self) -> int:
        """Padding id of the encoder's tokenizer."""
        shared = self.encoder_tokenizer is self.tokenizer
        return self.model.config.pad_token_id if shared else self.encoder_tokenizer.pad_token_id

    def alone(self, function: Callable[[], T]) -> T:
        """Run a function that uses the network directly; a model that many threads share gives it a turn of its own."""
        return function()

    def encoder_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the encoder's token ids of each text, normalised as the model's `text_normalization` says."""
        if self.encoder_tokenizer is self.tokenizer:
            return self.decoder_rows(texts)
        config, texts = self.model.config, self._normalised(texts)
        return encoder_ids(self.encoder_tokenizer, texts, config.encoder_max_length or config.max_length)

    def decoder_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the decoder's token ids of each text, BOS ... EOS, of texts normalised in the same way."""
        return wrap(self.tokenizer, self._normalised(texts), self.model.config)

    def _normalised(self, texts: Sequence[str]) -> list[str]:
        return [normalised(text, self.model.config.text_normalization) for text in texts]

    def _latents(self, latents: ArrayLike | Latents) -> Array:
        """Return checked latents as the network reads them: (N, D), or packed with wording slots."""
        return packed(latents, self.dim, self.model.config.slot_dim)

    def on_sphere(self, points: Array) -> Array:
        """Scale meanings, the first D numbers of each row, to length sqrt(D) in a model with `unit_mean`.

        Sums and centroids do not have that length. In other models the points are unchanged.
        """
        return on_sphere(points, self.dim) if self.model.config.unit_mean else points
