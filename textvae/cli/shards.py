"""A corpus encoded in shards, and an index of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from ..storage.shard_files import Shard
from .errors import UsageError
from .index import rows_and_ids
from .options import Device, Printing, Reading, names_a_folder

MOST_SHARDS = 1 << 16


def encode_one_shard(
    run: Path,
    corpus: str,
    output: Path | None,
    shard: str,
    id: str | None,
    keep: list[str] | None,
    batch_size: int,
    reading: Reading,
    device: Device,
    printing: Printing,
) -> None:
    """Encode a share of a corpus into a folder; the arguments are those of `textvae encode`."""
    part = _shard(shard)
    if output is None:
        raise UsageError("--shard needs a folder to write to, with -o. See textvae encode --help")
    names_a_folder(output, "a folder of shards")
    rows, ids = rows_and_ids(reading, corpus, printing, id, keep)
    vae = device.load(run)
    from ..index.shards import encode_shard

    every = part.total
    names: Iterator[Any] = count(part.number - 1, every) if ids is None else islice(ids, part.number - 1, None, every)
    encoded = encode_shard(vae, islice(rows, part.number - 1, None, every), names, output, part, batch_size=batch_size)
    record = {"output": str(output), "shard": shard, **encoded._asdict(), "dim": vae.dim}
    already = f", {encoded.unchanged:,} were there already" if encoded.unchanged else ""
    printing.result(record, f"encoded {encoded.written:,} texts to shard {shard} of {output}{already}")


def _shard(written: str) -> Shard:
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", written)
    number, shards = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= shards <= MOST_SHARDS:
        raise ValueError(f"--shard is a share such as 3/8, from 1/8 to 8/8, got {written!r}")
    return Shard(number, shards)
