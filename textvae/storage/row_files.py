"""Files of rows whose format is what their name says: npy, Parquet, JSON lines, csv, tsv and text."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

from .atomic import atomic_path, save_rows

JSON_LINES = (".jsonl", ".ndjson")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
TABLES = (".parquet", *JSON_LINES, *DELIMITERS)  # what holds more than vectors
Columns = Mapping[str, Sequence[Any]]


def save_latents(path: Path, blocks: Iterable[tuple[Columns, np.ndarray]]) -> int:
    """Write rows and their vectors in the format of the file's ending, and return their number.

    A table has the columns given and "vector". In csv and tsv, lists and objects are JSON. Text has the numbers of a
    vector on each line, an npy file the vectors alone; a name without ending is an npy file.

    Args:
        path: The file, written whole or not at all.
        blocks: Columns of N values, and vectors of shape (N, D); all blocks have the same columns.

    Raises:
        ValueError: There are no blocks.
    """
    suffix = path.suffix.lower()
    if suffix not in (*TABLES, ".txt"):
        return save_rows(path, (vectors for _, vectors in blocks))
    count = 0
    with ExitStack() as stack:
        staged = stack.enter_context(atomic_path(path))
        write: Callable[[Columns, np.ndarray], None] | None = None
        for columns, vectors in blocks:
            if write is None:
                write = stack.enter_context(_writer(staged, suffix))
            write(columns, vectors)
            count += len(vectors)
        if write is None:
            raise ValueError(f"there is nothing to write to {path}")
    return count


def save_record(path: Path, record: Mapping[str, Any], text: str) -> None:
    """Write one record in the format of the file's ending: a table of one row, `text` for .txt, else a JSON object."""
    suffix, row = path.suffix.lower(), finite(record)
    with atomic_path(path) as staged:
        if suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(
                pyarrow.Table.from_pylist([{name: _cell(value) for name, value in row.items()}]), staged
            )
        elif suffix in DELIMITERS:
            with open(staged, "w", encoding="utf-8", newline="") as file:
                table = csv.writer(file, delimiter=DELIMITERS[suffix], lineterminator="\n")
                table.writerows([list(row), [_cell(value) for value in row.values()]])
        else:
            indent = None if suffix in JSON_LINES else 2
            shown = text if suffix == ".txt" else json.dumps(row, ensure_ascii=False, indent=indent)
            staged.write_text(shown.rstrip("\n") + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """Return a value in which NaN and infinity, which JSON has not, are None, also inside lists and dictionaries.

    Examples:
        >>> finite({"loss": float("nan"), "steps": [1, 2]})
        {'loss': None, 'steps': [1, 2]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list | tuple) else value


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


class _Writer(AbstractContextManager[Any]):
    """Appends blocks to a file of lines."""

    def __init__(self, path: Path, suffix: str):
        self._file = open(path, "w", encoding="utf-8", newline="")
        self._suffix = suffix
        self._begun = False

    def __enter__(self) -> Callable[[Columns, np.ndarray], None]:
        return self._write

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _write(self, columns: Columns, vectors: np.ndarray) -> None:
        rows = zip(*columns.values(), vectors.tolist(), strict=True)
        names = [*columns, "vector"]
        if self._suffix == ".txt":
            self._file.writelines(" ".join(f"{number:.6g}" for number in vector) + "\n" for vector in vectors.tolist())
        elif self._suffix in JSON_LINES:
            records = (dict(zip(names, finite(row), strict=True)) for row in rows)
            self._file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        else:
            table = csv.writer(self._file, delimiter=DELIMITERS[self._suffix], lineterminator="\n")
            if not self._begun:
                table.writerow(names)
            table.writerows([_cell(value) for value in finite(row)] for row in rows)
        self._begun = True


class _ParquetWriter(AbstractContextManager[Any]):
    """Appends blocks to a Parquet file, whose types are those of the first block; objects are JSON."""

    def __init__(self, path: Path):
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> Callable[[Columns, np.ndarray], None]:
        return self._write

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write(self, columns: Columns, vectors: np.ndarray) -> None:
        import pyarrow
        from pyarrow import parquet

        cells = {name: [_cell(finite(value)) for value in values] for name, values in columns.items()}
        vector = pyarrow.array(list(vectors), pyarrow.list_(pyarrow.float32()))
        table = pyarrow.table({**cells, "vector": vector})
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)


def _writer(path: Path, suffix: str) -> AbstractContextManager[Callable[[Columns, np.ndarray], None]]:
    return _ParquetWriter(path) if suffix == ".parquet" else _Writer(path, suffix)
