"""Settings of the memory allocator, and how fast training is under each.

    python benchmarks/allocators.py

Prints tokens per second and peak memory of a small training run under each setting, the present one first.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.precision import autocast, prefer_attention

VOCABULARY, BATCH_TOKENS = 8000, 1024
WARM_STEPS, STEPS = 5, 24
# The bounds matter: an allocator that never gives memory back grows without end on batches of varying shapes.
KEEP = {
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TOP_PAD_": "67108864",
}
HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
DECAY = {"MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:10000,thp:always"}


@dataclass(frozen=True)
class Trial:
    """Training speed and memory under some environment variables."""

    name: str
    variables: dict[str, str]
    tokens_per_second: float
    peak_mb: float


def peak_memory_mb() -> float:
    """Return the largest memory this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory too, which a child begins with
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def allocator_trials() -> list[Trial]:
    """Train for some seconds in a process of its own under each allocator setting; the first is the present one.

    Settings under which training fails are left out.

    Raises:
        RuntimeError: It fails under the present one.
    """
    settings = {"as it is": {}, "keep freed memory": KEEP, "huge pages": HUGE, "both": KEEP | HUGE}
    for library in ("jemalloc", "tcmalloc_minimal"):
        found = ctypes.util.find_library(library)
        if found:
            settings[library] = {"LD_PRELOAD": found} | (DECAY if library == "jemalloc" else {})
    trials = [_trial("as it is", settings.pop("as it is"))]
    for name, variables in settings.items():
        with contextlib.suppress(RuntimeError):
            trials.append(_trial(name, variables))
    return trials


def _trial(name: str, variables: dict[str, str], steps: int = STEPS) -> Trial:
    command = [sys.executable, __file__, str(steps)]
    result = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    if result.returncode:
        why = [f"exit code {result.returncode}", *result.stderr.strip().splitlines()][-1]
        raise RuntimeError(f"training under {name} failed: {why}")
    return Trial(name, variables, **json.loads(result.stdout))


def training_speed(steps: int) -> dict[str, float]:
    """Train size small on made-up batches of every length; return tokens per second and peak memory in MB."""
    torch.manual_seed(0)
    model = TextVAEModel(TextVAEConfig.preset("small", vocab_size=VOCABULARY)).train()
    prefer_attention(model, model.device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    speeds = []
    for step in range(WARM_STEPS + steps):
        length = 6 + 5 * step % 24
        labels_BT = torch.randint(4, VOCABULARY, (BATCH_TOKENS // length, length))
        start = time.perf_counter()
        with autocast(model.device):
            loss = model(labels_BT, torch.ones_like(labels_BT), labels=labels_BT).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        speeds.append(labels_BT.numel() / (time.perf_counter() - start))
    return {"tokens_per_second": round(statistics.median(speeds[WARM_STEPS:])), "peak_mb": round(peak_memory_mb())}


def main() -> None:
    """Print a line for each setting, or what one trial is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", type=int, nargs="?", help="train for so many steps under the present setting alone")
    steps = parser.parse_args().steps
    if steps:
        sys.stdout.write(json.dumps(training_speed(steps)) + "\n")
        return
    trials = allocator_trials()
    for trial in trials:
        gain = trial.tokens_per_second / trials[0].tokens_per_second - 1
        shown = f"{trial.tokens_per_second:7,.0f} tokens/s ({gain:+.0%})  {trial.peak_mb:6,.0f} MB"
        words = " ".join(f"{name}={value}" for name, value in trial.variables.items())
        sys.stdout.write(f"{trial.name:18} {shown}  {words}\n")


if __name__ == "__main__":
    main()
