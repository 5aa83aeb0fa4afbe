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


def test_the_backend_of_a_build_is_remembered_and_an_unknown_one_is_refused_before_the_model_loads(textvae):
    assert textvae(*BUILD)[0] == textvae(*BUILD[:3], "-o", "exact", "--backend", "numpy")[0] == 0
    assert Path("exact/index.safetensors").exists() and not Path("exact/index.faiss").exists()
    found = [records(textvae("search", name, TEXTS[4], "--json", "-k", "1"))[0] for name in ("found", "exact")]
    assert [hit["id"] for hit in found] == [4, 4]
    assert found[0]["score"] == pytest.approx(found[1]["score"], abs=1e-5)
    code, _, err = textvae("index", "no run", "rows.jsonl", "-o", "new", "--backend", "annoy")
    assert code and "unknown index backend 'annoy': use faiss or numpy" in err
