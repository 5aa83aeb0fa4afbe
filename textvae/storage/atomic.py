"""Files that are whole or absent, and JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

from .errors import CorruptFileError

MOST_JSON = 1 << 26  # bytes of a JSON file; the largest are tokenizers
JSON_KINDS: dict[Any, str] = {
    bool: "true or false",
    dict: "an object",
    list: "an array",
    str: "a string",
    (int, float): "a number",
}
STAGED = ".staged-"  # what precedes the name of a file or folder that is being written


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is synced and renamed onto `path`, else it is deleted."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(STAGED + path.name)
    try:
        yield staged
        sync(staged)
        os.replace(staged, path)
        sync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def save_rows(path: str | Path, parts: Iterable[np.ndarray]) -> int:
    """Write arrays of one width, one below the other, as one npy file and return its number of rows.

    Args:
        path: The file.
        parts: Arrays of shape (any, D) and one dtype, at least one; held one at a time.

    Raises:
        ValueError: There are no parts.
    """
    import numpy as np

    count = 0
    header: dict[str, Any] = {}
    with atomic_path(path) as staged, open(staged, "wb") as file:
        for part in parts:
            if not header:  # numpy leaves room in the header for the number of rows to grow
                header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, header | {"shape": (0, part.shape[1])})
            file.write(np.ascontiguousarray(part).data)
            count += len(part)
        if not header:
            raise ValueError(f"there is nothing to write to {path}")
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header | {"shape": (count, part.shape[1])})
    return count


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | Path, most: int = MOST_JSON) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        most: Bytes above which it is refused unread.

    Raises:
        CorruptFileError: The file is not a JSON object, or is too large or nested too deeply for one of ours.
    """
    path = Path(path)
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise CorruptFileError(f"{path} is larger than {most:,} bytes, the most of such a file: restore it from a copy")
    try:
        content = parse_json(data)
    except ValueError as error:
        raise CorruptFileError(f"{path} is not valid JSON ({error}): restore it from a copy") from error
    if not isinstance(content, dict):
        raise CorruptFileError(f"{path} holds {json_kind(content)}, not a JSON object: restore it from a copy")
    return content


def parse_json(data: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: It is not JSON, or nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def json_kind(value: object) -> str:
    """Return what JSON calls a value, after its article."""
    for kind, name in JSON_KINDS.items():
        if isinstance(value, kind):
            return name
    return "null" if value is None else "something else"


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object atomically."""
    with atomic_path(path) as staged:
        staged.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sync(path: Path) -> None:
    """Return once a file, or the names in a folder where the system opens folders, are on disk."""
    writable = path.is_file() and os.access(path, os.W_OK)
    try:
        descriptor = os.open(path, os.O_RDWR if writable else os.O_RDONLY)  # Windows syncs only what may be written
    except PermissionError:
        if path.is_dir():  # Windows opens no folder, and keeps the names safe by itself
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
