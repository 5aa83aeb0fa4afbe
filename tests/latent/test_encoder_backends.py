"""Exports of encoders: their vectors are those of the model, they belong to its files, and damage is noticed."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_from_encoder import plain  # noqa: F401  the fixture

from textvae import LatentIndex, TextVAE
from textvae.cli import main
from textvae.latent import backends, exported, int8, processor
from textvae.latent.exported import ABOUT, ExportedEncoder, export_folder, export_key, find_encoder
from textvae.modeling import TextVAEConfig

ROOT = Path(__file__).parents[2]
ODD = [" the\u00a0 room\r\nwas\u3000cold ", "a\u200db \u200c c", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "a\0b"]
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    return tmp_path / "cache" / "encoders"


@pytest.fixture
def texts(sentences):
    return [
        *sentences,
        "good</s>",
        "<pad> and <s>",
        "a much longer sentence , " * 60,
        "x",
        "",
        "so\u00adup\u00a0 of",
        *ODD,
    ]


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def exports(cache):
    return sorted(cache.glob("[0-9a-f]*")) if cache.exists() else []


def slotted(sentences):
    config = TextVAEConfig.preset("tiny", vocab_size=320, max_length=24, slot_dim=4)
    return TextVAE.from_texts(sentences, config)


@pytest.mark.parametrize("kind", ["plain", "slots", "sentence encoder"])
def test_an_export_gives_the_vectors_of_the_model(small_vae, sentences, plain, texts, tmp_path, cache, kind):  # noqa: F811
    made = {"plain": lambda: small_vae, "slots": lambda: slotted(sentences)}
    source = plain if kind == "sentence encoder" else tmp_path / "run"
    if kind != "sentence encoder":
        made[kind]().save_pretrained(source)
        small_vae.path = None
    load = TextVAE.from_encoder if kind == "sentence encoder" else TextVAE.from_pretrained
    slow, fast = load(source, "cpu", backend="torch"), load(source, "cpu", backend="onnx")
    vectors, expected = fast.encode(texts), slow.encode(texts)
    assert (slow.backend.used, fast.backend.used) == ("torch", "onnx")
    assert cosines(vectors, expected).min() >= 0.9999
    np.testing.assert_allclose(fast.encode(texts[2]), expected[2], atol=1e-3)
    assert fast.encode([]).shape == (0, fast.dim)
    alone = find_encoder(source, "auto")
    np.testing.assert_array_equal(alone.encode(texts), vectors)
    assert (alone.fingerprint, alone.dim) == (slow.fingerprint, slow.dim)
    assert len(exports(cache)) == 1


def test_a_changed_file_of_the_model_has_an_export_of_its_own(small_vae, run, cache):
    keys = {export_key(run), export_key(run, "int8")}
    small_vae.save_tokenizers(run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"max_length": 20}))
    (run / "manifest.json").unlink()
    keys.add(export_key(run))
    (run / "training.json").write_text("{}")  # does not decide what encode returns
    keys.add(export_key(run))
    assert len(keys) == 3


def test_a_damaged_export_is_written_again(small_vae, run, cache, sentences):
    expected = TextVAE.from_pretrained(run, "cpu", backend="onnx").encode(sentences)
    model = exports(cache)[0] / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert find_encoder(run, "auto") is None
    again = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    np.testing.assert_array_equal(again.encode(sentences), expected)
    assert again.backend.used == "onnx"


def test_nothing_is_written_into_the_run_nor_read_from_it(run, cache, sentences):
    before = sorted(run.rglob("*"))
    planted = run / "model.onnx"
    planted.write_bytes(b"planted")
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    vae.encode(sentences)
    assert sorted(run.rglob("*")) == sorted([*before, planted])
    assert exports(cache)[0] == export_folder(export_key(run))


def test_a_copy_of_the_model_uses_the_export_too(run, sentences):
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    expected = vae.encode(sentences)
    copied = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(copied.encode(sentences), expected)
    assert copied.backend.used == "onnx"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_encodes_by_torch_since_it_lacks_the_threads_of_the_runtime(run, sentences, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    expected = vae.encode(sentences)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if cosines(vae.encode(sentences), expected).min() > 0.9999 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_changed_weights_are_computed_by_torch(run, sentences):
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    before = vae.encode(sentences)
    with torch.no_grad():
        vae.model.encoder.mean.weight.mul_(-1)
        vae.model.encoder.mean.bias.mul_(-1)
    np.testing.assert_allclose(vae.encode(sentences), -before, atol=1e-3)


def test_auto_exports_only_after_enough_work_and_adopts_what_was_fastest(run, sentences, cache, monkeypatch):
    vae = TextVAE.from_pretrained(run, "cpu")
    vae.encode(sentences)
    vae.encode(sentences)
    assert (vae.backend.used, exports(cache)) == ("torch", [])
    monkeypatch.setattr(backends, "PATIENCE", 0.0)
    seen = []

    def fastest(vae, loaded, rows):
        seen.append(sorted(loaded))
        return "onnx"

    monkeypatch.setattr(backends, "_fastest", fastest)
    few = vae.encode(sentences)
    monkeypatch.setattr(backends, "BULK", len(sentences))
    expected = TextVAE.from_pretrained(run, "cpu", backend="torch").encode(sentences)
    assert cosines(vae.encode(sentences), expected).min() >= 0.9999
    assert vae.backend.used == "onnx"
    assert "onnx" in seen[0]
    later = TextVAE.from_pretrained(run, "cpu")  # another process would find it at once
    assert np.allclose(later.encode(sentences[:-1]), few[:-1], atol=1e-6) and later.backend.used == "torch"
    later.encode(sentences)
    assert later.backend.used == "onnx"
    assert np.allclose(vae.encode(sentences[:-1]), few[:-1], atol=1e-6)  # a call of few is computed as it was before
    about = exports(cache)[0] / ABOUT
    assert json.loads(about.read_text())["fastest"] == "onnx"


def test_the_comparison_takes_none_that_disagrees(small_vae, run, sentences):
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    vae.encode(sentences)
    rows = vae.encoder_rows(sentences)

    class Wrong(ExportedEncoder):
        def __init__(self):
            pass

        def means(self, rows, batch_size, advance=None):
            return np.ones((len(rows), 32), np.float32)

    assert backends._fastest(vae, {"onnx": Wrong()}, rows) == "torch"
    assert backends._fastest(vae, {"onnx": vae.backend._exported}, rows) in ("torch", "onnx")


def test_auto_stays_with_torch_where_the_cache_cannot_be_written(run, sentences, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(backends, "PATIENCE", 0.0)
    monkeypatch.setattr(backends, "BULK", 1)
    vae = TextVAE.from_pretrained(run, "cpu")
    for _ in range(3):
        vae.encode(sentences)
    assert vae.backend.used == "torch"


def test_an_unknown_backend_is_refused_before_the_model_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="unknown backend 'tensorrt': use auto, torch, onnx or openvino"):
        TextVAE.from_pretrained(tmp_path / "none", backend="tensorrt")


def test_a_runtime_that_is_not_installed_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: [])
    with pytest.raises(ImportError, match=r"the backend openvino needs openvino: pip install 'textvae\[openvino\]'"):
        TextVAE.from_pretrained(tmp_path / "none", backend="openvino")


def test_openvino_pins_no_thread_to_a_core(run):
    pytest.importorskip("openvino")
    asked = """if True:
        import os, sys, threading
        from textvae import TextVAE
        vae = TextVAE.from_pretrained(sys.argv[1], "cpu", backend="openvino")
        vae.encode(["a text"])  # exports it, with threads of other libraries
        working, found = threading.Thread(target=vae.encode, args=[["a text of words"] * 20_000]), set()
        working.start()
        while working.is_alive():
            for task in os.listdir("/proc/self/task"):
                try:
                    found.add(len(os.sched_getaffinity(int(task))))
                except ProcessLookupError:
                    pass
        assert vae.backend.used == "openvino"
        print(len(os.sched_getaffinity(0)), *found)"""
    done = subprocess.run([sys.executable, "-c", asked, str(run)], capture_output=True, text=True, check=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    cores, *allowed = map(int, done.stdout.split())
    assert set(allowed) == {cores}


def test_openvino_gives_the_vectors_of_the_model(run, texts):
    pytest.importorskip("openvino")
    expected = TextVAE.from_pretrained(run, "cpu", backend="torch").encode(texts)
    vae = TextVAE.from_pretrained(run, "cpu", backend="openvino")
    assert cosines(vae.encode(texts), expected).min() >= 0.999  # it may compute in bf16
    assert vae.backend.used == "openvino"


def test_products_of_8_bits_are_compared_with_torch_and_kept(run, texts, cache, monkeypatch):
    with pytest.raises(ValueError, match="on the first texts, at least 256, got 1: encode more at once"):
        TextVAE.from_pretrained(run, "cpu", precision="int8").encode(texts[0])
    texts = texts * 20
    expected = TextVAE.from_pretrained(run, "cpu", backend="torch").encode(texts)
    monkeypatch.setattr(backends, "COMPARED", len(texts))
    for _ in range(2):  # the second one finds the export
        vae = TextVAE.from_pretrained(run, "cpu", precision="int8")
        vectors = vae.encode(texts)
        assert vae.backend.used == "onnx"
        assert cosines(vectors, expected).min() >= 0.99
        assert np.abs(vectors - expected).max() > 1e-4  # they are products of fewer bits
    (folder,) = exports(cache)
    assert json.loads((folder / ABOUT).read_text())["compared"] == len(texts)
    assert b"MatMulInteger" in (folder / "model.onnx").read_bytes()


def test_weights_are_unsigned_where_sums_with_signed_ones_are_not_exact(run, texts, cache, monkeypatch):
    kinds = {}
    for exact in (True, False):
        for module in (exported, int8):
            monkeypatch.setattr(module, "sums_8_bits_exactly", lambda exact=exact: exact)
        TextVAE.from_pretrained(run, "cpu", precision="int8").encode(texts * 20)
        file = onnx.load(export_folder(export_key(run, "int8")) / "model.onnx")
        weights = [each for each in file.graph.initializer if each.name.endswith("_quantized")]
        kinds[exact] = {onnx.TensorProto.DataType.Name(each.data_type) for each in weights}
    assert kinds == {True: {"INT8"}, False: {"UINT8"}}
    assert len(exports(cache)) == 2


@pytest.mark.parametrize(
    ("system", "flags", "exact"),
    [
        ("x86_64", "fpu avx2 fma", False),
        ("x86_64", "fpu avx2 avx512f avx512_vnni", True),
        ("x86_64", "avx2 avx_vnni", True),
        ("x86_64", "", False),
        ("aarch64", "fp asimd asimddp", True),
    ],
)
def test_which_processors_sum_products_of_8_bits_exactly(system, flags, exact, monkeypatch):
    monkeypatch.setattr(processor.platform, "machine", lambda: system)
    monkeypatch.setattr(processor, "_lines", lambda *fields: [flags] * 2)
    processor.instruction_sets.cache_clear()
    try:
        assert processor.sums_8_bits_exactly() is exact
        assert processor.instruction_sets() == tuple(each for each in processor.SETS if each in flags.split())
        assert processor.machine() == f"{flags} x 2 ({' '.join(processor.instruction_sets())})"
    finally:
        processor.instruction_sets.cache_clear()


def test_a_model_that_8_bits_change_too_much_is_refused(run, texts, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(backends, "LEAST_INT8", 1.1)
    (tmp_path / "texts.txt").write_text("\n".join(texts[:8] * 40))
    assert main(["encode", str(run), str(tmp_path / "texts.txt"), "--device", "cpu", "--precision", "int8"]) == 3
    assert re.fullmatch(
        r"textvae: products of 8-bit numbers change the vectors of this model too much \(cosine [01]\.\d+, at least "
        r"1\.1 is needed\): leave precision int8 out\n",
        capsys.readouterr().err.splitlines(keepends=True)[-1],
    )


def test_8_bits_are_for_onnxruntime(tmp_path):
    with pytest.raises(ValueError, match="precision int8 is for the backend onnx, got torch: leave one of them out"):
        TextVAE.from_pretrained(tmp_path / "none", backend="torch", precision="int8")
    with pytest.raises(ValueError, match="unknown precision 'int4': use fp32 or int8"):
        TextVAE.from_pretrained(tmp_path / "none", precision="int4")


SEARCH = """
import json, sys
from textvae.cli import main
code = main(["search", "index", "the room was cold", "-k", "2", "--json"])
print(json.dumps([code, [name for name in ("torch", "transformers") if name in sys.modules]]))
"""


def test_a_search_by_an_export_imports_no_torch(small_vae, run, sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    vae = TextVAE.from_pretrained(run, "cpu")
    LatentIndex.build(vae, sentences, path="index")
    assert main(["search", "index", "the room was cold", "-k", "2", "--json", "--encoder-backend", "onnx"]) == 0
    first = capsys.readouterr().out
    paths = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    done = subprocess.run(
        [sys.executable, "-c", SEARCH],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": paths},
    )
    *hits, last = done.stdout.splitlines()
    assert json.loads(last) == [0, []], done.stderr
    assert [json.loads(hit)["id"] for hit in hits] == [json.loads(hit)["id"] for hit in first.splitlines()]


def test_a_search_by_an_export_still_checks_the_model(run, sentences, tmp_path):
    vae = TextVAE.from_pretrained(run, "cpu", backend="onnx")
    LatentIndex.build(vae, sentences, path=tmp_path / "index")
    weights = run / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="does not match its checksum"):
        LatentIndex.load(tmp_path / "index").search("the room was cold")
