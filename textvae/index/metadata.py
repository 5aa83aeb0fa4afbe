"""Metadata as JSON: what Python, numpy, pandas and pyarrow hold as numbers, texts, lists and null, or a refusal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np

from ..storage.errors import with_article
from ..text.cleaning import is_missing

WHOLE_DAYS = ("Y", "M", "W", "D")  # units of numpy whose values are dates
MOST_LEVELS = 100  # of nested metadata; SQLite reads 1,000
REMEDY = "give a text, a number, true or false, a date, or a list or dictionary of these"


def metadata_json(metadata: Mapping[str, Any]) -> str:
    """Return metadata as a JSON object.

    Numbers of numpy are numbers. Dates and times are texts in ISO 8601, those with a time zone in UTC. NaN, infinity,
    NaT and NA are null. Decimal, UUID and paths are texts, an Enum is its value, sets, tuples and arrays are lists.

    Raises:
        TypeError: A value is of another type; the message names its key.
        ValueError: Values are nested in a circle, or two keys become the same text.

    Examples:
        >>> metadata_json({"stars": np.int64(4), "day": date(2024, 1, 2), "price": float("nan")})
        '{"stars": 4, "day": "2024-01-02", "price": null}'
    """
    if not metadata:
        return "{}"
    try:
        return json.dumps(_object(metadata, ""), allow_nan=False)
    except RecursionError as error:
        raise ValueError("values are nested in a circle, or too deeply") from error


def _object(values: Mapping[Any, Any], path: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key) if isinstance(key, str | int | float | np.integer) or key is None else None
        if name is None:
            raise TypeError(f"the key {key!r} is {with_article(type(key).__name__)}, not a text")
        if name in plain:
            raise ValueError(f"two keys are written {name!r}")
        plain[name] = _plain(value, f"{path}{name}")
    return plain


def _plain(value: Any, path: str) -> Any:
    """Return a value as JSON has it; `path` names its key."""
    if is_missing(value):
        return None
    if isinstance(value, Enum):
        return _plain(value.value, path)
    if isinstance(value, bool | int | str):
        return value if type(value) in (bool, int) else str(value) if isinstance(value, str) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _object(value, f"{path}.")
    if isinstance(value, list | tuple):
        return [_plain(part, path) for part in value]
    if isinstance(value, Set):
        return _ordered([_plain(part, path) for part in value])
    return _text_or_unwrapped(value, path)


def _text_or_unwrapped(value: Any, path: str) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else None
    if isinstance(value, UUID | PurePath):
        return str(value)
    if isinstance(value, np.datetime64):
        whole = np.datetime_data(value.dtype)[0] in WHOLE_DAYS
        return None if np.isnat(value) else _plain((value if whole else value.astype("M8[us]")).item(), path)
    if isinstance(value, np.ndarray) and value.ndim:
        return [_plain(part, path) for part in value]
    inner = _unwrapped(value)
    if inner is value or type(inner) is type(value):
        raise TypeError(f"{path!r} is {with_article(type(value).__name__)}: {REMEDY}")
    return _plain(inner, path)


def _unwrapped(value: Any) -> Any:
    """Return what a scalar or an array of numpy, pyarrow, pandas or torch holds; other values as they are."""
    if isinstance(value, np.timedelta64):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.item()
    for way in ("as_py", "to_pylist", "tolist"):
        if callable(getattr(value, way, None)):
            return getattr(value, way)()
    return value


def _ordered(values: list[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=json.dumps)


def check_depth(metadata: Mapping[str, Any] | None, position: int) -> None:
    """Raise ValueError if metadata are nested too deep for the readers of JSON, or hold themselves."""
    level: list[Any] = [metadata] if isinstance(metadata, Mapping) else []
    for _ in range(MOST_LEVELS):
        inner = [value for each in level for value in (each.values() if isinstance(each, Mapping) else each)]
        level = list({id(value): value for value in inner if isinstance(value, Mapping | list | tuple)}.values())
        if not level:
            return
    raise ValueError(
        f"the metadata of item {position} are nested deeper than {MOST_LEVELS} levels: flatten them, or store a text"
    )
