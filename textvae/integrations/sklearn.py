"""TextVAEVectorizer: a scikit-learn transformer from texts to latents."""

# N texts, D latent dimensions
from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts
from ..training.config import TrainConfig


class TextVAEVectorizer(TransformerMixin, BaseEstimator):
    """Transform texts to latents, and latents back to texts, in a scikit-learn pipeline.

    Each `fit` loads a run folder again, and each `clone` copies a TextVAE. Without a model, each `fit` trains one and
    logs its progress to the logger "textvae".

    Args:
        model: Run folder or TextVAE, which `fit` does not train further; None trains a model on the texts of `fit`.
        size: Size of a model to train: "tiny", "small" or "base".
        latent_dim: Latent dimensions of a model to train; by default those of the size.
        epochs: Training epochs.
        seed: Seed of the training, which is deterministic on a CPU.
        batch_size: Texts encoded or decoded at once.

    Attributes:
        vae_: The TextVAE, after `fit`.

    Examples:
        >>> vectorizer = TextVAEVectorizer("runs/hotels").fit(texts)  # doctest: +SKIP
        >>> vectorizer.transform(texts).shape  # doctest: +SKIP
        (8, 32)
    """

    def __init__(
        self,
        model: str | Path | TextVAE | None = None,
        *,
        size: Literal["tiny", "small", "base"] = "tiny",
        latent_dim: int | None = None,
        epochs: float = 3.0,
        seed: int = 0,
        batch_size: int = 64,
    ):
        self.model = model
        self.size = size
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.seed = seed
        self.batch_size = batch_size

    def fit(self, X: Sequence[str], y: object = None) -> TextVAEVectorizer:
        """Load the model, or train one on the texts.

        Args:
            X: N texts; ignored if `model` is given.
            y: Ignored.

        Raises:
            TypeError: `model` is neither a folder nor a TextVAE, or `X` is not a list of strings.
            ValueError: There are not enough texts to train on, or an option is out of range.
        """
        if self.model is None:
            self.vae_ = self._train(_texts(X))
        elif isinstance(self.model, TextVAE):
            self.vae_ = self.model
        elif isinstance(self.model, str | Path):
            self.vae_ = TextVAE.from_pretrained(self.model)
        else:
            raise TypeError(f"model must be a run folder or a TextVAE, got {self.model!r}")
        return self

    def transform(self, X: Sequence[str]) -> Array:
        """Return the posterior mean of each text, shape (N, D), float32; [] gives shape (0, D)."""
        check_is_fitted(self)
        return self.vae_.encode(_texts(X), batch_size=self.batch_size)

    def inverse_transform(self, X: ArrayLike) -> list[str]:
        """Decode each latent greedily; `X` has shape (N, D)."""
        check_is_fitted(self)
        return self.vae_.decode(X, batch_size=self.batch_size)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the D dimensions: latent0, latent1, ..."""
        check_is_fitted(self)
        return np.array([f"latent{dim}" for dim in range(self.vae_.dim)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _train(self, texts: list[str]) -> TextVAE:
        from ..training.train import train

        config = TrainConfig(size=self.size, latent_dim=self.latent_dim, epochs=self.epochs, seed=self.seed)
        with tempfile.TemporaryDirectory(prefix="textvae-") as folder:
            vae = train(texts, Path(folder) / "run", config)
        vae.path = None
        return vae


def _texts(X: Sequence[str]) -> list[str]:
    """Return the texts of a list, array or column; refuse a table, whose iteration would yield its column names."""
    shape = getattr(X, "shape", (0,))
    if len(shape) != 1:
        raise ValueError(f"expected one column of texts, got shape {shape}: pass the column, such as df['text']")
    return gate_texts(X)
