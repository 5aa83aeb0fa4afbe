"""The library's log on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import shown


class _Screen(logging.Handler):
    """Write messages to the current sys.stderr, which may be replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(shown(self.format(record)) + "\n")
        sys.stderr.flush()


@contextmanager
def log_on_stderr(quiet: bool) -> Iterator[None]:
    """Write progress and warnings of the library to stderr inside the block; nothing if quiet."""
    logger = logging.getLogger("textvae")
    # without any handler, logging would write warnings itself
    handler, level = logging.NullHandler() if quiet else _Screen(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
