"""Attributes: directions of meaning learnt from examples, and texts moved along them."""

from .attribute import Attribute
from .shifting import shift

__all__ = ["Attribute", "shift"]
