"""Decoders: autoregressive language models conditioned on a latent; one module each."""

from .base import LatentDecoder, build_decoder, register_decoder
from .causal_lm import CausalLMDecoder
from .gru import GRUDecoder

__all__ = ["CausalLMDecoder", "GRUDecoder", "LatentDecoder", "build_decoder", "register_decoder"]
