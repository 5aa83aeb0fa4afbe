"""The training objective: the negative ELBO, and a registry of additional loss terms; one module each."""

from . import contrastive, distillation, mmd  # noqa: F401  # each registers its term
from .terms import Step, register_term

__all__ = ["Step", "register_term"]
