"""Time the closed loop of `shift` against another version of the library, in turns, each in a process of its own.

    python benchmarks/shift_speed.py --data DATA --run RUN --before CHECKOUT

DATA has yelp/. Sentiment is fitted to some of its sentences, and sentences of its development half are moved to the
other side. Rows go to results/shift.json and, as a gain, to results/speed.json.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from encoding import processor

from results import ROOT, row, write_results
from textvae import Attribute, TextVAE

TAUGHT = 2000  # sentences of each side that the attribute is fitted to
TIMING = """
import sys, time
from textvae import Attribute, TextVAE, shift
run, folder, candidates = sys.argv[1:]
vae, attribute = TextVAE.from_pretrained(run), Attribute.load(f"{folder}/sentiment")
texts = open(f"{folder}/texts", encoding="utf-8").read().splitlines()
shift(vae, texts[:4], attribute, 1.0, candidates=int(candidates))
start = time.perf_counter()
for side, strength in ((texts[::2], 1.0), (texts[1::2], -1.0)):
    shift(vae, side, attribute, strength, candidates=int(candidates))
print(time.perf_counter() - start)
"""


def main() -> None:
    """Fit the attribute, time both versions, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--run", type=Path, required=True, help="folder of the model")
    parser.add_argument("--before", type=Path, required=True, help="checkout of another version")
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--texts", type=int, default=24, help="of each side")
    parser.add_argument("--turns", type=int, default=3, help="of each version")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    sides: dict[str, list[str]] = {"0": [], "1": []}
    for line in (arguments.data / "yelp" / "train.tsv").read_text(encoding="utf-8").splitlines():
        label, text = line.split("\t", 1)
        sides[label].append(text)
    files = (arguments.data / "yelp" / f"style_dev.{name}" for name in ("neg", "pos"))
    sources = (file.read_text(encoding="utf-8").splitlines()[: arguments.texts] for file in files)
    texts = [text for pair in zip(*sources, strict=True) for text in pair]
    attribute = Attribute.fit(
        TextVAE.from_pretrained(arguments.run), sides["1"][:TAUGHT], sides["0"][:TAUGHT], name="sentiment"
    )
    seconds: dict[str, list[float]] = {"now": [], "before": []}
    with tempfile.TemporaryDirectory() as folder:
        attribute.save(f"{folder}/sentiment")
        Path(folder, "texts").write_text("\n".join(texts), encoding="utf-8")
        asked = [sys.executable, "-c", TIMING, str(arguments.run.resolve()), folder, str(arguments.candidates)]
        for _ in range(arguments.turns):
            for name, place in (("now", ROOT), ("before", arguments.before)):
                environment = os.environ | {"PYTHONPATH": str(place.resolve())}
                done = subprocess.run(asked, cwd=place, env=environment, capture_output=True, text=True, check=True)
                seconds[name].append(float(done.stdout.split()[-1]) / len(texts))
    now, before = (statistics.median(found) for found in seconds.values())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=arguments.before, capture_output=True, text=True
    ).stdout.strip()
    note = f"{arguments.run.name}; over that of {commit}, {before:.2f} s a text; {arguments.candidates} candidates, "
    note += f"{arguments.turns} turns each; {processor()}"
    write_results(
        "shift",
        [
            row("shift.seconds_per_text", now, n=len(texts), note=f"{arguments.run.name}; {processor()}"),
            row("shift.seconds_ratio", now / before, n=len(texts), bar="<= 0.333", note=note),
        ],
    )
    write_results("speed", [row("speed.shift_gain", round(before / now, 2), n=len(texts), bar=">= 3", note=note)])
    sys.stdout.write(f"{now:.3f} s a text, {before / now:.2f} times as fast ({note})\n")


if __name__ == "__main__":
    main()
