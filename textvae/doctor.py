"""What this machine gives, measured: arithmetic, and training under each setting of the memory allocator."""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .configuration import TextVAEConfig
from .modeling import TextVAEModel
from .precision import autocast, has_bf16, prefer_attention

MATRIX = 2048  # width of the products timed
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
EXTRAS = {  # and a module that each brings
    "peft": "peft", "gguf": "gguf", "tensorboard": "tensorboard", "eval": "sacrebleu", "plot": "matplotlib",
    "umap": "umap", "pacmap": "pacmap", "langchain": "langchain_core", "sentence-transformers": "sentence_transformers",
}  # fmt: skip


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


def facts() -> dict[str, Any]:
    """Return what the machine has: cores, threads, GPU, bf16, its products in GFLOP/s, and missing extras."""
    device = torch.device("cpu")
    missing = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module) is None]
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "bf16": has_bf16(device),
        "gflops_fp32": round(gflops(torch.float32)),
        "gflops_bf16": round(gflops(torch.bfloat16)) if has_bf16(device) else None,
        "missing_extras": " ".join(missing) or None,
    }


def gflops(dtype: torch.dtype) -> float:
    """Return the speed of a large matrix product on the CPU in GFLOP/s."""
    a = torch.randn(MATRIX, MATRIX).to(dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / statistics.median(times[1:]) / 1e9


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
    command = [sys.executable, "-m", "textvae.doctor", str(steps)]
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(training_speed(int(sys.argv[1]))))
