"""Verbs of similarity search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..index.filters import parse_filter
from ..integrations.engines import is_address
from ..storage.folders import open_folder
from .errors import UsageError
from .options import (
    BLOCK,
    DEVICE,
    PRINTING,
    READING,
    STDIN,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Source,
    Text,
    at_least,
    blocks,
    can_write_folder,
    hush_libraries,
    sentences,
)

if TYPE_CHECKING:
    from ..index import Hit, LatentIndex
    from ..integrations.remote_index import RemoteIndex

ABOUT = "index.json"
HITS = 100_000  # in memory at a time, with their texts
Column = str
Keep = Annotated[list[str] | None, Parameter(consume_multiple=False)]
Rows = Iterator[dict[str, Any]]


def index(
    run: Run,
    corpus: Source | None = None,
    /,
    *,
    output: Output,
    shards: Annotated[Path | None, Parameter(name="--from")] = None,
    factory: str = "Flat",
    backend: str = "faiss",
    metric: Literal["cosine", "l2", "wasserstein"] = "cosine",
    id: Column | None = None,
    keep: Keep = None,
    resume: bool = False,
    batch_size: int = 64,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Embed a corpus for similarity search.

    Finished blocks are kept in OUTPUT.partial: a killed build continues with --resume.

    Args:
        corpus: File of texts, a data set on the hub, or - for standard input.
        shards: Folder that `textvae encode --shard` filled, in the place of a corpus: its texts are not encoded again.
        output: Index folder to write; an older index there is replaced.
        factory: faiss factory string: Flat is exact, HNSW32 or IVF256,Flat are faster on large corpora; auto chooses.
        backend: What stores and searches the vectors: faiss, or numpy, which is exact and slower.
        metric: Similarity of latents; wasserstein compares whole posteriors, means and standard deviations.
        id: Column of the corpus with an id of each text, all different; by default texts are numbered from 0.
        keep: Further column to store beside each text; may be repeated.
        resume: Continue a build of the same corpus that was interrupted, if there is one.
        batch_size: Texts encoded together.
    """
    at_least(1, "--batch-size", batch_size)
    can_write_folder(output, "index", ABOUT)
    from ..index.backends import backend_class

    backend_class(backend)  # raises the error before torch is imported, which takes seconds
    if (corpus is None) == (shards is None):
        raise UsageError("index needs a corpus, or --from with a folder of shards. See textvae index --help")
    encoded = _encoded(shards, id, keep)
    rows, ids, latents = encoded or (*rows_and_ids(reading, str(corpus), printing, id, keep), None)
    replaces = (output / ABOUT).exists()
    vae = device.load(run)
    if shards is not None:
        from ..index.shards import EncodedCorpus

        EncodedCorpus(shards).check_model(vae)
    from ..index import LatentIndex

    built = LatentIndex.build(
        vae,
        rows,
        ids=ids,
        latents=latents,
        factory=factory,
        backend=backend,
        metric=metric,
        batch_size=batch_size,
        path=output,
        resume=resume,
    )
    record = {"output": str(output), "texts": len(built), "dim": built.dim, "factory": built.factory, "metric": metric}
    printing.result(record, f"indexed {len(built):,} texts in {output}")
    if replaces:
        printing.note(f"the index that was in {output} is replaced; index-add and index-update change one")


def search(
    index: str,
    query: Text,
    /,
    *,
    k: Annotated[int, Parameter(name="-k")] = 10,
    where: str | None = None,
    blend: bool = False,
    model: Path | None = None,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Find the nearest texts of an index.

    Prints the score, larger is closer, and the text of each hit, separated by tabs; metadata follow as JSON. With
    several queries, the query comes first. With --blend, prints one text written from the hits of each query.

    Args:
        index: Index folder, or the address of a collection that textvae push made, ENGINE:PLACE#COLLECTION.
        query: The query, or - for those of standard input.
        k: Hits of each query.
        where: Condition on metadata that every hit must meet, such as "topic = 'food' and stars >= 4".
        blend: Write one text from what the hits have in common, each weighted by its score.
        model: Run folder of the model that built the index, if it has moved.
    """
    at_least(1, "k", k)
    if where is not None:
        parse_filter(where)  # raises the error before torch is imported, which takes seconds
    if not is_address(index):
        check_index(Path(index))  # the same
    queries = sentences(query)
    opened = _open(index, model, device)
    hush_libraries()  # it loads its model when it first encodes a query
    at_once = max(1, min(BLOCK, HITS // max(1, min(k, len(opened)))))
    for block in blocks(queries, at_once):
        for source, hits in zip(block, opened.search(block, k, where=where), strict=True):
            if blend:
                text = opened.blend(hits)
                blended = {"query": source, "text": text, "ids": [hit.id for hit in hits]}
                printing.result(blended, text if query != STDIN else f"{source}\t{text}")
                continue
            for rank, hit in enumerate(hits, 1):
                record = {"query": source, "rank": rank, "id": hit.id, "score": hit.score, "text": hit.text}
                line = _line(hit) if query != STDIN else f"{source}\t{_line(hit)}"
                printing.result(record | {"metadata": hit.metadata}, line)


def _encoded(shards: Path | None, id: str | None, keep: list[str] | None) -> Any:
    """Return the rows, ids and latents of a folder of shards, whose ids are given where they are texts."""
    if shards is None:
        return None
    if id or keep:
        raise UsageError("--id and --keep belong to textvae encode --shard: the shards hold what they name")
    from ..index.shards import EncodedCorpus

    corpus = EncodedCorpus(shards)
    named = len(corpus) > 0 and isinstance(next(corpus.rows())[0], str)
    first, rest, *again = tee(corpus.rows(), 2 + named)
    ids = (str(row[0]) for row in again[0]) if named else None
    return (row[1] for row in first), ids, (row[2] for row in rest)


def rows_and_ids(
    reading: Reading, corpus: str, printing: Printing, id: str | None, keep: Sequence[str] | None
) -> tuple[Rows, Iterator[str] | None]:
    """Return the rows of a corpus with the columns to keep, and the ids of a column, if one is named."""
    kept = list(keep or ())
    if id is None:
        return reading.rows(corpus, printing, kept), None
    rows, again = tee(reading.rows(corpus, printing, [*kept, id]))
    ids = ("" if row[id] is None else str(row[id]) for row in again)
    dropped = {id} - {*kept, "text"}
    return ({key: value for key, value in row.items() if key not in dropped} for row in rows), ids


def check_index(index: Path) -> None:
    """Raise an error that says why a folder is not an index."""
    if not (index / ABOUT).exists():
        open_folder(index, "index", ABOUT)


def _open(place: str, model: Path | None, device: Device) -> LatentIndex | RemoteIndex:
    if is_address(place):
        from ..integrations.remote_index import RemoteIndex

        return RemoteIndex.open(place, device.load(model) if model else None)
    from ..index import LatentIndex

    path = Path(place)
    run = model or (LatentIndex.load(path).model_path if device.device or device.precision == "int8" else None)
    return LatentIndex.load(path, device.load(run) if run else None, encoder_backend=device.encoder_backend)


def _line(hit: Hit) -> str:
    import json

    cells: list[Any] = [f"{hit.score:.4f}", hit.text.replace("\t", " ")]
    return "\t".join([*cells, json.dumps(hit.metadata, ensure_ascii=False)] if hit.metadata else cells)
