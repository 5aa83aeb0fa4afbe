"""Train the model of reviews, on which attribute shift is measured: the English model goes on with their sentences.

    python scripts/train_reviews.py --data DATA --teacher FOLDER -o runs/yelp [NAME=VALUE ...]

DATA holds train.tsv and valid.tsv, a label, a tab and a sentence a line; the labels are not read. The
options of the recipe can be changed. The same seed and number of threads make the same model on one processor.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from textvae import TrainConfig, train
from textvae.text.corpus import read_corpus

ENGLISH = Path(__file__).resolve().parents[1] / "data" / "models" / "english"
RECIPE: dict[str, Any] = dict(
    from_=str(ENGLISH), epochs=5.0, batch_tokens=1024, learning_rate=1e-3, lr_warmup=200, beta=0.001, free_bits=0.5,
    distillation=100.0, from_teacher=0.1, open_all=0.5, open_some=0.8, latent_dropout=0.15, noise_mask=0.1,
)  # fmt: skip


def main() -> None:
    """Read the sentences, train, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE", help="options of the recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.tsv and valid.tsv")
    parser.add_argument(
        "--teacher", required=True, help="folder or hub id of the sentence encoder that meaning follows"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    changes = dict(option.split("=", 1) for option in arguments.options)
    given = {name: type(RECIPE[name])(value) for name, value in changes.items()}
    config = TrainConfig(teacher=arguments.teacher, **RECIPE | given)
    sentences, valid = (read_corpus(arguments.data / f"{part}.tsv", column="1") for part in ("train", "valid"))
    start = time.monotonic()
    train(sentences, arguments.output, config, valid=valid[:2000], resume=arguments.resume)
    sys.stdout.write(f"{len(sentences):,} sentences, {(time.monotonic() - start) / 60:.1f} minutes\n")


if __name__ == "__main__":
    main()
