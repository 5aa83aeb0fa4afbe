"""Embeddings of a teacher, the sentence encoder whose similarities a model learns: computed once, kept on disk."""

# N texts, E dimensions of the teacher's embeddings
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..modeling.precision import autocast
from ..modeling.pretrained import load_sentence_encoder
from ..storage.atomic import atomic_path

BLOCK = 8192  # texts of one file; a crash loses at most one
DIGITS = 24  # of the SHA-256 in a file's name


class TeacherCache:
    """A folder of unit embeddings in 16 bits, one .npy file for each block of texts.

    A file's name is a hash of the teacher's weights and of the block's texts: another teacher or corpus does not use
    the file, a longer corpus with the same beginning does, and several processes may fill one folder.

    Args:
        folder: Where the files are.
        teacher: Folder or hub id of a sentence encoder that sentence-transformers loads.
        device: Where the teacher runs.
        batch_size: Texts embedded together.

    Examples:
        >>> cache = TeacherCache("runs/teacher", "sentence-transformers/all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> cache.embed(["a dog barks", "a cat purrs"]).shape  # doctest: +SKIP
        (2, 384)
    """

    def __init__(self, folder: str | Path, teacher: str, device: str = "cpu", batch_size: int = 64):
        self.folder, self.batch_size, self.device = Path(folder), batch_size, torch.device(device)
        self.encoder = load_sentence_encoder(teacher, device)
        digest = hashlib.sha256()
        for name, value in sorted(self.encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Return unit embeddings of the texts, shape (N, E), float16, from files where these exist."""
        blocks = list(self.blocks(texts))
        return np.concatenate(blocks) if blocks else np.empty((0, self.dim), np.float16)

    def blocks(self, texts: Sequence[str]) -> Iterator[NDArray[np.float16]]:
        """Yield the embeddings block by block, in order; blocks that are not in the folder are computed and saved."""
        for start in range(0, len(texts), BLOCK):
            block = list(texts[start : start + BLOCK])
            path = self._path(block)
            if not path.exists():
                self._write(path, self._compute(block))
            yield np.load(path, allow_pickle=False)

    def known(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Return the embeddings of the first texts, as far as they are in the folder: shape (n, E), n at most N."""
        found = []
        for start in range(0, len(texts), BLOCK):
            path = self._path(texts[start : start + BLOCK])
            if not path.exists():
                break
            found.append(np.load(path, allow_pickle=False))
        return np.concatenate(found) if found else np.empty((0, self.dim), np.float16)

    @property
    def dim(self) -> int:
        """E, the width of the teacher's embeddings."""
        return int(self.encoder.get_embedding_dimension())

    @staticmethod
    def _write(path: Path, embeddings: NDArray[np.float16]) -> None:
        try:
            with atomic_path(path) as staged, open(staged, "wb") as file:
                np.save(file, embeddings, allow_pickle=False)
        except FileNotFoundError:  # another process wrote the same block at the same time
            if not path.exists():
                raise

    def _compute(self, texts: list[str]) -> NDArray[np.float16]:
        with autocast(self.device):
            embeddings = self.encoder.encode(
                texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(embeddings, np.float16)

    def _path(self, block: Sequence[str]) -> Path:
        digest = hashlib.sha256(self.fingerprint.encode())
        for text in block:
            digest.update(text.encode() + b"\n")
        return self.folder / f"{digest.hexdigest()[:DIGITS]}.npy"


def leading_directions(embeddings_NE: NDArray, dim: int) -> NDArray[np.float32]:
    """Return the orthonormal directions (E, dim) in which the embeddings (N, E) are largest on average.

    Projected on them, embeddings keep the most of their inner products that `dim` numbers can keep.
    """
    sample = embeddings_NE[:: max(1, len(embeddings_NE) // 50_000)].astype(np.float64)
    _, vectors = np.linalg.eigh(sample.T @ sample)
    return np.ascontiguousarray(vectors[:, ::-1][:, :dim], np.float32)
