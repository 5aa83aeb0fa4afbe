"""This checkout beside another one: time of a training step, encoding and decoding, in turns.

    python benchmarks/checkouts.py --other FOLDER [--name house] [--rounds 4]

FOLDER is a checkout of another commit. Each turn is a process of its own with one thread; both sides take turns, and
medians are compared. Run it while nothing else runs. Rows go to results/checkouts.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from results import ROOT, row, write_results

TURN = """
import json, logging, sys, tempfile, time
from pathlib import Path
import torch
from transformers import Trainer
from textvae import TextVAE, TrainConfig, train
root = Path(sys.argv[1])
torch.set_num_threads(1)
texts = [line.split("\t")[0] for line in (root / "data/train.tsv").read_text(encoding="utf-8").splitlines()[1:6001]]
began, step = [], Trainer.training_step
def timed(self, *inputs, **options):
    began.append(time.perf_counter())
    return step(self, *inputs, **options)
Trainer.training_step = timed
config = TrainConfig(size="small", batch_tokens=1024, max_steps=40, eval_steps=1000, save_steps=1000)
with tempfile.TemporaryDirectory() as folder:
    train(texts, Path(folder) / "run", config, valid=texts[:8])
steps = sorted(later - first for first, later in zip(began[5:], began[6:]))
vae = TextVAE.from_pretrained(root / "data/models/english", "cpu")
latents = vae.encode(texts[:512])
started = time.perf_counter(); vae.encode(texts); encoding = time.perf_counter() - started
started = time.perf_counter(); vae.decode(latents); decoding = time.perf_counter() - started
print(json.dumps({"train": steps[len(steps) // 2], "encode": encoding, "decode": decoding}))
"""


def main() -> None:
    """Take the turns and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True, help="checkout to compare with")
    parser.add_argument("--name", default="house", help="what precedes the ids")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each side")
    arguments = parser.parse_args()
    seconds: dict[str, list[dict[str, float]]] = {"this": [], "other": []}
    for _ in range(arguments.rounds):
        for side, folder in (("other", arguments.other.resolve()), ("this", ROOT)):
            environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(
                [sys.executable, "-c", TURN, str(ROOT)], cwd=folder, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(f"{side} failed: {done.stderr[-2000:]}")
            seconds[side].append(json.loads(done.stdout.splitlines()[-1]))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=arguments.other, capture_output=True, text=True)
    rows = []
    for what in seconds["this"][0]:
        ours, theirs = (statistics.median(turn[what] for turn in seconds[side]) for side in ("this", "other"))
        note = f"this {ours:.4g} s, commit {head.stdout[:7]} {theirs:.4g} s; {arguments.rounds} turns each"
        rows.append(
            row(f"{arguments.name}.{what}_ratio", round(ours / theirs, 3), n=arguments.rounds, bar="<= 1.02", note=note)
        )
    write_results("checkouts", rows)
    sys.stdout.write("".join(f"{r['id']}: {r['value']}  ({r['note']})\n" for r in rows))


if __name__ == "__main__":
    main()
