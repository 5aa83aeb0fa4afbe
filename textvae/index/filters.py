"""Metadata filters such as "topic = 'food' and stars >= 4", compiled to parametrised SQLite expressions.

condition   = conjunction ("or" conjunction)*
conjunction = negation ("and" negation)*
negation    = "not" negation | "(" condition ")" | comparison
comparison  = name ("=" | "!=" | "<" | "<=" | ">" | ">=") value
            | name ["not"] "in" "(" value ("," value)* ")"
            | name "is" ["not"] "null"
name        = word | "any ""quoted"" key"            value = 'it''s text' | -1.5e3 | true | false
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from ..text.cleaning import SURROGATES

PARTS, DEPTH = 100, 10  # most comparisons and nested parentheses: SQLite's parser stack is small
KEYWORDS = {"and", "or", "not", "in", "is", "null", "true", "false"}
TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*")|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))|(?P<sign>!=|<=|>=|[=<>(),]))"""
)
Value = str | int | float | bool
# Columns of json_each: atom is the SQL value (NULL for lists and objects), type is the JSON type.
SOME = "EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = ? AND {})"
MATCHES = {
    str: "type = 'text' AND atom {} ?",
    bool: "type IN ('true', 'false') AND atom {} ?",
    # Values from csv files are text. The CAST gives NUMERIC affinity: numeric text compares as a number, and SQLite
    # orders other text above all numbers.
    float: "type IN ('integer', 'real', 'text') AND atom <= CAST(9e999 AS NUMERIC) AND atom {} CAST(? AS NUMERIC)",
}
MEMBER = {
    str: "IN (SELECT value FROM json_each(?))",
    bool: "IN (SELECT value FROM json_each(?))",
    float: "IN (SELECT CAST(value AS NUMERIC) FROM json_each(?))",
}


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

    A comparison is false if the key is missing or its value has another type: numbers match numbers and numeric
    strings, strings match strings, booleans match booleans. `!=`, `not in` and `is not null` negate `=`, `in` and
    `is null`. `is null` is true if the key is missing or null. Keywords ignore case.

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
        self._keys.append(str(self._advance().value))
        self._values.append(self._keys[-1])
        if self._take("is"):
            contrary = "" if self._take("not") else "NOT "
            self._expect("null")
            return contrary + SOME.format("type != 'null'")
        contrary = "NOT " if self._take("not") else ""
        if contrary or self._token.kind == "in":
            self._expect("in")
            return contrary + self._membership()
        if self._token.kind not in ("=", "!=", "<", "<=", ">", ">="):
            self._fail("expected =, !=, <, <=, >, >=, in or is")
        sign = self._advance().kind
        value = self._value()
        self._values.append(value)
        equal = SOME.format(MATCHES[_kind(value)].format("=" if sign == "!=" else sign))
        return f"NOT {equal}" if sign == "!=" else equal

    def _membership(self) -> str:
        self._expect("(")
        name, members = self._values.pop(), [self._value()]
        while self._take(","):
            members.append(self._value())
        self._expect(")")
        choices = []
        for kind in dict.fromkeys(map(_kind, members)):
            same = [int(value) if kind is bool else value for value in members if _kind(value) is kind]
            self._values += [name, json.dumps(same)]
            choices.append(SOME.format(MATCHES[kind].rsplit("atom", 1)[0] + "atom " + MEMBER[kind]))
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


def _kind(value: Value) -> type:
    return type(value) if isinstance(value, str | bool) else float
