"""Decoded lines of a file or of standard input: gzip and zstd unpacked, any line end, UTF-8 or an error."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from ..storage.errors import CorruptFileError

PACKED = (".gz", ".zst")
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
FORMATS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
LONGEST_LINE = 1 << 26  # bytes; what a file without line ends may cost in memory
PIECE = 1 << 20  # bytes read at a time from a file whose lines end in carriage returns
HEAD = 8192  # bytes that are looked at to tell text from binary
LONE_RETURN = re.compile(b"\r(?!\n)")
# Formats that begin with valid UTF-8; others give themselves away by NULs or when they are decoded.
MAGIC = {b"PK\x03\x04": "a zip archive", b"PAR1\x15": "a Parquet file", b"%PDF-": "a PDF"}


def decoded_lines(source: str, name: str) -> Iterator[str]:
    r"""Yield the decoded lines of a file or of standard input, with their line ends, without a byte order mark.

    Lines end in \n or \r\n, and in a lone \r if the first line does: then a file has the line ends of old Macs, while
    elsewhere a carriage return inside a line is white space.

    Raises:
        CorruptFileError: A compressed file is damaged.
        ValueError: It is not UTF-8 text, or a line is longer than `LONGEST_LINE`.
        ImportError: It is a zstd file, and pyarrow was built without zstd.
    """
    position = 0  # bytes before the current line
    try:
        with _open(source) as file:
            _check_head(file, name)
            for number, line in enumerate(_byte_lines(file), 1):
                if len(line) >= LONGEST_LINE:
                    limit = f"{LONGEST_LINE >> 20} MB"
                    raise ValueError(f"{name} line {number} is longer than {limit}: write one sentence a line")
                text = _decode(line, name, position)
                yield text if position else text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
                position += len(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptFileError(f"{name} is not a whole gzip file ({one_line(error)}): restore it") from error
    except OSError as error:
        if error.errno is None and source.lower().endswith(".zst"):  # of pyarrow, not of the system
            raise CorruptFileError(f"{name} is not a whole zstd file ({one_line(error)}): restore it") from error
        raise


def one_line(error: Exception) -> str:
    """Return the message of an error on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _byte_lines(file: Any) -> Iterator[bytes]:
    first = file.readline(LONGEST_LINE)
    if not LONE_RETURN.search(first):
        if first:
            yield first
        yield from iter(partial(file.readline, LONGEST_LINE), b"")
        return
    rest = first
    while len(rest) < LONGEST_LINE or LONE_RETURN.search(rest):
        *lines, rest = rest.splitlines(keepends=True)
        yield from lines
        piece = file.readline(PIECE)
        if not piece:
            break
        rest += piece
    yield rest


def _open(source: str) -> AbstractContextManager[Any]:
    if source == "-":
        return nullcontext(sys.stdin.buffer)  # not ours to close
    if source.lower().endswith(".zst"):
        return _open_zstd(source)
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb", buffering=1 << 16)


def _open_zstd(source: str) -> AbstractContextManager[Any]:
    import pyarrow

    if not pyarrow.Codec.is_available("zstd"):
        raise ImportError(f"{source} is a zstd file and this pyarrow reads none: unpack it, or pip install -U pyarrow")
    stream = pyarrow.CompressedInputStream(pyarrow.OSFile(source, "rb"), "zstd")
    return io.BufferedReader(stream, 1 << 16)


def _check_head(file: Any, name: str) -> None:
    """Refuse what begins like a binary file, before anything of it is taken for text."""
    # A look that moves nothing, since pipes cannot be rewound.
    head = file.peek(HEAD)[:HEAD] if hasattr(file, "peek") else b""
    _decode(head, name, 0, final=False)
    zeros = head.count(0)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            raise _not_text(name, f"it starts like {kind}")
    if zeros >= 8 and zeros > len(head) // 32:  # a text may hold a stray NUL
        raise _not_text(name, f"{zeros:,} NUL bytes in its first {len(head):,}")


def _decode(data: bytes, name: str, position: int, final: bool = True) -> str:
    """Decode UTF-8 that starts at `position`; unless `final`, its last character may be cut off."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as error:
        why = f"byte 0x{data[error.start]:02x} at position {position + error.start}"
        raise _not_text(name, why) from error


def _not_text(name: str, why: str) -> ValueError:
    return ValueError(f"{name} is not UTF-8 text ({why}): convert it, or give a {FORMATS} file")
