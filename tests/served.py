"""Fixtures of a real server on a socket, with the small untrained model, an index and an attribute."""

from __future__ import annotations

import shutil
import threading
import time
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
    while not server.started and thread.is_alive():
        time.sleep(0.01)
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


@pytest.fixture(scope="session")
def make_space(server_vae, tone, tmp_path_factory):
    """A function that returns a workspace with an index "numbered", one with ids "named", and the attribute "tone"."""
    from textvae import LatentIndex
    from textvae.server.workspace import Workspace

    made = tmp_path_factory.mktemp("made")
    LatentIndex.build(server_vae, ROWS, path=made / "numbered")
    LatentIndex.build(server_vae, ROWS, ids=[f"r{i}" for i in range(len(ROWS))], path=made / "named")
    tone.save(made / "tone")

    def make(folder=None, **options):
        folder = shutil.copytree(made, folder or tmp_path_factory.mktemp("space") / "space", dirs_exist_ok=True)
        indexes = {name: folder / name for name in ("numbered", "named")}
        given = {"indexes": indexes, "attributes": {"tone": folder / "tone"}, "folder": folder / "attributes"}
        return Workspace(server_vae, "tiny", **(given | options))

    return make


@pytest.fixture(scope="session")
def http():
    """A client for all tests: each new one reads the certificates of this machine."""
    import httpx

    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def reading_server(make_space):
    """A server for tests that change nothing; yields its address."""
    with served(make_space()) as url:
        yield url
