"""Forked processes: a child has its parent's memory, but not the threads that OpenMP would wait for."""

from __future__ import annotations

import os
import sys

_owner: int | None = None  # process whose thread pools the libraries have


def check_fork() -> None:
    """Use one thread in a child of a process that has computed already; more would wait for ever.

    Called where work begins: it changes nothing in a process that was not forked, or forked before the first work.
    """
    global _owner
    process = os.getpid()
    if _owner is not None and _owner != process:
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        if "faiss" in sys.modules:
            sys.modules["faiss"].omp_set_num_threads(1)
    _owner = process
