"""How natural a text is to a model's own decoder: its likelihood without a latent, less that of its words alone."""

# N texts, B texts of a batch, T tokens, V vocabulary, D latent dimensions
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from ..modeling.likelihood import IGNORED
from ..modeling.model import TextVAEModel
from ..modeling.precision import autocast
from ..text.cleaning import gate_texts
from ..text.tokenizers import pad
from .geometry import Array

CONTEXTS = 256  # texts drawn from the prior, over whose positions predictions are averaged
AT_ONCE = 8  # texts whose logits are in memory together
SMALLEST = 1e-12  # probability of a token
T = TypeVar("T")


class Writer(Protocol):
    """What is needed of a model: a `TextVAE` is one."""

    model: TextVAEModel

    @property
    def dim(self) -> int:
        """D."""

    def encode(self, texts: Any, /) -> Any:
        """Return the meanings of texts."""

    def decoder_rows(self, texts: Sequence[str], /) -> list[list[int]]:
        """Return the decoder's token ids of texts."""

    def nats(self, texts: Any, latents: Any, /) -> Array:
        """Return -log p(x|z) of each text."""

    def alone(self, function: Callable[[], T], /) -> T:
        """Run a function that uses the network."""

    def sample(self, n: int, /, *, drafts: int | None, seed: int | None) -> list[str]:
        """Write texts from the prior."""


class Naturalness:
    """Score texts by SLOR, the syntactic log-odds ratio (Kann et al. 2018): nats per token, more is more natural.

    SLOR(x) = (log p(x) - log p_u(x)) / |x|, where p is the decoder without a latent and p_u the product of the
    probabilities of the tokens alone, the end of the text counted as a token. Rare words and length cost nothing then,
    odd word order and odd neighbours do. p_u is what the decoder predicts without a latent, averaged over the positions
    of 256 texts, by default drawn from the prior, so that no corpus is needed. In a model trained without latent
    dropout, whose decoder has not learnt to do without, p is given the text's own latent.

    Args:
        vae: The model.
        seed: Seed of the draw.
        contexts: Texts to take instead of drawn ones.
    """

    def __init__(self, vae: Writer, seed: int = 0, contexts: Sequence[str] | None = None):
        self.vae = vae
        texts = contexts or vae.sample(CONTEXTS, drafts=1, seed=seed)
        self.unigrams = vae.alone(lambda: _unigrams(vae, texts))

    def __call__(self, texts: Sequence[str]) -> Array:
        """Return the score of each of N texts, shape (N,), float32."""
        texts = gate_texts(texts)
        if not texts:
            return np.empty(0, np.float32)
        rows = [row[1:] for row in self.vae.decoder_rows(texts)]
        nats = self.vae.nats(texts, _latents(self.vae, texts))
        alone = np.array([self.unigrams[row].sum() for row in rows])
        return ((-nats - alone) / [len(row) for row in rows]).astype(np.float32)


def _latents(vae: Writer, texts: Sequence[str]) -> Array:
    """Return the latents of no text, or of the texts for a decoder that needs one, shape (N, D)."""
    return np.zeros((len(texts), vae.dim), np.float32) if vae.model.config.latent_dropout else vae.encode(texts)


@torch.inference_mode()
def _unigrams(vae: Writer, texts: Sequence[str]) -> np.ndarray:
    """Return the log-probability of each token, averaged over the positions of texts, shape (V,), float64."""
    rows, model = vae.decoder_rows(texts), vae.model
    total_V, count = torch.zeros(1, dtype=torch.float64), 0
    with autocast(model.device):
        for start in range(0, len(rows), AT_ONCE):
            ids_BT, mask_BT = pad(rows[start : start + AT_ONCE], model.config.pad_token_id)
            latents_BD = torch.from_numpy(_latents(vae, texts[start : start + AT_ONCE])).to(model.device)
            labels_BT = ids_BT.masked_fill(mask_BT == 0, IGNORED)[:, 1:]
            logits_BTV = model.decode(latents_BD, ids_BT.to(model.device))[:, :-1]
            total_V = total_V + logits_BTV[labels_BT != IGNORED].float().softmax(-1).sum(0).double().cpu()
            count += int((labels_BT != IGNORED).sum())
    return (total_V / count).clamp(min=SMALLEST).log().numpy()
