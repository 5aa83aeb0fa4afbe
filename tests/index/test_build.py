import json
import os
import re
import sqlite3

import numpy as np
import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex
from textvae.index import build as building
from textvae.index import partial_build as staging
from textvae.index.backends import automatic
from textvae.index.backends import faiss as faiss_backend
from textvae.index.backends.automatic import automatic_factory
from textvae.index.rows import Row
from textvae.storage.errors import CorruptFileError

METADATA = [{"n": n} for n in range(60)]
BLOCK = 8


class Killed(BaseException):
    """Stands in for kill -9: no code of ours catches it, and what it leaves behind is set up by hand."""


@pytest.fixture
def vae(tmp_path):
    return StubVAE(tmp_path / "run")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(building, "BLOCK", BLOCK)


# The factory "auto"


@pytest.mark.parametrize(
    ("count", "width", "factory"),
    [
        (0, 64, "Flat"),
        (50_000, 64, "Flat"),
        (50_001, 64, "IVF894,Flat"),
        (1_000_000, 64, "IVF4000,Flat"),
        (1_000_000, 500, "IVF4000,Flat"),  # exactly 2 GB
        (1_000_000, 501, "IVF4000,SQ8"),
        (20_000_000, 32, "IVF17889,SQ8"),
        (None, 64, "IVF4000,Flat"),
    ],
)
def test_auto_follows_its_rule(count, width, factory):
    assert automatic_factory(count, width) == factory


@pytest.fixture
def small_limits(monkeypatch):
    """Shrink the rule: exact up to 20 texts, streams count as 25, so that 60 texts train the lists."""
    for module in (automatic, building):
        monkeypatch.setattr(module, "FLAT_LIMIT", 20)
    monkeypatch.setattr(automatic, "PLANNED", 25)
    monkeypatch.setattr(faiss_backend, "TRAINING", 30)
    monkeypatch.setattr(faiss_backend, "PER_LIST", 1)


@pytest.mark.parametrize("count", [0, 1, 8, 20, 21, 60])
@pytest.mark.parametrize("given", ["list", "stream", "path"])
def test_auto_names_what_it_chose_and_indexes_every_text_once(vae, small_limits, tmp_path, count, given):
    texts = TEXTS[:count]
    corpus = iter(texts) if given == "stream" else texts
    path = tmp_path / "index" if given == "path" else None
    index = LatentIndex.build(vae, corpus, factory="auto", path=path)
    planned = 25 if given == "stream" else count
    assert index.factory == ("Flat" if count <= 20 else f"IVF{round(4 * planned**0.5)},Flat")
    assert index.texts == texts == vae.encoded
    if texts:
        assert [hits[0].text for hits in index.search(texts, k=1)] == texts
    index.save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).factory == index.factory


# Builds on disk


def killed_after(monkeypatch, blocks, moment="before"):
    """Let the build die when it stores its next block after `blocks` of them, at a moment of that block."""
    append, sync, calls = staging.Staging.append, os.fsync, []

    def dying(self, rows, part):
        calls.append(rows)
        if len(calls) <= blocks:
            return append(self, rows, part)
        if moment == "between":  # vectors are on disk, their texts are not

            def die(descriptor):
                sync(descriptor)
                raise Killed

            monkeypatch.setattr(staging.os, "fsync", die)
            return append(self, rows, part)
        raise Killed

    monkeypatch.setattr(staging.Staging, "append", dying)
    monkeypatch.setattr(staging.Staging, "close", lambda self: (self._file.close(), self.items.close()))


@pytest.mark.parametrize("moment", ["before", "between"])
@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "auto"])
@pytest.mark.parametrize("metric", ["cosine", "wasserstein"])
@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_a_killed_build_goes_on_where_it_stopped(vae, tmp_path, monkeypatch, factory, metric, blocks, moment):
    path = tmp_path / "index"
    options = {"factory": factory, "metric": metric, "metadata": METADATA}
    whole = LatentIndex.build(vae, TEXTS, path=tmp_path / "whole", **options)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, blocks, moment)
        LatentIndex.build(vae, TEXTS, path=path, **options)
    assert not path.exists()
    vae.encoded.clear()
    index = LatentIndex.build(vae, iter(TEXTS), path=path, resume=True, **options)
    assert vae.encoded == TEXTS[blocks * BLOCK :]
    assert index.texts == TEXTS and index.ids == list(range(60)) and index.get(59) == (TEXTS[59], METADATA[59])
    assert index.search(TEXTS, k=5) == whole.search(TEXTS, k=5)
    assert (path / "index.faiss").read_bytes() == (tmp_path / "whole" / "index.faiss").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index", "whole"]


def test_a_build_on_disk_equals_one_in_memory(vae, tmp_path):
    on_disk = LatentIndex.build(vae, iter(TEXTS), metadata=METADATA, path=tmp_path / "index")
    in_memory = LatentIndex.build(vae, TEXTS, metadata=METADATA)
    assert on_disk.search(TEXTS) == in_memory.search(TEXTS)
    assert on_disk.vae is vae and on_disk.add(["fresh"]) == [60]
    assert len(LatentIndex.load(tmp_path / "index", vae)) == 60


def test_a_build_killed_at_its_end_is_finished_without_the_model(vae, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(LatentIndex, "_write", lambda *_: (_ for _ in ()).throw(Killed))
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    vae.encoded.clear()
    assert LatentIndex.build(vae, TEXTS, path=tmp_path / "index", resume=True).texts == TEXTS
    assert vae.encoded == []


def test_a_build_killed_after_it_was_saved_leaves_a_whole_index(vae, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(staging.shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(Killed))
        patch.setattr("textvae.storage.folders.shutil.rmtree", lambda *_, **__: None)
        patch.setattr(staging.Staging, "discard", lambda self: (_ for _ in ()).throw(Killed))
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).texts == TEXTS
    assert LatentIndex.build(vae, TEXTS, path=tmp_path / "index", resume=True).texts == TEXTS
    assert not (tmp_path / "index.partial").exists()


def test_half_deleted_builds_are_swept_away(vae, tmp_path):
    (tmp_path / "index.partial").mkdir()
    (tmp_path / "index.partial" / "vectors.f32").write_bytes(b"rest")
    assert LatentIndex.build(vae, TEXTS, path=tmp_path / "index").texts == TEXTS


@pytest.fixture
def interrupted(vae, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, 3)
        LatentIndex.build(vae, TEXTS, metadata=METADATA, path=tmp_path / "index")
    return tmp_path / "index.partial"


def test_an_interrupted_build_is_not_overwritten(vae, tmp_path, interrupted):
    message = r"index.partial holds an interrupted build: continue it with resume=True \(--resume on the command line\)"
    with pytest.raises(FileExistsError, match=message):
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    assert LatentIndex.build(vae, TEXTS, metadata=METADATA, path=tmp_path / "index", resume=True).texts == TEXTS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factory": "HNSW32"}, "was begun with the factory 'Flat', not 'HNSW32': continue it with that, or delete"),
        ({"metric": "l2"}, "was begun with the metric 'cosine', not 'l2'"),
        ({"vae": StubVAE(fingerprint="ffff")}, "was begun with the fingerprint 'a1b2c3', not 'ffff'"),
        ({"corpus": ["other", *TEXTS[1:]]}, "was built from another corpus: item 0 differs"),
        ({"corpus": [*TEXTS[:23], "other"]}, "was built from another corpus: item 23 differs"),
        ({"corpus": TEXTS[:20], "metadata": METADATA[:20]}, "was built from another corpus: item 20 differs"),
        ({"metadata": [{"n": -1}] * 60}, "was built from another corpus: item 0 differs"),
    ],
)
def test_another_build_does_not_go_on(vae, tmp_path, interrupted, change, message):
    given = {"vae": vae, "corpus": TEXTS, "metadata": METADATA, "path": tmp_path / "index", "resume": True}
    changed = given | change
    changed["metadata"] = changed["metadata"][: len(changed["corpus"])]
    with pytest.raises(ValueError, match=message) as caught:
        LatentIndex.build(changed.pop("vae"), changed.pop("corpus"), **changed)
    assert "\n" not in str(caught.value) and interrupted.exists()
    assert LatentIndex.build(given.pop("vae"), given.pop("corpus"), **given).texts == TEXTS


def test_damaged_builds_are_named(vae, tmp_path, interrupted):
    def resumed():
        return LatentIndex.build(vae, TEXTS, metadata=METADATA, path=tmp_path / "index", resume=True)

    file = interrupted / "vectors.f32"
    content = file.read_bytes()
    file.write_bytes(content[:-4])
    with pytest.raises(CorruptFileError, match="vectors.f32 was cut short: delete .*index.partial and build again"):
        resumed()
    file.write_bytes(content + b"more")
    items = (interrupted / "items.sqlite").read_bytes()
    (interrupted / "items.sqlite").write_bytes(b"not what it says" * 100)
    with pytest.raises(CorruptFileError, match=r"is not a readable build \(file is not a database\): delete it"):
        resumed()
    (interrupted / "items.sqlite").write_bytes(items)
    assert resumed().texts == TEXTS


def test_a_folder_of_somebody_else_is_left_alone(vae, tmp_path):
    for name in ("index.partial", "thesis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "chapter.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="index.partial is in the way and holds something else"):
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    with pytest.raises(FileExistsError, match="thesis holds something else"):
        LatentIndex.build(vae, TEXTS, path=tmp_path / "thesis")
    assert vae.encoded == []  # said before the work
    assert all((tmp_path / name / "chapter.tex").exists() for name in ("index.partial", "thesis"))


def test_mistakes_leave_no_interrupted_build_behind(vae, tmp_path):
    path = tmp_path / "index"
    for options, message in [
        ({"factory": "Nope"}, "faiss does not know the index factory 'Nope'"),
        ({"factory": "IVF100,Flat"}, "cannot be trained on 60 texts"),
        ({"metric": "dot"}, "unknown metric"),
    ]:
        with pytest.raises(ValueError, match=message):
            LatentIndex.build(vae, TEXTS, path=path, **options)
    with pytest.raises(TypeError, match="the text of item 0"):
        LatentIndex.build(vae, [3], path=path)
    with pytest.raises(ValueError, match="only a build to a folder can be continued: give its path with resume=True"):
        LatentIndex.build(vae, TEXTS, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_item_after_many_good_ones_keeps_the_work(vae, tmp_path):
    with pytest.raises(TypeError, match="the text of item 50 is an int"):
        LatentIndex.build(vae, [*TEXTS[:50], 3], path=tmp_path / "index")
    vae.encoded.clear()
    assert LatentIndex.build(vae, TEXTS, path=tmp_path / "index", resume=True).texts == TEXTS
    assert vae.encoded == TEXTS[48:]


def test_a_build_replaces_an_older_index_only_when_it_is_whole(vae, tmp_path, monkeypatch):
    LatentIndex.build(vae, ["old"], path=tmp_path / "index")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, 3)
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).texts == ["old"]
    assert LatentIndex.build(vae, TEXTS, path=tmp_path / "index", resume=True).texts == TEXTS


def test_a_block_is_acknowledged_after_its_vectors_are_on_disk(vae, tmp_path, monkeypatch):
    seen, sync = [], os.fsync

    def watch(descriptor):
        sync(descriptor)
        with sqlite3.connect(tmp_path / "index.partial" / "items.sqlite") as items:
            (texts,) = items.execute("SELECT count(*) FROM items").fetchone()
        seen.append((texts, (tmp_path / "index.partial" / "vectors.f32").stat().st_size // (4 * vae.dim)))

    append = staging.Staging.append

    def watched(self, rows, part):
        with monkeypatch.context() as patch:
            patch.setattr(staging.os, "fsync", watch)
            append(self, rows, part)

    monkeypatch.setattr(staging.Staging, "append", watched)
    LatentIndex.build(vae, TEXTS[:20], path=tmp_path / "index")
    assert seen == [(0, 8), (8, 16), (16, 20)]


def test_the_sample_that_trains_is_spread_over_the_corpus(vae, tmp_path):
    texts = [f"{n}" for n in range(1000)]
    store = staging.Staging(tmp_path / "index", {}, vae.dim, resume=False)
    matrix = np.arange(1000, dtype=np.float32)[:, None] * np.ones(vae.dim, np.float32)
    store.append([Row(text, "{}") for text in texts], matrix)
    assert store.sample(5)[:, 0].tolist() == [0, 249, 499, 749, 999]
    assert store.sample(5000).shape == (1000, vae.dim)
    store.discard()


def test_what_a_build_notes_is_what_must_stay_the_same(interrupted):
    noted = json.loads((interrupted / "build.json").read_text())
    assert noted == {"fingerprint": "a1b2c3", "dim": 16, "metric": "cosine", "factory": "Flat", "backend": "faiss"}
    assert not re.search("[A-Z]:|/", json.dumps(noted))


def test_a_build_of_an_older_version_which_names_no_backend_goes_on_with_faiss(vae, tmp_path, interrupted):
    noted = json.loads((interrupted / "build.json").read_text())
    del noted["backend"]
    (interrupted / "build.json").write_text(json.dumps(noted))
    options = {"metadata": METADATA, "path": tmp_path / "index", "resume": True}
    with pytest.raises(ValueError, match="was begun with the backend 'faiss', not 'numpy'"):
        LatentIndex.build(vae, TEXTS, backend="numpy", **options)
    assert LatentIndex.build(vae, TEXTS, **options).texts == TEXTS
