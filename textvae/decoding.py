"""How latents become texts: the options of decoding, candidates that are read again, and refinement by feedback."""

# N latents, D latent dimensions, C candidates of each
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .geometry import Array
from .tokenization import pad, to_texts

if TYPE_CHECKING:
    from .text_vae import TextVAE

FEEDBACK = 0.3  # share of the miss that each refinement adds to its aim; with 0.5, four ended farther off on Yelp
ARRIVED = 1e-4  # mean squared miss, per dimension, below which a text is not refined


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Options of `TextVAE.decode`, which says what each is; impossible ones raise ValueError."""

    temperature: float = 0
    top_k: int = 0
    top_p: float = 1
    num_beams: int = 1
    candidates: int = 1
    refinements: int = 0
    guidance: float = 1
    max_length: int | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        require(self.temperature >= 0, f"temperature must be at least 0, got {self.temperature}")
        require(0 < self.top_p <= 1, f"top_p must be in (0, 1], got {self.top_p}")
        require(self.top_k >= 0, f"top_k must be at least 0, got {self.top_k}")
        for name in ("num_beams", "candidates", "batch_size"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(self.refinements >= 0, f"refinements must not be negative, got {self.refinements}")
        require(self.guidance >= 0, f"guidance must not be negative, got {self.guidance}")
        require(self.guidance == 1 or self.num_beams == 1, "choose guidance or beams (num_beams), not both")
        short = self.max_length is not None and self.max_length < 2
        require(not short, f"max_length must be at least 2 tokens, got {self.max_length}")
        both = self.temperature and self.num_beams > 1
        require(not both, "choose sampling (temperature) or beams (num_beams), not both")
        require(
            bool(self.temperature) or self.candidates <= self.num_beams,
            f"{self.candidates} candidates need sampling (temperature above 0) or num_beams={self.candidates}",
        )


def decode(
    vae: TextVAE, latents: Array, options: Decoding, prefixes: Sequence[str] | None = None, seed: int | None = None
) -> list[str]:
    """Write a text for each of N latents, the candidate whose own mean lies nearest where there are more.

    Latents are rows of D numbers, followed by those of wording slots where there are any, which no refinement moves.

    A refinement reads what was written and aims beyond the latent by what was missed, time and again; the nearest text
    of all rounds is returned.
    """
    longest = vae.model.config.longest_text
    fits = longest is None or (options.max_length or 0) <= longest
    require(fits, f"max_length must be at most {longest}, what the decoder has positions for, got {options.max_length}")
    if prefixes is not None:
        require(options.num_beams == 1, "choose prefixes or beams (num_beams), not both")
        wrong = f"{len(latents)} latents need as many prefixes, got {len(prefixes)}"
        require(len(prefixes) == len(latents), wrong)
    begun = None if prefixes is None else [row[:-1] for row in vae.decoder_rows(prefixes)]
    with _seeded(seed if options.temperature else 0):
        written = write(vae, latents, options, begun)
        if options.candidates == 1 and not options.refinements:
            return written
        texts, means, misses = _nearest(vae, written, latents, options.candidates)
        aims, meanings = latents.copy(), latents[:, : vae.dim]
        latest = means.copy()
        for _ in range(options.refinements):
            going = np.flatnonzero(misses > ARRIVED * vae.dim)
            aims[going, : vae.dim] += FEEDBACK * (meanings[going] - latest[going])
            beginnings = None if begun is None else [begun[i] for i in going]
            written = write(vae, aims[going], options, beginnings)
            tried, latest[going], missed = _nearest(vae, written, latents[going], options.candidates)
            for i, text, miss in zip(going.tolist(), tried, missed.tolist(), strict=True):
                if miss < misses[i]:
                    texts[i], misses[i] = text, miss
    return texts


def write(vae: TextVAE, latents: Array, options: Decoding, begun: Sequence[Sequence[int]] | None = None) -> list[str]:
    """Return the candidates of each of N latents, all C of one before those of the next.

    `begun` are the ids that each latent's text begins with.
    """
    written: list[str] = []
    max_length = options.max_length or vae.model.config.max_length
    candidates = options.candidates
    for start in range(0, len(latents), options.batch_size):
        points = torch.tensor(vae.on_sphere(latents[start : start + options.batch_size]))
        if options.num_beams > 1:
            ids = vae.model.generate(
                points, num_beams=options.num_beams, num_return_sequences=candidates, max_length=max_length
            )
        else:
            beginnings = None
            if begun is not None:
                beginnings, _ = pad(begun[start : start + options.batch_size], vae.model.config.pad_token_id)
                beginnings = beginnings.repeat_interleave(candidates, 0)
            ids = vae.model.write(
                points.repeat_interleave(candidates, 0),
                prefixes=beginnings,
                max_length=max_length,
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                guidance=options.guidance,
            )
        written += to_texts(vae.tokenizer, ids.tolist())
    return written


def _nearest(vae: TextVAE, written: list[str], latents: Array, candidates: int) -> tuple[list[str], Array, Array]:
    """Return each latent's nearest candidate, the means (N, D) of these, and their squared distances (N,)."""
    means_NCD = vae.encode(written).reshape(len(latents), candidates, vae.dim)
    squared_NC = np.square(means_NCD - latents[:, None, : vae.dim]).sum(-1)
    every, best = np.arange(len(latents)), squared_NC.argmin(1)
    return [written[i * candidates + j] for i, j in enumerate(best)], means_NCD[every, best], squared_NC[every, best]


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed torch inside the block and leave its global generator as it was; None draws fresh."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def require(condition: bool, message: str) -> None:
    """Raise ValueError unless a condition holds."""
    if not condition:
        raise ValueError(message)
