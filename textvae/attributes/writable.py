"""Whether an attribute can be written: how natural the texts are that are shifted along it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..latent.naturalness import Naturalness
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts
from .attribute import Attribute
from .shifting import shift

MOST_TEXTS = 200
PERCENTILE = 5  # of the naturalness of the sources, above which an output counts as natural


def writability(vae: TextVAE, attribute: Attribute, texts: Sequence[str], *, seed: int = 0) -> float:
    """Return the share of shifted texts that are as natural as ordinary ones, 0 to 1.

    Each text is shifted to the other class (strength 1 or -1) by latent arithmetic. An output counts as natural if its
    naturalness is above the 5th percentile of that of the texts themselves, so that about 0.95 is as good as can be.

    Args:
        vae: The model.
        attribute: An attribute that was fitted on it.
        texts: Texts of both classes, such as the examples; of more than 200, 200 are drawn.
        seed: Seed of that draw.

    Raises:
        ValueError: There are no texts, or the attribute was fitted on another model.
    """
    texts = gate_texts(texts)
    if not texts:
        raise ValueError("writability needs texts to shift, got none")
    chosen = np.random.default_rng(seed).permutation(len(texts))[:MOST_TEXTS]
    sources = [texts[i] for i in chosen]
    attribute.check(vae)
    high = attribute.log_odds(vae.encode(sources)) > 0
    natural = Naturalness(vae)
    written = [""] * len(sources)
    for side, strength in ((True, -1.0), (False, 1.0)):
        places = np.flatnonzero(high == side).tolist()
        moved = shift(vae, [sources[i] for i in places], attribute, strength, candidates=1)
        for place, each in zip(places, moved, strict=True):
            written[place] = each.text
    return float((natural(written) > np.percentile(natural(sources), PERCENTILE)).mean())


def with_writability(vae: TextVAE, attribute: Attribute, texts: Sequence[str], *, seed: int = 0) -> Attribute:
    """Return the attribute with its writability; the arguments are those of `writability`."""
    return dataclasses.replace(attribute, writability=writability(vae, attribute, texts, seed=seed))
