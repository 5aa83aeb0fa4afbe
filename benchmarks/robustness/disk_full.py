"""A disk that fills up while something is written: old data stay whole, the exit code is 5; into results/trust.json.

    python benchmarks/robustness/disk_full.py [--trials 200] [--seed 0] [--dry-run]

Each trial runs one command on a small file system of its own (a tmpfs, where root may mount one) that a filler leaves a
random number of bytes of; without a mount, RLIMIT_FSIZE ends the growth of every file at such a size. The commands add
to an index, save it, compact it, export a run, save a run, write latents, and evaluate. A trial is lost if what was
there before cannot be read or has changed, or if a command that failed ended in another code than 5.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive

import numpy as np
import torch
from transformers import BertConfig, BertModel

from textvae import LatentIndex, TextVAE, TrainConfig
from textvae.cli import main as textvae
from textvae.cli.errors import explain
from textvae.storage.atomic import sha256
from textvae.storage.folders import check_manifest
from textvae.text.tokenizers import train_tokenizer
from textvae.training.build import build_model

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

TEXTS = [f"the soup number {i} was cold and the room {i % 7} is dark" for i in range(300)]
DISK, EXHAUSTED = 32 * 2**20, 5
PATIENCE = 120  # seconds


def main() -> None:
    """Run all trials and write the row; exit 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the row and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = random.Random(arguments.seed)
    tally: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch, small_disk(Path(scratch) / "disk") as (disk, mounted):
        vae = prepare(Path(scratch))
        for trial in range(arguments.trials):
            name = list(COMMANDS)[trial % len(COMMANDS)]
            outcome = attempt(name, vae, Path(scratch), disk, mounted, generator)
            tally[outcome] += 1
            if outcome not in ("whole", "finished"):
                sys.stderr.write(f"trial {trial}, {name}: {outcome}\n")
    lost = sum(count for outcome, count in tally.items() if outcome not in ("whole", "finished"))
    way = "a full tmpfs" if mounted else "RLIMIT_FSIZE"
    told = f"{way}; {', '.join(COMMANDS)}: {', '.join(f'{count} {name}' for name, count in sorted(tally.items()))}"
    rows = [row("trust.disk_full.lost", lost, n=arguments.trials, seed=arguments.seed, bar="0", note=told)]
    sys.stdout.write(f"trust.disk_full.lost: {lost} (bar 0; {told})\n")
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('trust', rows)}\n")
    sys.exit(1 if lost else 0)


@contextmanager
def small_disk(path: Path, size: int = DISK) -> Iterator[tuple[Path, bool]]:
    """Yield a folder on a small file system, and whether it is one."""
    path.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(options, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield path, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(path)], check=True)


def prepare(scratch: Path) -> TextVAE:
    """Write what the commands read and replace, and return the model."""
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.save_pretrained(scratch / "encoder")
    shape: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(tokenizer), intermediate_size=32, pad_token_id=2, **shape)).save_pretrained(
        scratch / "encoder"
    )
    vae = build_model(TrainConfig(size="tiny", encoder=str(scratch / "encoder")), TEXTS)
    vae.save_pretrained(scratch / "run")
    (scratch / "texts.txt").write_text("\n".join(TEXTS[:20]))
    old = scratch / "old"
    index = LatentIndex.build(vae, TEXTS, factory="HNSW8")
    index.remove(range(30))
    index.save(old / "index")
    commands(scratch, old)["export"]()
    vae.save_pretrained(old / "run")
    np.save(old / "z.npy", np.ones((3, 4), np.float32))
    (old / "report.json").write_text('{"old": true}\n')
    return vae


def commands(scratch: Path, disk: Path) -> dict[str, Callable[[], int]]:
    """Return each command as a function that gives its exit code."""
    run, texts = str(scratch / "run"), str(scratch / "texts.txt")

    def saved(change: Callable[[LatentIndex], object]) -> int:
        index = LatentIndex.load(disk / "index", TextVAE.from_pretrained(run, "cpu"))
        change(index)
        index.save(disk / "index")
        return 0

    few = ["--limit", "4", "--num-samples", "2", "--n-prior", "2", "--n-paths", "1"]
    return {
        "index-add": lambda: textvae(["index-add", str(disk / "index"), texts, "--quiet"]),
        "save": lambda: saved(lambda index: index.add(TEXTS)),
        "compact": lambda: saved(lambda index: index.compact()),
        "export": lambda: textvae(["export", run, "-o", str(disk / "export"), "--quiet"]),
        "save_pretrained": lambda: TextVAE.from_pretrained(run, "cpu").save_pretrained(disk / "run") or 0,
        "encode": lambda: textvae(["encode", run, texts, "-o", str(disk / "z.npy"), "--quiet"]),
        "eval": lambda: textvae(["eval", run, texts, "-o", str(disk / "report.json"), "--quiet", *few]),
    }


COMMANDS = tuple(commands(Path(), Path()))


def attempt(name: str, vae: TextVAE, scratch: Path, disk: Path, mounted: bool, generator: random.Random) -> str:
    """Run a command on a disk that is nearly full, and say what became of it and of what was there."""
    for child in disk.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    shutil.copytree(scratch / "old", disk, dirs_exist_ok=True)
    before = contents(disk)
    room = int(2 ** generator.uniform(0, 23)) if generator.random() < 0.8 else 0
    if mounted:
        free = shutil.disk_usage(disk).free
        with open(disk / "filler", "wb") as filler:
            filler.write(bytes(max(0, free - room)))
    code = run_forked(commands(scratch, disk)[name], None if mounted else room)
    (disk / "filler").unlink(missing_ok=True)
    after = contents(disk)
    left = [file.name for file in disk.iterdir() if file.name.startswith((".staged-", ".replaced-"))]
    if left and code is not None:
        return f"left {left[0]} behind"
    if code == 0:
        return "finished" if readable(disk) else "finished, and cannot be read"
    if after != before:
        return f"changed {sorted(file for file in before if after.get(file) != before[file])}"
    return "whole" if code == EXHAUSTED else f"ended in {code}"


def run_forked(command: Callable[[], int], largest: int | None) -> int | None:
    """Return the exit code of a command in a child, where no file grows beyond a size; None if it was killed."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        try:
            code = command()
        except BaseException as error:
            code = explain(error).code
        os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else None


def contents(disk: Path) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    files = (file for file in disk.rglob("*") if file.is_file() and not file.name.startswith(".lock-"))
    return {str(file.relative_to(disk)): sha256(file) for file in files}


def readable(disk: Path) -> bool:
    """Say whether everything on the disk can be read."""
    LatentIndex.load(disk / "index")
    for folder in ("export", "run"):
        check_manifest(disk / folder)
    np.load(disk / "z.npy")
    return (disk / "report.json").read_text().startswith("{")


if __name__ == "__main__":
    main()
