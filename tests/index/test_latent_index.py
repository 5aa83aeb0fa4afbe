import doctest
import json
import os
import shutil
import sqlite3
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from stubs import DIM, TEXTS, StubVAE, brute_force, ranking

from textvae.index import Hit, LatentIndex
from textvae.index import build as building
from textvae.index import item_store as items
from textvae.index.backends.faiss import FaissBackend
from textvae.index.distances import METRICS
from textvae.storage import folders as artifacts
from textvae.storage.atomic import read_json, write_json
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import MANIFEST, write_manifest

METADATA = [{"n": n, "tags": ["a", None, 1.5, {"é": True}]} for n in range(60)]
FACTORIES = ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat", "RR16,IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat"]
FILES = ["index.faiss", "items.sqlite", "index.json", "manifest.json"]
ODD_TEXTS = ["", "nul\0inside", "trailing nul\0", "🦊👩‍👩‍👧", "שלום", "e\u0301", "a\nb\r\n", "\ufeffbom", "'; --"]


class BrokenVAE(StubVAE):
    def vector(self, text):
        return np.full(self.dim, np.nan)


@pytest.fixture
def vae(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return StubVAE(folder)


@pytest.fixture
def index(vae):
    return LatentIndex.build(vae, TEXTS, metadata=METADATA)


@pytest.fixture
def from_pretrained(monkeypatch):
    """Stand in for the module that loads models; each folder holds a model named after the text of its `name` file."""
    loaded = []

    class TextVAE(StubVAE):
        @classmethod
        def from_pretrained(cls, path, backend):
            loaded.append(Path(path))
            name = Path(path) / "name"
            return cls(Path(path), name.read_text() if name.exists() else "a1b2c3")

    fake = ModuleType("textvae.latent.vae")
    fake.TextVAE = TextVAE
    monkeypatch.setitem(sys.modules, "textvae.latent.vae", fake)
    return loaded


@pytest.fixture
def queries():
    return np.random.default_rng(7).normal(size=(25, DIM)) * np.geomspace(0.01, 100, 25)[:, None]


@pytest.mark.parametrize("metric", METRICS)
def test_search_equals_numpy_brute_force(vae, queries, metric):
    scores = brute_force(vae, TEXTS, queries, metric)
    found = LatentIndex.build(vae, TEXTS, metric=metric).search(queries, k=7)
    for hits, row in zip(found, scores, strict=True):
        assert ranking(hits) == np.argsort(-row)[:7].tolist()
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(row)[::-1][:7], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_larger_scores_come_first(vae, queries, factory, metric):
    for hits in LatentIndex.build(vae, TEXTS, factory=factory, metric=metric).search(queries, k=20):
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("where", [None, "even = true"])
def test_neighbours_are_the_hits_of_search_as_arrays(vae, queries, factory, metric, where):
    metadata = [{"even": number % 2 == 0} for number in range(60)]
    index = LatentIndex.build(vae, TEXTS, metadata=metadata, factory=factory, metric=metric)
    index.remove([3, 4, 59])
    for given in (queries, TEXTS[7:9], TEXTS[7], [], queries[0]):
        scores, ids = index.neighbours(given, k=9, where=where)
        hits = index.search(given, k=9, where=where)
        hits = [hits] if hits and isinstance(hits[0], Hit) else hits
        assert ids.tolist() == [ranking(row) for row in hits]
        assert scores.tolist() == [[hit.score for hit in row] for row in hits]
        assert scores.shape == ids.shape == (len(hits), 9)
    assert index.neighbours(queries, k=1000)[1].shape == (25, 57)


def test_neighbours_that_are_not_there_are_marked(vae, monkeypatch):
    monkeypatch.setattr("textvae.index.backends.faiss.FaissBackend._exactly", lambda *_: None)
    islands = np.repeat(np.eye(4, DIM) * 1000, 100, axis=0) + np.random.default_rng(0).normal(size=(400, DIM))
    monkeypatch.setattr(vae, "encode", lambda texts, **_: islands[: len(texts)].astype(np.float32))
    index = LatentIndex.build(vae, [str(number) for number in range(400)], factory="HNSW2", metric="l2")
    scores, ids = index.neighbours(islands[::100], k=400)
    short = ids < 0
    assert short.any() and (scores[short] == -np.inf).all() and np.isfinite(scores[~short]).all()
    assert [len(hits) for hits in index.search(islands[::100], k=400)] == (~short).sum(1).tolist()


def test_a_text_finds_itself_with_its_metadata(index):
    best = index.search("sentence number 33", k=1)[0]
    assert best == Hit(33, best.score, "sentence number 33", METADATA[33])
    assert best.score == pytest.approx(1, abs=1e-6)


def test_the_distance_of_a_text_to_itself_is_zero(vae):
    for batch in (1, 40):  # faiss computes large batches by another formula, which can fall below 0
        hits = LatentIndex.build(vae, TEXTS, metric="l2").search(TEXTS[:batch], k=1)
        assert all(row[0].score == pytest.approx(0, abs=0.02) for row in hits)


def test_one_query_gives_hits_and_several_give_lists(index, vae):
    hits = index.search(TEXTS[3], k=4)
    assert len(hits) == 4 and all(isinstance(hit, Hit) for hit in hits)
    vectors = vae.encode(TEXTS[3:5])
    assert ranking(index.search(vectors[0], k=4)) == ranking(hits)
    for several in (TEXTS[3:5], tuple(TEXTS[3:5]), vectors, vectors.tolist(), vectors.astype(np.float64), vectors[::1]):
        rows = index.search(several, k=4)
        assert len(rows) == 2 and ranking(rows[0]) == ranking(hits)
    assert index.search([]) == [] and index.search(np.empty((0, DIM))) == []


class BlendingVAE(StubVAE):
    """Keeps the mean latent that it is asked to write."""

    def blend(self, texts, weights, *, refinements):
        self.decoded = np.average(self.encode(texts), axis=0, weights=weights), refinements
        return "blended"


@pytest.mark.parametrize("metric", METRICS)
def test_a_blend_weighs_each_hit_by_its_score(tmp_path, metric):
    (tmp_path / "run").mkdir()
    vae = BlendingVAE(tmp_path / "run")
    index = LatentIndex.build(vae, TEXTS, metric=metric)
    hits = index.search("a red fox", k=4)
    assert index.blend(hits, refinements=2) == "blended"
    weights = [hit.score if metric == "cosine" else 1 / (1 - hit.score) for hit in hits]
    mean = np.average(vae.encode([hit.text for hit in hits]), axis=0, weights=weights)
    np.testing.assert_allclose(vae.decoded[0], mean, rtol=1e-4, atol=1e-6)
    assert vae.decoded[1] == 2


def test_hits_on_the_other_side_weigh_nothing_and_if_all_are_they_weigh_the_same(tmp_path):
    (tmp_path / "run").mkdir()
    vae = BlendingVAE(tmp_path / "run")
    index = LatentIndex.build(vae, TEXTS)
    near, far = Hit(0, 0.5, TEXTS[0], {}), Hit(1, -0.5, TEXTS[1], {})
    means = vae.encode([near.text, far.text])
    index.blend([near, far])
    np.testing.assert_allclose(vae.decoded[0], means[0], rtol=1e-5)
    index.blend([far, Hit(0, -0.1, TEXTS[0], {})])
    np.testing.assert_allclose(vae.decoded[0], means.mean(0), rtol=1e-4, atol=1e-6)
    index.blend([far, Hit(0, 1e-6, TEXTS[0], {})])  # at a right angle but for rounding: no reason to take it alone
    np.testing.assert_allclose(vae.decoded[0], means.mean(0), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="there are no hits to blend: search with another query"):
        index.blend([])


def test_searching_and_building_never_change_the_callers_arrays(index, queries):
    for given in (queries, queries.astype(np.float32), np.asfortranarray(queries.astype(np.float32))):
        before = given.copy()
        index.search(given)
        index.search(given[0])
        np.testing.assert_array_equal(given, before)


def test_the_vectors_of_the_encoder_are_not_changed():
    class Caching(StubVAE):
        def encode(self, texts, /, *, batch_size=64):
            self.cached = super().encode(texts)
            self.original = self.cached.copy()
            return self.cached

    vae = Caching()
    LatentIndex.build(vae, TEXTS)
    np.testing.assert_array_equal(vae.cached, vae.original)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("k", [1, 59, 60, 61, 10**9])
def test_k_above_the_size_returns_all_and_ids_are_never_minus_one(vae, queries, factory, k):
    index = LatentIndex.build(vae, TEXTS, factory=factory)
    for hits in index.search(queries, k):
        assert len(set(ranking(hits))) == len(hits) == min(k, 60)
        assert set(ranking(hits)) <= set(range(60))


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(index, k):
    for search in (index.search, index.neighbours):
        with pytest.raises(ValueError, match=f"k, the number of hits, must be at least 1, got {k}"):
            search("a", k)


@pytest.mark.parametrize("factory", ["Flat", "HNSW32"])
def test_an_empty_index_returns_nothing(vae, factory, tmp_path):
    index = LatentIndex.build(vae, [], factory=factory)
    assert len(index) == 0 and index.texts == []
    assert index.search("a") == [] and index.search(["a", "b"]) == [[], []]
    assert index.neighbours(["a", "b"])[1].shape == (2, 0)
    index.save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).add(["a"]) == [0]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros(3), ValueError, f"vectors have 3 dimensions, the index has {DIM}"),
        (np.zeros((2, 17)), ValueError, f"vectors have 17 dimensions, the index has {DIM}"),
        (np.zeros((1, 1, DIM)), ValueError, r"vectors have the shape \(D,\) or \(N, D\), got \(1, 1, 16\)"),
        (np.full(DIM, np.nan), ValueError, "NaN or infinite"),
        (np.full((2, DIM), np.inf), ValueError, "NaN or infinite"),
        (np.full(DIM, 1e300), ValueError, "NaN or infinite"),
        (["a", None], TypeError, "text 1 is None, a missing value"),
        (None, TypeError, "queries are texts or arrays of numbers"),
    ],
)
def test_bad_queries_are_refused(index, given, error, message):
    for search in (index.search, index.neighbours):
        with pytest.raises(error, match=message):
            search(given)


def test_a_zero_vector_scores_zero_under_cosine(index):
    assert {hit.score for hit in index.search(np.zeros(DIM))} == {0.0}


def test_vectors_of_the_model_that_are_not_finite_are_refused(index):
    with pytest.raises(ValueError, match="NaN or infinite"):
        LatentIndex.build(BrokenVAE(), TEXTS)


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat"])
def test_streaming_in_blocks_gives_the_same_index(vae, monkeypatch, queries, factory):
    whole = LatentIndex.build(vae, TEXTS, factory=factory)
    monkeypatch.setattr(building, "BLOCK", 8)
    consumed = []
    streamed = LatentIndex.build(vae, (consumed.append(t) or t for t in TEXTS), factory=factory, batch_size=5)
    assert consumed == streamed.texts == TEXTS and vae.batch_sizes[-1] == 5
    if factory == "Flat":
        assert streamed.search(queries) == whole.search(queries)
    assert [hits[0].text for hits in streamed.search(TEXTS, k=1)] == TEXTS


def test_mappings_carry_their_other_keys_as_metadata(vae):
    index = LatentIndex.build(vae, ({"text": text, "n": n} for n, text in enumerate(TEXTS)))
    assert index.search(TEXTS[9], k=1)[0].metadata == {"n": 9}
    assert LatentIndex.build(vae, ["a"]).get(0) == ("a", {})


def test_metadata_round_trips(index, vae, tmp_path):
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert [loaded.get(n) for n in range(60)] == list(zip(TEXTS, METADATA, strict=True))


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_every_text_comes_back_identical(vae, tmp_path, text):
    LatentIndex.build(vae, [text, "other"], metadata=[{"copy": text}, None]).save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert loaded.texts == [text, "other"]
    assert loaded.search(text, k=1)[0].text == text
    assert loaded.get(0) == (text, {"copy": text})


def test_a_lone_surrogate_becomes_the_replacement_character(vae):
    assert LatentIndex.build(vae, ["a\ud800b"]).texts == ["a\ufffdb"]


@pytest.mark.parametrize(
    ("corpus", "metadata", "error", "message"),
    [
        ("one text", None, TypeError, "texts come as a list or another iterable, got a single str"),
        ({"text": "a"}, None, TypeError, "got a single dict"),
        (["a", 3], None, TypeError, "the text of item 1 is an int, not a string"),
        ([{"text": None}], None, TypeError, "the text of item 0 is None, a missing value"),
        ([{"body": "a"}], None, ValueError, r"item 0 needs a 'text'.*\['body'\]"),
        ([{"text": "a"}], [{"n": 1}], ValueError, "item 0 needs a 'text' and its metadata as other keys"),
        (["a", "b"], [{}], ValueError, "texts and metadata differ in length after 1"),
        (["a"], [{}, {}], ValueError, "texts and metadata differ in length after 1"),
        (["a"], [{"n": object()}], ValueError, "the metadata of item 0 is not JSON"),
        (["a"], [3], ValueError, "the metadata of item 0 is not JSON"),
    ],
)
def test_bad_items_are_refused_and_add_nothing(vae, index, corpus, metadata, error, message):
    for call in (lambda: LatentIndex.build(vae, corpus, metadata=metadata), lambda: index.add(corpus, metadata)):
        with pytest.raises(error, match=message):
            call()
    assert len(index) == len(index.texts) == 60 and index.add(["next"]) == [60]


def test_an_unknown_metric_is_refused(vae):
    with pytest.raises(ValueError, match="unknown metric 'dot': use 'cosine', 'l2' or 'wasserstein'"):
        LatentIndex.build(vae, TEXTS, metric="dot")


@pytest.mark.parametrize(
    "factory", ["Foo", "", "HNSW", "HNSW0", "HNSW1", "NSG32", "IVF0,Flat", "IVF99999999999,Flat", "PQ7"]
)
def test_a_bad_factory_is_one_clear_line(vae, factory):
    if factory == "HNSW":  # faiss has a default number of links
        assert len(LatentIndex.build(vae, TEXTS, factory=factory)) == 60
        return
    message = (
        f"^faiss does not know the index factory '{factory}' for 16 dimensions .*use auto, Flat, HNSW32, IVF256,Flat or"
    )
    with pytest.raises(ValueError, match=message) as caught:
        LatentIndex.build(vae, TEXTS, factory=factory)
    assert "\n" not in str(caught.value) and "/project/" not in str(caught.value)


@pytest.mark.parametrize("factory", ["IVF100,Flat", "PQ4", "PCA64,Flat"])
def test_too_little_training_text_is_one_clear_line(vae, factory):
    for corpus in (TEXTS, []):
        with pytest.raises(ValueError, match=f"factory '{factory}' cannot be trained on {len(corpus)} .*use Flat$"):
            LatentIndex.build(vae, corpus, factory=factory)


def test_vectors_that_faiss_refuses_add_nothing(vae, index, monkeypatch):
    with pytest.raises(ValueError, match="the index factory 'IDMap,Flat' is not supported .* use auto, Flat"):
        LatentIndex.build(vae, TEXTS, factory="IDMap,Flat")
    with monkeypatch.context() as patch:
        patch.setattr(index._vectors.index, "add_with_ids", lambda *_: (_ for _ in ()).throw(RuntimeError("full")))
        with pytest.raises(ValueError, match="the factory 'Flat' refuses these vectors: full"):
            index.add(["fresh"])
    assert index.texts == TEXTS and index.add(["fresh"]) == [60]


def test_a_factory_that_cannot_give_vectors_back_keeps_its_tombstones(vae, monkeypatch):
    index = LatentIndex.build(vae, TEXTS, factory="HNSW32")
    monkeypatch.setattr("faiss.clone_index", lambda _: (_ for _ in ()).throw(RuntimeError("not implemented")))
    index.remove(range(50))
    assert len(index) == 10 and sorted(ranking(index.search("a", k=60))) == list(range(50, 60))


@pytest.mark.parametrize("factory", FACTORIES)
def test_added_texts_are_found_under_new_ids(vae, factory):
    index = LatentIndex.build(vae, TEXTS, factory=factory)
    assert index.add(["fresh", {"text": "newer", "n": 1}]) == [60, 61]
    assert index.add([]) == []
    best = index.search("newer", k=1)[0]
    assert (best.id, best.text, best.metadata) == (61, "newer", {"n": 1})
    assert len(index) == 62 and index.texts[-2:] == ["fresh", "newer"]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("gone", [[0], [5, 5, 17], list(range(3)), list(range(0, 60, 2)), list(range(60))], ids=len)
def test_removed_texts_are_gone_and_the_others_stay_themselves(vae, tmp_path, factory, gone):
    index = LatentIndex.build(vae, TEXTS, factory=factory, metadata=METADATA)
    assert index.remove(iter(gone)) == len(set(gone))
    index.save(tmp_path / "index")
    left = [n for n in range(60) if n not in gone]
    for each in (index, LatentIndex.load(tmp_path / "index", vae)):
        assert len(each) == len(left) and each.ids == left and each.texts == [TEXTS[n] for n in left]
        assert all(sorted(ranking(hits)) == left for hits in each.search(TEXTS, k=60))
        assert [ranking(hits)[0] for hits in each.search([TEXTS[n] for n in left], k=1)] == left
        for hits in each.search(TEXTS, k=3):
            assert len(hits) == min(3, len(left))


@pytest.mark.parametrize("factory", FACTORIES)
def test_ids_are_never_used_twice(vae, tmp_path, factory):
    index = LatentIndex.build(vae, TEXTS, factory=factory)
    index.remove([58, 59])
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert loaded.add(["fresh"]) == index.add(["fresh"]) == [60]
    assert loaded.search("fresh", k=1)[0].id == 60


def test_a_graph_keeps_tombstones_until_a_fifth_is_removed(vae, tmp_path):
    index = LatentIndex.build(vae, TEXTS, factory="HNSW32")
    index.remove(range(12))
    assert index._vectors.index.ntotal == 60 and len(index) == 48
    index.save(tmp_path / "index")
    assert json.loads((tmp_path / "index" / "index.json").read_text())["tombstones"] == list(range(12))
    index.remove([12])
    assert index._vectors.index.ntotal == len(index) == 47
    assert ranking(index.search(TEXTS[40], k=60))[0] == 40 and index.add(["fresh"]) == [60]


def test_unknown_ids_are_named_and_nothing_is_removed(index):
    index.remove([4])
    with pytest.raises(ValueError, match="the index has no id -1, 4, 60: nothing was removed"):
        index.remove([1, 60, 4, -1])
    with pytest.raises(ValueError, match=r"no id 100, 101, 102, 103, 104 and 5 more"):
        index.remove(range(100, 110))
    with pytest.raises(ValueError, match=f"no id {2**80}"):
        index.remove([2**80])
    with pytest.raises(TypeError):
        index.remove([1.5])
    assert len(index) == 59 and index.remove([]) == 0 and index.remove(np.array([1, 2])) == 2


def test_get_refuses_unknown_ids(index):
    assert index.get(np.int64(2)) == (TEXTS[2], METADATA[2])
    with pytest.raises(ValueError, match="the index has no id 60"):
        index.get(60)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_a_loaded_index_equals_the_saved_one(vae, tmp_path, queries, factory, metric):
    index = LatentIndex.build(vae, TEXTS, factory=factory, metric=metric, metadata=METADATA)
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert loaded.search(queries) == index.search(queries)
    for name in ("factory", "metric", "dim", "fingerprint", "ids", "texts"):
        assert getattr(loaded, name) == getattr(index, name)
    assert repr(loaded) == repr(index) == f"LatentIndex(60 texts, dim=16, factory='{factory}', metric='{metric}')"


def test_a_loaded_index_leaves_its_folder_alone_until_saved(index, vae, tmp_path):
    index.save(tmp_path / "index")
    before = {name: (tmp_path / "index" / name).read_bytes() for name in FILES}
    loaded = LatentIndex.load(tmp_path / "index", vae)
    loaded.add(["fresh"])
    loaded.remove([0])
    assert {file.name: file.read_bytes() for file in (tmp_path / "index").iterdir()} == before
    loaded.save(tmp_path / "index")
    again = LatentIndex.load(tmp_path / "index", vae)
    assert again.ids == [*range(1, 61)] and sorted(f.name for f in (tmp_path / "index").iterdir()) == sorted(FILES)


def test_saving_unchanged_onto_its_own_folder_works(index, vae, tmp_path):
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    loaded.save(tmp_path / "index")
    assert loaded.texts == LatentIndex.load(tmp_path / "index", vae).texts == TEXTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


def test_saving_replaces_the_older_index_whole(index, vae, tmp_path):
    index.save(tmp_path / "index")
    LatentIndex.build(vae, ["only"]).save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).texts == ["only"]


def test_saving_through_a_link_keeps_the_link(index, vae, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "index", target_is_directory=True)
    for _ in range(3):
        index.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(LatentIndex.load(tmp_path / "link", vae)) == 60


def test_removed_texts_leave_no_trace_in_the_file(vae, tmp_path):
    index = LatentIndex.build(vae, [*TEXTS, "a secret sentence"])
    index.remove([60])
    index.save(tmp_path / "index")
    assert b"a secret sentence" not in (tmp_path / "index" / "items.sqlite").read_bytes()


def test_a_folder_that_is_not_an_index_is_never_replaced(index, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("work")
    for name in ("thesis", "file"):
        with pytest.raises(FileExistsError, match="holds something else"):
            index.save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "work"
    (tmp_path / "empty").mkdir()
    index.save(tmp_path / "empty")


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_crash_between_the_two_renames_is_recovered(index, vae, tmp_path, monkeypatch, failing):
    index.save(tmp_path / "index")
    rename, calls = os.rename, []

    def crash(source, target):
        calls.append(source)
        if len(calls) == failing:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(artifacts, "exchange", lambda first, second: False)  # as on a system that has only renames
    monkeypatch.setattr(artifacts.os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        LatentIndex.build(vae, ["only"]).save(tmp_path / "index")
    monkeypatch.undo()
    assert (tmp_path / "index").exists() == (failing < 4)
    assert LatentIndex.load(tmp_path / "index", vae).texts == TEXTS
    LatentIndex.build(vae, ["only"]).save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).texts == ["only"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


@pytest.mark.parametrize("position", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused(index, vae, tmp_path, name, position):
    index.save(tmp_path / "index")
    file = tmp_path / "index" / name
    content = bytearray(file.read_bytes())
    content[int(position * (len(content) - 1))] ^= 0x41
    file.write_bytes(content)
    with pytest.raises(CorruptFileError):
        LatentIndex.load(tmp_path / "index", vae)


@pytest.mark.parametrize("keep", [0, 20, -1])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_missing_file_is_refused(index, vae, tmp_path, name, keep):
    index.save(tmp_path / "index")
    file = tmp_path / "index" / name
    if name == "manifest.json" and keep == -1:
        keep = -3  # the last byte is only a line break
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CorruptFileError):
        LatentIndex.load(tmp_path / "index", vae)
    file.unlink()
    with pytest.raises(CorruptFileError, match=name):
        LatentIndex.load(tmp_path / "index", vae)


@pytest.mark.parametrize("name", FILES[:3])
def test_a_file_that_the_manifest_does_not_vouch_for_is_refused(index, vae, tmp_path, name):
    index.save(tmp_path / "index")
    manifest = tmp_path / "index" / MANIFEST
    write_json(manifest, {other: digests for other, digests in read_json(manifest).items() if other != name})
    with pytest.raises(CorruptFileError, match=rf"{name} cannot be used: manifest.json does not list it"):
        LatentIndex.load(tmp_path / "index", vae)


@pytest.mark.parametrize("name", FILES[:2])
def test_files_of_two_indexes_are_not_mixed(index, vae, tmp_path, name):
    index.save(tmp_path / "index")
    LatentIndex.build(vae, TEXTS[:9]).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, tmp_path / "index" / name)
    write_manifest(tmp_path / "index")
    with pytest.raises(CorruptFileError, match="the files of .* disagree: .*60.*: build the index again"):
        LatentIndex.load(tmp_path / "index", vae)


@pytest.mark.parametrize("name", FILES[:2])
def test_a_file_of_another_kind_is_refused_whatever_its_checksum(index, vae, tmp_path, name):
    index.save(tmp_path / "index")
    (tmp_path / "index" / name).write_bytes(b"not what it says" * 100)
    write_manifest(tmp_path / "index")
    with pytest.raises(CorruptFileError, match="is not a readable index"):
        LatentIndex.load(tmp_path / "index", vae)


def test_what_is_not_an_index_is_not_loaded(index, vae, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no index at .*nowhere"):
        LatentIndex.load(tmp_path / "nowhere")
    (vae.path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="run is not an index folder: it has no index.json"):
        LatentIndex.load(vae.path)
    write_manifest(vae.path)
    with pytest.raises(ValueError, match="run is not an index folder: it has no index.json"):
        LatentIndex.load(vae.path)
    index.save(tmp_path / "index")
    edit_about(tmp_path / "index", format_version=99)
    with pytest.raises(ValueError, match="has the index format 99, this textvae reads 1 and 2: upgrade textvae"):
        LatentIndex.load(tmp_path / "index")


def edit_about(folder, **changes):
    about = json.loads((folder / "index.json").read_text()) | changes
    (folder / "index.json").write_text(json.dumps(about))
    write_manifest(folder)


def test_the_saved_items_are_plain_sqlite(index, tmp_path):
    index.save(tmp_path / "index")
    with sqlite3.connect(tmp_path / "index" / "items.sqlite") as items:
        assert items.execute("SELECT id, text FROM items").fetchall() == list(enumerate(TEXTS))


def test_another_model_is_refused(index, tmp_path):
    index.save(tmp_path / "index")
    message = r"built with the model .*run \(fingerprint a1b2c3\), not with other \(fingerprint ffff\): rebuild it or "
    with pytest.raises(ValueError, match=message):
        LatentIndex.load(tmp_path / "index", StubVAE("other", "ffff"))


def test_the_model_is_loaded_only_when_a_text_needs_it(index, vae, tmp_path, from_pretrained, queries):
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index")
    assert loaded.search(queries) == index.search(queries)
    assert loaded.remove([3]) == 1 and from_pretrained == []
    assert loaded.model_path == vae.path
    assert loaded.search(TEXTS[8], k=1)[0].id == 8 and loaded.add(["fresh"]) == [60]
    assert from_pretrained == [vae.path] and loaded.vae.path == vae.path


def test_a_model_that_changed_in_its_folder_is_refused(index, vae, tmp_path, from_pretrained):
    index.save(tmp_path / "index")
    (vae.path / "name").write_text("ffff")
    with pytest.raises(ValueError, match=r"not with .*run \(fingerprint ffff\)"):
        LatentIndex.load(tmp_path / "index").search("a")


def test_a_model_that_moved_away_is_asked_for(index, vae, tmp_path, from_pretrained):
    index.save(tmp_path / "index")
    vae.path.rename(tmp_path / "elsewhere")
    loaded = LatentIndex.load(tmp_path / "index")
    with pytest.raises(FileNotFoundError, match=r"its folder .*run is gone: pass vae= \(--model on the command line\)"):
        loaded.search("a")
    moved = StubVAE(tmp_path / "elsewhere")
    LatentIndex.load(tmp_path / "index", moved).save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index").search(TEXTS[8], k=1)[0].id == 8
    assert from_pretrained == [moved.path]


def test_a_model_that_was_never_saved_is_asked_for(tmp_path):
    LatentIndex.build(StubVAE(), TEXTS).save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index")
    with pytest.raises(FileNotFoundError, match="it was never saved: pass vae="):
        loaded.search("a")
    assert loaded.model_path is None and len(loaded.search(np.ones(DIM))) == 10


@pytest.mark.parametrize("stale", [False, True])
def test_a_run_and_its_index_can_move_together(index, vae, tmp_path, from_pretrained, stale):
    index.save(tmp_path / "indexes" / "index")
    (tmp_path / "new").mkdir()
    for name in ("run", "indexes"):
        shutil.copytree(tmp_path / name, tmp_path / "new" / name)
    if stale:  # the old place holds another model by now
        (vae.path / "name").write_text("ffff")
    else:
        shutil.rmtree(vae.path)
    moved = LatentIndex.load(tmp_path / "new" / "indexes" / "index")
    assert moved.search(TEXTS[8], k=1)[0].id == 8
    assert moved.vae.path == from_pretrained[-1] == tmp_path / "new" / "run"


@pytest.mark.parametrize("factory", ["Flat", "HNSW32"])
def test_searching_while_texts_come_and_go_is_safe(vae, factory):
    index, errors, done = LatentIndex.build(vae, TEXTS, factory=factory), [], threading.Event()

    def search():
        try:
            while not done.is_set():
                assert all(len(hits) == 10 for hits in index.search(TEXTS[:8]))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(20):
        index.remove(index.add([f"{n} {m}" for m in range(10)])[::2])
    done.set()
    for thread in threads:
        thread.join()
    assert errors == [] and len(index) == 160


def test_an_index_that_is_replaced_while_it_is_loaded_is_loaded_again(index, vae, tmp_path, monkeypatch):
    folder, read, newer = tmp_path / "index", FaissBackend.read, [LatentIndex.build(vae, TEXTS[::-1])]
    index.save(folder)

    def overtaken(*arguments, **options):
        vectors = read(*arguments, **options)
        if newer:
            newer.pop().save(folder)
        return vectors

    monkeypatch.setattr(FaissBackend, "read", overtaken)
    loaded = LatentIndex.load(folder, vae)
    assert loaded.texts == TEXTS[::-1]
    assert all(hits[0].text == text for text, hits in zip(TEXTS, loaded.search(TEXTS, k=1), strict=True))


@pytest.mark.parametrize("writer", ["write_index", "VACUUM"])
def test_a_failed_write_leaves_the_older_index(index, vae, tmp_path, monkeypatch, writer):
    index.save(tmp_path / "index")
    newer = LatentIndex.build(vae, ["only"])
    if writer == "VACUUM":
        newer._items._database.close()
    else:
        monkeypatch.setattr("faiss.write_index", lambda *_: (_ for _ in ()).throw(RuntimeError("write error")))
    with pytest.raises(OSError, match="could not write .*index .*: is the disk full?"):
        newer.save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).texts == TEXTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


@pytest.mark.parametrize(
    "method", [None, "build", "search", "add", "remove", "update", "edit", "compact", "get", "save", "load"]
)
def test_the_examples_in_the_docstrings_run(vae, tmp_path, method):
    index = LatentIndex.build(vae, ["a red fox", "a blue whale"])
    if method == "remove":
        index.add(["a green frog"])
    names = {"vae": vae, "index": index, "LatentIndex": LatentIndex, "folder": tmp_path / "index"}
    documented = getattr(LatentIndex, method) if method else LatentIndex
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, "example", globs=names)
    results = doctest.DocTestRunner().run(example)
    assert results.attempted >= 1 and results.failed == 0


def test_the_examples_of_the_item_store_run():
    results = doctest.testmod(items)
    assert results.attempted >= 4 and results.failed == 0
