"""What one request, one client and the whole server may ask for; all of it is checked before a tokenizer runs."""

from __future__ import annotations

from dataclasses import dataclass

TEXTS = 2048  # of a request
CHARACTERS = 10_000  # of a text, where the library would cut it
N = 256  # texts written by a request
CANDIDATES = 64  # of a shift
HITS = 1000  # of a search, and items of a list
EXACT_STEPS = 100
EXAMPLES = 2000  # of each side of an attribute
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"  # of an attribute or an index: never a path


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a server.

    Attributes:
        body_bytes: Longest body of a request.
        bodies_bytes: Bodies in memory at a time, all requests together.
        headers: Header lines of a request.
        characters: Characters of all texts of a request.
        tokens: Most tokens of all texts of a request, told from their lengths in bytes and the model's `max_length`.
        written: Texts that a request may have written, candidates and drafts included.
        queue: Requests that wait or run; further ones are answered with 429.
        connections: Open connections; further ones are closed.
        attributes: Attributes in memory.
        threads: Requests whose Python parts run at a time.
        seconds: Time limit of a request, without the reading of its body.
        read_seconds: Time in which headers, and then a body, must arrive.
        write_seconds: Time in which a part of an answer must be taken.
    """

    body_bytes: int = 4 << 20
    bodies_bytes: int = 64 << 20
    headers: int = 100
    characters: int = 1_000_000
    tokens: int = 600_000
    written: int = 4096
    queue: int = 256
    connections: int = 4096
    attributes: int = 256
    threads: int = 64
    seconds: float = 60.0
    read_seconds: float = 10.0
    write_seconds: float = 20.0
