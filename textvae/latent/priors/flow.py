"""Flow matching: a network that carries draws of N(0, I) to latents, for shapes that no Gaussian or mixture has."""

# N texts, B rows of a batch, D latent dimensions, H width of the network
from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..._progress import Progress
from ...modeling.gaussian import LOG_2PI, DiagonalGaussian
from ...modeling.randomness import seeded
from ..geometry import Array
from .base import Prior, register_prior

STEPS = 1500  # of the training
BATCH = 256
LEARNING_RATE, WARMUP_STEPS, HOLD, LAST_LEARNING_RATE = 1e-3, 50, 0.4, 0.02
WEIGHT_DECAY, MAX_GRAD_NORM = 0.01, 5.0
AVERAGED = 8  # the last eighth of the steps is averaged
SAMPLE_STEPS = 4  # midpoint steps; 8 and 16 draw no nearer to the latents (docs/log.md)
DENSITY_STEPS = 48
EXACT_TRACE = 16  # up to so many dimensions the divergence is exact
PROBES = 8  # random vectors of its estimate in more dimensions
ROWS = 1024  # latents carried through the flow together
BLOCKS, WIDTHS, TIME_WIDTH, FREQUENCIES = 4, 128, 128, 32
FLOOR = 1e-6  # of a variance


@register_prior("flow")
class FlowPrior(Prior):
    """A flow fitted by matching the velocities of straight paths from noise to latents (Lipman et al. 2023).

    Latents are normalised by the corpus' mean and deviation and rotated to their principal axes, of variance v. A path
    is x_t = t x_1 + (1 - t) x_0 with x_0 from N(0, I). The network predicts the clean latent x_1 from x_t, as what a
    Gaussian of variances v predicts plus a learnt correction; so an untrained flow is the Gaussian with the corpus'
    mean and covariance. The velocity is (x_1 - x_t) / (1 - t).

    Attributes:
        mean: The corpus' mean, shape (D,).
        deviation: The corpus' standard deviation of each dimension, shape (D,).
        variances: Along the principal axes of normalised latents, shape (D,).
        axes: Principal axes as columns, shape (D, D).
        network: The denoiser.
    """

    def __init__(self, mean: NDArray, deviation: NDArray, variances: NDArray, axes: NDArray, network: Denoiser):
        self.mean, self.deviation, self.variances, self.axes = (
            np.ascontiguousarray(part, np.float32) for part in (mean, deviation, variances, axes)
        )
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def fit(
        cls, posterior: DiagonalGaussian, components: int | None = None, seed: int = 0, steps: int | None = None
    ) -> FlowPrior:
        """Fit the aggregate posterior (1/N) sum q(z|x) on draws from it; deterministic on a CPU.

        Args:
            posterior: Of N texts, at least 2; tens of thousands for a good fit.
            components: None; only a mixture has components.
            seed: Seed of the network's weights, the draws and the batches.
            steps: Training steps of 256 draws each; by default 1,500, minutes of one CPU core for D = 384. With 0
                steps it is a Gaussian.

        Raises:
            ValueError: There are fewer than 2 texts, a negative number of steps, or components.
        """
        steps = STEPS if steps is None else steps
        if components is not None:
            raise ValueError(f"the flow prior has no components, got components={components}: leave it out")
        if len(posterior) < 2:
            raise ValueError(f"a flow needs at least 2 texts, got {len(posterior)}")
        if steps < 0:
            raise ValueError(f"steps must not be negative, got {steps}")
        mean, std = posterior.mean.double(), posterior.std.double()
        centre = mean.mean(0)
        deviation = (mean.var(0, correction=0) + std.square().mean(0) + FLOOR).sqrt()
        normalised, spread = (mean - centre) / deviation, std / deviation
        covariance = torch.cov(normalised.T, correction=0).reshape(2 * (len(centre),))
        variances, axes = torch.linalg.eigh(covariance + torch.diag(spread.square().mean(0)))
        variances = variances.clamp(min=FLOOR)
        with seeded(seed):
            network = Denoiser(len(centre))
        _train(network, normalised.float(), spread.float(), variances.float(), axes.float(), steps, seed)
        return cls(centre.numpy(), deviation.numpy(), variances.numpy(), axes.numpy(), network)

    @torch.inference_mode()
    def sample(self, n: int, seed: int | None = None, steps: int = SAMPLE_STEPS) -> Array:
        """Draw latents, shape (n, D), float32; the same seed gives the same ones.

        They are near the sphere of radius sqrt(D) for a model with `unit_mean`, not on it: `decode` scales them.

        Args:
            n: Number of latents.
            seed: Seed of the draw; None for a random one.
            steps: Midpoint steps, each of which runs the network twice.
        """
        latents = np.random.default_rng(seed).standard_normal((n, len(self.mean)), dtype=np.float32)
        variances, axes = torch.from_numpy(self.variances), torch.from_numpy(self.axes)
        times = torch.linspace(0, 1, steps + 1)
        for start in range(0, n, ROWS):
            points = torch.from_numpy(latents[start : start + ROWS])
            for begin, end in zip(times[:-1], times[1:], strict=True):
                points = self._midpoint(points, begin, end, variances)
            latents[start : start + ROWS] = ((points * variances.sqrt()) @ axes.T).numpy() * self.deviation + self.mean
        return latents

    def log_prob(self, latents: NDArray) -> NDArray[np.float64]:
        """Return the log density of latents (N, D) in nats, shape (N,).

        By the instantaneous change of variables (Chen et al. 2018, eq. 8), integrated in midpoint steps. Up to 16
        dimensions the divergence is exact, in more it is estimated with random vectors of one seed (Hutchinson 1990).
        """
        away = (np.asarray(latents, np.float32) - self.mean) / self.deviation @ self.axes / np.sqrt(self.variances)
        volume = np.log(self.deviation, dtype=np.float64).sum() + 0.5 * np.log(self.variances, dtype=np.float64).sum()
        result = np.empty(len(away))
        for start in range(0, len(away), ROWS):
            result[start : start + ROWS] = self._log_prob(torch.from_numpy(away[start : start + ROWS])) - volume
        return result

    def _log_prob(self, points_BD: Tensor) -> NDArray[np.float64]:
        """Return the log density of latents in units of their principal axes' deviations, shape (B,)."""
        variances, dim = torch.from_numpy(self.variances), points_BD.shape[1]
        exact, generator = dim <= EXACT_TRACE, torch.Generator().manual_seed(0)
        probes = torch.eye(dim)
        change_B = torch.zeros(len(points_BD), dtype=torch.float64)
        times = torch.linspace(1, 0, DENSITY_STEPS + 1)
        for begin, end in zip(times[:-1], times[1:], strict=True):
            middle = (begin + end) / 2
            with torch.no_grad():
                half = points_BD + self.network(points_BD, begin) * _turn(begin, middle, variances)
            half.requires_grad_(True)
            turn_D = _turn(begin, end, variances)
            moved = self.network(half, middle) * turn_D
            if not exact:
                probes = torch.randint(2, (PROBES, dim), generator=generator) * 2.0 - 1
            for probe in probes:
                along_BD = torch.autograd.grad(moved, half, probe.expand_as(half), retain_graph=True)[0]
                change_B += (along_BD * probe).sum(1) / (1 if exact else PROBES)
            points_BD = points_BD + moved.detach()
        base_B = -0.5 * (points_BD.double().square() + LOG_2PI).sum(1)
        return (base_B + change_B).numpy()

    def _midpoint(self, points_BD: Tensor, begin: Tensor, end: Tensor, variances: Tensor) -> Tensor:
        """Carry points from one time to another by the explicit midpoint rule."""
        middle = (begin + end) / 2
        half_BD = points_BD + self.network(points_BD, begin) * _turn(begin, middle, variances)
        return points_BD + self.network(half_BD, middle) * _turn(begin, end, variances)

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean (D,) and the covariance (D, D) of the latents it was fitted to."""
        axes = self.deviation[:, None].astype(np.float64) * self.axes
        return self.mean.astype(np.float64), (axes * self.variances) @ axes.T

    def state(self) -> dict[str, NDArray]:
        """Return mean, deviation, variances, axes, and the network's weights as `network.*`."""
        weights = {f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        fixed = {"mean": self.mean, "deviation": self.deviation, "variances": self.variances, "axes": self.axes}
        return fixed | weights

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray]) -> FlowPrior:
        """Return the flow whose `state` these arrays are.

        Raises:
            ValueError: Arrays are missing, or have other names, shapes or signs.
        """
        dim = arrays["mean"].size if "mean" in arrays else 0
        shapes = {"mean": (dim,), "deviation": (dim,), "variances": (dim,), "axes": (dim, dim)}
        if not dim or {name: arrays[name].shape for name in shapes if name in arrays} != shapes:
            raise ValueError(f"it holds {', '.join(arrays) or 'nothing'}")
        if min(arrays["deviation"].min(), arrays["variances"].min()) <= 0:
            raise ValueError("a deviation or a variance is not positive")
        with seeded(0):  # the weights drawn here are replaced
            network = Denoiser(dim)
        weights = {n.removeprefix("network."): torch.tensor(a) for n, a in arrays.items() if n not in shapes}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"its network has other weights than one of {dim} dimensions") from error
        return cls(arrays["mean"], arrays["deviation"], arrays["variances"], arrays["axes"], network)


class Denoiser(nn.Module):
    """A residual network of about 5 million weights for D = 384, whose layers' scales and shifts depend on the time.

    With coordinates in units of the principal axes' deviations a path turns from noise x_0 to a latent w by an angle a,
    that of `_angles`: y = sin(a) w + cos(a) x_0. The network returns the derivative f = cos(a) w - sin(a) x_0. The
    clean latent is w = sin(a) y + cos(a) f: what a Gaussian predicts, and a correction.
    """

    def __init__(self, dim: int):
        super().__init__()
        width = WIDTHS * max(1, round(dim / 96))  # 512 for D = 384
        self.frequencies = nn.Buffer(4 * torch.randn(FREQUENCIES))
        self.time = nn.Linear(2 * FREQUENCIES, TIME_WIDTH)
        self.into = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dim)
        for layer in [self.out, *(block.outer for block in self.blocks)]:  # starts as a Gaussian
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type, union-attr]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type, union-attr]

    def forward(self, points_BD: Tensor, times: Tensor) -> Tensor:
        """Return f (B, D) for points y (B, D) at times of shape (B, 1), or one for all."""
        waves = times.reshape(-1, 1) * self.frequencies * math.pi
        time = F.silu(self.time(torch.cat([waves.cos(), waves.sin()], -1)))
        states_BH = self.into(points_BD)
        for block in self.blocks:
            states_BH = block(states_BH, time)
        return self.out(self.norm(states_BH))


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(TIME_WIDTH, 3 * width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, states_BH: Tensor, time: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(time).chunk(3, -1)
        return states_BH + (1 + gate) * self.outer(F.silu(self.inner(self.norm(states_BH) * (1 + scale) + shift)))


def _angles(times: Tensor, variances_D: Tensor) -> Tensor:
    """Return the angle of x_t between noise and latent on each principal axis: tan(a) = t sqrt(v) / (1 - t)."""
    return torch.atan2(times * variances_D.sqrt(), 1 - times)


def _turn(begin: Tensor, end: Tensor, variances_D: Tensor) -> Tensor:
    """Return by how much the angles grow from one time to another."""
    return _angles(end, variances_D) - _angles(begin, variances_D)


def _train(
    network: Denoiser, means: Tensor, spreads: Tensor, variances_D: Tensor, axes: Tensor, steps: int, seed: int
) -> None:
    """Fit a network in place, to the average of its last steps.

    Args:
        network: To be fitted.
        means: Of the posteriors, normalised, shape (N, D).
        spreads: Their standard deviations, shape (N, D).
        variances_D: Along the principal axes.
        axes: Shape (D, D).
        steps: Number of steps.
        seed: Seed of the batches.
    """
    generator = torch.Generator().manual_seed(seed)
    averaged = [p.detach().clone() for p in network.parameters()]
    decayed, others = ([p for p in network.parameters() if (p.ndim > 1) is matrix] for matrix in (True, False))
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99))
    with Progress("fitted the flow to", steps * BATCH) as progress:
        for step in range(steps):
            rate = LEARNING_RATE * _share_of_rate(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = torch.randint(len(means), (BATCH,), generator=generator)
            loss = _loss(network, DiagonalGaussian(means[chosen], spreads[chosen].log()), variances_D, axes, generator)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            weight = 1 / min(step + 1, max(1, steps // AVERAGED))
            torch._foreach_lerp_(averaged, [p.detach() for p in network.parameters()], weight)
            progress.advance(BATCH)
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), averaged, strict=True):
            parameter.copy_(value)


def _loss(
    network: Denoiser, posterior: DiagonalGaussian, variances_D: Tensor, axes: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the squared error of the velocities in normalised latents (Lipman et al. 2023, eq. 23), a scalar."""
    latents_BD = posterior.sample(generator=generator) @ axes / variances_D.sqrt()
    noise_BD = torch.empty_like(latents_BD).normal_(generator=generator)
    size = len(latents_BD)
    times_B1 = (torch.arange(size)[:, None] + torch.rand(size, 1, generator=generator)) / size  # all times, evenly
    angles_BD = _angles(times_B1, variances_D)
    sines_BD, cosines_BD = angles_BD.sin(), angles_BD.cos()
    errors_BD = network(sines_BD * latents_BD + cosines_BD * noise_BD, times_B1)
    errors_BD = errors_BD - (cosines_BD * latents_BD - sines_BD * noise_BD)
    weights_BD = variances_D / (variances_D * times_B1.square() + (1 - times_B1).square())
    return (weights_BD * errors_BD.square()).sum(1).mean()


def _share_of_rate(step: int, steps: int) -> float:
    """Return the learning rate as a share of its peak: warm-up, a plateau, and a linear fall."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * max(LAST_LEARNING_RATE, min(1.0, (steps - step) / (steps * (1 - HOLD))))
