"""Requests at work: threads for their Python parts, cancelled when the client leaves or the time is over."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from .batcher import TICKET, Ticket, harmless

T = TypeVar("T")


class Workers:
    """A pool of threads that library functions run in.

    Args:
        threads: How many run at a time; further ones wait.
    """

    def __init__(self, threads: int):
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="textvae-request")

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread and return its result.

        If the caller is cancelled, the function ends with `Cancelled` at its next use of the model.
        """
        with _ticket() as context:
            return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, _harmless, function)

    async def stream(self, results: Callable[[], Iterable[T]]) -> AsyncIterator[T]:
        """Run a generator in a thread and yield its results as they come."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Any] = asyncio.Queue()  # as long as the limits of a request allow
        end = object()

        def produce() -> None:
            ticket = TICKET.get()
            for result in results():
                assert ticket is not None
                ticket.check()
                loop.call_soon_threadsafe(waiting.put_nowait, result)

        async def run(context: contextvars.Context) -> None:
            try:
                await loop.run_in_executor(self._pool, context.run, _harmless, produce)
            finally:
                await waiting.put(end)

        with _ticket() as context:
            task = asyncio.create_task(run(context))
            try:
                while (result := await waiting.get()) is not end:
                    yield result
                await task
            finally:
                task.cancel()

    def close(self) -> None:
        """Wait for the functions that run."""
        self._pool.shutdown()


def _harmless(function: Callable[[], T]) -> T:
    try:
        return function()
    except BaseException as error:
        raise harmless(error) from error.__cause__


class _ticket:
    """A context whose ticket is cancelled when the block ends with an error, a cancellation included."""

    def __enter__(self) -> contextvars.Context:
        self.ticket = Ticket()
        context = contextvars.copy_context()
        context.run(TICKET.set, self.ticket)
        return context

    def __exit__(self, *error: object) -> None:
        self.ticket.cancelled = True


async def batched(submit: Callable[[], list[Future[list[T]]]]) -> list[T]:
    """Await jobs of the batcher and return all their results; cancelled, they are taken off the queue."""
    with _ticket() as context:
        parts = await asyncio.gather(*map(asyncio.wrap_future, context.run(submit)))
    return [result for part in parts for result in part]
