"""Verbs that change a saved index."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .index import Column, Keep, check_index, rows_and_ids
from .options import (
    DEVICE,
    PRINTING,
    READING,
    STDIN,
    Device,
    Printing,
    Reading,
    Source,
    at_least,
    hush_libraries,
    sentences,
)

if TYPE_CHECKING:
    from ..index import LatentIndex


def index_add(
    index: Path,
    corpus: Source,
    /,
    *,
    id: Column | None = None,
    keep: Keep = None,
    model: Path | None = None,
    batch_size: int = 64,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Add texts to an index.

    Args:
        index: Index folder.
        corpus: File of texts, a data set on the hub, or - for standard input.
        id: Column of the corpus with an id of each text, for an index that was built with --id.
        keep: Further column to store beside each text; may be repeated.
        model: Run folder of the model that built the index, if it has moved.
        batch_size: Texts encoded together.
    """
    at_least(1, "--batch-size", batch_size)
    check_index(index)
    rows, ids = rows_and_ids(reading, corpus, printing, id, keep)
    with _edited(index, model, device) as opened:
        added = opened.add(rows, ids=ids, batch_size=batch_size)
    record = {"index": str(index), "added": len(added), "texts": len(opened), "ids": added}
    printing.result(record, f"added {len(added):,} texts to {index}, which now has {len(opened):,}")


def index_remove(index: Path, /, *ids: str, printing: Printing = PRINTING) -> None:
    """Remove texts from an index.

    Args:
        index: Index folder.
        ids: Ids of the texts, as textvae search --json prints them; - alone takes those of standard input.
    """
    if not ids:
        raise UsageError("index-remove needs ids. See textvae index-remove --help")
    check_index(index)
    wanted = list(sentences(STDIN)) if ids == (STDIN,) else list(ids)
    with _edited(index, None, DEVICE) as opened:
        removed = opened.remove(_as_they_are(opened, wanted))
    record = {"index": str(index), "removed": removed, "texts": len(opened)}
    printing.result(record, f"removed {removed:,} texts from {index}, which now has {len(opened):,}")


def index_update(
    index: Path,
    corpus: Source,
    /,
    *,
    id: Column,
    keep: Keep = None,
    upsert: bool = False,
    model: Path | None = None,
    batch_size: int = 64,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Replace texts of an index, with their metadata and vectors.

    Args:
        index: Index folder.
        corpus: File of the new texts, a data set on the hub, or - for standard input.
        id: Column of the corpus with the id of the text that each row replaces.
        keep: Further column to store beside each text; may be repeated.
        upsert: Add the texts of ids that the index does not have, instead of refusing them.
        model: Run folder of the model that built the index, if it has moved.
        batch_size: Texts encoded together.
    """
    at_least(1, "--batch-size", batch_size)
    check_index(index)
    rows, ids = rows_and_ids(reading, corpus, printing, id, keep)
    texts, names = list(rows), list(ids or ())
    with _edited(index, model, device) as opened:
        before = len(opened)
        change = opened.upsert if upsert else opened.update
        change(_as_they_are(opened, names), texts, batch_size=batch_size)
    added = len(opened) - before
    record = {"index": str(index), "updated": len(texts) - added, "added": added, "texts": len(opened)}
    also = f" and added {added:,}" if upsert else ""
    printing.result(record, f"updated {len(texts) - added:,} texts of {index}{also}, which has {len(opened):,}")


def _edited(path: Path, model: Path | None, device: Device) -> AbstractContextManager[LatentIndex]:
    from ..index import LatentIndex

    hush_libraries()  # the index loads its model when it first encodes a text
    run = model or (LatentIndex.load(path).model_path if device.device else None)
    return LatentIndex.edit(path, device.load(run) if run else None)


def _as_they_are(index: LatentIndex, ids: list[str]) -> list[Any]:
    """Return ids of the type that the index has: integers, or strings if it was built with ids."""
    if index.named is not False:
        return ids
    try:
        return [int(id) for id in ids]
    except ValueError:
        wrong = next(id for id in ids if not id.strip().lstrip("-").isdigit())
        remedy = "build it with --id to use strings"
        raise ValueError(f"the ids of this index are numbers, got {wrong!r}: {remedy}") from None
