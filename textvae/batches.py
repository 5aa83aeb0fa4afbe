"""Batches of about one number of tokens, of sentences of nearly one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Dataset, Sampler

from .text_vae import TextVAE


class SentencePairs(Dataset):
    """Token ids of each sentence for the encoder and for the decoder."""

    def __init__(self, vae: TextVAE, texts: Sequence[str]):
        self.decoder = vae.decoder_rows(texts)
        self.encoder = self.decoder if vae.encoder_tokenizer is vae.tokenizer else vae.encoder_rows(texts)
        self.lengths = [max(len(a), len(b)) for a, b in zip(self.encoder, self.decoder, strict=True)]

    def __len__(self) -> int:
        return len(self.decoder)

    def __getitem__(self, i: int) -> tuple[list[int], list[int]]:
        return self.encoder[i], self.decoder[i]


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches of about `budget` tokens, of sentences of nearly one length.

    Sentences are sorted by length, equal lengths in a random order of each epoch, and cut into batches; the batches
    come in random order. Their number is the same in every epoch, which an exact resume needs.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int):
        super().__init__()
        self.lengths, self.budget, self.seed, self.epoch = np.asarray(lengths, np.int64), budget, seed, 0
        self.cuts = self._cut(np.sort(self.lengths))

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffled = generator.permutation(len(self.lengths))
        order = shuffled[np.argsort(self.lengths[shuffled], kind="stable")]
        for i in generator.permutation(len(self)):
            yield order[self.cuts[i] : self.cuts[i + 1]].tolist()

    def _cut(self, ascending: np.ndarray) -> list[int]:
        cuts = [0]
        for i, length in enumerate(ascending):
            if i > cuts[-1] and (i - cuts[-1] + 1) * length > self.budget:
                cuts.append(i)
        return [*cuts, len(ascending)] if len(ascending) else cuts
