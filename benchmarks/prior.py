"""Measure what each prior and what guidance gains in samples.

    python benchmarks/prior.py --data DATA --run RUN --lm FOLDER [--components 1 20 100]

RUN was trained on yelp/train.tsv of DATA. The samples' perplexity under the causal LM is divided by that of real
sentences; drawing from the posteriors of training sentences is what no fitted prior can beat. Guidance is measured on
draws of the fitted Gaussian, and beside it what it costs in reconstruction. Rows go to results/prior.json.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from results import row, write_results
from textvae import TextVAE
from textvae.evaluation.fluency import OutsideLM, word_perplexity
from textvae.evaluation.text_scores import bleu, distinct, duplicates
from textvae.latent.priors import MixturePrior
from textvae.text.corpus import read_corpus


def main() -> None:
    """Fit each prior to the latents of training sentences and judge what it draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--run", type=Path, required=True, help="a run trained on yelp/train.tsv")
    parser.add_argument("--lm", required=True, help="folder or hub id of the causal LM that judges fluency")
    parser.add_argument(
        "--components", type=int, nargs="+", default=[1, 20, 100], help="Gaussians of the fitted priors"
    )
    parser.add_argument(
        "--fitted-to", type=int, default=20_000, help="training sentences that the priors are fitted to"
    )
    parser.add_argument("--guidance", type=float, nargs="*", default=[1.2, 1, 0.9, 0.8, 0.7, 0.6, 0.4])
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    vae, judge = TextVAE.from_pretrained(arguments.run), OutsideLM(arguments.lm)
    seen = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=arguments.fitted_to)
    real = read_corpus(arguments.data / "yelp" / "test.tsv", column="1", limit=arguments.samples)
    posterior = vae.posterior(seen)
    n, seed = arguments.samples, 0
    latents = {"standard": np.random.default_rng(seed).standard_normal((n, vae.dim), dtype=np.float32)}
    for components in arguments.components:
        latents[f"gaussians_{components}"] = MixturePrior.fit(posterior, components, seed).sample(n, seed)
    latents["posteriors"] = posterior[:n].sample(generator=torch.Generator().manual_seed(seed)).numpy()
    of_real = word_perplexity(judge.nats(real), real)
    rows = [row("prior.real.perplexity", of_real, n=len(real), note="yelp test sentences, per word")]
    for name, points in latents.items():
        samples = vae.decode(points)  # guidance 1
        ratio = word_perplexity(judge.nats(samples), samples) / of_real
        note = " | ".join(samples[:5])
        rows.append(row(f"prior.{name}.sample_ppl_ratio", ratio, n=n, seed=seed, note=note))
        rows.append(row(f"prior.{name}.duplicates", duplicates(samples), n=n, seed=seed))
        sys.stdout.write(f"{name}: {ratio:.2f}  {note}\n")
    heard = vae.encode(real)
    for guidance in arguments.guidance:
        samples = vae.decode(latents["gaussians_1"], guidance=guidance)
        ratio = word_perplexity(judge.nats(samples), samples) / of_real
        name, note = f"guidance.{guidance:g}", " | ".join(samples[:5])
        rows += [
            row(f"{name}.sample_ppl_ratio", ratio, n=n, seed=seed, note=note),
            row(f"{name}.duplicates", duplicates(samples), n=n, seed=seed),
            row(f"{name}.distinct_2", distinct(samples, 2), n=n, seed=seed),
            row(f"{name}.recon_bleu", bleu(vae.decode(heard, guidance=guidance), real), n=len(real)),
        ]
        sys.stdout.write(f"guidance {guidance:g}: {ratio:.2f}  {note}\n")
    write_results("prior", rows, replaces=("prior.", "guidance."))


if __name__ == "__main__":
    main()
