"""The verb that copies an index to a vector database."""

from __future__ import annotations

from pathlib import Path

from ..integrations.engines import EXAMPLES, is_address
from .index import check_index
from .options import DEVICE, PRINTING, Device, Printing, at_least, hush_libraries


def push(
    index: Path,
    /,
    *,
    to: str,
    prune: bool = False,
    batch_size: int = 512,
    model: Path | None = None,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Copy an index to Qdrant, Milvus, PostgreSQL with pgvector, or LanceDB.

    Items that are there already are not sent again, so a push that was interrupted goes on when it is repeated.

    Args:
        index: Index folder.
        to: Address of the collection, ENGINE:PLACE#COLLECTION, such as qdrant:http://localhost:6333#reviews; the place
            is what the engine's own client takes. Passwords come from QDRANT_API_KEY, MILVUS_TOKEN, PGPASSWORD. A name
            that ends in .ndjson is a file for the bulk interface of Elasticsearch, with the mapping beside it.
        prune: Remove items of the collection that the index does not have.
        batch_size: Items of one request.
        model: Run folder of the model, if it has moved and the index compresses its vectors.
        device: Where the model runs.
        printing: What is printed.
    """
    at_least(1, "--batch-size", batch_size)
    bulk = Path(to) if to.endswith(".ndjson") else None
    if bulk is None and not is_address(to):
        raise ValueError(f"{to!r} is no address of a collection: give ENGINE:PLACE#COLLECTION, such as {EXAMPLES}")
    check_index(index)
    from ..index import LatentIndex
    from ..integrations.remote_index import push as copy

    hush_libraries()  # an index of compressed vectors loads its model
    opened = LatentIndex.load(index, device.load(model) if model else None, mmap=True)
    if bulk is not None:
        from ..integrations.elastic import write_bulk

        written = write_bulk(opened, bulk, bulk.stem, batch_size=batch_size)
        record = {"index": str(index), "to": to, "written": written}
        printing.result(record, f"wrote {written:,} texts to {to}, and {bulk.stem}.mapping.json beside it")
        return
    pushed = copy(opened, to, prune=prune, batch_size=batch_size)
    record = {"index": str(index), "to": to, **pushed._asdict()}
    also = f", removed {pushed.removed:,}" if prune else ""
    printing.result(record, f"wrote {pushed.written:,} texts to {to}, {pushed.unchanged:,} were there already{also}")
