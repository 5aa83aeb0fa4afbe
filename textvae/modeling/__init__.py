"""The network: encoder, decoders, training objective, and the model that combines them."""

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
