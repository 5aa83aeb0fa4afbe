"""Tables and records as other tools write them: delimiters, quotes, line ends, packing, nested fields."""

import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pandas
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from textvae.storage.errors import CorruptFileError
from textvae.text import lines as raw_lines
from textvae.text.cleaning import GateReport, clean_one
from textvae.text.corpus import read_corpus, read_rows

MARKS = [",", ";", "\t", "|"]
QUOTING = {"minimal": 0, "all": 1, "nonnumeric": 2}
CELLS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\",;\t|\n 'a.")), max_size=30)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cleaned(texts):
    return [text for text in (clean_one(text, GateReport()) for text in texts) if text]


@given(
    texts=st.lists(CELLS, min_size=1, max_size=8),
    mark=st.sampled_from(MARKS),
    quoting=st.sampled_from(list(QUOTING)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    suffix=st.sampled_from([".csv", ".tsv", ".CSV.gz", ".tsv.zst"]),
)
@settings(max_examples=300, deadline=None)
def test_what_pandas_writes_is_read_back(tmp_path_factory, texts, mark, quoting, end, bom, suffix):
    if "\r" not in end:  # pandas leaves a lone return without quotes, where it ends a row for pandas as well
        texts = [text.replace("\r", " ") for text in texts]
    table = pandas.DataFrame({"id": range(len(texts)), "text": texts, "note, or; a|b": "x"})
    content = table.to_csv(None, sep=mark, quoting=QUOTING[quoting], index=False, lineterminator=end)
    data = content.encode("utf-8-sig" if bom else "utf-8")
    if suffix.endswith("gz"):
        data = gzip.compress(data)
    if suffix.endswith("zst"):
        data = pyarrow.compress(data, codec="zstd", asbytes=True)
    path = write(tmp_path_factory.mktemp("round") / f"a{suffix}", data)
    expected = cleaned(texts)
    if not expected:
        with pytest.raises(ValueError, match="holds no text"):
            read_corpus(path)
        return
    assert read_corpus(path) == expected


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("mark", MARKS)
def test_the_header_decides_the_delimiter(tmp_path, suffix, mark):
    path = write(tmp_path / f"a{suffix}", mark.join(["id", "body", "label"]) + f"\n1{mark}So, so; so.{mark}x\n")
    if mark in ",;":
        path = write(path, mark.join(["id", "body", "label"]) + f'\n1{mark}"So, so; so."{mark}x\n')
    assert list(read_rows(path, column="body", columns=["label"])) == [{"text": "So, so; so.", "label": "x"}]


def test_a_comma_file_stays_one_where_names_and_texts_hold_other_marks(tmp_path):
    path = write(tmp_path / "a.csv", "text,a;b|c\nOne; two; three,x\n")
    assert list(read_rows(path, columns=["a;b|c"])) == [{"text": "One; two; three", "a;b|c": "x"}]


def test_a_semicolon_file_with_commas_in_its_names_is_one(tmp_path):
    path = write(tmp_path / "a.csv", "id;text;price, EUR\n1;Great, really;3,50\n")
    assert list(read_rows(path, columns=["price, EUR"])) == [{"text": "Great, really", "price, EUR": "3,50"}]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_unknown_names_are_listed_at_the_delimiter_that_fits_every_row(tmp_path, mark):
    path = write(tmp_path / "a.csv", f"id{mark}body\n1{mark}The soup was cold.\n2{mark}Great!\n")
    with pytest.raises(ValueError, match="has no column called text or .*: it has id, body; choose with --column$"):
        read_corpus(path)
    assert read_corpus(path, column="1") == ["body", "The soup was cold.", "Great!"]


def test_texts_with_semicolons_in_a_single_column_are_whole_and_logged(tmp_path, caplog):
    path = write(tmp_path / "a.csv", "words; free form\nIt was cold; we left; then it rained.\nGreat!\n")
    assert read_corpus(path) == ["It was cold; we left; then it rained.", "Great!"]
    assert "is read as one column: the rows differ in the number of cells at ';'" in caplog.text


@pytest.mark.parametrize("said", ["sep=;", '"sep=;"'])
def test_a_delimiter_that_excel_names_is_taken(tmp_path, said):
    assert read_corpus(write(tmp_path / "a.csv", f"{said}\r\nid;text\r\n1;a, b\r\n")) == ["a, b"]


def test_two_columns_of_the_wanted_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a.csv has 2 columns called 'text': rename all but one$"):
        read_corpus(write(tmp_path / "a.csv", "text,text\na,b\n"))


def test_a_quoted_cell_after_a_byte_order_mark_is_a_header(tmp_path):
    assert read_corpus(write(tmp_path / "a.csv", '\ufeff"text";"label"\n"a";"b"\n')) == ["a"]


# Lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 20])
def test_every_line_end_is_read(tmp_path, monkeypatch, end, piece):
    monkeypatch.setattr(raw_lines, "PIECE", piece)
    texts = ["The soup was cold.", "caf\u00e9", "", "x" * 50]
    assert read_corpus(write(tmp_path / "a.txt", end.join(texts))) == [text for text in texts if text]
    assert read_corpus(write(tmp_path / "b.txt", end.join(texts) + end)) == [text for text in texts if text]
    records = end.join(json.dumps({"text": text}) for text in texts)
    assert read_corpus(write(tmp_path / "a.ndjson", records)) == [text for text in texts if text]


def test_a_return_inside_a_line_of_a_file_with_newlines_is_white_space(tmp_path):
    assert read_corpus(write(tmp_path / "a.txt", "one\ntwo\rthree\n")) == ["one", "two three"]


def test_a_file_of_returns_alone_without_an_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_lines, "LONGEST_LINE", 1 << 16)
    monkeypatch.setattr(raw_lines, "PIECE", 1 << 10)
    with pytest.raises(ValueError, match="line 2 is longer than 0 MB"):
        read_corpus(write(tmp_path / "a.txt", "one\r" + "x" * (1 << 18)))


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonlines", ".ldjson", ".NDJSON"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_json_lines_have_many_names(tmp_path, suffix, packed):
    data = b'{"text": "a"}\n{"text": "b"}\n'
    data = gzip.compress(data) if packed == ".gz" else data
    data = pyarrow.compress(data, codec="zstd", asbytes=True) if packed == ".zst" else data
    assert read_corpus(write(tmp_path / f"a{suffix}{packed}", data)) == ["a", "b"]


def test_json_in_a_file_of_another_name_is_logged(tmp_path, caplog):
    path = write(tmp_path / "a.log", '{"text": "a"}\nb\n')
    assert read_corpus(path) == ['{"text": "a"}', "b"]
    assert "the first line is a JSON object, read as a text: JSON lines are named .jsonl or .ndjson" in caplog.text


ZSTD = pyarrow.compress(b"".join(b"line %d\n" % i for i in range(30000)), codec="zstd", asbytes=True)


@pytest.mark.parametrize("damaged", [ZSTD[:-9], ZSTD[:40], b"plain text"])
def test_a_damaged_zstd_file_is_corrupt(tmp_path, damaged):
    with pytest.raises(CorruptFileError, match=r"a.txt.zst is not a whole zstd file \(.+\): restore it$"):
        read_corpus(write(tmp_path / "a.txt.zst", damaged))


def test_zstd_that_pyarrow_lacks_takes_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pyarrow, "Codec", SimpleNamespace(is_available=lambda name: False))
    with pytest.raises(ImportError, match="a.txt.zst is a zstd file and this pyarrow reads none: unpack it, or pip"):
        read_corpus(write(tmp_path / "a.txt.zst", ZSTD))


# Nested fields

TICKETS = [
    {"ticket": {"body": "The soup was cold.", "tags": ["food"]}, "customer": {"tier": "gold", "at": {"city": "Ulm"}}},
    {"ticket": {"body": "Great!", "tags": []}, "customer": {"tier": "basic", "at": {"city": None}}},
]


def as_jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def as_parquet(records):
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(records), file)
    return file.getvalue()


@pytest.mark.parametrize("suffix, encode", [(".jsonl", as_jsonl), (".parquet", as_parquet)])
def test_dots_name_nested_fields(tmp_path, suffix, encode):
    path = write(tmp_path / f"a{suffix}", encode(TICKETS))
    keep = ["customer.tier", "customer.at.city", "ticket.tags", "customer"]
    assert list(read_rows(path, column="ticket.body", columns=keep)) == [
        {
            "text": record["ticket"]["body"],
            "customer.tier": record["customer"]["tier"],
            "customer.at.city": record["customer"]["at"]["city"],
            "ticket.tags": record["ticket"]["tags"],
            "customer": record["customer"],
        }
        for record in TICKETS
    ]
    has = "it has ticket.body, ticket.tags, customer.tier, customer.at.city"
    with pytest.raises(ValueError, match=f"has no column 'ticket.title': {has}$"):
        read_corpus(path, column="ticket.title")
    with pytest.raises(ValueError, match=f"has no column called text or .*: {has}; choose with --column$"):
        read_corpus(path)


@pytest.mark.parametrize("suffix, encode", [(".jsonl", as_jsonl), (".parquet", as_parquet)])
def test_a_key_with_a_dot_comes_before_a_nested_field(tmp_path, suffix, encode):
    path = write(tmp_path / f"a{suffix}", encode([{"a.b": "the key", "a": {"b": "the field", "c.d": "both"}}]))
    assert read_corpus(path, column="a.b") == ["the key"]
    assert read_corpus(path, column="a.c.d") == ["both"]


def test_a_nested_field_that_a_record_lacks_is_missing(tmp_path):
    records = [{"id": 1}, {"a": {"text": "x"}}, {"a": None}, {"a": {"text": "y"}}]
    report = GateReport()
    path = write(tmp_path / "a.jsonl", as_jsonl(records))
    assert [row["text"] for row in read_rows(path, column="a.text", report=report)] == ["x", "y"]
    assert report.empty == 2


@pytest.mark.parametrize("missing", ["null", "NaN"])
def test_a_missing_value_of_json_is_an_empty_text(tmp_path, missing):
    report = GateReport()
    path = write(tmp_path / "a.jsonl", f'{{"text": "a"}}\n{{"text": {missing}}}\n')
    assert [row["text"] for row in read_rows(path, report=report)] == ["a"]
    assert report.empty == 1
