"""A context that hides the progress bars and load reports of transformers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging

_lock = threading.Lock()
_blocks = 0  # active contexts in all threads
_before = (logging.WARNING, True)  # verbosity and progress bars before the first context


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hide transformers' progress bars and log records below errors during the block.

    The settings are global to the process and restored when the last active block, in any thread, ends.
    """
    global _blocks, _before
    with _lock:
        if not _blocks:
            _before = logging.get_verbosity(), logging.is_progress_bar_enabled()
            logging.set_verbosity_error()
            if _before[1]:
                logging.disable_progress_bar()
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks:
                logging.set_verbosity(_before[0])
                if _before[1]:
                    logging.enable_progress_bar()
