"""What comes before the routes: keys, bounds of headers and bodies, the queue, time limits, clients that leave."""

from __future__ import annotations

import asyncio
import hmac
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError, busy, explained, too_slow
from .events import EVENTS, error_event
from .limits import Limits
from .metrics import Metrics

DISCARDED = 16  # times the longest body: read without keeping it, so that the client gets its answer
CLOSE = {"Connection": "close"}
OPEN = ("/health", "/ready")  # without a key
PAGE = ("/", "/static/")  # the same: files that hold no data
WATCH_SECONDS = 0.1  # after which a request is watched for clients that leave: most have been answered by then
WORK = "/v1/"  # routes that count as waiting in the queue
LOCAL = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.I)  # Host headers of this machine
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}


class Doorman:
    """An ASGI app around another.

    Args:
        app: The routes.
        limits: The bounds.
        metrics: What counts the answers.
        key: The key that clients send as `Authorization: Bearer KEY`; None for none: then only requests to this
            machine's own names are answered, so that no web page reaches the server under a name of its own.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, key: str | None = None):
        self.app, self.limits, self.metrics = app, limits, metrics
        self.key = None if key is None else key.encode()
        self.working = 0
        self.held = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        start = time.perf_counter()
        try:
            await self._admit(visit, receive)
        except ApiError as refusal:
            await visit.refuse(refusal)
        except Exception as error:  # starlette raises what it has answered with 500 once more
            if not visit.started:
                await visit.refuse(explained(error))
            elif not visit.finished:
                raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.answered(route, method, visit.status, time.perf_counter() - start)

    async def _admit(self, visit: _Visit, receive: Receive) -> None:
        self._check_headers(visit.scope)
        with _Held(self) as held:
            held.grow_to(self._announced(visit.scope))
            body = await self._read(receive, held)
            if body is None:
                return
            counts = visit.scope["path"].startswith(WORK)
            if counts and self.working >= self.limits.queue:
                raise busy()
            self.working += counts
            try:
                await self._answer(visit, receive, body)
            finally:
                self.working -= counts

    def _check_headers(self, scope: Scope) -> None:
        headers, path = scope["headers"], scope["path"]
        if len(headers) > self.limits.headers:
            raise ApiError(
                431, f"{len(headers)} headers, at most {self.limits.headers}", code="too_many_headers",
                headers=CLOSE,
            )  # fmt: skip
        if self.key is None:
            said = next((value for name, value in headers if name == b"host"), b"")
            if not LOCAL.fullmatch(said):
                raise ApiError(
                    403, "without a key, requests must be to 127.0.0.1 or localhost", code="wrong_host",
                    headers=CLOSE,
                )  # fmt: skip
            return
        if path in (*OPEN, PAGE[0]) or path.startswith(PAGE[1]):
            return
        said = next((value for name, value in headers if name == b"authorization"), b"")
        if not hmac.compare_digest(said, b"Bearer " + self.key):
            raise ApiError(
                401, "send the key of this server as Authorization: Bearer KEY", code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip

    def _announced(self, scope: Scope) -> int:
        """Return the length of the body that the headers tell; 0 if they do not, or if it will be discarded."""
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        size = int(said) if said.isdigit() and len(said) < 20 else 0
        if size > DISCARDED * self.limits.body_bytes:
            raise self._too_large(CLOSE)
        return size if size <= self.limits.body_bytes else 0

    async def _read(self, receive: Receive, held: _Held) -> bytes | None:
        """Return the body, None if the client has left.

        One that is too long is read and discarded up to a bound: a client that still sends would miss the answer.
        """
        body, count, most = bytearray(), 0, self.limits.body_bytes
        try:
            async with asyncio.timeout(self.limits.read_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    count += len(message.get("body", b""))
                    if count > DISCARDED * most:
                        raise self._too_large(CLOSE)
                    if count <= most:
                        held.grow_to(count)
                        body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time", code="slow_body", headers=CLOSE) from None
        if count > most:
            raise self._too_large()
        return bytes(body)

    async def _answer(self, visit: _Visit, receive: Receive, body: bytes) -> None:
        """Run the routes until they have answered, the client has left, or the time is over."""
        loop, task, left = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        watching: list[asyncio.Task[None]] = []

        async def replay() -> Message:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            if not visit.finished and task is not None:
                left.set()
                task.cancel()

        timer = loop.call_later(WATCH_SECONDS, lambda: watching.append(loop.create_task(watch())))
        try:
            async with asyncio.timeout(self.limits.seconds) as limit:
                await self.app(visit.scope, replay, visit.send)
        except TimeoutError:
            if not limit.expired():
                raise
            raise too_slow(self.limits.seconds) from None
        except asyncio.CancelledError:
            if not left.is_set():
                raise
            assert task is not None
            task.uncancel()
        finally:
            timer.cancel()
            for each in watching:
                each.cancel()

    def _too_large(self, headers: dict[str, str] | None = None) -> ApiError:
        most = self.limits.body_bytes
        return ApiError(413, f"the body is over {most:,} bytes", code="body_too_large", headers=headers)


class _Held:
    """Bytes of a body in memory, counted while the block runs."""

    def __init__(self, doorman: Doorman):
        self.doorman, self.size = doorman, 0

    def grow_to(self, size: int) -> None:
        """Count up to so many bytes; 429 if all bodies together are too many."""
        more = max(0, size - self.size)
        if self.doorman.held + more > self.doorman.limits.bodies_bytes:
            raise busy()
        self.doorman.held += more
        self.size += more

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *error: object) -> None:
        self.doorman.held -= self.size


class _Visit:
    """A request and what was sent for it."""

    def __init__(self, scope: Scope, send: Send):
        self.scope, self._send = scope, send
        self.status = 499  # of clients that leave before an answer
        self.started = self.finished = self.streams = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            self.streams = any(
                value.startswith(EVENTS) for name, value in message["headers"] if name == b"content-type"
            )
        await self._send(message)
        self.finished = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def refuse(self, refusal: ApiError) -> None:
        """Answer a refusal, or end a stream with it; if another answer has begun, the connection is closed."""
        if self.finished:  # the time was over between the answer's last part and the end of its task
            return
        if self.streams:
            await self.send({"type": "http.response.body", "body": error_event(refusal)})
            return
        if self.started:
            raise refusal
        await refusal.answer()(self.scope, _nothing, self.send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
