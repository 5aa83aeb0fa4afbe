"""Default device, detection of bf16 hardware, and the autocast context for it."""

from __future__ import annotations

from typing import Any

import torch


def default_device() -> torch.device:
    """Return the GPU if there is one, CUDA before Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Return whether the device computes bf16 matrix products in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        # torch.cpu has only private functions for this; without them, assume that there is no bf16.
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False


def autocast(device: torch.device, *, off: bool = False) -> torch.autocast:
    """Return an autocast context to bf16, disabled on devices without bf16 hardware, and if it is `off`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device) and not off)


def prefer_attention(model: Any, device: torch.device) -> None:
    """Choose the attention implementation for a device: eager on a CPU, else the model's original one.

    On a CPU the fused kernel is recompiled for every shape, which costs more time than it saves on sentences.
    """
    if device.type == "cpu":
        model.attention_elsewhere = getattr(model, "attention_elsewhere", model.config._attn_implementation)
        model.set_attn_implementation("eager")
    elif hasattr(model, "attention_elsewhere"):
        model.set_attn_implementation(model.attention_elsewhere)
