"""The network: encoder, decoders, training objective, and the model that combines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .config import TextVAEConfig
    from .decoders import CausalLMDecoder, GRUDecoder, LatentDecoder, register_decoder
    from .encoder import LatentEncoder
    from .model import TextVAEModel, TextVAEOutput
    from .objectives import Step, register_term

__all__ = [
    "CausalLMDecoder",
    "GRUDecoder",
    "LatentDecoder",
    "LatentEncoder",
    "Step",
    "TextVAEConfig",
    "TextVAEModel",
    "TextVAEOutput",
    "register_decoder",
    "register_term",
]
__getattr__ = lazy_names(
    __name__,
    {
        "CausalLMDecoder": "decoders",
        "GRUDecoder": "decoders",
        "LatentDecoder": "decoders",
        "LatentEncoder": "encoder",
        "Step": "objectives",
        "TextVAEConfig": "config",
        "TextVAEModel": "model",
        "TextVAEOutput": "model",
        "register_decoder": "decoders",
        "register_term": "objectives",
    },
)
