"""Train the model that ships, data/models/small, on a mixture of real corpora; measure it and write its card.

    python scripts/train_small_model.py --data DATA [--run runs/small] [--lm FOLDER] [--limit N]

DATA holds yelp/, multi30k/, wordnet/, vader/, brown/ and stsb/. The run is resumed if it is there. The numbers go to
results/small.json, and from there onto the card.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from textvae import TextVAE, TrainConfig, evaluate, train
from textvae.evaluation import EvalReport
from textvae.text.corpus import read_corpus

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from results import ROOT, machine, row, write_results

FOLDER = ROOT / "data" / "models" / "small"
CONFIG = TrainConfig(
    lowercase=True, epochs=2.0, beta=1.0, free_bits=1.1, schedule="linear", warmup=0.15, ramp=0.25, latent_dropout=0.1
)
HELD_OUT = 400  # sentences of each source: half choose the weights, half are measured
WORDS = range(3, 26)
SOURCES = {
    "yelp": ("yelp/train.tsv", "1", "review sentences (Yelp, without those that hold `_num_`)"),
    "multi30k": ("multi30k/train.tsv", "1", "captions of photographs (Multi30k)"),
    "wordnet": ("wordnet/glosses.tsv", "examples", "usage examples of words (WordNet)"),
    "vader": ("vader/sentences.tsv", "text", "tweets, film reviews, product reviews, editorials (VADER)"),
    "brown": ("brown/brown.tsv", "sentence", "printed prose of 1961 (Brown corpus)"),
    "ours": (str(ROOT / "data" / "train.tsv"), "text", "product reviews composed for this project (data/train.tsv)"),
}
SAID = {
    "recon_bleu": ("reconstruction BLEU from mu, greedy", "{:.1f}"),
    "exact_match": ("sentences that come back word for word", "{:.1%}"),
    "kl": ("KL, nats per sentence", "{:.1f}"),
    "active_fraction": ("active latent dimensions", "{:.0%}"),
    "nll": ("importance-weighted NLL, nats per sentence", "{:.1f}"),
    "word_perplexity": ("word perplexity", "{:.1f}"),
    "duplicates": ("repeats among 1,000 samples", "{:.1%}"),
    "sample_ppl_ratio": ("perplexity of samples over that of sentences, outside LM", "{:.2f}"),
    "interpolation_ratio": ("nats per word along interpolations over their ends', outside LM", "{:.2f}"),
    "stsb_dev": ("STS-B dev, Spearman of cosines", "{:.3f}"),
    "megabytes": ("size on disk, MB", "{:.1f}"),
}
OTHER = {"stsb_dev": "all pairs, cosine of mu", "megabytes": "bf16 weights and tokenizer"}  # not of the held-out texts
PUNCTUATION = re.compile(r" (?=[.,!?;:%)'’]|n't\b)|(?<=[($]) ")


def main() -> None:
    """Read, train, save, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora")
    parser.add_argument("--run", type=Path, default=Path("runs/small"), help="folder for the run")
    parser.add_argument("--lm", help="folder or hub id of the causal LM that judges fluency")
    parser.add_argument("--limit", type=int, help="read only this many sentences of each source")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("textvae").setLevel(logging.INFO)
    texts, valid, held_out, counts = mixture(arguments.data, arguments.limit)
    finished, start = (arguments.run / "prior.safetensors").exists(), time.monotonic()
    vae = train(texts, arguments.run, CONFIG, valid=valid, resume=True)
    minutes = (time.monotonic() - start) / 60
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    vae.save_pretrained(FOLDER, dtype="bfloat16")
    vae = TextVAE.from_pretrained(FOLDER)
    report = evaluate(vae, held_out, lm=arguments.lm)
    values = report.to_dict() | {"stsb_dev": sts(vae, arguments.data / "stsb" / "dev.tsv"), "megabytes": megabytes()}
    notes = dict.fromkeys(SAID, f"{len(held_out):,} held-out sentences, {HELD_OUT // 2} of each source")
    notes["nll"] += f", K={report.num_samples}"
    notes |= OTHER
    rows = [
        row(f"small.{key}", values[key], n=None if key in OTHER else len(held_out), seed=CONFIG.seed, note=notes[key])
        for key in SAID
        if values[key] is not None
    ]
    if not finished:
        rows.append(row("small.minutes", minutes, n=len(texts), seed=CONFIG.seed, note="training, of this call alone"))
    write_results("small", rows)
    (FOLDER / "README.md").write_text(card({r["id"]: r["value"] for r in rows}, report, counts), encoding="utf-8")
    sys.stdout.write("".join(f"{r['id']}: {r['value']}\n" for r in rows))


def mixture(data: Path, limit: int | None = None) -> tuple[list[str], list[str], list[str], dict[str, int]]:
    """Return shuffled training texts, validation texts, held-out texts, and the number of sentences by source."""
    texts, valid, held_out, counts = [], [], [], {}
    generator = random.Random(CONFIG.seed)
    seen: set[str] = set()
    for name, (file, column, _) in SOURCES.items():
        found = [text for text in sentences(data / file, column) if not (text in seen or seen.add(text))]
        generator.shuffle(found)
        half = HELD_OUT // 2
        valid += found[:half]
        held_out += found[half:HELD_OUT]
        chosen = found[HELD_OUT:][:limit]
        counts[name] = len(chosen)
        texts += chosen
    generator.shuffle(texts)
    return texts, valid, held_out, counts


def sentences(path: Path, column: str) -> Iterator[str]:
    """Yield the sentences of a file in lower case, with the punctuation where people put it."""
    for text in read_corpus(path, column=column):
        for part in text.split("|||"):
            sentence = PUNCTUATION.sub("", part.replace("`` ", '"').replace(" ''", '"')).strip().lower()
            if len(sentence.split()) in WORDS and "_num_" not in sentence:
                yield sentence


def sts(vae: TextVAE, path: Path) -> float:
    """Return Spearman's correlation of cosines between means with human similarity."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    scores, first, second = zip(*((float(line[0]), line[1], line[2]) for line in lines if len(line) == 3), strict=True)
    a, b = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in map(vae.encode, (first, second)))
    return float(spearmanr((a * b).sum(1), scores).statistic)


def megabytes() -> float:
    """Return the size of the model's folder without its card."""
    return sum(file.stat().st_size for file in FOLDER.rglob("*") if file.name != "README.md") / 1e6


def card(values: dict[str, float], report: EvalReport, counts: dict[str, int]) -> str:
    """Return the model card."""
    lines = [f"| {title} | {form.format(values[f'small.{key}'])} |" for key, (title, form) in SAID.items()
             if f"small.{key}" in values]  # fmt: skip
    sources = [f"| {SOURCES[name][2]} | {count:,} |" for name, count in counts.items()]
    changed = {k: v for k, v in CONFIG.to_dict().items() if v != getattr(TrainConfig(), k)}
    return CARD.format(
        table="\n".join(lines),
        sources="\n".join(sources),
        total=f"{sum(counts.values()):,}",
        options=", ".join(f"{k}={v}" for k, v in changed.items()),
        held_out=f"{report.texts:,}",
        machine=machine(),
    )


CARD = """# small

A text variational autoencoder of size small: it embeds English sentences of 3 to 25 words in 64 dimensions, and writes
sentences from any point of that space. Lower case only; it lowers what it reads.

```python
from textvae import TextVAE

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from results import ROOT, machine, row, write_results

vae = TextVAE.from_pretrained("data/models/small")
vae.reconstruct(["the waiter was friendly."])
```

## Measured

On {held_out} held-out sentences, the same number of each source; samples are from the fitted prior. Written by
`scripts/train_small_model.py`, from `results/small.json`.

| | |
|---|---|
{table}

## Trained on

{total} different sentences, lower-cased, with punctuation put back where people write it:

| source | sentences |
|---|---|
{sources}

The sentences themselves are not shipped, but for those composed for this project.

## How

`python scripts/train_small_model.py --data DATA`, on {machine}; options beside the defaults: {options}.
Weights are stored in bfloat16. `textvae train CORPUS --from data/models/small -o RUN` goes on from here with your own
texts.

## Limits

It knows short English sentences of these kinds, with their biases: reviews, photo captions, dictionary examples,
tweets, prose of 1961. What it writes is not checked by anyone. Names, numbers and rare words often come back as other
ones, and long sentences lose words. It is too small to know facts.

Licence: Apache-2.0.
"""

if __name__ == "__main__":
    main()
