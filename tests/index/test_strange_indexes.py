"""Indexes from strangers: faiss files, databases and index.json are checked before anything uses them."""

import json
import sqlite3
import struct
import time

import faiss
import numpy as np
import pytest
from stubs import StubVAE

from textvae import LatentIndex
from textvae.cli import main
from textvae.index.backends.faiss import FaissBackend
from textvae.index.backends.faiss_file import check_file
from textvae.index.item_checks import Guard
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest

N, D = 80, 16
FACTORIES = ["Flat", "HNSW8", "IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat", "RR16,Flat", "PCA8,IVF4,Flat", "HNSW8,SQ8", "PQ4x4",
             "PQ4x4fs", "IVF4,PQ4x4", "L2norm,Flat", "ITQ8,Flat"]  # fmt: skip


@pytest.fixture
def vae(tmp_path):
    return StubVAE(tmp_path / "run")


def saved(vae, path, factory="Flat", ids=False):
    names = [f"n{i}" for i in range(N)] if ids else None
    texts = [{"text": f"text {i}", "n": i} for i in range(N)]
    LatentIndex.build(vae, texts, factory=factory, ids=names).save(path)
    return path


@pytest.fixture
def folder(vae, tmp_path):
    return saved(vae, tmp_path / "index")


def refused(folder, match):
    write_manifest(folder)
    begin = time.process_time()
    with pytest.raises(CorruptFileError, match=match) as caught:
        LatentIndex.load(folder)
    assert time.process_time() - begin < 5
    assert not any(name in str(caught.value) for name in ("NoneType", "TypeError", "KeyError", "dict"))


# faiss


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_a_file_holds_is_what_faiss_says(tmp_path, factory):
    vectors = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    store = FaissBackend.empty(D, factory, True)
    store.train(vectors)
    store.add(range(5, N + 5), vectors)
    store.write(tmp_path / "x")
    found = check_file(tmp_path / "x")
    assert sorted(found.ids) == list(range(5, N + 5)) == store.ids.tolist()
    assert (found.width, found.count, found.inner_product) == (D, N, True)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_file_that_is_cut_or_goes_on_is_refused(vae, tmp_path, factory):
    folder = saved(vae, tmp_path / "index", factory)
    whole = (folder / "index.faiss").read_bytes()
    for data in (whole[:-1], whole[: len(whole) // 2], whole[:7], b"", whole + b"\0"):
        (folder / "index.faiss").write_bytes(data)
        refused(folder, "is not a readable index")


@pytest.mark.parametrize("factory", FACTORIES)
def test_no_count_of_a_file_makes_it_allocate_or_crash(vae, tmp_path, factory):
    """Every aligned number of the first kilobyte in turn becomes a huge one; what loads is then searched."""
    folder = saved(vae, tmp_path / "index", factory)
    whole = (folder / "index.faiss").read_bytes()
    refusals = 0
    for at in range(0, min(400, len(whole) - 8)):
        changed = bytearray(whole)
        changed[at : at + 8] = struct.pack("<q", 2**40 + 7)
        (folder / "x").write_bytes(changed)
        try:
            check_file(folder / "x")
        except RuntimeError:
            refusals += 1
    assert refusals > 30


def on_disk(folder):
    index, victim = faiss.read_index(str(folder / "index.faiss")), folder.parent / "victim"
    lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(victim))
    for place in range(index.nlist):
        if size := index.invlists.list_size(place):
            lists.add_entries(place, size, index.invlists.get_ids(place), index.invlists.get_codes(place))
    index.replace_invlists(lists, False)
    faiss.write_index(index, str(folder / "index.faiss"))
    return victim


@pytest.mark.parametrize("mmap", [False, True])
def test_lists_in_another_file_are_refused_and_it_is_not_opened(vae, tmp_path, mmap):
    folder = saved(vae, tmp_path / "index", "IVF4,Flat")
    victim = on_disk(folder)
    victim.write_bytes(b"precious")
    write_manifest(folder)
    with pytest.raises(CorruptFileError, match="not in the file itself"):
        LatentIndex.load(folder, vae, mmap=mmap)
    assert victim.read_bytes() == b"precious"


def other_kinds():
    flat = faiss.IndexFlatIP(D)
    yield faiss.IndexLSH(D, 16), "IxHe"
    yield faiss.IndexIDMap(flat), "IxMp"
    yield faiss.IndexIDMap2(faiss.IndexNSGFlat(D, 8)), "INSf"
    yield faiss.IndexIDMap2(faiss.IndexIDMap2(flat)), "IxM2"
    yield faiss.IndexRowwiseMinMax(flat), "IRMf"


@pytest.mark.parametrize(("index", "code"), list(other_kinds()), ids=lambda value: str(value)[:4])
def test_a_kind_that_no_factory_makes_is_refused(folder, index, code):
    faiss.write_index(index, str(folder / "index.faiss"))
    refused(folder, f"the kind '{code}', which no supported factory makes")


GRAPH = {
    "neighbour": lambda hnsw: faiss.rev_swig_ptr(hnsw.neighbors.data(), 9).fill(10**6),
    "entry": lambda hnsw: setattr(hnsw, "entry_point", 10**6),
    "level": lambda hnsw: setattr(hnsw, "max_level", 40),
    "breadth": lambda hnsw: setattr(hnsw, "efSearch", 2**30),
    "offset": lambda hnsw: faiss.rev_swig_ptr(hnsw.offsets.data(), 5).fill(2**40),
}


@pytest.mark.parametrize("change", GRAPH.values(), ids=GRAPH)
def test_a_graph_whose_links_lead_nowhere_is_refused(vae, tmp_path, change):
    folder = saved(vae, tmp_path / "index", "HNSW8")
    index = faiss.read_index(str(folder / "index.faiss"))
    change(faiss.downcast_index(index.index).hnsw)
    faiss.write_index(index, str(folder / "index.faiss"))
    refused(folder, "is not a readable index")


def test_vectors_of_other_texts_widths_or_measures_are_refused(vae, folder):
    vectors = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    for width, inner, ids in ((D, True, range(1, N + 1)), (8, True, range(N)), (D, False, range(N))):
        store = FaissBackend.empty(width, "Flat", inner)
        store.add(ids, vectors[:, :width].copy())
        store.write(folder / "index.faiss")
        refused(folder, "the files of .* disagree")
    twice = FaissBackend.empty(D, "Flat", True)
    twice.add([0, *range(N - 1)], vectors)
    twice.write(folder / "index.faiss")
    refused(folder, "two vectors have the same id")
    vectors[3, 3] = np.nan
    store = FaissBackend.empty(D, "Flat", True)
    store.add(range(N), vectors)
    store.write(folder / "index.faiss")
    refused(folder, "not finite")


@pytest.mark.parametrize("factory", ["LSH", "IVF4,PQ4x4fs", "RQ2x4"])
def test_a_factory_whose_files_cannot_be_checked_is_refused_before_the_work(vae, factory):
    with pytest.raises(ValueError, match="is not supported|does not know"):
        LatentIndex.build(vae, ["a"] * 300, factory=factory)
    assert vae.encoded == []


def test_a_factory_of_euclidean_distances_alone_is_refused_for_cosines(vae):
    with pytest.raises(ValueError, match="knows Euclidean distances only: give the metric l2"):
        LatentIndex.build(vae, ["a"], factory="HNSW8,PQ4")


# SQLite

COUNTING = "WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c)"
ENDLESS = f"{COUNTING} SELECT n AS id, 'a' AS text, '{{}}' AS metadata FROM c"
SCHEMAS = {
    "view": ["ALTER TABLE items RENAME TO x", f"CREATE VIEW items AS {ENDLESS}"],
    "view beside": ["CREATE VIEW v AS SELECT 1"],
    "trigger": ["CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END"],
    "table": ["CREATE TABLE other (x)"],
    "index": ["CREATE INDEX i ON items (text)"],
    "column": ["ALTER TABLE items ADD COLUMN x DEFAULT 5"],
    "virtual": ["CREATE VIRTUAL TABLE f USING fts5 (x)"],
    "no table": ["DROP TABLE items"],
    "generated": ["DROP TABLE items", "CREATE TABLE items (id INTEGER PRIMARY KEY, text AS ('a'), metadata AS ('{}'))"],
    "half of names": ["CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"],
}


def sql(folder, *commands):
    database = sqlite3.connect(folder / "items.sqlite", isolation_level=None)
    for command in commands:
        database.execute(command)
    database.close()


@pytest.mark.parametrize("commands", SCHEMAS.values(), ids=SCHEMAS)
def test_a_database_with_another_schema_is_refused(folder, commands):
    sql(folder, *commands)
    refused(folder, "is not a database of texts as textvae makes it")


ROWS = {
    "text is a blob": "UPDATE items SET text = x'00ff' WHERE id = 5",
    "metadata is a number": "UPDATE items SET metadata = x'7b7d' WHERE id = 5",
    "metadata is no JSON": "UPDATE items SET metadata = '{' WHERE id = 5",
    "metadata is no object": "UPDATE items SET metadata = '[]' WHERE id = 5",
    "metadata is deep": f"UPDATE items SET metadata = '{{\"a\": {'[' * 5000}{']' * 5000}}}' WHERE id = 5",
    "negative": "UPDATE items SET id = -1 WHERE id = 5",
    "too large": "UPDATE items SET id = 9223372036854775807 WHERE id = 5",
    "moved": "DELETE FROM items WHERE id = 5",
}


@pytest.mark.parametrize("command", ROWS.values(), ids=ROWS)
def test_a_row_of_another_type_or_range_is_refused(folder, command):
    sql(folder, command)
    refused(folder, "cannot be used|disagree")


@pytest.mark.parametrize("command", ["UPDATE names SET name = '' WHERE id = 5", "DELETE FROM names WHERE id = 5",
                                     "UPDATE names SET id = 500 WHERE id = 5",
                                     "UPDATE names SET name = char(0) WHERE id = 5",
                                     "UPDATE names SET name = 'a' || char(0) || 'b' WHERE id = 5",
                                     "UPDATE names SET name = CAST(x'00' AS TEXT) WHERE id = 5"])  # fmt: skip
def test_names_that_are_not_those_of_the_texts_are_refused(vae, tmp_path, command):
    folder = saved(vae, tmp_path / "index", ids=True)
    sql(folder, command)
    refused(folder, "ids of their own|ids are no texts, empty, or have a NUL")


def test_a_name_that_is_no_utf8_is_a_corrupt_file(vae, tmp_path):
    folder = saved(vae, tmp_path / "index", ids=True)
    sql(folder, "UPDATE names SET name = CAST(x'ff' AS TEXT) WHERE id = 5")
    write_manifest(folder)
    with pytest.raises(CorruptFileError, match="cannot be"):
        assert LatentIndex.load(folder).ids


def test_a_text_that_is_no_utf8_is_a_corrupt_file(folder):
    sql(folder, "UPDATE items SET text = CAST(x'ff' AS TEXT) WHERE id = 5")
    write_manifest(folder)
    index = LatentIndex.load(folder)
    with pytest.raises(CorruptFileError, match="cannot be read"):
        index.get(5)


def test_pages_that_form_no_tree_are_refused(folder):
    sql(folder, "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET rootpage = 1 WHERE name = 'items'")
    refused(folder, "cannot be used|is not a readable index")


def test_a_query_that_would_not_end_is_stopped():
    database = sqlite3.connect(":memory:")
    guard = Guard(database, 0)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        list(database.execute(f"SELECT max(id) FROM ({ENDLESS})"))
    guard.start()
    assert database.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_cannot_write_and_saving_still_works(folder, vae, tmp_path):
    index = LatentIndex.load(folder, vae)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        index._items._database.execute("DELETE FROM items")
    index._items._database.rollback()
    index.save(tmp_path / "again")
    assert LatentIndex.load(tmp_path / "again").texts == index.texts


# index.json

JSON = {"model": [-1, 1.5, True, [[]], "\0"], "model_relative": [None, 5, [], {}],
        "count": [[], {}, -1, 1.0, True, 2**70],
        "next_id": [None, "x", [], {}, 2**70, -1, 3], "factory": [None, 5, [], "x" * 5000], "metric": [5, None, []],
        "tombstones": [5, None, ["x"], [[]], {"a": 1}, [True], [2**70], [1, 1], [7]],
        "dim": [0, -1, "16", None, 17, 1e9],
        "fingerprint": [None, 5], "backend": [5, None, []], "format_version": [True, "1", None, 1.0, []]}  # fmt: skip
CASES = [(name, value) for name, values in JSON.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={str(value)[:12]!r}" for name, value in CASES])
def test_a_field_of_another_type_or_range_is_refused(folder, name, value):
    about = json.loads((folder / "index.json").read_text()) | {name: value}
    (folder / "index.json").write_text(json.dumps(about))
    refused(folder, "index.json|is not a readable index|disagree")


@pytest.mark.parametrize("name", ["model_relative", "count", "next_id", "factory", "dim", "metric", "fingerprint"])
def test_a_missing_field_is_refused(folder, name):
    about = json.loads((folder / "index.json").read_text())
    del about[name]
    (folder / "index.json").write_text(json.dumps(about))
    refused(folder, f"index.json lacks the field '{name}'")


def test_an_index_without_a_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(CorruptFileError, match="has no manifest.json"):
        LatentIndex.load(folder)


def test_the_exit_code_is_that_of_a_corrupt_file(folder, capsys):
    sql(folder, "CREATE VIEW v AS SELECT 1")
    write_manifest(folder)
    assert main(["info", str(folder)]) == 4
    error = capsys.readouterr().err
    assert "items.sqlite" in error and error.count("\n") == 1


# Vectors


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_vectors_without_a_finite_distance_are_refused(vae, tmp_path, backend, metric):
    index = LatentIndex.build(vae, [f"text {i}" for i in range(N)], backend=backend, metric=metric)
    index._vectors.remove([3])
    index._vectors.add([3], np.full((1, index.dim), 3e38, np.float32))
    index.save(tmp_path / "index")
    with pytest.raises(CorruptFileError, match="without a finite distance|not finite"):
        LatentIndex.load(tmp_path / "index").search(np.ones(index.dim, np.float32), k=N)


@pytest.mark.parametrize("vector", [1e20, -1e16])
@pytest.mark.parametrize("metric", ["l2", "wasserstein"])
def test_queries_whose_distances_would_be_infinite_are_refused(vae, vector, metric):
    index = LatentIndex.build(vae, ["a", "b"], metric=metric)
    with pytest.raises(ValueError, match="above 1e"):
        index.search(np.full(index.dim, vector))
    assert LatentIndex.build(vae, ["a", "b"]).search(np.full(index.dim, vector), k=1)[0].score <= 1  # cosine


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_journal_beside_the_database_changes_nothing(folder, suffix):
    """SQLite would play it back into the file whose checksum was right."""
    database = sqlite3.connect(folder / "items.sqlite", isolation_level=None)
    before = (folder / "items.sqlite").read_bytes()
    if suffix == "-wal":
        database.execute("PRAGMA journal_mode = WAL")
        before = (folder / "items.sqlite").read_bytes()
    database.execute("BEGIN")
    database.execute("UPDATE items SET text = 'changed'")
    database.execute("PRAGMA cache_spill = 1")
    if suffix == "-wal":
        database.execute("COMMIT")
    journal = (folder / f"items.sqlite{suffix}").read_bytes()
    assert journal
    database.close()
    for rest in folder.glob("items.sqlite-*"):
        rest.unlink()
    (folder / "items.sqlite").write_bytes(before)
    (folder / f"items.sqlite{suffix}").write_bytes(journal)
    write_manifest(folder)
    try:
        texts = LatentIndex.load(folder).texts
    except CorruptFileError:  # a database in another mode is none of ours
        return
    assert texts == [f"text {i}" for i in range(N)]
    assert (folder / "items.sqlite").read_bytes() == before
