import doctest
import json
import time

import numpy as np
import pytest
from drawn_conditions import CONDITIONS, METADATA
from hypothesis import given, settings
from hypothesis import strategies as st
from stubs import DIM, TEXTS, StubVAE, ranking

from textvae.index import LatentIndex, conditions, filters
from textvae.index.backends.faiss import FaissBackend
from textvae.index.conditions import DEPTH, PARTS
from textvae.index.filters import parse_filter
from textvae.index.item_store import ItemStore
from textvae.index.rows import Row


@settings(max_examples=400, deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=12), CONDITIONS)
def test_a_filter_means_what_python_says(rows, condition):
    where, meaning = condition
    store = ItemStore()
    with store.adding([Row("text", json.dumps(row)) for row in rows]):
        pass
    assert store.matching(parse_filter(where)).tolist() == [n for n, row in enumerate(rows) if meaning(row)]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.text("ab'\"()=<>!,. 019\\andorisnullin-", max_size=40))
def test_any_string_is_a_condition_or_one_clear_line(where):
    store = ItemStore()
    with store.adding([Row("text", '{"a": 1}')]):
        pass
    try:
        condition = parse_filter(where)
    except ValueError as error:
        assert str(error).startswith("the filter ") and len(str(error).splitlines()) == 1
    else:
        assert set(store.matching(condition)) <= {0}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "the filter '' goes wrong at its end: expected the name of a metadata key"),
        ("stars", "goes wrong at its end: expected =, !=, <, <=, >, >=, in, contains or is"),
        ("stars >=", "goes wrong at its end: expected a value such as 'food', 4 or true"),
        ("stars == 4", "expected a value such as 'food', 4 or true: equal is written with one ="),
        ("stars >= 4 andd x = 1", "goes wrong at character 12, 'andd x = 1': expected 'and', 'or' or the end"),
        ('topic = "food"', "at character 9, .*: expected a value .*: text goes between single quotes"),
        ("topic = food", "at character 9, 'food': expected a value .*: text goes between single quotes"),
        ("topic = 'food", "at character 9, .*: the quote is never closed"),
        ("topic == 'food'", "at character 8, .*: expected a value"),
        ("(stars = 1", "goes wrong at its end: expected \\)"),
        ("stars = 1)", "at character 10, '\\)': expected 'and', 'or' or the end"),
        ("stars in ()", "at character 11, '\\)': expected a value"),
        ("stars in 4", "at character 10, '4': expected \\("),
        ("stars not 4", "at character 11, '4': expected in"),
        ("stars is 4", "at character 10, '4': expected null"),
        ("stars = 4; DROP TABLE items", "at character 10, '; DROP TABLE items': this belongs to no name or value"),
        ("stars = 1e999", "at character 9, '1e999': the number is too large"),
        ("stars = 4x", "at character 9, '4x': this belongs to no name or value"),
        ("and = 4", "at character 1, 'and = 4': expected the name of a metadata key"),
        ("not", "goes wrong at its end: expected the name"),
        ("(" * 5000 + "a = 1", f"at character {DEPTH + 1}, .*: parentheses are at most {DEPTH} deep"),
        (" or ".join(["a = 1"] * 5000), f"a filter has at most {PARTS} comparisons: use in \\(...\\)"),
    ],
)
def test_a_bad_filter_is_one_line_that_shows_the_place(where, message):
    with pytest.raises(ValueError, match=message) as caught:
        LatentIndex.build(StubVAE(), TEXTS).search("a", where=where)
    assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="a filter is a string such as .*, got a dict"):
        parse_filter({"topic": "food"})


def test_the_most_parts_that_are_allowed_work():
    store = ItemStore()
    with store.adding([Row("text", '{"a": 1}')]):
        pass
    deep = "a = 1"
    for _ in range(DEPTH // 2):  # each turn keeps its truth, and nests as deeply as SQL can
        deep = f"not (a = 2 and b not in (2) or not (a = 2 or a = 1 and {deep}))"
    wide = " or ".join(["a = 1"] * PARTS)
    for where in (wide, deep, "not " * 5000 + "a = 1", "(" * DEPTH + "a = 1" + ")" * DEPTH):
        assert store.matching(parse_filter(where)).tolist() == [0]
    many = ", ".join(map(str, range(5000)))
    assert store.matching(parse_filter(f"a in ({many})")).tolist() == [0]


def test_no_word_of_the_user_reaches_sqlite():
    where = "\"x') or 1=1 --\" = 'y\"; DROP TABLE items' and z in ('secret', 7, true) or zebra is null"
    condition = parse_filter(where)
    for word in ("x'", "1=1", "DROP", "secret", "zebra", "z "):
        assert word not in condition.sql
    assert condition.sql.count("?") == len(condition.values)


def test_one_nan_hides_no_other_field():
    index = LatentIndex.build(
        StubVAE(), TEXTS, metadata=[{"n": n, "x": float("nan") if n < 50 else 0} for n in range(60)]
    )
    assert sorted(ranking(index.search("a", k=60, where="n >= 40"))) == list(range(40, 60))
    assert sorted(ranking(index.search("a", k=60, where="x is null"))) == list(range(50))


def test_nan_that_an_older_version_stored_hides_no_other_field():
    store = ItemStore()
    with store.adding([Row("a", '{"n": 1, "x": NaN, "y": [-Infinity]}'), Row("b", '{"n": 1'), Row("c", '{"n": 2}')]):
        pass
    assert store.matching(parse_filter("n = 1 and x is null")).tolist() == [0]
    assert store.get(0) == ("a", {"n": 1, "x": None, "y": [None]})
    assert store.get_many([0])[0][1]["x"] is None
    assert store.keys() == ["n", "x", "y"]


def test_a_filter_of_many_rows_is_quick():
    store = ItemStore()
    with store.adding([Row("text", json.dumps({"topic": "food", "stars": n % 6})) for n in range(20_000)]):
        pass
    start = time.perf_counter()
    assert len(store.matching(parse_filter("topic = 'food' and stars >= 4"))) == len(
        [n for n in range(20_000) if n % 6 > 3]
    )
    assert time.perf_counter() - start < 5  # a tenth of a second on a quiet machine


def test_the_examples_of_filters_run():
    for module in (conditions, filters):
        results = doctest.testmod(module)
        assert results.attempted >= 1 and results.failed == 0


# Search within the texts that match

FACTORIES = ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat", "RR16,IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat", "PQ4x4fs", "PQ4x4"]
METADATA_OF_TEXTS = [{"n": n, "odd": bool(n % 2), "topic": "food" if n % 7 == 0 else "other"} for n in range(60)]
WHERES = {
    "topic = 'food'": lambda row: row["topic"] == "food",
    "n = 17": lambda row: row["n"] == 17,
    "odd = true and not n in (1, 3)": lambda row: row["odd"] and row["n"] not in (1, 3),
    "n is not null": lambda row: True,
    "nowhere = 1": lambda row: False,
}


@pytest.mark.parametrize("exact", [0, 50_000])  # the first searches as faiss does, the second scores one by one
@pytest.mark.parametrize("metric", ["cosine", "l2", "wasserstein"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_every_text_that_matches_is_found_and_no_other(monkeypatch, factory, metric, exact):
    monkeypatch.setattr("textvae.index.backends.faiss.EXACT", max(exact, 7))  # also how many vectors are copied at once
    index = LatentIndex.build(StubVAE(), TEXTS, factory=factory, metric=metric, metadata=METADATA_OF_TEXTS)
    gone = {14, 17, 18}
    index.remove(gone)
    assert index.add([{"text": "fresh", **METADATA_OF_TEXTS[7]}]) == [60]
    rows = dict(enumerate(METADATA_OF_TEXTS)) | {60: METADATA_OF_TEXTS[7]}
    for where, meaning in WHERES.items():
        matching = [n for n, row in rows.items() if n not in gone and meaning(row)]
        for k in (1, 5, 100):
            for hits in index.search(TEXTS[:6], k, where=where):
                assert len(set(ranking(hits))) == len(hits) == min(k, len(matching))
                assert set(ranking(hits)) <= set(matching)
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("exact", [7, 50_000])
@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat"])
def test_a_filtered_search_ranks_like_the_whole_one_without_the_others(monkeypatch, factory, exact):
    monkeypatch.setattr("textvae.index.backends.faiss.EXACT", exact)
    index = LatentIndex.build(StubVAE(), TEXTS, factory=factory, metric="l2", metadata=METADATA_OF_TEXTS)
    index.remove(range(5))  # so that ids are not places
    whole = index.search(TEXTS[:9], k=60)
    for hits, every in zip(index.search(TEXTS[:9], k=10, where="odd = true and n < 50"), whole, strict=True):
        best = [hit for hit in every if hit.metadata["odd"] and hit.id < 50][:10]
        assert ranking(hits) == ranking(best)
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in best], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "SQ8", "RR16,Flat"])
def test_faiss_selects_by_the_ids_of_texts_not_by_places(monkeypatch, factory):
    """After removals ids and places differ; the selector of faiss must mean ids, or the search finds other texts."""
    monkeypatch.setattr("textvae.index.backends.faiss.EXACT", 1)
    monkeypatch.setattr("textvae.index.backends.faiss.FaissBackend._exactly", lambda *_: None)
    index = LatentIndex.build(StubVAE(), TEXTS, factory=factory, metadata=METADATA_OF_TEXTS)
    index.remove(range(40))
    used = []
    search = index._vectors.index.search
    monkeypatch.setattr(
        index._vectors.index, "search", lambda *a, params=None: used.append(params) or search(*a, params=params)
    )
    assert sorted(ranking(index.search("a", k=60, where="n >= 50"))) == list(range(50, 60))
    assert used and all(params is not None for params in used)


@pytest.mark.parametrize("within", [None, np.arange(0, 400, 2)])
def test_a_graph_gives_also_what_it_does_not_reach(monkeypatch, within):
    monkeypatch.setattr("textvae.index.backends.faiss.EXACT", 100)
    store = FaissBackend.empty(DIM, "HNSW2", inner_product=False)
    islands = np.repeat(np.eye(4, DIM, dtype=np.float32) * 1000, 100, axis=0)
    store.add(range(400), islands + np.random.default_rng(0).normal(size=(400, DIM)).astype(np.float32))
    k = 400 if within is None else len(within)
    assert (store._approximately(islands[::100], k, within)[1] < 0).any()
    scores, ids = store.nearest(islands[::100], k, within)
    for row in ids:
        assert sorted(row) == list(range(400) if within is None else within)
    assert (np.diff(scores, axis=1) >= 0).all()


def test_filters_see_metadata_from_tables_as_numbers():
    index = LatentIndex.build(StubVAE(), ["a", "b", "c"], metadata=[{"stars": "5"}, {"stars": "10"}, {"stars": "many"}])
    assert sorted(ranking(index.search("a", where="stars >= 4"))) == [0, 1]
    assert ranking(index.search("a", where="stars = 'many'")) == [2]


def test_an_index_that_was_saved_is_filtered(tmp_path):
    LatentIndex.build(StubVAE(), TEXTS, metadata=METADATA_OF_TEXTS).save(tmp_path / "index")
    hits = LatentIndex.load(tmp_path / "index", StubVAE()).search(TEXTS[3], where="topic = 'food'")
    assert sorted(ranking(hits)) == list(range(0, 60, 7))


def test_a_key_that_no_text_has_is_logged_with_those_there_are(caplog):
    rows = [{"text": "a", "topic": "food"}, {"text": "b", "stars": 5}, {"text": "c", "x": float("nan")}]
    index = LatentIndex.build(StubVAE(), rows)
    assert index.search("a", where="topci = 'food' or stars > 4 or nope is null") != []
    assert [r.getMessage() for r in caplog.records] == [
        "no text has the metadata key topci or nope: the keys are stars, topic, x"
    ]
    caplog.clear()
    index.search("a", where="topic = 'food' and stars > 4")
    LatentIndex.build(StubVAE(), []).search("a", where="topci = 'food'")
    assert not caplog.records
    LatentIndex.build(StubVAE(), ["a"]).search("a", where="topci = 'food'")
    assert caplog.messages == ["no text has the metadata key topci: the keys are none"]
