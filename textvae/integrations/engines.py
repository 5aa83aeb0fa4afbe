"""Engines that hold an index outside: what each has to do, and the addresses by which they are opened."""

# N items, Q queries, W dimensions of a vector
from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from ..index.conditions import Condition

if TYPE_CHECKING:  # addresses are recognised by commands that shall start at once
    import numpy as np
    from numpy.typing import NDArray

ADDRESS = re.compile(r"(?P<engine>[a-z]+):(?P<place>.+)#(?P<collection>[A-Za-z_][A-Za-z0-9_]{0,60})", re.S)
ENGINES = {"qdrant": "QdrantEngine", "milvus": "MilvusEngine", "pgvector": "PgvectorEngine", "lancedb": "LanceEngine"}
EXAMPLES = "qdrant:http://localhost:6333#reviews or lancedb:/data/vectors#reviews"


class Record(NamedTuple):
    """An item as an engine stores it.

    Attributes:
        key: Its id as a string.
        text: Its text.
        metadata: JSON values.
        digest: A hash of all of it, by which a repeated push skips what is there.
        vector: Shape (W,).
    """

    key: str
    text: str
    metadata: Mapping[str, Any]
    digest: str
    vector: NDArray[np.float32]


class Neighbour(NamedTuple):
    """An item found: its key, inner product or squared Euclidean distance, text and metadata."""

    key: str
    score: float
    text: str
    metadata: dict[str, Any]


class Engine(Protocol):
    """A collection of items in a vector database, opened by its own client.

    Attributes:
        name: Name of the engine, for messages.
        errors: What its client raises when the engine is unreachable or refuses something.
        most_hits: Neighbours that a query can have at most; None without a limit.
        about: What was given to `create`; None while there is no collection.
    """

    name: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]
    most_hits: ClassVar[int | None]
    about: dict[str, Any] | None

    def create(self, about: dict[str, Any], width: int, inner_product: bool) -> None:
        """Create the collection.

        Args:
            about: JSON values to keep beside it.
            width: Dimensions W of a vector.
            inner_product: Whether inner products are compared, else Euclidean distances.
        """

    def upsert(self, records: Sequence[Record]) -> None:
        """Store items, in the place of those with the same keys; on return, searches find them."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove items; unknown keys are ignored."""

    def fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the text and metadata of keys; unknown ones are left out."""

    def digests(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the digests of keys; unknown ones are left out."""

    def keys(self) -> Iterator[str]:
        """Yield every key."""

    def nearest(self, queries: NDArray[np.float32], k: int, condition: Condition | None) -> list[list[Neighbour]]:
        """Return at most k neighbours of each query (Q, W), nearest first.

        Raises:
            ValueError: The engine cannot say the condition.
        """

    def __len__(self) -> int:
        """Return the number of items."""

    def close(self) -> None:
        """Close the client."""


def is_address(place: str) -> bool:
    """Say whether a string is the address of a collection, and not a folder."""
    found = ADDRESS.fullmatch(place)
    return found is not None and found["engine"] in ENGINES


def open_engine(address: str) -> Engine:
    """Open the collection at an address, ENGINE:PLACE#COLLECTION; it need not exist.

    Args:
        address: The place is what the engine's own client takes. "qdrant": an address, a folder or ":memory:".
            "milvus": an address, or a file of Milvus Lite. "pgvector": a connection string of PostgreSQL. "lancedb": a
            folder or an object store. Passwords come from the environment: QDRANT_API_KEY, MILVUS_TOKEN, PGPASSWORD.

    Raises:
        ValueError: It is no such address.
        ImportError: The client is not installed; the message says how to.
        ConnectionError: The engine cannot be reached.
    """
    found = ADDRESS.fullmatch(address)
    if found is None or found["engine"] not in ENGINES:
        raise ValueError(
            f"{address!r} is no address of a collection: give ENGINE:PLACE#COLLECTION, such as {EXAMPLES}; the engines "
            f"are {', '.join(ENGINES)}, and a collection has a name of letters, digits and _"
        )
    name = found["engine"]
    module = importlib.import_module(f".{name}", __package__)
    engine = getattr(module, ENGINES[name])
    try:
        opened: Engine = engine(found["place"], found["collection"])
    except engine.errors as error:
        raise unreachable(engine.name, error) from error
    return opened


def unreachable(name: str, error: Exception) -> ConnectionError:
    """Return one line for what a client raised."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ConnectionError(f"{name} cannot be reached or refuses: {said}")


def needs(client: str, extra: str, name: str) -> ImportError:
    """Return the error for a client that is not installed."""
    return ImportError(f"{name} needs {client}: pip install 'textvae[{extra}]'")
