"""Atomic file writes (a file appears whole or not at all), checksums and JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from .errors import CorruptFileError

MOST_JSON = 1 << 26  # bytes of a JSON file; the largest are tokenizers
JSON_KINDS: dict[type, str] = {
    bool: "true or false", dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number"
}  # fmt: skip
STAGED = ".staged-"  # what precedes the name of a file or folder that is being written
STREAMS = re.compile(r"/dev|/proc/.*")  # folders whose names are written through, such as /dev/stdout
ABANDONED = 3600.0  # seconds after which an unlocked temporary file is its dead writer's
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a new temporary file beside `path`; on success it is synced and renamed onto `path`, else it is deleted.

    Of several writers at once, each has a temporary file of its own, and the last one's file stays. A symbolic link is
    followed: the file that it names is replaced. A FIFO or a character device gets the bytes and stays what it is.

    Raises:
        OSError: The folder cannot be written, a link leads nowhere, or nobody reads the FIFO.
    """
    path = Path(path)
    if _is_stream(path):
        with tempfile.TemporaryDirectory(prefix="textvae-") as folder:
            yield Path(folder) / path.name
            _send(Path(folder) / path.name, path)
        return
    path = followed(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    staged = staged_name(path)
    descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | NOFOLLOW, 0o666)
    try:
        with _held(descriptor):
            yield staged
            sync(staged)
        os.replace(staged, path)
        sync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def staged_name(path: Path) -> Path:
    """Return an unused temporary name beside a path."""
    return path.with_name(f"{STAGED}{path.name}.{secrets.token_hex(4)}")


def staged_beside(path: Path) -> list[Path]:
    """Return the temporary files and folders beside a path that `staged_name` named."""
    temporary = re.compile(re.escape(STAGED + path.name) + r"\.[0-9a-f]{8}")
    return [file for file in path.parent.iterdir() if temporary.fullmatch(file.name)]


def followed(path: Path) -> Path:
    """Return the file or folder that a path names, behind symbolic links; it need not exist.

    Raises:
        OSError: The links lead in a circle.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, "a symbolic link that leads back to itself: name a file or folder", str(path))
    return target


def open_no_link(file: str | Path, flags: int) -> int:
    """Open a file that must not be a symbolic link, where the system can tell: the `opener` of Python's `open`."""
    return os.open(file, flags | NOFOLLOW, 0o666)


def _is_stream(path: Path) -> bool:
    """Say whether a path is written through, not replaced, and raise OSError if it is neither file nor stream."""
    try:
        mode = path.stat().st_mode
    except OSError:  # absent, or what opening it will say
        return False
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "a device or socket, which is not written: name a file", str(path))
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or bool(STREAMS.fullmatch(os.path.realpath(path.parent)))


def _send(file: Path, stream: Path) -> None:
    try:  # a FIFO without a reader would block for ever
        descriptor = os.open(stream, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads this FIFO: start its reader first", str(stream)) from error
        raise
    os.set_blocking(descriptor, True)
    with open(file, "rb") as source, open(descriptor, "wb") as target:
        shutil.copyfileobj(source, target)


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    """Keep a lock on a temporary file in the block, which says that its writer lives; then close it."""
    if fcntl is None:  # Windows replaces no open file
        os.close(descriptor)
        yield
        return
    try:
        with suppress(OSError):  # file systems without locks: an old enough file then counts as abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(path: Path) -> None:
    """Delete the temporary files that killed writers of a path left; those of living ones are locked."""
    if fcntl is None:
        return
    for file in staged_beside(path):
        with suppress(OSError):
            if file.is_file() and time.time() - file.lstat().st_mtime > ABANDONED:
                descriptor = os.open(file, os.O_RDWR | NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.unlink()
                finally:
                    os.close(descriptor)


def save_rows(path: str | Path, parts: Iterable[np.ndarray]) -> int:
    """Concatenate arrays along the first axis into one npy file and return its number of rows.

    Args:
        path: The file.
        parts: One or more arrays of shape (any, D) and one dtype; only one is in memory at a time.

    Raises:
        ValueError: `parts` is empty.
    """
    import numpy as np

    count = 0
    header: dict[str, Any] = {}
    with atomic_path(path) as staged, open(staged, "wb") as file:
        for part in parts:
            if not header:  # numpy pads the header, so the final number of rows fits
                header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, header | {"shape": (0, part.shape[1])})
            file.write(np.ascontiguousarray(part).data)
            count += len(part)
        if not header:
            raise ValueError(f"no arrays were given to write to {path}")
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
    """Flush a file to disk, or the directory entries of a folder where the system supports it."""
    writable = path.is_file() and os.access(path, os.W_OK)
    try:
        descriptor = os.open(path, os.O_RDWR if writable else os.O_RDONLY)  # Windows syncs only writable files
    except PermissionError:
        if path.is_dir():  # Windows cannot open a folder, and needs no sync of its entries
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
