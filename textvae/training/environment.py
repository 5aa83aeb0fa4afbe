"""The processes of a training: those of torchrun, or one, from which variables that other jobs left are hidden."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

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


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, and which of them this is. The first one writes and speaks.

    Attributes:
        rank: Number of this process, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process run the block before the others, which then find the files it wrote."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


def launched() -> Ranks:
    """Return the processes that torchrun launched; one process if it launched none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if not distributed.is_available() or not distributed.is_torchelastic_launched() or count < 2:
        return Ranks()
    return Ranks(int(os.environ["RANK"]), count)


@contextmanager
def processes() -> Iterator[Ranks]:
    """Join the processes that torchrun launched for the block, or hide the variables of launchers that left some.

    Processes but the first log errors only.
    """
    ranks = launched()
    if ranks.count == 1:
        with single_process():
            yield ranks
        return
    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    level = logger.level
    if not ranks.first:
        logger.setLevel(logging.ERROR)
    try:
        yield ranks
    finally:
        logger.setLevel(level)
        if ours:
            distributed.destroy_process_group()
