"""A latent space of sentences: embed text, write text, and move text along attributes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attributes import Attribute
    from .configuration import TextVAEConfig
    from .evaluation import EvalReport, evaluate
    from .index import LatentIndex
    from .modeling import TextVAEModel
    from .text_vae import TextVAE
    from .train_config import TrainConfig
    from .training import train
    from .vectorizer import TextVAEVectorizer

__version__ = "0.1.0"
# Where each public name lives; it is imported at first use, because torch and transformers take seconds.
_HOME = {
    "Attribute": "attributes",
    "EvalReport": "evaluation",
    "LatentIndex": "index",
    "TextVAE": "text_vae",
    "TextVAEConfig": "configuration",
    "TextVAEModel": "modeling",
    "TextVAEVectorizer": "vectorizer",
    "TrainConfig": "train_config",
    "evaluate": "evaluation",
    "train": "training",
}
__all__ = [
    "Attribute",
    "EvalReport",
    "LatentIndex",
    "TextVAE",
    "TextVAEConfig",
    "TextVAEModel",
    "TextVAEVectorizer",
    "TrainConfig",
    "evaluate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'textvae' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
