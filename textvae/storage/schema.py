"""What the fields of a JSON file must be: types, ranges, finite numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from .atomic import MOST_JSON, json_kind, parse_json
from .errors import CorruptFileError

MOST_DEPTH = 32  # of objects and arrays in each other
MOST_INT = 2**63


@dataclass(frozen=True)
class Field:
    """A rule for one field.

    Attributes:
        holds: Whether a value is right.
        what: What it should be, for the message.
        required: Whether the field must be there.
    """

    holds: Callable[[Any], bool]
    what: str
    required: bool = True

    def or_null(self) -> Field:
        """Return the same rule, which null meets too."""
        return replace(self, holds=lambda value: value is None or self.holds(value), what=f"{self.what} or null")

    def or_absent(self) -> Field:
        """Return the same rule for a field that may be missing."""
        return replace(self, required=False)


def is_int(value: object, low: int = -MOST_INT, high: int = MOST_INT - 1) -> bool:
    """Return whether a value is an integer of a range; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object) -> bool:
    """Return whether a value is a finite number that a float can hold; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def integer(low: int = -MOST_INT, high: int = MOST_INT - 1) -> Field:
    """Return the rule for an integer of a range."""
    return Field(lambda value: is_int(value, low, high), f"an integer of {low:,} to {high:,}")


def text(most: int = 1 << 16) -> Field:
    """Return the rule for a string of at most so many characters, without NUL."""
    return Field(lambda value: isinstance(value, str) and len(value) <= most and "\0" not in value, "a string")


NUMBER = Field(is_number, "a finite number")


def check_fields(content: Mapping[str, Any], fields: Mapping[str, Field], path: Path) -> None:
    """Check the fields of a JSON object; others are left alone.

    Raises:
        CorruptFileError: A field is missing or not what its rule says.
    """
    for name, field in fields.items():
        if name not in content:
            if field.required:
                raise CorruptFileError(f"{path} lacks the field {name!r}: restore it from a copy")
        elif not field.holds(content[name]):
            raise CorruptFileError(
                f"{path} has {shown(content[name])} for {name!r}, which must be {field.what}: restore it from a copy"
            )


def check_tree(content: Any, path: Path, most: int = MOST_DEPTH) -> None:
    """Check that a JSON value is not nested too deeply and that its numbers are finite.

    Raises:
        CorruptFileError: They do not.
    """
    level = [content]
    for _ in range(most):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict | list):
                inner.extend(value.values() if isinstance(value, dict) else value)
            elif isinstance(value, int | float) and not isinstance(value, bool) and not is_number(value):
                raise CorruptFileError(f"{path} has the number {shown(value)}: restore it from a copy")
        if not inner:
            return
        level = inner
    raise CorruptFileError(f"{path} is nested too deeply: restore it from a copy")


def read_measurements(path: Path) -> list[dict[str, float]]:
    """Return the finite numbers of each line of a file of JSON lines, each of which has a "step".

    Raises:
        CorruptFileError: A line is something else, or the file is too large.
    """
    if path.stat().st_size > MOST_JSON:
        raise CorruptFileError(f"{path} is larger than {MOST_JSON:,} bytes: restore it from a copy")
    rows = []
    try:
        for line in path.read_bytes().splitlines():
            row = parse_json(line)
            rows.append(
                {name: value for name, value in row.items() if is_number(value)} if isinstance(row, dict) else {}
            )
    except ValueError as error:
        raise CorruptFileError(f"{path} has a line that is not JSON ({error}): restore it from a copy") from error
    if not all("step" in row for row in rows):
        raise CorruptFileError(f"{path} has a line that is no measurement of a step: restore it from a copy")
    return rows


def shown(value: object) -> str:
    """Return a value of a JSON file for a message: short ones as they are, others by their kind."""
    if isinstance(value, dict | list) or (isinstance(value, str | int) and len(str(value)) > 40):
        return json_kind(value)
    return repr(value) if not isinstance(value, bool | NoneType) else json_kind(value)
