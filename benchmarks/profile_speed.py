"""Profile the main jobs: where a training step, encode, decode, an index build and `--help` spend their time.

Writes the shares to results/profile.json.

Example:
    python benchmarks/profile_speed.py --data DATA --run RUN [--jobs train,decode] [--tag avx2]
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import pstats
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from results import row, write_results
from textvae import LatentIndex, TextVAE, TrainConfig, train
from textvae.text.corpus import read_corpus

STEPS = 40
# What an operation is for, by its name; the first that matches counts.
KINDS = {
    "matrix products": r"mm$|linear|mkldnn|addmv|einsum",
    "recurrent gates": r"sigmoid|tanh|gru|thnn",
    "attention softmax": r"softmax|logsumexp",
    "activations and norms": r"gelu|layer_norm|relu|native_dropout",
    "embedding": r"embedding|index_select|gather|scatter",
    "optimizer and clipping": r"adam|_foreach|norm",
    "copies and casts": r"copy_|_to_copy|cat$|clone|contiguous|fill_|zero_|empty",
    "elementwise": r"add|mul|sub|div|exp|pow|sum|where|masked|neg|clamp",
}
LARGEST = 8


def main() -> None:
    """Profile each job and write its shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--run", type=Path, required=True, help="a trained run of size small")
    parser.add_argument("--jobs", help="separated by commas; by default all")
    parser.add_argument("--tag", help="second part of the ids, for another kind of processor than that of the others")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=100_000)
    vae = TextVAE.from_pretrained(arguments.run, device="cpu")
    latents = vae.encode(texts[:1000])
    jobs: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "train": lambda: operations("train", lambda: _train(texts)),
        "encode.operations": lambda: operations("encode.operations", lambda: vae.encode(texts[:10_000])),
        "encode": lambda: functions("encode", lambda: vae.encode(texts), len(texts)),
        "decode.operations": lambda: operations("decode.operations", lambda: vae.decode(latents)),
        "decode": lambda: functions("decode", lambda: vae.decode(latents), len(latents)),
        "index": lambda: functions("index", lambda: _index(vae, texts), len(texts)),
        "help": imports_of_help,
    }
    for name in arguments.jobs.split(",") if arguments.jobs else jobs:
        rows = jobs[name]()
        if arguments.tag:
            rows = [each | {"id": each["id"].replace("profile.", f"profile.{arguments.tag}.", 1)} for each in rows]
        write_results("profile", rows, replaces=f"profile.{arguments.tag + '.' if arguments.tag else ''}{name}/")
        sys.stdout.write(
            f"{name}\n" + "".join(f"  {r['value']:6.1%}  {r['id'].split('/', 1)[1]}  {r['note']}\n" for r in rows)
        )


def operations(job: str, action: Callable[[], Any]) -> list[dict[str, Any]]:
    """Return the share of each kind of torch operation in the processor time of an action."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        action()
    spent: Counter[str] = Counter()
    for event in profiled.key_averages():
        spent[_kind(event.key)] += event.self_cpu_time_total
    return shares(job, spent, "torch.profiler, self CPU time")


def functions(job: str, action: Callable[[], Any], n: int) -> list[dict[str, Any]]:
    """Return the share of the largest Python functions (time in themselves and in C) of an action."""
    profiler = cProfile.Profile()
    profiler.runcall(action)
    spent: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        where = Path(file).stem if file not in ("~", "") else ""
        spent[f"{where}.{name}".strip(".")] += own
    return shares(job, spent, "cProfile, own time", n)


def imports_of_help() -> list[dict[str, Any]]:
    """Return the share of each package in what `textvae --help` imports."""
    command = [sys.executable, "-X", "importtime", "-m", "textvae", "--help"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spent: Counter[str] = Counter()
    for own, module in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", report):
        spent[module.split(".")[0]] += int(own)
    return shares("help", spent, "-X importtime, own time")


def shares(job: str, spent: Mapping[str, float], how: str, n: int | None = None) -> list[dict[str, Any]]:
    """Return a row for each of the largest parts, and one for the rest."""
    total = sum(spent.values())
    largest = Counter(spent).most_common(LARGEST)
    parts = [*largest, ("everything else", total - sum(value for _, value in largest))]
    return [row(f"profile.{job}/{name}", round(value / total, 4), n=n, note=how) for name, value in parts]


def _kind(operation: str) -> str:
    return next((kind for kind, names in KINDS.items() if re.search(names, operation.lower())), "other")


def _train(texts: list[str]) -> None:
    config = TrainConfig(max_steps=STEPS, eval_steps=10 * STEPS, save_steps=10 * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        train(texts[:20_000], Path(folder) / "run", config, valid=texts[:16])


def _index(vae: TextVAE, texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        LatentIndex.build(vae, texts).save(Path(folder) / "index")


if __name__ == "__main__":
    main()
