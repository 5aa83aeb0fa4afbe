"""Any causal language model as a decoder."""

# B sentences, T tokens, V vocabulary, H hidden, D latent dimensions, K prefix vectors
from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from ..config import TextVAEConfig
from ..slots import SlotReader, SplitLatents
from .base import EMBEDDING_STD, LatentDecoder, register_decoder

# Language models whose head is one linear layer without bias, scale or cap.
PLAIN_HEADS = {"gpt2", "llama", "mistral", "qwen2", "qwen3", "smollm3", "gpt_neox", "olmo2"}


@register_decoder(PreTrainedConfig)
class CausalLMDecoder(LatentDecoder):
    """Any causal language model, conditioned by K prefix vectors and by adding z to every token embedding.

    These are the "memory" and "embedding" schemes of Optimus (Li et al. 2020, sec. 3.2), which work best together. The
    prefix has a learnt bias of the initial length of word embeddings, so that it is not zero for a blank latent.
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
            # before super().__init__, so that the LM's class chooses the attention implementation
            lm = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
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
        if self.prefix is not None:
            # The prefix of a blank latent. As zero vectors each RMSNorm would multiply its gradient by 1 / sqrt(eps).
            nn.init.normal_(self.prefix.bias, std=self.embedding_std)
        if lora_rank:
            _adapt(lm, lora_rank)

    @classmethod
    def from_config(cls, config: TextVAEConfig, lm: PreTrainedModel | None = None) -> CausalLMDecoder:  # noqa: D102
        slots = config if config.slot_dim else None
        return cls(config.decoder, config.latent_dim, config.prefix_length, lm, config.lora_rank, slots)

    def _init_weights(self, module: nn.Module) -> None:
        # Gives a latent from the prior the scale of a token embedding: more would outweigh tokens, less be ignored.
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.embedding_std / module.in_features**0.5)
            nn.init.zeros_(module.bias)
        elif isinstance(module, SlotReader):
            module.reset_parameters(self.embedding_std)

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.lm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """Return the output layer."""
        return self.lm.get_output_embeddings()

    def head(self) -> Tensor | None:  # noqa: D102
        return super().head() if self.lm.config.model_type in PLAIN_HEADS else None

    def states(self, input_ids: Tensor, latents: Tensor) -> Tensor:  # noqa: D102
        output = self.lm.base_model(inputs_embeds=self._embed(input_ids, latents, 0), use_cache=False)
        return output.last_hidden_state[:, self.prefix_length :]

    def _embed(self, input_ids: Tensor, latents: Tensor, first: int) -> Tensor:
        """Return the input embeddings: token embeddings plus z, preceded by the prefix if `first` is 0."""
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


def _adapt(lm: PreTrainedModel, rank: int) -> None:
    """Add a low-rank adapter, initially zero, to every linear layer of a language model except the head."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("low-rank adapters need peft: pip install 'textvae[peft]'") from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), lm)
    for parameter in lm.parameters():
        parameter._is_hf_initialized = True  # type: ignore[attr-defined]  # keeps TextVAEModel from reinitialising them
