"""Measure the main job on real corpora: train, reconstruct, sample, search; into results/main_job.json.

    python benchmarks/main_job.py --data FOLDER [--only yelp,ptb_gru,ptb_transformer]

FOLDER holds yelp/{train,valid}.tsv (label TAB sentence) and ptb/{train,valid}.txt. Every number is measured on
validation sentences. Runs go to --runs and are resumed if they exist, so an interrupted benchmark loses nothing; the
minutes add up over the interruptions.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from results import row, write_results
from textvae import LatentIndex, TrainConfig, evaluate, train
from textvae.text.corpus import read_corpus

QUERIES = {
    "yelp": [
        "the waiter was rude to us .", "great prices and friendly staff .", "my car was fixed the same day .",
        "the pizza was cold .", "i waited for an hour .", "best coffee in town .", "the room smelled bad .",
        "i will never come back .", "she did a wonderful job on my hair .", "parking is easy .",
    ],
    "ptb": [
        "the company reported a loss for the quarter", "stocks rose sharply in heavy trading",
        "the bank said it will sell the unit", "he was named president of the company", "interest rates fell again",
        "the dollar was mixed against other currencies", "analysts expect higher profits next year",
        "the union rejected the offer", "the court ruled against the firm", "sales of new cars declined",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One corpus with one set of training options."""

    corpus: str
    train_file: str
    valid_file: str
    column: str | None
    config: TrainConfig


JOBS = {
    "yelp": Job("yelp", "yelp/train.tsv", "yelp/valid.tsv", "1", TrainConfig(epochs=3)),
    "ptb_gru": Job("ptb", "ptb/train.txt", "ptb/valid.txt", None, TrainConfig(epochs=3)),
    "ptb_transformer": Job("ptb", "ptb/train.txt", "ptb/valid.txt", None, TrainConfig(epochs=3, decoder="transformer")),
}
BARS = {"recon_bleu": ">= 40", "kl": ">= 8", "active_fraction": "1.0", "duplicates": "<= 0.05", "minutes": "<= 30"}


def main() -> None:
    """Run the chosen jobs and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/ and ptb/")
    parser.add_argument("--runs", type=Path, default=Path("runs/main_job"), help="folder for the runs")
    parser.add_argument("--only", default=",".join(JOBS), help="jobs, separated by commas")
    parser.add_argument("--sentences", type=int, default=1000, help="validation sentences measured")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    for name in arguments.only.split(","):
        rows = measure(name, JOBS[name], arguments.data, arguments.runs / name, arguments.sentences)
        sys.stdout.write(f"{write_results('main_job', rows)}: {len(rows)} rows of {name}\n")


def measure(name: str, job: Job, data: Path, run: Path, sentences: int) -> list[dict]:
    """Train one job and return its rows."""
    corpus = read_corpus(data / job.train_file, column=job.column)
    valid = read_corpus(data / job.valid_file, column=job.column)
    clock = run.with_suffix(".seconds")  # survives an interrupted benchmark
    before = [float(part) for part in clock.read_text().split()] if clock.exists() else [0.0, 0.0]
    wall, cpu = time.monotonic(), time.process_time()
    vae = train(corpus, run, job.config, valid=valid[:2000], resume=True)
    spent = [before[0] + time.monotonic() - wall, before[1] + time.process_time() - cpu]
    clock.write_text(f"{spent[0]} {spent[1]}\n")
    report = evaluate(vae, valid[:sentences], num_samples=128, n_prior=1000, seed=0)
    bars = BARS if name == "yelp" else {}
    seed = job.config.seed
    options = ", ".join(f"{k}={v}" for k, v in job.config.to_dict().items() if v != getattr(TrainConfig(), k))
    prefix = f"main.{name.replace('_', '.')}"

    def measured(key: str, value: float | int | str | None, n: int, note: str = "") -> dict:
        return row(f"{prefix}.{key}", value, n=n, seed=seed, bar=bars.get(key), note=note)

    rows = [
        measured("recon_bleu", report.recon_bleu, sentences, "from mu, greedy, whitespace words"),
        measured("exact_match", report.exact_match, sentences),
        measured("reconstruction", report.reconstruction, sentences, "nats per sentence, one z"),
        measured("kl", report.kl, sentences, "nats per sentence"),
        measured(
            "mutual_information", report.mutual_information, sentences, f"cap {report.mutual_information_cap:.3f}"
        ),
        measured("active_fraction", report.active_fraction, sentences, f"of {vae.dim} dimensions"),
        measured("nll", report.nll, sentences, f"importance-weighted, K={report.num_samples}, nats per sentence"),
        measured("word_perplexity", report.word_perplexity, sentences),
        measured("duplicates", report.duplicates, report.prior_samples, f"{report.prior} prior, greedy"),
        measured("minutes", spent[0] / 60, len(corpus), f"wall clock of training; options: {options or 'defaults'}"),
        measured("cpu_minutes", spent[1] / 60, len(corpus), "processor time of both cores together"),
        measured("parameters", sum(p.numel() for p in vae.model.parameters()), 1),
    ]
    samples = vae.sample(1000, seed=0)[:20]
    rows.append(measured("samples", " | ".join(samples), 20, "the first 20 of the 1,000 prior samples"))
    index = LatentIndex.build(vae, corpus)
    for i, query in enumerate(QUERIES[job.corpus]):
        hits = " | ".join(f"{hit.score:.3f} {hit.text}" for hit in index.search(query, k=3))
        rows.append(measured(f"search.{i}", hits, len(index), f"query: {query}"))
    return rows


if __name__ == "__main__":
    main()
