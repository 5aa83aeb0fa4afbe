"""Files that verbs write are what their names say, and JSON on stdout is JSON."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from pyarrow import parquet

from textvae.cli import main
from textvae.cli.options import Printing
from textvae.latent.vae import TextVAE
from textvae.modeling import TextVAEConfig
from textvae.storage.row_files import finite, save_latents, save_record, save_records

TEXTS = ["the room was clean", 'the "soup", was cold; so', "the staff\twas kind"]
ROWS = [{"key": f"k{i}", "text": text, "n": {"at": i}, "tags": [i]} for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    TextVAE.from_texts(TEXTS, TextVAEConfig.preset("tiny", vocab_size=300)).save_pretrained(folder)
    return folder


@pytest.fixture
def textvae(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def call(command):
        code = main([str(run) if word == "RUN" else word for word in command.split()])
        return code, *capsys.readouterr()

    return call


def records_of(path):
    """Read a table as pandas, csv or json read it."""
    path = Path(path)
    if path.suffix == ".parquet":
        rows = parquet.read_table(path).to_pylist()
    elif path.suffix in (".csv", ".tsv"):
        rows = pandas.read_csv(path, sep="," if path.suffix == ".csv" else "\t", keep_default_na=False).to_dict(
            "records"
        )
    else:
        return [json.loads(line) for line in path.read_text().splitlines()]
    as_read = {"metadata": json.loads, "vector": lambda cell: json.loads(cell) if isinstance(cell, str) else cell}
    return [{name: as_read.get(name, lambda cell: cell)(cell) for name, cell in row.items()} for row in rows]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".ndjson", ".csv", ".tsv", ".PARQUET"])
def test_a_table_of_latents_has_ids_texts_metadata_and_vectors(textvae, run, suffix):
    code, out, err = textvae(f"encode RUN a.jsonl --id key --keep n.at --keep tags -o z{suffix}")
    assert (code, err) == (0, "") and out == f"wrote 3 latents of 32 dimensions to z{suffix}\n"
    path = Path(f"z{suffix}").rename(f"y{suffix.lower()}")
    records = records_of(path)
    texts = [text.replace("\t", " ") for text in TEXTS]
    assert [list(record) for record in records] == [["id", "text", "metadata", "vector"]] * 3
    assert [record["id"] for record in records] == ["k0", "k1", "k2"]
    assert [record["text"] for record in records] == texts
    assert [record["metadata"] for record in records] == [{"n.at": i, "tags": [i]} for i in range(3)]
    vectors = np.array([record["vector"] for record in records], np.float32)
    np.testing.assert_array_equal(vectors, TextVAE.from_pretrained(run).encode(texts))
    assert textvae(f"encode RUN {path} --json")[1].count("\n") == 3, "its texts can be read again"


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv", ".tsv"])
def test_without_ids_texts_are_numbered_and_metadata_are_empty(textvae, suffix):
    textvae(f"encode RUN a.jsonl -o z{suffix}")
    assert [(record["id"], record["metadata"]) for record in records_of(f"z{suffix}")] == [(i, {}) for i in range(3)]


def test_text_and_npy_files_hold_the_vectors(textvae):
    for name in ("z.npy", "z.txt", "z"):
        assert textvae(f"encode RUN a.jsonl -o {name}")[0] == 0
    vectors = np.load("z.npy")
    np.testing.assert_array_equal(np.load("z"), vectors)
    np.testing.assert_allclose(np.loadtxt("z.txt"), vectors, rtol=1e-5, atol=1e-6)
    assert textvae("decode RUN z.npy")[0] == 0


@pytest.mark.parametrize(
    "command, message",
    [
        (
            "encode RUN a.jsonl -o z.xlsx",
            "z.xlsx has the ending .xlsx: choose .npy, .parquet, .jsonl, .ndjson",
        ),
        ("encode RUN a.jsonl -o z.csv.gz", "z.csv.gz has the ending .gz: choose .npy"),
        ("eval RUN a.jsonl -o r.npy", "r.npy has the ending .npy: choose .json, .parquet"),
        (
            "index RUN a.jsonl -o i.parquet",
            "i.parquet has the name of a file, but an index is a folder: leave",
        ),
        ("train a.jsonl -o run.npy", "run.npy has the name of a file, but a run is a folder: leave .npy out"),
        ("attribute RUN --dim 0 -o a.json", "a.json has the name of a file, but an attribute is a folder"),
        ("export RUN -o st.jsonl", "st.jsonl has the name of a file, but an export is a folder"),
        (
            "plot RUN a.jsonl -o map.png",
            "map.png has the name of a file, but the place of several pictures is",
        ),
    ],
)
def test_a_name_that_says_something_else_is_refused_before_the_work(textvae, command, message):
    code, out, err = textvae(command)
    assert (code, out) == (3, "") and err.startswith(f"textvae: {message}")
    assert [path.name for path in Path(".").iterdir()] == ["a.jsonl"]


def test_columns_to_keep_need_a_place(textvae):
    for output in ("", "-o z.npy"):
        code, _, err = textvae(f"encode RUN a.jsonl --keep tags {output}")
        assert code == 2 and "--id and --keep go into .parquet, .jsonl, .csv, .tsv or --json" in err
    record = json.loads(textvae("encode RUN a.jsonl --keep tags --id key --json --limit 1")[1])
    assert (record["id"], record["metadata"], list(record)) == (
        "k0",
        {"tags": [0]},
        ["id", "text", "metadata", "latent"],
    )


REPORT = {"texts": 3, "nll": float("nan"), "curve": [1.0, float("inf")], "prior": "standard"}
READ = {"texts": 3, "nll": None, "curve": [1.0, None], "prior": "standard"}


@pytest.mark.parametrize("suffix", [".json", "", ".jsonl", ".csv", ".tsv", ".parquet", ".txt"])
def test_a_report_is_what_its_name_says(tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    save_record(path, REPORT, "texts 3\nnll nan")
    if suffix == ".txt":
        assert path.read_text() == "texts 3\nnll nan\n"
    elif suffix == ".parquet":
        assert parquet.read_table(path).to_pylist() == [READ | {"curve": "[1.0, null]"}]
    elif suffix in (".csv", ".tsv"):
        rows = list(csv.reader(path.read_text().splitlines(), delimiter="," if suffix == ".csv" else "\t"))
        assert rows == [list(READ), ["3", "", "[1.0, null]", "standard"]]
    else:
        assert json.loads(path.read_text(), parse_constant=pytest.fail) == READ
        assert suffix != ".jsonl" or path.read_text().count("\n") == 1


def test_blocks_are_joined_and_nothing_is_written_for_none(tmp_path):
    blocks = [({"id": [i], "text": [f"t{i}"]}, np.full((1, 2), i, np.float32)) for i in range(3)]
    for suffix in (".parquet", ".jsonl", ".csv"):
        assert save_latents(tmp_path / f"a{suffix}", iter(blocks)) == 3
        assert [row["id"] for row in records_of(tmp_path / f"a{suffix}")] == [0, 1, 2]
        with pytest.raises(ValueError, match="nothing to write"):
            save_latents(tmp_path / f"b{suffix}", [])

    def failing():
        yield blocks[0]
        raise RuntimeError

    for suffix in (".parquet", ".jsonl", ".csv", ".txt"):
        with pytest.raises(RuntimeError):
            save_latents(tmp_path / f"c{suffix}", failing())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "a.parquet"]


def test_a_table_without_records_has_its_columns(tmp_path):
    types = {"text": str, "score": float}
    for suffix, content in ((".csv", "text,score\n"), (".tsv", "text\tscore\n"), (".jsonl", "")):
        assert save_records(tmp_path / f"a{suffix}", [], types) == 0
        assert (tmp_path / f"a{suffix}").read_text() == content
    assert save_records(tmp_path / "a.parquet", [[], [{"text": "t", "score": None}]], types) == 1
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == [{"text": "t", "score": None}]
    with pytest.raises(ValueError, match="has the ending none: choose one of .parquet"):
        save_records(tmp_path / "a", [], types)


def test_json_on_stdout_has_no_nan(capsys):
    Printing(json=True).result({"loss": float("nan"), "nested": [{"a": np.float64("inf")}], "n": 1.5}, "")
    record = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert record == {"loss": None, "nested": [{"a": None}], "n": 1.5}
    assert finite((float("nan"), "nan")) == [None, "nan"]
