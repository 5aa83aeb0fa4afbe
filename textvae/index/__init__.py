"""Vector search: an index of the latents of a corpus, with its texts and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .latent_index import LatentIndex
    from .searching import Hit

__all__ = ["Hit", "LatentIndex"]
__getattr__ = lazy_names(__name__, {"Hit": "searching", "LatentIndex": "latent_index"})
