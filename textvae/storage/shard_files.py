"""A folder of Parquet files that several machines write: each a shard of the rows, in parts, whole or absent."""

# N rows of a part, D dimensions of a vector
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .atomic import read_json, write_json
from .errors import CorruptFileError
from .row_files import save_latents

if TYPE_CHECKING:
    import numpy as np

ABOUT = "encoding.json"
COLUMNS = ("id", "text", "metadata", "vector")


class Shard(NamedTuple):
    """One of several shards: row r of a corpus belongs to the shard r % total + 1.

    Attributes:
        number: From 1.
        total: How many there are.
    """

    number: int
    total: int

    @property
    def name(self) -> str:
        """How the names of its files begin."""
        return f"shard-{self.number:05d}-of-{self.total:05d}"

    def size(self, rows: int) -> int:
        """Return how many of so many rows are in it."""
        return (rows - self.number) // self.total + 1 if rows >= self.number else 0


class ShardFiles:
    """The files of one shard.

    Args:
        folder: The folder, which need not exist.
        shard: The shard.
    """

    def __init__(self, folder: Path, shard: Shard):
        self.folder, self.shard = folder, shard
        self.done = folder / f"{shard.name}.json"

    def part(self, number: int) -> Path:
        """Return the name of a part, counted from 0."""
        return self.folder / f"{self.shard.name}.part-{number:05d}.parquet"

    def write(self, number: int, columns: Mapping[str, Sequence[Any]], vectors: np.ndarray) -> None:
        """Write a part: columns of N values, and vectors (N, D)."""
        save_latents(self.part(number), [(columns, vectors)])

    def finish(self, rows: int, parts: int) -> None:
        """Note that the shard is complete."""
        write_json(self.done, {"rows": rows, "parts": parts})

    def count(self) -> int:
        """Return the rows of a complete shard.

        Raises:
            ValueError: It is not complete.
        """
        if not self.done.exists():
            raise ValueError(
                f"{self.folder} has no complete shard {self.shard.number} of {self.shard.total}: encode it with "
                f"textvae encode --shard {self.shard.number}/{self.shard.total}"
            )
        return int(read_json(self.done)["rows"])

    def columns(self, number: int, names: Sequence[str]) -> dict[str, list[Any]]:
        """Return columns of a part, as Python values.

        Raises:
            CorruptFileError: The file cannot be read.
        """
        import pyarrow
        from pyarrow import parquet

        try:
            table = parquet.read_table(self.part(number), columns=list(names))
        except (pyarrow.ArrowException, OSError) as error:
            raise CorruptFileError(
                f"{self.part(number)} cannot be read ({error}): delete and encode it again"
            ) from error
        return {name: table.column(name).to_pylist() for name in names}

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield each row of a complete shard: id, text, metadata as JSON, and vector as an array.

        Raises:
            CorruptFileError: A part is missing or damaged, or the parts have other rows than were written.
        """
        import pyarrow
        from pyarrow import parquet

        parts, rows = int(read_json(self.done)["parts"]), 0
        for number in range(parts):
            try:
                with parquet.ParquetFile(self.part(number)) as file:
                    for batch in file.iter_batches(1024, columns=list(COLUMNS)):
                        vectors = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
                        yield from zip(*(batch[name].to_pylist() for name in COLUMNS[:-1]), vectors, strict=True)
                        rows += len(batch)
            except (pyarrow.ArrowException, OSError, ValueError) as error:
                raise CorruptFileError(f"{self.part(number)} cannot be read ({error}): encode it again") from error
        if rows != self.count():
            raise CorruptFileError(
                f"the parts of {self.shard.name} have {rows} rows, not {self.count()}: encode it again"
            )
