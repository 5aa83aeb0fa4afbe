"""Conditions on metadata drawn at random, and what each of them means in Python."""

import operator
import re

from hypothesis import strategies as st

SIGNS = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
KEYS = ["stars", "topic", "é ü", 'a"b', "a.b", "$[0]", "and", "", "it's", "x\\y"]
WORDS = st.sampled_from(["", "food", "Food", "it's", 'a "b"', "é", "5", "-2.5", " 3 ", "5 stars", "🦊", "\\", "1e1"])
NUMBERS = st.integers(-5, 12) | st.sampled_from([-2.5, 0.0, 0.5, 4.0, 5.0, 1e300, 2**53 + 1, 2**62 + 1])
SCALARS = WORDS | NUMBERS | st.booleans()
METADATA = st.dictionaries(
    st.sampled_from(KEYS), SCALARS | st.none() | st.lists(NUMBERS, max_size=2) | st.just({"stars": 5}), max_size=5
)
NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def holds(sign, found, value):
    """Compare as the documentation says, in Python."""
    if isinstance(value, bool) or isinstance(found, bool):
        return isinstance(value, bool) and isinstance(found, bool) and SIGNS[sign](found, value)
    if isinstance(value, str):
        return isinstance(found, str) and SIGNS[sign](found, value)
    if isinstance(found, str) and NUMERIC.fullmatch(found):
        found = float(found)
    return isinstance(found, int | float) and SIGNS[sign](found, value)


def written(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def named(key):
    return key if re.fullmatch(r"[a-z]+", key) and key != "and" else '"' + key.replace('"', '""') + '"'


@st.composite
def comparisons(draw):
    """Draw a condition and the function of metadata that says what it means."""
    key, value, kind = draw(st.sampled_from(KEYS)), draw(SCALARS), draw(st.sampled_from([*SIGNS, "in", "is"]))
    contrary = draw(st.booleans())
    if kind == "is":
        sql = f"{named(key)} is {'not ' if contrary else ''}null"
        return sql, lambda row: (row.get(key) is None) != contrary
    if kind == "in":
        values = draw(st.lists(SCALARS, min_size=1, max_size=4))
        sql = f"{named(key)} {'NOT ' if contrary else ''}In ({', '.join(map(written, values))})"
        return sql, lambda row: any(holds("=", row.get(key), value) for value in values) != contrary
    if kind == "!=":
        return f"{named(key)}!={written(value)}", lambda row: not holds("=", row.get(key), value)
    return f"{named(key)} {kind} {written(value)}", lambda row: holds(kind, row.get(key), value)


def joined(inner):
    def combine(pair, word):
        (left, left_holds), (right, right_holds) = pair
        if word == "and":
            return f"({left}) and ({right})", lambda row: left_holds(row) and right_holds(row)
        return f"({left} OR {right})", lambda row: left_holds(row) or right_holds(row)

    def negate(one):
        return f"not ({one[0]})", lambda row: not one[1](row)

    pairs = st.tuples(inner, inner)
    return st.builds(combine, pairs, st.sampled_from(["and", "or"])) | inner.map(negate)


CONDITIONS = st.recursive(comparisons(), joined, max_leaves=6)
