"""Where bf16 arithmetic is worth it, and the autocast block for it."""

from __future__ import annotations

import torch


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
