"""Gradient clipping that says which gradients are not finite."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

NAMED = 3  # parameters that a message lists


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale the gradients down to a norm, as `torch.nn.utils.clip_grad_norm_` does, and return the norm before.

    The norm is compared on the host, which an accelerator would wait for: meant for a CPU.

    Args:
        model: The model, after a backward pass.
        max_norm: Largest norm of all gradients together.

    Raises:
        FloatingPointError: The norm is not finite; the message names the parameters. No gradient is scaled.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = get_total_norm([parameter.grad for parameter in parameters])  # type: ignore[misc]
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient norm is {norm.item()}, {_bad_parameters(model)}")
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def _bad_parameters(model: nn.Module) -> str:
    """Return in words which parameters have a gradient whose norm is not finite."""
    norms = {name: parameter.grad.norm() for name, parameter in model.named_parameters() if parameter.grad is not None}
    bad = [name for name, norm in norms.items() if not math.isfinite(norm)]
    if not bad:
        return f"each of the {len(norms)} parameters has a finite one"
    more = ", ..." if len(bad) > NAMED else ""
    return f"not finite in {len(bad)} of {len(norms)} parameters: {', '.join(bad[:NAMED])}{more}"
