import csv
import doctest
import gzip
import importlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from textvae.storage.errors import CorruptFileError
from textvae.text import corpus as data
from textvae.text import lines as raw_lines
from textvae.text.cleaning import MAX_CHARACTERS, GateReport, clean_one, gate, gate_texts
from textvae.text.corpus import read_corpus, read_rows, read_texts, split_validation

FAMILY, ARABIC = "a family \U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u0631\u062d\u0628\u0627"
MEGABYTE = "x" * 1_000_000


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))


@pytest.mark.parametrize("module", ["text.corpus", "text.cleaning", "storage.errors"])
def test_the_examples_run(module):
    assert doctest.testmod(importlib.import_module(f"textvae.{module}")).failed == 0


# The gate


@pytest.mark.parametrize("text", ["", " ", "a\0b", FAMILY, ARABIC, "\u202eabc", "two\nlines\t", "\ufeffx"])
def test_the_gate_passes_what_a_tokenizer_takes(text):
    assert gate(text) == text


def test_the_gate_replaces_lone_surrogates_and_keeps_the_length():
    assert gate("a\ud800b\udfff") == "a\ufffdb\ufffd"


def test_the_gate_cuts_at_the_cap():
    assert gate(MEGABYTE) == "x" * MAX_CHARACTERS
    assert gate("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


@pytest.mark.parametrize(
    "text, what",
    [
        (1.5, "a float, not a string: write it as one, '1.5'"),
        (3, "an int, not a string: write it as one, '3'"),
        (b"x", "a bytes, not a string: decode it, as in text.decode()"),
        (["a"], "a list, not a string"),
        (None, "None, a missing value, not a string: leave it out"),
        (float("nan"), "NaN, a missing value, not a string: leave it out"),
    ],
)
def test_the_gate_names_the_type_and_position_of_what_is_no_string(text, what):
    with pytest.raises(TypeError, match=f"^text 3 is {re.escape(what)}$"):
        gate(text, 3)
    with pytest.raises(TypeError, match=f"^text 1 is {re.escape(what)}$"):
        gate_texts(["fine", text])


@pytest.mark.parametrize("texts", ["text", b"text", {"a": 1}, {"a"}, None, 3])
def test_a_list_of_texts_is_asked_for(texts):
    with pytest.raises(TypeError, match=f"^expected a list of strings, got an? {type(texts).__name__}$"):
        gate_texts(texts)


def test_gated_texts_keep_their_order_and_empties():
    assert gate_texts([]) == []
    assert gate_texts(("b", "", "a\ud800")) == ["b", "", "a\ufffd"]
    assert [type(text) for text in gate_texts(np.array(["a", "b"]))] == [str, str]


@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("  a b \n", "a b"), ("a\nb", "a b"), ("a \r\n\t\n b", "a b"), ("a\tb", "a b"), ("a\u2028b\x85c", "a b c"),
        ("a  b", "a  b"), ("a\0b", "a\0b"), (FAMILY, FAMILY), (ARABIC, ARABIC), ("\ud800", "\ufffd"),
    ],
)  # fmt: skip
def test_a_cleaned_text_is_one_line_without_outer_whitespace(text, cleaned):
    assert clean_one(text, GateReport()) == cleaned


def test_cleaning_counts_everything_that_happened():
    report = GateReport()
    cleaned = [clean_one(text, report) for text in ["a", "", " \n", None, MEGABYTE, "\ud800", "b"]]
    assert [bool(text) for text in cleaned] == [True, False, False, False, True, True, True]
    assert report == GateReport(read=7, kept=4, empty=3, cut=1, surrogates=1)


def test_a_megabyte_of_padding_does_not_hide_the_text():
    report = GateReport()
    assert clean_one(" " * 1_000_000 + "text" + "\n" * 1_000_000, report) == "text"
    assert report.cut == 0


@pytest.mark.parametrize(
    "report, summary",
    [
        (GateReport(), "read 0 lines"),
        (GateReport(read=1, kept=1), "read 1 line: 1 kept"),
        (GateReport(read=2, empty=2), "read 2 lines: 2 empty"),
        (
            GateReport(1003, 1000, 3, 1, 2),
            "read 1,003 lines: 1,000 kept, 3 empty, 1 cut at 10,000 characters, 2 with lone surrogates replaced",
        ),
    ],
)
def test_a_report_mentions_only_what_happened(report, summary):
    assert report.summary() == summary


# Every format, one behaviour

TEXTS = ["first", FAMILY, ARABIC, 'a "quoted" word', "a\0b"]


def as_csv(texts: list[str], delimiter: str = ",") -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([["id", "text"], *enumerate(texts)])
    return file.getvalue().encode()


def as_parquet(columns: dict[str, list]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file, row_group_size=2)
    return file.getvalue()


ENCODERS = {
    ".txt": lambda texts: "".join(text + "\n" for text in texts).encode(),
    "": lambda texts: "\n".join(texts).encode(),
    ".log": lambda texts: "\n".join(texts).encode(),
    ".csv": as_csv,
    ".tsv": lambda texts: as_csv(texts, delimiter="\t"),
    ".jsonl": lambda texts: "\n".join(json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)).encode(),
    ".json": lambda texts: "\n".join(json.dumps({"text": text}) for text in texts).encode(),
    ".parquet": lambda texts: as_parquet({"id": list(range(len(texts))), "text": texts}),
}
TEXT_FORMATS = [suffix for suffix in ENCODERS if suffix != ".parquet"]


@pytest.mark.parametrize("suffix", ENCODERS)
def test_every_format_gives_the_same_texts(tmp_path, suffix):
    assert read_corpus(write(tmp_path / f"corpus{suffix}", ENCODERS[suffix](TEXTS))) == TEXTS


@pytest.mark.parametrize("suffix", [".csv", ".TSV", ".Parquet"])
def test_the_case_of_a_suffix_does_not_matter(tmp_path, suffix):
    assert read_corpus(str(write(tmp_path / f"corpus{suffix}", ENCODERS[suffix.lower()](TEXTS)))) == TEXTS


@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_gzip_is_unpacked(tmp_path, suffix):
    assert read_corpus(write(tmp_path / f"corpus{suffix}.gz", gzip.compress(ENCODERS[suffix](TEXTS)))) == TEXTS


@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_a_byte_order_mark_and_windows_line_ends_leave_no_trace(tmp_path, suffix):
    content = ENCODERS[suffix](TEXTS).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert read_corpus(write(tmp_path / f"corpus{suffix}", b"\xef\xbb\xbf" + content)) == TEXTS


@pytest.mark.parametrize("suffix", ENCODERS)
def test_a_line_of_a_megabyte_is_cut_and_counted(tmp_path, suffix):
    report = GateReport()
    path = write(tmp_path / f"corpus{suffix}", ENCODERS[suffix](["a", MEGABYTE, "b"]))
    assert read_corpus(path, report=report) == ["a", "x" * MAX_CHARACTERS, "b"]
    assert report == GateReport(read=3, kept=3, cut=1)


@pytest.mark.parametrize("suffix", ENCODERS)
def test_empty_texts_are_skipped_and_counted(tmp_path, suffix):
    report = GateReport()
    path = write(tmp_path / f"corpus{suffix}", ENCODERS[suffix](["a", "", "  ", "b"]))
    assert read_corpus(path, report=report) == ["a", "b"]
    assert report == GateReport(read=4, kept=2, empty=2)


@pytest.mark.parametrize("suffix", ENCODERS)
def test_a_corpus_of_empty_texts_holds_no_text(tmp_path, suffix):
    path = write(tmp_path / f"corpus{suffix}", ENCODERS[suffix](["", " ", "\t" if suffix == ".txt" else ""]))
    with pytest.raises(ValueError, match=r"corpus(\.\w+)? holds no text \(read [23] lines: [23] empty\)$"):
        read_corpus(path)


@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_an_empty_file_holds_no_text(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"holds no text \(read 0 lines\)$"):
        read_corpus(write(tmp_path / f"corpus{suffix}", ""))


@pytest.mark.parametrize("suffix", ENCODERS)
def test_the_limit_stops_the_reading(tmp_path, suffix):
    report = GateReport()
    path = write(tmp_path / f"corpus{suffix}", ENCODERS[suffix](["a", "", "b", "c"]))
    assert read_corpus(path, limit=2, report=report) == ["a", "b"]
    assert report.read == 3


def test_a_lone_surrogate_in_json_is_replaced_and_a_pair_is_a_character(tmp_path):
    report = GateReport()
    path = write(tmp_path / "corpus.jsonl", '{"text": "a\\ud800"}\n{"text": "\\ud83d\\ude00"}\n')
    assert read_corpus(path, report=report) == ["a\ufffd", "\U0001f600"]
    assert report.surrogates == 1


def test_a_column_that_the_first_records_lack_may_come_later(tmp_path):
    records = [{}, {"text": "a"}, {"text": "b", "topic": "food"}, {"id": 4}, {"topic": "art", "text": "c"}]
    path = write(tmp_path / "corpus.jsonl", "\n".join(json.dumps(record) for record in records))
    rows = [{"text": "a", "topic": None}, {"text": "b", "topic": "food"}, {"text": "c", "topic": "art"}]
    assert list(read_rows(path, columns=["topic"])) == rows
    with pytest.raises(ValueError, match="has no column 'nope': it has text, topic, id"):
        list(read_rows(path, columns=["nope"]))


def test_standard_input_is_one_sentence_a_line(monkeypatch):
    give_stdin(monkeypatch, f"\ufeffone\r\n\n{ARABIC}".encode())
    assert read_corpus("-") == ["one", ARABIC]
    assert not sys.stdin.buffer.closed


def test_a_pipe_that_cannot_be_rewound_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\n")
    os.close(writing)
    assert read_corpus(f"/dev/fd/{reading}") == ["one", "two"]
    os.close(reading)


class Endless(io.RawIOBase):
    """A file without end that counts what was taken from it."""

    taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = (b"a line.\n" * len(buffer))[: len(buffer)]  # 8 bytes, so that blocks hold whole lines
        self.taken += len(buffer)
        return len(buffer)


def test_reading_three_texts_does_not_read_the_rest(monkeypatch):
    endless = Endless()
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BufferedReader(endless)))
    assert list(itertools.islice(read_texts("-"), 3)) == ["a line."] * 3
    assert read_corpus("-", limit=3) == ["a line."] * 3
    assert endless.taken < 1_000_000


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_lines, "LONGEST_LINE", 1 << 20)
    path = write(tmp_path / "corpus.txt", b"one\n" + b"x" * (1 << 21))
    with pytest.raises(ValueError, match=r"corpus.txt line 2 is longer than 1 MB: write one sentence a line$"):
        read_corpus(path)


def test_columns_of_a_parquet_file_that_are_not_asked_for_are_not_read(tmp_path, monkeypatch):
    asked = []
    read = parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        parquet.ParquetFile, "iter_batches", lambda self, **how: asked.extend(how["columns"]) or read(self, **how)
    )
    read_corpus(write(tmp_path / "corpus.parquet", as_parquet({"text": ["a"], "vector": [[0.0] * 99]})))
    assert asked == ["text"]


# Columns

TABLE = {"id": ["0", "1"], "content": ["good", "bad"], "review": ["yes", "no"]}
NAMED = {
    ".csv": b"id,content,review\n0,good,yes\n1,bad,no\n",
    ".tsv": b"id\tcontent\treview\n0\tgood\tyes\n1\tbad\tno\n",
    ".jsonl": b'{"id": "0", "content": "good", "review": "yes"}\n{"id": "1", "content": "bad", "review": "no"}\n',
    ".parquet": as_parquet(TABLE),
}


@pytest.fixture(params=NAMED)
def table(tmp_path, request):
    return write(tmp_path / f"table{request.param}", NAMED[request.param])


@pytest.mark.parametrize("column, texts", [(None, ["good", "bad"]), ("review", ["yes", "no"]), ("id", ["0", "1"])])
def test_a_column_is_found_by_name_and_has_a_default(table, column, texts):
    assert read_corpus(table, column=column) == texts


def test_rows_keep_the_further_columns(table):
    assert list(read_rows(table, columns=["id", "content"])) == [
        {"text": "good", "id": "0", "content": "good"},
        {"text": "bad", "id": "1", "content": "bad"},
    ]
    assert list(read_rows(table, columns=None, limit=1)) == [{"text": "good"}]


@pytest.mark.parametrize("column, columns", [("nosuch", []), ("id", ["review", "nosuch"])])
def test_a_wrong_column_is_answered_with_those_there_are(table, column, columns):
    with pytest.raises(ValueError, match=r"table\.\w+ has no column 'nosuch': it has id, content, review$"):
        list(read_rows(table, column=column, columns=columns))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_positions_are_for_tables_without_names(tmp_path, suffix):
    with pytest.raises(ValueError, match="has no column '1': it has id, content, review$"):
        read_corpus(write(tmp_path / f"table{suffix}", NAMED[suffix]), column=1)


def test_a_column_must_be_chosen_where_none_is_known(tmp_path):
    expected = "has no column called text or sentence or content or review: it has a, b; choose with --column$"
    with pytest.raises(ValueError, match=expected):
        read_corpus(write(tmp_path / "table.csv", "a,b\n1,2\n"))


@pytest.mark.parametrize("suffix, mark", [(".csv", ","), (".tsv", "\t")])
def test_a_table_without_header_is_told_how_to_choose_by_position(tmp_path, suffix, mark):
    table = write(tmp_path / f"table{suffix}", f"5{mark}the food was great\n1{mark}the room was cold\n")
    with pytest.raises(ValueError, match="not a header, give the position of the column, from 0: --column 1$"):
        read_corpus(table)
    assert read_corpus(table, column=1) == ["the food was great", "the room was cold"]


def test_a_single_text_taken_for_a_header_is_logged(tmp_path, caplog):
    table = write(tmp_path / "table.csv", "the food was great\nthe room was cold\n")
    assert read_corpus(table) == ["the room was cold"]
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'table.csv'}: the first row 'the food was great' is taken for a header; "
        "if it is a text, use --column 0"
    ]
    assert read_corpus(table, column=0) == ["the food was great", "the room was cold"]
    assert read_corpus(write(tmp_path / "rows.jsonl", '{"the words of it": "a"}\n')) == ["a"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("suffix, content", [(".csv", "words\na\nb\n"), (".jsonl", '{"words":"a"}\n{"words":"b"}')])
def test_the_only_column_is_the_default(tmp_path, suffix, content):
    assert read_corpus(write(tmp_path / f"table{suffix}", content)) == ["a", "b"]


@pytest.mark.parametrize("suffix, mark", [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("column", [1, "1"])
def test_an_integer_is_a_position_in_a_table_without_header(tmp_path, suffix, mark, column):
    path = write(tmp_path / f"table{suffix}", f"0{mark}good\n1{mark}bad\n")
    assert read_corpus(path, column=column) == ["good", "bad"]
    assert list(read_rows(path, column=column, columns=[0], limit=1)) == [{"text": "good", "0": "0"}]
    with pytest.raises(ValueError, match="has no column '2': it has 0, 1$"):
        read_corpus(path, column=2)
    with pytest.raises(ValueError, match="has no column 'text': it has 0, 1$"):
        list(read_rows(path, column="text", columns=[0]))


def test_quotes_in_tsv_are_those_of_csv(tmp_path):
    path = write(tmp_path / "table.tsv", 'label\ttext\n1\t"say ""no"",\n\ttwice"\n0\t5" nails\n')
    assert read_corpus(path) == ['say "no", twice', '5" nails']
    path = write(tmp_path / "open.tsv", 'label\ttext\n1\t"an open quote\n0\tnails\n')
    with pytest.raises(ValueError, match="malformed .*: check its quotes, and double those inside a quoted cell$"):
        read_corpus(path)


def test_a_quoted_newline_in_csv_stays_in_its_cell(tmp_path):
    path = write(tmp_path / "table.csv", 'text,label\r\n"one,\r\ntwo ""2""",a\r\n\r\nthree\r\n')
    assert list(read_rows(path, columns=["label"])) == [
        {"text": 'one, two "2"', "label": "a"},
        {"text": "three", "label": None},
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.csv", "text,label\nHello, world,1\n", "a.csv line 2 has 3 cells, the first row has 2: check its commas "),
        ("a.tsv", "text\tlabel\nHello\tworld\t1\n", "a.tsv line 2 has 3 cells, the first row has 2: check its tabs$"),
        ("a.csv", 'text,label\n"open,1\nb,2\n', r"a.csv line 3 is malformed \(.*end of data\): check its quotes$"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": \n', r"a.jsonl line 3 is not JSON \(.*\): write one object a line$"),
        ("a.jsonl", '{"text": ' + "[" * 100_000, r"a.jsonl line 1 is not JSON \(.*\): write one object a line$"),
        ("a.json", '["a"]', "a.json line 1 is a list, not a JSON object: write one object a line$"),
        ("a.jsonl", '{"text": 5}', "a.jsonl: text 0 is an int, not a string: .*; choose a column of .* --column$"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_named(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(write(tmp_path / name, content))


def test_a_missing_value_is_an_empty_text(tmp_path):
    report = GateReport()
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"label": 1}\n{"text": null}\n')
    assert list(read_rows(path, columns=[], report=report)) == [{"text": "a"}]
    assert report.empty == 2


# Refusals


@pytest.mark.parametrize("name", ["nosuch.txt", "folder/nosuch.csv", "/nosuch/file", "nosuch.txt.gz", "", "two words"])
def test_a_missing_file_is_refused_at_once(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    expected = f"^there is no file '{name}': give a .txt, .csv, .tsv, .jsonl or .parquet file, or - for standard input$"
    with pytest.raises(FileNotFoundError, match=expected):
        read_texts(name)


def test_a_text_in_place_of_a_file_name_is_a_missing_file():
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_texts("a sentence that is too long for a file name " * 99)


def test_a_folder_is_refused_with_a_file_as_example(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder: give a file, such as .*/corpus.txt$"):
        read_texts(tmp_path)
    write(tmp_path / "b.csv", "")
    with pytest.raises(IsADirectoryError, match=r"is a folder: give a file, such as .*/b.csv$"):
        read_texts(tmp_path)


BINARIES = {
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "byte 0x89 at position 0"),
    "latin": (b"one\ncaf\xe9\n", "byte 0xe9 at position 7"),
    "late": (b"line\n" * 100_000 + b"\xff", "byte 0xff at position 500000"),
    "utf16": ("hello world".encode("utf-16-le"), "11 NUL bytes in its first 22"),
    "zip": (b"PK\x03\x04abc", "it starts like a zip archive"),
    "cut": ("a€".encode()[:-1], "byte 0xe2 at position 1"),
}


@pytest.mark.parametrize("kind", BINARIES)
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl", ".txt.gz"])
def test_a_binary_file_is_refused_with_the_reason(tmp_path, kind, suffix):
    content, why = BINARIES[kind]
    if suffix == ".jsonl" and kind in ("late", "latin", "cut"):
        content, why = b'{"text": "\xe9"}', "byte 0xe9 at position 10"
    path = write(tmp_path / f"a{suffix}", gzip.compress(content) if suffix.endswith(".gz") else content)
    with pytest.raises(ValueError, match=rf"a{suffix} is not UTF-8 text \({why}\): convert it, or give a .txt"):
        read_corpus(path, column="0" if suffix == ".csv" else None)


def test_binary_standard_input_is_refused(monkeypatch):
    give_stdin(monkeypatch, b"\x89PNG")
    with pytest.raises(ValueError, match=r"^standard input is not UTF-8 text \(byte 0x89 at position 0\)"):
        read_corpus("-")


def test_a_character_across_the_end_of_the_head_is_text(tmp_path):
    text = "x" * (raw_lines.HEAD - 1) + "€"
    assert read_corpus(write(tmp_path / "a.txt", text)) == [text]


@pytest.mark.parametrize("keep", [0, 3, 40, -1, -60])
def test_a_truncated_parquet_file_is_corrupt(tmp_path, keep):
    with pytest.raises(CorruptFileError, match=r"a.parquet is not a whole Parquet file \(.+\): restore it$"):
        read_corpus(write(tmp_path / "a.parquet", NAMED[".parquet"][:keep]))


PACKED = gzip.compress(b"".join(b"line %d\n" % i for i in range(3000)), mtime=0)  # in the names of tests


@pytest.mark.parametrize("damaged", [PACKED[:-9], PACKED[:40], PACKED[:-5] + bytes(5), b"plain text"])
def test_a_damaged_gzip_file_is_corrupt(tmp_path, damaged):
    with pytest.raises(CorruptFileError, match=r"a.txt.gz is not a whole gzip file \(.+\): restore it$"):
        read_corpus(write(tmp_path / "a.txt.gz", damaged))


def test_plain_text_has_no_columns(tmp_path):
    path = write(tmp_path / "a.txt", "a")
    for arguments in ({"column": "text"}, {"columns": ["text"]}):
        with pytest.raises(ValueError, match="a.txt is plain text, which has no columns: leave 'text' out$"):
            read_rows(path, **arguments)


def test_a_further_column_cannot_take_the_place_of_the_text(tmp_path):
    path = write(tmp_path / "a.csv", "text,review\na,b\n")
    with pytest.raises(ValueError, match="column 'text' cannot be kept while 'review' is the text: rename it in"):
        read_rows(path, column="review", columns=["text"])
    with pytest.raises(TypeError, match=r"^columns is a string, not a list: write \['review'\]$"):
        read_rows(path, columns="review")
    with pytest.raises(ValueError, match="^limit must be at least 1, got 0$"):
        read_texts(path, limit=0)


# The hub


class FakeHub(types.ModuleType):
    """Stands in for `datasets`, so that no test needs the network."""

    def __init__(self, answer):
        super().__init__("datasets")
        self.answer, self.calls = answer, []

    def load_dataset(self, *arguments, **options):
        self.calls.append((arguments, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "source, arguments",
    [("name", ("name", None)), ("owner/name-v1.1", ("owner/name-v1.1", None)), ("glue:sst2", ("glue", "sst2"))],
)
def test_a_name_that_is_no_file_is_a_hub_data_set(tmp_path, monkeypatch, source, arguments):
    hub = FakeHub([{"label": 0, "sentence": "a"}, {"label": 1, "sentence": "b"}])
    monkeypatch.setitem(sys.modules, "datasets", hub)
    monkeypatch.chdir(tmp_path)
    rows = list(read_rows(source, columns=["label"], split="test"))
    assert rows == [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    assert hub.calls == [(arguments, {"split": "test", "streaming": True})]
    with pytest.raises(ValueError, match=f"^{source} has no column 'x': it has label, sentence$"):
        read_corpus(source, column="x")


@pytest.mark.parametrize(
    "error, kind",
    [(ConnectionError("no\nnetwork"), FileNotFoundError), (ValueError("no\nnetwork"), ValueError)],
)
def test_a_data_set_that_cannot_be_loaded_takes_one_line(monkeypatch, error, kind):
    monkeypatch.setitem(sys.modules, "datasets", FakeHub(error))
    expected = r"^there is no file 'owner/x' and no data set of that name could be loaded \(no network\)$"
    with pytest.raises(kind, match=expected):
        read_corpus("owner/x")


def test_offline_a_hub_name_gives_one_line():
    # A process of its own: the variable is read when `datasets` is imported.
    code = "from textvae.text import read_corpus\ntry: read_corpus('nosuch')\nexcept FileNotFoundError as e: print(e)"
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert result.stdout.startswith("there is no file 'nosuch' and no data set of that name could be loaded (")
    assert len(result.stdout.splitlines()) == 1


# The split


def test_a_split_is_random_repeatable_and_loses_nothing():
    texts = [f"text {i}" for i in range(1000)]
    train, valid = split_validation(texts)
    assert len(valid) == 50 and sorted(train + valid) == sorted(texts)
    assert train == [text for text in texts if text not in set(valid)]
    assert (train, valid) == split_validation(texts)
    assert valid != split_validation(texts, seed=1)[1]
    assert sorted(valid) != valid


@pytest.mark.parametrize("repeats", [[1, 1], [5, 1], [1] * 3 + [4] * 10, [3, 2], [1] * 40, [100] * 3])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_no_text_is_on_both_sides_and_neither_is_empty(monkeypatch, repeats, share):
    monkeypatch.setattr(data, "VALIDATION_SHARE", share)
    texts = [f"text {i}" for i, times in enumerate(repeats) for _ in range(times)]
    train, valid = split_validation(texts)
    assert train and valid and not set(train) & set(valid)
    assert set(train) | set(valid) == set(texts)
    counts = Counter(texts)
    repeated = [counts[text] > 1 for text in valid]
    assert repeated == sorted(repeated), "those that occur once come first"
    assert sum(counts[text] for text in valid) <= max(min(counts.values()), round(share * len(texts)))
    assert [counts[text] for text in valid] == sorted(counts[text] for text in valid)


def test_where_every_text_repeats_the_share_is_held_out_all_the_same():
    texts = [f"text {i}" for i in range(200)] * 5
    train, valid = split_validation(texts)
    assert len(valid) == len(set(valid)) == 10
    assert len(train) == 950
    train, valid = split_validation([*texts, "once"])
    assert valid[0] == "once" and len(valid) == 10


def test_the_validation_part_is_capped():
    assert len(split_validation([str(i) for i in range(50_000)])[1]) == 2000


@pytest.mark.parametrize(
    "texts, message",
    [
        (["one"], "^a corpus needs at least 2 sentences, got 1$"),
        ([], "^a corpus needs at least 2 sentences, got 0$"),
        (["one"] * 1000, "^a corpus needs at least 2 different sentences, got 1 that occurs 1,000 times$"),
    ],
)
def test_an_impossible_split_is_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        split_validation(texts)
