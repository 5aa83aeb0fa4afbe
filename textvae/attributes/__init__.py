"""Attributes: directions of meaning learnt from examples, and texts moved along them."""

from .attribute import Attribute
from .dialing import Dialed, dial
from .rewriting import Rewritten, rewrite
from .shifting import shift
from .writable import with_writability, writability

__all__ = ["Attribute", "Dialed", "Rewritten", "dial", "rewrite", "shift", "with_writability", "writability"]
