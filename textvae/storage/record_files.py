"""Files of records whose format is what their name says: csv, tsv, JSON lines and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .atomic import atomic_path
from .row_files import DELIMITERS, TABLES, finite


def save_records(path: Path, blocks: Iterable[Sequence[Mapping[str, Any]]], columns: Mapping[str, type]) -> int:
    """Write records block by block, and return their number.

    Args:
        path: The file, written whole or not at all.
        blocks: Records with the same keys; values are texts, numbers or None.
        columns: These keys and the types of their values, str or float.

    Raises:
        ValueError: The name of the file says no format of tables.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLES:
        raise ValueError(f"{path} has the ending {suffix or 'none'}: choose one of {', '.join(TABLES)}")
    with atomic_path(path) as staged:
        if suffix == ".parquet":
            return _save_parquet(staged, blocks, columns)
        count = 0
        with open(staged, "w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(columns), delimiter=DELIMITERS.get(suffix, ","), lineterminator="\n")
            if suffix in DELIMITERS:
                table.writeheader()
            for block in blocks:
                if suffix in DELIMITERS:
                    table.writerows(block)
                else:
                    file.writelines(json.dumps(finite(record), ensure_ascii=False) + "\n" for record in block)
                count += len(block)
        return count


def _save_parquet(path: Path, blocks: Iterable[Sequence[Mapping[str, Any]]], columns: Mapping[str, type]) -> int:
    import pyarrow
    from pyarrow import parquet

    types = {str: pyarrow.string(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            writer.write_table(pyarrow.Table.from_pylist([dict(record) for record in block], schema))
            count += len(block)
    return count
