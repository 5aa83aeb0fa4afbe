"""Token ids and posteriors of texts."""

# N texts, D numbers of a meaning, S slots, W numbers of a slot
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..modeling import TextVAEModel
from ..modeling.encoder import Posterior
from ..modeling.forks import check_fork
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.precision import autocast
from ..modeling.slots import ABSENT, GIVEN
from ..storage.errors import CorruptFileError
from ..text.batching import by_length, even_length, filled
from ..text.tokenizers import pad
from .latents import Latents, sizes


@dataclass(frozen=True)
class Reading:
    """Token ids and the whole posterior q(z|x) of N texts.

    Attributes:
        ids: The decoder's token ids of each text, BOS ... EOS.
        meaning: Posterior of m, which is z in a model without slots: mean and log_std of shape (N, D).
        slots: Posterior of the slots, (N, S, W), N(0, I) where a text has none; S is 0 in a model without slots.
        states: 1 for the slots of a text, -1 for padding, shape (N, S).
    """

    ids: list[list[int]]
    meaning: DiagonalGaussian
    slots: DiagonalGaussian
    states: torch.Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Reading({sizes(self.meaning.mean, self.slots.mean)}, {sum(map(len, self.ids))} token ids)"

    def __getitem__(self, rows: slice | list[int]) -> Reading:
        """Select texts."""
        ids = self.ids[rows] if isinstance(rows, slice) else [self.ids[i] for i in rows]
        return Reading(ids, self.meaning[rows], self.slots[rows], self.states[rows])

    @property
    def mean(self) -> Latents:
        """The means of all of z."""
        return self._latents(self.meaning.mean, self.slots.mean)

    def sample(self, seed: int = 0) -> Latents:
        """Return one draw of z for each text (the reparameterised sample)."""
        generator = torch.Generator().manual_seed(seed)
        return self._latents(self.meaning.sample(generator=generator), self.slots.sample(generator=generator))

    def flat(self) -> DiagonalGaussian:
        """Return q(z|x) as one Gaussian of shape (N, D + S * W); padded slots are N(0, I)."""
        pairs = (self.meaning.mean, self.slots.mean), (self.meaning.log_std, self.slots.log_std)
        return DiagonalGaussian(*(torch.cat([of_m, of_w.flatten(1)], 1) for of_m, of_w in pairs))

    def _latents(self, meaning: torch.Tensor, slots: torch.Tensor) -> Latents:
        return Latents(meaning.numpy(), slots.numpy(), self.states.numpy())


@torch.inference_mode()
def read_rows(
    model: TextVAEModel,
    rows: Sequence[Sequence[int]],
    pad_id: int,
    batch_size: int,
    ids: list[list[int]] | None = None,
    advance: Callable[[int], object] | None = None,
    *,
    precise: bool = False,
) -> Reading:
    """Return the `Reading` of N texts.

    Args:
        model: The model.
        rows: The encoder's token ids of each text.
        pad_id: Padding of the encoder.
        batch_size: Sentences of 16 tokens read together; of longer ones, fewer.
        ids: The decoder's token ids of each text; without them the wording slots are not read.
        advance: Called with the number of texts of each batch.
        precise: Whether to compute in float32 also where the hardware has bf16.

    Raises:
        CorruptFileError: The network gives numbers that are not finite.
    """
    check_fork()
    config, N = model.config, len(rows)
    D, W = config.latent_dim, config.slot_dim
    S = 0 if ids is None else config.max_slots
    means, log_stds = torch.empty(N, D), torch.empty(N, D)
    of_slots = torch.zeros(2, N, S, W)  # mean and log_std
    states = torch.full((N, S), ABSENT)
    with autocast(model.device, off=precise):  # around all batches, so that the weights are cast once
        for chosen in by_length(rows, batch_size):
            width = min(even_length(len(rows[chosen[-1]])), config.encoder_max_length or config.max_length)
            full = chosen + chosen[-1:] * (filled(len(chosen)) - len(chosen))
            padded, mask = pad([rows[i] for i in full], pad_id, width)
            batch = padded.to(model.device), None if mask.all() else mask.to(model.device)
            posterior = model.read(*batch) if S else Posterior(model.encode(*batch))
            meaning = posterior.meaning[: len(chosen)]
            means[chosen], log_stds[chosen] = meaning.mean.float().cpu(), meaning.log_std.float().cpu()
            if posterior.slots is not None and posterior.states is not None:
                found = posterior.states.shape[1]
                of_slots[0, chosen, :found] = posterior.slots.mean[: len(chosen)].float().cpu()
                of_slots[1, chosen, :found] = posterior.slots.log_std[: len(chosen)].float().cpu()
                states[chosen, :found] = posterior.states[: len(chosen)].cpu()
            if advance is not None:
                advance(len(chosen))
    check_finite(means, "latents")
    used = int((states == GIVEN).sum(1).max()) if N and S else 0
    meaning, slots = DiagonalGaussian(means, log_stds), DiagonalGaussian(*of_slots[:, :, :used])
    return Reading([[]] * N if ids is None else ids, meaning, slots, states[:, :used])


def check_finite(values: torch.Tensor, name: str) -> None:
    """Check what a network gives for texts; weights may be finite themselves and too large to compute with.

    Raises:
        CorruptFileError: A value is not finite.
    """
    if not torch.isfinite(values).all():
        raise CorruptFileError(f"the model gives {name} that are not finite: its weights are damaged; restore them")
