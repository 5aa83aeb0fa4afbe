"""The device that models run on, where bf16 arithmetic is worth it, and the autocast block for it."""

from __future__ import annotations

from typing import Any

import torch


def default_device() -> torch.device:
    """Return the GPU if there is one, CUDA before Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Say whether matrix products in bf16 run in hardware on this device."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        # The private probes of torch.cpu are the only ones; a torch without them counts as a processor without bf16.
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False


def autocast(device: torch.device) -> torch.autocast:
    """Return an autocast block to bf16, which does nothing where bf16 is slow."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device))


def prefer_attention(model: Any, device: torch.device) -> None:
    """Choose the attention of a model that will run on this device: on a CPU, without the fused kernel.

    That kernel is compiled anew for every shape, which costs more than it saves on sentences. A model that comes from
    a CPU to a GPU gets it back.
    """
    if device.type == "cpu":
        model.attention_elsewhere = getattr(model, "attention_elsewhere", model.config._attn_implementation)
        model.set_attn_implementation("eager")
    elif hasattr(model, "attention_elsewhere"):
        model.set_attn_implementation(model.attention_elsewhere)
