"""Measure disentanglement on dSentences, whose nine factors are known: recipes beside a beta-VAE, over seeds.

    python benchmarks/disentanglement.py --data DATA [--seeds 0 1 2] [--methods beta_vae,ae_fb]
    python benchmarks/disentanglement.py --own

DATA holds dsentences/dsentences.npz. Nothing is told of the factors in training. All methods share the texts, the
network of size tiny and the number of steps. A factor that a string leaves open (the number of "you", the gender of
"I") is unknown for it. --own scores the model that ships on data/test.tsv instead, whose attributes are the factors.
Rows go to results/disentanglement.json.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from results import ROOT, row, write_results
from textvae import TextVAE, TrainConfig, train
from textvae.evaluation.disentanglement import codes
from textvae.evaluation.report import disentanglement_scores
from textvae.text.corpus import read_rows

SHARED: dict[str, Any] = {
    "size": "tiny",
    "vocab_size": 2048,
    "latent_dim": 16,
    "epochs": 2.0,
    "free_bits": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "ramp": 0.2,
    "latent_dropout": 0.0,
}
METHODS: dict[str, dict[str, Any]] = {
    "vae": {"beta": 1.0, "schedule": "linear"},
    "beta_vae": {"beta": 4.0, "schedule": "linear"},
    "ae_fb": {"beta": 1.0, "free_bits": 0.5, "schedule": "linear", "warmup": 0.15, "ramp": 0.15},
    "low_beta": {"beta": 0.1, "free_bits": 0.5},
}
OWN_FACTORS = ["topic", "sentiment", "tense", "technical_depth", "brand_authority"]
TRAINING_TEXTS, VALID_TEXTS, MEASURED_TEXTS = 60_000, 1000, 5000


def main() -> None:
    """Train every method with every seed and score it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder with dsentences/")
    where.add_argument("--own", action="store_true", help="score the model that ships on our own corpus")
    parser.add_argument("--runs", type=Path, default=Path("runs/disentanglement"), help="folder for the runs")
    parser.add_argument("--methods", default=",".join(METHODS), help="methods, separated by commas")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.own:
        write_results("disentanglement", own())
        return
    texts, factors, names = read(arguments.data / "dsentences" / "dsentences.npz")
    order = np.random.default_rng(0).permutation(len(texts))
    seen, chosen_by, measured = np.split(order, np.cumsum([TRAINING_TEXTS, VALID_TEXTS, MEASURED_TEXTS]))[:3]
    valid = [texts[i] for i in chosen_by]
    held_out = [texts[i] for i in measured]
    grammar = [i for i, name in enumerate(names) if name != "verb_obj_tuple"]  # 1,100 pairs are no factor to bin
    for method in arguments.methods.split(","):
        found: dict[str, list[float]] = {}
        for seed in arguments.seeds:
            config = TrainConfig(**SHARED | METHODS[method] | {"seed": seed})  # type: ignore[arg-type]
            run = arguments.runs / f"{method}.{seed}"
            vae = train([texts[i] for i in seen], run, config, valid=valid, resume=True)
            posterior = vae.posterior(held_out)
            scores = disentanglement_scores(posterior.mean.numpy(), factors[measured][:, grammar], seed=seed)
            scores["kl"] = float(posterior.kl().sum(-1).mean())
            scores["exact_match"] = float(
                np.mean([a == b for a, b in zip(vae.reconstruct(held_out), held_out, strict=True)])
            )
            for name, value in scores.items():
                found.setdefault(name, []).append(value)
        options = ", ".join(f"{name}={value}" for name, value in METHODS[method].items())
        rows = []
        for name, values in found.items():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            note = f"mean of {len(values)} seeds, standard deviation {spread:.4f}; {options}"
            rows.append(row(f"dsentences.{method}.{name}", statistics.mean(values), n=len(held_out), note=note))
            sys.stdout.write(f"{rows[-1]['id']}: {rows[-1]['value']:.4f}  ({note})\n")
        write_results("disentanglement", rows)


def own() -> list[dict[str, Any]]:
    """Return the scores of the model that ships on our own corpus."""
    table = list(read_rows(ROOT / "data" / "test.tsv", columns=OWN_FACTORS))
    vae = TextVAE.from_pretrained(ROOT / "data" / "models" / "english")
    texts = [str(each["text"]) for each in table]
    factors = codes([[each[name] for name in OWN_FACTORS] for each in table])
    scores = disentanglement_scores(vae.encode(texts), factors)
    note = f"data/models/english, data/test.tsv, factors {', '.join(OWN_FACTORS)}; mig's error bar is mig_std"
    rows = [row(f"own.small.{name}", value, n=len(texts), seed=0, note=note) for name, value in scores.items()]
    sys.stdout.write("".join(f"{each['id']}: {each['value']:.4f}\n" for each in rows))
    return rows


def read(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Return the distinct strings, their factors (N, F) with -1 where a string leaves one open, and the names."""
    archive = np.load(path)
    strings, places = np.unique(archive["sentences"], return_inverse=True)
    labels = archive["labels"].astype(np.int64)
    factors = np.full((len(strings), labels.shape[1]), -1)
    factors[places] = labels  # the last labels of each string; open where another row of it says something else
    conflicts, columns = np.nonzero(factors[places] != labels)
    factors[places[conflicts], columns] = -1
    return [string.decode() for string in strings], factors, archive["factor_names"].tolist()


if __name__ == "__main__":
    main()
