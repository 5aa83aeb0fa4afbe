"""Measure the operations of a model with wording slots, from exact latents to shifts.

    python benchmarks/operations.py --run RUN --pack PACK [--positive FILE --negative FILE] [--lm FOLDER]

PACK is what scripts/english_corpus.py wrote; its held-out dev sentences are used, which choose the defaults. FILEs hold
sentences of each sentiment, of which the last are shifted and the others are the examples. The LM judges naturalness,
as in benchmarks/english.py. Rows go to results/operations.json.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from results import ROOT, row, write_results
from textvae import Attribute, Decoding, TextVAE, shift
from textvae.attributes.rewriting import rewrite
from textvae.evaluation.text_scores import bleu
from textvae.latent.drafts import closeness, same_words
from textvae.latent.exact import exact_latents
from textvae.latent.geometry import Array
from textvae.latent.naturalness import Naturalness as OwnNaturalness

sys.path.append(str(ROOT / "scripts"))

from english_corpus import read_corpus
from english_measure import Naturalness, repeating

RATES = (0.02, 0.1, 0.2)  # of the exact latents, in 25 steps
STEPS = (10, 25, 50)  # at a rate of 0.1
GUARDS = ((1.0, 0), (1.3, 0), (1.3, 3), (1.3, 2), (1.5, 2))
TEMPERATURES = (0.3, 0.5, 0.7, 1.0)
BEAMS = (4, 8)
EXAMPLES = 400  # of each side of the attribute
SHIFTED, SHORT = 60, 12  # sentences that are shifted, and their words at most
CANDIDATES = (1, 4, 16, 32)
SAMPLES = 100
SAMPLE_DRAFTS = (1, 4, 16)
REWRITES, FIRST = 10, 3  # rewrites of each sentence, of which so many are judged
REAL = 500  # sentences with which the LM compares
COUNTED = 15_000  # sentences that give its unigram distribution
RANKINGS: dict[str, Callable[[Array, Array], Array]] = {  # of the naturalness of a rewrite and of its source
    "without_naturalness": lambda written, source: np.ones_like(written),
    "default": lambda written, source: np.exp(np.minimum(0, written - source)),
    "logistic_of_difference": lambda written, source: 1 / (1 + np.exp(source - written)),
    "logistic": lambda written, source: 1 / (1 + np.exp(-written)),
}


def main() -> None:
    """Measure each operation on held-out sentences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--positive", type=Path)
    parser.add_argument("--negative", type=Path)
    parser.add_argument("--sentences", type=int, default=300, help="for exact latents; the others take a part of them")
    parser.add_argument("--lm", help="folder or hub id of a causal LM, for rewrites and samples")
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    corpus = read_corpus(arguments.pack)
    dev = [text for source in sorted(corpus.dev) for text in corpus.dev[source]]
    random.Random(0).shuffle(dev)
    texts = dev[: arguments.sentences]
    vae = TextVAE.from_pretrained(arguments.run, "cpu")
    few = texts[: len(texts) // 5]
    judge = Naturalness(arguments.lm, dev[-REAL:], corpus.train[:COUNTED]) if arguments.lm else None
    measured: dict[str, Callable[[], list[dict]]] = {
        "exact": lambda: of_exact(vae, texts),
        "guard": lambda: of_guard(vae, texts[: len(texts) // 2]),
        "drafts": lambda: of_drafts(vae, few, judge),
        "vary": lambda: of_vary(vae, texts[: len(texts) // 20]),
        "path": lambda: of_paths(vae, texts[: len(texts) // 15]),
    }
    if arguments.positive:
        measured["shift"] = lambda: of_shift(vae, arguments.positive, arguments.negative, texts)
    if judge is not None:
        measured["rewrite"] = lambda: of_rewrites(vae, few[: len(few) // 3], judge)
        measured["sample"] = lambda: of_samples(vae, judge)
    for name in arguments.only or measured:
        rows = measured[name]()
        for each in rows:
            sys.stdout.write(f"{each['id']} {each['value']:.4f} {each['note']}\n")
        sys.stdout.flush()
        write_results("operations", rows, replaces=f"operations.{name}.")


def of_exact(vae: TextVAE, texts: Sequence[str]) -> list[dict]:
    """Return how many sentences come back word for word after gradient steps, and how far the meaning moved."""
    reading = vae.read(texts)
    start = reading.mean.pack()
    tried = {"start": start}
    for rate in RATES:
        for steps in STEPS if rate == 0.1 else (25,):
            tried[f"rate_{rate:g}.steps_{steps}"] = exact_latents(vae.model, reading.ids, start, steps, rate)
    rows = []
    for name, latents in tried.items():
        written = vae.write(latents, Decoding())
        same = np.mean([a == b for a, b in zip(written, texts, strict=True)])
        cosine = closeness(latents[:, : vae.dim], start[:, : vae.dim], True)
        rows += [
            row(f"operations.exact.{name}.exact", float(same), n=len(texts)),
            row(f"operations.exact.{name}.bleu", bleu(written, texts), n=len(texts)),
            row(f"operations.exact.{name}.cosine", float(cosine.mean()), n=len(texts), note="of m to its mean"),
        ]
    return rows


def of_guard(vae: TextVAE, texts: Sequence[str]) -> list[dict]:
    """Return the round trip and the loops of greedy texts from meanings alone."""
    meanings, rows = vae.encode(texts), []
    for penalty, size in GUARDS:
        written = vae.decode(meanings, repetition_penalty=penalty, no_repeat_ngram_size=size)
        rows += _judged(vae, f"guard.penalty_{penalty:g}.ngram_{size}", written, meanings, texts)
    return rows


def of_drafts(vae: TextVAE, texts: Sequence[str], judge: Naturalness | None) -> list[dict]:
    """Return the same of the nearest of 8 samples and the greedy text, and of the nearest text of a beam search.

    With a judge, how natural they are too.
    """
    meanings = vae.encode(texts)
    ways: dict[str, dict[str, float]] = {"greedy": {}}
    ways |= {f"8.temperature_{t:g}": {"candidates": 8, "temperature": t, "seed": 0} for t in TEMPERATURES}
    ways |= {f"beams_{beams}": {"num_beams": beams, "candidates": beams} for beams in BEAMS}
    rows = []
    for name, options in ways.items():
        written = vae.decode(meanings, **options)  # type: ignore[arg-type]
        rows += _judged(vae, f"drafts.{name}", written, meanings, texts)
        rows += [] if judge is None else _natural(f"drafts.{name}", written, judge)
    return rows


def _judged(vae: TextVAE, name: str, written: Sequence[str], meanings: Array, texts: Sequence[str]) -> list[dict]:
    cosine = closeness(vae.encode(written), meanings, True)
    n = len(texts)
    return [
        row(f"operations.{name}.cosine", float(cosine.mean()), n=n, note=f"{texts[0]} | {written[0]}"),
        row(f"operations.{name}.bleu", bleu(written, texts), n=n),
        row(f"operations.{name}.repeating", repeating(written), n=n),
    ]


def of_vary(vae: TextVAE, texts: Sequence[str]) -> list[dict]:
    """Return how near, how different from the sentence and from each other its variations are."""
    rows, count = [], 4
    for wording in (0.0, 0.5, 1.0):
        for spread, drafts in ((1.0, 1), (1.0, 4), (0.5, 4)):
            groups = [vae.vary(t, count, wording=wording, spread=spread, drafts=drafts, seed=0) for t in texts]
            sources = [text for text in texts for _ in range(count)]
            written = [text for group in groups for text in group]
            new = [
                len({same_words(v) for v in group} - {same_words(t)}) / count
                for t, group in zip(texts, groups, strict=True)
            ]
            cosine = closeness(vae.encode(written), vae.encode(sources), True)
            name, n = f"operations.vary.wording_{wording:g}.spread_{spread:g}.drafts_{drafts}", len(written)
            rows += [
                row(f"{name}.cosine", float(cosine.mean()), n=n, seed=0, note=f"{texts[0]} | {groups[0][0]}"),
                row(f"{name}.bleu_to_source", bleu(written, sources), n=n, seed=0),
                row(f"{name}.new", float(np.mean(new)), n=n, seed=0, note="share unlike the sentence and the others"),
            ]
    return rows


def of_paths(vae: TextVAE, texts: Sequence[str]) -> list[dict]:
    """Return how many ends of a path are the sentences, and how many of its texts repeat another."""
    rows = []
    for name, options in {"mean": {"exact": 0, "drafts": 1}, "default": {}}.items():
        paths = [vae.interpolate(a, b, 5, **options) for a, b in zip(texts[::2], texts[1::2], strict=True)]
        ends = [text == end for p, a, b in zip(paths, texts[::2], texts[1::2], strict=True)
                for text, end in ((p[0], a), (p[-1], b))]  # fmt: skip
        repeated = [1 - len({same_words(text) for text in path}) / len(path) for path in paths]
        rows += [
            row(f"operations.path.{name}.ends", float(np.mean(ends)), n=len(ends), note=" | ".join(paths[0])),
            row(f"operations.path.{name}.repeated", float(np.mean(repeated)), n=len(paths)),
        ]
    return rows


def of_shift(vae: TextVAE, positive: Path, negative: Path, others: Sequence[str]) -> list[dict]:
    """Return how many sentences reach the other sentiment by its probes, how near they stay, and the time of each."""
    sides = [path.read_text(encoding="utf-8").splitlines() for path in (positive, negative)]
    for side in sides:
        random.Random(0).shuffle(side)
    attribute = Attribute.fit(vae, *(side[:EXAMPLES] for side in sides), name="sentiment")
    rows = [row("operations.shift.accuracy", attribute.accuracy, n=attribute.scored, note="cross-validated")]
    kinds = {"": sides[1][EXAMPLES:], "other_sentences.": others}
    for kind, sentences in kinds.items():
        texts = [text for text in sentences if len(text.split()) <= SHORT][:SHIFTED]
        for candidates in CANDIDATES:
            started = time.process_time()  # other work on the machine does not count
            results = shift(vae, texts, attribute, 1.0, candidates=candidates)
            seconds = (time.process_time() - started) / len(texts)
            changed = [each for each in results if each.text != each.source]
            note = " || ".join(f"{each.source} > {each.text}" for each in changed[:6])
            kept = float(np.mean([each.similarity for each in results]))
            name, n = f"operations.shift.{kind}candidates_{candidates}", len(texts)
            rows += [
                row(f"{name}.reached", float(np.mean([r.reached for r in results])), n=n, note=note),
                row(f"{name}.similarity", kept, n=n),
                row(f"{name}.changed", len(changed) / n, n=n),
                row(f"{name}.seconds", seconds, n=n, note="of processor time for each sentence"),
            ]
    return rows


def of_rewrites(vae: TextVAE, texts: Sequence[str], judge: Naturalness) -> list[dict]:
    """Return how natural the first rewrites of each text are, by several ways to rank the same ones."""
    found = rewrite(vae, texts, n=REWRITES, seed=0)
    rewrites = [[each for each in found if each.source == text] for text in texts]
    sources = OwnNaturalness(vae)(texts)
    rows = _natural("rewrite.sources", texts, judge) + _natural("rewrite.all", [each.text for each in found], judge)
    for name, factor in RANKINGS.items():
        best = []
        for group, source in zip(rewrites, sources, strict=True):
            kept = np.array([each.similarity * (1 - each.overlap) for each in group])
            scores = kept * factor(np.array([each.naturalness for each in group]), source)
            best += [group[i] for i in np.argsort(-scores, kind="stable")[:FIRST]]
        overlap = float(np.mean([each.overlap for each in best]))
        rows += _natural(f"rewrite.{name}", [each.text for each in best], judge)
        rows.append(row(f"operations.rewrite.{name}.overlap", overlap, n=len(best), note="BLEU with the source"))
    return rows


def of_samples(vae: TextVAE, judge: Naturalness) -> list[dict]:
    """Return how natural texts from the prior are, the best of several drafts."""
    rows = []
    for drafts in SAMPLE_DRAFTS:
        rows += _natural(f"sample.drafts_{drafts}", vae.sample(SAMPLES, drafts=drafts, seed=0), judge)
    return rows


def _natural(name: str, texts: Sequence[str], judge: Naturalness) -> list[dict]:
    """Return the SLOR of texts under the LM, and the shares above the median of real ones and above a twentieth."""
    n, shares = len(texts), judge(texts)
    note = " | ".join(texts[:5])
    return [
        row(f"operations.{name}.slor", float(judge.slor(texts).mean()), n=n, seed=0, note=note),
        *(row(f"operations.{name}.{share}", value, n=n, seed=0) for share, value in shares.items()),
    ]


if __name__ == "__main__":
    main()
