"""A static encoder: one vector for each token, whatever stands beside it; a text is the mean of its tokens' vectors."""

# B sentences, T tokens, V vocabulary, H hidden, N texts
from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .config import StaticEncoderConfig


class StaticEncoder(PreTrainedModel):
    """The table of vectors as the backbone of a `LatentEncoder`; weights by frequency are part of the vectors."""

    config_class = StaticEncoderConfig
    base_model_prefix = "static"
    main_input_name = "input_ids"

    def __init__(self, config: StaticEncoderConfig):
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the table."""
        return self.embeddings

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, output_hidden_states: bool = False
    ) -> BaseModelOutput:
        """Return the vectors of the tokens (B, T, H) as the states; a mask makes no difference."""
        states_BTH = self.embeddings(input_ids)
        return BaseModelOutput(
            last_hidden_state=states_BTH, hidden_states=(states_BTH, states_BTH) if output_hidden_states else None
        )

    def mean(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return the mean vector of each row of token ids, shape (N, H), without padding them; 0 for an empty row."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths
        device = self.embeddings.weight.device
        flat, offsets = torch.from_numpy(ids).to(device), torch.from_numpy(starts).to(device)
        return F.embedding_bag(flat, self.embeddings.weight, offsets, mode="mean")


AutoModel.register(StaticEncoderConfig, StaticEncoder, exist_ok=True)
