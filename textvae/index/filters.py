"""Metadata filters such as "topic = 'food' and stars >= 4", compiled to parametrised SQLite expressions.

condition   = conjunction ("or" conjunction)*
conjunction = negation ("and" negation)*
negation    = "not" negation | "(" condition ")" | comparison
comparison  = name ("=" | "!=" | "<" | "<=" | ">" | ">=") value
            | name ["not"] "in" "(" value ("," value)* ")"
            | name ["not"] "contains" value
            | name "is" ["not"] "null"
name        = word ("." word)* | "any ""quoted"" key"            value = 'it''s text' | -1.5e3 | true | false
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn

from ..text.cleaning import SURROGATES

PARTS, DEPTH = 100, 10  # comparisons of a filter, and parentheses inside each other: SQLite's parser has a small stack
KEYWORDS = {"and", "or", "not", "in", "contains", "is", "null", "true", "false"}
TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*")|(?P<word>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))|(?P<sign>!=|<=|>=|[=<>(),]))"""
)
Value = str | int | float | bool
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
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


class Token(NamedTuple):
    """A token: its kind (a group name of `TOKEN`, a keyword, a sign or "end"), its value and its position."""

    kind: str
    value: Value
    start: int


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
        where: The condition; the grammar is at the top of this file.

    Raises:
        ValueError: The syntax is wrong; the message shows the position.
        TypeError: `where` is not a string.

    Examples:
        >>> parse_filter("stars is null").values
        ('stars',)
    """
    if not isinstance(where, str):
        raise TypeError(f"a filter is a string such as \"topic = 'food'\", got a {type(where).__name__}")
    return _Parser(SURROGATES.sub("\ufffd", where)).parse()


class _Parser:
    def __init__(self, where: str):
        self._where, self._values = where, list[str | int | float]()
        self._keys: list[str] = []
        self._parts = self._depth = 0
        self._token = Token("", "", 0)
        self._end = 0
        self._advance()

    def parse(self) -> Filter:
        sql = self._condition()
        if self._token.kind != "end":
            self._fail("expected 'and', 'or' or the end")
        return Filter(sql, tuple(self._values), tuple(dict.fromkeys(self._keys)))

    def _condition(self) -> str:
        return self._joined("or", self._conjunction)

    def _conjunction(self) -> str:
        return self._joined("and", self._negation)

    def _joined(self, word: str, part: Callable[[], str]) -> str:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return f"({f' {word.upper()} '.join(parts)})" if parts[1:] else parts[0]

    def _negation(self) -> str:
        contrary = False
        while self._take("not"):
            contrary = not contrary
        sql = self._parenthesis() if self._token.kind == "(" else self._comparison()
        return f"NOT {sql}" if contrary else sql

    def _parenthesis(self) -> str:
        self._depth += 1
        if self._depth > DEPTH:
            self._fail(f"parentheses are at most {DEPTH} deep")
        self._expect("(")
        sql = self._condition()
        self._expect(")")
        self._depth -= 1
        return sql

    def _comparison(self) -> str:
        if self._token.kind not in ("word", "name"):
            self._fail("expected the name of a metadata key")
        self._parts += 1
        if self._parts > PARTS:
            self._fail(f"a filter has at most {PARTS} comparisons: use in (...)")
        name = self._advance()
        self._keys.append(str(name.value))
        if self._take("is"):
            contrary = "" if self._take("not") else "NOT "
            self._expect("null")
            return contrary + self._some(name, "type != 'null'")
        contrary = "NOT " if self._take("not") else ""
        if self._take("contains"):
            return contrary + self._some(name, *_contains(self._value()))
        if contrary or self._token.kind == "in":
            self._expect("in")
            return contrary + self._membership(name)
        if self._token.kind not in ("=", "!=", "<", "<=", ">", ">="):
            self._fail("expected =, !=, <, <=, >, >=, in, contains or is")
        sign = self._advance().kind
        value = self._value()
        equal = self._some(name, _compared(value, "=" if sign == "!=" else sign), value)
        return f"NOT {equal}" if sign == "!=" else equal

    def _some(self, name: Token, condition: str, *values: Value) -> str:
        """Return that some value of a key meets a condition, whose values it takes."""
        self._values += [name.value, *values]
        path = json_path(str(name.value)) if name.kind == "word" else None
        if path is None:
            return SOME.format(condition)
        self._values += [path, *values]
        return f"({SOME.format(condition)} OR {INSIDE.format(condition)})"

    def _membership(self, name: Token) -> str:
        self._expect("(")
        members = [self._value()]
        while self._take(","):
            members.append(self._value())
        self._expect(")")
        choices = []
        for kind in dict.fromkeys(map(_kind, members)):
            same = [int(value) if kind == "bool" else value for value in members if _kind(value) == kind]
            guard, left, right = KINDS[kind]
            among = f"{guard} AND {left} IN (SELECT {right.format('value')} FROM json_each(?))"
            choices.append(self._some(name, among, json.dumps(same)))
        return f"({' OR '.join(choices)})"

    def _value(self) -> Value:
        if self._token.kind in ("text", "number", "true", "false"):
            return self._advance().value
        hint = ": text goes between single quotes" if self._token.kind in ("word", "name") else ""
        self._fail(f"expected a value such as 'food', 4 or true{hint}")

    def _take(self, kind: str) -> bool:
        found = self._token.kind == kind
        if found:
            self._advance()
        return found

    def _expect(self, kind: str) -> None:
        if not self._take(kind):
            self._fail(f"expected {kind}")

    def _advance(self) -> Token:
        """Read the next token and return the previous one."""
        left, found = self._token, TOKEN.match(self._where, self._end)
        if found:
            kind = str(found.lastgroup)
            self._end = found.end()
            self._token = Token(*_meaning(kind, found[kind]), found.start(kind))
            if isinstance(self._token.value, float) and not math.isfinite(self._token.value):
                self._fail("the number is too large")
        else:
            rest = self._where[self._end :].lstrip()
            self._token = Token("end", "", len(self._where) - len(rest))
            if rest:
                self._fail("the quote is never closed" if rest[0] in "'\"" else "this belongs to no name or value")
        return left

    def _fail(self, problem: str) -> NoReturn:
        start = self._token.start
        rest = " ".join(self._where[start : start + 30].split())
        place = f"at character {start + 1}, {rest!r}" if rest else "at its end"
        raise ValueError(f"the filter {' '.join(self._where.split())!r} goes wrong {place}: {problem}")


def _meaning(kind: str, written: str) -> tuple[str, Value]:
    if kind in ("text", "name"):
        quote = written[0]
        return kind, written[1:-1].replace(2 * quote, quote)
    if kind == "number":
        number = float(written)
        return kind, int(written) if re.fullmatch(r"[+-]?\d+", written) and abs(number) < 2**63 else number
    if kind == "word" and written.lower() in KEYWORDS:
        return written.lower(), written.lower() == "true"
    return (written, written) if kind == "sign" else (kind, written)


def json_path(name: str) -> str | None:
    """Return the path by which SQLite finds a key inside others, None for a name without dots.

    Examples:
        >>> json_path("customer.tier")
        '$."customer"."tier"'
    """
    return "$" + "".join(f'."{part}"' for part in name.split(".")) if "." in name and '"' not in name else None


def _compared(value: Value, sign: str) -> str:
    guard, left, right = KINDS[_kind(value)]
    return f"{guard} AND {left} {sign} {right.format('?')}"


def _contains(value: Value) -> tuple[str, *tuple[Value, ...]]:
    """Return that a list has a value, or a text has it as a part, and the values of the question marks."""
    listed = MEMBERS.format(_compared(value, "="))
    if not isinstance(value, str):
        return listed, value
    return f"({listed} OR type = 'text' AND instr(atom, ?))", value, value


def _kind(value: Value) -> str:
    """Return the key of `KINDS` for a value."""
    if isinstance(value, str):
        return "date" if _is_date(value) else "text"
    return "bool" if isinstance(value, bool) else "number"


def _is_date(written: str) -> bool:
    try:
        return bool(DATE.fullmatch(written) and datetime.fromisoformat(written))
    except ValueError:  # the 31st of February
        return False
