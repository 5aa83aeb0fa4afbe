import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex
from textvae.storage.errors import CorruptFileError

FACTORIES = ["Flat", "HNSW32", "IVF4,Flat", "RR16,Flat", "RR16,IVF4,Flat", "SQ8", "IVF4,SQ8,RFlat"]
MEMORY = """
import sys, numpy as np
from textvae.index.backends.faiss import FaissBackend
from pathlib import Path
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
FaissBackend.empty(4, "Flat", False)
before = resident()
store = FaissBackend.read(Path(sys.argv[1]), sys.argv[2], mapped=sys.argv[3] == "True")
print(resident() - before)
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
        with pytest.raises(
            ValueError, match="the index was loaded with mmap=True and cannot be changed: load it without"
        ):
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
@pytest.mark.parametrize(("factory", "bytes_each"), [("Flat", 4), ("IVF4,Flat", 4), ("SQ8", 1)])
def test_mapped_vectors_take_no_memory(tmp_path, factory, bytes_each):
    from textvae.index.backends.faiss import FaissBackend

    store = FaissBackend.empty(64, factory, inner_product=False)
    vectors = np.random.default_rng(0).normal(size=(100_000, 64)).astype(np.float32)
    if store.training:
        store.train(vectors[:500])
    store.add(range(100_000), vectors)
    store.write(tmp_path / "vectors")

    def memory(mapped):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "vectors"), factory, str(mapped)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert memory(False) - memory(True) > 0.7 * vectors.size * bytes_each  # ids stay in memory
