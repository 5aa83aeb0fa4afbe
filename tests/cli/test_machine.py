"""What `textvae doctor` says of the machine."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path

import torch

from textvae.cli import machine, main


def test_every_extra_of_the_package_is_looked_for():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert machine.EXTRAS.keys() == extras["optional-dependencies"].keys() - {"benchmark", "dev", "docs"}


def test_the_products_are_counted_in_gflops(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(ticks))
    assert machine.gflops(torch.float32) == 2 * machine.MATRIX**3 / 1e9


def test_the_doctor_says_versions_devices_and_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(machine, "EXTRAS", {"there": "json", "absent": "no_such_module"})
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["torch"] == importlib.metadata.version("torch") and facts["threads"] == torch.get_num_threads()
    assert facts["missing_extras"] == "absent" and facts["gflops_fp32"] > 0
