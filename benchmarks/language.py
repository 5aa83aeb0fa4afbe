"""Compare recipes under one protocol and one budget: language model, autoencoder, VAEs; into results/language.json.

    python benchmarks/language.py --data DATA [--only ptb.gru.lm,ptb.gru.vae] [--seeds 0 1] [--lm FOLDER]

DATA holds ptb/, yelp/ and multi30k/. A job is CORPUS.DECODER.METHOD; all jobs of a corpus have the same tokenizer,
widths and optimiser, and see it equally often unless the recipe names its own epochs. A VAE's weights are those of the
best validation loss at the final beta, the language model's its last ones; the numbers are those of the test split.
Jobs that are in the results are skipped, runs go to --runs and are resumed, so an interrupted benchmark loses little.
Measured on a GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from results import ROOT, row, write_results
from textvae import TrainConfig, evaluate, train
from textvae.evaluation.fluency import SentenceLM, word_perplexity
from textvae.modeling.config import PRESETS
from textvae.text.corpus import read_corpus
from textvae.text.tokenizers import train_tokenizer

VALID = 2000  # validation sentences that choose the weights


@dataclass(frozen=True)
class Corpus:
    """Files of a corpus, and what all its jobs share."""

    files: tuple[str, str, str]
    column: str | None
    shared: dict[str, Any] = field(default_factory=dict)


PTB = Corpus(
    ("ptb/train.txt", "ptb/valid.txt", "ptb/test.txt"),
    None,
    {"latent_dim": 32, "vocab_size": 12_000, "dropout": 0.4, "epochs": 7.0},
)
MULTI30K = Corpus(
    ("multi30k/train.tsv", "multi30k/valid.tsv", "multi30k/test.tsv"), "1", {"latent_dim": 32, "epochs": 3.0}
)
CORPORA = {
    "ptb": PTB,
    "ptb_brief": replace(PTB, shared=PTB.shared | {"epochs": 1.0}),  # for comparing recipes, not for records
    "ptb_long": replace(PTB, shared=PTB.shared | {"epochs": 12.0, "dropout": 0.5}),
    "yelp": Corpus(("yelp/train.tsv", "yelp/valid.tsv", "yelp/test.tsv"), "1", {"epochs": 1.5}),
    "multi30k": MULTI30K,
    "multi30k_brief": replace(MULTI30K, shared=MULTI30K.shared | {"epochs": 0.5}),
}
NO_REMEDY = {"beta": 1.0, "schedule": "constant", "warmup": 0.0, "free_bits": 0.0, "latent_dropout": 0.0}
RISING = {"schedule": "linear", "ramp": 0.25}
LOW_BETA = NO_REMEDY | {"beta": 0.1, "free_bits": 0.5}
RATE = NO_REMEDY | {"schedule": "linear", "warmup": 0.3, "ramp": 0.3}
HIGH_RATE = RATE | {"warmup": 0.15, "ramp": 0.25, "latent_dropout": 0.1}
METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "lm": {},
    "ae": NO_REMEDY | {"beta": 0.0},
    "vae": NO_REMEDY | RISING,
    "cyclical": NO_REMEDY | {"schedule": "cyclical"},
    "bn": NO_REMEDY | RISING | {"bn_gamma": 0.6},
    "ae_fb": RATE | {"free_bits": 0.25, "warmup": 0.15, "ramp": 0.15, "reset_decoder": True},
    "fb": NO_REMEDY | {"free_bits": 0.25},
    "floor_low": RATE | {"free_bits": 0.22, "warmup": 0.1, "ramp": 0.2, "noise_drop": 0.2},
    "floor": RATE | {"free_bits": 0.265, "warmup": 0.1, "ramp": 0.2},
    "floor_denoise": RATE | {"free_bits": 0.265, "warmup": 0.1, "ramp": 0.2, "noise_drop": 0.2},
    "low_beta": LOW_BETA,
    "denoise": LOW_BETA | {"noise_drop": 0.1},
    "guided": LOW_BETA | {"latent_dropout": 0.1},
    "rate": RATE | {"free_bits": 0.6},
    "rate_guided": RATE | {"free_bits": 0.75, "latent_dropout": 0.1, "epochs": 6.0},
    "rate_brief": HIGH_RATE | {"free_bits": 0.9},
    "rate_high": HIGH_RATE | {"free_bits": 1.1, "epochs": 6.0},
    "rate_max": HIGH_RATE | {"free_bits": 1.5, "epochs": 6.0},
    "mmd": NO_REMEDY | {"beta": 0.02, "mmd": 100.0},
}
MEASURES = {
    "nll": "nats per sentence, importance-weighted", "word_perplexity": "of the same", "kl": "nats per sentence",
    "mutual_information": "nats", "active_fraction": "of the latent dimensions", "recon_bleu": "from mu, greedy",
    "negative_elbo": "nats per sentence, one z", "duplicates": "among the prior samples", "self_bleu": "of 200 samples",
    "sample_ppl_ratio": "outside LM", "interpolation_ratio": "outside LM", "mmd": "q(z) to N(0, I)",
}  # fmt: skip


def main() -> None:
    """Run the jobs that are not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb/, yelp/ and multi30k/")
    parser.add_argument("--runs", type=Path, default=Path("runs/language"), help="folder for the runs")
    everything = ",".join(f"{c}.{d}.{m}" for c in CORPORA for d in ("gru", "transformer") for m in METHODS)
    parser.add_argument("--only", default=everything, help="jobs, separated by commas")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sentences", type=int, default=1000, help="test sentences measured")
    parser.add_argument("--num-samples", type=int, default=128, help="importance samples")
    parser.add_argument("--lm", help="folder or hub id of the causal LM that judges fluency")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    for job in arguments.only.split(","):
        for seed in arguments.seeds:
            name = f"language.{job}.{seed}"
            if f"{name}.nll" in _measured():
                continue
            rows = measure(name, job, seed, arguments)
            write_results("language", rows)
            sys.stdout.write("".join(f"{r['id']}: {r['value']}  ({r['note']})\n" for r in rows))
            sys.stdout.flush()


def measure(name: str, job: str, seed: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train one job and return its rows."""
    corpus_name, decoder, method = job.split(".")
    corpus = CORPORA[corpus_name]
    texts, valid, test = (read_corpus(arguments.data / file, column=corpus.column) for file in corpus.files)
    test = test[: arguments.sentences]
    config = TrainConfig(
        **{"decoder": decoder, "seed": seed} | corpus.shared | METHODS[method]  # type: ignore[arg-type]
    )
    start = time.monotonic()
    values: dict[str, tuple[float | int | str | None, str]] = {}
    if method == "lm":
        nats = _language_model(config, texts).nats(test)
        values |= {"nll": (float(nats.mean()), "exact"), "word_perplexity": (word_perplexity(nats, test), "")}
        minutes = (time.monotonic() - start) / 60
    else:
        run = arguments.runs / f"{job}.{seed}"
        with Stopwatch(run) as stopwatch:
            vae = train(texts, run, config, valid=valid[:VALID], resume=True)
        minutes = stopwatch.minutes
        report = evaluate(vae, test, num_samples=arguments.num_samples, lm=arguments.lm).to_dict()
        notes = MEASURES | {"nll": f"{MEASURES['nll']}, K={arguments.num_samples}"}
        values |= {key: (report[key], note) for key, note in notes.items() if report[key] is not None}
        values["cap"] = (report["mutual_information_cap"], "of the mutual information, ln N")
    changed = {k: v for k, v in config.to_dict().items() if v != getattr(TrainConfig(), k)}
    values["minutes"] = (minutes, "training: " + ", ".join(f"{k}={v}" for k, v in changed.items()))
    return [row(f"{name}.{key}", value, n=len(test), seed=seed, note=note) for key, (value, note) in values.items()]


class Stopwatch:
    """Minutes spent on a run, over interruptions: of a leg that was killed, those until its last checkpoint count."""

    def __init__(self, run: Path):
        self.run, self.file = run, run.with_suffix(f"{run.suffix}.legs")
        self.minutes = 0.0

    def __enter__(self) -> Stopwatch:
        self.legs: list[list[float]] = json.loads(self.file.read_text()) if self.file.exists() else []
        if self.legs and len(self.legs[-1]) == 1:
            saves = [path.stat().st_mtime for path in self.run.glob("checkpoints/checkpoint-*/manifest.json")]
            self.legs[-1].append(max([*saves, self.legs[-1][0]]))
        self._write([time.time()])
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            start = self.legs.pop()[0]
            self._write([start, time.time()])
            self.minutes = sum(end - start for start, end in self.legs) / 60

    def _write(self, leg: list[float]) -> None:
        self.legs.append(leg)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.legs))


def _language_model(config: TrainConfig, texts: Sequence[str]) -> SentenceLM:
    tokenizer = train_tokenizer(texts, config.vocab_size or PRESETS[config.size].vocab_size)
    lm = SentenceLM(tokenizer, config.size, config.decoder, dropout=config.dropout, seed=config.seed)
    return lm.fit(texts, config.epochs, batch_tokens=config.batch_tokens)


def _measured() -> set[str]:
    path = ROOT / "results" / "language.json"
    return {r["id"] for r in json.loads(path.read_text())["rows"]} if path.exists() else set()


if __name__ == "__main__":
    main()
