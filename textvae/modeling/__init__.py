"""The network: encoder, decoders, objective, and the model that joins them."""

from .config import TextVAEConfig
from .decoders import CausalLMDecoder, GRUDecoder, LatentDecoder, register_decoder
from .encoder import LatentEncoder
from .model import TextVAEModel, TextVAEOutput

__all__ = [
    "CausalLMDecoder",
    "GRUDecoder",
    "LatentDecoder",
    "LatentEncoder",
    "TextVAEConfig",
    "TextVAEModel",
    "TextVAEOutput",
    "register_decoder",
]
