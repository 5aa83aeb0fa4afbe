"""Variables of torchrun and MPI that other jobs left, for which a training in one process would wait for others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("textvae")

LAUNCHERS = ("", "PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_")  # torchrun and kinds of MPI
NAMES = {launcher + name for launcher in LAUNCHERS for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")} - {"SIZE"}
NAMES |= {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}


@contextmanager
def single_process() -> Iterator[None]:
    """Hide the variables in the block, so that nothing waits for processes that training does not have."""
    hidden = {name: os.environ.pop(name) for name in sorted(NAMES) if name in os.environ}
    sizes = [f"{name}={value}" for name, value in hidden.items() if name.endswith("SIZE") and value != "1"]
    if sizes:
        logger.warning("training runs in one process: %s is ignored", " and ".join(sizes))
    try:
        yield
    finally:
        os.environ.update(hidden)
