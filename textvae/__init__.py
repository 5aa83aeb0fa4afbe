"""A latent space of sentences: embed text, write text, and move text along attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names

if TYPE_CHECKING:
    from .attributes import Attribute, shift
    from .evaluation import evaluate
    from .index import LatentIndex
    from .latent.decoding import Decoding
    from .latent.vae import TextVAE
    from .training.config import TrainConfig
    from .training.train import train

__version__ = "0.1.0"
__all__ = [
    "Attribute",
    "Decoding",
    "LatentIndex",
    "TextVAE",
    "TrainConfig",
    "evaluate",
    "shift",
    "train",
]
__getattr__ = lazy_names(
    __name__,
    {
        "Attribute": "attributes",
        "Decoding": "latent.decoding",
        "LatentIndex": "index",
        "TextVAE": "latent.vae",
        "TrainConfig": "training.config",
        "evaluate": "evaluation",
        "shift": "attributes",
        "train": "training.train",
    },
)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
