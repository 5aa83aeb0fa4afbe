"""Rows of csv and tsv files, whose delimiter is decided by the first row."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from .lines import LONGEST_LINE

logger = logging.getLogger("textvae")

# Each delimiter, and what a message calls it.
DELIMITERS = {",": "commas outside quotes", ";": "semicolons outside quotes", "\t": "tabs", "|": "bars outside quotes"}
NAMED = re.compile(r'"?sep=([,;|\t])"?\s*')  # a first line by which Excel names the delimiter
LOOKAHEAD = 50  # lines that decide where the first row does not

# Given the columns there are, returns the wanted ones: the text first.
Choose = Callable[[Sequence[str]], list[str]]


def read_table(
    lines: Iterator[str],
    name: str,
    delimiter: str,
    has_header: bool,
    holds_wanted: Callable[[Sequence[str]], bool],
    choose: Choose,
) -> Iterator[Sequence[object]]:
    """Yield the wanted cells of each row, None for those that a short row lacks.

    Args:
        lines: Of the file, with their line ends.
        name: Of the file, for messages.
        delimiter: The one that its name promises.
        has_header: Whether the first row names the columns; else they are called 0, 1 and so on.
        holds_wanted: Says whether columns of these names include the wanted ones.
        choose: Returns the wanted columns of those there are.

    Raises:
        ValueError: A row has more cells than the first, quotes are malformed, or two columns share a wanted name.
    """
    # The default of 131,072 characters would refuse a cell of 1 MB, which is to be cut like any other text.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    delimiter, lines = _delimited(lines, delimiter, has_header, holds_wanted)
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        first = next(filter(None, table), None)
        if first is None:
            return
        names = first if has_header else [str(i) for i in range(len(first))]
        _warn_of_other_delimiters(first, name, delimiter)
        wanted = choose(names)
        twice = next((column for column in wanted if names.count(column) > 1), None)
        if twice is not None:
            raise ValueError(f"{name} has {names.count(twice)} columns called {twice!r}: rename all but one")
        places = [names.index(column) for column in wanted]
        if not has_header:
            yield [first[place] for place in places]
        for row in table:
            if len(row) > len(names):
                where = f"{name} line {table.line_num}"
                mark = DELIMITERS[delimiter]
                raise ValueError(f"{where} has {len(row)} cells, the first row has {len(names)}: check its {mark}")
            yield [row[place] if place < len(row) else None for place in places]
    except csv.Error as error:
        advice = ", and double those inside a quoted cell" if delimiter == "\t" else ""
        where = f"{name} line {table.line_num}"
        raise ValueError(f"{where} is malformed ({error}): check its quotes{advice}") from error


def _delimited(
    lines: Iterator[str], own: str, has_header: bool, holds_wanted: Callable[[Sequence[str]], bool]
) -> tuple[str, Iterator[str]]:
    """Return the delimiter of a table, and its lines from the first row on.

    The delimiter of the file's kind is kept where it separates cells of the first row or finds the wanted columns.
    Otherwise it is the one that finds them there or, if none does, that gives every row as many cells as the first.
    """
    first = next((line for line in lines if line.strip("\r\n")), "")
    named = NAMED.fullmatch(first)
    if named:
        return named[1], lines
    head = [first, *islice(lines, LOOKAHEAD if first.count('"') % 2 else 0)]
    cells = {mark: next(iter(_rows(head, mark)), []) for mark in DELIMITERS}
    others = [mark for mark in DELIMITERS if mark != own and len(cells[mark]) > 1]
    found = own
    if others and has_header and not holds_wanted(cells[own]):
        fitting = [mark for mark in others if holds_wanted(cells[mark])]
        found = max(fitting, key=lambda mark: len(cells[mark]), default=own)
    if others and found == own and len(cells[own]) < 2 and not (has_header and holds_wanted(cells[own])):
        head += islice(lines, LOOKAHEAD)
        even = [mark for mark in others if _is_even(_rows(head, mark))]
        found = max(even, key=lambda mark: len(cells[mark]), default=own)
    return found, chain(head, lines)


def _rows(head: Sequence[str], delimiter: str) -> list[list[str]]:
    return [row for row in csv.reader(head, delimiter=delimiter) if row]


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    """Say whether several rows have as many cells; the last may be cut off."""
    compared = rows[: max(2, len(rows) - 1)]
    return len(compared) > 1 and len({len(row) for row in compared}) == 1


def _warn_of_other_delimiters(first: Sequence[str], name: str, delimiter: str) -> None:
    marks = [repr(mark) for mark in DELIMITERS if mark != delimiter and len(first) == 1 and mark in first[0]]
    if marks:
        told = " and ".join(marks)
        logger.warning("%s is read as one column: the rows differ in the number of cells at %s", name, told)
