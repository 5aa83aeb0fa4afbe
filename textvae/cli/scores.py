"""The verb that scores single texts: which of them are unusual."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .options import DEVICE, PRINTING, READING, Device, Printing, Reading, Seed, Source, at_least


def score(
    run: Path,
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
    """Find the texts of a corpus that are unusual to a model.

    Prints, for each text and the most unusual first, its nats per word, the width of its posterior, its distance from
    the prior and the text itself, separated by tabs. The likelihood tells unusual texts best, the distance worst.

    Args:
        run: Run folder.
        corpus: File of texts, a data set on the hub, or - for standard input.
        by: What comes first: likelihood, most nats per word; width, the smallest mean log standard deviation of the
            latent; distance, the latent farthest from those that the prior was fitted to.
        k: Print this many texts; by default all.
        num_samples: Importance samples of each likelihood.
        seed: Seed of the importance samples.
        reading: How the corpus is read.
        device: Where the model runs.
        printing: What is printed.
    """
    at_least(1, "k", 1 if k is None else k)
    at_least(1, "--num-samples", num_samples)
    texts = list(reading.texts(corpus, printing))
    vae = device.load(run)
    from ..evaluation.novelty import novelty

    scores = novelty(vae, texts, num_samples=num_samples, seed=seed)
    order = {"likelihood": -scores.nats_per_word, "width": scores.width, "distance": -scores.distance}[by]
    for i in order.argsort(kind="stable")[:k].tolist():
        nats, width, distance = (float(each[i]) for each in (scores.nats_per_word, scores.width, scores.distance))
        record = {"text": texts[i], "nats_per_word": nats, "width": width, "distance": distance}
        printing.result(record, f"{nats:.3f}\t{width:.3f}\t{distance:.3f}\t{texts[i]}")
