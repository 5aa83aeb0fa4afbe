"""TextVAEVectorizer: texts to latents as a scikit-learn transformer."""

# N texts, D latent dimensions
from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts
from ..training.config import TrainConfig


class TextVAEVectorizer(TransformerMixin, BaseEstimator):
    """Turn texts into latents, and latents back into texts, inside a scikit-learn pipeline.

    A run folder is loaded anew by each fit, a TextVAE is copied by each clone. Without a model, each fit trains one;
    its progress goes to the log "textvae".

    Args:
        model: Run folder or TextVAE to use as it is, whatever `fit` is given; None trains on the texts of `fit`.
        size: Width and depth of a model that is trained: "tiny", "small" or "base".
        latent_dim: Latent dimensions of a model that is trained; by default the size's.
        epochs: Passes over the texts.
        seed: Seed of the training; the same texts then give the same model on a CPU.
        batch_size: Texts that the model takes at once.

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
            X: N texts; they are not read if there is a model.
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
        """Return the posterior mean of each text, shape (N, D), float32; no texts give (0, D)."""
        check_is_fitted(self)
        return self.vae_.encode(_texts(X), batch_size=self.batch_size)

    def inverse_transform(self, X: ArrayLike) -> list[str]:
        """Write the likeliest text of each latent; `X` has shape (N, D)."""
        check_is_fitted(self)
        return self.vae_.decode(X, batch_size=self.batch_size)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the D dimensions: latent0, latent1 and so on."""
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
        with tempfile.TemporaryDirectory(prefix="textvae-") as folder, _global_randomness_kept():
            vae = train(texts, Path(folder) / "run", config)
        vae.path = None
        return vae


def _texts(X: Sequence[str]) -> list[str]:
    """Return the texts of a list, an array or a column; a table, whose names would be read, is refused."""
    shape = getattr(X, "shape", (0,))
    if len(shape) != 1:
        raise ValueError(f"expected one column of texts, got shape {shape}: pass the column, such as df['text']")
    return gate_texts(X)


@contextmanager
def _global_randomness_kept() -> Iterator[None]:
    """Leave the global generators, which training seeds, as they were: the user's next draw may come from them."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - scikit-learn draws from it
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
