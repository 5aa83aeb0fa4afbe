"""A corpus encoded in shards gives the index that it gives in one piece."""

import json
import os
from itertools import count, islice

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from stubs import TEXTS, StubVAE, ranking

from textvae.cli import main
from textvae.index import LatentIndex, shards
from textvae.index.shards import Encoded, EncodedCorpus, encode_shard
from textvae.storage.errors import CorruptFileError
from textvae.storage.shard_files import Shard

ROWS = [{"text": text, "n": n} for n, text in enumerate(TEXTS)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(shards, "PART", 8)


def encode(vae, folder, number, total, rows=ROWS, ids=None):
    names = count(number - 1, total) if ids is None else islice(ids, number - 1, None, total)
    return encode_shard(vae, islice(rows, number - 1, None, total), names, folder, Shard(number, total))


def indexed(vae, folder, **options):
    ids, rows, latents = zip(*EncodedCorpus(folder).rows(), strict=True)
    return LatentIndex.build(vae, rows, latents=latents, **options), ids


@pytest.mark.parametrize("total", [1, 3, 7, 61])
def test_shards_give_the_index_of_the_whole_corpus(tmp_path, total):
    vae = StubVAE()
    for number in reversed(range(1, total + 1)):
        assert encode(vae, tmp_path, number, total) == Encoded(Shard(number, total).size(60), 0)
    assert sorted(vae.encoded) == sorted(TEXTS)
    index, ids = indexed(vae, tmp_path)
    assert ids == tuple(range(60)) and len(EncodedCorpus(tmp_path)) == 60
    assert sorted(vae.encoded) == sorted(TEXTS)  # no text was encoded twice
    whole = LatentIndex.build(StubVAE(), ROWS)
    assert index.search(vae.encode(["a", "b"]), 60) == whole.search(vae.encode(["a", "b"]), 60)


def test_a_shard_that_was_killed_goes_on(tmp_path, monkeypatch):
    vae, encoded = StubVAE(), []

    def dies(texts, *, batch_size):
        if len(encoded) == 2:
            raise KeyboardInterrupt
        encoded.append(texts)
        return StubVAE().encode(texts, batch_size=batch_size)

    monkeypatch.setattr(vae, "encode", dies)
    with pytest.raises(KeyboardInterrupt):
        encode(vae, tmp_path, 2, 2)
    with pytest.raises(ValueError, match="no complete shard 1 of 2: encode it with textvae encode --shard 1/2"):
        EncodedCorpus(tmp_path)
    again = StubVAE()
    assert encode(again, tmp_path, 2, 2) == Encoded(14, 16)
    assert encode(again, tmp_path, 1, 2) == Encoded(30, 0)
    assert encode(StubVAE(), tmp_path, 1, 2) == Encoded(0, 30)
    assert indexed(again, tmp_path)[0].texts == TEXTS


def test_other_corpora_models_and_numbers_of_shards_are_refused(tmp_path):
    encode(StubVAE(), tmp_path, 1, 2)
    with pytest.raises(ValueError, match="was encoded from another corpus"):
        encode(StubVAE(), tmp_path, 1, 2, rows=["x", *ROWS[1:]])
    with pytest.raises(ValueError, match="was encoded from a longer corpus"):
        encode(StubVAE(), tmp_path, 1, 2, rows=ROWS[:16])
    with pytest.raises(ValueError, match="was begun with the fingerprint 'a1b2c3', not 'ffff'"):
        encode(StubVAE(fingerprint="ffff"), tmp_path, 2, 2)
    with pytest.raises(ValueError, match="was begun with the shards 2, not 3"):
        encode(StubVAE(), tmp_path, 2, 3)
    encode(StubVAE(), tmp_path, 2, 2, rows=ROWS[:40])
    with pytest.raises(ValueError, match="corpora of different lengths"):
        EncodedCorpus(tmp_path)
    with pytest.raises(ValueError, match="was encoded by another model"):
        encode(StubVAE(), tmp_path / "b", 1, 1)
        EncodedCorpus(tmp_path / "b").check_model(StubVAE(fingerprint="ffff"))


@pytest.mark.parametrize("harm", ["cut", "gone", "swapped"])
def test_a_damaged_part_is_told(tmp_path, harm):
    encode(StubVAE(), tmp_path, 1, 1)
    parts = sorted(tmp_path.glob("*.parquet"))
    if harm == "cut":
        parts[1].write_bytes(parts[1].read_bytes()[:-20])
    elif harm == "gone":
        parts[1].unlink()
    else:
        parts[-1].replace(parts[1])
        encode_shard(StubVAE(), iter(["short"]), iter([0]), tmp_path / "b", Shard(1, 1))
        next((tmp_path / "b").glob("*.parquet")).replace(parts[-1])
    with pytest.raises(CorruptFileError, match="cannot be read|have .* rows, not 60"):
        list(EncodedCorpus(tmp_path).rows())


DONE, PART = "shard-00001-of-00001.json", "shard-00001-of-00001.part-00000.parquet"
ABOUTS = ['{"rows": "x", "parts": 1}', '{"rows": 60, "parts": [1]}', "{}", '{"rows": -5, "parts": 1}', "[]"]


@pytest.mark.parametrize("about", ABOUTS)
def test_a_shard_that_says_no_numbers_is_refused(tmp_path, about):
    encode(StubVAE(), tmp_path, 1, 1)
    (tmp_path / DONE).write_text(about)
    with pytest.raises(CorruptFileError, match=DONE):
        list(EncodedCorpus(tmp_path).rows())


@pytest.mark.parametrize("name", [DONE, PART])
def test_a_fifo_in_the_place_of_a_shard_is_not_waited_for(tmp_path, name):
    encode(StubVAE(), tmp_path, 1, 1)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="has no complete shard|cannot be read"):
        list(EncodedCorpus(tmp_path).rows())


COLUMNS = {
    "text": [None, 5], "metadata": ["{", "[]", '{"a":' + "[" * 5000 + "]" * 5000 + "}", None],
    "vector": [[1.0, 2.0], "x", None, [float("nan")] * StubVAE().dim, [1.0] * StubVAE().dim * 2],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in COLUMNS.items() for value in values])
def test_a_part_with_values_of_other_kinds_is_refused(tmp_path, name, value):
    encode(StubVAE(), tmp_path, 1, 1)
    table = parquet.read_table(tmp_path / PART)
    place = table.schema.get_field_index(name)
    table = table.set_column(place, name, pyarrow.array([value] * len(table)))
    parquet.write_table(table, tmp_path / PART)
    with pytest.raises(CorruptFileError, match="cannot be read"):
        list(EncodedCorpus(tmp_path).rows())


def test_latents_are_those_of_the_texts_one_by_one(tmp_path):
    vae = StubVAE()
    latents = vae.encode(TEXTS)
    vae.encoded.clear()
    for path in (None, tmp_path / "index"):
        index = LatentIndex.build(vae, TEXTS, latents=latents, factory="IVF2,Flat", path=path)
        assert vae.encoded == []
        assert ranking(index.search(latents[7], 1)) == [7]
        for few in (latents[:-1], np.concatenate([latents, latents[:1]])):
            with pytest.raises(ValueError, match="give one for each text"):
                LatentIndex.build(vae, TEXTS, latents=few, path=None if path is None else tmp_path / "other")
    with pytest.raises(ValueError, match="dimensions, the index has 16"):
        LatentIndex.build(vae, TEXTS, latents=latents[:, :3])
    with pytest.raises(ValueError, match="wasserstein needs standard deviations"):
        LatentIndex.build(vae, TEXTS, latents=latents, metric="wasserstein")


@pytest.mark.parametrize("named", [False, True])
def test_the_command_line_encodes_shards_and_indexes_them(run, tmp_path, sentences, capsys, named):
    corpus, folder = tmp_path / "texts.jsonl", tmp_path / "shards"
    corpus.write_text("".join(json.dumps({"text": text, "key": f"k{n}"}) + "\n" for n, text in enumerate(sentences)))
    ids = ["--id", "key"] if named else []
    for shard in ("2/3", "1/3", "3/3", "1/3"):
        assert main(["encode", str(run), str(corpus), "--shard", shard, "-o", str(folder), "--keep", "key", *ids]) == 0
    out = capsys.readouterr().out
    assert f"encoded 0 texts to shard 1/3 of {folder}, 3 were there already" in out
    assert main(["index", str(run), "--from", str(folder), "-o", str(tmp_path / "a"), "--quiet"]) == 0
    assert main(["index", str(run), str(corpus), "-o", str(tmp_path / "b"), "--keep", "key", *ids, "--quiet"]) == 0
    built, whole = LatentIndex.load(tmp_path / "a"), LatentIndex.load(tmp_path / "b")
    assert built.ids == whole.ids and built.texts == whole.texts == sentences
    for found, expected in zip(built.search(sentences, 8), whole.search(sentences, 8), strict=True):
        assert ranking(found) == ranking(expected) and found[0].metadata == expected[0].metadata
    capsys.readouterr()
    for arguments, code, said in (
        (["index", str(run), "-o", str(tmp_path / "c")], 2, "index needs a corpus, or --from"),
        (["index", str(run), str(corpus), "--from", str(folder), "-o", str(tmp_path / "c")], 2, "needs a corpus, or"),
        (["index", str(run), "--from", str(tmp_path / "run"), "-o", str(tmp_path / "c")], 3, "holds no shards"),
        (["encode", str(run), str(corpus), "--shard", "4/3", "-o", str(folder)], 3, "is a share such as 3/8"),
        (["encode", str(run), str(corpus), "--shard", "1/3"], 2, "--shard needs a folder"),
    ):
        assert main(arguments) == code
        assert said in capsys.readouterr().err
