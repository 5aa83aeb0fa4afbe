"""Interrupt training in every way that a machine knows, resume, and compare with an uninterrupted run.

    python benchmarks/robustness/interrupt_training.py [--kills 20] [--disks 5] [--signals 4] [--limits 3] [--seed 0]

A run is killed (SIGKILL), ended (SIGTERM, SIGINT), left without room on its disk (a small tmpfs, which only root may
mount) and without address space, every second time while a save is under way; one of its newest checkpoints gets
another byte. Each time it is resumed. It must end as documented (130 after SIGINT, 5 without room), go on from the
newest whole checkpoint, and give files with the SHA-256 of the uninterrupted run. Writes results/trust.json.

Trainings are forked from one process, in which everything is imported.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from crash_training import newest
from disk_full import small_disk

from textvae.cli import main as textvae
from textvae.storage.atomic import sha256
from textvae.training import train  # noqa: F401 - the children import nothing again

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

TEXTS = [
    f"the {thing} number {i} was {how}" for i in range(105) for thing in ("soup", "room") for how in ("cold", "dark")
]
OPTIONS = (
    "--size tiny --vocab-size 300 --batch-tokens 256 --max-steps 150 --eval-steps 25 --save-steps 5 "
    "--keep-checkpoints 3"
).split()
FILES = ("model.safetensors", "prior.safetensors", "familiarity.json")
EXHAUSTED, INTERRUPTED = 5, 130
DISK = 96 * 2**20  # bytes
IDLE = 9  # runs one after the other that may end before they are interrupted
PATIENCE = 300  # seconds until a training counts as hung


class Way(NamedTuple):
    """One way to interrupt a training: what is done to its process and run, and the exit codes that are right."""

    act: Callable[[int, Path], None]
    codes: tuple[int, ...]


def fill(process: int, run: Path) -> None:
    """Leave no room on the disk of a run."""
    with open(run.parent / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(1 << 16)):
                pass
        except OSError:
            return


def send(number: signal.Signals) -> Callable[[int, Path], None]:
    """Return what sends a signal."""
    return lambda process, run: os.kill(process, number)


DAMAGE, NARROW, FULL = "damaged checkpoint", "address space", "full disk"
WAYS = {
    "SIGKILL": Way(send(signal.SIGKILL), (-signal.SIGKILL,)),
    "SIGTERM": Way(send(signal.SIGTERM), (-signal.SIGTERM,)),
    "SIGINT": Way(send(signal.SIGINT), (INTERRUPTED,)),
    FULL: Way(fill, (EXHAUSTED,)),
    NARROW: Way(lambda process, run: None, (EXHAUSTED,)),
}


def main() -> None:
    """Make all interruptions and write the row; exit 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--disks", type=int, default=5)
    parser.add_argument("--signals", type=int, default=4, help="SIGTERM, and as many SIGINT")
    parser.add_argument("--limits", type=int, default=3, help="of the address space")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the row and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = random.Random(arguments.seed)
    tally: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch, small_disk(Path(scratch) / "disk", DISK) as (disk, mounted):
        counts = {"SIGKILL": arguments.kills, "SIGTERM": arguments.signals, "SIGINT": arguments.signals}
        counts |= {NARROW: arguments.limits, DAMAGE: 2, FULL: arguments.disks if mounted else 0}
        waiting = [name for name, count in counts.items() for _ in range(count)]
        generator.shuffle(waiting)
        (Path(scratch) / "corpus.txt").write_text("\n".join(TEXTS))
        whole = Path(scratch) / "whole"
        if ended(start(whole, Path(scratch))) != 0:
            sys.exit(f"the uninterrupted run failed: {log(Path(scratch))}")
        idle = 0
        for number in itertools.count():
            run, left = disk / f"run-{number}", len(waiting)
            wrong = interrupted(run, Path(scratch), waiting, generator, tally)
            idle = idle + 1 if waiting and len(waiting) == left else 0
            if idle > IDLE and wrong is None:
                wrong = f"{waiting.pop()} came too late in {idle} runs"
            if wrong is None and digests(run) != digests(whole):
                wrong = "its files differ from those of the uninterrupted run"
            tally["failed" if wrong else "runs with the same SHA-256"] += 1
            if wrong:
                sys.stderr.write(f"{run.name}: {wrong}\n")
            shutil.rmtree(run)
            if not waiting:
                break
    made = sum(tally[name] for name in counts)
    told = ", ".join(f"{count} {name}" for name, count in sorted(tally.items()))
    note = f"{told}; {', '.join(FILES)} of each run" + ("" if mounted else "; no disk could be mounted")
    rows = [row("trust.training.failed", tally["failed"], n=made, seed=arguments.seed, bar="0", note=note)]
    sys.stdout.write(f"trust.training.failed: {tally['failed']} (bar 0; {told})\n")
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('trust', rows)}\n")
    sys.exit(1 if tally["failed"] else 0)


def interrupted(
    run: Path, scratch: Path, waiting: list[str], generator: random.Random, tally: collections.Counter[str]
) -> str | None:
    """Train a run to its end, with the next interruptions on the way; return what went wrong, None if nothing did."""
    while True:
        name = waiting[-1] if waiting else ""
        if name == DAMAGE and damage(run, generator):
            tally[waiting.pop()] += 1
            continue
        if name == DAMAGE:  # there are not two checkpoints yet
            others = [place for place, other in enumerate(waiting) if other != DAMAGE]
            waiting.append(waiting.pop(others[-1]) if others else "SIGKILL")
            name = waiting[-1]
        before = newest(run)
        in_save = name not in ("", NARROW) and tally[name] % 2 == 1
        room = generator.uniform(1, 60) if name == NARROW else None
        process = start(run, scratch, room, generator.randint(1, 60) if in_save else None)
        if name:
            stopped = moment(process, run, before, generator, in_save)
            if running(process):
                WAYS[name].act(process, run)
                tally["in a save"] += stopped
                os.kill(process, signal.SIGCONT)
        code = ended(process)
        (run.parent / "filler").unlink(missing_ok=True)
        if code == 0:
            if name == NARROW:  # it had enough
                waiting.pop()
            return None
        if not name or code not in WAYS[name].codes:
            waiting[-1:] = []
            return f"{name or 'the last resume'} ended in {code}: {log(scratch)}"
        waiting.pop()
        tally[name] += 1


def start(run: Path, scratch: Path, room: float | None = None, stop: int | None = None) -> int:
    """Fork a training that starts or resumes a run, and return its process id.

    Args:
        run: The run folder.
        scratch: Folder of the corpus and of the log.
        room: MB of address space that it has to itself.
        stop: Number of the file or folder of a save at whose opening or renaming it stops, until it gets SIGCONT.
    """
    child = os.fork()
    if child:
        return child
    code = 99
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        messages = os.open(scratch / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(messages, 1)
        os.dup2(messages, 2)
        if stop is not None:
            sys.addaudithook(stopper(stop))
        if room is not None:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + int(room * 2**20),) * 2)
        code = textvae(["train", str(scratch / "corpus.txt"), "-o", str(run), "--resume", *OPTIONS])
        sys.stderr.flush()
    finally:
        os._exit(code)


def stopper(number: int) -> Callable[[str, tuple[object, ...]], None]:
    """Return an audit hook that stops this process when it touches the `number`-th staged file or folder."""
    count = itertools.count(1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.mkdir") and ".staged" in str(arguments[0]) and next(count) == number:
            os.kill(os.getpid(), signal.SIGSTOP)

    return hook


def log(scratch: Path) -> str:
    """Return the last words of the last training."""
    return " ".join((scratch / "log.txt").read_text(errors="replace").split())[-400:]


def moment(process: int, run: Path, before: int, generator: random.Random, in_save: bool) -> bool:
    """Return at a random moment after a new checkpoint, or once the process stopped in a save; say whether it did."""
    if in_save:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WSTOPPED | os.WNOWAIT).si_code == os.CLD_STOPPED
    wanted = before + 5 * generator.randint(1, 3)
    while running(process) and newest(run) < wanted:
        time.sleep(0.002)
    deadline = time.monotonic() + generator.uniform(0, 0.3)
    while running(process) and time.monotonic() < deadline:
        time.sleep(0.002)
    return False


def running(process: int) -> bool:
    """Say whether a child runs; it can still be waited for if not."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def ended(process: int) -> int | None:
    """Return the exit code of a training, minus the signal that ended it; None if it hangs and was killed."""
    deadline = time.monotonic() + PATIENCE
    while running(process):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return None
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def damage(run: Path, generator: random.Random) -> bool:
    """Change a byte of a file of the newest checkpoint; return False if there is no other one to resume from."""
    checkpoints = sorted(run.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    if len(checkpoints) < 2:
        return False
    file = generator.choice(sorted(file for file in checkpoints[-1].iterdir() if file.stat().st_size))
    data = bytearray(file.read_bytes())
    data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    file.write_bytes(data)
    return True


def digests(run: Path) -> list[str]:
    """Return the SHA-256 of what training made."""
    return [sha256(run / name) for name in FILES]


if __name__ == "__main__":
    main()
