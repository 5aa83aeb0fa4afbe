"""A folder of Parquet files that several machines write: each a shard of the rows, in parts, whole or absent."""

# N rows of a part, D dimensions of a vector
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .atomic import parse_json, read_json, write_json
from .errors import CorruptFileError
from .row_files import save_latents
from .schema import check_fields, integer

if TYPE_CHECKING:
    import numpy as np

ABOUT = "encoding.json"
DONE = {"rows": integer(0), "parts": integer(0, 1 << 31)}
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
        if not self.done.is_file():
            raise ValueError(
                f"{self.folder} has no complete shard {self.shard.number} of {self.shard.total}: encode it with "
                f"textvae encode --shard {self.shard.number}/{self.shard.total}"
            )
        return self._done()["rows"]

    def _done(self) -> dict[str, int]:
        content = read_json(self.done)
        check_fields(content, DONE, self.done)
        return content

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

    def rows(self, width: int) -> Iterator[tuple[Any, ...]]:
        """Yield each row of a complete shard: id, text, metadata as a dictionary, and vector as an array.

        Args:
            width: D.

        Raises:
            CorruptFileError: A part is missing or damaged, or the parts have other rows than were written.
        """
        import pyarrow
        from pyarrow import parquet

        rows = 0
        for number in range(self._done()["parts"]):
            part = self.part(number)
            try:
                if not part.is_file():  # at a FIFO, pyarrow would wait
                    raise ValueError("it is missing")
                with parquet.ParquetFile(part) as file:
                    for batch in file.iter_batches(1024, columns=list(COLUMNS)):
                        yield from _checked(batch, width)
                        rows += len(batch)
            except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
                raise CorruptFileError(f"{part} cannot be read ({error}): encode it again") from error
        if rows != self.count():
            raise CorruptFileError(
                f"the parts of {self.shard.name} have {rows} rows, not {self.count()}: encode it again"
            )


def _checked(batch: Any, width: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a batch; raise ValueError or an error of pyarrow if a value is not what it should be."""
    import numpy as np
    import pyarrow

    vectors = batch["vector"].cast(pyarrow.list_(pyarrow.float32(), width)).flatten().to_numpy().reshape(-1, width)
    ids, texts, metadata = (batch[name].to_pylist() for name in COLUMNS[:-1])
    known = [parse_json(each) if isinstance(each, str) else None for each in metadata]
    kinds = {str} >= set(map(type, texts)) and {dict} >= set(map(type, known))
    if not kinds or len(vectors) != len(batch) or not np.isfinite(vectors).all():
        raise ValueError("it holds values of other kinds")
    return zip(ids, texts, known, vectors, strict=True)
