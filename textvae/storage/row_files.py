"""Files of rows whose format is what their name says: npy, Parquet, JSON lines, csv, tsv and text."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

from .atomic import atomic_path, save_rows

JSON_LINES = (".jsonl", ".ndjson")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
TABLES = (".parquet", *JSON_LINES, *DELIMITERS)  # what holds more than vectors
Columns = Mapping[str, Any]  # sequences of N values, and arrays (N, D) of vectors
Types = Mapping[str, type]  # str or float


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
    if path.suffix.lower() not in (*TABLES, ".txt"):
        return save_rows(path, (vectors for _, vectors in blocks))
    return _save(path, ({**columns, "vector": vectors} for columns, vectors in blocks))


def save_records(path: Path, blocks: Iterable[Sequence[Mapping[str, Any]]], types: Types) -> int:
    """Write records as a table block by block, and return their number, which may be 0.

    Args:
        path: The file, written whole or not at all.
        blocks: Records with the same keys; values are texts, numbers or None.
        types: These keys and the types of their values, str or float.

    Raises:
        ValueError: The name of the file says no format of tables.
    """
    if path.suffix.lower() not in TABLES:
        raise ValueError(f"{path} has the ending {path.suffix or 'none'}: choose one of {', '.join(TABLES)}")
    return _save(path, ({name: [record[name] for record in block] for name in types} for block in blocks), types)


def save_record(path: Path, record: Mapping[str, Any], text: str) -> None:
    """Write one record in the format of the file's ending: a table of one row, `text` for .txt, else a JSON object."""
    if path.suffix.lower() in TABLES:
        _save(path, [{name: [value] for name, value in record.items()}])
        return
    shown = text if path.suffix.lower() == ".txt" else json.dumps(finite(record), ensure_ascii=False, indent=2)
    with atomic_path(path) as staged:
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


def _save(path: Path, blocks: Iterable[Columns], types: Types | None = None) -> int:
    suffix, count = path.suffix.lower(), 0
    with atomic_path(path) as staged:
        with _parquet(staged, types) if suffix == ".parquet" else _lines(staged, suffix, types) as write:
            for columns in blocks:
                write(columns)
                count += len(next(iter(columns.values())))
        if not count and types is None:
            raise ValueError(f"there is nothing to write to {path}")
    return count


@contextmanager
def _lines(path: Path, suffix: str, types: Types | None) -> Iterator[Callable[[Columns], None]]:
    """Yield a function that appends a block to a file of lines."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=DELIMITERS.get(suffix, ","), lineterminator="\n")
        if types is not None and suffix in DELIMITERS:
            table.writerow(types)
        begun = types is not None

        def write(columns: Columns) -> None:
            nonlocal begun
            if suffix == ".txt":
                file.writelines(" ".join(f"{number:.6g}" for number in vector) + "\n" for vector in columns["vector"])
                return
            values = (each.tolist() if hasattr(each, "tolist") else each for each in columns.values())
            rows = (finite(row) for row in zip(*values, strict=True))
            if suffix in JSON_LINES:
                records = (dict(zip(columns, row, strict=True)) for row in rows)
                file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
                return
            if not begun:
                table.writerow(columns)
            begun = True
            table.writerows([_cell(value) for value in row] for row in rows)

        yield write


@contextmanager
def _parquet(path: Path, types: Types | None) -> Iterator[Callable[[Columns], None]]:
    """Yield a function that appends a block to a Parquet file, by default of the first block's types."""
    import pyarrow
    from pyarrow import parquet

    known = {str: pyarrow.string(), float: pyarrow.float64()}
    schema = None if types is None else pyarrow.schema([(name, known[kind]) for name, kind in types.items()])
    with ExitStack() as stack:
        writer = None if schema is None else stack.enter_context(parquet.ParquetWriter(path, schema))

        def write(columns: Columns) -> None:
            nonlocal writer
            cells = {
                name: pyarrow.array(list(values), pyarrow.list_(pyarrow.float32()))
                if hasattr(values, "tolist")
                else [_cell(finite(value)) for value in values]
                for name, values in columns.items()
            }
            table = pyarrow.table(cells, schema)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)

        yield write


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
