"""Conditions by facets mean what SQLite and Python say."""

import doctest
import json
import operator

import pytest
from drawn_conditions import CONDITIONS, METADATA
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.index.conditions import parse_condition
from textvae.index.filters import parse_filter
from textvae.index.item_store import ItemStore
from textvae.index.rows import Row
from textvae.integrations import facets
from textvae.integrations.facets import facets_of, translated

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Plain:
    """The dialect whose conditions are functions of facets."""

    engine = "Python"

    def holds_any(self, terms):
        return lambda facets: bool(set(terms) & set(facets.terms))

    def compares(self, order, path, sign, value):
        return lambda facets: path in facets.ordered[order] and SIGNS[sign](facets.ordered[order][path], value)

    def has_part(self, path, part):
        return lambda facets: part in facets.texts[path] if path in facets.texts else False

    def joined(self, word, parts):
        return lambda facets: (all if word == "and" else any)(part(facets) for part in parts)

    def negated(self, part):
        return lambda facets: not part(facets)


def agrees(where, rows):
    store = ItemStore()
    with store.adding([Row("text", json.dumps(row)) for row in rows]):
        pass
    try:
        meaning = translated(parse_condition(where), Plain())
    except ValueError as error:
        assert "Python cannot filter by the order of " in str(error)
        return
    found = [n for n, row in enumerate(rows) if meaning(facets_of(row))]
    assert found == store.matching(parse_filter(where)).tolist()


@settings(max_examples=300, deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=12), CONDITIONS)
def test_a_condition_by_facets_means_what_sqlite_says(rows, condition):
    agrees(condition[0], rows)


DATES = ["2024-01-31", "2024-01-31T12:00:00Z", "2024-01-31 14:00:00+02:00", "2024", "2024-02", "2023-12", "soon", ""]


@pytest.mark.parametrize("sign", ["=", "!=", "<", "<=", ">", ">=", "contains"])
@pytest.mark.parametrize("value", ["2024-01-31", "2024-01-31T12:00:00Z", "2024-02-01", "2024-01-01"])
def test_moments_are_compared_as_sqlite_compares_them(sign, value):
    rows = [{"day": day} for day in DATES] + [{"day": [day, 4]} for day in DATES] + [{"day": None}, {}, {"day": 2024}]
    agrees(f"day {sign} '{value}'", rows)


@pytest.mark.parametrize(
    "where",
    [
        "a.b = 1", '"a.b" = 1', "a.b.c is null", "a.b >= 1 or a.c contains 'x'", "a is null", "a.c contains 'yx'",
        "a.c contains 7", "not a.b < 3", "t = 't' or u contains ''",
    ],
)  # fmt: skip
def test_nested_keys_are_reached_as_in_sqlite(where):
    long = "x" * 500
    agrees(where.replace("'t'", f"'{long}'"), [
        {"a": {"b": 1, "c": ["x", "7"]}}, {"a.b": 1}, {"a": {"b": {"c": 0}}}, {"a": {"c": "xyx"}}, {"a": None},
        {"t": long}, {"t": long + "x"}, {"u": ""}, {"u": [""]}, {"u": 5},
    ])  # fmt: skip


def test_the_examples_run():
    assert doctest.testmod(facets).failed == 0
