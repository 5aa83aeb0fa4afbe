"""Runtimes that compute ONNX files on the CPU, without torch: onnxruntime and OpenVINO."""

# B sentences, T tokens, D latent dimensions
from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.int64], NDArray[np.int64]], list[NDArray[np.float32]]]  # of ids and mask (B, T)


def onnx_session(file: Path, outputs: Sequence[str]) -> Run:
    """Load an ONNX file in onnxruntime.

    Args:
        file: The file, with the inputs input_ids and attention_mask.
        outputs: Names of the outputs to return.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(list(outputs), {"input_ids": ids, "attention_mask": mask})


def openvino_session(file: Path, outputs: Sequence[str]) -> Run:
    """Load an ONNX file in OpenVINO, which computes in bf16 where the processor does; the arguments are the same.

    Its threads are not pinned to cores: it would pin those of every process to the same first ones.
    """
    import openvino

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads(), "ENABLE_CPU_PINNING": False}
    request: Any = openvino.Core().compile_model(str(file), "CPU", hints).create_infer_request()
    lock = threading.Lock()  # a request serves one thread at a time

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        with lock:
            found = request.infer({"input_ids": ids, "attention_mask": mask})
            return [np.array(found[name]) for name in outputs]

    return run


RUNTIMES: dict[str, Callable[[Path, Sequence[str]], Run]] = {"onnx": onnx_session, "openvino": openvino_session}
MODULES = {"onnx": "onnxruntime", "openvino": "openvino"}


def installed() -> list[str]:
    """Return the runtimes that are installed."""
    return [name for name, module in MODULES.items() if find_spec(module) is not None]


def threads() -> int:
    """Return the threads to compute with: OMP_NUM_THREADS, which torch obeys too, or one for each core allowed."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
