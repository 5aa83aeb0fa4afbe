"""Wording slots: a small latent for each span of tokens, with its encoder and the attention of the decoder to it."""

# B sentences, T tokens, H width, D meaning, S slots, W slot dimensions, P tokens of a span, X places (S * P), N heads
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import TextVAEConfig
from .gaussian import DiagonalGaussian, bounded_log_std

GIVEN, OPEN, ABSENT = 1.0, 0.0, -1.0  # states of a slot
HEADS = 4
INITIAL_SLOPE_BEFORE, INITIAL_SLOPE_AFTER = 2.0, 1.0  # of the attention bias, per token of distance
NEVER = -1e9  # a score of masked places: exp(NEVER) is 0 in every dtype


class SplitLatents(NamedTuple):
    """Meaning and wording slots, as the decoder takes them.

    Attributes:
        meaning: m, shape (B, D).
        slots: w, shape (B, S, W); values in open and absent slots are ignored.
        states: GIVEN, OPEN or ABSENT for each slot, shape (B, S). A sentence without slots is written from m alone.
    """

    meaning: Tensor
    slots: Tensor
    states: Tensor

    def pack(self) -> Tensor:
        """Pack into one row per sentence, shape (B, D + S * (W + 1)), which generate() and beam search can carry."""
        return torch.cat([self.meaning, self.slots.flatten(1), self.states.to(self.meaning.dtype)], 1)

    @classmethod
    def unpack(cls, packed: Tensor, latent_dim: int, slot_dim: int) -> SplitLatents:
        """Reverse `pack`; rows of D numbers are meanings without slots."""
        meaning, rest = packed[:, :latent_dim], packed[:, latent_dim:]
        count = rest.shape[1] // (slot_dim + 1)
        slots, states = rest.split([count * slot_dim, count], 1)
        return cls(meaning, slots.reshape(len(slots), count, slot_dim), states)


def open_at_random(states_BS: Tensor, whole: float, most: float, generator: torch.Generator | None = None) -> Tensor:
    """Open slots at random and return the new states, shape (B, S).

    Args:
        states_BS: GIVEN or ABSENT.
        whole: Probability that all slots of a sentence become ABSENT, so that their number is hidden too.
        most: In the other sentences, each slot becomes OPEN with a probability drawn per sentence from [0, most].
        generator: Source of the draws; default: torch's global one.
    """
    draws_BS = torch.empty_like(states_BS, dtype=torch.float32).uniform_(generator=generator)
    rates_B2 = draws_BS.new_empty(len(states_BS), 2).uniform_(generator=generator)
    opened_BS = (states_BS == GIVEN) & (draws_BS < most * rates_B2[:, :1])
    return states_BS.masked_fill(opened_BS, OPEN).masked_fill(rates_B2[:, 1:] < whole, ABSENT)


class SlotEncoder(nn.Module):
    """Map each span of P encoder tokens to the posterior of a slot; the first token (BOS or CLS) is left out."""

    def __init__(self, config: TextVAEConfig):
        super().__init__()
        self.stretch, self.most, hidden = config.slot_tokens, config.max_slots, config.encoder.hidden_size
        self.norm = nn.LayerNorm(2 * hidden)
        self.inner = nn.Linear(2 * hidden * self.stretch, 2 * hidden)
        self.outer = nn.Linear(2 * hidden, 2 * config.slot_dim)

    def forward(self, first_BTH: Tensor, last_BTH: Tensor, attention_mask: Tensor) -> tuple[DiagonalGaussian, Tensor]:
        """Return the slot posteriors, mean and log_std of shape (B, S, W), float32, and the states (B, S).

        The posterior of an absent slot is the prior, so its KL is 0.
        """
        mask_BT = attention_mask[:, 1:].bool()
        states_BTI = torch.cat([first_BTH, last_BTH], -1)[:, 1:]
        states_BTI = self.norm(states_BTI.float()).to(last_BTH.dtype) * mask_BT.unsqueeze(-1)
        short = -mask_BT.shape[1] % self.stretch
        states_BTI, mask_BT = F.pad(states_BTI, (0, 0, 0, short)), F.pad(mask_BT, (0, short))
        stretches_BSI = states_BTI.unflatten(1, (-1, self.stretch)).flatten(2)[:, : self.most]
        there_BS = mask_BT.unflatten(1, (-1, self.stretch)).any(-1)[:, : self.most]
        mean_BSW, raw_BSW = self.outer(F.gelu(self.inner(stretches_BSI))).float().chunk(2, -1)
        there_BS1 = there_BS.unsqueeze(-1)
        posterior = DiagonalGaussian(
            mean_BSW.masked_fill(~there_BS1, 0), bounded_log_std(raw_BSW).masked_fill(~there_BS1, 0)
        )
        return posterior, torch.where(there_BS, GIVEN, ABSENT)


class SlotReader(nn.Module):
    """Attention of a decoder to slots: each slot is projected to the P places of its span, which are then attended to.

    A bias of minus a learnt slope times the distance in tokens favours places near the decoder's position.
    """

    def __init__(self, config: TextVAEConfig, width: int, state_width: int):
        super().__init__()
        self.stretch, self.stride = config.slot_tokens, config.slot_stride or float(config.slot_tokens)
        self.before = nn.Linear(config.slot_dim, self.stretch * width)
        self.open_before = nn.Parameter(torch.empty(self.stretch * width))
        self.nothing_before = nn.Parameter(torch.empty(width))
        self.nothing_score = nn.Parameter(torch.zeros(()))
        self.slope_before = nn.Parameter(torch.empty(()))
        self.has_after = state_width > 0
        if self.has_after:
            self.unpack = nn.Linear(config.slot_dim, self.stretch * width)
            self.open_after = nn.Parameter(torch.empty(self.stretch * width))
            self.nothing_after = nn.Parameter(torch.empty(width))
            self.ask, self.key_value = nn.Linear(state_width, width), nn.Linear(width, 2 * width)
            self.slope_after = nn.Parameter(torch.empty(HEADS))

    def reset_parameters(self, std: float) -> None:
        """Initialise the parameters that belong to no torch layer; `std` is that of the token embeddings."""
        nn.init.constant_(self.slope_before, INITIAL_SLOPE_BEFORE)
        nn.init.zeros_(self.nothing_score)
        parameters = [self.open_before, self.nothing_before]
        if self.has_after:
            nn.init.constant_(self.slope_after, INITIAL_SLOPE_AFTER)
            parameters += [self.open_after, self.nothing_after]
        for parameter in parameters:
            nn.init.normal_(parameter, std=std)

    def unpacked(self, latents: SplitLatents) -> UnpackedSlots:
        """Project a batch's slots to their places, once for all decoder positions."""
        given_BS1 = (latents.states == GIVEN).unsqueeze(-1)
        slots_BSW = latents.slots.masked_fill(~given_BS1, 0)

        def places(layer: nn.Linear, open_: Tensor, nothing: Tensor) -> Tensor:
            written_BSX = torch.where(given_BS1, layer(slots_BSW), open_.to(slots_BSW.dtype))
            places_BXH = written_BSX.unflatten(-1, (self.stretch, -1)).flatten(1, 2)
            return torch.cat([places_BXH, nothing.to(places_BXH.dtype).expand(len(slots_BSW), 1, -1)], 1)

        missing_BX = F.pad((latents.states == ABSENT).repeat_interleave(self.stretch, 1), (0, 1))
        before_BXH = places(self.before, self.open_before, self.nothing_before)
        if not self.has_after:
            return UnpackedSlots(before_BXH, missing_BX)
        both_BXH = self.key_value(places(self.unpack, self.open_after, self.nothing_after))
        keys_BNXA, values_BNXA = (half.unflatten(-1, (HEADS, -1)).transpose(1, 2) for half in both_BXH.chunk(2, -1))
        # laid out for the products of every step, which would copy them otherwise
        return UnpackedSlots(before_BXH, missing_BX, keys_BNXA.transpose(2, 3).contiguous(), values_BNXA.contiguous())

    def by_place(self, slots: UnpackedSlots, tokens: int, first: int) -> Tensor:
        """Attend by position only, for decoder positions first .. first + tokens - 1; returns shape (B, T, H)."""
        score_TX = -self.slope_before.abs() * self._distance(slots, tokens, first)
        score_TX = torch.cat([score_TX, self.nothing_score.expand(tokens, 1)], 1)
        weights_BTX = score_TX.masked_fill(slots.missing.unsqueeze(1), NEVER).softmax(-1)
        return weights_BTX @ slots.before.float()

    def by_state(self, states_BTG: Tensor, slots: UnpackedSlots, first: int) -> Tensor:
        """Attend with the decoder's states (B, T, G) at positions first .. first + T - 1; returns shape (B, T, H)."""
        assert slots.keys is not None and slots.values is not None
        query_BNTA = self.ask(states_BTG).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        distance_TX = F.pad(self._distance(slots, states_BTG.shape[1], first), (0, 1))
        scores_BNTX = (query_BNTA @ slots.keys).float() / math.sqrt(query_BNTA.shape[-1])
        scores_BNTX = scores_BNTX - self.slope_after.abs()[:, None, None] * distance_TX
        weights_BNTX = scores_BNTX.masked_fill(slots.missing[:, None, None], NEVER).softmax(-1)
        return (weights_BNTX.to(slots.values.dtype) @ slots.values).transpose(1, 2).flatten(2)

    def _distance(self, slots: UnpackedSlots, tokens: int, first: int) -> Tensor:
        """Return the distances in tokens between decoder positions and places of slots, shape (T, X)."""
        device = slots.before.device
        here_T = torch.arange(first, first + tokens, device=device, dtype=torch.float32)
        there_X = torch.arange(slots.before.shape[1] - 1, device=device, dtype=torch.float32)
        return (here_T[:, None] - (there_X + 0.5) * (self.stride / self.stretch) + 0.5).abs()


@dataclass(frozen=True)
class UnpackedSlots:
    """The X places of a batch's slots, followed by one null place that is never masked.

    Attributes:
        before: Values for `by_place`, shape (B, X + 1, H).
        missing: Whether a place belongs to an absent slot, shape (B, X + 1).
        keys: Of each of N heads for `by_state`, shape (B, N, H / N, X + 1), or None.
        values: The same, shape (B, N, X + 1, H / N).
    """

    before: Tensor
    missing: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> UnpackedSlots:
        """Select rows of the batch."""
        parts = (self.before, self.missing, self.keys, self.values)
        return UnpackedSlots(*(None if part is None else part.index_select(0, rows) for part in parts))  # type: ignore[arg-type]
