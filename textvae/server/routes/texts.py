"""Routes that write and score texts: each is the function of the library that has its name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from ...attributes.attribute import Attribute
from ...attributes.rewriting import Filters, Rewriter
from ...attributes.shifting import Shifted
from ...attributes.shifting import shift as shift_texts
from ...evaluation.surprise import novelty
from ...latent.drafts import Drafts, growing, same_words
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
        for block in growing(len(asked.texts)):
            found = written(asked.texts[block])
            known = found["familiarity"] or [None] * len(found["texts"])
            for i, text in enumerate(found["texts"]):
                yield {"index": block.start + i, "text": text, "familiarity": known[i]}

    return streamed(request, results) if asked.stream else await answer(request, lambda: written(asked.texts))


@router.post("/decode", response_model=TextsAnswer, responses=STREAM)
async def decode(request: Request, asked: DecodeAsked) -> Response:
    """Write a text for each latent."""
    space = workspace(request)
    _check_count(space, len(asked.vectors) * asked.candidates)
    wrong = next((len(vector) for vector in asked.vectors if len(vector) != space.vae.dim), None)
    if wrong is not None:
        raise ValueError(f"a vector has {wrong} numbers, the model needs {space.vae.dim}")

    options = asked.model_dump(include={"temperature", "candidates", "refinements"})
    latents = np.array(asked.vectors, np.float32)

    def each() -> Iterator[str]:
        for block in growing(len(latents)):
            yield from space.vae.decode(latents[block], seed=_seed_at(asked.seed, block), **options)

    return await _texts(request, lambda: space.vae.decode(latents, seed=asked.seed, **options), asked.stream and each)


@router.post("/sample", response_model=TextsAnswer, responses=STREAM)
async def sample(request: Request, asked: SampleAsked) -> Response:
    """Write new texts from latents drawn from the prior."""
    space = workspace(request)
    options = asked.model_dump(exclude={"stream", "n"})
    vae = space.vae

    def each() -> Iterator[str]:
        count, used = vae.sample_drafts, set[str]()
        latents = vae.draw(asked.n * count, asked.seed, asked.prior)
        write = functools.partial(
            vae.decode, temperature=asked.temperature, top_p=asked.top_p, guidance=vae.sample_guidance
        )
        for block in growing(asked.n):
            texts = write(latents[block.start * count : block.stop * count], seed=_seed_at(asked.seed, block))
            drafts = Drafts(texts, space.naturalness()(texts) if count > 1 else np.zeros(len(texts), np.float32), count)
            for place in range(len(texts) // count):
                text = drafts.best(place, used) or drafts.best(place) or ""
                used.update({same_words(text)} if count > 1 else ())
                yield text

    return await _texts(request, lambda: vae.sample(asked.n, **options), asked.stream and each)


@router.post("/vary", response_model=TextsAnswer, responses=STREAM)
async def vary(request: Request, asked: VaryAsked) -> Response:
    """Write variations of a text."""
    space = workspace(request)
    space.check_size([asked.text], asked.n * (asked.drafts or 1))
    options = asked.model_dump(exclude={"stream"})
    vae = space.vae
    return await _texts(request, lambda: vae.vary(**options), asked.stream and (lambda: vae.iter_vary(**options)))


@router.post("/interpolate", response_model=Path, responses=STREAM)
async def interpolate(request: Request, asked: InterpolateAsked) -> Response:
    """Write texts along the path from one text to another."""
    space = workspace(request)
    positions = [i / (asked.n - 1) for i in range(asked.n)] if asked.at is None else asked.at
    space.check_size([asked.a, asked.b], len(positions) * (asked.drafts or 1))
    options = asked.model_dump(exclude={"stream"})

    def results() -> Iterator[dict[str, Any]]:
        for i, text in enumerate(space.vae.iter_interpolate(**options)):
            yield {"index": i, "text": text, "position": positions[i]}

    if asked.stream:
        return streamed(request, results)
    return await answer(request, lambda: {"texts": space.vae.interpolate(**options), "positions": positions})


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


async def _texts(
    request: Request, written: Callable[[], list[str]], each: Callable[[], Iterable[str]] | Literal[False]
) -> Response:
    """Answer the texts of a function, or if there is an `each` stream its texts."""
    if each:
        return streamed(request, lambda: ({"index": i, "text": text} for i, text in enumerate(each())))
    return await answer(request, lambda: {"texts": written()})


def _seed_at(seed: int | None, block: slice) -> int | None:
    """Return the seed of a part of a stream: each draws on its own."""
    return None if seed is None else seed + block.start


def _judged(
    space: Workspace, found: Sequence[Shifted], asked: Sequence[Moved], moved: Sequence[Attribute]
) -> list[dict[str, Any]]:
    texts = [each.text for each in found]
    reading = space.vae.read(texts)
    natural, before = np.split(space.naturalness()([*texts, *(each.source for each in found)]), 2)
    chances = {
        each.name: _probabilities((-1 if each.strength < 0 else 1) * attribute.read(reading))
        for each, attribute in zip(asked, moved, strict=True)
    }
    return [
        asdict(each)
        | {
            "probabilities": {name: chance[i] for name, chance in chances.items()},
            "naturalness": float(natural[i]),
            "naturalness_before": float(before[i]),
            "changes": word_changes(each.source, each.text),
        }
        for i, each in enumerate(found)
    ]


def _probabilities(odds: np.ndarray) -> list[float]:
    return (1 / (1 + np.exp(-odds.astype(np.float64)))).tolist()


def _check_count(space: Workspace, count: int) -> None:
    if count > space.limits.written:
        raise ApiError(422, f"{count} texts are over {space.limits.written:,}: ask for fewer", code="too_many")
