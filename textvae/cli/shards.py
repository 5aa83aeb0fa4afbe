"""A corpus encoded in shards, and an index of them."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from ..storage.shard_files import Shard
from .errors import UsageError
from .index import rows_and_ids
from .options import STDIN, Device, Printing, Reading, at_least, folder_of, names_a_folder

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
    output = _folder(output, "--shard")
    rows, ids = rows_and_ids(reading, corpus, printing, id, keep)
    vae = device.load(run)
    from ..index.shards import encode_shard, share

    encoded = encode_shard(vae, *share(rows, ids, part), output, part, batch_size=batch_size)
    record = {"output": str(output), "shard": shard, **encoded._asdict(), "dim": vae.dim}
    already = f", {encoded.unchanged:,} were there already" if encoded.unchanged else ""
    printing.result(record, f"encoded {encoded.written:,} texts to shard {shard} of {output}{already}")


def encode_by_ray(
    run: Path,
    corpus: str,
    output: Path | None,
    workers: int | None,
    id: str | None,
    keep: list[str] | None,
    batch_size: int,
    reading: Reading,
    device: Device,
    printing: Printing,
) -> None:
    """Encode a corpus into a folder by the workers of Ray; the arguments are those of `textvae encode`."""
    output = _folder(output, "--engine")
    if corpus == STDIN:
        raise UsageError("--engine ray needs a corpus that every worker can read: give a file instead of -")
    if workers is not None:
        at_least(1, "--workers", workers)
    path = Path(corpus)
    corpus = str(path.resolve()) if path.exists() else corpus  # workers have a folder of their own
    run = folder_of(run).resolve()
    read = partial(rows_and_ids, reading, corpus, Printing(quiet=True), id, keep)
    read()  # a bad corpus is refused before workers start
    from ..integrations.ray import encode_with_ray

    gpu = (device.device or "").startswith("cuda")
    encoded = encode_with_ray(partial(device.load, run), read, output, workers=workers, gpu=gpu, batch_size=batch_size)
    record = {"output": str(output), "engine": "ray", **encoded._asdict()}
    already = f", {encoded.unchanged:,} were there already" if encoded.unchanged else ""
    printing.result(record, f"encoded {encoded.written:,} texts to {output}{already}")


def _folder(output: Path | None, flag: str) -> Path:
    if output is None:
        raise UsageError(f"{flag} needs a folder to write to, with -o. See textvae encode --help")
    names_a_folder(output, "a folder of shards")
    return output


def _shard(written: str) -> Shard:
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", written)
    number, shards = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= shards <= MOST_SHARDS:
        raise ValueError(f"--shard is a share such as 3/8, from 1/8 to 8/8, got {written!r}")
    return Shard(number, shards)
