"""Priors: the distributions that `TextVAE.sample` draws latents from; one module each."""

from .base import Prior, load_prior, prior_class, register_prior
from .exemplar import ExemplarPrior
from .flow import FlowPrior
from .mixture import MixturePrior
from .standard import StandardNormal

__all__ = [
    "ExemplarPrior",
    "FlowPrior",
    "MixturePrior",
    "Prior",
    "StandardNormal",
    "load_prior",
    "prior_class",
    "register_prior",
]
