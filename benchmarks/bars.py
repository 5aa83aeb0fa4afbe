"""The rows that the project's bars are held to, from runs and results of benchmark_language.py; into results/bars.json.

    python benchmarks/bars.py --data DATA --lm FOLDER [--runs DIR] [--ptb JOB] [--multi30k JOB] [--yelp RUN]
        [--guidance G] [--parts likelihood,dsentences,reconstruction,samples]

JOB is CORPUS.DECODER.METHOD, RUN has its seed besides. PTB's and Multi30k's rows are read from results/language.json,
those of dSentences from results/disentanglement.json; the Yelp run is measured here on test sentences, with 10,000
samples and 200 paths.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results import ROOT, row, write_results
from textvae import TextVAE, evaluate
from textvae.evaluation.fluency import SentenceLM, word_perplexity
from textvae.evaluation.text_scores import bleu
from textvae.text.corpus import read_corpus
from textvae.text.tokenizers import readable

SAMPLES, PATHS, SENTENCES, BEAMS, REFINEMENTS = 10_000, 200, 1000, 4, 4


def main() -> None:
    """Collect and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--runs", type=Path, default=Path("runs/language"), help="folder of the runs")
    parser.add_argument("--lm", required=True, help="folder or hub id of the causal LM that judges fluency")
    parser.add_argument("--ptb", default="ptb_long.gru.floor_low", help="job that answers for PTB, all its seeds")
    parser.add_argument(
        "--multi30k", default="multi30k.gru.floor_denoise", help="job that answers for Multi30k, all its seeds"
    )
    parser.add_argument("--yelp", default="yelp.gru.rate_max.0", help="run that answers for Yelp")
    parser.add_argument("--guidance", type=float, default=0.55, help="weight of the latent in the Yelp samples")
    parser.add_argument("--dsentences", default="ae_fb", help="recipe that answers for disentanglement")
    parser.add_argument("--parts", default="likelihood,dsentences,reconstruction,samples")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    parts = {
        "likelihood": lambda: likelihood(arguments.ptb, arguments.multi30k),
        "dsentences": lambda: disentangled(arguments.dsentences),
        "reconstruction": lambda: reconstruction(arguments.runs / arguments.yelp, arguments.data),
        "samples": lambda: samples(arguments.runs / arguments.yelp, arguments.data, arguments.lm, arguments.guidance),
    }
    for part in arguments.parts.split(","):
        rows = parts[part]()
        write_results("bars", rows)
        sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']})\n" for r in rows))


def likelihood(ptb: str, multi30k: str) -> list[dict[str, Any]]:
    """Return the rows of what the language benchmark measured: means over the seeds that a job and its LM both have."""
    measured = {r["id"]: r for r in json.loads((ROOT / "results" / "language.json").read_text())["rows"]}

    def of_seeds(id: str, job: str, key: str, bar: str, *, less_lm: bool = False) -> dict[str, Any]:
        lm = f"{job.rpartition('.')[0]}.lm"
        ids = [r for r in measured if re.fullmatch(rf"language\.{re.escape(job)}\.\d+\.{key}", r)]
        seeds = sorted(measured[r]["seed"] for r in ids if f"language.{lm}.{measured[r]['seed']}.nll" in measured)
        rows = [measured[f"language.{job}.{seed}.{key}"] for seed in seeds]
        if not rows:
            sys.exit(f"results/language.json lacks {job} or {lm} of the same seed: run benchmark_language.py first")
        values = [r["value"] for r in rows]
        if less_lm:
            values = [v - measured[f"language.{lm}.{s}.{key}"]["value"] for v, s in zip(values, seeds, strict=True)]
        note = f"{job}, less {lm}" if less_lm else f"{job}: {rows[0]['note']}"
        note += "; seeds " + ", ".join(f"{s}: {v:.4g}" for s, v in zip(seeds, values, strict=True))
        return row(id, statistics.mean(values), n=rows[0]["n"], bar=bar, note=note)

    return [
        of_seeds("ptb.word_ppl", ptb, "word_perplexity", "<= 92, and below ptb.lm_word_ppl"),
        of_seeds("ptb.lm_word_ppl", f"{ptb.rpartition('.')[0]}.lm", "word_perplexity", "-"),
        of_seeds("ptb.kl", ptb, "kl", ">= 6.5"),
        of_seeds("ptb.active_fraction", ptb, "active_fraction", "1"),
        of_seeds("multi30k.gap_nats", multi30k, "nll", "<= 0.7", less_lm=True),
        of_seeds("multi30k.kl", multi30k, "kl", ">= 9"),
        of_seeds("multi30k.active_fraction", multi30k, "active_fraction", "1"),
    ]


def disentangled(recipe: str) -> list[dict[str, Any]]:
    """Return the scores of a recipe beside the beta-VAE's."""
    content = json.loads((ROOT / "results" / "disentanglement.json").read_text())
    measured = {r["id"]: r for r in content["rows"]}
    rows = []
    for id, key in (("dsentences.mig", "mig"), ("dsentences.dci", "dci_disentanglement")):
        ours, other = (measured[f"dsentences.{name}.{key}"] for name in (recipe, "beta_vae"))
        bar = f"> {other['value']:.3f}, the beta-VAE"
        rows.append(
            row(id, ours["value"], n=ours["n"], bar=bar, note=f"{recipe}: {ours['note']}; beta-VAE: {other['note']}")
        )
    return rows


def reconstruction(run: Path, data: Path) -> list[dict[str, Any]]:
    """Measure what comes back of Yelp's test sentences."""
    vae = TextVAE.from_pretrained(run)
    texts = readable(vae.tokenizer, read_corpus(data / "yelp" / "test.tsv", column="1", limit=SENTENCES))
    latents = vae.encode(texts)
    ways: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "": (f"{BEAMS} beams", lambda: vae.decode(latents, num_beams=BEAMS)),
        ".greedy": ("greedy", lambda: vae.decode(latents)),
        ".refined": (
            f"greedy, refined {REFINEMENTS} times", lambda: vae.decode(latents, refinements=REFINEMENTS)
        ),
    }  # fmt: skip
    return [
        row(f"yelp.recon_bleu{way}", bleu(write(), texts), n=len(texts), seed=0, bar=">= 65",
            note=f"{run.name}, D={vae.dim}, from mu, {note}")
        for way, (note, write) in ways.items()
    ]  # fmt: skip


def samples(run: Path, data: Path, lm: str, guidance: float) -> list[dict[str, Any]]:
    """Measure what one run writes from the prior and between sentences of Yelp."""
    vae = TextVAE.from_pretrained(run)
    test = read_corpus(data / "yelp" / "test.tsv", column="1", limit=SENTENCES)
    report = evaluate(vae, test, num_samples=1, n_prior=SAMPLES, n_paths=PATHS, lm=lm, reverse=True, guidance=guidance)
    real = readable(vae.tokenizer, read_corpus(data / "yelp" / "train.tsv", column="1", limit=SAMPLES))
    judge = SentenceLM(vae.tokenizer, max_length=vae.model.config.max_length).fit(real)
    of_real = word_perplexity(judge.nats(test), test)
    assert report.reverse_perplexity is not None
    values = {
        "yelp.sample_ppl_ratio": (
            report.sample_ppl_ratio, SAMPLES, "<= 1.4", f"{run.name}, {SAMPLES:,} samples, guidance {guidance:g}",
        ),
        "yelp.duplicates": (report.duplicates, SAMPLES, "< 0.01", f"{SAMPLES:,} samples"),
        "yelp.reverse_ppl_ratio": (
            report.reverse_perplexity / of_real, len(test), "<= 1.35",
            f"{report.reverse_perplexity:.1f} over {of_real:.1f}: a small LM trained on {SAMPLES:,} samples or "
            "training sentences, scored on the test sentences",
        ),
        "yelp.interpolation_ratio": (report.interpolation_ratio, PATHS, "<= 1.1", f"{PATHS} slerp paths of 7"),
    }  # fmt: skip
    return [row(id, value, n=n, seed=0, bar=bar, note=note) for id, (value, n, bar, note) in values.items()]


if __name__ == "__main__":
    main()
