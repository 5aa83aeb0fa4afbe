"""Find planted foreign sentences by how unusual they are to a model and to n-grams; into results/outliers.json.

    python benchmarks/outliers.py --data DATA --run RUN [--split test]

DATA holds yelp/, ptb/, brown/, multi30k/ and wordnet/; RUN was trained on yelp/train.tsv, and so are the n-gram models,
once on words (those seen once are unknown), once on the tokens of the run. Foreign are sentences of the other corpora,
lower-cased like Yelp's and of 5 to 15 words, and sentences of Yelp itself with their words shuffled. A number is the
area under the ROC curve by which a score ranks the foreign sentences above Yelp's held-out ones.
"""

from __future__ import annotations

import argparse
import csv
import logging
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from results import row, write_results
from textvae import TextVAE
from textvae.evaluation.surprise import novelty
from textvae.text.corpus import read_corpus

ORDER, HOME, FOREIGN = 3, 1000, 100  # words of an n-gram, sentences at home, and of each foreign kind
SHORTEST, LONGEST = 5, 15
BARS = {"outlier.auroc": "above the n-grams", "outlier.ngram_auroc": "-", "outlier.ngram_tokens": "-"}
LEAST = 1e-9  # probability of a token that was never seen
OTHERS = {  # file, column
    "brown": ("brown/brown.tsv", "sentence"),
    "ptb": ("ptb/{split}.txt", None),
    "multi30k": ("multi30k/{split}.tsv", "1"),
    "wordnet": ("wordnet/glosses.tsv", "definition"),
}

Split = Callable[[str], Sequence[str]]


def main() -> None:
    """Plant, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--run", type=Path, required=True, help="a run trained on yelp/train.tsv")
    parser.add_argument("--split", default="test", choices=["valid", "test"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    vae = TextVAE.from_pretrained(arguments.run)
    texts, foreign = planted(arguments.data, arguments.split, random.Random(arguments.seed))
    train = read_corpus(arguments.data / "yelp" / "train.tsv", column="1")
    found = novelty(vae, texts, seed=arguments.seed)
    scores = {
        "auroc": found.nats_per_word,
        "width": -found.width,
        "distance": found.distance,
        "ngram_auroc": ngram_nats(train, texts, str.split, cutoff=2),
        "ngram_tokens": ngram_nats(train, texts, vae.tokenizer.tokenize, cutoff=1),
    }
    rows = [
        measured(name, kind, score, foreign, arguments)
        for kind in ("all", *OTHERS, "shuffled")
        for name, score in scores.items()
    ]
    sys.stdout.write("".join(f"{r['id']}: {r['value']:.4f} (bar {r['bar']})\n" for r in rows))
    write_results("outliers", rows)


def planted(data: Path, split: str, generator: random.Random) -> tuple[list[str], np.ndarray]:
    """Return sentences, and the kind of each foreign one, "" for those at home."""
    yelp = chosen(read_corpus(data / "yelp" / f"{split}.tsv", column="1"), HOME + FOREIGN, generator)
    kinds = {"": yelp[:HOME], "shuffled": [shuffled(text, generator) for text in yelp[HOME:]]}
    for kind, (file, column) in OTHERS.items():
        path = data / file.format(split=split)
        if column is None or column.isdigit():
            found = read_corpus(path, column=column)
        else:
            with path.open(encoding="utf-8", newline="") as lines:
                found = [line[column] for line in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
        kinds[kind] = chosen(found, FOREIGN, generator)
    return [text for found in kinds.values() for text in found], np.repeat(
        list(kinds), [len(found) for found in kinds.values()]
    )


def chosen(texts: Sequence[str], count: int, generator: random.Random) -> list[str]:
    """Return some texts of the lengths that are compared, lower-cased, without marks of what was taken out."""
    fit = [text.lower() for text in texts if SHORTEST <= len(text.split()) <= LONGEST and "<unk>" not in text]
    return generator.sample(fit, count)


def shuffled(text: str, generator: random.Random) -> str:
    """Return a text with its words in another order."""
    words = text.split()
    while words == text.split():
        generator.shuffle(words)
    return " ".join(words)


def ngram_nats(train: Sequence[str], texts: Sequence[str], split: Split, cutoff: int) -> np.ndarray:
    """Return nats per unit, and one end, by Witten-Bell smoothing; units seen less than `cutoff` times are one."""
    from nltk.lm import Vocabulary, WittenBellInterpolated
    from nltk.lm.preprocessing import pad_both_ends, padded_everygram_pipeline
    from nltk.util import ngrams

    grams, units = padded_everygram_pipeline(ORDER, [list(split(text.lower())) for text in train])
    model = WittenBellInterpolated(ORDER, vocabulary=Vocabulary(unk_cutoff=cutoff))
    model.fit(grams, units)
    nats = []
    for text in texts:
        padded = [*pad_both_ends(list(split(text)), ORDER)]
        own = list(ngrams(model.vocab.lookup(padded), ORDER))[: len(padded) - 2 * (ORDER - 1) + 1]
        chances = [max(model.score(gram[-1], gram[:-1]), LEAST) for gram in own]
        nats.append(-np.mean(np.log(chances)))
    return np.array(nats)


def measured(
    name: str, kind: str, score: np.ndarray, foreign: np.ndarray, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the row of a score against a kind of foreign sentences, or against all from other corpora."""
    planted_here = (foreign == kind) if kind != "all" else np.isin(foreign, list(OTHERS))
    counted = planted_here | (foreign == "")
    value = float(roc_auc_score(planted_here[counted], score[counted]))
    id = f"outlier.{name}" if kind == "all" else f"outlier.{kind}.{name}"
    note = f"{kind}: {planted_here.sum()} among {HOME}, yelp {arguments.split}; {arguments.run.name}"
    bar = BARS.get(id)
    return row(id, value, n=int(counted.sum()), seed=arguments.seed, bar=bar, note=note)


if __name__ == "__main__":
    main()
