"""Start a server and stop it gracefully."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import uvicorn

from .app import create_app
from .metrics import Metrics
from .protocol import patient_protocol
from .workspace import Workspace

BACKLOG = 2048  # connections that the system holds until they are accepted
HEADER_BYTES = 32 << 10
KEEP_ALIVE = 15  # seconds
SWITCH = 0.001  # seconds that Python lets a thread run: the model's thread must not hold up the others


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a taken port is an error before the model is loaded.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return listening


def make_server(space: Workspace, metrics: Metrics, key: str | None = None) -> uvicorn.Server:
    """Return a server; `run(sockets=[...])` answers requests until its `should_exit` is set, and ends them first.

    Args:
        space: What is served; it is closed at the end, when its writes are saved.
        metrics: What counts requests and batches.
        key: The key that clients must send; None for none.
    """
    config = uvicorn.Config(
        create_app(space, metrics, key=key),
        http=patient_protocol(space.limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(space.limits.seconds) + 1,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    return uvicorn.Server(config)


def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Run a server in this process until SIGTERM or SIGINT."""
    sys.setswitchinterval(SWITCH)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings tell of every bad request
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)  # uvicorn sets its own, and raises the signal again when it has stopped
    server.run(sockets=[listening])
