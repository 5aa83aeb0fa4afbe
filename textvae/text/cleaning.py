"""Cleaning and checks of input texts, and counts of what was changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from textvae.storage.errors import with_article

MAX_CHARACTERS = 10_000
SURROGATES = re.compile("[\ud800-\udfff]")


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
        text: The text; other types raise an error.
        position: Its position among the texts, from 0, for the error message.

    Raises:
        TypeError: `text` is not a string.

    Examples:
        >>> gate("half an emoji: \ud83d")
        'half an emoji: �'
    """
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _string(text, position)[:MAX_CHARACTERS])


def gate_texts(texts: Sequence[str]) -> list[str]:
    """Apply `gate` to a list of texts; `[]` gives `[]`.

    Raises:
        TypeError: `texts` is a string, mapping or set instead of a list, or a text is not a string.

    Examples:
        >>> gate_texts(["one", ""])
        ['one', '']
    """
    if isinstance(texts, (str, bytes, bytearray, Mapping, Set)) or not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of strings, got {with_article(type(texts).__name__)}")
    return [gate(text, position) for position, text in enumerate(texts)]


def clean_one(text: object, report: GateReport) -> str:
    r"""Put a text of a corpus on one line without outer whitespace, and count it in `report`.

    Empty texts and None (missing values) give "".

    Raises:
        TypeError: The text is neither a string nor None.

    Examples:
        >>> clean_one(" one\ntwo ", GateReport())
        'one two'
    """
    position = report.read
    report.read += 1
    raw = "" if text is None else _string(text, position)
    # Not a regular expression: `\s*\n\s*` takes quadratic time on a megabyte of spaces.
    line = " ".join(filter(None, map(str.strip, raw.replace("\t", "\n").splitlines())))
    if not line:
        report.empty += 1
        return ""
    report.kept += 1
    report.cut += len(line) > MAX_CHARACTERS
    report.surrogates += SURROGATES.search(line, 0, MAX_CHARACTERS) is not None
    return gate(line).rstrip()


def _string(text: object, position: int) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text {position} is {with_article(type(text).__name__)}, not a string")
    return text
