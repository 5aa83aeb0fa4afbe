"""Kill training with SIGKILL at random moments, saves included, resume, and compare with an uninterrupted run.

    python benchmarks/robustness/crash_training.py [--kills 10] [--seed 0]

Every second kill waits for a save to be under way. Each resume must go on from the newest whole checkpoint, and at
the end the weights must have the SHA-256 of the uninterrupted run. Writes results/crash.json.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textvae.storage.atomic import sha256

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import ROOT, row, write_results

OPTIONS = ["--size", "tiny", "--batch-tokens", "1024", "--max-steps", "400", "--eval-steps", "20", "--save-steps", "5"]


def main() -> None:
    """Run the trial and write its rows; exit 1 if a resume failed or the weights differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        if start(whole).wait() != 0:
            sys.exit("the uninterrupted run failed")
        killed, in_save, failed = 0, 0, 0
        while killed < arguments.kills:
            process = start(broken)
            saving = wait_for_a_moment(process, broken, generator, during_save=killed % 2 == 1)
            if process.poll() is not None:
                if process.returncode != 0:
                    sys.exit(f"a resume failed: {broken.with_suffix('.log').read_text()}")
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed, in_save = killed + 1, in_save + saving
            sys.stdout.write(f"kill {killed} at {progress(broken)}{', in a save' if saving else ''}\n")
            sys.stdout.flush()
        failed += start(broken).wait() != 0
        same = sha256(whole / "model.safetensors") == sha256(broken / "model.safetensors")
    rows = [
        row("crash.kills", killed, seed=arguments.seed, bar="10", note=f"{in_save} of them while a save was under way"),
        row("crash.resume_failures", failed, n=killed, seed=arguments.seed, bar="0"),
        row("crash.same_sha256", int(same), n=1, seed=arguments.seed, bar="1", note="weights after the last resume"),
    ]
    sys.stdout.write(f"{write_results('crash', rows)}: {killed} kills, {failed} failures, same weights: {same}\n")
    sys.exit(0 if same and not failed and killed == arguments.kills else 1)


def start(run: Path) -> subprocess.Popen:
    """Start or resume the training of a run."""
    command = [sys.executable, "-m", "textvae", "train", str(ROOT / "data/train.tsv"), "-o", str(run), "--resume"]
    with open(run.with_suffix(".log"), "w") as log:
        return subprocess.Popen([*command, *OPTIONS], stdout=subprocess.DEVNULL, stderr=log)


def wait_for_a_moment(process: subprocess.Popen, run: Path, generator: random.Random, during_save: bool) -> bool:
    """Return at a random moment of the training, or as soon as a save is under way; say whether one is."""
    before = newest(run)
    while process.poll() is None and newest(run) == before:  # until this process has made progress of its own
        time.sleep(0.005)
    deadline = time.monotonic() + generator.uniform(0, 4)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    while during_save and process.poll() is None and not saving(run):
        time.sleep(0.0005)
    return saving(run)


def saving(run: Path) -> bool:
    """Say whether a staged file or folder exists in the run."""
    return any(run.glob(".staged*")) or any(run.glob("checkpoints/.staged*"))


def newest(run: Path) -> int:
    """Return the step of the newest checkpoint, 0 if there is none."""
    return max((int(path.name.split("-")[1]) for path in run.glob("checkpoints/checkpoint-*")), default=0)


def progress(run: Path) -> str:
    """Say how far the run is."""
    return f"checkpoint {newest(run)}"


if __name__ == "__main__":
    main()
