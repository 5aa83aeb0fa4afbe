"""Wording slots: a small latent for each stretch of a sentence, how it is read from the encoder and by the decoder."""

# B sentences, T tokens, H width, D meaning, S slots, W numbers of a slot, P tokens of a stretch, N heads
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..configuration import TextVAEConfig
from ..gaussian import DiagonalGaussian, bounded_log_std

GIVEN, OPEN, ABSENT = 1.0, 0.0, -1.0  # states of a slot
HEADS = 4
INITIAL_SLOPE_BEFORE, INITIAL_SLOPE_AFTER = 2.0, 1.0  # per token of distance
NEVER = -1e9  # a score: exp(NEVER) is 0 in every arithmetic


class SplitLatents(NamedTuple):
    """Latents of a model that splits them, as its decoder reads them.

    Attributes:
        meaning: m, shape (B, D).
        slots: w, shape (B, S, W); what stands in open and absent slots is not read.
        states: GIVEN, OPEN or ABSENT for each slot, shape (B, S). A sentence without slots is written from m alone.
    """

    meaning: Tensor
    slots: Tensor
    states: Tensor

    def pack(self) -> Tensor:
        """Return one row a sentence, shape (B, D + S * (W + 1)): so they pass through generate() and its beams."""
        return torch.cat([self.meaning, self.slots.flatten(1), self.states.to(self.meaning.dtype)], 1)

    @classmethod
    def unpack(cls, packed: Tensor, latent_dim: int, slot_dim: int) -> SplitLatents:
        """Return what `pack` packed; rows of D numbers are meanings without slots."""
        meaning, rest = packed[:, :latent_dim], packed[:, latent_dim:]
        count = rest.shape[1] // (slot_dim + 1)
        slots, states = rest.split([count * slot_dim, count], 1)
        return cls(meaning, slots.reshape(len(slots), count, slot_dim), states)


def open_at_random(states_BS: Tensor, whole: float, most: float, generator: torch.Generator | None = None) -> Tensor:
    """Return the states with slots opened, shape (B, S).

    Args:
        states_BS: GIVEN or ABSENT.
        whole: Share of the sentences that lose all their slots: they become ABSENT, and even their number is unknown.
        most: In the others each slot is OPEN with a probability that is drawn for the sentence from [0, most].
        generator: Source of the draws; default: torch's global one.
    """
    draws_BS = torch.empty_like(states_BS, dtype=torch.float32).uniform_(generator=generator)
    rates_B2 = draws_BS.new_empty(len(states_BS), 2).uniform_(generator=generator)
    opened_BS = (states_BS == GIVEN) & (draws_BS < most * rates_B2[:, :1])
    return states_BS.masked_fill(opened_BS, OPEN).masked_fill(rates_B2[:, 1:] < whole, ABSENT)


class SlotEncoder(nn.Module):
    """Map each stretch of P encoder tokens, the first token of the text (BOS) left out, to the posterior of a slot."""

    def __init__(self, config: TextVAEConfig):
        super().__init__()
        self.stretch, self.most, hidden = config.slot_tokens, config.max_slots, config.encoder.hidden_size
        self.norm = nn.LayerNorm(2 * hidden)
        self.inner = nn.Linear(2 * hidden * self.stretch, 2 * hidden)
        self.outer = nn.Linear(2 * hidden, 2 * config.slot_dim)

    def forward(self, first_BTH: Tensor, last_BTH: Tensor, attention_mask: Tensor) -> tuple[DiagonalGaussian, Tensor]:
        """Return the posteriors, mean and log_std of shape (B, S, W), float32, and the slots' states (B, S).

        An absent slot has the prior for its posterior, so that it costs no KL.
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
    """Let a decoder read slots: each is unpacked to the P places of its stretch, and places are read by attention.

    Attention is biased towards the decoder's own place: minus a learnt slope times the distance in tokens.
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
        """Draw the parameters that no layer of torch draws; `std` is that of the token embeddings."""
        nn.init.constant_(self.slope_before, INITIAL_SLOPE_BEFORE)
        nn.init.zeros_(self.nothing_score)
        parameters = [self.open_before, self.nothing_before]
        if self.has_after:
            nn.init.constant_(self.slope_after, INITIAL_SLOPE_AFTER)
            parameters += [self.open_after, self.nothing_after]
        for parameter in parameters:
            nn.init.normal_(parameter, std=std)

    def places(self, latents: SplitLatents, tokens: int, first: int) -> SlotPlaces:
        """Return the unpacked slots of a batch for the decoder positions first .. first + tokens - 1."""
        slots, states = latents.slots, latents.states
        given_BS1, absent_BS = (states == GIVEN).unsqueeze(-1), states == ABSENT
        slots = slots.masked_fill(~given_BS1, 0)

        def unpacked(layer: nn.Linear, open_: Tensor, nothing: Tensor) -> Tensor:
            written_BSX = torch.where(given_BS1, layer(slots), open_.to(slots.dtype))
            places_BXH = written_BSX.unflatten(-1, (self.stretch, -1)).flatten(1, 2)
            return torch.cat([places_BXH, nothing.to(places_BXH.dtype).expand(len(slots), 1, -1)], 1)

        here_T = torch.arange(first, first + tokens, device=slots.device, dtype=torch.float32)
        there_X = torch.arange(slots.shape[1] * self.stretch, device=slots.device, dtype=torch.float32)
        there_X = (there_X + 0.5) * (self.stride / self.stretch) - 0.5  # in tokens of the decoder
        distance_TX = (here_T[:, None] - there_X).abs()
        missing_BX = absent_BS.repeat_interleave(self.stretch, 1)
        score_BTX = (-self.slope_before.abs() * distance_TX).masked_fill(missing_BX.unsqueeze(1), NEVER)
        score_BTX = torch.cat([score_BTX, self.nothing_score.expand(*score_BTX.shape[:2], 1)], 2)
        by_place_BTH = score_BTX.softmax(-1) @ unpacked(self.before, self.open_before, self.nothing_before).float()
        if not self.has_after:
            return SlotPlaces(by_place_BTH, None, None)
        bias_BNTX = (-self.slope_after.abs()[:, None, None] * distance_TX).masked_fill(missing_BX[:, None, None], NEVER)
        bias_BNTX = F.pad(bias_BNTX.expand(len(slots), -1, -1, -1), (0, 1))
        keys = self.key_value(unpacked(self.unpack, self.open_after, self.nothing_after))
        return SlotPlaces(by_place_BTH, keys, bias_BNTX)

    def by_state(self, states_BTG: Tensor, places: SlotPlaces) -> Tensor:
        """Return what the decoder's states (B, T, G) ask the places for, shape (B, T, H)."""
        assert places.keys_values is not None and places.bias is not None
        query_BNTA = self.ask(states_BTG).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        key_BNXA, value_BNXA = (
            half.unflatten(-1, (HEADS, -1)).transpose(1, 2) for half in places.keys_values.chunk(2, -1)
        )
        scores_BNTX = query_BNTA @ key_BNXA.transpose(2, 3) / math.sqrt(query_BNTA.shape[-1])
        weights_BNTX = (scores_BNTX.float() + places.bias).softmax(-1).to(value_BNXA.dtype)
        return (weights_BNTX @ value_BNXA).transpose(1, 2).flatten(2)


class SlotPlaces(NamedTuple):
    """The slots of a batch, unpacked.

    Attributes:
        by_place: What each decoder position reads before it knows its state, shape (B, T, H).
        keys_values: Keys and values for its state, shape (B, X + 1, 2H); the last place is always there. Or None.
        bias: Of their scores, shape (B, N, T, X + 1), or None.
    """

    by_place: Tensor
    keys_values: Tensor | None
    bias: Tensor | None
