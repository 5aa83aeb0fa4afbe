import json

import numpy as np
import pytest
from stubs import TEXTS, StubVAE, ranking

from textvae.index import LatentIndex
from textvae.index.distances import METRICS

FACTORIES = ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat", "RR16,IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat"]


@pytest.fixture
def vae():
    return StubVAE()


def everything(index):
    return index.search(TEXTS, k=100), [index.get(id) for id in index.ids]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_replaced_texts_are_found_under_their_ids_and_the_old_ones_are_not(vae, tmp_path, factory, metric):
    index = LatentIndex.build(vae, TEXTS, factory=factory, metric=metric, metadata=[{"n": n} for n in range(60)])
    index.remove([5])
    for turn in range(3):  # graphs forget vectors at first and are built again in between
        changed = {id: f"turn {turn} of {id}" for id in (59, 0, 17, 30, 31, 32)}
        index.upsert(np.array(list(changed)), changed.values(), [{"turn": turn} for _ in changed])
        index.save(tmp_path / "index")
        expected = dict(enumerate(TEXTS)) | changed
        del expected[5]
        for each in (index, LatentIndex.load(tmp_path / "index", vae)):
            assert len(each) == 59 and dict(zip(each.ids, each.texts, strict=True)) == expected
            assert each.get(17) == (f"turn {turn} of 17", {"turn": turn}) and each.get(18) == (TEXTS[18], {"n": 18})
            best = each.search(list(expected.values()), k=1)
            assert [ranking(hits)[0] for hits in best] == list(expected)
            for hits in each.search(TEXTS[:9], k=100):
                assert sorted(ranking(hits)) == sorted(expected)  # each once
    assert index.add(["fresh"]) == [60]


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_replaced_index_equals_one_that_was_built_so(vae, factory):
    index = LatentIndex.build(vae, TEXTS, factory=factory, metric="l2")
    index.upsert([3, 40], ["x", "y"])
    changed = [*TEXTS[:3], "x", *TEXTS[4:40], "y", *TEXTS[41:]]
    for hits, row in zip(index.search(changed, k=60), scores(vae, changed), strict=True):
        assert ranking(hits)[0] == row.argmax()
        np.testing.assert_allclose(sorted(h.score for h in hits), np.sort(row), rtol=0.1, atol=0.5)  # SQ8 rounds


def scores(vae, texts):
    vectors = vae.encode(texts).astype(np.float64)
    return -np.linalg.norm(vectors[:, None] - vectors[None], axis=2)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize(
    ("ids", "texts", "metadata", "error", "message"),
    [
        ([1, 60, -1], ["a", "b", "c"], None, ValueError, "the index has no id 60, -1: nothing was replaced"),
        ([1, 2, 1], ["a", "b", "c"], None, ValueError, "the id 1 is given twice: nothing was replaced"),
        ([1, 2], ["a"], None, ValueError, "there are 2 ids and 1 texts: give one text for each id"),
        ([1], ["a"], [{"n": b"1"}], ValueError, "the metadata of item 0 is not JSON"),
        ([1], [3], None, TypeError, "the text of item 0 is an int, not a string"),
        ([1], "a", None, TypeError, "got a single str"),
        ([1.5], ["a"], None, TypeError, "the ids of this index are whole numbers, got 1.5"),
        ([1, 2], ["a", "NaN"], None, ValueError, "NaN or infinite"),
    ],
)
def test_a_mistake_replaces_nothing(factory, ids, texts, metadata, error, message):
    class Breakable(StubVAE):
        def vector(self, text):
            return super().vector(text) * (np.nan if text == "NaN" else 1)

    index = LatentIndex.build(Breakable(), TEXTS, factory=factory)
    before = everything(index)
    with pytest.raises(error, match=message):
        index.upsert(ids, texts, metadata)
    assert everything(index) == before and index.add(["fresh"]) == [60]


@pytest.mark.parametrize("factory", FACTORIES)
def test_vectors_that_faiss_refuses_replace_nothing(vae, monkeypatch, factory):
    index = LatentIndex.build(vae, TEXTS, factory=factory)
    before = everything(index)
    add = index._vectors.index.add_with_ids
    with monkeypatch.context() as patch:
        calls = []

        def fail_once(*given):
            calls.append(given)
            if len(calls) == 1:
                raise RuntimeError("full")
            add(*given)

        patch.setattr(index._vectors.index, "add_with_ids", fail_once)
        with pytest.raises(ValueError, match="refuses these vectors: full"):
            index.upsert([3, 4], ["x", "y"])
    after = everything(index)
    assert after[1] == before[1]
    for old, new in zip(before[0], after[0], strict=True):
        assert {hit.id: hit.score for hit in new} == pytest.approx({hit.id: hit.score for hit in old}, abs=1e-5)


def test_nothing_is_replaced_by_nothing(vae):
    index = LatentIndex.build(vae, TEXTS)
    index.upsert([], [])
    assert index.texts == TEXTS and index.upsert([0], ["x"]) is None and index.get(0) == ("x", {})


def test_replacing_leaves_a_saved_index_alone_until_saved(vae, tmp_path):
    LatentIndex.build(vae, TEXTS).save(tmp_path / "index")
    before = (tmp_path / "index" / "items.sqlite").read_bytes()
    loaded = LatentIndex.load(tmp_path / "index", vae)
    loaded.upsert([0], ["a secret"])
    assert (tmp_path / "index" / "items.sqlite").read_bytes() == before
    loaded.upsert([0], ["public"])
    loaded.save(tmp_path / "index")
    assert b"a secret" not in (tmp_path / "index" / "items.sqlite").read_bytes()


def test_filters_do_not_find_replaced_vectors(vae):
    index = LatentIndex.build(vae, TEXTS, factory="HNSW32", metadata=[{"n": n} for n in range(60)])
    index.upsert([7], ["new"], [{"n": 100}])
    assert index.search(TEXTS[7], k=60, where="n = 7") == []
    assert ranking(index.search("new", k=60, where="n >= 59")) == [7, 59]


def test_compacting_a_graph_drops_what_it_only_forgot(vae, tmp_path):
    index = LatentIndex.build(vae, TEXTS, factory="HNSW32")
    index.remove([1, 2])
    index.upsert([3], ["new"])
    assert index._vectors.index.ntotal == 61 and len(index) == 58
    index.save(tmp_path / "index")
    assert len(json.loads((tmp_path / "index" / "index.json").read_text())["tombstones"]) == 3
    before = everything(index)
    for each in (index, LatentIndex.load(tmp_path / "index", vae)):
        assert each.compact() == 3 and each.compact() == 0
        assert each._vectors.index.ntotal == len(each) == 58 and everything(each)[1] == before[1]
        assert [ranking(hits) for hits in everything(each)[0]] == [ranking(hits) for hits in before[0]]
        assert each.add(["fresh"]) == [60]


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "SQ8"])
def test_compacting_what_forgets_nothing_changes_nothing(vae, factory):
    index = LatentIndex.build(vae, TEXTS, factory=factory)
    index.remove([1, 2])
    index.upsert([3], ["new"])
    before = everything(index)
    assert index.compact() == 0 and index._vectors.index.ntotal == 58 and everything(index) == before


def test_a_graph_that_cannot_be_built_again_keeps_its_tombstones(vae, monkeypatch):
    index = LatentIndex.build(vae, TEXTS, factory="HNSW32")
    index.remove([1])
    monkeypatch.setattr("faiss.clone_index", lambda _: (_ for _ in ()).throw(RuntimeError("not implemented")))
    assert index.compact() == 0 and len(index) == 59
