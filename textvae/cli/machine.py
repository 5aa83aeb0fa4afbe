"""Facts about this machine: versions, devices, threads, speed of matrix products, and missing extras."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import statistics
import time
from typing import Any

import torch

from ..modeling.precision import has_bf16

MATRIX = 2048  # width of the products timed
VERSIONS = ("textvae", "torch", "transformers", "tokenizers", "datasets", "faiss-cpu")
EXTRAS = {  # and a module that each installs
    "peft": "peft", "gguf": "gguf", "tensorboard": "tensorboard", "eval": "sacrebleu", "plot": "matplotlib",
    "umap": "umap", "pacmap": "pacmap", "langchain": "langchain_core", "sentence-transformers": "sentence_transformers",
    "serve": "fastapi",
    "qdrant": "qdrant_client", "milvus": "pymilvus", "pgvector": "psycopg", "lancedb": "lancedb",
    "llama-index": "llama_index", "haystack": "haystack", "ray": "ray", "onnx": "onnx", "openvino": "openvino",
}  # fmt: skip


def facts() -> dict[str, Any]:
    """Return versions, cores, threads, GPU, bf16, the speed of products in GFLOP/s, and the missing extras."""
    device = torch.device("cpu")
    missing = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module) is None]
    return {
        **{name: importlib.metadata.version(name) for name in VERSIONS},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "mps": torch.backends.mps.is_available(),
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
