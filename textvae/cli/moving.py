"""Verbs that move latents: interpolate, analogy, blend and traverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import Parameter

from .errors import UsageError
from .options import (
    DEVICE,
    PRINTING,
    STDIN,
    Count,
    Device,
    Printing,
    Run,
    Seed,
    Text,
    at_least,
    in_place,
    sentences,
)


def interpolate(
    run: Run,
    a: Text,
    b: Text,
    /,
    *,
    n: Count = 7,
    method: Literal["slerp", "linear"] = "slerp",
    exact: int | None = None,
    drafts: int | None = None,
    seed: Seed | None = None,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write texts along the path from one sentence to another.

    Args:
        a: The first sentence; - is the next line of standard input.
        b: The last sentence; - is the next line of standard input.
        n: Number of texts, the reconstructions of both ends included.
        method: Spherical or linear interpolation.
        exact: Most gradient steps towards exact latents, from which the ends are written; by default 50 for a model
            with wording slots, else 0.
        drafts: Texts written for each point between, of which the nearest that repeats none is printed: of a beam
            search, or with --seed sampled; by default 8 for a model with wording slots, else 1.
        seed: Seed of sampled drafts; without it, the texts are the same each time.
    """
    at_least(2, "n", n)
    start, end = in_place([a, b])
    written = device.load(run).interpolate(start, end, n, method=method, exact=exact, drafts=drafts, seed=seed)
    for step, text in enumerate(written):
        printing.result({"position": step / (n - 1), "text": text}, text)


def analogy(
    run: Run,
    a: Text,
    b: Text,
    c: Text,
    /,
    *,
    scale: float = 1.0,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write what is to C as B is to A: the latent of C + scale * (B - A).

    Args:
        a: From this sentence; - is the next line of standard input.
        b: To this one.
        c: The sentence that is changed in the same way.
        scale: How much of the difference is added.
    """
    first, second, third = in_place([a, b, c])
    text = device.load(run).analogy(first, second, third, scale=scale)
    printing.result({"text": text}, text)


def blend(
    run: Run,
    /,
    *texts: Text,
    weights: list[float] | None = None,
    drafts: int | None = None,
    seed: Seed | None = None,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write one text from the mean of several sentences' latents.

    Args:
        texts: The sentences; - alone takes those of standard input.
        weights: Weight of each sentence, normalised to sum to 1; by default equal.
        drafts: Texts written, of which the nearest to the mean is printed: of a beam search, or with --seed
            sampled; by default 8 for a model with wording slots, else 1.
        seed: Seed of sampled drafts; without it, the text is the same each time.
    """
    if not texts:
        raise UsageError("blend needs sentences. See textvae blend --help")
    sources = list(sentences(STDIN)) if texts == (STDIN,) else in_place(texts)
    if weights is not None and len(weights) != len(sources):
        raise ValueError(f"there are {len(sources)} sentences and {len(weights)} weights: give one weight each")
    text = device.load(run).blend(sources, weights, drafts=drafts, seed=seed)
    printing.result({"text": text}, text)


def traverse(
    run: Run,
    text: Text,
    /,
    *,
    dim: int,
    values: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3),
    explain: Annotated[bool, Parameter(negative=())] = False,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write a sentence with one latent dimension set to each of several values.

    Args:
        text: The sentence, or - for those of standard input.
        dim: The dimension, from 0.
        values: Its values; the prior has standard deviation 1.
        explain: Also print which words differ from the reconstruction.
    """
    at_least(0, "--dim", dim)
    sources = sentences(text)
    vae = device.load(run)
    from ..text.word_diff import word_changes

    for source in sources:
        rebuilt = vae.reconstruct([source])[0] if explain else ""
        for value, moved in zip(values, vae.traverse(source, dim, values), strict=True):
            record: dict[str, object] = {"source": source, "dim": dim, "value": value, "text": moved}
            line = moved
            if explain:
                record["changes"] = word_changes(rebuilt, moved)
                told = "; ".join(
                    f"{old or '(nothing)'} > {new or '(nothing)'}" for old, new in word_changes(rebuilt, moved)
                )
                line = f"{value:g}\t{moved}\t{told or 'no change'}"
            printing.result(record, line)
