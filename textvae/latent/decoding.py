"""Decoding of latents: candidates that are re-encoded, and refinement by feedback."""

# N latents, D latent dimensions, C candidates of each
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from ..modeling import TextVAEModel
from ..modeling.config import TextVAEConfig
from ..modeling.forks import check_fork
from ..modeling.sampling import Decoding
from ..modeling.slots import GIVEN
from ..text.tokenizers import pad
from .embeddings import batches
from .geometry import Array

FEEDBACK = 0.3  # share of the error that each refinement adds to its target; with 0.5, four rounds were worse on Yelp
ARRIVED = 1e-4  # mean squared error, per dimension, below which a text is not refined
MOST_LOGITS = 2**28  # of one step, a gigabyte

# Penalty and size of n-grams against loops in texts from the meaning alone, measured in results/operations.json; a
# decoder that reads what it has written needs less
GUARD, GUARD_OF_COVERAGE = (1.3, 2), (1.1, 3)

__all__ = ["Decoding", "Write", "decode", "repetition_guard", "write_ids"]


class Write(Protocol):
    """A function that writes the C candidates of each of N latents, grouped by latent."""

    def __call__(
        self,
        latents: Array,
        options: Decoding,
        begun: Sequence[Sequence[int]] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """Return N * C texts; `begun` are token ids of each text's beginning, `generator` the source of samples."""


Encode = Callable[[list[str]], Array]  # texts to the means (N, D) of their meanings


def decode(
    latents: Array,
    dim: int,
    options: Decoding,
    write: Write,
    encode: Encode,
    begun: Sequence[Sequence[int]] | None = None,
    generator: torch.Generator | None = None,
) -> list[str]:
    """Write a text for each of N latents: of several candidates, the one whose posterior mean is nearest.

    Each refinement re-encodes the text and shifts the target by the error; the nearest text of all rounds is returned.

    Args:
        latents: Rows of D numbers, followed by those of wording slots if any, which refinement does not move.
        dim: D.
        options: How to decode.
        write: Writes the candidates.
        encode: Encodes them.
        begun: Token ids of each text's beginning.
        generator: Source of the samples, on the model's device; None for torch's global one.
    """
    written = _candidates(latents, options, write, begun, generator)
    if options.candidates == 1 and not options.refinements:
        return written
    texts, means, misses = _nearest(encode(written), written, latents[:, :dim])
    aims, meanings = latents.copy(), latents[:, :dim]
    latest = means.copy()
    for _ in range(options.refinements):
        going = np.flatnonzero(misses > ARRIVED * dim)
        aims[going, :dim] += FEEDBACK * (meanings[going] - latest[going])
        beginnings = None if begun is None else [begun[i] for i in going.tolist()]
        written = _candidates(aims[going], options, write, beginnings, generator)
        tried, latest[going], missed = _nearest(encode(written), written, meanings[going])
        for i, text, miss in zip(going.tolist(), tried, missed.tolist(), strict=True):
            if miss < misses[i]:
                texts[i], misses[i] = text, miss
    return texts


def repetition_guard(
    latents: Array, config: TextVAEConfig, penalty: float | None, size: int | None
) -> tuple[float, int]:
    """Return repetition_penalty and no_repeat_ngram_size; None stands for the default of such latents."""
    alone = False
    if config.slot_dim:
        slots = (latents.shape[1] - config.latent_dim) // (config.slot_dim + 1)
        alone = not (latents[:, latents.shape[1] - slots :] == GIVEN).any()
    guard = GUARD_OF_COVERAGE if getattr(config.decoder, "coverage", False) else GUARD
    defaults = guard if alone else (1.0, 0)
    return defaults[0] if penalty is None else penalty, defaults[1] if size is None else size


def _candidates(
    latents: Array,
    options: Decoding,
    write: Write,
    begun: Sequence[Sequence[int]] | None,
    generator: torch.Generator | None,
) -> list[str]:
    """Return the candidates of each latent, grouped by latent; beside several samples stands the greedy text, first."""
    written, each = write(latents, options, begun, generator), options.candidates
    if each == 1 or not options.temperature:
        return written
    greedy = write(latents, replace(options, temperature=0, top_k=0, top_p=1, candidates=1), begun)
    return [text for i, first in enumerate(greedy) for text in (first, *written[i * each : (i + 1) * each])]


@torch.inference_mode()
def write_ids(
    model: TextVAEModel,
    latents: Array,
    options: Decoding,
    begun: Sequence[Sequence[int]] | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Return the token ids of all candidates of N latents, grouped by latent.

    Args:
        model: The model.
        latents: Shape (N, D), or packed with wording slots.
        options: How to decode.
        begun: Token ids of each text's beginning, BOS first.
        generator: Source of the samples.
    """
    check_fork()
    written: list[list[int]] = []
    each = max(options.candidates, options.num_beams) * (1 if options.guidance == 1 else 2)
    for chosen in batches(len(latents), rows_at_once(options.batch_size, each, model.config.decoder.vocab_size)):
        points = torch.tensor(latents[chosen])
        if options.num_beams > 1:
            ids = model.generate(
                points,
                num_beams=options.num_beams,
                num_return_sequences=options.candidates,
                repetition_penalty=float(options.repetition_penalty),
                no_repeat_ngram_size=options.no_repeat_ngram_size,
                max_length=options.max_length or model.config.max_length,
            )
        else:
            beginnings = None
            if begun is not None:
                beginnings, _ = pad(begun[chosen], model.config.pad_token_id)
                beginnings = beginnings.repeat_interleave(options.candidates, 0)
            points = points.repeat_interleave(options.candidates, 0)
            ids = model.write(points, options, prefixes=beginnings, generator=generator)
        written += ids.tolist()
    return written


def rows_at_once(batch_size: int, each: int, vocab_size: int) -> int:
    """Return how many latents to decode together: a batch, or fewer where the logits would take over a gigabyte.

    Args:
        batch_size: Latents of a batch.
        each: Candidates or beams of each latent.
        vocab_size: V.
    """
    return max(1, min(batch_size, MOST_LOGITS // (each * vocab_size)))


def _nearest(means: Array, written: list[str], targets_ND: Array) -> tuple[list[str], Array, Array]:
    """Return each target's nearest candidate, the means (N, D) of these, and their squared distances (N,)."""
    count = len(targets_ND)
    candidates = len(written) // count if count else 1
    means_NCD = means.reshape(count, candidates, targets_ND.shape[1])
    squared_NC = np.square(means_NCD - targets_ND[:, None]).sum(-1)
    every, best = np.arange(count), squared_NC.argmin(1)
    return [written[i * candidates + j] for i, j in enumerate(best)], means_NCD[every, best], squared_NC[every, best]
