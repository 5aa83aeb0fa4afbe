"""A corpus encoded in shards, by as many processes or machines, and read again as one in the order of the corpus."""

# N texts, D latent dimensions
from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._progress import Progress
from ..storage.atomic import read_json, write_json
from ..storage.schema import check_fields, integer, text
from ..storage.shard_files import ABOUT, Shard, ShardFiles
from .rows import Item, rows_of

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

PART = 8192  # texts of a file
FIELDS = {"format": integer(1, 1), "fingerprint": text(256), "dim": integer(1, 1 << 20), "shards": integer(1, 1 << 16)}


class Encoded(NamedTuple):
    """What encoding a shard did: texts encoded, and texts that were there already."""

    written: int
    unchanged: int


def encode_shard(
    vae: TextVAE, corpus: Iterator[Item], ids: Iterator[Any], folder: Path, shard: Shard, *, batch_size: int = 64
) -> Encoded:
    """Encode the texts of one shard into a folder; parts that are there already are kept.

    Args:
        vae: The model.
        corpus: Texts of the shard, every `shard.total`-th of the whole corpus.
        ids: An id of each.
        folder: The folder of all shards; several processes may write it at once.
        shard: Which shard it is.
        batch_size: Texts that the model encodes at once.

    Raises:
        ValueError: The folder holds the shards of another model, number of shards or corpus.
    """
    about = {"format": 1, "fingerprint": vae.fingerprint, "dim": vae.dim, "shards": shard.total}
    _begin(folder, about)
    files, number, counts = ShardFiles(folder, shard), 0, [0, 0]
    pairs = zip(rows_of(corpus), ids, strict=False)
    with Progress("encoded") as progress:
        for block in iter(lambda: list(islice(pairs, PART)), []):
            columns: dict[str, list[Any]] = {
                "id": [id for _, id in block],
                "text": [row.text for row, _ in block],
                "metadata": [json.loads(row.metadata) for row, _ in block],
            }
            held = files.part(number).exists()
            if held:
                _check_same(files, number, columns)
            else:
                files.done.unlink(missing_ok=True)
                files.write(number, columns, vae.encode(columns["text"], batch_size=batch_size))
            counts[held] += len(block)
            number += 1
            progress.advance(len(block))
    if files.part(number).exists():
        raise ValueError(f"{folder} was encoded from a longer corpus: give that, or another folder")
    files.finish(sum(counts), number)
    return Encoded(*counts)


def share(rows: Iterator[Item], ids: Iterator[Any] | None, shard: Shard) -> tuple[Iterator[Item], Iterator[Any]]:
    """Return the rows of a corpus that belong to a shard, and their ids: given ones, or their numbers from 0."""
    first, every = shard.number - 1, shard.total
    return islice(rows, first, None, every), count(first, every) if ids is None else islice(ids, first, None, every)


def shards_of(folder: Path) -> int | None:
    """Return how many shards a folder was begun with; None if it holds none."""
    return _about(folder)["shards"] if (folder / ABOUT).is_file() else None


class EncodedCorpus:
    """A corpus that was encoded in shards.

    Args:
        folder: The folder of all shards.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is no such folder, or a shard is not complete.
        CorruptFileError: The shards do not belong together.
    """

    def __init__(self, folder: Path):
        if not folder.exists():
            raise FileNotFoundError(f"there is no folder {folder}")
        if not (folder / ABOUT).is_file():
            raise ValueError(f"{folder} holds no shards of textvae encode --shard: it has no {ABOUT}")
        about = _about(folder)
        self.folder, self.fingerprint, self.dim = folder, about["fingerprint"], about["dim"]
        count = about["shards"]
        self._shards = [ShardFiles(folder, Shard(number, count)) for number in range(1, count + 1)]
        counts = [files.count() for files in self._shards]
        self._rows = sum(counts)
        for files, rows in zip(self._shards, counts, strict=True):
            if rows != files.shard.size(self._rows):
                raise ValueError(
                    f"the shards of {folder} come from corpora of different lengths: {files.shard.name} has {rows:,} "
                    f"of {self._rows:,} rows; encode it again in another folder"
                )

    def __len__(self) -> int:
        return self._rows

    def rows(self) -> Iterator[tuple[Any, Item, Any]]:
        """Yield id, text with its metadata, and latent (D,) of each row, in the order of the corpus."""
        streams = [files.rows(self.dim) for files in self._shards]
        for position in range(self._rows):
            id, text, metadata, latent = next(streams[position % len(streams)])
            yield id, {**metadata, "text": text}, latent
        for stream in streams:
            next(stream, None)  # compares the number of rows with what was written

    def check_model(self, vae: TextVAE) -> None:
        """Raise ValueError unless a model encoded the corpus."""
        if vae.fingerprint != self.fingerprint:
            raise ValueError(
                f"{self.folder} was encoded by another model (fingerprint {self.fingerprint}) than {vae.path} "
                f"(fingerprint {vae.fingerprint}): give that model, or encode the corpus again"
            )


def _about(folder: Path) -> dict[str, Any]:
    about = read_json(folder / ABOUT)
    check_fields(about, FIELDS, folder / ABOUT)
    return about


def _begin(folder: Path, about: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = folder / ABOUT
    if not there.exists():
        if any(file.name.startswith("shard-") for file in folder.iterdir()):
            raise ValueError(f"{folder} holds shards without {ABOUT}: choose another folder")
        write_json(there, about)
    held = read_json(there)
    for key, value in about.items():
        if held.get(key) != value:
            raise ValueError(
                f"{folder} was begun with the {key} {held.get(key)!r}, not {value!r}: choose another folder"
            )


def _check_same(files: ShardFiles, number: int, columns: dict[str, list[Any]]) -> None:
    held = files.columns(number, ["id", "text"])
    if held["id"] != columns["id"] or held["text"] != columns["text"]:
        raise ValueError(
            f"{files.part(number)} was encoded from another corpus: give that corpus, or another folder for this one"
        )
