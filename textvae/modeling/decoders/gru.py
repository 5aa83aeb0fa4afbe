"""GRU decoders, with one latent and with wording slots."""

# B sentences, T tokens, V vocabulary, H hidden, D latent dimensions, G width of the GRU, I of its input
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from ..config import GRUDecoderConfig, TextVAEConfig
from ..slots import SlotReader, SplitLatents, UnpackedSlots
from .base import EMBEDDING_STD, LatentDecoder, register_decoder


class GRUState:
    """A cache with the interface of a transformers cache: the recurrent state, and what a slot decoder keeps.

    Args:
        hidden: Recurrent state, shape (layers, B, G).
        length: Tokens read so far.
        slots: Unpacked slots.
        written: Sum of the embeddings written so far, shape (B, H).
        added: What the meaning adds to every input and output, shape (B, 2H).
    """

    def __init__(
        self,
        hidden: Tensor,
        length: int,
        slots: UnpackedSlots | None = None,
        written: Tensor | None = None,
        added: Tensor | None = None,
    ):
        self.hidden, self.length, self.slots, self.written, self.added = hidden, length, slots, written, added

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens read so far."""
        return self.length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the states of the chosen beams."""
        self.hidden = self.hidden.index_select(1, beam_idx)
        self.slots = None if self.slots is None else self.slots[beam_idx]
        self.written = None if self.written is None else self.written.index_select(0, beam_idx)
        self.added = None if self.added is None else self.added.index_select(0, beam_idx)


@register_decoder(GRUDecoderConfig)
class GRUDecoder(LatentDecoder):
    """A GRU whose initial state is set by z and whose every input is concatenated with z (Bowman et al. 2016).

    z is also added to the state before the output layer, a skip connection against collapse (Dieng et al. 2019).
    """

    config_class = GRUDecoderConfig
    _tied_weights_keys = {"output.weight": "embedding.weight"}

    def __init__(self, config: GRUDecoderConfig, latent_dim: int):
        super().__init__(config)
        self.latent_dim, self.slot_dim = latent_dim, 0
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.initial = nn.Linear(latent_dim, config.num_hidden_layers * config.gru_hidden_size)
        self.gru = nn.GRU(
            self._input_size(latent_dim), config.gru_hidden_size, config.num_hidden_layers, batch_first=True
        )
        self.dropout = nn.Dropout(config.dropout)
        self.projection = nn.Linear(config.gru_hidden_size, config.hidden_size)
        self.skip = nn.Linear(latent_dim, config.hidden_size, bias=False)
        self.output = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def from_config(cls, config: TextVAEConfig, lm: PreTrainedModel | None = None) -> GRUDecoder:  # noqa: D102
        gru: Any = config.decoder
        return SlotGRUDecoder(gru, config) if config.slot_dim else GRUDecoder(gru, config.latent_dim)

    def _input_size(self, latent_dim: int) -> int:
        return self.config.hidden_size + latent_dim

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_STD)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for name, parameter in module.named_parameters():
                if "bias" in name:
                    nn.init.zeros_(parameter)
                else:
                    for gate in parameter.chunk(3):
                        (nn.init.orthogonal_ if "hh" in name else nn.init.xavier_uniform_)(gate)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # so that generate() uses the cache that forward returns

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.embedding

    def get_output_embeddings(self) -> nn.Module:
        """Return the output layer."""
        return self.output

    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:  # noqa: D102
        return self._read(input_ids, latents, None)[0]

    def _read(self, input_ids: Tensor, latents: Tensor, state: GRUState | None) -> tuple[Tensor, GRUState]:
        """Return the last hidden states (B, T, H) and the state after them."""
        latents_BTD = latents.unsqueeze(1).expand(-1, input_ids.shape[1], -1)
        inputs_BTI = torch.cat([self.dropout(self.embedding(input_ids)), latents_BTD], -1)
        states_BTG, state = self._recur(inputs_BTI, latents, state)
        return self.projection(self.dropout(states_BTG)) + self.skip(latents).unsqueeze(1), state

    def _recur(self, inputs_BTI: Tensor, latents_BD: Tensor, state: GRUState | None) -> tuple[Tensor, GRUState]:
        if state is None:
            start = torch.tanh(self.initial(latents_BD)).float()
            hidden = start.unflatten(-1, (self.config.num_hidden_layers, -1)).transpose(0, 1).contiguous()
        else:
            hidden = state.hidden
        if inputs_BTI.is_cuda:  # autocast would run cuDNN's GRU in float16, where small gradients underflow
            with torch.autocast("cuda", enabled=False):
                states_BTG, hidden = self.gru(inputs_BTI.float(), hidden)
        else:
            states_BTG, hidden = self.gru(inputs_BTI, hidden)
        length = inputs_BTI.shape[1] + (state.length if state else 0)
        # with the GRU's strides, the next matrix product would copy its weight per sentence
        return states_BTG.contiguous(), GRUState(hidden, length)

    def forward(self, input_ids, latents, past_key_values=None, use_cache=None, return_dict=None):  # noqa: D102
        states_BTH, state = self._read(input_ids, latents, past_key_values)
        cache: Any = state if use_cache else None
        return CausalLMOutputWithPast(logits=self.output(states_BTH), past_key_values=cache)


class SlotGRUDecoder(GRUDecoder):
    """A GRU that attends to wording slots twice: by position before the recurrence, and with its state after it.

    The meaning sets the initial state, and is added to every input and to the state before the output layer. With
    `coverage`, so is the sum of the embeddings written so far, which tells what of the meaning is still to be said.
    """

    def __init__(self, config: GRUDecoderConfig, slots: TextVAEConfig):
        super().__init__(config, slots.latent_dim)
        self.slot_dim = slots.slot_dim
        self.condition = nn.Linear(slots.latent_dim, config.hidden_size, bias=False)
        self.reader = SlotReader(slots, config.hidden_size, config.gru_hidden_size)
        self.projection = nn.Linear(config.gru_hidden_size + config.hidden_size, config.hidden_size)
        if config.coverage:
            self.covered = nn.Linear(config.hidden_size, 2 * config.hidden_size, bias=False)
        self.post_init()
        if config.coverage:
            nn.init.zeros_(self.covered.weight)

    def _input_size(self, latent_dim: int) -> int:
        return self.config.hidden_size

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, SlotReader):
            module.reset_parameters(EMBEDDING_STD)
        super()._init_weights(module)

    def _read(self, input_ids: Tensor, latents: Tensor, state: GRUState | None) -> tuple[Tensor, GRUState]:
        split = SplitLatents.unpack(latents, self.latent_dim, self.slot_dim)
        first, slots = (state.length, state.slots) if state else (0, None)
        slots = slots or self.reader.unpacked(split)
        added_BI = state.added if state and state.added is not None else self._added(split.meaning)
        added_B1H, outputs_BTH = added_BI.unsqueeze(1).chunk(2, -1)
        embedded_BTH = self.dropout(self.embedding(input_ids))
        inputs_BTH = embedded_BTH + added_B1H + self.reader.by_place(slots, input_ids.shape[1], first)
        written_BTH = None
        if self.config.coverage:
            written_BTH = embedded_BTH.float().cumsum(1)
            if state is not None and state.written is not None:
                written_BTH = written_BTH + state.written.unsqueeze(1)
            before_BTH, after_BTH = self.covered(written_BTH).chunk(2, -1)
            inputs_BTH, outputs_BTH = inputs_BTH + before_BTH, outputs_BTH + after_BTH
        states_BTG, state = self._recur(inputs_BTH, split.meaning, state)
        state.slots, state.written = slots, None if written_BTH is None else written_BTH[:, -1]
        state.added = added_BI
        states_BTG = self.dropout(states_BTG)
        mixed_BTH = self.projection(torch.cat([states_BTG, self.reader.by_state(states_BTG, slots, first)], -1))
        return F.gelu(mixed_BTH) + outputs_BTH, state

    def _added(self, meaning_BD: Tensor) -> Tensor:
        """Return what the meaning adds to every input and to every output, shape (B, 2H)."""
        return torch.cat([self.condition(meaning_BD), self.skip(meaning_BD)], -1)
