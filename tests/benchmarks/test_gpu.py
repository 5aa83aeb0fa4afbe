"""What is measured on a GPU is rehearsed on a CPU, by the same code."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textvae.text.corpus import read_corpus

ROOT = Path(__file__).parents[2]
SMALL = (
    "hidden_size=32", "num_layers=1", "num_heads=2", "gru_hidden_size=32", "latent_dim=16", "slot_dim=8",
    "vocab_size=512", "batch_tokens=256",
)  # fmt: skip


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(logging, "disable", lambda level: None)
    import gpu

    return gpu


@pytest.fixture
def pack(tmp_path, gpu):
    import english_corpus  # beside what gpu imports

    texts = list(read_corpus(ROOT / "data" / "valid.tsv", column="text"))[:300]
    english_corpus.write_pack(english_corpus.Corpus(texts, {}, {}), tmp_path / "pack")
    return tmp_path / "pack"


def test_all_rows_with_a_bar_are_measured(gpu, pack, tmp_path):
    parts = "train,naive,encode,decode,profile,batch_tokens_small,few_sizes,bf16_recurrence,more_passes"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *SMALL, "--corpus", str(pack), "--device", "cpu"]
    command += ["--parts", parts, "--seconds", "0.1", "--output", str(tmp_path / "out"), "--commit", "0123abc"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode == 0 and "failed" not in done.stdout, done.stdout + done.stderr
    content = json.loads((tmp_path / "out" / "gpu.json").read_text())
    rows = {each["id"]: each for each in content["rows"]}
    stated = {"gpu.train_tokens_per_second", "gpu.encode_per_second", "gpu.decode_per_second"}
    assert set(gpu.BARS) | stated | {"gpu.part.batch_tokens_64", "gpu.part.few_sizes"} <= set(rows)
    assert all(math.isfinite(each["value"]) and each["value"] > 0 for each in rows.values())
    assert {id: each["bar"] for id, each in rows.items() if each["bar"]} == gpu.BARS
    assert content["commit"] == "0123abc"
    assert "of work" in done.stdout and (tmp_path / "out" / "gpu_profile.txt").exists()


def test_a_part_that_fails_or_takes_too_long_costs_no_other(gpu, tmp_path, monkeypatch, capsys):
    def fails(bench):
        raise RuntimeError("out of memory")

    def sleeps(bench):
        time.sleep(30)

    class Bench:
        texts, mean_length, tidy = [], 0.0, lambda self: None

        def __init__(self, *others):
            pass

    parts = {
        "barred": gpu.Part(fails, optional=False), "slow": gpu.Part(sleeps, most=0.1, turns=0),
        "long": gpu.Part(fails, needs=1e6), "good": gpu.Part(lambda bench: [gpu.row("gpu.part.good", 1.5)]),
    }  # fmt: skip
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.setattr(gpu, "Bench", Bench)
    monkeypatch.setattr(gpu, "STARTED", time.monotonic())
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--seconds", "0", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        gpu.main()
    printed = capsys.readouterr().out
    assert "RuntimeError: out of memory" in printed and "took more than 0 seconds" in printed
    assert "long: skipped" in printed and "done, failed: barred, slow" in printed
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [(each["id"], each["value"]) for each in rows] == [("gpu.part.good", 1.5)]


def test_a_layer_counts_two_operations_for_each_weight_and_row(gpu, pack, tmp_path):
    arguments = gpu.argparse.Namespace(
        device=gpu.torch.device("cpu"), seconds=0.0, recipe=list(SMALL), corpus=pack
    )  # fmt: skip
    bench = gpu.Bench(arguments, tmp_path / "work", tmp_path)
    model = gpu.nn.Sequential(gpu.nn.Linear(5, 7), gpu.nn.ReLU(), gpu.nn.GRU(7, 3, batch_first=True))
    bench.tokens.multiple = 8  # padding is not counted

    def forward(model, batch):
        model(gpu.torch.zeros(*batch["input_ids"].shape, 5))
        return 0

    assert gpu.operations_a_token(bench, model, forward) == pytest.approx(2 * (5 * 7 + 3 * 3 * (7 + 3)))
