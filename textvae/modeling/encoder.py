"""The encoder: any transformers AutoModel, masked pooling, and two heads for the mean and log std of the posterior."""

# B sentences, T tokens, H hidden, Q pooling queries, W pooling width, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel

from .config import StaticEncoderConfig, TextVAEConfig
from .gaussian import DiagonalGaussian, bounded_log_std
from .slots import SlotEncoder
from .static_encoder import StaticEncoder


class Posterior(NamedTuple):
    """q(z|x) of a batch.

    Attributes:
        meaning: Posterior of m (all of z in a model without slots): mean and log_std of shape (B, D).
        slots: Posterior of the wording slots, shape (B, S, W); None in a model without slots.
        states: State of each slot, GIVEN or ABSENT, shape (B, S); None in a model without slots.
    """

    meaning: DiagonalGaussian
    slots: DiagonalGaussian | None = None
    states: Tensor | None = None


class LatentEncoder(nn.Module):
    """Map token ids to the posterior q(z|x) = N(mu, diag sigma^2)."""

    def __init__(self, config: TextVAEConfig, backbone: PreTrainedModel | None = None):
        super().__init__()
        self.backbone = backbone if backbone is not None else build_backbone(config)
        hidden = config.encoder.hidden_size
        self.kept, self.on_sphere = config.keep_encoder, config.unit_mean
        self.residual = config.residual
        static = isinstance(config.encoder, StaticEncoderConfig)  # it gives the meaning alone: slots stay open
        self.slots = SlotEncoder(config) if config.slot_dim and not static else None
        # last states encode the meaning; first states (embeddings) tell which words occur, and where
        learns = config.slot_dim > 0 and config.pooling == "attention" and not self.kept
        self.reads_first = self.residual > 0 or learns
        if config.pooling == "attention" or self.residual:
            read = 2 * hidden if self.reads_first else hidden
            self.pooling: nn.Module = AttentionPooling(read, config.pooling_queries, config.pooling_width)
            hidden = config.pooling_queries * config.pooling_width
        else:
            self.pooling = MeanPooling()
        self.norm = nn.LayerNorm(hidden)
        if not self.kept or self.residual:
            self.mean = nn.Linear(hidden, config.latent_dim)
        self.log_std = nn.Linear(hidden, config.latent_dim)
        self.gamma = config.batch_norm_gamma
        if self.gamma is not None:
            self.batch_norm = nn.BatchNorm1d(config.latent_dim, affine=False)

    def train(self, mode: bool = True) -> LatentEncoder:
        """Set training mode; a kept encoder stays in eval mode, without dropout."""
        super().train(mode)
        if self.kept:
            self.backbone.eval()
        return self

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> DiagonalGaussian:
        """Return the posterior of the meaning of each row: mean and log_std of shape (B, D), float32.

        No mask means no padding.
        """
        return self.read(input_ids, attention_mask, slots=False).meaning

    def read(self, input_ids: Tensor, attention_mask: Tensor | None = None, slots: bool = True) -> Posterior:
        """Return the whole posterior of each row, float32, with the slots if `slots` is true."""
        with_slots = slots and self.slots is not None
        output = self.backbone(
            input_ids=input_ids,
            attention_mask=_backbone_mask(self.backbone, attention_mask),
            output_hidden_states=self.reads_first or with_slots,
        )
        states_BTH = read_BTH = output.last_hidden_state
        if self.reads_first:
            read_BTH = torch.cat([output.hidden_states[0], states_BTH], -1)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        pooled_BP = self.pooling(read_BTH, attention_mask)
        with torch.autocast(pooled_BP.device.type, enabled=False):  # bf16 is too coarse for the posterior
            pooled_BP = self.norm(pooled_BP.to(self.norm.weight.dtype))
            mean_BD = self._kept_mean(states_BTH, attention_mask, pooled_BP) if self.kept else self.mean(pooled_BP)
            mean_BD = mean_BD.float()
            if self.on_sphere:
                mean_BD = mean_BD.shape[-1] ** 0.5 * F.normalize(mean_BD, dim=-1)
            if self.gamma is not None:
                mean_BD = self.gamma * self._normalized(mean_BD)  # Zhu et al. 2020, eq. 6
            meaning = DiagonalGaussian(mean_BD, bounded_log_std(self.log_std(pooled_BP).float()))
        if not with_slots:
            return Posterior(meaning)
        assert self.slots is not None
        return Posterior(meaning, *self.slots(output.hidden_states[0], states_BTH, attention_mask))

    def _normalized(self, mean_BD: Tensor) -> Tensor:
        """Normalise over the batch; in inference and for a batch of one row, with the running statistics."""
        if self.training and len(mean_BD) > 1:
            return self.batch_norm(mean_BD)
        norm = self.batch_norm
        return F.batch_norm(mean_BD, norm.running_mean, norm.running_var, eps=norm.eps)

    def bag(self, rows: Sequence[Sequence[int]]) -> Tensor | None:
        """Return the means (N, D) of rows of token ids without padding them; None if the encoder is not static."""
        if not isinstance(self.backbone, StaticEncoder):
            return None
        mean_ND = F.normalize(self.backbone.mean(rows), dim=-1)
        return mean_ND.shape[-1] ** 0.5 * mean_ND

    def _kept_mean(self, states_BTH: Tensor, attention_mask: Tensor, pooled_BP: Tensor) -> Tensor:
        """Return sqrt(D) * (normalised embedding + residual), shape (B, D)."""
        embedding_BD = F.normalize(MeanPooling()(states_BTH.float(), attention_mask), dim=-1)
        if self.residual:
            added_BD = self.mean(pooled_BP).float()
            embedding_BD = (
                embedding_BD + self.residual * added_BD / (1 + added_BD.square().sum(-1, keepdim=True)).sqrt()
            )
        return embedding_BD.shape[-1] ** 0.5 * embedding_BD


def _backbone_mask(backbone: PreTrainedModel, attention_mask: Tensor | None) -> Tensor | None:
    """Return a mask whose values the backbone need not inspect, since that would synchronise with the GPU."""
    config: Any = backbone.config
    if attention_mask is None or config.model_type != "bert" or config._attn_implementation != "sdpa":
        return attention_mask
    return attention_mask[:, None, None, :].bool()


class MeanPooling(nn.Module):
    """Average states over the tokens that are not padding."""

    def forward(self, states_BTH: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean state of each row, shape (B, H)."""
        mask_BT1 = attention_mask.unsqueeze(-1).to(states_BTH.dtype)
        return (states_BTH * mask_BT1).sum(1) / mask_BT1.sum(1)


class AttentionPooling(nn.Module):
    """Attend to the states with learnt queries and concatenate the outputs (Lin et al. 2017, sec. 2.1)."""

    def __init__(self, hidden: int, queries: int, width: int):
        super().__init__()
        self.queries = queries
        self.score = nn.Linear(hidden, queries)
        self.value = nn.Linear(hidden, queries * width)

    def forward(self, states_BTH: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the concatenated outputs of each row, shape (B, Q * W)."""
        scores_BTQ = self.score(states_BTH).float()
        scores_BTQ = scores_BTQ.masked_fill(~attention_mask.bool().unsqueeze(-1), float("-inf"))
        weights_BTQ = scores_BTQ.softmax(1).to(states_BTH.dtype)
        values_BTQW = self.value(states_BTH).unflatten(-1, (self.queries, -1))
        return torch.einsum("btq,btqw->bqw", weights_BTQ, values_BTQW.to(weights_BTQ.dtype)).flatten(1)


def build_backbone(config: TextVAEConfig) -> PreTrainedModel:
    """Return an untrained encoder from its config, without the pooler of BERT-like models."""
    if config.encoder.model_type == "bert":
        return AutoModel.from_config(config.encoder, trust_remote_code=False, add_pooling_layer=False)
    return AutoModel.from_config(config.encoder, trust_remote_code=False)
