"""The network as a transformers model: encode, decode, the training loss, and generate."""

# B sentences, T tokens, V vocabulary, D latent dimensions
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, GenerationConfig, PreTrainedModel
from transformers.utils import ModelOutput

from .config import TextVAEConfig
from .decoders import build_decoder
from .encoder import LatentEncoder, Posterior
from .gaussian import DiagonalGaussian
from .likelihood import IGNORED
from .objectives import Step
from .objectives.elbo import negative_elbo
from .objectives.terms import weighted_terms
from .randomness import seeded
from .sampling import Decoding, write
from .slots import GIVEN, SplitLatents, open_at_random


@dataclass
class TextVAEOutput(ModelOutput):
    """Output of a forward pass.

    Attributes:
        loss: reconstruction + beta * KL + the weighted terms, nats per sentence; a scalar.
        reconstruction: -log p(x|z) in nats, shape (B,), detached.
        kl: KL(q(z|x) || N(0, I)) in nats, shape (B,), wording slots included.
        posterior: q(m|x), which is q(z|x) in a model without wording slots.
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    kl: Tensor | None = None
    posterior: DiagonalGaussian | None = None


class TextVAEModel(PreTrainedModel):
    """A variational autoencoder over token ids.

    Examples:
        >>> model = TextVAEModel(TextVAEConfig.preset("tiny", vocab_size=300))
        >>> model.encode(torch.tensor([[0, 5, 1]])).mean.shape
        torch.Size([1, 32])
    """

    config_class = TextVAEConfig
    base_model_prefix = "textvae"
    main_input_name = "input_ids"
    _supports_sdpa = True
    supports_gradient_checkpointing = False
    _keys_to_ignore_on_load_unexpected = [r"^words\."]  # weights of the retired bag-of-words loss

    def __init__(
        self, config: TextVAEConfig, backbone: PreTrainedModel | None = None, lm: PreTrainedModel | None = None
    ):
        super().__init__(config)
        self.encoder = LatentEncoder(config, backbone)
        self.decoder = build_decoder(config, lm)
        if config.tie_word_embeddings:
            names = {id(module): name for name, module in self.named_modules()}
            reads, writes = (
                f"{names[id(half.get_input_embeddings())]}.weight" for half in (self.encoder.backbone, self.decoder)
            )
            self._tied_weights_keys = {reads: writes}
        self.post_init()
        self.freeze()
        self.generation_config = self.decoder.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
        )

    def freeze(self) -> None:
        """Set requires_grad to False for weights that the config freezes; call it again after loading."""
        config: Any = self.config
        if config.keep_encoder:
            self.encoder.backbone.requires_grad_(False)
        if config.lora_rank:
            for name, parameter in self.decoder.lm.named_parameters():  # type: ignore[union-attr, operator]
                parameter.requires_grad_("lora_" in name)

    def _init_weights(self, module: nn.Module) -> None:
        # Only the layers of this class: encoder and decoder initialise themselves.
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> DiagonalGaussian:
        """Return the posterior of the meaning of each row, which is all of z in a model without wording slots.

        Args:
            input_ids: The encoder's token ids, shape (B, T).
            attention_mask: 1 for tokens, 0 for padding, shape (B, T); None for no padding.

        Returns:
            A Gaussian whose mean and log_std have shape (B, D).
        """
        return self.encoder(input_ids, attention_mask)

    def read(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Posterior:
        """Return the posterior of all of z, wording slots included; the arguments are those of `encode`."""
        return self.encoder.read(input_ids, attention_mask)

    def decode(self, latents: Tensor, input_ids: Tensor) -> Tensor:
        """Return logits (B, T, V) for the decoder's token ids (B, T) given latents (B, D), or packed with slots.

        A row of ids is BOS ... EOS, and position t predicts token t + 1.
        """
        return self.decoder(input_ids=input_ids, latents=latents).logits

    def nats(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return -log p(x|z) of each row, shape (B,), for labels (B, U), -100 where padded.

        Latents are (B, D), or packed with wording slots as `SplitLatents.pack` does.
        """
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
        teacher: Tensor | None = None,
        *,
        beta: float = 1.0,
        free_bits: float = 0.0,
        terms: Mapping[str, float] | None = None,
        from_teacher: float = 0.0,
        open_all: float = 0.0,
        open_some: float = 0.0,
        sampled_words: int = 0,
        generator: torch.Generator | None = None,
    ) -> TextVAEOutput:
        """Return the loss of a batch in nats per sentence, with its parts.

        Args:
            input_ids: The encoder's ids, shape (B, T), possibly corrupted by noise.
            attention_mask: 1 for tokens, 0 for padding, shape (B, T).
            labels: The decoder's targets BOS ... EOS, shape (B, U), -100 where padded; default: `input_ids` (both
                halves then share a tokenizer).
            decoder_input_ids: The decoder's inputs, shape (B, U), possibly with word dropout; default: the labels.
            partner_ids: The encoder's ids of another view of each text, shape (B, S).
            partner_mask: 1 for their tokens, 0 for padding, shape (B, S).
            groups: Group of each text, shape (B,); members of a group are not used as negatives.
            teacher: Embeddings of the texts by a teacher encoder, shape (B, D); NaN in unknown rows.
            beta: Weight of the KL.
            free_bits: Floor in nats of the KL of each dimension, averaged over the texts (m) or over the slots (w).
            terms: Weights of further loss terms by their registered names, such as {"mmd": 10.0}; they are evaluated
                (and draw random numbers) in this order. See `textvae.modeling.objectives`.
            from_teacher: In training, probability that the decoder gets the teacher's embedding, scaled to sqrt(D),
                instead of a sample of m, so that it can also decode embeddings of the teacher.
            open_all: In training, probability that all wording slots of a text are removed, so that the decoder
                learns to write from the meaning alone.
            open_some: In the other texts, each slot is opened with a probability drawn per text from [0, open_some].
            sampled_words: In training, number of vocabulary entries sampled to estimate the softmax, besides the
                targets of the batch; 0 for the whole vocabulary.
            generator: Random generator for sampling z and opening slots; default: torch's global one.
        """
        config: Any = self.config
        posterior, slots, states_BS = self.read(input_ids, attention_mask)
        latents_BD = seen = posterior.sample(generator=generator)
        if labels is None:
            labels = input_ids if attention_mask is None else input_ids.masked_fill(attention_mask == 0, IGNORED)
        if decoder_input_ids is None:
            decoder_input_ids = labels.masked_fill(labels == IGNORED, self.config.pad_token_id)
        if self.training and from_teacher > 0 and teacher is not None:
            taken_B1 = torch.rand(len(labels), 1, device=labels.device, generator=generator) < from_teacher
            taken_B1 &= teacher.isfinite().all(-1, keepdim=True)
            seen = torch.where(taken_B1, config.latent_dim**0.5 * F.normalize(teacher, dim=-1), seen)
        if slots is not None and states_BS is not None:
            shown_BS = open_at_random(states_BS, open_all, open_some, generator) if self.training else states_BS
            seen = SplitLatents(seen, slots.sample(generator=generator), shown_BS).pack()
        if self.training and config.latent_dropout > 0:
            draws_B1 = torch.rand(len(latents_BD), 1, device=latents_BD.device, generator=generator)
            seen = torch.where(draws_B1 < config.latent_dropout, self.decoder.blank(seen), seen)
        total, reconstruction_B = self.decoder.nats(
            decoder_input_ids, seen, labels, sampled_words=sampled_words if self.training else 0, generator=generator
        )
        kl_BD = posterior.kl()
        kl_B = kl_BD.sum(-1)
        loss = negative_elbo(total / len(labels), kl_BD, beta=beta, floor=free_bits)
        if slots is not None and states_BS is not None:
            there_BS1 = (states_BS == GIVEN).unsqueeze(-1)  # absent slots have zero KL and are left out of the mean
            kl_BSW = slots.kl()
            kl_B = kl_B + kl_BSW.sum((1, 2))
            mean_W = kl_BSW.sum((0, 1)) / there_BS1.sum().clamp(min=1)
            loss = loss + beta * mean_W.clamp(min=free_bits).sum() * there_BS1.sum() / len(labels)
        if terms:
            step = Step(
                model=self,
                posterior=posterior,
                latents=latents_BD,
                labels=labels,
                slots=slots,
                states=states_BS,
                partner_ids=partner_ids,
                partner_mask=partner_mask,
                groups=groups,
                teacher=teacher,
                generator=generator,
            )
            loss = sum(weighted_terms(step, terms), loss)
        return TextVAEOutput(loss=loss, reconstruction=reconstruction_B, kl=kl_B, posterior=posterior)

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
        options: Decoding | None = None,
        *,
        prefixes: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Write a text from each latent: what `generate` writes greedily or samples, sooner.

        Args:
            latents: Latents, shape (B, D), or packed with wording slots.
            options: How to decode; by default greedily.
            prefixes: Token ids that the texts begin with, BOS first, shape (B, P), padded on the right.
            generator: Source of the samples, on the model's device; default: torch's global one.

        Returns:
            Token ids BOS ... EOS, shape (B, U), padded on the right.

        Raises:
            ValueError: Guidance is not 1 and the model was trained without latent dropout.
        """
        config: Any = self.config
        options = options or Decoding()
        if options.guidance != 1 and config.latent_dropout == 0:
            raise ValueError(f"guidance must be 1 for a model trained without latent dropout, got {options.guidance}")
        latents = latents.to(self.device, self.dtype)
        begun = None if prefixes is None else prefixes.to(self.device)
        return write(self.decoder, latents, config, options, begun, generator)

    def reset_decoder(self, generator_seed: int) -> None:
        """Reinitialise the decoder's weights (Li et al. 2019, sec. 3: the second phase starts from a new decoder)."""
        config: Any = self.config
        with seeded(generator_seed):
            fresh = build_decoder(config)
        self.decoder.load_state_dict(fresh.state_dict())


AutoModel.register(TextVAEConfig, TextVAEModel, exist_ok=True)
