"""The base class of decoders, and their registry."""

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

# With the 0.02 of transformers, the latent would outweigh the tokens of a decoder trained from scratch.
EMBEDDING_STD = 0.1
_DECODERS: dict[type[PreTrainedConfig], type[LatentDecoder]] = {}


class LatentDecoder(PreTrainedModel, GenerationMixin):
    """An autoregressive p(x|z). A row of `input_ids` is BOS ... EOS, and position t predicts token t + 1.

    There is no attention mask, since rows are padded on the right and decoders are causal.
    """

    latent_dim: int  # D; of the meaning in a model with slots
    slot_dim: int  # W; 0 without slots
    config_class = PreTrainedConfig
    main_input_name = "input_ids"
    base_model_prefix = "lm"
    # The config of a loaded LM names its attention implementation, which transformers checks against these flags.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    @classmethod
    @abstractmethod
    def from_config(cls, config: TextVAEConfig, lm: PreTrainedModel | None = None) -> LatentDecoder:
        """Build the decoder of a model config; `lm` is a pretrained language model to use in it."""

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

        With a cache, the next call passes only the newest token. A decoder that needs no earlier tokens may return
        None as its cache. Latents are (B, D), or packed with wording slots as `SplitLatents.pack` does.
        """

    @abstractmethod
    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:
        """Return the last hidden states (B, T, H), before the output layer, for ids (B, T) and latents (B, D)."""

    def blank(self, latents: Tensor) -> Tensor:
        """Return uninformative latents of the same shape, for decoding without a latent.

        They are zeros, so a decoder must add a learnt bias: the gradient of zero vectors would grow to infinity in a
        deep stack of RMSNorms.
        """
        if not self.slot_dim:
            return torch.zeros_like(latents)
        split = SplitLatents.unpack(latents, self.latent_dim, self.slot_dim)
        nothing = SplitLatents(
            torch.zeros_like(split.meaning), torch.zeros_like(split.slots), torch.full_like(split.states, ABSENT)
        )
        return nothing.pack()

    def head(self) -> Tensor | None:
        """Return the weight (V, H) of the output layer; None if the head has a bias, scale or cap."""
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
            input_ids: The decoder's inputs, shape (B, T).
            latents: Shape (B, D).
            labels: BOS ... EOS, shape (B, T), -100 where padded.
            sampled_words: Vocabulary entries sampled to estimate the softmax, besides the targets; 0 for all.
            generator: Random generator of that sample; default: torch's global one.

        Returns:
            The sum over sentences, a differentiable scalar; and nats per sentence, shape (B,), float32, detached.
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
        """Pass the latents to each step; with a cache, only the newest token."""
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
    """Register a decoder class for models whose `config.decoder` is an instance of `config_class`.

    Args:
        config_class: Class of the decoder's config; `PreTrainedConfig` matches every config without its own decoder.
        name: Name in `TrainConfig.decoder` and `TextVAEConfig.preset`, for training from scratch. The config is then
            created by `config_class.from_preset(preset, vocab_size, dropout)` and loaded by its `model_type`.

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
    """Build the decoder of a model config; `lm` is a pretrained language model to use in it."""
    found = next(_DECODERS[known] for known in type(config.decoder).__mro__ if known in _DECODERS)
    return found.from_config(config, lm)
