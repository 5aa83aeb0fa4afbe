"""Metadata of every type that tables hold, and conditions on nested keys, lists and dates."""

import datetime
import decimal
import enum
import json
import pathlib
import re
import uuid
from datetime import timedelta, timezone

import numpy as np
import pandas
import pyarrow
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stubs import StubVAE, ranking

from textvae.index import LatentIndex
from textvae.index.metadata import metadata_json

NAN, INFINITY = float("nan"), float("inf")
BERLIN = timezone(timedelta(hours=1))
KEY = uuid.UUID(int=5)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    "value, stored",
    [
        (np.int64(3), 3), (np.float32(1.5), 1.5), (np.float64(1.5), 1.5), (np.bool_(True), True), (np.str_("a"), "a"),
        (datetime.date(2024, 1, 2), "2024-01-02"), (datetime.datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00"),
        (datetime.datetime(2024, 1, 2, 3, 4, tzinfo=BERLIN), "2024-01-02T02:04:00+00:00"),
        (datetime.time(3, 4), "03:04:00"), (pandas.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
        (pandas.Timestamp("2024-01-02", tz="Europe/Berlin"), "2024-01-01T23:00:00+00:00"),
        (np.datetime64("2024-01-02"), "2024-01-02"), (np.datetime64("2024-01-02T03:04", "ns"), "2024-01-02T03:04:00"),
        (NAN, None), (INFINITY, None), (np.float32("nan"), None), (pandas.NA, None), (pandas.NaT, None),
        (np.datetime64("NaT"), None), (decimal.Decimal("NaN"), None),
        ([1, NAN, {"a": -INFINITY}], [1, None, {"a": None}]),
        (decimal.Decimal("9.90"), "9.90"), (KEY, str(KEY)), (pathlib.PurePosixPath("a/b"), "a/b"), (Colour.RED, "red"),
        (Level.HIGH, 3), ({"b", "a"}, ["a", "b"]), (frozenset({10, 9}), [9, 10]), (("a", 1), ["a", 1]),
        (np.array([1, 2]), [1, 2]), (np.array([["a"], ["b"]]), [["a"], ["b"]]), (np.array(5), 5),
        (np.array(["2024-01-02"], "M8[ns]"), ["2024-01-02T00:00:00"]), (torch.tensor([1, 2]), [1, 2]),
        (pandas.Series([1, 2]), [1, 2]), (pyarrow.scalar("a"), "a"), (pyarrow.array([1, None]), [1, None]),
        ({1: "a", "b": {"c": np.int8(1)}}, {"1": "a", "b": {"c": 1}}), (2**70, 2**70), (None, None),
        ("\u00e9", "\u00e9"),
    ],
)  # fmt: skip
def test_a_value_of_a_table_is_stored_as_json_has_it(value, stored):
    assert json.loads(metadata_json({"v": value, "w": [value]}), parse_constant=pytest.fail) == {
        "v": stored,
        "w": [stored],
    }


@pytest.mark.parametrize(
    "value, message",
    [
        ({"v": object()}, "'v' is an object: give a text, a number, true or false, a date, or a list or dictionary"),
        ({"owner": {"key": b"a"}}, "'owner.key' is a bytes: give"),
        ({"v": [1 + 2j]}, "'v' is a complex: give"),
        ({"v": np.complex64(1)}, "'v' is a complex: give"),
        ({"v": timedelta(days=1)}, "'v' is a timedelta: give"),
        ({"v": np.timedelta64(1, "D")}, "'v' is a timedelta64: give"),
        ({(1, 2): "a"}, "the key (1, 2) is a tuple, not a text"),
        ({1: "a", "1": "b"}, "two keys are written '1'"),
    ],
)
def test_what_json_has_no_value_for_is_refused_by_its_key(value, message):
    with pytest.raises(ValueError, match=re.escape(f"the metadata of item 1 is not JSON ({message}")):
        LatentIndex.build(StubVAE(), ["a", "b"], metadata=[{}, value])


def test_values_in_a_circle_are_refused():
    circle = {}
    circle["me"] = circle
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        LatentIndex.build(StubVAE(), ["a"], metadata=[circle])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
@settings(deadline=None)
def test_what_is_stored_is_valid_json_and_stays_as_it_is(metadata):
    stored = metadata_json(metadata)
    read = json.loads(stored, parse_constant=pytest.fail)
    assert set(read) == set(metadata)
    assert metadata_json(read) == stored


ROWS = [
    {"date": datetime.date(2023, 12, 31), "customer": {"tier": "gold", "age": 30}, "tags": ["food", "cold"]},
    {"date": pandas.Timestamp("2024-01-01"), "customer.tier": "gold", "tags": {"food"}},
    {"date": "2024-01-01T12:00:00+02:00", "customer": {"tier": "basic"}, "tags": "seafood, cold"},
    {"date": "2024-02", "customer": "gold", "tags": [4, True]},
    {"date": "unknown", "customer": {"tier": ["gold"]}, "tags": [["food"]]},
    {},
]


@pytest.fixture(scope="module")
def index():
    return LatentIndex.build(StubVAE(), [f"text {i}" for i in range(len(ROWS))], metadata=ROWS)


@pytest.mark.parametrize(
    "where, found",
    [
        ("date >= '2024-01-01'", [1, 2, 3]),
        ("date < '2024-01-01'", [0]),
        ("date <= '2024-01-01'", [0, 1]),
        ("date = '2024-01-01'", [1]),
        ("date != '2024-01-01'", [0, 2, 3, 4, 5]),
        ("date = '2024-01-01T10:00:00Z'", [2]),
        ("date > '2024-01-01 09:59' and date < '2024-01-01T11:00+00:30'", [2]),
        ("date in ('2023-12-31', '2024-01-01T00:00', 'unknown')", [0, 1, 4]),
        ("date = '2024-02-31'", []),
        ("customer.tier = 'gold'", [0, 1]),
        ("customer.tier != 'gold'", [2, 3, 4, 5]),
        ("customer.tier in ('gold', 'basic')", [0, 1, 2]),
        ("customer.age >= 30", [0]),
        ("customer.tier is null", [3, 5]),
        ("customer.tier is not null", [0, 1, 2, 4]),
        ("customer.tier contains 'gold'", [0, 1, 4]),
        ("\"customer.tier\" = 'gold'", [1]),
        ("tags contains 'food'", [0, 1, 2]),
        ("tags contains 'cold' and not tags contains 'seafood'", [0]),
        ("tags not contains 'food'", [3, 4, 5]),
        ("tags contains 4", [3]),
        ("tags contains true", [3]),
        ("tags contains '4'", []),
        ("tags = 'food'", []),
    ],
)
def test_conditions_reach_nested_keys_lists_and_dates(index, where, found):
    assert sorted(ranking(index.search("text", k=9, where=where))) == found


def test_a_nested_key_is_known(index, caplog):
    index.search("text", where="customer.tier = 'gold' or customer.age = 3")
    assert not caplog.records
    index.search("text", where="customer.name = 'x'")
    assert "no text has the metadata key customer.name" in caplog.text


def test_the_keys_of_an_index_are_listed():
    index = LatentIndex.build(StubVAE(), [{"text": "a", "topic": "x", "n": 1}, {"text": "b", "topic": "y"}, "c"])
    assert index.metadata_keys == ["n", "topic"]
    assert LatentIndex.build(StubVAE(), ["a"]).metadata_keys == []
