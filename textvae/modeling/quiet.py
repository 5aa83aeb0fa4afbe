"""transformers without its bars and load reports, at the calls that make them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging

_lock = threading.Lock()
_blocks = 0  # that are running, in all threads
_before = (logging.WARNING, True)  # verbosity and bars before the first of them


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from logging below errors and from drawing bars in the block.

    Its settings are global: they are restored when the last block ends, whichever thread it is in.
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
