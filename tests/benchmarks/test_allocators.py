"""Allocator settings are measured each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def allocators():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        import allocators

        yield allocators


def test_a_trial_trains_in_a_process_with_the_variables(allocators):
    trial = allocators._trial("keep", allocators.KEEP, steps=1)
    assert trial.tokens_per_second > 10 and trial.peak_mb > 100


def test_a_trial_that_fails_says_why(allocators, tmp_path):
    (tmp_path / "torch.py").write_text('raise ImportError("no such library")')
    with pytest.raises(RuntimeError, match="training under broken failed: ImportError: no such library"):
        allocators._trial("broken", {"PYTHONPATH": str(tmp_path)})


def test_a_setting_that_fails_is_left_out(allocators, monkeypatch):
    def trial(name, variables):
        if variables:
            raise RuntimeError("no such library")
        return allocators.Trial(name, variables, 100, 500)

    monkeypatch.setattr(allocators, "_trial", trial)
    assert [trial.name for trial in allocators.allocator_trials()] == ["as it is"]


def test_the_peak_of_the_memory_is_this_process_alone():
    code = f"import sys; sys.path.insert(0, {FOLDER!r}); from allocators import peak_memory_mb; "
    code += "before = peak_memory_mb(); x = bytearray(200 << 20); print(peak_memory_mb() - before)"
    ballast = bytearray(300 << 20)
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert len(ballast) and 190 < grown < 260
