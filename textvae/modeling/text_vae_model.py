"""The network as a transformers model: encode, decode, the training forward, and generate."""

# B sentences, T tokens, V vocabulary, D latent dimensions
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, GenerationConfig, PreTrainedModel
from transformers.utils import ModelOutput

from ..configuration import TextVAEConfig
from ..cross_entropy import IGNORED
from ..gaussian import DiagonalGaussian
from ..objective import bag_of_words_nats, contrastive_nats, negative_elbo, squared_mmd
from .decoder import GRUDecoder, build_decoder
from .encoder import LatentEncoder
from .generation import write


@dataclass
class TextVAEOutput(ModelOutput):
    """What one forward pass returns.

    Attributes:
        loss: reconstruction + beta * KL, nats per sentence, and the weighted auxiliary terms; a scalar.
        reconstruction: -log p(x|z) in nats, shape (B,), without a gradient.
        kl: KL(q(z|x) || N(0, I)) in nats, shape (B,).
        posterior: q(z|x).
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    kl: Tensor | None = None
    posterior: DiagonalGaussian | None = None


class TextVAEModel(PreTrainedModel):
    """A variational autoencoder over token ids.

    Example:
        >>> model = TextVAEModel(TextVAEConfig.preset("tiny", vocab_size=300))
        >>> model.encode(torch.tensor([[0, 5, 1]])).mean.shape
        torch.Size([1, 32])
    """

    config_class = TextVAEConfig
    base_model_prefix = "textvae"
    main_input_name = "input_ids"
    _supports_sdpa = True
    supports_gradient_checkpointing = False

    def __init__(
        self, config: TextVAEConfig, backbone: PreTrainedModel | None = None, lm: PreTrainedModel | None = None
    ):
        super().__init__(config)
        self.encoder = LatentEncoder(config, backbone)
        self.decoder = build_decoder(config, lm)
        if config.bag_of_words:
            self.words = nn.Linear(config.latent_dim, self._output_weight().shape[1])
        self.post_init()
        self.freeze()
        self.generation_config = self.decoder.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
        )

    def freeze(self) -> None:
        """Let training leave alone what the config keeps; loading forgets it."""
        config: Any = self.config
        if config.keep_encoder:
            self.encoder.backbone.requires_grad_(False)
        if config.lora_rank:
            for name, parameter in self.decoder.lm.named_parameters():  # type: ignore[union-attr, operator]
                parameter.requires_grad_("lora_" in name)

    def _output_weight(self) -> Tensor:
        return self.decoder.get_output_embeddings().weight  # type: ignore[union-attr, return-value]

    def _init_weights(self, module: nn.Module) -> None:
        # Only the parts of our own: each half initialises itself as its class says.
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> DiagonalGaussian:
        """Return the posterior of each row.

        Args:
            input_ids: The encoder's token ids, shape (B, T).
            attention_mask: 1 for tokens, 0 for padding, shape (B, T); None where nothing is padded.

        Returns:
            A Gaussian whose mean and log_std have shape (B, D).
        """
        return self.encoder(input_ids, attention_mask)

    def decode(self, latents: Tensor, input_ids: Tensor) -> Tensor:
        """Return logits (B, T, V) for the decoder's token ids (B, T) given latents (B, D).

        A row of ids is BOS ... EOS, and position t predicts token t + 1.
        """
        return self.decoder(input_ids=input_ids, latents=latents).logits

    def nats(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return -log p(x|z) of each row, shape (B,), for labels (B, U), -100 where padded, and latents (B, D)."""
        return self.decoder.nats(labels.masked_fill(labels == IGNORED, self.config.pad_token_id), latents, labels)[1]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        partner_ids: Tensor | None = None,
        partner_mask: Tensor | None = None,
        groups: Tensor | None = None,
        *,
        beta: float = 1.0,
        free_bits: float = 0.0,
        mmd: float = 0.0,
        bow: float = 0.0,
        contrastive: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> TextVAEOutput:
        """Return the loss of a batch in nats per sentence, with its parts.

        Args:
            input_ids: The encoder's ids, shape (B, T), possibly corrupted by noise.
            attention_mask: 1 for tokens, 0 for padding, shape (B, T).
            labels: The decoder's targets BOS ... EOS, shape (B, U), -100 where padded; default: `input_ids` (both
                halves then share a tokenizer).
            decoder_input_ids: What the decoder reads, shape (B, U), possibly with dropped words; default: the labels.
            partner_ids: The encoder's ids of another view of each text, shape (B, S).
            partner_mask: 1 for their tokens, 0 for padding, shape (B, S).
            groups: Group of each text, shape (B,): its fellows are no wrong views.
            beta: Weight of the KL.
            free_bits: Floor of the KL of each dimension, in nats.
            mmd: Weight of the squared MMD between the latents and as many draws from N(0, I) (Zhao et al. 2019, eq. 6).
            bow: Weight of the nats of the words predicted from z alone, for a model with `bag_of_words`.
            contrastive: Weight of the nats it takes to tell each text's other view from those of the batch.
            generator: Source of the noise of z; default: torch's global one.
        """
        config: Any = self.config
        posterior = self.encode(input_ids, attention_mask)
        latents_BD = posterior.sample(generator=generator)
        if labels is None:
            labels = input_ids if attention_mask is None else input_ids.masked_fill(attention_mask == 0, IGNORED)
        if decoder_input_ids is None:
            decoder_input_ids = labels.masked_fill(labels == IGNORED, self.config.pad_token_id)
        seen_BD = latents_BD
        if self.training and config.latent_dropout > 0:
            draws_B1 = torch.rand(len(latents_BD), 1, device=latents_BD.device, generator=generator)
            hidden_B1 = draws_B1 < config.latent_dropout
            seen_BD = latents_BD.masked_fill(hidden_B1, 0)
        total, reconstruction_B = self.decoder.nats(decoder_input_ids, seen_BD, labels)
        kl_BD = posterior.kl()
        loss = negative_elbo(total / len(labels), kl_BD, beta=beta, floor=free_bits)
        if mmd > 0 and len(labels) > 1:
            prior_BD = torch.empty_like(latents_BD).normal_(generator=generator)
            loss = loss + mmd * squared_mmd(latents_BD, prior_BD)
        if bow > 0:
            if not config.bag_of_words:
                raise ValueError("bow needs a model whose config says bag_of_words=True")
            logits_BV = self.words(latents_BD) @ self._output_weight().t()
            loss = loss + bow * bag_of_words_nats(logits_BV, labels).mean()
        if contrastive > 0:
            if partner_ids is None:
                raise ValueError("contrastive needs another view of each text: give partner_ids")
            others_BD = self.encode(partner_ids, partner_mask).mean
            loss = loss + contrastive * contrastive_nats(posterior.mean, others_BD, groups)
        return TextVAEOutput(loss=loss, reconstruction=reconstruction_B, kl=kl_BD.sum(-1), posterior=posterior)

    @torch.no_grad()
    def generate(self, latents: Tensor, **generation: Any) -> Tensor:
        """Write a text from each latent, through transformers' `generate`.

        Args:
            latents: Latents, shape (B, D).
            **generation: What `GenerationMixin.generate` takes: do_sample, temperature, top_k, top_p, num_beams,
                num_return_sequences, max_length, use_cache...

        Returns:
            Token ids BOS ... EOS, shape (B * num_return_sequences, U), padded on the right.
        """
        latents = latents.to(self.device, self.dtype)
        start = torch.full((len(latents), 1), self.config.bos_token_id, device=self.device)
        generation.setdefault("max_length", self.config.max_length)
        decoder: Any = self.decoder
        return decoder.generate(start, latents=latents, **generation)

    def write(
        self,
        latents: Tensor,
        *,
        max_length: int | None = None,
        temperature: float = 0,
        top_k: int = 0,
        top_p: float = 1,
        guidance: float = 1,
        prefixes: Tensor | None = None,
    ) -> Tensor:
        """Write a text from each latent: what `generate` writes greedily or samples, sooner.

        Args:
            latents: Latents, shape (B, D).
            max_length: Longest text in tokens; by default the model's.
            temperature: 0 takes the likeliest token each time.
            top_k: Sample among this many likeliest tokens; 0 for all.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            guidance: Weight of the latent: 1 is p(x|z), less mixes in the language model that the decoder is without
                z, more goes beyond. Other than 1 needs a model trained with latent dropout.
            prefixes: Token ids that the texts begin with, BOS first, shape (B, P), padded on the right.

        Returns:
            Token ids BOS ... EOS, shape (B, U), padded on the right.
        """
        config: Any = self.config
        if guidance != 1 and config.latent_dropout == 0:
            raise ValueError(f"guidance must be 1 for a model trained without latent dropout, got {guidance}")
        return write(
            self.decoder,
            latents.to(self.device, self.dtype),
            config,
            max_length=max_length or config.max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            guidance=guidance,
            prefixes_BP=None if prefixes is None else prefixes.to(self.device),
        )

    def reset_decoder(self, generator_seed: int) -> None:
        """Draw the decoder's weights anew (Li et al. 2019, sec. 3: the second phase starts from a fresh decoder)."""
        config: Any = self.config
        with torch.random.fork_rng():
            torch.manual_seed(generator_seed)
            fresh = build_decoder(config)
        self.decoder.load_state_dict(fresh.state_dict())
        if config.bag_of_words:
            with torch.random.fork_rng():
                torch.manual_seed(generator_seed)
                self._init_weights(self.words)


AutoModel.register(TextVAEConfig, TextVAEModel, exist_ok=True)
__all__ = ["GRUDecoder", "TextVAEModel", "TextVAEOutput"]
