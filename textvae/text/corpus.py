"""Corpora: reading from files, standard input or the hub, and splitting into training and validation."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import logging
import os
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.errors import CorruptFileError, with_article
from .cleaning import GateReport, clean_one

logger = logging.getLogger("textvae")

TEXT_COLUMNS = ("text", "sentence", "content", "review")  # default text columns, in this order
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
FORMATS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"

LONGEST_LINE = 1 << 26  # bytes; limits the memory for a file without line ends
TABLE = re.compile(r"\.[ct]sv(\.gz)?$", re.IGNORECASE)
WORDS_OF_A_TEXT = 3  # words from which a column name is suspected to be a text
VALIDATION_SHARE, VALIDATION_CAP = 0.05, 2000  # share of the texts, and maximum number
LOOKAHEAD = 1000  # records searched for a column that the first record lacks
HEAD = 8192  # bytes inspected to distinguish text from binary
# Binary formats that begin with valid UTF-8; others are detected by NUL bytes or by failing to decode.
MAGIC = {b"PK\x03\x04": "a zip archive", b"PAR1\x15": "a Parquet file", b"%PDF-": "a PDF"}
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(:[\w.-]+)?")
FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,7}")  # tells a missing "data.csv" from a data set "owner/name-v1.1"

# Maps the available columns to the selected ones, the text column first.
Choose = Callable[[Sequence[str]], list[str]]


def read_texts(
    source: str | os.PathLike[str],
    *,
    column: str | int | None = None,
    split: str = "train",
    streaming: bool = True,
    limit: int | None = None,
    report: GateReport | None = None,
) -> Iterator[str]:
    """Yield the cleaned texts of a corpus one by one; the source is read lazily.

    Args:
        source: "-" for standard input; a file (.csv, .tsv, .jsonl, .json, .parquet; any other has one sentence per
            line; all but Parquet also with .gz); or, if there is no such file, a Hugging Face data set "owner/name" or
            "owner/name:configuration".
        column: Name of the text column. For csv and tsv, an integer (or "1") is a position from 0 and means that there
            is no header. Default: "text", "sentence", "content" or "review", else the only column.
        split: Split of a hub data set.
        streaming: Whether to stream a hub data set instead of downloading it first.
        limit: Stop after this many texts.
        report: Updated with the numbers of texts read, kept, skipped and changed.

    Raises:
        FileNotFoundError: There is no such file, and no such data set could be loaded.
        IsADirectoryError: The source is a folder.
        CorruptFileError: A Parquet or gzip file is damaged.
        ValueError: The file is not text, lacks the column, violates its format, or contains no text. Errors in the
            content are raised during iteration, errors in the name at once.
    """
    rows = read_rows(source, column=column, split=split, streaming=streaming, limit=limit, report=report)
    return (str(row["text"]) for row in rows)


def read_rows(
    source: str | os.PathLike[str],
    *,
    column: str | int | None = None,
    columns: Sequence[str | int] | None = None,
    split: str = "train",
    streaming: bool = True,
    limit: int | None = None,
    report: GateReport | None = None,
) -> Iterator[dict[str, object]]:
    """Yield the rows of a corpus as dictionaries with the cleaned "text" and the values of `columns`.

    `column` is the text column and `columns` are others to keep, such as labels. Rows without text are skipped. Values
    are strings in csv and tsv, else of the type in the file, and None if missing; a column given by position has its
    digits as key. Other arguments and errors are those of `read_texts`.

    Raises:
        TypeError: `columns` is one string.
        ValueError: One of `columns` is missing, or is called "text" while the text column is another one.
    """
    if isinstance(columns, (str, bytes)):
        raise TypeError(f"columns is a string, not a list: write [{columns!r}]")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    name = "standard input" if os.fspath(source) == "-" else os.fspath(source)
    text_column = None if column is None else str(column)
    others = [str(other) for other in columns or ()]
    if "text" in others and text_column not in (None, "text"):
        raise ValueError(f"column 'text' cannot be kept while {text_column!r} is the text: rename it in {name}")
    read = _reader(os.fspath(source), name, text_column, others, split, streaming)
    choose = partial(_choose, name=name, column=text_column, others=others)
    return _rows(read(choose), name, others, limit, GateReport() if report is None else report)


def read_corpus(
    source: str | os.PathLike[str],
    *,
    column: str | int | None = None,
    split: str = "train",
    streaming: bool = True,
    limit: int | None = None,
    report: GateReport | None = None,
) -> list[str]:
    """Return the cleaned texts of a corpus as a list; arguments and errors are those of `read_texts`."""
    return list(read_texts(source, column=column, split=split, streaming=streaming, limit=limit, report=report))


def split_validation(texts: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Split texts at random into (training, validation) so that no string is in both.

    Validation gets each of its strings once: those that occur once in the corpus first, then the least repeated, as
    long as training loses at most 5% of the texts. It has at least one and at most 2,000. Training keeps its order.

    Args:
        texts: The corpus.
        seed: The same seed gives the same split.

    Raises:
        ValueError: There are fewer than two different texts.

    Examples:
        >>> [len(part) for part in split_validation([str(i) for i in range(100)])]
        [95, 5]
    """
    if len(texts) < 2:
        raise ValueError(f"a corpus needs at least 2 sentences, got {len(texts)}")
    counts = Counter(texts)
    if len(counts) < 2:
        raise ValueError(f"a corpus needs at least 2 different sentences, got 1 that occurs {len(texts):,} times")
    distinct = list(counts)
    shuffled = [distinct[i] for i in np.random.default_rng(seed).permutation(len(distinct))]
    shuffled.sort(key=counts.__getitem__)
    lost = np.cumsum([counts[text] for text in shuffled])
    size = max(1, min(VALIDATION_CAP, int((lost <= round(VALIDATION_SHARE * len(texts))).sum()), len(distinct) - 1))
    valid = shuffled[:size]
    held_out = set(valid)
    return [text for text in texts if text not in held_out], valid


def _rows(
    values: Iterator[Sequence[object]], name: str, others: Sequence[str], limit: int | None, report: GateReport
) -> Iterator[dict[str, object]]:
    kept = 0
    for text, *rest in values:
        try:
            cleaned = clean_one(text, report)
        except TypeError as error:
            raise ValueError(f"{name}: {error}; choose a column of texts with --column") from error
        if not cleaned:
            continue
        yield dict(zip(others, rest, strict=False)) | {"text": cleaned}
        kept += 1
        if kept == limit:
            return
    if not kept:
        raise ValueError(f"{name} holds no text ({report.summary()})")


def _choose(names: Sequence[str], *, name: str, column: str | None, others: Sequence[str]) -> list[str]:
    """Select columns from the available names, the text column first."""
    has = f"it has {', '.join(names) or 'none'}"
    if column is None:
        known = [candidate for candidate in TEXT_COLUMNS if candidate in names]
        if not known and len(names) != 1:
            remedy = f"choose with --column{_position(name, names)}"
            raise ValueError(f"{name} has no column called {' or '.join(TEXT_COLUMNS)}: {has}; {remedy}")
        column = (known or list(names))[0]
        if _is_text(name, column):
            logger.warning("%s: the first row %r is taken for a header; if it is a text, use --column 0", name, column)
    for wanted in (column, *others):
        if wanted not in names:
            raise ValueError(f"{name} has no column {wanted!r}: {has}")
    return [column, *others]


def _position(name: str, names: Sequence[str]) -> str:
    """Return a hint for the error message if the first row of a table looks like texts instead of column names."""
    longest = max(range(len(names)), key=lambda i: len(names[i]), default=0)
    if not names or not _is_text(name, names[longest]):
        return ""
    return f"; if its first row is a text, not a header, give the position of the column, from 0: --column {longest}"


def _is_text(name: str, column: str) -> bool:
    """Return whether a column name in a csv or tsv file looks like a text."""
    return bool(TABLE.search(name)) and len(column.split()) >= WORDS_OF_A_TEXT


def _reader(
    source: str, name: str, column: str | None, others: Sequence[str], split: str, streaming: bool
) -> Callable[[Choose], Iterator[Sequence[object]]]:
    """Return the reader for this kind of source, after checking that the source exists."""
    path = Path(source)
    if source != "-" and not os.path.exists(source):  # unlike Path.exists, accepts names that are too long
        if FILE_SUFFIX.fullmatch(path.suffix) or not HUB_NAME.fullmatch(source):
            raise FileNotFoundError(f"there is no file {source!r}: give a {FORMATS} file, or - for standard input")
        return partial(_read_hub, source, split, streaming)
    if path.is_dir():
        example = min((child for child in path.iterdir() if child.suffix in SUFFIXES), default=path / "corpus.txt")
        raise IsADirectoryError(f"{source} is a folder: give a file, such as {example}")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return partial(_read_parquet, path)
    kind = Path(path.stem).suffix.lower() if suffix == ".gz" else suffix
    lines = _lines(source, name)
    if kind in (".csv", ".tsv"):
        has_header = not any(re.fullmatch("[0-9]+", wanted) for wanted in (column or "", *others))
        return partial(_read_table, lines, name, kind == ".tsv", has_header)
    if kind in (".jsonl", ".json"):
        return partial(_read_json, lines, name)
    if column is not None or others:
        raise ValueError(f"{name} is plain text, which has no columns: leave {column or others[0]!r} out")
    return lambda _: ([line] for line in lines)


def _read_table(
    lines: Iterator[str], name: str, is_tsv: bool, has_header: bool, choose: Choose
) -> Iterator[Sequence[object]]:
    # The default limit of 131,072 characters would refuse long cells, which are cut later like any other text.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    if is_tsv:
        table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        table = csv.reader(lines, strict=True)
    try:
        first = next(filter(None, table), None)
        if first is None:
            return
        names = first if has_header else [str(i) for i in range(len(first))]
        places = [names.index(wanted) for wanted in choose(names)]
        if not has_header:
            yield [first[place] for place in places]
        for row in table:
            if len(row) > len(names):
                mark = "tabs" if is_tsv else "commas outside quotes"
                where = f"{name} line {table.line_num}"
                raise ValueError(f"{where} has {len(row)} cells, the first row has {len(names)}: check its {mark}")
            yield [row[place] if place < len(row) else None for place in places]
    except csv.Error as error:
        raise ValueError(f"{name} line {table.line_num} is malformed ({error}): check its quotes") from error


def _read_json(lines: Iterator[str], name: str, choose: Choose) -> Iterator[Sequence[object]]:
    return _chosen(_json_objects(lines, name), choose)


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


def _chosen(records: Iterator[dict[str, object]], choose: Choose) -> Iterator[Sequence[object]]:
    """Yield the selected values of each record; columns may be missing in the first record."""
    head: list[dict[str, object]] = []
    for record in records:
        head.append(record)
        if record:
            break
    else:
        yield from ([None] for _ in head)
        return
    try:
        wanted = choose(list(head[-1]))
    except ValueError:
        head += islice(records, LOOKAHEAD)
        wanted = choose(list(dict.fromkeys(key for record in head for key in record)))
    for record in chain(head, records):
        yield [record.get(key) for key in wanted]


def _read_parquet(path: Path, choose: Choose) -> Iterator[Sequence[object]]:
    import pyarrow
    from pyarrow import parquet

    with open(path, "rb") as file:
        try:
            table = parquet.ParquetFile(file)
            wanted = choose(table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=1024, columns=list(dict.fromkeys(wanted))):
                yield from zip(*(batch.column(key).to_pylist() for key in wanted), strict=True)
        except (pyarrow.ArrowException, OSError) as error:
            raise CorruptFileError(f"{path} is not a whole Parquet file ({_one_line(error)}): restore it") from error


def _read_hub(source: str, split: str, streaming: bool, choose: Choose) -> Iterator[Sequence[object]]:
    import datasets

    dataset_name, _, configuration = source.partition(":")
    try:
        dataset = datasets.load_dataset(dataset_name, configuration or None, split=split, streaming=streaming)
    except Exception as error:  # network, hub and builder raise many exception types
        kind = FileNotFoundError if isinstance(error, OSError) else ValueError
        message = f"there is no file {source!r} and no data set of that name could be loaded ({_one_line(error)})"
        raise kind(message) from error
    yield from _chosen(iter(dataset), choose)


def _lines(source: str, name: str) -> Iterator[str]:
    """Yield the decoded lines of a file or of standard input, with their line ends, without a byte order mark."""
    position = 0  # bytes before the current line
    try:
        with _open(source) as file:
            _check_head(file, name)
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
                if len(line) == LONGEST_LINE:
                    limit = f"{LONGEST_LINE >> 20} MB"
                    raise ValueError(f"{name} line {number} is longer than {limit}: write one sentence a line")
                text = _decode(line, name, position)
                yield text if position else text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
                position += len(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptFileError(f"{name} is not a whole gzip file ({_one_line(error)}): restore it") from error


def _open(source: str) -> AbstractContextManager[Any]:
    if source == "-":
        return nullcontext(sys.stdin.buffer)  # stdin stays open
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb", buffering=1 << 16)


def _check_head(file: Any, name: str) -> None:
    """Raise ValueError if a file begins like a binary format."""
    # peek does not move the position; pipes cannot be rewound.
    head = file.peek(HEAD)[:HEAD] if hasattr(file, "peek") else b""
    _decode(head, name, 0, final=False)
    zeros = head.count(0)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            raise _not_text(name, f"it starts like {kind}")
    if zeros >= 8 and zeros > len(head) // 32:  # a text may hold a stray NUL
        raise _not_text(name, f"{zeros:,} NUL bytes in its first {len(head):,}")


def _decode(data: bytes, name: str, position: int, final: bool = True) -> str:
    """Decode UTF-8 that starts at `position`; unless `final`, its last character may be cut off."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as error:
        why = f"byte 0x{data[error.start]:02x} at position {position + error.start}"
        raise _not_text(name, why) from error


def _not_text(name: str, why: str) -> ValueError:
    return ValueError(f"{name} is not UTF-8 text ({why}): convert it, or give a {FORMATS} file")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
