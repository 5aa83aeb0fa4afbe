"""Token ids of a corpus in a memory-mapped Arrow file, tokenised once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np

from ..storage.atomic import atomic_path, sha256

BLOCK = 8192  # texts tokenised together, and rows of one record batch
DIGITS = 16  # of the SHA-256 in the file name, since Arrow files contain no checksum

Tokenize = Callable[[list[str]], list[list[int]]]


class TokenRows(Sequence[list[int]]):
    """Rows of token ids, read from the file on access.

    Attributes:
        lengths: Number of tokens per row, shape (N,), int64.
    """

    def __init__(self, path: str | Path):
        import pyarrow

        with pyarrow.memory_map(str(path)) as source:
            chunks = pyarrow.ipc.open_file(source).read_all().column("ids").chunks
        self._blocks = [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in chunks]
        self.lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for offsets, _ in self._blocks)])

    def __len__(self) -> int:
        return len(self.lengths)

    def close(self) -> None:
        """Close the file, which Windows requires before deleting it; rows cannot be read afterwards."""
        self._blocks = []

    @overload
    def __getitem__(self, i: int) -> list[int]: ...
    @overload
    def __getitem__(self, i: slice) -> list[list[int]]: ...
    def __getitem__(self, i: int | slice) -> list[int] | list[list[int]]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        block, place = divmod(range(len(self))[i], BLOCK)
        offsets, values = self._blocks[block]
        return values[offsets[place] : offsets[place + 1]].tolist()


def cached_token_rows(name: Path, texts: Iterable[str], tokenize: Tokenize) -> TokenRows:
    """Return the cached rows of a name if their checksum matches, else tokenise the texts and cache them.

    Args:
        name: Folder and prefix of the file name; use another one for other texts or another tokenizer.
        texts: Read only if there are no cached rows.
        tokenize: Function from a list of texts to their token ids.
    """
    for path in name.parent.glob(f"{name.name}.*.arrow"):
        if path.suffixes[-2] == f".{sha256(path)[:DIGITS]}":
            return TokenRows(path)
        path.unlink()
    written = name.with_name(f"{name.name}.arrow")
    write_token_rows(written, texts, tokenize)
    return TokenRows(written.replace(name.with_name(f"{name.name}.{sha256(written)[:DIGITS]}.arrow")))


def write_token_rows(path: str | Path, texts: Iterable[str], tokenize: Tokenize) -> None:
    """Tokenise texts into an Arrow file, block by block."""
    import pyarrow

    rows = pyarrow.list_(pyarrow.int32())
    schema = pyarrow.schema([("ids", rows)])
    remaining = iter(texts)
    with (
        atomic_path(path) as staged,
        pyarrow.OSFile(str(staged), "wb") as sink,  # closed before it is renamed
        pyarrow.ipc.new_file(sink, schema) as file,
    ):
        while block := list(islice(remaining, BLOCK)):
            file.write_batch(pyarrow.record_batch([pyarrow.array(tokenize(block), rows)], schema=schema))
