"""Where measurements go: results/NAME.json, written by the benchmark scripts and never by hand."""

from __future__ import annotations

import datetime
import json
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CODE = ("textvae", "scripts", "benchmarks")


def row(
    id: str, value: float | int | str | None, *, n: int | None = None, seed: int | None = None, bar: str | None = None,
    note: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Return one measurement: its id, value, sample size, seed, the bar it is held to, and a remark."""
    return {"id": id, "value": value, "n": n, "seed": seed, "bar": bar, "note": note}


def write_results(
    name: str,
    rows: list[dict[str, Any]],
    replaces: str | tuple[str, ...] | None = None,
    *,
    folder: Path | None = None,
    commit: str | None = None,
) -> Path:
    """Write rows to results/NAME.json; others there stay, but for those whose id begins with (one of) `replaces`.

    The command, commit, machine and date of the file are those of these rows; a row that stays takes its own with it.

    Args:
        name: Of the file.
        rows: What `row` returned.
        replaces: Beginnings of ids that go.
        folder: Another folder than results/.
        commit: Of a copy of the files without their history; by default git says it.
    """
    path = (folder or ROOT / "results") / f"{name}.json"
    fresh = {r["id"] for r in rows}
    old = json.loads(path.read_text()) if path.exists() else {"rows": []}
    origin = {key: value for key, value in old.items() if key != "rows"}
    kept = [
        r if "commit" in r else r | origin
        for r in old["rows"]
        if r["id"] not in fresh and not (replaces and r["id"].startswith(replaces))
    ]
    content = {
        "command": shlex.join([Path(sys.executable).name, *(_portable(word) for word in sys.argv)]),
        "commit": commit or _commit(),
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "rows": kept + rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    staged.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    staged.replace(path)
    return path


def _portable(word: str) -> str:
    """Return a word of the command without the folders of this machine."""
    return Path(word).name if Path(word).is_absolute() else word


def machine() -> str:
    """Return the processor, its cores and instruction sets, and the torch version in one line."""
    import torch

    from textvae.latent.processor import machine as processor

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor()}{gpu}, Python {platform.python_version()}, torch {torch.__version__}"


def _commit() -> str:
    """Return the commit of the checkout, "-dirty" if its code has been changed since; "" without git or history."""
    if shutil.which("git") is None:
        return ""
    return _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain", *CODE) else "")


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip()
