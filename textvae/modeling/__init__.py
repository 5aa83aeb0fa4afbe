"""The network: encoders, decoders and the model that joins them."""

from .decoder import CausalLMDecoder, GRUDecoder, LatentDecoder
from .encoder import LatentEncoder
from .text_vae_model import TextVAEModel, TextVAEOutput

__all__ = ["CausalLMDecoder", "GRUDecoder", "LatentDecoder", "LatentEncoder", "TextVAEModel", "TextVAEOutput"]
