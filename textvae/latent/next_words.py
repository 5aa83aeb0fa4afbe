"""The words that a decoder would write next."""

# N texts, V tokens of the vocabulary, P tokens of a prefix
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..modeling.precision import autocast
from ..text.tokenizers import pad, to_texts
from .decoding import rows_at_once
from .embeddings import batches
from .geometry import Array

SPARE = 2  # tokens looked at for each word, since not every token begins a word
CONTRAST = 1.0  # weight of the log-odds between the latents and those they are compared with


class Writer(Protocol):
    """What is needed of a model."""

    model: Any
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        """Where the network is."""

    def decoder_rows(self, texts: Sequence[str], /) -> list[list[int]]:
        """Return the decoder's token ids of each text, BOS ... EOS."""

    def on_sphere(self, latents: Array, /) -> Array:
        """Return latents as the decoder takes them."""


@torch.inference_mode()
def next_words(
    vae: Writer, latents: Array, prefixes: Sequence[str], count: int, against: Array | None = None
) -> list[list[str]]:
    """Return the likeliest words after each prefix, at most `count` of them, each of one token.

    Args:
        vae: The model.
        latents: Shape (N, D), or packed with wording slots.
        prefixes: The beginning of each of N texts.
        count: Words of each.
        against: Other latents of that shape: words that are likelier given `latents` than given these come first.

    Returns:
        N lists. A token that goes on with the last word of the prefix, or ends the text, is left out.
    """
    rows = [row[:-1] for row in vae.decoder_rows(prefixes)]
    points = [vae.on_sphere(latents)] + ([] if against is None else [vae.on_sphere(against)])
    found: list[list[int]] = []
    size = rows_at_once(256, 2, vae.model.config.decoder.vocab_size)
    for chosen in batches(len(rows), size):
        ids_BP, mask_BP = pad(rows[chosen], vae.model.config.pad_token_id)
        last_B = mask_BP.sum(1) - 1
        log_BV, *others = (_logs(vae, torch.tensor(point[chosen]), ids_BP, last_B) for point in points)
        score_BV = sum((CONTRAST * (log_BV - other_BV) for other_BV in others), log_BV)
        found += score_BV.topk(SPARE * count).indices.tolist()
    longer = [[*row, token] for row, tokens in zip(rows, found, strict=True) for token in tokens]
    texts = iter(to_texts(vae.tokenizer, longer))
    known = [text.split() for text in to_texts(vae.tokenizer, rows)]
    words = []
    for before, tokens in zip(known, found, strict=True):
        after = [next(texts).split() for _ in tokens]
        new = [each[-1] for each in after if len(each) == len(before) + 1 and each[:-1] == before]
        words.append(new[:count])
    return words


def _logs(vae: Writer, points: Tensor, ids_BP: Tensor, last_B: Tensor) -> Tensor:
    """Return log p of each token (B, V) after the last one of each prefix."""
    decoder, device = vae.model.decoder, vae.device
    ids_BP, points, last_B = ids_BP.to(device), points.to(device), last_B.to(device)
    every = torch.arange(len(ids_BP), device=device)
    with autocast(device):
        head = decoder.head()
        if head is None:
            logits_BV = decoder(input_ids=ids_BP, latents=points).logits[every, last_B]
        else:
            logits_BV = decoder.states(ids_BP, points)[every, last_B] @ head.T
    return logits_BV.float().log_softmax(-1)
