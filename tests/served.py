"""Fixtures of a real server on a socket, with the small untrained model, an index and an attribute."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

ROWS = [
    {"text": "the soup was hot and the bread was fresh .", "topic": "food", "stars": 5},
    {"text": "our waiter never smiled .", "topic": "food", "stars": 2},
    {"text": "the room was cold , small and dark .", "topic": "hotel", "stars": 1},
    {"text": "great coffee and friendly people .", "topic": "food", "stars": 4},
    {"text": "is the museum open on Monday ?", "topic": "city", "stars": 3},
]
PRAISE = ["great coffee and friendly people .", "the soup was hot .", "my dog loves the park .", "fresh bread ."]
BLAME = ["our waiter never smiled .", "the room was cold .", "do n't waste your money .", "small and dark ."]
KEY = "a key for the tests"


@contextmanager
def served(space, key=None):
    """Serve a workspace on a free port and yield the address; what is asked of it is real HTTP."""
    from textvae.server.metrics import Metrics
    from textvae.server.run import bind, make_server

    metrics = Metrics()
    space.batcher.measure = metrics.batch
    listening = bind("127.0.0.1", 0)
    server = make_server(space, metrics, key)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server_vae(small_vae, tmp_path_factory):
    """The small model, saved, so that an index knows where it is."""
    from textvae import TextVAE

    path = tmp_path_factory.mktemp("server") / "tiny"
    small_vae.save_pretrained(path)
    small_vae.path = None
    return TextVAE.from_pretrained(path)


@pytest.fixture(scope="session")
def tone(server_vae):
    from textvae import Attribute

    return Attribute.fit(server_vae, PRAISE, BLAME, name="tone")


@pytest.fixture
def make_space(server_vae, tone, tmp_path):
    """A function that returns a workspace with an index "numbered", one with ids "named", and the attribute "tone"."""
    from textvae import LatentIndex
    from textvae.server.workspace import Workspace

    def make(**options):
        indexes = {"numbered": tmp_path / "numbered", "named": tmp_path / "named"}
        if not indexes["named"].exists():
            LatentIndex.build(server_vae, ROWS, path=indexes["numbered"])
            LatentIndex.build(server_vae, ROWS, ids=[f"r{i}" for i in range(len(ROWS))], path=indexes["named"])
            tone.save(tmp_path / "tone")
        given = {"indexes": indexes, "attributes": {"tone": tmp_path / "tone"}, "folder": tmp_path / "attributes"}
        return Workspace(server_vae, "tiny", **(given | options))

    return make


@pytest.fixture(scope="module")
def reading_server(server_vae, tone, tmp_path_factory):
    """A server for tests that change nothing; yields its address."""
    from textvae import LatentIndex
    from textvae.server.workspace import Workspace

    folder = tmp_path_factory.mktemp("read")
    LatentIndex.build(server_vae, ROWS, path=folder / "numbered")
    tone.save(folder / "tone")
    space = Workspace(
        server_vae,
        "tiny",
        indexes={"numbered": folder / "numbered"},
        attributes={"tone": folder / "tone"},
        folder=folder / "attributes",
    )
    with served(space) as url:
        yield url
