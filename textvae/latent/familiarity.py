"""How familiar a text is to a model: whether it comes back from its latent, and how likely it is from there."""

# N texts
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ..storage.atomic import read_json, write_json
from ..storage.errors import CorruptFileError
from ..storage.schema import Field, check_fields, integer, is_number
from ..text.cleaning import gate_texts
from ..text.tokenizers import readable
from ..text.word_diff import word_similarity
from .geometry import Array
from .reading import Reading

CALIBRATION = "familiarity.json"
PERCENTILES = 101  # 0%, 1% ... 100%
MOST_BYTES = 1 << 20
FIELDS = {
    "totals": Field(
        lambda value: isinstance(value, list) and len(value) == PERCENTILES and all(map(is_number, value)),
        f"an array of {PERCENTILES} rising numbers",
    ),
    "texts": integer(0),
}
FEWEST_TEXTS = 20
UNFAMILIAR = 0.01  # of calibrated familiarity: one in a hundred texts like those of the training is below
UNFAMILIAR_ROUND_TRIP = 0.25  # of the words that come back, where there is no calibration
AT_ONCE = 1024  # texts in memory together


class Codec(Protocol):
    """The methods of a `LatentCodec` that familiarity needs."""

    tokenizer: PreTrainedTokenizerBase
    calibration: Calibration | None

    def read(self, texts: Sequence[str], /) -> Reading:
        """Return token ids and posteriors."""

    def nats(self, texts: Reading, latents: Any, /) -> Array:
        """Return -log p(x|z) of each text."""

    def decode(self, latents: Any, /) -> list[str]:
        """Return a text for each latent."""


class Scores(NamedTuple):
    """The two measures behind familiarity, of N texts, each of shape (N,), float32.

    Attributes:
        round_trip: Share of the words that come back in order from the posterior mean, 0 to 1.
        nats: -log p of the text from there, nats per token; in a model with wording slots from the meaning alone,
            since slots bring back texts of any kind.
    """

    round_trip: Array
    nats: Array

    @property
    def total(self) -> Array:
        """The round trip minus the nats, shape (N,): the score whose percentiles are calibrated."""
        return self.round_trip - self.nats


@dataclass(frozen=True)
class Calibration:
    """Percentiles of the scores of held-out texts, of the kind that the model was trained on.

    Attributes:
        totals: The percentiles, rising, 101 numbers.
        texts: Number of texts they were measured on.
    """

    totals: list[float]
    texts: int

    def familiarity(self, scores: Scores) -> Array:
        """Return the share of the calibration texts whose score is lower, shape (N,), float32."""
        shares = np.linspace(0, 1, len(self.totals))
        return np.interp(scores.total, self.totals, shares).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the calibration as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """Return the calibration of a file, None if there is no such file.

        Raises:
            CorruptFileError: It holds something else.
        """
        if not path.exists():
            return None
        content = read_json(path, MOST_BYTES)
        check_fields(content, FIELDS, path)
        totals = [float(total) for total in content["totals"]]
        if (np.diff(totals) < 0).any():
            raise CorruptFileError(f"{path} is no calibration (its numbers fall): measure it with TextVAE.calibrate")
        return cls(totals, content["texts"])


def scores_of(vae: Codec, texts: Sequence[str], written: Sequence[str] | None = None) -> Scores:
    """Return the scores of N texts.

    Args:
        vae: The model.
        texts: The texts.
        written: What greedy decoding of their posterior means writes, if it is known.
    """
    texts = gate_texts(texts)
    nats, round_trip = np.empty(len(texts), np.float32), np.empty(len(texts), np.float32)
    for start in range(0, len(texts), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        reading = vae.read(texts[part])
        tokens = np.array([len(row) - 1 for row in reading.ids], np.float32)  # the BOS is given
        nats[part] = vae.nats(reading, reading.meaning.mean.numpy()) / tokens
        back = vae.decode(reading.mean) if written is None else written[part]
        pairs = zip(readable(vae.tokenizer, texts[part]), back, strict=True)
        round_trip[part] = [word_similarity(*pair) for pair in pairs]
    return Scores(round_trip, nats)


def familiarity(vae: Codec, texts: Sequence[str], written: Sequence[str] | None = None) -> Array:
    """Return the familiarity of N texts, shape (N,), as `TextVAE.familiarity` does; arguments as in `scores_of`."""
    scores = scores_of(vae, texts, written)
    return scores.round_trip if vae.calibration is None else vae.calibration.familiarity(scores)


def measure(vae: Codec, texts: Sequence[str]) -> Calibration:
    """Return the calibration of a model on texts that it was not trained on.

    Raises:
        ValueError: There are fewer than 20 texts.
    """
    if len(texts) < FEWEST_TEXTS:
        raise ValueError(f"a calibration needs at least {FEWEST_TEXTS} texts, got {len(texts)}: give more of them")
    totals = np.quantile(scores_of(vae, texts).total, np.linspace(0, 1, PERCENTILES))
    return Calibration([float(total) for total in totals], len(texts))


def is_unfamiliar(calibrated: bool, known: Array) -> NDArray[np.bool_]:
    """Return whether texts are outside what a model knows, booleans (N,).

    Args:
        calibrated: Whether the model has a calibration.
        known: What `TextVAE.familiarity` returned, shape (N,).
    """
    return known < (UNFAMILIAR if calibrated else UNFAMILIAR_ROUND_TRIP)
