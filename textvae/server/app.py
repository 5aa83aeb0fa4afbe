"""The ASGI app of a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .. import __version__
from .doorman import Doorman
from .errors import add_handlers
from .metrics import Metrics
from .routes import attributes, health, indexes, maps, openai, page, texts
from .routes.common import ERRORS
from .workspace import Workspace

ABOUT = """Embeddings, search, and texts written from a latent space. The fields of requests are named as the arguments
of the library, and the same request gives the same result there and on the command line."""


def create_app(space: Workspace, metrics: Metrics | None = None, *, key: str | None = None) -> Doorman:
    """Return the app; when it ends, the workspace is closed.

    Args:
        space: What is served.
        metrics: What counts requests and batches.
        key: The key that clients must send; None for none.
    """
    metrics = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.stopping = True
        await asyncio.to_thread(space.close)

    app = FastAPI(
        title="textvae",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # its page would load files from elsewhere
        redoc_url=None,
        responses=ERRORS,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.workspace, app.state.metrics, app.state.stopping = space, metrics, False
    add_handlers(app)
    for part in (openai, texts, attributes, indexes, maps, health, page):
        app.include_router(part.router)
    doorman = Doorman(app, space.limits, metrics, key)
    metrics.watch(lambda: doorman.working, lambda: len(space.batcher))
    return doorman
