"""Measure what each prior and what guidance gains in samples.

    python benchmarks/prior.py --data DATA --run RUN --lm FOLDER [--components 1 20 100]

RUN was trained on yelp/train.tsv of DATA. The samples' perplexity under the causal LM is divided by that of real
sentences; drawing from the posteriors of training sentences is what no fitted prior can beat. Guidance is measured on
draws of the fitted Gaussian, and beside it what it costs in reconstruction. Rows go to results/prior.json.

    python benchmarks/prior.py --pack PACK --run RUN --lm FOLDER [--steps 1500]

compares the standard, the mixture, the exemplar and the flow prior of a model of scripts/train_english.py, as
prior.flow.*: how far their draws lie from the latents of sentences that no prior was fitted to (sliced Wasserstein
distance; the accuracy of a classifier, 0.5 if they are alike), and how natural the texts are that are written from the
meaning alone.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

from results import ROOT, row, write_results
from textvae import TextVAE
from textvae.evaluation.fluency import OutsideLM, word_perplexity
from textvae.evaluation.text_scores import bleu, distinct, duplicates
from textvae.latent.priors import MixturePrior, prior_class
from textvae.text.corpus import read_corpus

sys.path.insert(0, str(ROOT / "scripts"))
from english_corpus import UNSEEN, read_pack
from english_measure import Naturalness, repeating

POINTS = 2000  # latents of each sample that are compared
DIRECTIONS = 500


def main() -> None:
    """Fit each prior to the latents of training sentences and judge what it draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    corpus = parser.add_mutually_exclusive_group(required=True)
    corpus.add_argument("--data", type=Path, help="folder with yelp/")
    corpus.add_argument("--pack", type=Path, help="a pack of scripts/english_corpus.py")
    parser.add_argument("--run", type=Path, required=True, help="a run trained on yelp/train.tsv, or on the pack")
    parser.add_argument("--lm", required=True, help="folder or hub id of the causal LM that judges fluency")
    parser.add_argument(
        "--components", type=int, nargs="+", default=[1, 20, 100], help="Gaussians of the fitted priors"
    )
    parser.add_argument(
        "--fitted-to", type=int, default=20_000, help="training sentences that the priors are fitted to"
    )
    parser.add_argument("--guidance", type=float, nargs="*", default=[1.2, 1, 0.9, 0.8, 0.7, 0.6, 0.4])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, help="of the flow's training; by default the library's")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.pack:
        compare_flow(arguments)
    else:
        compare_gaussians(arguments)


def compare_gaussians(arguments: argparse.Namespace) -> None:
    """Judge Gaussians, mixtures and guidance on Yelp."""
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
    replaced = ("prior.real", "prior.standard", "prior.gaussians", "prior.posteriors", "guidance.")
    write_results("prior", rows, replaces=replaced)


def compare_flow(arguments: argparse.Namespace) -> None:
    """Judge the registered priors on the English corpus, by latents and by texts."""
    corpus, vae = read_pack(arguments.pack), TextVAE.from_pretrained(arguments.run)
    fitted_to, n, seed = arguments.fitted_to, arguments.samples, 0
    others = corpus.train[
        fitted_to : fitted_to + POINTS
    ]  # the model was trained on them, but no prior was fitted to them
    posterior, held_out = vae.posterior(corpus.train[:fitted_to]), vae.posterior(others)
    wanted = held_out.sample(generator=torch.Generator().manual_seed(seed)).numpy()
    latents = {"posteriors": posterior[:POINTS].sample(generator=torch.Generator().manual_seed(1)).numpy()}
    rows: list[dict[str, Any]] = []
    for kind in ("standard", "mixture", "exemplar", "flow"):
        start = time.process_time()
        options = {"steps": arguments.steps} if kind == "flow" else {}
        prior = prior_class(kind).fit(posterior, None, seed, **options)
        rows.append(row(f"prior.flow.{kind}.fit_cpu_seconds", time.process_time() - start, n=fitted_to, seed=seed))
        latents[kind] = prior.sample(POINTS, seed)
    for name, points in latents.items():
        drawn, held = vae.on_sphere(points), vae.on_sphere(wanted)
        rows += [
            row(f"prior.flow.{name}.sliced_wasserstein", sliced_wasserstein(drawn, held, seed), n=POINTS, seed=seed),
            row(f"prior.flow.{name}.classifier_accuracy", told_apart(drawn, held, seed), n=POINTS, seed=seed),
        ]
        sys.stdout.write(f"{name}: {rows[-2]['value']:.4f} {rows[-1]['value']:.3f}\n")
    write_results("prior", rows, replaces="prior.flow.")
    real = [text for source, texts in corpus.dev.items() if source not in UNSEEN for text in texts]
    real = [real[i] for i in np.random.default_rng(seed).permutation(len(real))[:n]]
    judge = Naturalness(arguments.lm, real, corpus.train[:fitted_to])
    for name, points in latents.items():
        samples = vae.decode(points[:n])
        values = judge(samples) | {"duplicates": duplicates(samples), "repeating": repeating(samples)}
        note = " | ".join(samples[:5])
        rows += [row(f"prior.flow.{name}.{key}", value, n=n, seed=seed, note=note) for key, value in values.items()]
        sys.stdout.write(f"{name}: {values}  {note}\n")
    write_results("prior", rows, replaces="prior.flow.")


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return the root mean square distance of sorted projections on random directions, for (N, D) and (N, D)."""
    directions = np.random.default_rng(seed).standard_normal((a.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    return float(np.sqrt(np.square(np.sort(a @ directions, 0) - np.sort(b @ directions, 0)).mean()))


def told_apart(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return the accuracy of a small network on halves of two samples (N, D) that it was not trained on."""
    points, labels = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    order = np.random.default_rng(seed).permutation(len(points))
    learnt, judged = np.array_split(order, 2)
    classifier = MLPClassifier((128,), alpha=1.0, early_stopping=True, random_state=seed)
    return float(classifier.fit(points[learnt], labels[learnt]).score(points[judged], labels[judged]))


if __name__ == "__main__":
    main()
