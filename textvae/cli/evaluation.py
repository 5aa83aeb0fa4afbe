"""Verbs that measure and draw: eval, score, plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ..latent.hub import is_hub_name
from ..storage.folders import open_folder
from ..storage.row_files import TABLES, save_record
from .errors import UsageError
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Seed,
    Source,
    at_least,
    can_write_file,
    folder_of,
    names_a_folder,
)
from .training import METRICS

REPORTS = (".json", *TABLES, ".txt")


def evaluate(
    run: Run,
    texts: Source,
    /,
    *,
    num_samples: int = 128,
    n_prior: int = 1000,
    n_paths: int = 100,
    lm: str | None = None,
    reverse: bool = False,
    prior: Literal["fitted", "standard"] = "fitted",
    guidance: float | None = None,
    factor: Sequence[str] = (),
    seed: Seed = 0,
    output: Output | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Measure a model on held-out texts: likelihood, reconstruction, use of the latent, variety, fluency, geometry.

    Args:
        texts: File of texts, a data set on the hub, or - for standard input.
        num_samples: Importance samples per text; more of them tighten the likelihood bound.
        n_prior: Texts sampled from the prior.
        n_paths: Interpolations between random pairs of the texts.
        lm: Folder or hub id of a causal LM that judges fluency.
        reverse: Train a small LM on the samples and score the texts with it; use with --n-prior 10000.
        prior: Sample from the prior fitted to the latents of the training texts, or from N(0, I).
        guidance: Weight of the latent in the samples, as in textvae sample.
        factor: Column with a known factor of the texts, such as their tense, for disentanglement scores; once for
            each factor.
        seed: Seed of everything random.
        output: Also write the report to this file: .json, a row of .jsonl, .csv, .tsv or .parquet, or .txt.
    """
    at_least(1, "--num-samples", num_samples)
    at_least(1, "--n-prior", n_prior)
    at_least(1, "--n-paths", n_paths)
    can_write_file(output, REPORTS)
    rows = list(reading.rows(texts, printing, factor))
    corpus = [str(row["text"]) for row in rows]
    vae = device.load(run)
    from ..evaluation import evaluate as measure
    from ..evaluation.disentanglement import codes

    report = measure(
        vae,
        corpus,
        num_samples=num_samples,
        n_prior=n_prior,
        n_paths=n_paths,
        lm=lm,
        reverse=reverse,
        prior=prior,
        guidance=guidance,
        factors=codes([[row[name] for name in factor] for row in rows]) if factor else None,
        seed=seed,
    )
    if printing.json:
        printing.facts(report.to_dict())
    else:
        for line in str(report).splitlines():
            printing.result({}, line)
    if output:
        save_record(output, report.to_dict(), str(report))


def score(
    run: Run,
    corpus: Source,
    /,
    *,
    by: Literal["likelihood", "width", "distance"] = "likelihood",
    k: Annotated[int | None, Parameter(name="-k")] = None,
    num_samples: int = 16,
    seed: Seed = 0,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Rank the texts of a corpus by how unusual they are under a model.

    Prints, for each text and the most unusual first, its nats per word, the width of its posterior, its distance from
    the prior and the text itself, separated by tabs. Likelihood detects unusual texts best, distance worst.

    Args:
        corpus: File of texts, a data set on the hub, or - for standard input.
        by: Sort by likelihood (most nats per word first), width (smallest mean log standard deviation of the posterior
            first) or distance (largest Mahalanobis distance from the prior first).
        k: Print this many texts; by default all.
        num_samples: Importance samples of each likelihood.
        seed: Seed of the importance samples.
    """
    at_least(1, "k", 1 if k is None else k)
    at_least(1, "--num-samples", num_samples)
    texts = list(reading.texts(corpus, printing))
    vae = device.load(run)
    from ..evaluation.surprise import novelty

    scores = novelty(vae, texts, num_samples=num_samples, seed=seed)
    order = {"likelihood": -scores.nats_per_word, "width": scores.width, "distance": -scores.distance}[by]
    for i in order.argsort(kind="stable")[:k].tolist():
        nats, width, distance = (float(each[i]) for each in (scores.nats_per_word, scores.width, scores.distance))
        record = {"text": texts[i], "nats_per_word": nats, "width": width, "distance": distance}
        printing.result(record, f"{nats:.3f}\t{width:.3f}\t{distance:.3f}\t{texts[i]}")


def plot(
    run: Path,
    corpus: Source | None = None,
    /,
    *,
    label: str | None = None,
    axes: Literal["auto", "pca", "umap", "pacmap"] = "auto",
    output: Output | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Draw the training curves of a run; with a corpus, its map in latent space and the latents beside the prior.

    Args:
        run: Run folder, or org/name on the hub.
        corpus: Texts to draw: map.png, map.html and dimensions.png beside the curves, if there are any.
        label: Column of the corpus that colours the map.
        axes: Projection of the map: pacmap keeps neighbours, pca distances; auto is pacmap if installed, else pca.
        output: Picture of the curves, by default training.png in the run folder; with a corpus, the folder of all.
        reading: How the texts are read; --limit keeps the map small.
        device: Where the model runs.
        printing: What is printed.
    """
    if is_hub_name(run):
        run = folder_of(run)
        if output is None:
            raise UsageError("a run on the hub is not a local folder: choose where to write the pictures with --output")
    if not run.is_dir():
        open_folder(run, "run", "config.json")
    if label is not None and corpus is None:
        raise UsageError("--label needs a corpus to draw")
    if corpus is not None and output is not None:
        names_a_folder(output, "the place of several pictures")
    from ..evaluation import plots as pictures

    if corpus is None:
        paths = [pictures.plot_training(run, output)]
    else:
        rows = list(reading.rows(corpus, printing, [label] if label else []))
        folder = output or run
        trained = (run / METRICS).exists()
        paths = [pictures.plot_training(run, folder / "training.png")] if trained else []
        texts = [str(row["text"]) for row in rows]
        posterior = device.load(run).posterior(texts)
        labels = [str(row[label]) for row in rows] if label else None
        means = posterior.mean.numpy()
        paths += pictures.plot_map(means, texts, labels, folder / "map.png", axes)
        paths.append(pictures.plot_dimensions(means, posterior.std.numpy(), folder / "dimensions.png"))
    for path in paths:
        printing.result({"picture": str(path)}, str(path))
