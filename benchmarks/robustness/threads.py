"""Seeded calls from many threads beside those of one, and the memory of many calls; into results/trust.json.

    python benchmarks/robustness/threads.py [--calls 2000] [--threads 16] [--seed 0] [--model FOLDER] [--dry-run]

The calls are samples, decodings with candidates and beams, variations, likelihoods, encodings, shifts and searches,
each with a seed of its own, by default to two untrained networks, one of them with wording slots. They are made once in
one thread and once in all threads, and compared. Memory is the resident set after all calls over that after a tenth of
them, without the pages of files, which the system drops and reads again as it likes.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # as the command line does
    os.environ.setdefault(cache, "64")

import torch

from textvae import Attribute, LatentIndex, TextVAE, shift
from textvae.modeling import TextVAEConfig

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

SIZE = {"vocab_size": 300, "max_length": 16}
TEXTS = [f"the {thing} was {how}" for thing in ("soup", "room", "staff") for how in ("cold", "great", "slow", "dark")]
Call = Callable[[int], Any]


def main() -> None:
    """Make all calls twice and write the rows; exit 1 if a call differed or memory grew by over 5%."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a run; by default two tiny networks")
    parser.add_argument("--dry-run", action="store_true", help="print the rows and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.model:
        calls = list(kinds(TextVAE.from_pretrained(arguments.model, "cpu")).items())
    else:
        configs = (TextVAEConfig.preset("tiny", slot_dim=size, **SIZE) for size in (0, 8))
        plain, slots = (TextVAE.from_texts(TEXTS, config) for config in configs)
        calls = [*kinds(plain).items(), *((f"{name} (slots)", call) for name, call in kinds(slots).items())]
    generator = random.Random(arguments.seed)
    jobs = [(generator.choice(calls), generator.randrange(2**31)) for _ in range(arguments.calls)]
    alone, memory = [], []
    for done, ((_, call), seed) in enumerate(jobs, 1):
        alone.append(call(seed))
        if done in (arguments.calls // 10, arguments.calls):
            memory.append(resident())
    state = torch.get_rng_state()
    with ThreadPoolExecutor(arguments.threads) as pool:
        together = list(pool.map(lambda job: attempt(job[0][1], job[1]), jobs))
    wrong = [name for ((name, _), _), one, many in zip(jobs, alone, together, strict=True) if one != many]
    wrong += ["torch's global generator"] * (not torch.equal(state, torch.get_rng_state()))
    growth = memory[-1] / memory[0] - 1
    told = f"{', '.join(name for name, _ in calls)}" + (f"; different: {sorted(set(wrong))}" if wrong else "")
    measured = {"n": arguments.calls, "seed": arguments.seed}
    rows = [
        row("trust.threads.different", len(wrong), **measured, bar="0", note=f"{arguments.threads} threads; {told}"),
        row(
            "trust.rss_growth", round(growth, 4), **measured, bar="at most 0.05",
            note=f"anonymous resident set after {arguments.calls:,} calls over that after {arguments.calls // 10:,}, "
            f"less 1; {memory[-1]:,} MB",
        ),
    ]  # fmt: skip
    sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}; {r['note']})\n" for r in rows))
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('trust', rows)}\n")
    sys.exit(1 if wrong or growth > 0.05 else 0)


def attempt(call: Call, seed: int) -> Any:
    """Return what a call gives, or the error it raised."""
    try:
        return call(seed)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def kinds(vae: TextVAE) -> dict[str, Call]:
    """Return the kinds of calls, each of a seed, with results that compare equal if they are the same."""
    attribute = Attribute.fit(vae, TEXTS[:6], TEXTS[6:])
    index = LatentIndex.build(vae, TEXTS)

    def some(seed: int) -> list[str]:
        return random.Random(seed).sample(TEXTS, 2)

    return {
        "sample": lambda seed: vae.sample(3, temperature=1.0, seed=seed),
        "greedy sample": lambda seed: vae.sample(3, seed=seed),
        "candidates": lambda seed: vae.decode(vae.encode(some(seed)), temperature=0.8, candidates=4, seed=seed),
        "beams": lambda seed: vae.decode(vae.encode(some(seed)), num_beams=3),
        "vary": lambda seed: vae.vary(some(seed)[0], 3, temperature=0.5, seed=seed),
        "likelihood": lambda seed: vae.log_likelihood(some(seed), num_samples=8, seed=seed).tolist(),
        "encode": lambda seed: vae.encode(some(seed)).tolist(),
        "shift": lambda seed: shift(vae, some(seed)[:1], attribute, candidates=2, seed=seed),
        "search": lambda seed: index.search(some(seed)[0], k=3),
    }


def resident() -> int:
    """Return the resident set of this process in MB, without pages of files."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) // 1024


if __name__ == "__main__":
    main()
