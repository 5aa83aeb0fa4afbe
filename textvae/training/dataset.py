"""Token ids of the training sentences, and the other views of each for the contrastive term."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from ..latent.vae import TextVAE
from ..text.token_cache import cached_token_rows


class Example(NamedTuple):
    """Token ids of a sentence.

    Attributes:
        encoder: For the encoder.
        decoder: For the decoder.
        partner: Encoder ids of another text of its group; None without a contrastive term.
        group: Number of its group.
        teacher: Embedding by the teacher, shape (D,); None without one.
    """

    encoder: list[int]
    decoder: list[int]
    partner: list[int] | None = None
    group: int = 0
    teacher: np.ndarray | None = None


class Sentences(Dataset):
    """Token ids of each sentence for the encoder and for the decoder, kept in files.

    Args:
        vae: Gives the tokenizers.
        texts: The sentences.
        files: Folder and prefix of the file names; existing files are reused.
        partners: The other view of each text.
        teacher: Embeddings of the texts by the teacher, shape (N, D).
    """

    def __init__(
        self,
        vae: TextVAE,
        texts: Sequence[str],
        files: Path,
        partners: Partners | None = None,
        teacher: np.ndarray | None = None,
    ):
        self.decoder = cached_token_rows(files.with_name(f"{files.name}-decoder"), texts, vae.decoder_rows)
        self.encoder = self.decoder
        if vae.encoder_tokenizer is not vae.tokenizer:
            self.encoder = cached_token_rows(files.with_name(f"{files.name}-encoder"), texts, vae.encoder_rows)
        self.lengths = np.maximum(self.encoder.lengths, self.decoder.lengths)
        self.partners, self.teacher = partners, teacher

    def close(self) -> None:
        """Close the files, so that they can be deleted on every system; no sentence can be read afterwards."""
        self.decoder.close()
        self.encoder.close()

    def __len__(self) -> int:
        return len(self.decoder)

    def __getitem__(self, i: int) -> Example:
        embedding = None if self.teacher is None else self.teacher[i]
        if self.partners is None:
            return Example(self.encoder[i], self.decoder[i], teacher=embedding)
        partner, group = self.partners[i]
        return Example(self.encoder[i], self.decoder[i], self.encoder[partner], group, embedding)


class Partners:
    """For each text another one of its group, redrawn in each epoch; the text itself if it is alone.

    Args:
        groups: Group of each text.
        seed: Seed of the draws, together with the epoch.
    """

    def __init__(self, groups: Sequence[Hashable], seed: int):
        numbers: dict[Hashable, int] = {}
        self.groups = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw the partners of an epoch: in each group, in a random order, the next one."""
        draws = np.random.default_rng([self.seed, epoch]).random(len(self.groups))
        order = np.lexsort((draws, self.groups))
        groups, places = self.groups[order], np.arange(len(order))
        first = np.append(True, groups[1:] != groups[:-1])
        following = np.append(order[1:], -1)
        starts = places[first]
        following[np.append(starts[1:] - 1, len(order) - 1)] = order[starts]  # the last of a group is before its first
        self.partners = np.empty_like(order)
        self.partners[order] = following

    def __getitem__(self, i: int) -> tuple[int, int]:
        """Return the partner of a text, and its group."""
        return int(self.partners[i]), int(self.groups[i])
