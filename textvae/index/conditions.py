"""Conditions on metadata, such as "topic = 'food' and stars >= 4", parsed into a tree.

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

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn

from ..text.cleaning import SURROGATES

PARTS, DEPTH = 100, 10  # comparisons of a filter, and parentheses inside each other: SQLite's parser has a small stack
KEYWORDS = {"and", "or", "not", "in", "contains", "is", "null", "true", "false"}
SIGNS = ("=", "!=", "<", "<=", ">", ">=")
TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*")|(?P<word>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))|(?P<sign>!=|<=|>=|[=<>(),]))"""
)
Value = str | int | float | bool
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")


class Name(NamedTuple):
    """A metadata key. Without quotes, dots in it may also lead into nested keys."""

    key: str
    quoted: bool


@dataclass(frozen=True)
class Comparison:
    """A key compared with a value by =, <, <=, > or >=; `!=` is the negation of =."""

    name: Name
    sign: str
    value: Value


@dataclass(frozen=True)
class Membership:
    """A key whose value equals one of several."""

    name: Name
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Containment:
    """A key whose list has a value, or whose text has it as a part."""

    name: Name
    value: Value


@dataclass(frozen=True)
class Presence:
    """A key that is there and not null."""

    name: Name


@dataclass(frozen=True)
class Negation:
    """The contrary of a condition."""

    part: Condition


@dataclass(frozen=True)
class Junction:
    """Two or more conditions of which all ("and") or any ("or") hold."""

    word: str
    parts: tuple[Condition, ...]


Condition = Comparison | Membership | Containment | Presence | Negation | Junction


class Token(NamedTuple):
    """A token: its kind (a group name of `TOKEN`, a keyword, a sign or "end"), its value and its position."""

    kind: str
    value: Value
    start: int


def parse_condition(where: str) -> Condition:
    """Parse a condition on metadata; `textvae.index.filters.parse_filter` says what it means.

    Args:
        where: The condition; the grammar is at the top of this file.

    Raises:
        ValueError: The syntax is wrong; the message shows the position.
        TypeError: `where` is not a string.

    Examples:
        >>> parse_condition("stars is null").part.name.key
        'stars'
    """
    if not isinstance(where, str):
        raise TypeError(f"a filter is a string such as \"topic = 'food'\", got a {type(where).__name__}")
    return _Parser(SURROGATES.sub("\ufffd", where)).parse()


def value_kind(value: Value) -> str:
    """Return how a value is compared: as a "text", "date", "bool" or "number"."""
    if isinstance(value, str):
        return "date" if _is_date(value) else "text"
    return "bool" if isinstance(value, bool) else "number"


class _Parser:
    def __init__(self, where: str):
        self._where = where
        self._parts = self._depth = 0
        self._token = Token("", "", 0)
        self._end = 0
        self._advance()

    def parse(self) -> Condition:
        condition = self._condition()
        if self._token.kind != "end":
            self._fail("expected 'and', 'or' or the end")
        return condition

    def _condition(self) -> Condition:
        return self._joined("or", self._conjunction)

    def _conjunction(self) -> Condition:
        return self._joined("and", self._negation)

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return Junction(word, tuple(parts)) if parts[1:] else parts[0]

    def _negation(self) -> Condition:
        contrary = False
        while self._take("not"):
            contrary = not contrary
        condition = self._parenthesis() if self._token.kind == "(" else self._comparison()
        return Negation(condition) if contrary else condition

    def _parenthesis(self) -> Condition:
        self._depth += 1
        if self._depth > DEPTH:
            self._fail(f"parentheses are at most {DEPTH} deep")
        self._expect("(")
        condition = self._condition()
        self._expect(")")
        self._depth -= 1
        return condition

    def _comparison(self) -> Condition:
        if self._token.kind not in ("word", "name"):
            self._fail("expected the name of a metadata key")
        self._parts += 1
        if self._parts > PARTS:
            self._fail(f"a filter has at most {PARTS} comparisons: use in (...)")
        token = self._advance()
        name = Name(str(token.value), token.kind == "name")
        if self._take("is"):
            contrary = not self._take("not")
            self._expect("null")
            return _unless(contrary, Presence(name))
        contrary = self._take("not")
        if self._take("contains"):
            return _unless(contrary, Containment(name, self._value()))
        if contrary or self._token.kind == "in":
            self._expect("in")
            return _unless(contrary, Membership(name, self._members()))
        if self._token.kind not in SIGNS:
            self._fail("expected =, !=, <, <=, >, >=, in, contains or is")
        sign = self._advance().kind
        return _unless(sign == "!=", Comparison(name, sign.removeprefix("!"), self._value()))

    def _members(self) -> tuple[Value, ...]:
        self._expect("(")
        members = [self._value()]
        while self._take(","):
            members.append(self._value())
        self._expect(")")
        return tuple(members)

    def _value(self) -> Value:
        if self._token.kind in ("text", "number", "true", "false"):
            return self._advance().value
        hint = ": text goes between single quotes" if self._token.kind in ("word", "name") else ""
        if self._token.kind == "=":
            hint = ": equal is written with one ="
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


def _unless(contrary: bool, condition: Condition) -> Condition:
    return Negation(condition) if contrary else condition


def _is_date(written: str) -> bool:
    try:
        return bool(DATE.fullmatch(written) and datetime.fromisoformat(written))
    except ValueError:  # the 31st of February
        return False
