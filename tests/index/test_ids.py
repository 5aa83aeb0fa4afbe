"""Ids that users give: hits have them, changes take them, and they survive saving, removal and builds on disk."""

import json
import sqlite3

import numpy as np
import pytest
from stubs import TEXTS, StubVAE, ranking

from textvae.index import LatentIndex
from textvae.index import build as building
from textvae.storage.folders import write_manifest

IDS = [f"doc-{n}" for n in range(len(TEXTS))]
FACTORIES = ["Flat", "HNSW16", "IVF4,Flat"]


def built(factory="Flat", **options):
    return LatentIndex.build(StubVAE(), TEXTS, ids=IDS, factory=factory, **options)


@pytest.mark.parametrize("factory", FACTORIES)
def test_hits_are_those_of_numbers_by_another_name(factory):
    named, numbered = built(factory), LatentIndex.build(StubVAE(), TEXTS, factory=factory)
    for hits, others in zip(named.search(TEXTS[:9], 5), numbered.search(TEXTS[:9], 5), strict=True):
        assert [IDS.index(hit.id) for hit in hits] == ranking(others)
        assert [hit[1:] for hit in hits] == [hit[1:] for hit in others]
    scores, ids = named.neighbours(TEXTS[:9], 5)
    expected_scores, expected = numbered.neighbours(TEXTS[:9], 5)
    assert ids.tolist() == [[IDS[n] for n in row] for row in expected] and ids.shape == (9, 5)
    assert np.array_equal(scores, expected_scores)


def test_ids_name_texts_and_their_metadata():
    index = LatentIndex.build(StubVAE(), [{"text": "a", "page": 1}, "b"], ids=iter(["x", "ÿ 'q'"]))
    assert index.ids == ["x", "ÿ 'q'"] and index.texts == ["a", "b"] and index.named
    assert index.get("x") == ("a", {"page": 1}) and index.get("ÿ 'q'") == ("b", {})
    assert [hit.id for hit in index.search("a", where="page = 1")] == ["x"]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("saved", [False, True])
def test_changes_take_the_ids_and_leave_the_others(factory, saved, tmp_path):
    index = built(factory)
    if saved:
        index.save(tmp_path / "index")
        index = LatentIndex.load(tmp_path / "index", StubVAE())
    assert index.remove(["doc-7", "doc-3", "doc-7"]) == 2
    index.update(["doc-9", "doc-1"], ["nine", "one"], [{"n": 9}, None])
    assert index.add(["seven", "new"], ids=["doc-7", "another"]) == ["doc-7", "another"]
    texts = dict(zip(IDS, TEXTS, strict=True))
    del texts["doc-3"], texts["doc-7"]
    texts |= {"doc-9": "nine", "doc-1": "one", "doc-7": "seven", "another": "new"}
    assert dict(zip(index.ids, index.texts, strict=True)) == texts and len(index) == len(texts)
    assert index.get("doc-9") == ("nine", {"n": 9})
    index.save(tmp_path / "again")
    loaded = LatentIndex.load(tmp_path / "again", StubVAE())
    assert dict(zip(loaded.ids, loaded.texts, strict=True)) == texts
    for id, text in texts.items():
        assert loaded.search(text, k=1)[0][:3:2] == (id, text)


def test_upsert_replaces_known_ids_and_adds_the_others():
    index = built()
    index.upsert(["doc-1", "new", "doc-0"], ["one", "n", "zero"], [{"a": 1}, {"text": "kept"}, None])
    assert (index.get("doc-1"), index.get("new"), index.get("doc-0")) == (
        ("one", {"a": 1}), ("n", {"text": "kept"}), ("zero", {}),
    )  # fmt: skip
    assert index.ids == [*IDS, "new"] and index.search("n", k=1)[0].id == "new"
    empty = LatentIndex.build(StubVAE(), [])
    empty.upsert(["a"], ["text"])
    assert empty.ids == ["a"] and empty.named


@pytest.mark.parametrize("block", [8, 100])
def test_a_build_on_disk_keeps_ids_and_refuses_to_go_on_with_others(tmp_path, monkeypatch, block):
    monkeypatch.setattr(building, "BLOCK", block)
    index = built(path=tmp_path / "index")
    assert index.ids == IDS and index.search(TEXTS[5], k=1)[0].id == "doc-5"

    def broken():
        yield from TEXTS[:20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LatentIndex.build(StubVAE(), broken(), ids=IDS, path=tmp_path / "other")
    if block == 8:
        for ids in (None, IDS[::-1]):
            with pytest.raises(ValueError, match="was built from another corpus: item 0 differs"):
                LatentIndex.build(StubVAE(), TEXTS, ids=ids, path=tmp_path / "other", resume=True)
    assert LatentIndex.build(StubVAE(), TEXTS, ids=IDS, path=tmp_path / "other", resume=True).ids == IDS


MISTAKES = {
    "unknown": (lambda i: i.remove(["doc-1", "x", "y"]), "the index has no id 'x', 'y': nothing was removed"),
    "gone": (lambda i: i.get("x"), "the index has no id 'x'"),
    "a number": (lambda i: i.remove([3]), r"ids of texts are strings, got 3: give str\(3\)"),
    "one string": (lambda i: i.remove("doc-1"), "ids come as a list, got the single 'doc-1'"),
    "update": (lambda i: i.update(["x"], ["a"]), "the index has no id 'x': nothing was replaced"),
    "twice": (lambda i: i.update(["doc-1"] * 2, ["a", "b"]), "the id 'doc-1' is given twice: nothing was replaced"),
    "upsert": (lambda i: i.upsert(["n", "n"], ["a", "b"]), "the id 'n' is given twice: nothing was changed"),
    "too few": (lambda i: i.update(["doc-1"], ["a", "b"]), "there are 1 ids and 2 texts"),
    "known": (
        lambda i: i.add(["a", "b"], ids=["n", "doc-4"]),
        "the index already has the id 'doc-4': nothing was added; update replaces texts",
    ),
    "added twice": (lambda i: i.add(["a", "b"], ids=["n", "n"]), "the id 'n' is given twice: nothing was added"),
    "none": (lambda i: i.add(["a"]), r"was built with ids: give one for each text \(--id on the command line\)"),
    "empty": (lambda i: i.add(["a"], ids=[""]), "the id of a text is empty"),
    "fewer": (lambda i: i.add(["a", "b"], ids=["n"]), "texts and ids differ in length after 1: give one id"),
    "more": (lambda i: i.add(["a"], ids=["n", "m"]), "texts and ids differ in length after 1"),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_line_and_changes_nothing(change, message):
    index = built()
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        change(index)
    assert "\n" not in str(raised.value)
    assert index.ids == IDS and index.texts == TEXTS and len(index) == len(TEXTS)


def test_an_id_that_comes_twice_is_refused_wherever_it_stands(monkeypatch):
    monkeypatch.setattr(building, "BLOCK", 2)
    for ids, message in (("aabc", "'a' is given twice"), ("abca", "already has the id 'a'")):
        with pytest.raises(ValueError, match=message):
            LatentIndex.build(StubVAE(), list("wxyz"), ids=list(ids))


def test_an_index_that_numbers_its_texts_takes_no_ids():
    index = LatentIndex.build(StubVAE(), TEXTS)
    assert not index.named
    with pytest.raises(ValueError, match="this index numbers its texts itself: leave ids out"):
        index.add(["a"], ids=["x"])
    with pytest.raises(TypeError, match="the ids of this index are numbers, got 'x'"):
        index.remove(["x"])
    assert len(index) == len(TEXTS)


def test_an_index_made_before_ids_could_be_given_still_loads(tmp_path):
    LatentIndex.build(StubVAE(), TEXTS).save(tmp_path / "index")
    tables = sqlite3.connect(tmp_path / "index/items.sqlite").execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("items",)]  # as before
    about = json.loads((tmp_path / "index/index.json").read_text())
    assert about["format_version"] == 1
    write_manifest(tmp_path / "index")
    index = LatentIndex.load(tmp_path / "index", StubVAE())
    assert index.ids == list(range(60)) and index.search(TEXTS[4], k=1)[0].id == 4
    assert index.remove([4]) == 1 and index.add(["a"]) == [60]


def test_an_older_reader_refuses_an_index_with_ids(tmp_path):
    built().save(tmp_path / "index")
    assert json.loads((tmp_path / "index/index.json").read_text())["format_version"] == 2


def test_editing_saves_at_the_end_and_nothing_after_an_error(tmp_path):
    built().save(tmp_path / "index")
    with LatentIndex.edit(tmp_path / "index", StubVAE()) as index:
        index.remove(["doc-1"])
        with pytest.raises(BlockingIOError), LatentIndex.edit(tmp_path / "index"):
            pass
    assert "doc-1" not in LatentIndex.load(tmp_path / "index").ids
    with pytest.raises(KeyError), LatentIndex.edit(tmp_path / "index") as index:
        index.remove(["doc-2"])
        raise KeyError
    assert "doc-2" in LatentIndex.load(tmp_path / "index").ids
    with pytest.raises(FileNotFoundError, match="there is no index at"), LatentIndex.edit(tmp_path / "no" / "index"):
        pass
    assert {f.name for f in tmp_path.iterdir()} == {"index"}


def test_an_id_with_a_nul_and_one_of_another_type_are_named():
    with pytest.raises(ValueError, match="^the id 'k.x00x' has a NUL character"):
        LatentIndex.build(StubVAE(), ["a"], ids=["k\0x"])
    with pytest.raises(TypeError, match="^ids of texts are strings, got 1"):
        LatentIndex.build(StubVAE(), ["a"], ids=[1])


def test_an_upsert_that_fails_in_its_second_half_changes_nothing(monkeypatch):
    index = LatentIndex.build(StubVAE(), ["a", "b"], ids=["1", "2"])
    monkeypatch.setattr(index._vectors, "replace", lambda *_, **__: (_ for _ in ()).throw(ValueError("refused")))
    with pytest.raises(ValueError, match="refused"):
        index.upsert(["1", "3"], ["changed", "new"])
    assert sorted(index.texts) == ["a", "b"] and sorted(index.ids) == ["1", "2"]


def test_an_index_that_a_crash_left_between_two_renames_can_be_edited(tmp_path):
    LatentIndex.build(StubVAE(), ["a", "b"], ids=["1", "2"]).save(tmp_path / "index")
    (tmp_path / "index").rename(tmp_path / ".replaced-index")
    with LatentIndex.edit(tmp_path / "index", StubVAE()) as index:
        index.remove(["1"])
    assert LatentIndex.load(tmp_path / "index").ids == ["2"]
