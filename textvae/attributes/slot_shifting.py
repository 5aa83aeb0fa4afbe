"""Moving sentences of models with wording slots: the meaning moves, and the slots that carry the old value open."""

# N texts, S slots, M attributes
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..latent.latents import Latents
from ..latent.reading import Reading
from ..latent.vae import TextVAE
from ..modeling.slots import GIVEN
from .target import Target

RANKED_AT = 3.0  # strength multiplier at which slots are opened one by one to rank them
MOST_OPEN = 4  # slots opened in turn before all of them are
LEAST_VOTE = 1.5  # nats for the old value, from which a slot is opened
TEMPERATURE = 0.7  # of the sampled fills, beside the greedy one

Found = list[dict[str, float]]  # for each text its candidates, and the strength multiplier of each


def ranked_slots(vae: TextVAE, latents: Latents, target: Target) -> NDArray[np.int64]:
    """Return the slots of N texts, those first whose opening brings the text nearest to the target, shape (N, S).

    Each slot is opened alone at a moved meaning; the text is decoded and re-encoded. Padding comes last.
    """
    N, S = latents.states.shape
    if not S:
        return np.zeros((N, 0), np.int64)
    moved = latents.moved(target.move(latents.meaning, RANKED_AT))
    rows = np.repeat(np.arange(N), S)
    opened = moved[rows].opened(np.tile(np.eye(S, dtype=bool), (N, 1)))
    missing_NS = target.missing(target.read(vae.read(vae.decode(opened)))).reshape(N, S)
    missing_NS = np.where(latents.states == GIVEN, missing_NS, np.inf)
    return np.argsort(missing_NS, axis=1, kind="stable")


def voted_slots(reading: Reading, target: Target, stride: float) -> NDArray[np.bool_]:
    """Return the slots of N texts whose words vote for the old value, shape (N, S), without decoding anything.

    A slot's vote is the sum of the attributes' weights of its words; the slot with the largest vote is always among
    them.

    Args:
        reading: Of the texts.
        target: Whose attributes vote.
        stride: Decoder tokens of a slot.
    """
    N, S = reading.states.shape
    if not S:
        return np.zeros((N, 0), bool)
    votes_NS = np.full((N, S), -np.inf)
    for n, ids in enumerate(reading.ids):
        votes = target.votes(ids[1:-1])
        places = np.minimum(np.arange(len(votes)) // stride, S - 1).astype(int)
        used = np.unique(places)
        votes_NS[n, used] = np.bincount(places, votes, S)[used]
    return (votes_NS > LEAST_VOTE) | (votes_NS == votes_NS.max(1, keepdims=True))


def openings(latents: Latents, order: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Yield which slots are opened, booleans (N, S): the first of each text's order, the first two, ..., all."""
    places = np.argsort(order, axis=1)
    most = latents.states.shape[1]
    for count in [*range(1, min(MOST_OPEN, most - 1) + 1), most]:
        yield places < count


def fills(
    vae: TextVAE,
    latents: Latents,
    opened: NDArray[np.bool_],
    target: Target,
    strengths: Sequence[float],
    samples: int,
    seed: int | None,
) -> Found:
    """Return the texts written from moved meanings with slots opened, greedily and sampled.

    Args:
        vae: The model.
        latents: Of N texts, best exact ones.
        opened: Which slots are opened, booleans (N, S).
        target: What the meanings move to.
        strengths: Multipliers of the target's strengths, each tried.
        samples: Sampled texts at each of them, beside the greedy one.
        seed: Seed of the samples.
    """
    found: Found = [{} for _ in range(len(latents))]
    for further in strengths:
        points = latents.moved(target.move(latents.meaning, further)).opened(opened)
        written = [vae.decode(points)]
        if samples:
            rows = np.repeat(np.arange(len(latents)), samples)
            sampled = vae.decode(points[rows], temperature=TEMPERATURE, seed=seed)
            written += [sampled[i::samples] for i in range(samples)]
        for texts in written:
            for each, text in zip(found, texts, strict=True):
                each.setdefault(text, further)
    return found
