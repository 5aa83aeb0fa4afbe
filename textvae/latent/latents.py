"""Latents of texts in models that split them into a meaning and wording slots."""

# N texts, D numbers of a meaning, S slots, W numbers of a slot
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file, save_file

from ..modeling.slots import ABSENT, GIVEN, OPEN
from ..storage.atomic import atomic_path
from ..storage.errors import CorruptFileError
from ..storage.tensors import UNREADABLE, check_header
from .geometry import Array

DIMENSIONS = {"meaning": 2, "slots": 3, "states": 2}


def sizes(meaning: Array | torch.Tensor, slots: Array | torch.Tensor) -> str:
    """Return the shapes of tensors or arrays in one line, for a repr."""
    wording = f", slots={slots.shape[1]} x {slots.shape[2]}" if slots.shape[1] else ""
    return f"{len(meaning)} texts, dim={meaning.shape[1]}{wording}"


@dataclass(frozen=True)
class Latents:
    """Latents z = (m, w_1 .. w_k) of N texts, padded to the S slots of the longest.

    Attributes:
        meaning: m, shape (N, D), float32.
        slots: w, shape (N, S, W), float32; zeros where a slot is not given.
        states: 1 for a given slot, 0 for an open slot, which the decoder fills, -1 for padding; shape (N, S), float32.
            A text whose slots are all padding is decoded from its meaning alone.

    Raises:
        ValueError: Shapes do not fit each other, a number is not finite, or a state is none of the three.

    Examples:
        >>> z = Latents(np.zeros((1, 4)), np.ones((1, 2, 3)), np.ones((1, 2)))
        >>> z.opened([[False, True]]).states.tolist()
        [[1.0, 0.0]]
    """

    meaning: Array
    slots: Array
    states: Array

    def __post_init__(self) -> None:
        for name, ndim in DIMENSIONS.items():
            value = np.asarray(getattr(self, name), np.float32)
            object.__setattr__(self, name, value)
            if value.ndim != ndim:
                raise ValueError(f"{name} of latents need {ndim} axes, got an array of shape {value.shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} of latents hold a NaN or an infinity: nothing can be decoded from it")
        if not len(self.meaning) == len(self.slots) == len(self.states) or self.slots.shape[1] != self.states.shape[1]:
            shapes = self.meaning.shape, self.slots.shape, self.states.shape
            raise ValueError(
                f"meaning, slots and states of latents have shapes {shapes}: give as many texts and slots in each"
            )
        if not np.isin(self.states, (GIVEN, OPEN, ABSENT)).all():
            raise ValueError("states of slots must be 1 (given), 0 (open) or -1 (padding)")
        object.__setattr__(self, "slots", np.where(self.states[..., None] == GIVEN, self.slots, np.float32(0)))

    def __len__(self) -> int:
        """Return N."""
        return len(self.meaning)

    def __repr__(self) -> str:
        return f"Latents({sizes(self.meaning, self.slots)})"

    def __getitem__(self, rows: slice | NDArray | list[int]) -> Latents:
        """Select texts."""
        return Latents(self.meaning[rows], self.slots[rows], self.states[rows])

    def opened(self, which: NDArray | list | None = None) -> Latents:
        """Return the latents with slots opened: those where `which`, booleans (N, S), is true; by default all."""
        chosen = np.ones(self.states.shape, bool) if which is None else np.asarray(which, bool)
        return Latents(self.meaning, self.slots, np.where((self.states != ABSENT) & chosen, OPEN, self.states))

    def moved(self, meaning: Array) -> Latents:
        """Return the latents with other meanings, shape (N, D), and the same slots."""
        return Latents(meaning, self.slots, self.states)

    def pack(self) -> Array:
        """Return one row of numbers for each text, shape (N, D + S * (W + 1)), as the network's decoder reads them."""
        numbers = self.slots.shape[1] * self.slots.shape[2]
        return np.concatenate([self.meaning, self.slots.reshape(len(self), numbers), self.states], 1)

    def save(self, path: str | Path) -> None:
        """Write the latents to a safetensors file, whole or not at all."""
        with atomic_path(path) as staged:
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in DIMENSIONS}, staged)

    @classmethod
    def load(cls, path: str | Path) -> Latents:
        """Read what `save` wrote.

        Raises:
            CorruptFileError: The file is something else.
        """
        try:
            check_header(path)
            arrays = load_file(path)
            if set(arrays) != set(DIMENSIONS):
                raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}")
            return cls(**arrays)
        except (*UNREADABLE, ValueError) as error:
            raise CorruptFileError(f"{path} holds no latents ({error}): restore it from a copy") from error


def packed(latents: ArrayLike | Latents, dim: int, slot_dim: int) -> Array:
    """Return checked latents as the network reads them: (N, D), or packed with wording slots.

    Args:
        latents: Shape (N, D), or (D,) for one, or `Latents`.
        dim: D.
        slot_dim: Numbers W of a slot.

    Raises:
        ValueError: They have another shape, or a number is not finite.
    """
    if isinstance(latents, Latents):
        numbers = latents.slots.shape[2]
        if latents.meaning.shape[1] != dim or (latents.slots.shape[1] and numbers != slot_dim):
            raise ValueError(
                f"latents have meanings of {latents.meaning.shape[1]} and slots of {numbers} numbers, "
                f"the model needs {dim} and {slot_dim}"
            )
        return latents.pack()
    points = _as_array(latents)
    if points.shape == (0,):
        points = points.reshape(0, dim)
    if points.shape == (dim,):
        points = points[None]
    if points.ndim != 2 or points.shape[1] != dim:
        raise ValueError(f"latents have shape {points.shape}, the model needs (N, {dim})")
    if not np.isfinite(points).all():
        raise ValueError("latents hold a NaN or an infinity: nothing can be decoded from it")
    return points


def _as_array(latents: Any) -> Array:
    """Return arrays, tensors of any type and device, and lists of either as float32."""
    if isinstance(latents, list | tuple) and any(isinstance(each, torch.Tensor) for each in latents):
        latents = torch.stack([torch.as_tensor(each) for each in latents])
    if isinstance(latents, torch.Tensor):
        latents = latents.detach().float().cpu()
    return np.asarray(latents, np.float32)


def on_sphere(points: Array, dim: int) -> Array:
    """Return rows whose first D numbers, the meaning, are scaled to the length sqrt(D); a zero vector stays."""
    points = points.copy()
    lengths = np.linalg.norm(points[:, :dim].astype(np.float64), axis=1, keepdims=True)
    points[:, :dim] = points[:, :dim] * (dim**0.5 / np.where(lengths > 0, lengths, 1.0))
    return points
