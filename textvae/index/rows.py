"""Corpora turned into rows: texts, their metadata as JSON, and the ids that their users gave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from ..text.cleaning import SURROGATES, as_string, refuse_table
from .metadata import check_depth, metadata_json

Item = str | Mapping[str, Any]


class Row(NamedTuple):
    """A text, its metadata as JSON, and its name, which is the id given by the user or None."""

    text: str
    metadata: str
    name: str | None = None


def rows_of(
    corpus: Iterable[Item],
    metadata: Iterable[Mapping[str, Any] | None] | None = None,
    ids: Iterable[str] | None = None,
) -> Iterator[Row]:
    """Yield one row per text of a corpus; lone surrogates, which SQLite cannot store, become U+FFFD.

    Args:
        corpus: Texts, or mappings with a "text" whose other keys are its metadata.
        metadata: One dictionary (or None) per text, beside a corpus of strings; `metadata_json` says of what values.
        ids: One name per text.

    Raises:
        ValueError: Metadata that is not JSON or not one per text, not one id per text, or a mapping without "text".
        TypeError: The corpus is a single item or a table, an item is neither a string nor a mapping, or an id is no
            string.

    Examples:
        >>> list(rows_of([{"text": "a red fox", "page": 3}]))
        [Row(text='a red fox', metadata='{"page": 3}', name=None)]
    """
    if isinstance(corpus, str | bytes | Mapping):
        raise TypeError(f"texts come as a list or another iterable, got a single {type(corpus).__name__}")
    if not hasattr(corpus, "features"):  # of a data set, which yields mappings
        refuse_table(corpus)
    if hasattr(metadata, "columns"):
        raise TypeError(f"metadata are one dictionary a text, got a {type(metadata).__name__}: df.to_dict('records')")
    refuse_table(ids, "ids are")
    missing: Any = object()
    if isinstance(ids, str):
        raise TypeError(f"ids come as a list, got the single {ids!r}")
    beside = [part for part in (metadata, ids) if part is not None]
    for position, (item, *others) in enumerate(zip_longest(corpus, *beside, fillvalue=missing)):
        extra = others[0] if metadata is not None else None
        name = others[-1] if ids is not None else None
        if metadata is not None and (item is missing or extra is missing):
            raise ValueError(f"texts and metadata differ in length after {position}: give one dictionary per text")
        if item is missing or name is missing:
            raise ValueError(f"texts and ids differ in length after {position}: give one id per text")
        item = item.as_py() if hasattr(item, "as_py") else item  # a scalar of pyarrow
        if isinstance(item, Mapping):
            if "text" not in item or extra is not None:
                raise ValueError(f"item {position} needs a 'text' and its metadata as other keys, got {list(item)}")
            item, extra = item["text"], {key: value for key, value in item.items() if key != "text"}
        text = as_string(item, f"the text of item {position}")
        name = None if ids is None else checked_name(name)
        if extra:
            check_depth(extra, position)
        try:
            yield Row(SURROGATES.sub("\ufffd", text), metadata_json(dict(extra or {})), name)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the metadata of item {position} is not JSON ({error})") from error


def checked_name(name: Any) -> str:
    """Return an id that a user gave, without lone surrogates.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty or has a NUL character.
    """
    name = name.as_py() if hasattr(name, "as_py") else name  # a scalar of pyarrow
    if not isinstance(name, str):
        raise TypeError(f"ids of texts are strings, got {name!r}: give str({name!r})")
    if not name:
        raise ValueError("the id of a text is empty: give each text an id of its own")
    if "\0" in name:
        raise ValueError(f"the id {name!r} has a NUL character: leave it out")
    return SURROGATES.sub("\ufffd", name)
