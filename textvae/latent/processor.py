"""The processor: its instruction sets and its name."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

# those that decide how fast matrix products are, and what becomes of products of 8-bit numbers
SETS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm")
DOT_PRODUCTS = {"avx_vnni", "avx512_vnni", "amx_int8"}


@cache
def instruction_sets() -> tuple[str, ...]:
    """Return the `SETS` that the processor has; none where the system does not list them."""
    flags = {word for line in _lines("flags", "Features") for word in line.split()}
    return tuple(each for each in SETS if each in flags)


def sums_8_bits_exactly() -> bool:
    """Return whether onnxruntime sums products of unsigned and signed 8-bit numbers exactly here.

    On x86 without VNNI it adds pairs of products in 16 bits, which do not hold the largest ones.
    """
    return platform.machine().lower() in ("arm64", "aarch64") or not DOT_PRODUCTS.isdisjoint(instruction_sets())


def machine() -> str:
    """Return a name of this kind of machine, for which a measured speed holds."""
    names = _lines("model name")
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} x {len(names)} ({' '.join(instruction_sets())})"[:200]


def _lines(*fields: str) -> list[str]:
    """Return the values of a field of /proc/cpuinfo, one for each core."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    return [line.split(":", 1)[-1].strip() for line in lines if line.startswith(fields)]
