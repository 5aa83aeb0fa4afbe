"""Words for a terminal: names and texts of files could move its cursor, recolour it or retitle its window."""

from __future__ import annotations

import re

# C0 and C1 control characters but the tab, the overrides of the direction of writing, and lone surrogates
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NOT_IN_JSON = re.compile("[\x7f-\x9f]")  # what a JSON string may have as it is


def shown(line: str) -> str:
    r"""Return one line of text in which control characters are escapes; line breaks become spaces.

    Examples:
        >>> shown("a\x1b[31m\nb")
        'a\\x1b[31m b'
    """
    return CONTROL.sub(_escape, " ".join(line.splitlines()))


def in_json(line: str) -> str:
    r"""Return JSON in which the control characters that it allows are escapes, such as \u009b."""
    return NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
