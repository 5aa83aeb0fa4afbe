"""Cleaning and checks of input texts, and counts of what was changed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from textvae.storage.errors import with_article

MAX_CHARACTERS = 10_000
SURROGATES = re.compile("[\ud800-\udfff]")
NORMALIZATION = 1  # the newest version of `normalised`, which new models use
# Soft hyphen, zero-width space, word joiner, byte order mark, marks of direction: they print nothing and mean nothing
# to a reader, but split a word into other tokens.
INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")
# Zero-width joiners and non-joiners shape Arabic and Indic letters and join emoji: beside anything else they are noise.
JOINERS = re.compile("(?<![^\0-\u036f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\0-\u036f])")


@dataclass
class GateReport:
    """Numbers of texts of a corpus that were read, kept, skipped and changed."""

    read: int = 0
    kept: int = 0
    empty: int = 0
    cut: int = 0
    surrogates: int = 0

    def summary(self) -> str:
        """Return the counts that are not zero as one plain line.

        Examples:
            >>> GateReport(read=1003, kept=1000, empty=3).summary()
            'read 1,003 lines: 1,000 kept, 3 empty'
        """
        counts = {
            "kept": self.kept,
            "empty": self.empty,
            f"cut at {MAX_CHARACTERS:,} characters": self.cut,
            "with lone surrogates replaced": self.surrogates,
        }
        details = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        total = f"read {self.read:,} {'line' if self.read == 1 else 'lines'}"
        return f"{total}: {details}" if details else total


def gate(text: object, position: int = 0) -> str:
    r"""Prepare a text for tokenizers: replace lone surrogates by U+FFFD and cut it at `MAX_CHARACTERS`.

    Empty texts, NUL, emoji and right-to-left text pass unchanged.

    Args:
        text: Anything; only strings pass, and what holds one, such as a scalar of pyarrow.
        position: Its place among the texts, from 0, for the message.

    Raises:
        TypeError: `text` is not a string.

    Examples:
        >>> gate("half an emoji: \ud83d")
        'half an emoji: �'
    """
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", as_string(text, f"text {position}")[:MAX_CHARACTERS])


def gate_texts(texts: Iterable[Any]) -> list[str]:
    """Pass a list of texts through the gate, in order; `[]` gives `[]`.

    Args:
        texts: A list or another iterable of strings, also a column: a Series, a numpy array of strings or objects, an
            array of pyarrow, a column of a data set.

    Raises:
        TypeError: `texts` is one string, a mapping or a set instead of a list, a table instead of one of its columns,
            or one of them is not a string.

    Examples:
        >>> gate_texts(["one", ""])
        ['one', '']
    """
    refuse_table(texts)
    kind = with_article(type(texts).__name__)
    if isinstance(texts, (str, bytes, bytearray, Mapping, Set)) or not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of strings, got {kind}")
    axes = len(getattr(texts, "shape", (0,)))
    if axes != 1:
        raise TypeError(f"expected a list of strings, got {kind} of {axes} axes: give one column of it")
    return [gate(text, position) for position, text in enumerate(texts)]


def refuse_table(texts: object, what: str = "texts are") -> None:
    """Raise TypeError for a table of pandas, polars, pyarrow or datasets, whose names of columns would be read.

    Args:
        texts: What was given as texts.
        what: What one column of it should be, with its verb.
    """
    columns = getattr(texts, "column_names", None)
    columns = getattr(texts, "columns", None) if columns is None else columns
    if columns is None:
        return
    listed = [str(column) for column in columns] if isinstance(columns, Iterable) else []
    kind, example = type(texts).__name__, next((name for name in listed if name == "text"), (listed or ["text"])[0])
    has = f" with the columns {', '.join(listed[:8])}" if listed else ""
    raise TypeError(f"{what} one column, got a {kind}{has}: pass the column, such as df[{example!r}]")


def normalised(text: str, version: int = NORMALIZATION) -> str:
    r"""Return a text in the form in which a model of this version of the normalisation reads it.

    Version 0 changes nothing. Version 1 composes characters (NFC), turns every run of white space into one space and
    leaves out outer ones, soft hyphens, zero-width spaces and marks of direction. Letters, case, punctuation, curly
    quotes and the joiners that shape emoji and letters stay. It changes no text twice.

    Args:
        text: The text.
        version: The field `text_normalization` of the model.

    Examples:
        >>> normalised("so\u00adup\u00a0 of\nthe cafe\u0301 ")
        'soup of the café'
    """
    if not version:
        return text
    while not text.isascii():
        once = JOINERS.sub("", " ".join(INVISIBLE.sub("", text).split()))
        once = unicodedata.normalize("NFC", once[: 2 * MAX_CHARACTERS])[:MAX_CHARACTERS]
        if once == text:
            return text
        text = once
    return " ".join(text.split())


def clean_one(text: object, report: GateReport) -> str:
    r"""Put a text of a corpus on one line without outer whitespace, and count it in `report`.

    An empty text and a missing value, None or NaN, give "".

    Raises:
        TypeError: The text is neither a string nor missing.

    Examples:
        >>> clean_one(" one\ntwo ", GateReport())
        'one two'
    """
    position = report.read
    report.read += 1
    raw = "" if is_missing(text) else as_string(text, f"text {position}")
    # Not a regular expression: `\s*\n\s*` takes quadratic time on a megabyte of spaces.
    line = " ".join(filter(None, map(str.strip, raw.replace("\t", "\n").splitlines())))
    if not line:
        report.empty += 1
        return ""
    report.kept += 1
    report.cut += len(line) > MAX_CHARACTERS
    report.surrogates += SURROGATES.search(line, 0, MAX_CHARACTERS) is not None
    return gate(line).rstrip()


def is_missing(value: object) -> bool:
    """Say whether a value stands for none: None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def as_string(text: object, name: str) -> str:
    """Return a text as a plain string.

    Raises:
        TypeError: It is something else; the message calls it `name`.
    """
    if not isinstance(text, str) and hasattr(text, "as_py"):  # a scalar of pyarrow
        text = text.as_py()
    if isinstance(text, str):
        return str(text)
    if is_missing(text):
        what = "NaN" if isinstance(text, float) else text
        raise TypeError(f"{name} is {what}, a missing value, not a string: leave it out")
    raise TypeError(f"{name} is {with_article(type(text).__name__)}, not a string{_remedy(text)}")


def _remedy(text: object) -> str:
    if isinstance(text, bytes):
        return ": decode it, as in text.decode()"
    return f": write it as one, {str(text)!r}" if isinstance(text, (int, float)) else ""
