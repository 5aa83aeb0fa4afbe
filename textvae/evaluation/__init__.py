"""Evaluation: what a model and its latent space are worth on held-out text, in units that compare."""

from .report import EvalReport, evaluate, mutual_information

__all__ = ["EvalReport", "evaluate", "mutual_information"]
