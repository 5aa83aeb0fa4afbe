"""Routes that write and score texts: each is the function of the library that has its name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from ...attributes.attribute import Attribute
from ...attributes.rewriting import Filters, Rewriter
from ...attributes.shifting import Shifted
from ...attributes.shifting import shift as shift_texts
from ...evaluation.surprise import novelty
from ...latent.geometry import Array
from ...text.word_diff import word_changes
from ..errors import ApiError
from ..schemas.texts import (
    AnalogyAsked,
    BlendAsked,
    DecodeAsked,
    InterpolateAsked,
    Moved,
    Path,
    ReconstructAsked,
    Reconstructed,
    RewriteAsked,
    Rewrites,
    SampleAsked,
    ScoreAsked,
    Scores,
    ShiftAsked,
    Shifts,
    TextAnswer,
    TextsAnswer,
    VaryAsked,
)
from ..workspace import Workspace
from .common import STREAM, answer, streamed, workspace

router = APIRouter(prefix="/v1", tags=["Texts"])
BLOCK = 16  # texts or latents of a stream that are worked on together


@router.post("/reconstruct", response_model=Reconstructed, responses=STREAM)
async def reconstruct(request: Request, asked: ReconstructAsked) -> Response:
    """Write each text back from its latent."""
    space = workspace(request)
    space.check_size(asked.texts)

    def written(texts: Sequence[str]) -> dict[str, Any]:
        back = space.vae.reconstruct(texts, refinements=asked.refinements, exact=asked.exact)
        known = space.vae.familiarity(texts).tolist() if asked.familiarity else None
        return {"texts": back, "familiarity": known}

    def results() -> Iterator[dict[str, Any]]:
        for start in range(0, len(asked.texts), BLOCK):
            found = written(asked.texts[start : start + BLOCK])
            known = found["familiarity"] or [None] * BLOCK
            for i, text in enumerate(found["texts"]):
                yield {"index": start + i, "text": text, "familiarity": known[i]}

    return streamed(request, results) if asked.stream else await answer(request, lambda: written(asked.texts))


@router.post("/decode", response_model=TextsAnswer, responses=STREAM)
async def decode(request: Request, asked: DecodeAsked) -> Response:
    """Write a text for each latent."""
    space = workspace(request)
    _check_count(space, len(asked.vectors) * asked.candidates)
    wrong = next((len(vector) for vector in asked.vectors if len(vector) != space.vae.dim), None)
    if wrong is not None:
        raise ValueError(f"a vector has {wrong} numbers, the model needs {space.vae.dim}")

    options = asked.model_dump(include={"temperature", "candidates", "refinements", "seed"})
    latents = np.array(asked.vectors, np.float32)
    if asked.stream and not asked.temperature:
        return streamed(request, lambda: _in_blocks(latents, lambda part: space.vae.decode(part, **options)))
    return await _texts(request, lambda: space.vae.decode(latents, **options), stream=asked.stream)


@router.post("/sample", response_model=TextsAnswer, responses=STREAM)
async def sample(request: Request, asked: SampleAsked) -> Response:
    """Write new texts from latents drawn from the prior."""
    space = workspace(request)
    options = asked.model_dump(exclude={"stream", "n"})

    def results() -> Iterator[dict[str, Any]]:
        write = functools.partial(space.vae.decode, guidance=space.vae.sample_guidance)
        yield from _in_blocks(space.vae.draw(asked.n, asked.seed, asked.prior), write)

    if asked.stream and not asked.temperature:  # the texts of a seed depend on its latents alone
        return streamed(request, results)
    return await _texts(request, lambda: space.vae.sample(asked.n, **options), stream=asked.stream)


@router.post("/vary", response_model=TextsAnswer, responses=STREAM)
async def vary(request: Request, asked: VaryAsked) -> Response:
    """Write variations of a text."""
    space = workspace(request)
    space.check_size([asked.text], asked.n * (asked.drafts or 1))
    options = asked.model_dump(exclude={"stream", "text", "n"})
    return await _texts(request, lambda: space.vae.vary(asked.text, asked.n, **options), stream=asked.stream)


@router.post("/interpolate", response_model=Path, responses=STREAM)
async def interpolate(request: Request, asked: InterpolateAsked) -> Response:
    """Write texts along the path from one text to another."""
    space = workspace(request)
    positions = [i / (asked.n - 1) for i in range(asked.n)] if asked.at is None else asked.at
    space.check_size([asked.a, asked.b], len(positions) * (asked.drafts or 1))
    options = asked.model_dump(exclude={"stream", "a", "b"})

    def written() -> list[str]:
        return space.vae.interpolate(asked.a, asked.b, **options)

    def results() -> Iterator[dict[str, Any]]:
        for i, (text, position) in enumerate(zip(written(), positions, strict=True)):
            yield {"index": i, "text": text, "position": position}

    if asked.stream:
        return streamed(request, results)
    return await answer(request, lambda: {"texts": written(), "positions": positions})


@router.post("/analogy", response_model=TextAnswer)
async def analogy(request: Request, asked: AnalogyAsked) -> Response:
    """Write the text that is to c as b is to a."""
    space = workspace(request)
    space.check_size([asked.a, asked.b, asked.c], asked.drafts or 1)
    return await answer(request, lambda: {"text": space.vae.analogy(**asked.model_dump())})


@router.post("/blend", response_model=TextAnswer)
async def blend(request: Request, asked: BlendAsked) -> Response:
    """Write one text from the mean of several texts' latents."""
    space = workspace(request)
    space.check_size(asked.texts)
    return await answer(request, lambda: {"text": space.vae.blend(**asked.model_dump())})


@router.post("/shift", response_model=Shifts, responses=STREAM)
async def shift(request: Request, asked: ShiftAsked) -> Response:
    """Rewrite texts along attributes."""
    space = workspace(request)
    space.check_size(asked.texts, asked.candidates)
    moved = [space.attribute(each.name) for each in asked.attributes]
    kept = [space.attribute(name) for name in asked.keep]
    strengths = [each.strength for each in asked.attributes]
    options = asked.model_dump(include={"candidates", "certainty", "seed"})

    def shifted(texts: Sequence[str]) -> list[dict[str, Any]]:
        found = shift_texts(space.vae, texts, moved, strengths, keep=kept, **options)
        return _judged(space, found, asked.attributes, moved)

    def results() -> Iterator[dict[str, Any]]:
        for i, text in enumerate(asked.texts):
            yield {"index": i} | shifted([text])[0]

    if asked.stream:
        return streamed(request, results)
    return await answer(request, lambda: {"results": shifted(asked.texts)})


@router.post("/rewrite", response_model=Rewrites, responses=STREAM)
async def rewrite(request: Request, asked: RewriteAsked) -> Response:
    """Write many variations of texts, scored, filtered and ranked."""
    space = workspace(request)
    space.check_size(asked.texts, asked.n)
    moved = [space.attribute(each.name) for each in asked.attributes]
    strengths = [each.strength for each in asked.attributes]
    options = asked.model_dump(include={"n", "spread", "temperature", "seed"})
    filters = Filters(**asked.model_dump(include={field.name for field in fields(Filters)}))

    def rewritten(texts: Sequence[str]) -> list[dict[str, Any]]:
        natural = space.naturalness()
        rewriter = Rewriter(space.vae, moved, strengths, filters=filters, naturalness=natural, **options)
        return [asdict(each) for found in rewriter.blocks(texts) for each in found]

    def results() -> Iterator[dict[str, Any]]:
        for i, text in enumerate(asked.texts):
            for row in rewritten([text]):
                yield {"index": i} | row

    if asked.stream:
        return streamed(request, results)
    return await answer(request, lambda: {"rows": rewritten(asked.texts)})


@router.post("/score", response_model=Scores)
async def score(request: Request, asked: ScoreAsked) -> Response:
    """Score texts: likelihood, width and distance of the posterior, familiarity, attributes."""
    space = workspace(request)
    space.check_size(asked.texts, asked.num_samples // 16 or 1)  # scored, not written
    names = list(space.attributes) if asked.attributes is None else asked.attributes
    attributes = {name: space.attribute(name) for name in names}

    def scored() -> dict[str, Any]:
        found = novelty(space.vae, asked.texts, num_samples=asked.num_samples, seed=asked.seed)
        familiarity, reading = space.vae.familiarity(asked.texts), space.vae.read(asked.texts)
        chances = {name: _probabilities(attribute.read(reading)) for name, attribute in attributes.items()}
        rows = [
            {
                "text": text,
                "nats_per_word": float(found.nats_per_word[i]),
                "width": float(found.width[i]),
                "distance": float(found.distance[i]),
                "familiarity": float(familiarity[i]),
                "attributes": {name: chance[i] for name, chance in chances.items()},
            }
            for i, text in enumerate(asked.texts)
        ]
        return {"rows": rows}

    return await answer(request, scored)


def _in_blocks(latents: Array, write: Callable[[Array], list[str]]) -> Iterator[dict[str, Any]]:
    """Yield the texts of latents, a few at a time."""
    for start in range(0, len(latents), BLOCK):
        for i, text in enumerate(write(latents[start : start + BLOCK])):
            yield {"index": start + i, "text": text}


async def _texts(request: Request, written: Any, *, stream: bool) -> Response:
    """Answer the texts of a function, or stream them."""
    if stream:
        return streamed(request, lambda: ({"index": i, "text": text} for i, text in enumerate(written())))
    return await answer(request, lambda: {"texts": written()})


def _judged(
    space: Workspace, found: Sequence[Shifted], asked: Sequence[Moved], moved: Sequence[Attribute]
) -> list[dict[str, Any]]:
    texts = [each.text for each in found]
    reading, natural = space.vae.read(texts), space.naturalness()(texts).tolist()
    chances = {
        each.name: _probabilities((-1 if each.strength < 0 else 1) * attribute.read(reading))
        for each, attribute in zip(asked, moved, strict=True)
    }
    return [
        asdict(each)
        | {
            "probabilities": {name: chance[i] for name, chance in chances.items()},
            "naturalness": natural[i],
            "changes": word_changes(each.source, each.text),
        }
        for i, each in enumerate(found)
    ]


def _probabilities(odds: np.ndarray) -> list[float]:
    return (1 / (1 + np.exp(-odds.astype(np.float64)))).tolist()


def _check_count(space: Workspace, count: int) -> None:
    if count > space.limits.written:
        raise ApiError(422, f"{count} texts are over {space.limits.written:,}: ask for fewer", code="too_many")
