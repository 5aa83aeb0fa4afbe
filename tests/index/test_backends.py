"""Index backends: the exact numpy reference and faiss agree, alone and within an index."""

import json

import faiss
import numpy as np
import pytest
from stubs import StubVAE

from textvae import LatentIndex
from textvae.index.backends import FaissBackend, NumpyBackend, backend_class, base, register_backend
from textvae.storage.folders import write_manifest

N, W = 300, 12
TEXTS = [f"text number {i}" for i in range(40)]
QUERIES = ["text number 7", "number", "a text"]


@pytest.fixture
def vae(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return StubVAE(folder)


def points(count, seed):
    return np.random.default_rng(seed).standard_normal((count, W)).astype(np.float32)


def filled(backend, inner_product, factory="Flat"):
    store = backend.empty(W, factory, inner_product, N)
    if store.training:
        store.train(points(N, 0))
    store.add(range(N), points(N, 0))
    store.remove([3, 50, 299])
    store.replace([7, 8], points(2, 1), before=lambda: points(N, 0)[[7, 8]])
    store.add([N + 5], points(1, 2))
    return store


def same(a, b):
    np.testing.assert_array_equal(a[1], b[1])
    np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("inner_product", [True, False])
def test_the_reference_scores_as_the_formulas_say(inner_product):
    store = NumpyBackend.empty(W, "Flat", inner_product)
    store.add([5, 2, 9], points(3, 0))
    queries = 3 * points(4, 1)
    scores, ids = store.nearest(queries, 2)
    for query, found, theirs in zip(queries, ids.tolist(), scores, strict=True):
        each = [query @ v if inner_product else ((query - v) ** 2).sum() for v in points(3, 0)]
        order = sorted(range(3), key=lambda i: -each[i] if inner_product else each[i])[:2]
        assert found == [[5, 2, 9][i] for i in order]
        np.testing.assert_allclose(theirs, [each[i] for i in order], rtol=1e-4)


@pytest.mark.parametrize("inner_product", [True, False])
@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat"])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_faiss_finds_what_the_reference_finds_after_changes(inner_product, factory, k):
    reference, store = filled(NumpyBackend, inner_product), filled(FaissBackend, inner_product, factory)
    if factory.startswith("IVF"):
        store.index.nprobe = store.index.nlist  # every list: exact
    elif factory.startswith("HNSW"):
        faiss.downcast_index(store.index.index).hnsw.efSearch = N
    queries = points(20, 9)
    assert len(reference) == len(store) == N - 2
    same(store.nearest(queries, k), reference.nearest(queries, k))
    chosen = np.arange(60, 90)
    same(store.nearest(queries, k, chosen), reference.nearest(queries, k, chosen))


@pytest.mark.parametrize(
    ("backend", "factory"),
    [
        (NumpyBackend, "Flat"),
        (FaissBackend, "Flat"),
        (FaissBackend, "HNSW32"),
        (FaissBackend, "IVF4,Flat"),
        (FaissBackend, "IVF4,SQ8,RFlat"),
    ],
)
def test_a_backend_gives_back_the_vectors_it_holds(backend, factory):
    store = filled(backend, False, factory)
    expected = {id: vector for id, vector in enumerate(points(N, 0)) if id not in (3, 50, 299)}
    expected |= dict(zip([7, 8], points(2, 1), strict=True)) | {N + 5: points(1, 2)[0]}
    blocks = list(store.stored(32))
    assert max(len(ids) for ids, _ in blocks) <= 32
    found = {int(id): vector for ids, vectors in blocks for id, vector in zip(ids, vectors, strict=True)}
    assert found.keys() == expected.keys()
    for id, vector in expected.items():
        np.testing.assert_array_equal(found[id], vector)


@pytest.mark.parametrize("factory", ["SQ8", "RR8,Flat", "IVF4,SQ8", "IVF4,SQ8,Refine(SQ8)"])
def test_compressed_and_transformed_vectors_are_not_given_back(factory):
    assert filled(FaissBackend, False, factory).stored(32) is None


@pytest.mark.parametrize("backend", [NumpyBackend, FaissBackend])
def test_a_written_backend_is_read_the_same_and_a_mapped_one_does_not_change(backend, tmp_path):
    store = filled(backend, True)
    store.write(tmp_path / backend.file)
    read = backend.read(tmp_path / backend.file, store.factory)
    mapped = backend.read(tmp_path / backend.file, store.factory, mapped=True)
    for other in (read, mapped):
        same(other.nearest(points(5, 3), 7), store.nearest(points(5, 3), 7))
    read.replace([7], points(1, 4), before=lambda: points(1, 1))
    near = read.nearest(points(1, 4), N)
    assert near[0][0][near[1][0] == 7] == pytest.approx(np.square(points(1, 4)).sum(), rel=1e-5)
    for change in (
        lambda: mapped.add([900], points(1, 4)),
        lambda: mapped.remove([7]),
        lambda: mapped.replace([7], points(1, 4), before=lambda: points(1, 1)),
        mapped.compact,
    ):
        with pytest.raises(ValueError, match="mapped .mmap=True. cannot be changed"):
            change()


def test_queries_in_blocks_find_the_same(monkeypatch):
    store = filled(NumpyBackend, False)
    whole = store.nearest(points(7, 5), 4)
    monkeypatch.setattr("textvae.index.backends.numpy.SCORES", 2 * N)
    same(store.nearest(points(7, 5), 4), whole)


@pytest.mark.parametrize("metric", ["cosine", "l2", "wasserstein"])
def test_an_index_finds_the_same_with_both_backends(vae, metric, tmp_path):
    rows = [{"text": text, "even": i % 2 == 0} for i, text in enumerate(TEXTS)]
    found = {}
    for backend in ("faiss", "numpy"):
        index = LatentIndex.build(vae, rows, backend=backend, metric=metric, path=tmp_path / backend)
        index.remove([4])
        index.upsert([6], ["another text"])
        index.add(["one more"])
        index.save(tmp_path / backend)
        loaded = LatentIndex.load(tmp_path / backend, vae)
        assert loaded.backend == backend
        assert json.loads((tmp_path / backend / "index.json").read_text())["backend"] == backend
        found[backend] = [loaded.neighbours(QUERIES, 60), loaded.neighbours(QUERIES, 5, where="even = true")]
    for a, b in zip(found["faiss"], found["numpy"], strict=True):
        np.testing.assert_array_equal(a[1], b[1])
        np.testing.assert_allclose(a[0], b[0], rtol=1e-3, atol=1e-4)
    assert {file.name for file in (tmp_path / "numpy").iterdir()} == {
        "index.safetensors", "items.sqlite", "index.json", "manifest.json",
    }  # fmt: skip


def test_an_index_of_an_older_version_which_names_no_backend_is_of_faiss(vae, tmp_path):
    index = LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    about = json.loads((tmp_path / "index/index.json").read_text())
    assert about.pop("backend") == "faiss"
    (tmp_path / "index/index.json").write_text(json.dumps(about))
    write_manifest(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert loaded.backend == "faiss"
    assert loaded.search(QUERIES, 3) == index.search(QUERIES, 3)


def test_an_unknown_backend_or_factory_is_refused(vae, tmp_path):
    with pytest.raises(ValueError, match="unknown index backend 'annoy': use faiss or numpy, or import the module"):
        LatentIndex.build(vae, TEXTS, backend="annoy")
    with pytest.raises(ValueError, match="the numpy backend knows the factories Flat and auto, got 'HNSW32'"):
        LatentIndex.build(vae, TEXTS, backend="numpy", factory="HNSW32")
    assert LatentIndex.build(vae, TEXTS, backend="numpy", factory="auto").factory == "Flat"


def test_a_registered_backend_is_built_and_loaded(vae, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_BACKENDS", dict(base._BACKENDS))

    @register_backend("counting")
    class Counting(NumpyBackend):
        searches = 0

        def nearest(self, queries, k, within=None):
            Counting.searches += 1
            return super().nearest(queries, k, within)

    assert backend_class("counting") is Counting and NumpyBackend.name == "numpy"
    LatentIndex.build(vae, TEXTS, backend="counting", path=tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index", vae).search("text number 3", 1)[0].text == "text number 3"
    assert Counting.searches == 1
    del base._BACKENDS["counting"]
    with pytest.raises(ValueError, match="unknown index backend 'counting'"):
        LatentIndex.load(tmp_path / "index", vae)


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "PCA6,IVF4,Flat", "IVF4,SQ8"])
def test_vectors_are_read_back_by_id(vae, factory):
    index = LatentIndex.build(vae, TEXTS * 8, factory=factory)
    wanted = [7, 300, 0]
    index.update([300], ["another text"])
    index.remove([5])
    exact = np.array([vae.vector(text) for text in (TEXTS[7], "another text", TEXTS[0])])
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    kept = index.vectors(wanted)
    closest = {"PCA6,IVF4,Flat": 0.3, "IVF4,SQ8": 0.99}.get(factory, 0.9999)
    assert ((kept * exact).sum(1) / np.linalg.norm(kept, axis=1) > closest).all()
    index.update([6], ["after reading back"])
    assert 6 in [hit.id for hit in index.search("after reading back", k=len(index) if "PCA" in factory else 1)]


def test_the_reference_returns_its_vectors_and_metadata(vae):
    index = LatentIndex.build(
        vae, TEXTS, backend="numpy", ids=map(str, range(40)), metadata=[{"n": i} for i in range(40)]
    )
    np.testing.assert_allclose(
        index.vectors(["3", "1"]) @ index.vectors(["3", "1"]).T,
        LatentIndex.build(vae, [TEXTS[3], TEXTS[1]]).vectors([0, 1]) @ index.vectors(["3", "1"]).T,
        rtol=1e-5,
    )
    assert index.metadata(["3", "1"]) == [{"n": 3}, {"n": 1}]
    assert index.vectors([]).shape == (0, index.dim)


def test_a_backend_that_does_not_return_vectors_is_named(vae):
    index = LatentIndex.build(vae, TEXTS[:4], backend="numpy")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(NumpyBackend, "take")
        with pytest.raises(ValueError, match="the backend 'numpy' does not return its vectors"):
            index.vectors([0])
