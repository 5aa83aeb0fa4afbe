"""Exceptions for stored files, and helpers for error messages."""

from __future__ import annotations

from collections.abc import Sequence


class CorruptFileError(ValueError):
    """A stored file is truncated, altered, or does not match the files beside it."""


def with_article(kind: str) -> str:
    """Return the name of a type with its article, "a" or "an".

    Examples:
        >>> with_article("int")
        'an int'
    """
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first `most` names with the number of further ones.

    Examples:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raise ValueError unless a number lies between two bounds, which the message names."""
    require(value >= least, f"{name} must be at least {least:,}, got {value:,}")
    require(value <= most, f"{name} must be at most {most:,}, got {value:,}")


def require(condition: bool, message: str) -> None:
    """Raise ValueError unless a condition holds."""
    if not condition:
        raise ValueError(message)
