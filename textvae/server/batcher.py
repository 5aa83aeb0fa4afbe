"""One thread that runs the model, and batches what several requests ask of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

Measure = Callable[[str, int], None]


class Cancelled(Exception):
    """The client has left, or its time is over."""


def harmless(error: BaseException) -> Exception:
    """Return an error that ends no thread and no process: SystemExit does, and a panic of a library in Rust."""
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


class Ticket:
    """Says whether a request is still wanted."""

    def __init__(self) -> None:
        self.cancelled = False

    def check(self) -> None:
        """Raise `Cancelled` if the request is no longer wanted."""
        if self.cancelled:
            raise Cancelled


TICKET: ContextVar[Ticket | None] = ContextVar("ticket", default=None)


@dataclass
class Job:
    """Rows of one request for one function; jobs with the same key share a batch.

    Attributes:
        kind: Name for the metrics.
        key: What must be equal in a batch; None runs alone.
        rows: Arguments, one for each result.
        run: The function: rows to as many results, which can be sliced.
        ticket: Of the request.
        future: Gets the results.
    """

    kind: str
    key: Hashable | None
    rows: Sequence[Any]
    run: Callable[[Sequence[Any]], Any]
    ticket: Ticket | None = None
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """A thread with a queue of jobs, in order of arrival; jobs of one key join the first of them.

    Args:
        most_rows: Rows of a batch, unless one job has more.
        measure: Called with the kind and the rows of each batch.
        batching: False runs every job alone.
    """

    def __init__(self, most_rows: int = 1024, measure: Measure | None = None, *, batching: bool = True):
        self.most_rows, self.measure, self.batching = most_rows, measure, batching
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="textvae-model", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return the number of jobs that wait."""
        return len(self._jobs)

    @property
    def inside(self) -> bool:
        """Whether the caller runs in the model's thread."""
        return threading.current_thread() is self._thread

    def submit(self, job: Job) -> Future[Any]:
        """Queue a job and return its future."""
        with self._changed:
            if self._closed:
                raise Cancelled
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the model's thread, alone, and return its result."""
        ticket = TICKET.get()
        if ticket is not None:
            ticket.check()
        return self.submit(Job("other", None, [function], lambda rows: [rows[0]()], ticket)).result()[0]

    def close(self) -> None:
        """Finish the jobs that wait, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                group = self._next()
            group = [job for job in group if self._is_wanted(job)]
            if group:
                self._run(group)

    def _next(self) -> list[Job]:
        """Take the first job and those that join it."""
        first = self._jobs.popleft()
        if first.key is None or not self.batching:
            return [first]
        group, left, rows = [first], deque[Job](), len(first.rows)
        for job in self._jobs:
            if job.key == first.key and rows + len(job.rows) <= self.most_rows:
                group.append(job)
                rows += len(job.rows)
            else:
                left.append(job)
        self._jobs = left
        return group

    def _is_wanted(self, job: Job) -> bool:
        if not job.future.set_running_or_notify_cancel():
            return False
        if job.ticket is not None and job.ticket.cancelled:
            job.future.set_exception(Cancelled())
            return False
        return True

    def _run(self, group: list[Job]) -> None:
        rows = [row for job in group for row in job.rows]
        try:
            results = group[0].run(rows)
            assert len(results) == len(rows)
        except BaseException as error:
            if len(group) == 1:
                group[0].future.set_exception(harmless(error))
                return
            for job in group:  # one bad request fails alone
                self._run([job])
            return
        if self.measure is not None:
            self.measure(group[0].kind, len(rows))
        start = 0
        for job in group:
            job.future.set_result(results[start : start + len(job.rows)])
            start += len(job.rows)
