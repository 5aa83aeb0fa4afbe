"""Text: corpora, cleaning, tokenizers, token caches and batching; no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .corpus import read_corpus, read_texts

__all__ = ["read_corpus", "read_texts"]
__getattr__ = lazy_names(__name__, {"read_corpus": "corpus", "read_texts": "corpus"})
