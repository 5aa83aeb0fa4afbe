"""What the vector stores of other frameworks share: ids and conditions of an index, local or outside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..index.conditions import KEYWORDS
from ..index.latent_index import LatentIndex
from .remote_index import RemoteIndex

Index = LatentIndex | RemoteIndex
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def name_of(key: str) -> str:
    """Return a metadata key as conditions write it; dots lead into nested keys.

    Examples:
        >>> name_of("customer.tier"), name_of("a key")
        ('customer.tier', '"a key"')
    """
    plain = NAME.fullmatch(key) and not set(key.lower().split(".")) & KEYWORDS
    return key if plain else '"' + key.replace('"', '""') + '"'


def value_of(value: Any) -> str:
    """Return a value as conditions write it.

    Raises:
        TypeError: It is no text, number, true or false.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise TypeError(f"a condition compares with texts, numbers, true and false, got {value!r}")


def equalities(wanted: str | Mapping[str, Any] | None) -> str | None:
    """Return the condition that keys have values, or a condition as it is."""
    if wanted is None or isinstance(wanted, str):
        return wanted
    parts = [
        f"{name_of(key)} is null" if value is None else f"{name_of(key)} = {value_of(value)}"
        for key, value in wanted.items()
    ]
    return " and ".join(parts) or None


def ids_where(index: Index, where: str | None) -> list[Any]:
    """Return the ids of all texts that meet a condition."""
    if where is None:
        return index.ids
    every = max(1, len(index))
    return [hit.id for hit in index.search(np.zeros(index.dim, np.float32), every, where=where)]


def own_ids(index: Index, ids: Sequence[str]) -> list[Any]:
    """Return ids, which frameworks write as texts, as the index has them."""
    return list(ids) if index.named is not False else [int(id) if id.isdecimal() else -1 for id in ids]


def known_ids(index: Index, ids: Sequence[str]) -> list[Any]:
    """Return those of the ids that the index has, as it has them."""
    if index.named is None:  # it is empty, and the first ids decide of which kind they are
        return []
    return [id for id in dict.fromkeys(own_ids(index, ids)) if _has(index, id)]


def _has(index: Index, id: Any) -> bool:
    try:
        index.get(id)
    except ValueError:
        return False
    return True
