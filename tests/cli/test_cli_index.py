"""The verbs of similarity search on a run in a temporary folder: filters, metrics, and builds that go on."""

import json
import shutil
from pathlib import Path

import pytest

from textvae.cli import main
from textvae.index import build as building
from textvae.index import partial_build as staging
from textvae.latent.vae import TextVAE

TEXTS = [f"the room {n} was clean" for n in range(30)]
ROWS = [{"text": text, "topic": "food" if n % 3 else "rooms", "stars": n % 5} for n, text in enumerate(TEXTS)]


@pytest.fixture
def textvae(small_vae, tmp_path, monkeypatch, capsys):
    """Run a command in this process and return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    TextVAE(small_vae.model, small_vae.tokenizer).save_pretrained("run")
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def run(*words):
        try:
            code = main(list(words))
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        return code or 0, out, err

    return run


def records(done):
    code, out, err = done
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


BUILD = ["index", "run", "rows.jsonl", "-o", "found", "--keep", "topic", "--keep", "stars"]


def test_where_limits_the_hits(textvae):
    textvae(*BUILD)
    query = ["search", "found", TEXTS[4], "--json", "-k", "100"]
    hits = records(textvae(*query, "--where", "topic = 'food' and stars >= 3"))
    assert sorted(hit["id"] for hit in hits) == [n for n in range(30) if n % 3 and n % 5 >= 3]
    assert hits[0]["id"] == 4 and textvae(*query, "--where", "stars = 9")[:2] == (0, "")


@pytest.mark.parametrize("index", ["found", "nowhere"])  # a bad filter is told first
def test_a_bad_filter_is_one_line(textvae, index):
    code, _, err = textvae("search", index, "a", "--where", "stars >= 'x' andd")
    assert code == 3 and len(err.splitlines()) == 1
    assert "the filter \"stars >= 'x' andd\" goes wrong at character 14, 'andd': expected 'and', 'or' or the end" in err


def test_metrics_and_factories_are_named(textvae):
    (record,) = records(textvae(*BUILD, "--metric", "wasserstein", "--factory", "auto", "--json"))
    assert (record["metric"], record["factory"], record["texts"]) == ("wasserstein", "Flat", 30)
    (hit,) = records(textvae("search", "found", TEXTS[7], "-k", "1", "--json"))
    assert hit["id"] == 7 and hit["score"] == pytest.approx(0, abs=0.01)


def test_an_interrupted_build_is_told_and_goes_on_with_resume(textvae, monkeypatch):
    monkeypatch.setattr(building, "BLOCK", 8)
    append, calls = staging.Staging.append, []

    def interrupted(self, rows, part):
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        append(self, rows, part)

    with monkeypatch.context() as patch:
        patch.setattr(staging.Staging, "append", interrupted)
        assert textvae(*BUILD)[0] == 130
    assert Path("found.partial").is_dir() and not Path("found").exists()
    code, _, err = textvae(*BUILD)
    assert code == 3 and "found.partial holds an interrupted build: continue it with resume=True (--resume" in err
    code, _, err = textvae(*BUILD, "--resume", "--factory", "HNSW32")
    assert code == 3 and "was begun with the factory 'Flat', not 'HNSW32'" in err
    (record,) = records(textvae(*BUILD, "--resume", "--json"))
    assert record["texts"] == 30 and not Path("found.partial").exists()
    hits = records(textvae("search", "found", TEXTS[29], "-k", "30", "--json"))
    assert hits[0]["id"] == 29 and sorted(hit["id"] for hit in hits) == list(range(30))
    shutil.rmtree("found")
    assert textvae(*BUILD, "--resume")[0] == 0  # without an interrupted build it starts one


CSV = "doc,text,topic\n" + "".join(f"d{n},{text},{'food' if n % 3 else 'rooms'}\n" for n, text in enumerate(TEXTS))


@pytest.fixture
def with_ids(textvae):
    Path("rows.csv").write_text(CSV)
    assert textvae("index", "run", "rows.csv", "-o", "docs", "--id", "doc", "--keep", "topic")[0] == 0
    return textvae


def found(textvae, text, **flags):
    (hit,) = records(textvae("search", "docs", text, "-k", "1", "--json"))
    return hit["id"], hit["text"], hit["metadata"]


def test_a_column_gives_the_ids(with_ids):
    assert found(with_ids, TEXTS[4]) == ("d4", TEXTS[4], {"topic": "food"})
    (facts,) = records(with_ids("info", "docs", "--json"))
    assert (facts["ids"], facts["texts"]) == ("given", 30)
    with_ids("index", "run", "rows.csv", "-o", "kept", "--id", "doc", "--keep", "doc")
    (hit,) = records(with_ids("search", "kept", TEXTS[4], "-k", "1", "--json"))
    assert hit["metadata"] == {"doc": "d4"}


def test_texts_are_added_updated_and_removed_by_their_ids(with_ids):
    Path("more.jsonl").write_text('{"doc": 77, "text": "a new lobby", "topic": "rooms"}\n')
    (done,) = records(with_ids("index-add", "docs", "more.jsonl", "--id", "doc", "--keep", "topic", "--json"))
    assert done == {"index": "docs", "added": 1, "texts": 31, "ids": ["77"]}
    assert found(with_ids, "a new lobby") == ("77", "a new lobby", {"topic": "rooms"})
    Path("changed.csv").write_text("doc,text\nd4,the pool was empty\n")
    code, out, err = with_ids("index-update", "docs", "changed.csv", "--id", "doc")
    assert (code, out, err) == (0, "updated 1 texts of docs, which has 31\n", "")
    assert found(with_ids, "the pool was empty") == ("d4", "the pool was empty", {})
    code, out, _ = with_ids("index-remove", "docs", "d4", "77")
    assert (code, out) == (0, "removed 2 texts from docs, which now has 29\n")
    assert found(with_ids, "the pool was empty")[0] not in ("d4", "77")
    both = Path("both.csv")
    both.write_text("doc,text\nd5,five\nnew,the bar was open\n")
    assert with_ids("index-update", "docs", str(both), "--id", "doc")[0] == 3
    (done,) = records(with_ids("index-update", "docs", str(both), "--id", "doc", "--upsert", "--json"))
    assert done == {"index": "docs", "updated": 1, "added": 1, "texts": 30}
    assert found(with_ids, "the bar was open")[0] == "new"


def test_an_index_with_numbers_is_changed_by_number(textvae):
    textvae(*BUILD)
    Path("more.txt").write_text("a new lobby\nan old pool\n")
    (done,) = records(textvae("index-add", "found", "more.txt", "--json"))
    assert done == {"index": "found", "added": 2, "texts": 32, "ids": [30, 31]}
    assert textvae("index-remove", "found", "30", "2")[1] == "removed 2 texts from found, which now has 30\n"
    Path("rows.csv").write_text("n,text\n31,a large pool\n")
    assert textvae("index-update", "found", "rows.csv", "--id", "n")[0] == 0
    (hit,) = records(textvae("search", "found", "a large pool", "-k", "1", "--json"))
    assert (hit["id"], hit["text"]) == (31, "a large pool")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["index-remove", "docs", "d1", "x"], 3, "the index has no id 'x': nothing was removed"),
        (["index-remove", "docs"], 2, "index-remove needs ids. See textvae index-remove --help"),
        (["index-remove", "run", "d1"], 3, "run is not an index folder: it has no index.json; it is a run of textvae"),
        (["index-remove", "nowhere", "d1"], 3, "there is no index at nowhere"),
        (
            ["index-add", "docs", "rows.csv", "--id", "doc"],
            3,
            "the index already has the id 'd0', 'd1', 'd2', 'd3', 'd4'",
        ),
        (["index-add", "docs", "rows.csv"], 3, "this index was built with ids: give one for each text (--id on the"),
        (["index-add", "docs", "rows.csv", "--id", "nope"], 3, "rows.csv has no column 'nope'"),
        (["index-update", "docs", "rows.csv"], 2, "index-update needs --id"),
        (["index", "run", "rows.csv", "-o", "twice", "--id", "topic"], 3, "the id 'rooms' is given twice"),
    ],
)
def test_a_mistake_about_ids_is_one_line_and_changes_nothing(with_ids, words, code, message):
    done = with_ids(*words)
    assert done[:2] == (code, "") and len(done[2].splitlines()) == 1 and message in done[2]
    assert len(records(with_ids("search", "docs", "a", "-k", "99", "--json"))) == 30


def test_ids_of_an_index_with_numbers_are_numbers(textvae):
    textvae(*BUILD)
    code, _, err = textvae("index-remove", "found", "2", "d1")
    assert code == 3 and "the ids of this index are numbers, got 'd1': build it with --id to use strings" in err


def test_a_key_that_no_text_has_is_said(textvae):
    textvae(*BUILD)
    code, out, err = textvae("search", "found", "a", "--where", "topci = 'food'")
    expected = "no text has the metadata key topci: the keys are stars, topic\n"
    assert (code, out, err) == (0, "", expected)
    assert textvae("search", "found", "a", "--where", "topci = 'food'", "--quiet") == (0, "", "")


def test_the_backend_of_a_build_is_remembered_and_an_unknown_one_is_refused_before_the_model_loads(textvae):
    assert textvae(*BUILD)[0] == textvae(*BUILD[:3], "-o", "exact", "--backend", "numpy")[0] == 0
    assert Path("exact/index.safetensors").exists() and not Path("exact/index.faiss").exists()
    found = [records(textvae("search", name, TEXTS[4], "--json", "-k", "1"))[0] for name in ("found", "exact")]
    assert [hit["id"] for hit in found] == [4, 4]
    assert found[0]["score"] == pytest.approx(found[1]["score"], abs=1e-5)
    code, _, err = textvae("index", "no run", "rows.jsonl", "-o", "new", "--backend", "annoy")
    assert code and "unknown index backend 'annoy': use faiss or numpy" in err
