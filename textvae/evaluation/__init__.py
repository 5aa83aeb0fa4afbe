"""Evaluation: likelihood, reconstruction, sample quality and latent space of a model on held-out text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .fluency import word_perplexity
    from .report import EvalReport, evaluate, mutual_information

__all__ = ["EvalReport", "evaluate", "mutual_information", "word_perplexity"]
__getattr__ = lazy_names(
    __name__,
    {"EvalReport": "report", "evaluate": "report", "mutual_information": "report", "word_perplexity": "fluency"},
)
