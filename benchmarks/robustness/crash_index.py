"""Kill builds of an index with SIGKILL at random moments, continue them, and look for lost and doubled texts.

    python benchmarks/robustness/crash_index.py [--trials 200] [--seed 0] [--dry-run]

Every trial builds an index from an untrained model and kills the build up to three times: at any moment, and every
second time while the finished index is saved. Each process that follows must continue with every block that was
acknowledged, and the index at the end must hold each text once, under the id of its place in the corpus, with its
metadata and its own vector. Writes results/index.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive

import numpy as np
import torch

from textvae import LatentIndex, TextVAE
from textvae.index import build as building
from textvae.modeling import TextVAEConfig
from textvae.storage.folders import recover_folder

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

WORDS = "the a red blue old fox whale tree house river sees eats finds loves near under over quickly".split()
FACTORIES = ["Flat", "HNSW16", "IVF8,Flat", "auto"]
KILLS = 3  # of one trial, at most


@dataclass
class Tally:
    """What the trials found, in builds killed and in texts; `unreadable` counts indexes and builds that do not open."""

    kills: int = 0
    begun: int = 0
    in_save: int = 0
    lost: int = 0
    doubled: int = 0
    unreadable: int = 0


def main() -> None:
    """Run the trials and write their rows; exit 1 if anything was lost, doubled or unreadable."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--texts", type=int, default=400, help="texts of a corpus")
    parser.add_argument("--block", type=int, default=16, help="texts of a block")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the rows and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    building.BLOCK = arguments.block
    generator = random.Random(arguments.seed)
    corpus = [
        {"text": f"{' '.join(generator.choices(WORDS, k=generator.randint(3, 9)))} {n}", "n": n}
        for n in range(arguments.texts)
    ]
    vae = TextVAE.from_texts([str(item["text"]) for item in corpus], TextVAEConfig.preset("tiny", vocab_size=300))
    vectors = vae.encode([str(item["text"]) for item in corpus])
    tally = Tally()
    for trial in range(arguments.trials):
        with tempfile.TemporaryDirectory() as folder:
            run_trial(vae, corpus, vectors, Path(folder) / "index", FACTORIES[trial % len(FACTORIES)], generator, tally)
        sys.stdout.write(f"trial {trial + 1}: {tally}\n")
        sys.stdout.flush()
    kinds = f"{tally.begun} of them after a first block was acknowledged, {tally.in_save} during the last save"
    measured = {"n": arguments.trials, "seed": arguments.seed}
    rows = [
        row("index.kills", tally.kills, **measured, note=kinds),
        row("index.lost", tally.lost, **measured, bar="0", note="texts"),
        row("index.doubled", tally.doubled, **measured, bar="0", note="texts"),
        row("index.unreadable", tally.unreadable, **measured, bar="0", note="indexes and interrupted builds"),
    ]
    sys.stdout.write("\n".join(map(str, rows)) + "\n")
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('index', rows)}\n")
    sys.exit(1 if tally.lost or tally.doubled or tally.unreadable else 0)


def run_trial(
    vae: TextVAE,
    corpus: list[dict[str, object]],
    vectors: np.ndarray,
    path: Path,
    factory: str,
    generator: random.Random,
    tally: Tally,
) -> None:
    """Kill a build, continue it until it ends, and count what is wrong with the index."""
    kills, before, length = 0, 0, clean_seconds(vae, corpus, path, factory)
    while True:
        process = start(vae, corpus, path, factory)
        saving = wait_for_a_moment(process, path, generator, length, during_save=kills % 2 == 1) if kills < KILLS else 0
        process.join(None if kills == KILLS else 0)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        if process.exitcode == 0:
            break
        if process.exitcode != -signal.SIGKILL:
            tally.unreadable += 1
            return
        kills, tally.kills, tally.in_save = kills + 1, tally.kills + 1, tally.in_save + saving
        after = acknowledged(path, corpus, before, tally)
        tally.begun += after > 0
        tally.lost += max(0, before - after)
        before = after
    check(vae, corpus, vectors, path, tally)


def wait_for_a_moment(
    process: multiprocessing.Process, path: Path, generator: random.Random, length: float, during_save: bool
) -> bool:
    """Return at a random moment of a build, or of its last save; say whether that is under way."""
    if not during_save:
        process.join(generator.uniform(0, length))
        return saving(path)
    while process.exitcode is None and not saving(path):
        time.sleep(0.0005)
    process.join(generator.uniform(0, 0.03))
    return saving(path)


def saving(path: Path) -> bool:
    """Say whether the folder of the finished index is staged or changing hands."""
    return path.with_name(f".staged-{path.name}").exists() or path.exists()


def clean_seconds(vae: TextVAE, corpus: list[dict[str, object]], path: Path, factory: str) -> float:
    """Return how long a build takes that nobody kills, in seconds."""
    begin = time.perf_counter()
    process = start(vae, corpus, path.with_name("clean"), factory)
    process.join()
    return time.perf_counter() - begin


def start(vae: TextVAE, corpus: list[dict[str, object]], path: Path, factory: str) -> multiprocessing.Process:
    """Start or continue a build in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=build, args=(vae, corpus, path, factory))
    process.start()
    return process


def build(vae: TextVAE, corpus: list[dict[str, object]], path: Path, factory: str) -> None:
    """Build or continue an index."""
    LatentIndex.build(vae, iter(corpus), factory=factory, path=path, resume=True)


def acknowledged(path: Path, corpus: list[dict[str, object]], before: int, tally: Tally) -> int:
    """Return how many texts a killed build has acknowledged; all of them once the index is in place."""
    items = path.with_name(path.name + ".partial") / "items.sqlite"
    recover_folder(path)
    if path.exists():
        return len(corpus)
    if not items.exists():
        return 0
    try:
        with sqlite3.connect(items) as database:  # which rolls back what was not committed
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return database.execute("SELECT count(*) FROM items").fetchone()[0] if tables else 0
    except sqlite3.Error:
        tally.unreadable += 1
        return before


def check(vae: TextVAE, corpus: list[dict[str, object]], vectors: np.ndarray, path: Path, tally: Tally) -> None:
    """Count what a finished index lacks, has twice, or cannot say."""
    try:
        index = LatentIndex.load(path, vae)
        found = [index.get(id) for id in index.ids]
        hits = index.search(vectors, k=3)
    except Exception as error:
        sys.stderr.write(f"{error}\n")
        tally.unreadable += 1
        return
    expected = {id: (item["text"], {"n": item["n"]}) for id, item in enumerate(corpus)}
    at_home = sum(expected.get(id) == item for id, item in zip(index.ids, found, strict=True))
    reached = sum(any(hit.id == n for hit in near) for n, near in enumerate(hits))
    tally.lost += len(expected) - min(at_home, reached)
    tally.doubled += len(found) - len({item["n"] for _, item in found})
    tally.doubled += sum(len({hit.id for hit in near}) < len(near) for near in hits)


if __name__ == "__main__":
    main()
