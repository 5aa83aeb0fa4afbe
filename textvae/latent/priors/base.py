"""The base class of priors, and their registry."""

# N latents or texts, D latent dimensions
from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from ...modeling.gaussian import DiagonalGaussian
from ...storage.errors import CorruptFileError
from ...storage.tensors import UNREADABLE, check_header
from ..geometry import Array
from ..statistics import LatentStatistics

OLDER_KIND = "mixture"  # of files that do not name theirs
STATISTICS = "statistics."  # begins the names of their arrays
MOMENT_DRAWS = 20_000


class Prior(ABC):
    """A distribution of latents, fitted to posteriors.

    `moments` and `distance` are estimated from draws; override them if they are known in closed form.
    """

    kind: ClassVar[str]
    """The name it is registered under, stored in its files."""
    statistics: ClassVar[LatentStatistics | None] = None
    """Mean and deviation of the latents it was fitted to, saved beside it; None for a prior of an older run."""

    @classmethod
    @abstractmethod
    def fit(
        cls, posterior: DiagonalGaussian, components: int | None = None, seed: int = 0, steps: int | None = None
    ) -> Self:
        """Fit the aggregate posterior (1/N) sum q(z|x) of N texts.

        Args:
            posterior: Of the texts; mean and log_std have shape (N, D).
            components: Number of components, for a mixture; None for its default.
            seed: Random seed.
            steps: Training steps, for a prior that is a network; None for its default. `TextVAE.fit_prior` passes them
                only if they are given, so that a prior without training need not take them.
        """

    @abstractmethod
    def sample(self, n: int, seed: int | None = None) -> Array:
        """Draw latents, shape (n, D), float32; the same seed gives the same ones."""

    @abstractmethod
    def log_prob(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the log density of latents (N, D) in nats, shape (N,)."""

    @abstractmethod
    def state(self) -> dict[str, NDArray]:
        """Return the arrays from which `from_state` restores the prior; {} if nothing but D is needed."""

    @classmethod
    @abstractmethod
    def from_state(cls, arrays: Mapping[str, NDArray]) -> Self:
        """Return the prior of a state; of {"dim": D} if its state is {}.

        Raises:
            ValueError: The arrays are not those of such a prior.
        """

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean (D,) and the covariance (D, D)."""
        draws = self.sample(MOMENT_DRAWS, seed=0).astype(np.float64)
        return draws.mean(0), np.cov(draws, rowvar=False).reshape(draws.shape[1], -1)

    def distance(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of latents (N, D) from the mean, shape (N,)."""
        mean, covariance = self.moments()
        away = np.linalg.solve(np.linalg.cholesky(covariance), (latents - mean).T)
        return np.sqrt(np.square(away).sum(0))

    def with_statistics(self, statistics: LatentStatistics) -> Self:
        """Return the prior with the statistics of the latents it was fitted to."""
        fitted = copy.copy(self)
        object.__setattr__(fitted, "statistics", statistics)  # priors may be frozen
        return fitted

    def save(self, path: str | Path) -> None:
        """Write the prior, and its statistics if it has them, to a safetensors file."""
        arrays = dict(self.state())
        if self.statistics is not None:
            arrays = arrays or {"dim": np.array(len(self.statistics.mean))}
            arrays |= {STATISTICS + name: array for name, array in self.statistics.arrays().items()}
        save_file(arrays, path, metadata={"kind": self.kind})


P = TypeVar("P", bound=type[Prior])
_PRIORS: dict[str, type[Prior]] = {}


def register_prior(kind: str) -> Callable[[P], P]:
    """Register a class of priors under a name; it is a class decorator.

    Args:
        kind: The `kind` of `TextVAE.fit_prior`, also stored in the files.
    """

    def register(prior: P) -> P:
        prior.kind = kind
        _PRIORS[kind] = prior
        return prior

    return register


def prior_class(kind: str) -> type[Prior]:
    """Return the class that is registered under a name.

    Raises:
        ValueError: There is none.
    """
    if kind not in _PRIORS:
        raise ValueError(
            f"unknown prior {kind!r}: use {', '.join(_PRIORS)}, or import the module that registers it with "
            "register_prior"
        )
    return _PRIORS[kind]


def load_prior(path: str | Path, dim: int | None = None) -> Prior:
    """Read what `Prior.save` wrote.

    Args:
        path: The file.
        dim: Latent dimensions D of the model it is for, which its draws must have; None for any.

    Raises:
        CorruptFileError: The file is something else, or of another model.
        ValueError: No prior of its kind is registered.
    """
    check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            kind = (file.metadata() or {}).get("kind", OLDER_KIND)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except UNREADABLE as error:
        raise CorruptFileError(f"{path} is no prior ({error}): restore it from a copy") from error
    found = prior_class(kind)
    try:
        if not all(array.dtype.kind in "if" and np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it holds numbers that are not finite, or no numbers")
        _check_widths(arrays, dim)
        prior = found.from_state({name: array for name, array in arrays.items() if not name.startswith(STATISTICS)})
        kept = {name.removeprefix(STATISTICS): array for name, array in arrays.items() if name.startswith(STATISTICS)}
        prior = prior.with_statistics(LatentStatistics.from_arrays(kept)) if kept else prior
        if dim is not None and prior.sample(1, seed=0).shape != (1, dim):
            raise ValueError(f"its latents have not the {dim} dimensions of the model")
        return prior
    except (ValueError, IndexError) as error:
        raise CorruptFileError(f"{path} is no prior ({error}): restore it from a copy") from error


def _check_widths(arrays: Mapping[str, NDArray], dim: int | None) -> None:
    """Raise ValueError if a mean or a number of dimensions is not of D, before anything is built for it."""
    for name, array in arrays.items():
        width = array.item() if name == "dim" and array.size == 1 else array.shape[-1] if array.ndim else 0
        if dim is not None and name in ("dim", "mean", "means", f"{STATISTICS}mean") and width != dim:
            raise ValueError(f"its {name} has not the {dim} dimensions of the model")
