"""Make the model that ships, data/models/english, of a run of scripts/train_english.py: prior, calibration, card.

    python scripts/ship_english.py --run runs/english/RUN/model --corpus PACK
    python benchmarks/english.py --run data/models/english ...      # results/english.json
    python scripts/ship_english.py --card --corpus PACK             # the card, from results/english.json

The prior is fitted to the latents of training sentences, familiarity is calibrated on held-out ones, and the weights
are stored in 16 bits.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from english_corpus import UNSEEN, Corpus, read_corpus
from english_loop import Recipe

from textvae.latent.vae import TextVAE

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from results import ROOT, row, write_results

FOLDER = ROOT / "data" / "models" / "english"
PRIOR_TEXTS = 30_000
CALIBRATION_TEXTS = 100  # of each held-out source
SAID = {
    "recon_bleu": "BLEU of reconstructions, greedy from mu",
    "recon_exact_match": "sentences that come back word for word",
    "recon_bleu.exact": "BLEU from exact latents, at most 50 steps",
    "recon_bleu.new": "BLEU of reconstructions, two sources left out of training",
    "noise.bleu": "BLEU from draws of the posterior",
    "meaning.cosine": "texts from the meaning alone: teacher's cosine to the source",
    "meaning.natural": "the same: share above the median naturalness of real sentences",
    "valid": "samples: share above the 5th percentile of the naturalness of real sentences",
    "natural": "samples: share above their median",
    "duplicates": "samples: share of repeats among 1,000",
    "midpoint_natural": "midpoints of neighbours: share above the median naturalness of real sentences",
    "sts_dev": "STS-B dev, Spearman of cosines",
    "scifact": "SciFact train queries, nDCG@10",
    "vary.similarity": "variations: teacher's cosine to the source",
    "vary.self_bleu": "variations: BLEU against the source",
    "vary.natural": "variations: share above the median naturalness of real sentences",
    "vary.distinct": "variations: share that differ from the source and from each other",
    "invert.cosine": "from bare all-MiniLM-L6-v2 embeddings: cosine of the text's own embedding",
    "invert.bleu": "the same: BLEU",
    "shift.accuracy": "sentiment moved, 100 + 100 examples: accuracy",
    "shift.similarity": "the same: teacher's cosine to the source",
    "shift.natural": "the same: share above the median naturalness of real sentences",
    "encode_vs_minilm": "sentences encoded per second, over sentence-transformers' MiniLM in fp32",
    "megabytes": "size on disk, MB",
}
SOURCES = {  # name: what it is, licence
    "wikipedia": ("encyclopaedia (English Wikipedia)", "CC BY-SA"),
    "standardebooks_fiction": ("fiction before 1930 (Standard Ebooks)", "CC0, public domain"),
    "imdb_reviews": ("film reviews (Maas et al. 2011)", "public for research"),
    "changelog_talk": ("spoken dialogue of podcasts (The Changelog)", "CC BY-SA 4.0"),
    "recipes": ("cooking instructions", "MIT repository; texts of recipe sites"),
    "newsgroups20": ("Usenet discussion (20 Newsgroups)", "public, no explicit licence"),
    "sgd_dialogues": ("task dialogue (Schema-Guided Dialogue)", "CC BY-SA 4.0"),
    "product_reviews": ("product reviews (Blitzer et al. 2007)", "public for research"),
    "debian_descriptions": ("descriptions of software (Debian)", "of each package"),
    "medquad": ("health questions and answers (MedQuAD)", "CC BY 4.0"),
    "fnc_news": ("news of 2014 to 2016 (Fake News Challenge)", "of the publishers; research"),
    "abc_news": ("rural and science news (ABC, NLTK)", "research"),
    "counsel_chat": ("counselling questions and answers", "MIT repository"),
    "state_union": ("political speech", "public domain"),
    "inaugural": ("political speech", "public domain"),
    "yelp": ("review sentences (Yelp style-transfer corpus)", "research"),
    "multi30k": ("captions of photographs (Multi30k)", "research"),
    "wordnet_definitions": ("definitions of words (WordNet 3.0)", "WordNet licence"),
    "wordnet_examples": ("usage examples of words (WordNet 3.0)", "WordNet licence"),
}


def main() -> None:
    """Fit, calibrate, save; or write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="folder of the trained model")
    parser.add_argument("--before", type=Path, nargs="*", default=[], help="models it was trained on from, in order")
    parser.add_argument("--corpus", type=Path, required=True, help="pack, or folder with the sources")
    parser.add_argument("--card", action="store_true", help="only write the card, from results/english.json")
    parser.add_argument("--prior-texts", type=int, default=PRIOR_TEXTS, help="texts that the prior is fitted to")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the model that ships")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    torch.set_num_threads(1)
    corpus = read_corpus(arguments.corpus)
    if not arguments.card:
        if arguments.run is None:
            raise SystemExit("give the trained model: --run FOLDER")
        vae = TextVAE.from_pretrained(arguments.run, "cpu")
        vae.fit_prior(corpus.train[: arguments.prior_texts])
        vae.calibrate(
            [text for name in corpus.dev if name not in UNSEEN for text in corpus.dev[name][:CALIBRATION_TEXTS]]
        )
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        vae.save_pretrained(arguments.output, dtype="bfloat16")
        write_results("english", [minutes([model.parent for model in (*arguments.before, arguments.run)])])
        sys.stdout.write("".join(text + "\n" for text in vae.sample(10, seed=0)))
    (arguments.output / "README.md").write_text(card(corpus, arguments.output), encoding="utf-8")


def minutes(runs: Sequence[Path]) -> dict[str, Any]:
    """Return the row that says how long runs were trained, each on from the one before, and on what."""
    total, notes = 0.0, []
    for run in runs:
        last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        state = json.loads((run / "checkpoint" / "state.json").read_text())
        recipe = ", ".join(f"{k}={v}" for k, v in state["recipe"].items() if v != getattr(Recipe(), k))
        notes.append(
            f"{last['tokens'] / 1e6:.1f} million tokens in {last['minutes']:.0f} minutes of one core; {recipe}"
        )
        total += last["minutes"]
    return row("english.minutes", total, seed=state["recipe"]["seed"], note=". Then ".join(notes))


def card(corpus: Corpus, folder: Path) -> str:
    """Return the model card, with the numbers of results/english.json that are there."""
    path = ROOT / "results" / "english.json"
    rows = {row["id"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
    table = [
        f"| {title} | {form(rows[f'english.{key}']['value'])} | {rows[f'english.{key}']['bar'] or ''} |"
        for key, title in SAID.items()
        if f"english.{key}" in rows
    ]
    trained: Any = rows.get("english.minutes", {"note": "not stated"})
    sources = [f"| {SOURCES[name][0]} | {SOURCES[name][1]} |" for name in corpus.dev if name not in UNSEEN]
    return CARD.format(
        table="\n".join(table),
        sources="\n".join(sources),
        unseen=" and ".join(SOURCES[name][0] for name in UNSEEN),
        trained=trained["note"],
        config=json.loads((folder / "config.json").read_text())["latent_dim"],
    )


def form(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


CARD = """# english

A text variational autoencoder for general English sentences of 3 to 24 words, in natural case. Its latent has two
parts: the **meaning**, {config} numbers in the space of all-MiniLM-L6-v2, which search compares and attributes move,
and the **wording**, a slot of 32 numbers for every four tokens, which brings a sentence back word for word.

```python
from textvae import TextVAE

vae = TextVAE.from_pretrained("data/models/english")
vae.reconstruct(["Could you please send me the invoice for order 4471?"])
```

## Measured

On held-out sentences of each source, at most 24 words. Written by `scripts/ship_english.py` from
`results/english.json`, which `benchmarks/english.py` measures; bars that were missed are left in the table.

| | measured | bar |
|---|---|---|
{table}

## Trained on

{trained}

| source | licence of the texts |
|---|---|
{sources}

Two sources were left out of training, to measure kinds of text that are new to the model: {unseen}.
The sentences themselves are not shipped. The meaning was learnt from embeddings of all-MiniLM-L6-v2 (Apache-2.0).

## How

`scripts/train_english.py` trains it, `scripts/ship_english.py` fits the prior to 30,000 training sentences and
calibrates familiarity on held-out ones. Weights are stored in bfloat16.

## Limits

A sentence comes back well. Texts from the meaning alone, and so samples, blends, midpoints and large shifts, say
roughly the right thing and are often not good English: the decoder is small and was trained briefly. Names, numbers
and rare words are lost there. It has the biases of its sources, it knows no facts, and nobody has checked what it
writes.

Licence: Apache-2.0.
"""


if __name__ == "__main__":
    main()
