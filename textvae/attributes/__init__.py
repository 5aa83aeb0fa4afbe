"""Attributes: directions of meaning learnt from examples, and texts moved along them."""

from .attribute import Attribute
from .rewriting import Rewritten, rewrite
from .shifting import shift

__all__ = ["Attribute", "Rewritten", "rewrite", "shift"]
