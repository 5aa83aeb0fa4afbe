import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex
from textvae.storage.errors import CorruptFileError

FACTORIES = ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat", "RR16,IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat"]
BYTES_EACH = {"Flat": 4, "IVF4,Flat": 4, "SQ8": 1}  # of a dimension
MEMORY = """
import json, os, sys
from textvae.index.backends.faiss import FaissBackend
from pathlib import Path
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
FaissBackend.empty(4, "Flat", False)
for factory, path in json.loads(sys.argv[1]).items():
    for mapped in (True, False):
        if child := os.fork():  # each begins with the same heap
            os.waitpid(child, 0)
            continue
        before = resident()
        store = FaissBackend.read(Path(path), factory, mapped=mapped)
        os.write(1, b"%d " % (resident() - before))
        os._exit(0)
"""


@pytest.fixture(params=FACTORIES)
def saved(request, tmp_path):
    index = LatentIndex.build(StubVAE(), TEXTS, factory=request.param, metadata=[{"n": n} for n in range(60)])
    index.remove([3])
    index.save(tmp_path / "index")
    return tmp_path / "index"


def test_a_mapped_index_finds_what_a_loaded_one_does(saved):
    loaded, mapped = LatentIndex.load(saved, StubVAE()), LatentIndex.load(saved, StubVAE(), mmap=True)
    assert mapped.search(TEXTS, k=60) == loaded.search(TEXTS, k=60)
    assert mapped.search(TEXTS, k=5, where="n >= 30") == loaded.search(TEXTS, k=5, where="n >= 30")
    assert mapped.texts == loaded.texts and len(mapped) == 59


def test_a_mapped_index_is_not_changed(saved):
    mapped = LatentIndex.load(saved, StubVAE(), mmap=True)
    for change in (
        lambda: mapped.add(["a"]),
        lambda: mapped.remove([0]),
        lambda: mapped.upsert([0], ["a"]),
        lambda: mapped.compact(),
    ):
        with pytest.raises(ValueError, match="vectors that are mapped .mmap=True. cannot be changed"):
            change()
    assert mapped.texts == LatentIndex.load(saved).texts and len(mapped) == 59


def test_a_mapped_index_saves_itself_also_onto_its_own_folder(saved, tmp_path):
    mapped = LatentIndex.load(saved, StubVAE(), mmap=True)
    before = mapped.search(TEXTS, k=9)
    for path in (tmp_path / "copy", saved):
        mapped.save(path)
        assert LatentIndex.load(path, StubVAE()).search(TEXTS, k=9) == mapped.search(TEXTS, k=9) == before


def test_a_damaged_file_is_not_mapped(saved):
    file = saved / "index.faiss"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CorruptFileError):
        LatentIndex.load(saved, mmap=True)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read the memory of a process")
def test_mapped_vectors_take_no_memory(tmp_path):
    from textvae.index.backends.faiss import FaissBackend

    vectors = np.random.default_rng(0).normal(size=(100_000, 64)).astype(np.float32)
    for factory in BYTES_EACH:
        store = FaissBackend.empty(64, factory, inner_product=False)
        if store.training:
            store.train(vectors[:500])
        store.add(range(100_000), vectors)
        store.write(tmp_path / factory)
    command = [sys.executable, "-c", MEMORY, json.dumps({factory: str(tmp_path / factory) for factory in BYTES_EACH})]
    grown = list(map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))
    for (factory, size), mapped, loaded in zip(BYTES_EACH.items(), grown[::2], grown[1::2], strict=True):
        assert loaded - mapped > 0.7 * vectors.size * size, factory  # ids stay in memory


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_build_on_disk_with_full_vectors_beside_compressed_ones_is_that_in_memory(tmp_path, metric):
    options = {"factory": "IVF4,PQ4x4,RFlat", "metric": metric, "ids": [f"id {n}" for n in range(60)]}
    whole = LatentIndex.build(StubVAE(), TEXTS, **options)
    built = LatentIndex.build(StubVAE(), TEXTS, path=tmp_path / "index", **options)
    assert not (tmp_path / "index.partial").exists()
    mapped = LatentIndex.load(tmp_path / "index", StubVAE(), mmap=True)
    for index in (built, mapped):
        np.testing.assert_array_equal(index.vectors(index.ids), whole.vectors(whole.ids))
        for found, expected in zip(index.search(TEXTS, k=60), whole.search(TEXTS, k=60), strict=True):
            assert [hit.id for hit in found] == [hit.id for hit in expected]
        assert [block.ids for block in index.blocks()] == [whole.ids]
    with pytest.raises(ValueError, match="mapped"):  # memory never held all vectors, and need not now
        built.add(["another"], ids=["id 60"])
    with LatentIndex.edit(tmp_path / "index", StubVAE()) as changed:
        changed.add(["another"], ids=["id 60"])
        changed.remove(["id 0"])
    again = LatentIndex.load(tmp_path / "index", StubVAE(), mmap=True)
    assert again.search("another", k=1)[0].id == "id 60" and len(again) == 60
    exact = LatentIndex.build(StubVAE(), TEXTS, metric=metric)
    best = [hits[0].text for hits in exact.search(TEXTS, k=1)]
    assert [hits[0].text for hits in mapped.search(TEXTS, k=1)] == best == TEXTS
