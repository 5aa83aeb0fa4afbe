"""Progress of long work in the log: a line every few seconds, and none where the work is short."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import Any

INTERVAL = 5.0  # seconds between two lines, and before the first

logger = logging.getLogger("textvae")
_outer: ContextVar[Progress | None] = ContextVar("outer", default=None)


class Progress:
    """Log how much of a long work is done, how fast it goes and how long it will take.

    One inside another logs nothing of its own: what it has done so far is added to the outer one's count.

    Args:
        done: What happens to the texts, as a participle: "encoded".
        total: Number of texts, None if unknown.
        counts_inner: Whether the texts of an inner one are these texts, and not, say, variations of them.

    Examples:
        >>> with Progress("encoded", 3) as progress:
        ...     progress.advance(3)
    """

    def __init__(self, done: str, total: int | None = None, *, counts_inner: bool = True):
        self.done, self.total, self.counts_inner, self.count = done, total, counts_inner, 0

    def __enter__(self) -> Progress:
        self._around = _outer.get()
        _outer.set(self)
        self._started = self._said = time.monotonic()
        return self

    def __exit__(self, *_: Any) -> None:
        _outer.set(self._around)

    def advance(self, count: int) -> None:
        """Count further texts."""
        self.count += count
        self._tell(self.count)

    def _tell(self, count: int) -> None:
        if self._around is not None:
            self._around._tell(self._around.count + (count if self._around.counts_inner else 0))
            return
        now = time.monotonic()
        if now - self._said < INTERVAL:
            return
        self._said = now
        of = "" if self.total is None else f" of {self.total:,}"
        rate = count / max(now - self._started, 1e-9)
        speed = f", {rate:.0f} texts/s" if rate >= 1 else f", {1 / rate:.1f} s/text" if rate else ""
        left = "" if self.total is None or not rate else f", {clock((self.total - count) / rate)} left"
        if not count:
            left = f", {clock(now - self._started)} so far"
        logger.info("%s %s%s texts%s%s", self.done, f"{count:,}", of, speed, left)


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, and hours if there are any.

    Examples:
        >>> clock(61), clock(3661)
        ('1:01', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
