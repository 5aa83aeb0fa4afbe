"""A dial of attributes: a sentence at several positions, whose scores rise from one to the next."""

# N texts, P positions, M attributes
from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._progress import Progress
from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..modeling.sampling import MOST_CANDIDATES
from ..storage.errors import check_range
from ..text.cleaning import gate_texts
from ..text.word_diff import word_similarity
from .attribute import Attribute
from .judging import Candidate, Pool
from .shifting import AT_ONCE, close_loop
from .target import Target


@dataclass(frozen=True)
class Dialed:
    """A sentence at one position of a dial.

    Attributes:
        text: The sentence as it is written there.
        position: Of each attribute, by name.
        log_odds: Of each attribute, by name, as the model reads the text: above 0 for the positive class.
        similarity: Of its words in their order with those of the source, 0 to 1.
        nats: -log p(text), as in `Shifted`.
    """

    text: str
    position: dict[str, float]
    log_odds: dict[str, float]
    similarity: float
    nats: float


def dial(
    vae: TextVAE,
    texts: Sequence[str],
    attribute: Attribute | Sequence[Attribute],
    positions: Sequence[float] | Sequence[Sequence[float]] = (-2, -1, 0, 1, 2),
    *,
    candidates: int = 16,
    seed: int | None = 0,
) -> list[list[Dialed]]:
    """Write each text at several positions of an attribute, or of several at once.

    Each text is rewritten once towards each end, as in `shift`, and every candidate that was judged on the way is kept,
    with the text itself. At each position the one is taken whose log-odds are nearest to those of the position, that
    keeps the source's words, and is likely. So the log-odds of one attribute never fall when its position rises.

    Args:
        vae: The model.
        texts: N texts.
        attribute: Fitted on this model; or M of them.
        positions: P numbers: 1 stands for the log-odds that are typical of the positive class, -1 for those of the
            negative class, 0 for the middle, 2 for as far again. For several attributes P sequences of M numbers.
        candidates: As in `shift`, at least 2.
        seed: Seed of the candidates; None for a random one.

    Returns:
        For each text its P versions, in the order of the positions.

    Raises:
        ValueError: An attribute was fitted on another model, or the numbers do not fit.
    """
    attributes = [attribute] if isinstance(attribute, Attribute) else list(attribute)
    try:
        grid = np.asarray(positions, np.float32).reshape(len(positions), -1)
    except (ValueError, TypeError):
        raise ValueError("positions must be numbers, or for several attributes sequences of numbers") from None
    if not grid.size or grid.shape[1] != len(attributes) or not np.isfinite(grid).all():
        raise ValueError(f"positions must be finite numbers, {len(attributes)} for each, got {positions!r}")
    check_range("candidates", candidates, 2, MOST_CANDIDATES)
    typical = np.array([each.typical for each in attributes], np.float32)
    asked = typical.mean(1) + grid * (typical[:, 1] - typical[:, 0]) / 2
    signs = itertools.product((-1.0, 1.0), repeat=len(attributes))
    targets = [Target.of(vae, attributes, corner) for corner in signs]
    targets = [
        replace(target, least=[float((sign * asked[:, m]).max()) for m, sign in enumerate(target.strengths)])
        for target in targets
    ]
    texts, done = gate_texts(texts), []
    names = [each.name for each in attributes]
    with Progress("dialed", len(texts), counts_inner=False) as progress:
        for start in range(0, len(texts), AT_ONCE):
            chosen = texts[start : start + AT_ONCE]
            loops = [close_loop(vae, chosen, target, candidates, seed, thorough=True) for target in targets]
            for source, *pools in zip(chosen, *loops, strict=True):
                versions = _versions(pools, targets, asked)
                done.append([
                    Dialed(
                        best.text, dict(zip(names, map(float, position), strict=True)),
                        dict(zip(names, map(float, odds), strict=True)), word_similarity(source, best.text), best.nats,
                    )
                    for position, (best, odds) in zip(grid, versions, strict=True)
                ])  # fmt: skip
            progress.advance(len(chosen))
    return done


def _versions(pools: Sequence[Pool], targets: Sequence[Target], asked: Array) -> list[tuple[Candidate, Array]]:
    """Return the best candidate, and its log-odds (M,), for each row of log-odds asked for, shape (P, M)."""
    judged = [(each, target) for pool, target in zip(pools, targets, strict=True) for each in pool.judged]
    odds_CM = np.stack([target.strengths * each.odds for each, target in judged])
    likeness_C = np.array([each.likeness for each, _ in judged])
    far_PC = np.abs(asked[:, None] - odds_CM[None]).sum(2)
    best = (likeness_C - pools[0].weights.missing * far_PC).argmax(1)
    return [(judged[i][0], odds_CM[i]) for i in best]
