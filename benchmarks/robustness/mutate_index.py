"""Damage the files of saved indexes and see whether loading says so; into results/mutations.json.

    python benchmarks/robustness/mutate_index.py [--mutations 10000] [--seed 0] [--dry-run]

A mutation changes one file of an index: bits or bytes flip, runs are zeroed, cut out, put in, moved or repeated, or the
end is missing. It is caught if loading refuses with CorruptFileError; harmless if every text and the answers to eight
queries are the same; silent if they are not. Loads happen in a child process: one that dies or hangs counts as a crash.
Beside it, what faiss alone makes of the same mutations of its own file.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive

import numpy as np
import torch
from crash_index import WORDS

from textvae import LatentIndex, TextVAE
from textvae.modeling import TextVAEConfig
from textvae.storage.errors import CorruptFileError

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

FACTORIES = ["Flat", "HNSW16", "IVF8,Flat", "SQ8"]
FILES = ["index.faiss", "items.sqlite", "index.json", "manifest.json"]
TEXTS, RUN, PATIENCE = 200, 64, 30  # texts of an index, most bytes of a run, seconds until a load counts as hung
CRASH = "crash"

Answers = Any  # whatever compares equal
Ask = Callable[[Path], Answers]


def main() -> None:
    """Run the mutations and write their rows; exit 1 if one was silent or crashed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the rows and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folders = build(Path(scratch), arguments.seed)
        queries = np.random.default_rng(arguments.seed).normal(size=(8, 32)).astype(np.float32)
        measured = {"n": arguments.mutations, "seed": arguments.seed}
        ours = outcomes(folders, FILES, lambda folder: answers(folder, queries), arguments)
        alone = outcomes(folders, FILES[:1], lambda folder: faiss_answers(folder, queries), arguments)
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(ours.items()))
    rows = [
        row("index.mutations", sum(ours.values()), seed=arguments.seed, bar="10,000", note=f"{kinds}; {FACTORIES}"),
        row("index.silent", ours["silent"], **measured, bar="0", note="loaded, with other texts or answers"),
        row("index.crashes", ours[CRASH], **measured, bar="0", note="processes that died or hung"),
        row("index.unclear", ours["unclear"], **measured, bar="0", note="refused, but not with CorruptFileError"),
        row(
            "index.faiss_alone.silent", alone["silent"] / sum(alone.values()), **measured,
            note=f"share of mutations of index.faiss; {alone[CRASH]} crashes",
        ),
    ]  # fmt: skip
    sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}; {r['note']})\n" for r in rows))
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('mutations', rows)}\n")
    sys.exit(1 if ours["silent"] or ours[CRASH] or ours["unclear"] else 0)


def build(scratch: Path, seed: int) -> list[Path]:
    """Return the folders of saved indexes, one for each factory, some of whose texts were removed."""
    generator = random.Random(seed)
    corpus = [f"{' '.join(generator.choices(WORDS, k=generator.randint(3, 9)))} {n}" for n in range(TEXTS)]
    vae = TextVAE.from_texts(corpus, TextVAEConfig.preset("tiny", vocab_size=300))
    folders = []
    for factory in FACTORIES:
        index = LatentIndex.build(vae, corpus, factory=factory, metadata=[{"n": n} for n in range(TEXTS)])
        index.remove(range(0, 20, 5))
        folders.append(scratch / factory.replace(",", "_"))
        index.save(folders[-1])
    return folders


def answers(folder: Path, queries: np.ndarray) -> Answers:
    """Return everything that an index says."""
    index = LatentIndex.load(folder)
    hits = index.search(queries, k=5)
    return index.ids, index.texts, [index.get(id) for id in index.ids], hits, index.metric, index.fingerprint


def faiss_answers(folder: Path, queries: np.ndarray) -> Answers:
    """Return what faiss finds."""
    import faiss

    scores, ids = faiss.read_index(str(folder / FILES[0])).search(queries, 5)
    return scores.tolist(), ids.tolist()


def outcomes(
    folders: list[Path], files: list[str], ask: Ask, arguments: argparse.Namespace
) -> collections.Counter[str]:
    """Return how many mutations ended in each way."""
    found: list[str] = []
    context = multiprocessing.get_context("fork")
    while len(found) < arguments.mutations:
        mine, theirs = context.Pipe(duplex=False)
        trials = range(len(found), arguments.mutations)
        child = context.Process(target=run, args=(folders, files, ask, arguments.seed, trials, theirs))
        child.start()
        theirs.close()
        try:
            while len(found) < arguments.mutations and mine.poll(PATIENCE):
                found.append(mine.recv())
        except EOFError:
            pass
        if len(found) < arguments.mutations:  # the child died or hangs, in the trial whose outcome did not come
            found.append(CRASH)
        child.kill()
        child.join()
    return collections.Counter(found)


def run(folders: list[Path], files: list[str], ask: Ask, seed: int, trials: range, outcome: Connection) -> None:
    """Send the outcome of each trial."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # C++ has its say before it aborts
    expected = {folder: ask(folder) for folder in folders}
    with tempfile.TemporaryDirectory(dir=folders[0].parent) as scratch:  # which the parent clears if this is killed
        for trial in trials:
            generator = random.Random(f"{seed} {trial}")
            source = generator.choice(folders)
            copy = Path(scratch) / source.name
            if not copy.exists():
                shutil.copytree(source, copy)
            name = generator.choice(files)
            (copy / name).write_bytes(mutated((source / name).read_bytes(), generator))
            outcome.send(judged(ask, copy, expected[source]))
            shutil.copyfile(source / name, copy / name)


def judged(ask: Ask, folder: Path, expected: Answers) -> str:
    """Return what became of an altered index."""
    try:
        return "harmless" if ask(folder) == expected else "silent"
    except CorruptFileError:
        return "caught"
    except Exception:
        return "unclear"


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return bytes with one change, never the same ones."""
    changed = bytearray(data)
    while bytes(changed) == data:
        changed = bytearray(data)
        at, length = generator.randrange(len(data)), generator.randint(1, RUN)
        match generator.choice(["bit", "byte", "zero", "cut", "truncate", "insert", "move", "repeat"]):
            case "bit":
                changed[at] ^= 1 << generator.randrange(8)
            case "byte":
                changed[at] = generator.randrange(256)
            case "zero":
                changed[at : at + length] = bytes(len(changed[at : at + length]))
            case "cut":
                del changed[at : at + length]
            case "truncate":
                del changed[at:]
            case "insert":
                changed[at:at] = generator.randbytes(length)
            case "move":
                part = changed[at : at + length]
                del changed[at : at + length]
                to = generator.randrange(len(changed) + 1)
                changed[to:to] = part
            case "repeat":
                changed[at:at] = changed[at : at + length]
    return bytes(changed)


if __name__ == "__main__":
    main()
