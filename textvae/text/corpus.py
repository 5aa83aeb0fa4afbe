"""Corpora: reading from files, standard input or the hub, and splitting into training and validation."""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .cleaning import GateReport, clean_one
from .lines import FORMATS, PACKED, SUFFIXES, decoded_lines
from .records import ChooseFields, read_hub, read_json, read_parquet
from .tables import read_table

logger = logging.getLogger("textvae")

TEXT_COLUMNS = ("text", "sentence", "content", "review")  # looked for in this order when no column is named
DELIMITED = {".csv": ",", ".tsv": "\t"}  # delimiter by the suffix, where the first row does not show another one
JSON_LINES = (".jsonl", ".json", ".ndjson", ".jsonlines", ".ldjson")
TABLE = re.compile(r"\.[ct]sv(\.gz|\.zst)?$", re.IGNORECASE)
WORDS_OF_A_TEXT = 3  # from which on the name of a column is doubted
VALIDATION_SHARE, VALIDATION_CAP = 0.05, 2000  # of the texts, and texts at most
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(:[\w.-]+)?")
FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,7}")  # tells a missing "data.csv" from a data set "owner/name-v1.1"


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
        source: "-" for standard input; a file (.csv, .tsv, JSON lines as .jsonl, .json, .ndjson, .jsonlines or .ldjson,
            .parquet; anything else is one sentence a line; all but Parquet also as .gz or .zst); or, where there is no
            such file, a data set on the Hugging Face hub as "owner/name" or "owner/name:configuration".
        column: Name of the text column, with dots for a nested field, such as "ticket.body". In csv and tsv an integer,
            also "1", is a position from 0 in a file without header. Default: "text", "sentence", "content" or
            "review", else the only column.
        split: Which split of a hub data set.
        streaming: Whether a hub data set is read as it arrives rather than downloaded first.
        limit: Stop after this many texts.
        report: Updated with the numbers of texts read, kept, skipped and changed.

    Raises:
        FileNotFoundError: There is no such file, and no such data set could be loaded.
        IsADirectoryError: The source is a folder.
        CorruptFileError: A Parquet, gzip or zstd file is damaged.
        ValueError: The file is not text, lacks the column, breaks its format, or, at its end, held no text.
            Errors of the content come while iterating, those of the name at once.
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


def _choose(
    names: Sequence[str], nested: Sequence[str] = (), *, name: str, column: str | None, others: Sequence[str]
) -> list[str]:
    """Return the wanted columns, or paths of nested fields, of those there are, the text column first."""
    every = [*names, *nested]
    leaves = [path for path in every if not any(inner.startswith(f"{path}.") for inner in nested)]
    has = f"it has {', '.join(leaves) or 'none'}"
    if column is None:
        known = [candidate for candidate in TEXT_COLUMNS if candidate in names]
        if not known and (len(names) != 1 or nested):
            remedy = f"choose with --column{_position(name, names)}"
            raise ValueError(f"{name} has no column called {' or '.join(TEXT_COLUMNS)}: {has}; {remedy}")
        column = (known or list(names))[0]
        if _is_text(name, column):
            logger.warning("%s: the first row %r is taken for a header; if it is a text, use --column 0", name, column)
    for wanted in (column, *others):
        if wanted not in every:
            raise ValueError(f"{name} has no column {wanted!r}: {has}")
    return [column, *others]


def _holds_wanted(names: Sequence[str], *, column: str | None, others: Sequence[str]) -> bool:
    """Say whether columns of these names include the text and all others."""
    texts = TEXT_COLUMNS if column is None else (column,)
    return any(text in names for text in texts) and all(other in names for other in others)


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
) -> Callable[[ChooseFields], Iterator[Sequence[object]]]:
    """Return the function that reads this kind of source, after checking that there is one."""
    path = Path(source)
    if source != "-" and not os.path.exists(source):  # unlike Path.exists, accepts names that are too long
        if FILE_SUFFIX.fullmatch(path.suffix) or not HUB_NAME.fullmatch(source):
            piped = "" if len(source.split()) < WORDS_OF_A_TEXT else ", as in: echo TEXT | textvae VERB RUN -"
            raise FileNotFoundError(
                f"there is no file {source!r}: give a {FORMATS} file, or - for standard input{piped}"
            )
        return partial(read_hub, source, split, streaming)
    if path.is_dir():
        example = min((child for child in path.iterdir() if child.suffix in SUFFIXES), default=path / "corpus.txt")
        raise IsADirectoryError(f"{source} is a folder: give a file, such as {example}")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return partial(read_parquet, path)
    kind = Path(path.stem).suffix.lower() if suffix in PACKED else suffix
    lines = decoded_lines(source, name)
    if kind in DELIMITED:
        has_header = not any(re.fullmatch("[0-9]+", wanted) for wanted in (column or "", *others))
        holds_wanted = partial(_holds_wanted, column=column, others=others)
        return partial(read_table, lines, name, DELIMITED[kind], has_header, holds_wanted)
    if kind in JSON_LINES:
        return partial(read_json, lines, name)
    if column is not None or others:
        raise ValueError(f"{name} is plain text, which has no columns: leave {column or others[0]!r} out")
    return lambda _: ([line] for line in _sentences(lines, name))


def _sentences(lines: Iterator[str], name: str) -> Iterator[str]:
    """Yield the lines, and log if the first is an object of JSON lines rather than a sentence."""
    for number, line in enumerate(lines):
        if not number and line.startswith("{") and _is_object(line):
            named = " or ".join(JSON_LINES[:1] + JSON_LINES[2:3])
            logger.warning("%s: the first line is a JSON object, read as a text: JSON lines are named %s", name, named)
        yield line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
