"""What every decoder does, and the registry of decoders."""

# B sentences, T tokens, V vocabulary, H hidden, D latent dimensions
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from ..config import FROM_SCRATCH, TextVAEConfig
from ..likelihood import linear_cross_entropy, reconstruction_nats, sampled_cross_entropy
from ..slots import ABSENT, SplitLatents

# The 0.02 of transformers would starve a decoder trained from scratch: its words would be lost beside the latent.
EMBEDDING_STD = 0.1
_DECODERS: dict[type[PreTrainedConfig], type[LatentDecoder]] = {}


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

    @classmethod
    @abstractmethod
    def from_config(cls, config: TextVAEConfig, lm: PreTrainedModel | None = None) -> LatentDecoder:
        """Return the decoder that a model's config describes; `lm` are pretrained weights for it."""

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

        The next call with a cache reads the newest token alone; a decoder that looks at no other returns None.
        Latents are (B, D), or packed with wording slots as `SplitLatents.pack` does.
        """

    @abstractmethod
    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:
        """Return the last hidden states (B, T, H), of which the logits are made, for ids (B, T) and latents (B, D)."""

    def blank(self, latents: Tensor) -> Tensor:
        """Return latents that say nothing, for as many rows: what the decoder reads where it shall see none.

        They are zeros, of which a decoder reads its learnt biases alone: none may make zero vectors of them, whose
        gradient a deep stack of RMSNorms would multiply until it is infinite.
        """
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

    def nats(
        self,
        input_ids: Tensor,
        latents: Tensor,
        labels: Tensor,
        *,
        sampled_words: int = 0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return -log p(labels | latents) in nats.

        Args:
            input_ids: What the decoder reads, shape (B, T).
            latents: Shape (B, D).
            labels: BOS ... EOS, shape (B, T), -100 where padded.
            sampled_words: Estimate from so many words of the vocabulary beside those of the batch; 0 for all.
            generator: Source of that sample; default: torch's global one.

        Returns:
            The sum over sentences, a scalar with a gradient; and each sentence's, shape (B,), float32, without one.
        """
        head = self.head()
        if head is None:
            nats_B = reconstruction_nats(self(input_ids=input_ids, latents=latents).logits, labels)
            return nats_B.sum(), nats_B.detach()
        states_BTH, targets_BT = self.states(input_ids, latents)[:, :-1], labels[:, 1:]
        states_NH, targets_N = states_BTH.flatten(0, 1), targets_BT.flatten()
        if sampled_words:
            total, nats_N = sampled_cross_entropy(states_NH, head, targets_N, sampled_words, generator)
        else:
            total, nats_N = linear_cross_entropy(states_NH, head, targets_N)
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


def register_decoder(
    config_class: type[PreTrainedConfig], name: str | None = None
) -> Callable[[type[LatentDecoder]], type[LatentDecoder]]:
    """Register a decoder class for the models whose `config.decoder` is of a class.

    Args:
        config_class: Its config; `PreTrainedConfig` stands for every config that no other decoder is registered for.
        name: What `TrainConfig.decoder` and `TextVAEConfig.preset` call it, trained from scratch. Its config is then
            what `config_class.from_preset(preset, vocab_size, dropout)` returns, and is loaded by its `model_type`.

    Returns:
        A class decorator.
    """

    def register(decoder: type[LatentDecoder]) -> type[LatentDecoder]:
        _DECODERS[config_class] = decoder
        if name is not None:
            made: Any = config_class
            FROM_SCRATCH[name] = made.from_preset
            AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
        return decoder

    return register


def build_decoder(config: TextVAEConfig, lm: PreTrainedModel | None = None) -> LatentDecoder:
    """Return the decoder that a config describes; `lm` are pretrained weights for it."""
    found = next(_DECODERS[known] for known in type(config.decoder).__mro__ if known in _DECODERS)
    return found.from_config(config, lm)
