"""What `textvae doctor` measures and advises."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from textvae import doctor
from textvae.cli import main


def test_a_trial_trains_in_a_process_with_the_variables():
    trial = doctor._trial("keep", doctor.KEEP, steps=1)
    assert trial.tokens_per_second > 10 and trial.peak_mb > 100


def test_every_extra_of_the_package_is_looked_for():
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert doctor.EXTRAS.keys() == extras["optional-dependencies"].keys() - {"benchmark", "dev"}


def test_a_trial_that_fails_says_why(tmp_path):
    (tmp_path / "torch.py").write_text('raise ImportError("no such library")')
    with pytest.raises(RuntimeError, match="training under broken failed: ImportError: no such library"):
        doctor._trial("broken", {"PYTHONPATH": str(tmp_path)})


def test_a_setting_that_fails_is_left_out(monkeypatch):
    def trial(name, variables):
        if variables:
            raise RuntimeError("no such library")
        return doctor.Trial(name, variables, 100, 500)

    monkeypatch.setattr(doctor, "_trial", trial)
    assert [trial.name for trial in doctor.allocator_trials()] == ["as it is"]


def test_the_peak_of_the_memory_is_this_process_alone():
    code = "from textvae.doctor import peak_memory_mb; before = peak_memory_mb(); x = bytearray(200 << 20); "
    code += "print(peak_memory_mb() - before)"
    ballast = bytearray(300 << 20)
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert len(ballast) and 190 < grown < 260


def test_the_products_are_counted_in_gflops(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(ticks))
    import torch

    assert doctor.gflops(torch.float32) == 2 * doctor.MATRIX**3 / 1e9


@pytest.mark.parametrize(("speed", "advice"), [(104, ""), (120, "for 20% more: export A=1 B=2\n")])
def test_only_a_gain_worth_it_is_advised(monkeypatch, capsys, speed, advice):
    trials = [doctor.Trial("as it is", {}, 100, 500), doctor.Trial("both", {"A": "1", "B": "2"}, speed, 600)]
    monkeypatch.setattr(doctor, "facts", lambda: {"cores": 2, "gpu": None})
    monkeypatch.setattr(doctor, "allocator_trials", lambda: trials)
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["cores", "2"] and f"{speed - 100:+}%" in out.splitlines()[-1]
    assert err.endswith(f" ...\n{advice}")
    assert main(["doctor", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[0] == {"cores": 2, "gpu": None} and records[2]["gain"] == pytest.approx(speed / 100 - 1)
