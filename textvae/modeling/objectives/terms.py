"""The registry of loss terms: functions of a training step that return nats per sentence."""

# B sentences, T tokens, S tokens of another view or slots, W numbers of a slot, D latent dimensions
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..gaussian import DiagonalGaussian


@dataclass(frozen=True)
class Step:
    """Arguments of a loss term: one batch and the model's outputs for it.

    Attributes:
        model: The model, a `TextVAEModel`.
        posterior: q(m|x), which is q(z|x) in a model without wording slots; mean and log_std have shape (B, D).
        latents: Samples from it, shape (B, D), even where the decoder got another latent.
        slots: Posterior of the wording slots, shape (B, S, W); None without slots.
        states: State of each slot (see `textvae.modeling.slots`), shape (B, S); None without slots.
        labels: The decoder's targets BOS ... EOS, shape (B, T), -100 where padded.
        partner_ids: The encoder's ids of another view of each text, shape (B, S), or None.
        partner_mask: 1 for their tokens, 0 for padding, shape (B, S), or None.
        groups: Group of each text, shape (B,), or None.
        teacher: Embeddings of the texts by a teacher encoder, shape (B, D), NaN in unknown rows; or None.
        generator: Random generator; None for torch's global one.
    """

    model: Any
    posterior: DiagonalGaussian
    latents: Tensor
    labels: Tensor
    slots: DiagonalGaussian | None = None
    states: Tensor | None = None
    partner_ids: Tensor | None = None
    partner_mask: Tensor | None = None
    groups: Tensor | None = None
    teacher: Tensor | None = None
    generator: torch.Generator | None = None

    @cached_property
    def partner_means(self) -> Tensor:
        """Posterior means of the other views, shape (B, D), encoded at first access.

        Raises:
            ValueError: The batch holds no other views.
        """
        if self.partner_ids is None:
            raise ValueError("the batch has no other view of each text: give partner_ids")
        return self.model.encode(self.partner_ids, self.partner_mask).mean


Term = Callable[[Step], Tensor]
_TERMS: dict[str, Term] = {}


def register_term(name: str) -> Callable[[Term], Term]:
    """Register a function of a `Step` that returns a scalar in nats per sentence, as a decorator.

    Args:
        name: Name in `terms` of the model's forward and of `textvae.train`. An existing term of that name is replaced.

    Examples:
        >>> @register_term("long_means")
        ... def long_means(step):
        ...     return step.posterior.mean.square().sum(-1).mean()
    """

    def register(term: Term) -> Term:
        _TERMS[name] = term
        return term

    return register


def check_terms(names: Mapping[str, float]) -> None:
    """Raise ValueError for a term that is not registered or a negative weight."""
    for name, weight in names.items():
        if name not in _TERMS:
            raise ValueError(f"unknown loss term {name!r}: use {', '.join(_TERMS)}, or register it with register_term")
        if not weight >= 0:
            raise ValueError(f"the weight of the loss term {name!r} must not be negative, got {weight}")


def weighted_terms(step: Step, weights: Mapping[str, float]) -> list[Tensor]:
    """Return each term times its weight, in the order of the mapping; terms of weight 0 are skipped.

    Raises:
        ValueError: A term is not registered, its weight is negative, or the batch lacks an input that it needs.
    """
    check_terms(weights)
    return [weight * _TERMS[name](step) for name, weight in weights.items() if weight]
