"""Mean and deviation of a corpus' latents, so that a spread means the same in every dimension."""

# N texts, D numbers of a meaning, S slots, W numbers of a slot
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from ..modeling.gaussian import DiagonalGaussian
from ..modeling.slots import GIVEN
from .geometry import Array
from .reading import Reading

LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of draws from the posteriors of a corpus, in each dimension.

    Attributes:
        mean: Of the meaning, which is all of z in a model without slots; shape (D,), float32.
        deviation: Of the meaning, shape (D,), float32, positive.
        slot_mean: Of the slots of all places together, shape (W,); (0,) in a model without slots.
        slot_deviation: Shape (W,) or (0,), positive.

    Raises:
        ValueError: Shapes do not fit each other, or a deviation is not positive.

    Examples:
        >>> LatentStatistics.measure(DiagonalGaussian.standard(3, 2)).deviation.tolist()
        [1.0, 1.0]
    """

    mean: Array
    deviation: Array
    slot_mean: Array
    slot_deviation: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, np.ascontiguousarray(getattr(self, field.name), np.float32))
        for mean, deviation in ((self.mean, self.deviation), (self.slot_mean, self.slot_deviation)):
            if mean.ndim != 1 or mean.shape != deviation.shape:
                raise ValueError(f"mean and deviation of latents have shapes {mean.shape} and {deviation.shape}")
            if not (deviation > 0).all():
                raise ValueError("a deviation of latents is not positive")

    @classmethod
    def measure(cls, texts: DiagonalGaussian | Reading) -> LatentStatistics:
        """Return the statistics of N texts, at least 1, from their posteriors.

        Args:
            texts: Posterior of the meaning, mean and log_std of shape (N, D); or a `Reading`, slots included.
        """
        slots = DiagonalGaussian.standard(1, 0)
        if isinstance(texts, Reading):
            given = texts.states == GIVEN
            slots = texts.slots[given] if given.any() else slots
        mean, deviation = _moments(texts.meaning if isinstance(texts, Reading) else texts)
        slot_mean, slot_deviation = _moments(slots)
        return cls(mean, deviation, slot_mean, slot_deviation)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> LatentStatistics:
        """Return the statistics whose `arrays` these are.

        Raises:
            ValueError: The names or shapes are others, or a deviation is not positive.
        """
        if set(arrays) != {field.name for field in fields(cls)}:
            raise ValueError(f"its statistics are {', '.join(sorted(arrays))}")
        return cls(**arrays)

    def arrays(self) -> dict[str, NDArray]:
        """Return the four arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _moments(posterior: DiagonalGaussian) -> tuple[Array, Array]:
    """Return mean and standard deviation (D,) of the mixture of N posteriors (N, D)."""
    mean, variance = posterior.mean.double(), posterior.std.double().square()
    centre = mean.mean(0)
    total = ((mean - centre).square() + variance).mean(0)
    return centre.float().numpy(), torch.sqrt(total.clamp(min=LEAST_VARIANCE)).float().numpy()
