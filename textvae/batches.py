"""Batches of about one number of tokens, of sentences of nearly one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Dataset, Sampler

from .text_vae import TextVAE
from .token_rows import cached_token_rows


class SentencePairs(Dataset):
    """Token ids of each sentence for the encoder and for the decoder, kept in files.

    Args:
        vae: Gives the tokenizers.
        texts: The sentences.
        files: Folder and beginning of the names of the files; those that are there are taken as they are.
    """

    def __init__(self, vae: TextVAE, texts: Sequence[str], files: Path):
        self.decoder = cached_token_rows(files.with_name(f"{files.name}-decoder"), texts, vae.decoder_rows)
        self.encoder = self.decoder
        if vae.encoder_tokenizer is not vae.tokenizer:
            self.encoder = cached_token_rows(files.with_name(f"{files.name}-encoder"), texts, vae.encoder_rows)
        self.lengths = np.maximum(self.encoder.lengths, self.decoder.lengths)

    def __len__(self) -> int:
        return len(self.decoder)

    def __getitem__(self, i: int) -> tuple[list[int], list[int]]:
        return self.encoder[i], self.decoder[i]


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches of about `budget` tokens, of sentences of nearly one length.

    Sentences are sorted by length, equal lengths in a random order of each epoch, and cut into batches; the batches
    come in random order. Their number is the same in every epoch, which an exact resume needs.
    """

    def __init__(self, lengths: ArrayLike, budget: int, seed: int):
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
