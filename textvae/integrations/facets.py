"""What of metadata other engines filter by, and conditions in their languages.

An engine compares metadata by rules of its own: for some, a list equals each of its members, or a text never is a
number. So each item carries its facets: as `terms`, the equalities that hold for it, written as conditions are
("topic = 'food'", "tags contains 'spa'", "page is not null"), and its numbers, moments and texts by key, for
comparisons of order. A condition then needs little of an engine: a list that holds a text, numbers compared, and, or,
not.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

from ..index import conditions as tree
from ..index.conditions import Condition, Name, Value, value_kind

LONGEST = 200  # characters of a term; longer ones are replaced by their hash
NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
WORD = re.compile(r"[^\W\d]\w*")
WORDS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
MONTH = re.compile(r"(\d{4})(?:-(\d\d))?")
LARGEST = 1.7976931348623157e308
EXACT = 2**53  # up to which whole numbers are exact in double precision
Order = Literal["numbers", "dates", "texts"]
T = TypeVar("T")


@dataclass
class Facets:
    """What an engine stores beside the metadata of an item.

    Attributes:
        terms: Equalities that hold, such as "stars = 4"; moments are written as "@" and their milliseconds.
        numbers: Key to number, of numbers and of texts that read as one.
        dates: Key to milliseconds since 1970 in UTC, of texts that are dates.
        texts: Key to text.
    """

    terms: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    dates: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def ordered(self) -> dict[Order, dict[str, Any]]:
        """The three by key, as one JSON object."""
        return {"numbers": self.numbers, "dates": self.dates, "texts": self.texts}


def facets_of(metadata: Mapping[str, Any]) -> Facets:
    """Return the facets of metadata.

    Examples:
        >>> facets_of({"stars": 4, "topic": None}).terms
        ['stars is not null', 'stars = 4', 'stars has numbers']
    """
    facets = Facets()
    for path, value in _leaves(metadata):
        facets.terms += map(_term, _terms(path, value))
        if isinstance(value, str):
            facets.texts[path] = value
            moment = _moment(value)
            if moment is not None:
                facets.dates[path] = moment
        number = _number(value)
        if number is not None:
            facets.numbers[path] = float(max(-LARGEST, min(LARGEST, number)))
        facets.terms += [kind_term(order, path) for order, held in facets.ordered.items() if path in held]
    facets.terms = list(dict.fromkeys(facets.terms))
    return facets


class Dialect(Protocol[T]):
    """How an engine writes conditions. Parts that it cannot say are refused with ValueError.

    Attributes:
        engine: Its name, for messages.
    """

    engine: str

    def holds_any(self, terms: list[str]) -> T:
        """Return that an item has one of the terms."""

    def compares(self, order: Order, path: str, sign: str, value: float | str) -> T:
        """Return that a number, moment or text under a key compares; false, not unknown, without the key."""

    def has_part(self, path: str, part: str) -> T:
        """Return that the text under a key has a part; false without the key."""

    def joined(self, word: str, parts: list[T]) -> T:
        """Return that all ("and") or any ("or") of the parts hold."""

    def negated(self, part: T) -> T:
        """Return the contrary."""


def translated(condition: Condition, dialect: Dialect[T]) -> T:
    """Return a condition in the language of an engine.

    Raises:
        ValueError: The engine cannot say a part of it; the message names both.
    """
    match condition:
        case tree.Junction(word, parts):
            return dialect.joined(word, [translated(part, dialect) for part in parts])
        case tree.Negation(part):
            return dialect.negated(translated(part, dialect))
        case tree.Presence(name):
            return dialect.holds_any([_term(f"{path_of(name)} is not null")])
        case tree.Membership(name, values):
            return dialect.holds_any([_term(f"{path_of(name)} = {_written(value)}") for value in values])
        case tree.Containment(name, value):
            path = path_of(name)
            listed = dialect.holds_any([_term(f"{path} contains {_written(value)}")])
            return dialect.joined("or", [listed, dialect.has_part(path, value)]) if isinstance(value, str) else listed
        case tree.Comparison(name, "=", value):
            return dialect.holds_any([_term(f"{path_of(name)} = {_written(value)}")])
        case tree.Comparison(name, sign, value):
            return _ordered(path_of(name), sign, value, dialect)


def kind_term(order: Order, path: str) -> str:
    """Return the term of items that have a number, date or text under a key."""
    return _term(f"{path} has {order}")


def refuse(engine: str, what: str) -> ValueError:
    """Return the error for a part of a condition that an engine cannot say."""
    return ValueError(
        f"{engine} cannot filter by {what}: leave that part of the condition out, or search a local index"
    )


def path_of(name: Name) -> str:
    """Return the key of facets that a name in a condition means."""
    return name.key if not name.quoted or WORD.fullmatch(name.key) else _quoted(name.key)


def _ordered(path: str, sign: str, value: Value, dialect: Dialect[T]) -> T:
    kind = value_kind(value)
    if kind == "bool":
        raise refuse(dialect.engine, f"the order of true and false ({path} {sign} {str(value).lower()})")
    if kind == "number":
        if abs(float(value)) >= EXACT:
            raise refuse(dialect.engine, f"the order of numbers from 2^53 on ({path} {sign} {value})")
        return dialect.compares("numbers", path, sign, float(value))
    if kind == "date":
        return dialect.compares("dates", path, sign, float(_moment(str(value)) or 0))
    return dialect.compares("texts", path, sign, str(value))


def _leaves(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each value with the keys by which a condition reaches it."""
    for key, value in metadata.items():
        if value is None:
            continue
        yield key if WORD.fullmatch(key) else _quoted(key), value
        if WORDS.fullmatch(key):
            yield key, value
        if isinstance(value, Mapping) and WORD.fullmatch(key):
            yield from _inside(value, key)


def _inside(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if value is not None and WORD.fullmatch(key):
            yield f"{path}.{key}", value
            if isinstance(value, Mapping):
                yield from _inside(value, f"{path}.{key}")


def _terms(path: str, value: Any) -> Iterator[str]:
    yield f"{path} is not null"
    if isinstance(value, list):
        for member in value:
            yield from (f"{path} contains {form}" for form in _forms(member))
    yield from (f"{path} = {form}" for form in _forms(value))


def _forms(value: Any) -> Iterator[str]:
    """Yield what a value equals, as a condition writes it: a text may be a number or a moment too."""
    if isinstance(value, str):
        yield _text(value)
        if value_kind(value) == "date":
            yield _written(value)
    elif isinstance(value, bool):
        yield _written(value)
    number = _number(value)
    if number is not None:
        yield _figure(number)


def _written(value: Value) -> str:
    match value_kind(value):
        case "text":
            return _text(str(value))
        case "date":
            return f"@{_moment(str(value)):.0f}"
        case "bool":
            return str(value).lower()
        case _:
            return _figure(_number(value))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(key: str) -> str:
    return '"' + key.replace('"', '""') + '"'


def _term(written: str) -> str:
    return written if len(written) <= LONGEST else "#" + hashlib.sha256(written.encode()).hexdigest()


def _number(value: Any) -> int | float | None:
    """Return the number that a value is or reads as, whole numbers of 64 bits as int."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        if not NUMERIC.fullmatch(value):
            return None
        value = int(value) if re.fullmatch(r"\s*[+-]?\d{1,19}\s*", value) else float(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    whole = isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**63
    return int(value) if whole else value


def _figure(number: int | float | None) -> str:
    return repr(number)


def _moment(written: str) -> float | None:
    """Return the milliseconds of a date; a year or month comes before its first moment, as texts are ordered."""
    if value_kind(written) == "date":
        moment = datetime.fromisoformat(written)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return float(round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))
    part = MONTH.fullmatch(written)
    if part and 1 <= int(part[2] or 1) <= 12 and int(part[1]):
        return (datetime(int(part[1]), int(part[2] or 1), 1, tzinfo=UTC).timestamp()) * 1000 - 0.5
    return None
