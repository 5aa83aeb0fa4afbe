"""Metadata filters such as "topic = 'food' and stars >= 4", compiled to parametrised SQLite expressions.

The grammar is in `conditions`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import conditions as tree
from .conditions import Condition, Name, Value, parse_condition, value_kind

# The value of a key as SQLite's own: atom is NULL for lists and objects, type says what JSON had.
SOME = "EXISTS (SELECT 1 FROM json_each(metadata) AS held WHERE held.key = ? AND {})"
# The same of a nested key, by its path.
INSIDE = (
    "EXISTS (SELECT 1 FROM (SELECT json_type(metadata, path) AS type, json_extract(metadata, path) AS atom, "
    "json_extract(metadata, path) AS value FROM (SELECT ? AS path)) AS held WHERE {})"
)
MOMENT = "strftime('%Y-%m-%dT%H:%M:%f', {})"  # in UTC, to the millisecond; NULL for what is no date
DAY = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"  # what strftime must not see is "now", or a number of days
# For each kind of value: the types of JSON that it is compared with, that side of the comparison, and the value's own.
KINDS = {
    "text": ("type = 'text'", "atom", "{}"),
    "bool": ("type IN ('true', 'false')", "atom", "{}"),
    # A column of a csv file is text: the affinity of a CAST turns what reads as a number into one, and leaves other
    # text above every number.
    "number": (
        "type IN ('integer', 'real', 'text') AND atom <= CAST(9e999 AS NUMERIC)", "atom", "CAST({} AS NUMERIC)"
    ),
    # A year, or a year and a month, is compared as a text.
    "date": (
        "type = 'text' AND atom GLOB '[0-9]*'",
        f"coalesce({MOMENT.format(f'CASE WHEN atom GLOB {DAY} THEN atom END')}, atom)",
        MOMENT,
    ),
}  # fmt: skip
MEMBERS = "EXISTS (SELECT 1 FROM json_each(CASE held.type WHEN 'array' THEN held.value ELSE '[]' END) AS one WHERE {})"


@dataclass(frozen=True)
class Filter:
    """A condition as an SQL expression over the column `metadata`, with the values of its placeholders.

    Attributes:
        sql: The expression, with "?" placeholders.
        values: The values of the placeholders, in order.
        keys: The metadata keys in the condition, without duplicates.
    """

    sql: str
    values: tuple[str | int | float, ...]
    keys: tuple[str, ...] = ()


def parse_filter(where: str) -> Filter:
    """Parse a condition on metadata.

    A comparison is false for texts without the key, and for values of another kind: a number matches numbers and texts
    that read as one, a text matches texts, true and false match themselves. A text that is a date, such as '2024-01-31'
    or '2024-01-31T12:00:00Z', is compared in time with dates, those without a zone taken as UTC, and a day without a
    time is its first moment. `contains` holds for lists that have the value, and texts that have it as a part. `!=`,
    `not in`, `not contains` and `is not null` are the contrary of `=`, `in`, `contains` and `is null`. `is null` holds
    for keys that are absent or null. `customer.tier` is the key of that name or the key `tier` inside `customer`;
    between double quotes it is the former alone. Keywords ignore case.

    Args:
        where: The condition; the grammar is at the top of `textvae.index.conditions`.

    Raises:
        ValueError: The syntax is wrong; the message shows the position.
        TypeError: `where` is not a string.

    Examples:
        >>> parse_filter("stars is null").values
        ('stars',)
    """
    compiler = _Compiler()
    sql = compiler.sql(parse_condition(where))
    return Filter(sql, tuple(compiler.values), tuple(dict.fromkeys(compiler.keys)))


@dataclass
class _Compiler:
    """Writes SQL and collects the values of its placeholders, in order."""

    values: list[str | int | float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def sql(self, condition: Condition) -> str:
        match condition:
            case tree.Junction(word, parts):
                return f"({f' {word.upper()} '.join(map(self.sql, parts))})"
            case tree.Negation(part):
                return f"NOT {self.sql(part)}"
            case tree.Comparison(name, sign, value):
                return self._some(name, _compared(value, sign), value)
            case tree.Membership(name, members):
                return f"({' OR '.join(self._among(name, members))})"
            case tree.Containment(name, value):
                return self._some(name, *_contains(value))
            case tree.Presence(name):
                return self._some(name, "type != 'null'")

    def _some(self, name: Name, condition: str, *values: Value) -> str:
        """Return that some value of a key meets a condition, whose values it takes."""
        self.keys.append(name.key)
        self.values += [name.key, *values]
        path = None if name.quoted else json_path(name.key)
        if path is None:
            return SOME.format(condition)
        self.values += [path, *values]
        return f"({SOME.format(condition)} OR {INSIDE.format(condition)})"

    def _among(self, name: Name, members: tuple[Value, ...]) -> Iterator[str]:
        for kind in dict.fromkeys(map(value_kind, members)):
            same = [int(value) if kind == "bool" else value for value in members if value_kind(value) == kind]
            guard, left, right = KINDS[kind]
            among = f"{guard} AND {left} IN (SELECT {right.format('value')} FROM json_each(?))"
            yield self._some(name, among, json.dumps(same))


def json_path(name: str) -> str | None:
    """Return the path by which SQLite finds a key inside others, None for a name without dots.

    Examples:
        >>> json_path("customer.tier")
        '$."customer"."tier"'
    """
    return "$" + "".join(f'."{part}"' for part in name.split(".")) if "." in name and '"' not in name else None


def _compared(value: Value, sign: str) -> str:
    guard, left, right = KINDS[value_kind(value)]
    return f"{guard} AND {left} {sign} {right.format('?')}"


def _contains(value: Value) -> tuple[str, *tuple[Value, ...]]:
    """Return that a list has a value, or a text has it as a part, and the values of the question marks."""
    listed = MEMBERS.format(_compared(value, "="))
    if not isinstance(value, str):
        return listed, value
    return f"({listed} OR type = 'text' AND instr(atom, ?))", value, value
