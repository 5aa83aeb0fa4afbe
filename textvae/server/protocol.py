"""HTTP/1.1 for clients of all kinds: those that send slowly, never, or do not take their answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .limits import Limits

NO_LINGER = struct.pack("ii", 1, 0)  # on, 0 seconds
LEAST_TAKEN = 64 << 10  # bytes of an answer that a client must take within the time limit, if so many are left


class PatientProtocol(H11Protocol):
    """Close connections whose headers do not arrive in time, or whose answer is not taken.

    Attributes:
        bounds: Time limits, and the number of connections of a server.
    """

    bounds: ClassVar[Limits]
    _expiry: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection too many, or wait for the first headers."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.abort()
        else:
            self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Read on; the wait ends with the headers."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._expiry is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all waiting."""
        self._stop_waiting()
        self._stop_taking()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch whether the client takes the rest."""
        super().pause_writing()
        if self._taking is None:
            self._watch_taking()

    def resume_writing(self) -> None:
        """Stop watching."""
        self._stop_taking()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, at once if the client takes nothing."""
        super().timeout_keep_alive_handler()  # closes when what is written has been taken
        self.loop.call_later(self.bounds.write_seconds, self._drop)

    def _drop(self) -> None:
        """Close at once, without what the client has not taken."""
        found = self.transport.get_extra_info("socket")
        if found is not None and found.fileno() >= 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _watch_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.bounds.write_seconds, self._check_taken, left)

    def _check_taken(self, before: int) -> None:
        if self.transport.get_write_buffer_size() > before - LEAST_TAKEN:
            self._drop()
        else:
            self._watch_taking()

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _wait_for_headers(self) -> None:
        self._expiry = self.loop.call_later(self.bounds.read_seconds, self._expire)

    def _stop_waiting(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        self._expiry = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()


def patient_protocol(limits: Limits) -> type[H11Protocol]:
    """Return a protocol class with the time limits and the number of connections of a server."""
    return type("PatientProtocol", (PatientProtocol,), {"bounds": limits})
