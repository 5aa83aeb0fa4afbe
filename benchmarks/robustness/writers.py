"""Pairs of writers on one folder of each kind: every acknowledged save must be there, and nothing of others destroyed.

    python benchmarks/robustness/writers.py [--rounds 200] [--pairs 10] [--seed 0] [--dry-run]

Each of 10 pairs works on an index, an attribute, a run and a single file, 200 rounds on each.

In a round, two processes write one folder at once; one of them is sometimes suspended for a moment, in the middle of
what it does. A save that was refused (BlockingIOError, or ValueError for a stale handle) is no loss; one that was
acknowledged is lost if its content is in the folder neither at once nor behind a later acknowledged save. A note that
lies in each folder must survive. Writes results/trust.json.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive

import numpy as np
import torch

from textvae import Attribute, LatentIndex, TextVAE
from textvae.latent.priors import MixturePrior
from textvae.modeling import TextVAEConfig
from textvae.storage.atomic import save_rows

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

TEXTS = [f"the soup number {i} was cold and the room {i % 7} is dark" for i in range(40)]
REFUSED = (BlockingIOError, ValueError)
NOTE = "note.txt"
PATIENCE = 60  # seconds until a writer counts as hung

Write = Callable[[TextVAE, Path, str], None]  # adds or sets a mark that no other save has


def main() -> None:
    """Run all pairs and write the row; exit 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the row and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vae = TextVAE.from_texts(TEXTS, TextVAEConfig.preset("tiny", vocab_size=300))
    tally: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        vae.save_pretrained(Path(scratch) / "model")
        for pair, kind in itertools.product(range(arguments.pairs), KINDS):
            generator = random.Random(f"{arguments.seed} {pair} {kind}")
            tally += trial(kind, vae, Path(scratch) / f"{pair}-{kind}", arguments.rounds, generator)
    lost = tally["lost"] + tally["notes"] + tally["hung"] + tally["failed"]
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.items()))
    measured = {"n": arguments.pairs * len(KINDS) * arguments.rounds, "seed": arguments.seed}
    rows = [row("trust.writers.lost", lost, **measured, bar="0", note=f"{', '.join(KINDS)}: {told}")]
    sys.stdout.write(f"trust.writers.lost: {lost} (bar 0; {told})\n")
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('trust', rows)}\n")
    sys.exit(1 if lost else 0)


def trial(kind: str, vae: TextVAE, path: Path, rounds: int, generator: random.Random) -> collections.Counter[str]:
    """Let two writers meet on one folder again and again, and count what became of their saves."""
    write, marks = KINDS[kind]
    write(vae, path, "first")
    keeps = path.is_dir()
    if keeps:
        (path / NOTE).write_text("mine")
    tally: collections.Counter[str] = collections.Counter()
    acknowledged = ["first"]
    for turn in range(rounds):
        named = {f"{turn}-{side}": generator.random() < 0.3 for side in "ab"}
        outcomes = {name: start(write, vae, path, name, generator.random(), slow) for name, slow in named.items()}
        ended = {name: finish(*outcome) for name, outcome in outcomes.items()}
        tally.update(ended.values())
        saved = [name for name, outcome in ended.items() if outcome == "acknowledged"]
        there = found(marks, vae, path)
        if kind == "index":  # which keeps every text
            acknowledged += saved
            tally["lost"] += len(set(acknowledged) - there)
            acknowledged = sorted(there)
        else:  # of which the last save stays
            tally["lost"] += not there & set(saved or acknowledged)
            acknowledged = sorted(there)
        if keeps and not (path / NOTE).exists():
            tally["notes"] += 1
            (path / NOTE).write_text("mine")
    return tally


def found(marks: Callable[[TextVAE, Path], set[str]], vae: TextVAE, path: Path) -> set[str]:
    """Return the marks in a folder, none if it cannot be read."""
    try:
        return marks(vae, path)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{path.name}: {error}\n")
        return set()


def start(write: Write, vae: TextVAE, path: Path, name: str, delay: float, slow: bool) -> tuple:
    """Fork a writer; return its process id and whether, and when, it is to be suspended."""
    child = os.fork()
    if child == 0:
        time.sleep(delay * 0.02)
        try:
            write(vae, path, name)
            os._exit(0)
        except REFUSED:
            os._exit(1)
        except BaseException as error:
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
            os._exit(2)
    if slow:
        time.sleep(0.01 + delay * 0.05)
        os.kill(child, signal.SIGSTOP)
    return child, slow


def finish(child: int, slow: bool) -> str:
    """Wait for a writer and say how it ended."""
    if slow:
        time.sleep(0.1)  # in which the other one meets it
        os.kill(child, signal.SIGCONT)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return {0: "acknowledged", 1: "refused"}.get(os.waitstatus_to_exitcode(status), "failed")
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def write_index(vae: TextVAE, path: Path, mark: str) -> None:
    """Add a text to an index that was loaded before."""
    if not path.exists():
        LatentIndex.build(vae, [mark]).save(path)
        return
    index = LatentIndex.load(path, vae)
    index.add([mark])
    index.save(path)


def write_attribute(vae: TextVAE, path: Path, mark: str) -> None:
    """Replace an attribute."""
    Attribute.from_dimension(vae, 1, name=mark).save(path)


def write_run(vae: TextVAE, path: Path, mark: str) -> None:
    """Replace the prior of a run."""
    loaded = TextVAE.from_pretrained(path) if path.exists() else vae
    loaded.prior = MixturePrior(
        np.ones(1, np.float32), np.full((1, vae.dim), number(mark), np.float32), np.eye(vae.dim, dtype=np.float32)[None]
    )
    loaded.save_pretrained(path)


def write_file(vae: TextVAE, path: Path, mark: str) -> None:
    """Replace an array, in two parts."""
    save_rows(path, (np.full((500, 8), number(mark), np.float32) for _ in range(2)))


def number(mark: str) -> float:
    """Return a number of its own for each mark: -1, and 2 for each round and 1 for its second writer."""
    turn, _, side = mark.partition("-")
    return 2 * int(turn) + (side == "b") if side else -1


def mark_of(value: float) -> str:
    """Return the mark of a number."""
    return "first" if value < 0 else f"{int(value) // 2}-{'ab'[int(value) % 2]}"


def rows_of_file(path: Path) -> set[str]:
    """Return the marks of an array that is whole."""
    rows = np.load(path)
    values = set(rows.ravel().tolist())
    return {mark_of(values.pop())} if rows.shape == (1000, 8) and len(values) == 1 else set()


KINDS: dict[str, tuple[Write, Callable[[TextVAE, Path], set[str]]]] = {
    "index": (write_index, lambda vae, path: set(LatentIndex.load(path).texts)),
    "attribute": (write_attribute, lambda vae, path: {Attribute.load(path).name}),
    "run": (write_run, lambda vae, path: {mark_of(float(TextVAE.from_pretrained(path).prior.moments()[0][0]))}),
    "file": (write_file, lambda vae, path: rows_of_file(path)),
}

if __name__ == "__main__":
    main()
