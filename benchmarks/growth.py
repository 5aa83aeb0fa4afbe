"""Measure time and memory of one training epoch, encode, index and search against the size of the corpus.

Each runs in a process of its own, with size tiny and one thread. Rows go to results/growth.json, the curves to
results/growth.png.

Example:
    python benchmarks/growth.py --data DATA
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from allocators import peak_memory_mb

from results import ROOT, row, write_results
from textvae import LatentIndex, TextVAE, TrainConfig, train
from textvae.text.corpus import read_corpus, read_texts

QUERIES = 1000


def main() -> None:
    """Measure every job at every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--only", default=",".join(JOBS), help="jobs, separated by commas; all but train need its run")
    parser.add_argument("--work", type=Path, help="folder that keeps corpora, runs and indexes; by default none does")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)  # what a child process does
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.job:
        seconds = JOBS[arguments.job](arguments.folder)
        sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak_memory_mb()}) + "\n")
        return
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1")
    for size in arguments.sizes:
        rows = []
        with tempfile.TemporaryDirectory() as nowhere:
            folder = arguments.work / str(size) if arguments.work else Path(nowhere)
            folder.mkdir(parents=True, exist_ok=True)
            repeated = itertools.islice(itertools.cycle(texts), size)
            (folder / "corpus.txt").write_text("\n".join(repeated) + "\n", encoding="utf-8")
            for job in arguments.only.split(","):
                measured = _child(arguments, job, str(folder))
                rows += [
                    row(f"growth.{job}.{size}.{name}", round(value, 3), n=size, seed=0, note="size tiny, one thread")
                    for name, value in measured.items()
                ]
                sys.stdout.write(f"{job} {size:,}: {measured['seconds']:.2f} s, {measured['peak_mb']:.0f} MB\n")
        written = write_results("growth", rows)
    draw(json.loads(written.read_text())["rows"], ROOT / "results" / "growth.png")


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds a call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def train_epoch(folder: Path) -> float:
    """Train one epoch, tokenizer and tokenisation included."""
    texts = read_corpus(folder / "corpus.txt")
    return timed(lambda: train(texts, folder / "run", TrainConfig(size="tiny", epochs=1)))


def encode(folder: Path) -> float:
    """Encode the corpus from its file to a file, as the verb does."""
    from textvae.cli import main as textvae

    start = time.perf_counter()
    if textvae(["encode", f"{folder}/run", f"{folder}/corpus.txt", "-o", f"{folder}/latents.npy"]):
        raise RuntimeError("textvae encode failed")
    return time.perf_counter() - start


def index(folder: Path) -> float:
    """Encode, index and save the corpus."""
    vae = TextVAE.from_pretrained(folder / "run")
    texts = read_texts(folder / "corpus.txt")
    return timed(lambda: LatentIndex.build(vae, texts).save(folder / "index"))


def search(folder: Path) -> float:
    """Answer a thousand queries, after loading."""
    loaded = LatentIndex.load(folder / "index")
    queries = loaded.vae.encode(read_corpus(folder / "corpus.txt", limit=QUERIES))
    return timed(lambda: loaded.search(queries, k=10))


JOBS = {"train": train_epoch, "encode": encode, "index": index, "search": search}


def _child(arguments: argparse.Namespace, job: str, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--data", str(arguments.data), "--job", job, "--folder", folder]
    one_thread = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | one_thread)
    if result.returncode:
        raise RuntimeError(f"{job} failed: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds and memory over the size of the corpus."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, quantity, label in zip(axes, ("seconds", "peak_mb"), ("seconds", "peak memory, MB"), strict=True):
        for job in JOBS:
            points = sorted(
                (r["n"], r["value"]) for r in rows if r["id"].startswith(f"growth.{job}.") and quantity in r["id"]
            )
            axis.plot(*zip(*points, strict=True), marker="o", label=job)
        axis.set(xscale="log", yscale="log", xlabel="sentences", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
