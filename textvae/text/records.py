"""Records of JSON lines, Parquet files and data sets on the hub, and their fields, also nested ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from ..storage.errors import CorruptFileError, with_article
from .lines import one_line

LOOKAHEAD = 1000  # records after the first that may have a column which it lacks
DEEPEST = 8  # levels of nested fields that have names


class ChooseFields(Protocol):
    """Given the columns there are and the paths of fields inside them, returns the wanted ones: the text first."""

    def __call__(self, names: Sequence[str], /, nested: Sequence[str] = ()) -> list[str]:  # noqa: D102
        ...


def field(record: Mapping[str, Any], path: str) -> Any:
    """Return the value of a field: that of the key itself or, step by step at its dots, of nested ones; None if absent.

    Examples:
        >>> field({"ticket": {"body": "the screen is dim"}}, "ticket.body")
        'the screen is dim'
    """
    if path in record:
        return record[path]
    for end, mark in enumerate(path):
        inner = record.get(path[:end]) if mark == "." else None
        if isinstance(inner, Mapping):
            return field(inner, path[end + 1 :])
    return None


def read_json(lines: Iterator[str], name: str, choose: ChooseFields) -> Iterator[Sequence[object]]:
    """Yield the wanted values of each object of JSON lines.

    Raises:
        ValueError: A line is not a JSON object.
    """
    return _chosen(_json_objects(lines, name), choose)


def read_parquet(path: Path, choose: ChooseFields) -> Iterator[Sequence[object]]:
    """Yield the wanted values of each row of a Parquet file, of which no other column is read.

    Raises:
        CorruptFileError: The file is damaged.
    """
    import pyarrow
    from pyarrow import parquet

    with open(path, "rb") as file:
        try:
            table = parquet.ParquetFile(file)
            names = table.schema_arrow.names
            wanted = choose(names, _nested_types(table.schema_arrow))
            for batch in table.iter_batches(batch_size=1024, columns=list(dict.fromkeys(wanted))):
                yield from zip(*(_column(batch, path) for path in wanted), strict=True)
        except (pyarrow.ArrowException, OSError) as error:
            raise CorruptFileError(f"{path} is not a whole Parquet file ({one_line(error)}): restore it") from error


def read_hub(source: str, split: str, streaming: bool, choose: ChooseFields) -> Iterator[Sequence[object]]:
    """Yield the wanted values of each record of a data set on the hub.

    Raises:
        FileNotFoundError: It cannot be loaded.
        ValueError: The same, for a reason other than the network.
    """
    import datasets

    dataset_name, _, configuration = source.partition(":")
    try:
        dataset = datasets.load_dataset(dataset_name, configuration or None, split=split, streaming=streaming)
    except Exception as error:  # every layer below (network, hub, builder) raises its own kinds
        kind = FileNotFoundError if isinstance(error, OSError) else ValueError
        message = f"there is no file {source!r} and no data set of that name could be loaded ({one_line(error)})"
        raise kind(message) from error
    yield from _chosen(iter(dataset), choose)


def _json_objects(lines: Iterator[str], name: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name} line {number} is not JSON ({error}): write one object a line") from error
        if not isinstance(record, dict | None):
            kind = with_article(type(record).__name__)
            raise ValueError(f"{name} line {number} is {kind}, not a JSON object: write one object a line")
        yield record or {}


def _chosen(records: Iterator[dict[str, object]], choose: ChooseFields) -> Iterator[Sequence[object]]:
    """Yield the wanted values of each record; where the first record lacks a column, those behind it may have it."""
    head: list[dict[str, object]] = []
    for record in records:
        head.append(record)
        if record:
            break
    else:
        yield from ([None] for _ in head)
        return
    try:
        wanted = choose(list(head[-1]), _paths(head[-1]))
    except ValueError:
        head += islice(records, LOOKAHEAD)
        paths = dict.fromkeys(path for record in head for path in _paths(record))
        wanted = choose(list(dict.fromkeys(key for record in head for key in record)), list(paths))
    for record in chain(head, records):
        yield [field(record, path) for path in wanted]


def _paths(record: Mapping[str, Any], levels: int = DEEPEST) -> list[str]:
    """Return the paths of the fields inside the objects of a record."""
    inner = {key: value for key, value in record.items() if isinstance(value, Mapping)} if levels else {}
    return [f"{key}.{path}" for key, value in inner.items() for path in [*map(str, value), *_paths(value, levels - 1)]]


def _nested_types(struct: Any, levels: int = DEEPEST) -> list[str]:
    """Return the same for the types of a schema."""
    import pyarrow

    inner = [each for each in struct if pyarrow.types.is_struct(each.type)] if levels else []
    return [
        f"{each.name}.{path}"
        for each in inner
        for path in [*(part.name for part in each.type), *_nested_types(each.type, levels - 1)]
    ]


def _column(batch: Any, path: str) -> list[Any]:
    names = batch.schema.names
    if path in names:
        return batch.column(path).to_pylist()
    top = max((name for name in names if path.startswith(f"{name}.")), key=len)
    return [field({top: value}, path) for value in batch.column(top).to_pylist()]
