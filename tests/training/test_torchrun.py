"""Training in the processes that torchrun launches: shares of the batches, one writer, the same model in all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from textvae import TextVAE
from textvae.text.token_budget import TokenBudgetSampler
from textvae.training.environment import NAMES, Ranks, launched

JOB = Path(__file__).with_name("torchrun_job.py")
LENGTHS = np.random.default_rng(0).integers(1, 30, 333)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_processes_share_the_batches_of_an_epoch_and_take_equally_many(count):
    whole = TokenBudgetSampler(LENGTHS, 100, seed=4)
    parts = [TokenBudgetSampler(LENGTHS, 100, 4, rank, count) for rank in range(count)]
    assert {len(part) for part in parts} == {-(-len(whole) // count)}
    for epoch in (0, 1):
        for sampler in (whole, *parts):
            sampler.set_epoch(epoch)
        taken = [list(part) for part in parts]
        in_turn = [batches[step] for step in range(len(parts[0])) for batches in taken]
        assert in_turn[: len(whole)] == list(whole)
        assert in_turn[len(whole) :] == list(whole)[: len(in_turn) - len(whole)]  # so that nobody waits


def test_only_torchrun_launches_processes(monkeypatch):
    for name in NAMES | {"TORCHELASTIC_RUN_ID"}:
        monkeypatch.delenv(name, raising=False)
    assert launched() == Ranks(0, 1) and launched().first
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert launched() == Ranks(0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launched() == Ranks(1, 2) and not launched().first


def run(folder, steps, *more, processes=2, code=0):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(JOB), str(folder), str(steps), *more]
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert (done.returncode == 0) == (code == 0), done.stderr[-3000:]
    return done.stderr, [json.loads(Path(f"{folder}.{rank}.json").read_text()) for rank in range(processes) if not code]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two processes: its folder, what was said, and what each of them saw."""
    folder = tmp_path_factory.mktemp("torchrun") / "run"
    return folder, *run(folder, 8)


@pytest.mark.slow
def test_two_processes_train_one_model_that_one_of_them_writes(trained):
    folder, said, facts = trained
    assert {each["rank"] for each in facts} == {0, 1}
    assert len({each["fingerprint"] for each in facts}) == 1
    assert TextVAE.from_pretrained(folder).fingerprint == facts[0]["fingerprint"]
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [each["step"] for each in steps if "eval_loss" in each] == [4, 8]
    assert [each["step"] for each in steps if "kl" in each] == [2, 4, 6, 8]
    assert said.count("validation at step 4:") == 1
    assert json.loads((folder / "training.json").read_text())["processes"] == 2
    assert not list(folder.glob("checkpoints/*.arrow")) and not list(folder.parent.glob("**/.staged*"))


@pytest.mark.slow
def test_a_training_of_two_processes_goes_on_from_its_checkpoint_with_as_many(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    shutil.rmtree(folder / "checkpoints/checkpoint-8")
    assert {file.name for file in folder.glob("checkpoints/checkpoint-4/rng_state*")} == {
        "rng_state_0.pth", "rng_state_1.pth",
    }  # fmt: skip
    said, _ = run(folder, 8, "resume", processes=1, code=1)
    assert "it was started with 2 processes, not 1: launch as many" in said
    _, again = run(folder, 8, "resume")
    assert [each["fingerprint"] for each in again] == [each["fingerprint"] for each in trained[2]]
