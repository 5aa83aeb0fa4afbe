"""How many ways a pattern of a tokenizer can be tried at one place of a text, which bounds the time that it takes."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from .cleaning import MAX_CHARACTERS

MOST_WAYS = 8 * MAX_CHARACTERS  # those of the patterns of known models are about half as many
REPEATED = re.compile(r"([*+?]|\{\d*,?\d*\})[?+]?")
OPENING = re.compile(r"\((\?(:|[=!>]|[imsx-]*[:)]))?")
ESCAPE = re.compile(r"\\[pP]\{[^}]*\}|\\[^1-9kg]")
SET = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]")


class Item(NamedTuple):
    """A character, or a group of alternatives, and how often it comes.

    Attributes:
        group: The alternatives, each a sequence of items; None for a character.
        least: Fewest repetitions.
        most: Most of them.
    """

    group: list[list[Item]] | None
    least: int
    most: float


def ways(pattern: str) -> float:
    """Return how many ways a pattern can be tried at one place of a text of the greatest length, at most.

    What ends a match without being able to fail is tried in one way. It is infinite for groups that repeat, references
    back, and what this reader does not know.

    Examples:
        >>> ways("'s|'t| ?x+"), ways("(x+)+")
        (4.0, inf)
    """
    bare = SET.sub("x", ESCAPE.sub("x", pattern))  # each stands for one character
    if "\\" in bare:
        return math.inf
    try:
        alternatives, end = _alternatives(bare, 0)
    except (ValueError, RecursionError):
        return math.inf
    return _ways_of_group(alternatives, True) if end == len(bare) else math.inf


def _alternatives(bare: str, at: int) -> tuple[list[list[Item]], int]:
    """Read alternatives up to a closing parenthesis or the end."""
    found: list[list[Item]] = [[]]
    while at < len(bare) and bare[at] != ")":
        if bare[at] == "|":
            found.append([])
            at += 1
            continue
        group, at = _group(bare, at) if bare[at] == "(" else (None, at + 1)
        least, most = 1, 1.0
        if repeated := REPEATED.match(bare, at):
            least, most = _counts(repeated[1])
            at = repeated.end()
        found[-1].append(Item(group, least, most))
    return found, at


def _group(bare: str, at: int) -> tuple[list[list[Item]] | None, int]:
    opening = OPENING.match(bare, at)
    if opening is None or bare.startswith("?", opening.end()):
        raise ValueError("an unknown kind of group")
    if opening[0].endswith(")"):  # flags
        return None, opening.end()
    group, end = _alternatives(bare, opening.end())
    if end >= len(bare):
        raise ValueError("a group is not closed")
    return group, end + 1


def _counts(mark: str) -> tuple[int, float]:
    if mark in "*+?":
        return int(mark == "+"), 1.0 if mark == "?" else math.inf
    least, comma, most = mark[1:-1].partition(",")
    return int(least or 0), float(most or "inf") if comma else int(least or 0)


def _ways_of_group(alternatives: list[list[Item]], last: bool) -> float:
    return sum(_ways_of_sequence(items, last) for items in alternatives)


def _ways_of_sequence(items: list[Item], last: bool) -> float:
    """Return the ways of a sequence; `last` says that nothing behind it can fail, so that no other way is tried."""
    product, behind = 1.0, 0.0
    for item in reversed(items):
        if item.group is not None and item.most > 1:
            return math.inf
        own = 1.0 if item.group is None else _ways_of_group(item.group, last)
        if last and not item.least:
            behind += own
            continue
        if not last:
            own *= min(item.most, MAX_CHARACTERS) - item.least + 1 if item.group is None else 1
            own += item.group is not None and not item.least
        last = False
        product *= own
    return product + behind
