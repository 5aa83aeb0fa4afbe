"""Decoders: how a latent conditions an autoregressive language model, and generate() for all of them."""

# B sentences, T tokens, V vocabulary, H hidden, D latent dimensions, K prefix vectors
from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from ..configuration import GRUDecoderConfig, TextVAEConfig
from ..cross_entropy import linear_cross_entropy
from ..objective import reconstruction_nats
from .slots import ABSENT, SlotReader, SplitLatents, UnpackedSlots

# The 0.02 of transformers would starve a decoder trained from scratch: its words would be lost beside the latent.
EMBEDDING_STD = 0.1
# Language models whose logits are a linear layer of their last states and nothing else: no bias, scale or cap.
PLAIN_HEADS = {"gpt2", "llama", "mistral", "qwen2", "qwen3", "smollm3", "gpt_neox", "olmo2"}


class LatentDecoder(PreTrainedModel, GenerationMixin):
    """An autoregressive p(x|z). A row of `input_ids` is BOS ... EOS, and position t predicts token t + 1.

    There is no attention mask: rows are padded on the right, and no decoder looks to its right.
    """

    latent_dim: int  # D, of the meaning where there are slots too
    slot_dim: int  # W; 0 without slots
    config_class = PreTrainedConfig
    main_input_name = "input_ids"
    base_model_prefix = "lm"
    # The config of a loaded model names the attention that its own class chose; these let it through.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    @abstractmethod
    def forward(
        self,
        input_ids: Tensor,
        latents: Tensor,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast:
        """Return logits (B, T, V) for input ids (B, T) given latents, and the cache for the next call.

        Latents are (B, D), or packed with wording slots as `SplitLatents.pack` does.
        """

    @abstractmethod
    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:
        """Return the last hidden states (B, T, H), of which the logits are made, for ids (B, T) and latents (B, D)."""

    def blank(self, latents: Tensor) -> Tensor:
        """Return latents that say nothing, for as many rows: what the decoder reads where it shall see none."""
        if not self.slot_dim:
            return torch.zeros_like(latents)
        split = SplitLatents.unpack(latents, self.latent_dim, self.slot_dim)
        nothing = SplitLatents(
            torch.zeros_like(split.meaning), torch.zeros_like(split.slots), torch.full_like(split.states, ABSENT)
        )
        return nothing.pack()

    def head(self) -> Tensor | None:
        """Return the weight (V, H) that makes logits of states, or None if they take more than a product."""
        return self.get_output_embeddings().weight  # type: ignore[union-attr, return-value]

    def nats(self, input_ids: Tensor, latents: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(labels | latents) in nats.

        Args:
            input_ids: What the decoder reads, shape (B, T).
            latents: Shape (B, D).
            labels: BOS ... EOS, shape (B, T), -100 where padded.

        Returns:
            The sum over sentences, a scalar with a gradient; and each sentence's, shape (B,), float32, without one.
        """
        head = self.head()
        if head is None:
            nats_B = reconstruction_nats(self(input_ids=input_ids, latents=latents).logits, labels)
            return nats_B.sum(), nats_B.detach()
        states_BTH, targets_BT = self.states(input_ids, latents)[:, :-1], labels[:, 1:]
        total, nats_N = linear_cross_entropy(states_BTH.flatten(0, 1), head, targets_BT.flatten())
        return total, nats_N.view(targets_BT.shape).sum(-1)

    def prepare_inputs_for_generation(  # type: ignore[override]  # our forward takes latents and no mask
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: Any = None,
        is_first_iteration: bool | None = False,
        latents: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> dict[str, Any]:
        """Hand the latents on at each step; with a cache only the newest token is read."""
        if past_key_values is not None and not is_first_iteration and use_cache:
            input_ids = input_ids[:, -1:]
        return {
            "input_ids": input_ids,
            "latents": latents,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
        }


class CausalLMDecoder(LatentDecoder):
    """Any causal language model, conditioned by K prefix vectors and by z added to every token embedding.

    Optimus calls the two "memory" and "embedding" (Li et al. 2020, sec. 3.2) and finds both better than either.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        latent_dim: int,
        prefix_length: int,
        lm: PreTrainedModel | None = None,
        lora_rank: int = 0,
        slots: TextVAEConfig | None = None,
    ):
        from_scratch = lm is None
        if lm is None:
            lm = AutoModelForCausalLM.from_config(config)  # before us, so that its class chooses the attention
        super().__init__(config)
        self.lm = lm
        embeddings: Tensor = lm.get_input_embeddings().weight  # type: ignore[union-attr, assignment]
        if from_scratch:
            nn.init.normal_(embeddings, std=EMBEDDING_STD)
        self.embedding_std = EMBEDDING_STD if embeddings.is_meta else embeddings.std().item()
        hidden = embeddings.shape[1]
        self.prefix_length = prefix_length
        self.prefix = nn.Linear(latent_dim, prefix_length * hidden) if prefix_length else None
        self.addition = nn.Linear(latent_dim, hidden)
        self.latent_dim, self.slot_dim = latent_dim, slots.slot_dim if slots else 0
        self.reader = SlotReader(slots, hidden, 0) if slots else None
        self.keeps_logits = "logits_to_keep" in inspect.signature(self.lm.forward).parameters
        self.post_init()
        if lora_rank:
            _adapt(lm, lora_rank)

    def _init_weights(self, module: nn.Module) -> None:
        # A latent from the prior then weighs as much as a word: more would drown the words, less would be ignored.
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.embedding_std / module.in_features**0.5)
            nn.init.zeros_(module.bias)
        elif isinstance(module, SlotReader):
            module.reset_parameters(self.embedding_std)

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.lm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """Return the layer that makes logits of states."""
        return self.lm.get_output_embeddings()

    def head(self) -> Tensor | None:  # noqa: D102
        return super().head() if self.lm.config.model_type in PLAIN_HEADS else None

    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:  # noqa: D102
        output = self.lm.base_model(inputs_embeds=self._embed(input_ids, latents, 0), use_cache=False)
        return output.last_hidden_state[:, self.prefix_length :]

    def _embed(self, input_ids: Tensor, latents: Tensor, first: int) -> Tensor:
        """Return what the LM reads: before the first of the tokens the prefix, and z in each of them."""
        embeddings_BTH = self.lm.get_input_embeddings()(input_ids)
        if self.reader is not None:
            split = SplitLatents.unpack(latents, self.latent_dim, self.slot_dim)
            latents = split.meaning
            by_place_BTH = self.reader.by_place(self.reader.unpacked(split), input_ids.shape[1], first)
            embeddings_BTH = embeddings_BTH + by_place_BTH.to(embeddings_BTH.dtype)
        embeddings_BTH = embeddings_BTH + self.addition(latents).unsqueeze(1)
        if self.prefix is None or first:
            return embeddings_BTH
        prefix_BKH = self.prefix(latents).unflatten(-1, (self.prefix_length, -1))
        return torch.cat([prefix_BKH.to(embeddings_BTH.dtype), embeddings_BTH], 1)

    def forward(self, input_ids, latents, past_key_values=None, use_cache=None, return_dict=None):  # noqa: D102
        read = 0 if past_key_values is None else past_key_values.get_seq_length()
        tokens = input_ids.shape[1]
        output = self.lm(
            inputs_embeds=self._embed(input_ids, latents, max(0, read - self.prefix_length)),
            past_key_values=past_key_values,
            use_cache=bool(use_cache),
            **({"logits_to_keep": tokens} if self.keeps_logits else {}),
        )
        return CausalLMOutputWithPast(logits=output.logits[:, -tokens:], past_key_values=output.past_key_values)


class GRUState:
    """What is kept between two calls, in the shape of a transformers cache: the recurrent state, and unpacked slots."""

    def __init__(self, hidden: Tensor, length: int, slots: UnpackedSlots | None = None):
        self.hidden = hidden  # (layers, B, H)
        self.length = length
        self.slots = slots

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens read so far."""
        return self.length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the states of the chosen beams."""
        self.hidden = self.hidden.index_select(1, beam_idx)
        self.slots = None if self.slots is None else self.slots[beam_idx]


class GRUDecoder(LatentDecoder):
    """A GRU whose initial state is set by z and whose every input is concatenated with z (Bowman et al. 2016).

    z is also added to what the words are read from, past the recurrence, so that it is used sooner (Dieng et al. 2019).
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
        return False  # generate() then takes the cache that forward returns

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.embedding

    def get_output_embeddings(self) -> nn.Module:
        """Return the layer that makes logits of states."""
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
        if inputs_BTI.is_cuda:  # autocast would run cuDNN's GRU in float16, whose small gradients are 0
            with torch.autocast("cuda", enabled=False):
                states_BTG, hidden = self.gru(inputs_BTI.float(), hidden)
        else:
            states_BTG, hidden = self.gru(inputs_BTI, hidden)
        length = inputs_BTI.shape[1] + (state.length if state else 0)
        # with the GRU's own strides a product would copy its weight per sentence
        return states_BTG.contiguous(), GRUState(hidden, length)

    def forward(self, input_ids, latents, past_key_values=None, use_cache=None, return_dict=None):  # noqa: D102
        states_BTH, state = self._read(input_ids, latents, past_key_values)
        cache: Any = state if use_cache else None
        return CausalLMOutputWithPast(logits=self.output(states_BTH), past_key_values=cache)


class SlotGRUDecoder(GRUDecoder):
    """A GRU that reads wording slots twice: by its place before the recurrence, and by its state after it.

    The meaning sets the initial state and is added to every input and to what the words are read from.
    """

    def __init__(self, config: GRUDecoderConfig, slots: TextVAEConfig):
        super().__init__(config, slots.latent_dim)
        self.slot_dim = slots.slot_dim
        self.condition = nn.Linear(slots.latent_dim, config.hidden_size, bias=False)
        self.reader = SlotReader(slots, config.hidden_size, config.gru_hidden_size)
        self.projection = nn.Linear(config.gru_hidden_size + config.hidden_size, config.hidden_size)
        self.post_init()

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
        inputs_BTH = self.dropout(self.embedding(input_ids)) + self.condition(split.meaning).unsqueeze(1)
        inputs_BTH = inputs_BTH + self.reader.by_place(slots, input_ids.shape[1], first)
        states_BTG, state = self._recur(inputs_BTH, split.meaning, state)
        state.slots = slots
        states_BTG = self.dropout(states_BTG)
        mixed_BTH = self.projection(torch.cat([states_BTG, self.reader.by_state(states_BTG, slots, first)], -1))
        return F.gelu(mixed_BTH) + self.skip(split.meaning).unsqueeze(1), state


def _adapt(lm: PreTrainedModel, rank: int) -> None:
    """Give every linear layer of a language model but the head an adapter, which changes nothing yet."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("low-rank adapters need peft: pip install 'textvae[peft]'") from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), lm)
    for parameter in lm.parameters():
        parameter._is_hf_initialized = True  # type: ignore[attr-defined]  # the model around us draws nothing anew


def build_decoder(config: TextVAEConfig, lm: PreTrainedModel | None = None) -> LatentDecoder:
    """Return the decoder that a config describes; `lm` are pretrained weights for it."""
    slots = config if config.slot_dim else None
    if isinstance(config.decoder, GRUDecoderConfig):
        return SlotGRUDecoder(config.decoder, slots) if slots else GRUDecoder(config.decoder, config.latent_dim)
    return CausalLMDecoder(config.decoder, config.latent_dim, config.prefix_length, lm, config.lora_rank, slots)
