"""Eight attributes learnt from 100 + 100 lines each, moved in ordinary sentences by the English model.

    python benchmarks/attributes.py --run RUN --corpus PACK --data DATA --teacher FOLDER --lm FOLDER [--only NAMES]

DATA has brown/ and wordnet/. Each attribute has a pool of labelled sentences: of data/ for technical depth and brand
authority, of the Brown corpus for tense, and for the others those of PACK that a short rule below puts on one side. 100
of each side teach the attribute; a judge, a logistic regression on words and pairs (on the teacher's embeddings where
the pool is of data/, whose words are few), learns from others. 200 held-out sentences of all sources, 100 of each side
by the judge, are moved to the other side by `shift` as it is. Where a rule labels the pool, the judge learns little
more than the words of the rule. Rows go to results/shift.json, and a picture of how much each attribute moves the
judges of the others to docs/img/attributes.png.
"""

from __future__ import annotations

import logging
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from english import Bench, bench_options, examples
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from results import ROOT, row, write_results
from textvae import Attribute, shift
from textvae.attributes.writable import with_writability
from textvae.text.corpus import read_rows

sys.path.append(str(ROOT / "scripts"))

from english_corpus import joined

SEED = 0
TAUGHT = 100  # sentences of each side that an attribute is fitted to
JUDGED = 4000  # others of each side that a judge learns from, at most
HELD_OUT = 400  # others of each side that say how often a judge is right, at most
MOVED = 100  # ordinary sentences of each side
WORDS = range(4, 21)  # of a sentence that is moved or learnt from
CONCRETE = frozenset(
    f"noun.{topic}" for topic in ("artifact", "animal", "body", "food", "object", "person", "plant", "substance")
)
TELLING_NOUNS = 3  # nouns of WordNet that a sentence needs to be concrete or abstract
CONCRETE_SHARE, ABSTRACT_SHARE = 0.85, 0.2  # of senses, above or below which its nouns are on average
RULES = {  # words of the positive side, and of the negative side; a sentence has some of one and none of the other
    "number": (
        r"we|they|us|them|our|their|these|those|are|were|people|men|women|children|both|many",
        r"i|he|she|it|me|him|her|my|his|its|this|that|is|was|am|a|an|one|each|every|someone",
    ),
    "formality": (
        r"furthermore|moreover|therefore|thus|hence|regarding|concerning|pursuant|shall|whom|whilst|upon|however|"
        r"nevertheless|accordingly|consequently|sufficient|commence|obtain|require[sd]?|provided|respective(?:ly)?",
        r"yeah|gonna|wanna|kinda|gotta|stuff|guys?|cool|awesome|okay|ok|hey|wow|huh|yep|nope|lol|dude|crap|"
        r"\w+n't|i'm|it's|that's|you're|i've|i'd|let's|there's|what's",
    ),
    "certainty": (
        r"certainly|definitely|clearly|obviously|undoubtedly|surely|always|never|absolutely|must|indeed|"
        r"of course|no doubt|without doubt|in fact",
        r"perhaps|maybe|might|possibly|probably|seems?|seemed|likely|apparently|may|could|suppose|guess|"
        r"i think|sort of|kind of|appears?",
    ),
    "politeness": (
        r"please|thanks?|thank you|could you|would you|kindly|appreciate|sorry|excuse me|grateful|may i|welcome",
        r"give me|tell me|show me|find me|i want|i need|you must|get me|stop|shut|stupid|idiots?|ridiculous|"
        r"damn|hell|nonsense|garbage|hate|awful|worst",
    ),
}
ATTRIBUTES = ("technical_depth", "brand_authority", "formality", "certainty", "concreteness", "politeness", "tense",
              "number")  # fmt: skip
OF_DATA = ("technical_depth", "brand_authority")
LEVELS, TENSES = {True: "2", False: "0"}, {True: "present", False: "past"}
BARS = {"accuracy": ">= .80", "similarity": ">= .70", "natural": ">= .40"}

Sides = dict[bool, list[str]]


def main() -> None:
    """Move every attribute, write the rows, draw the picture."""
    parser = bench_options(__doc__.splitlines()[0], "folder with brown/ and wordnet/")
    parser.add_argument("--only", default=",".join(ATTRIBUTES), help="separated by commas")
    parser.add_argument("--moved", type=int, default=MOVED, help="ordinary sentences of each side")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    bench, names = Bench(arguments), arguments.only.split(",")
    ordinary = [text for text in bench.dev + bench.new if len(text.split()) in WORDS]
    random.Random(SEED).shuffle(ordinary)
    pools = {name: pool(bench, name) for name in names}
    judges = {
        name: Judge(sides, bench.embed if name in OF_DATA else None, set(ordinary)) for name, sides in pools.items()
    }
    spreads = {name: float(judge(ordinary).std()) for name, judge in judges.items()}
    effects, rows = {}, []
    for name in names:
        rows += moved(bench, name, pools[name], judges, spreads, ordinary, arguments.moved, effects)
    if len(names) > 1:
        matrix = np.array([[effects[a][b] for b in names] for a in names])
        own, others = np.diag(matrix), np.abs(matrix[~np.eye(len(names), dtype=bool)])
        draw(names, matrix, ROOT / "docs/img/attributes.png")
        note = f"mean change of the other judges over that of its own, {own.mean():.2f} deviations"
        rows.append(row("shift.attributes.disturbance", float(others.mean() / own.mean()), n=len(names), note=note))
        good = sum(all(each["value"] >= float(each["bar"][3:]) for each in rows if f".{name}." in each["id"]
                       and each["bar"]) for name in names)  # fmt: skip
        rows.append(row("shift.attributes.good", good, n=len(names), bar=">= 6", note="with all three bars met"))
    write_results("shift", rows)


def moved(
    bench: Bench, name: str, sides: Sides, judges: dict[str, Judge], spreads: dict[str, float],
    ordinary: Sequence[str], count: int, effects: dict[str, dict[str, float]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Fit one attribute, move ordinary sentences of both sides along it, and return its rows."""
    started, judge = time.monotonic(), judges[name]
    attribute = Attribute.fit(bench.vae, sides[True][:TAUGHT], sides[False][:TAUGHT], name=name)
    attribute = with_writability(bench.vae, attribute, sides[True][:TAUGHT] + sides[False][:TAUGHT])
    high = judge(ordinary) > 0
    sources, written, reached = [], [], []
    changes: dict[str, list[float]] = {other: [] for other in judges}
    for side in (False, True):
        texts = [text for text, is_high in zip(ordinary, high, strict=True) if is_high == side][:count]
        results = [each.text for each in shift(bench.vae, texts, attribute, -1.0 if side else 1.0)]
        sources += texts
        written += results
        reached += [bool(odds > 0) != side for odds in judge(results)]
        for other, rival in judges.items():
            changes[other] += list((rival(results) - rival(texts)) * (-1 if side else 1) / spreads[other])
    effects[name] = {other: statistics.mean(values) for other, values in changes.items()}
    n = len(written)
    note = f"{attribute.summary()}; the judge is right on {judge.right:.1%} of held-out sentences of its pool"
    note += f"; {n / (time.monotonic() - started):.1f} texts/s with the fit"
    values = {
        "accuracy": statistics.mean(reached), "similarity": bench.cosine(written, sources),
        "natural": bench.natural(written)["natural"],
    }  # fmt: skip
    of_sources = f"of the sources {bench.natural(sources)['natural']:.2f}; "
    notes = {"accuracy": note, "natural": of_sources + examples(sources, written)}
    rows = [
        row(f"shift.attributes.{name}.{key}", value, n=n, seed=SEED, bar=BARS[key], note=notes.get(key, ""))
        for key, value in values.items()
    ]
    rows.append(row(f"shift.attributes.{name}.writability", attribute.writability, n=2 * TAUGHT, seed=SEED))
    for each in rows:
        sys.stdout.write(f"{each['id']}: {each['value']:.3f}  ({each['note']})\n")
    sys.stdout.flush()
    return rows


class Judge:
    """An outside classifier of one attribute: of words and pairs of words, or of embeddings."""

    def __init__(self, sides: Sides, embed: Callable[[Sequence[str]], np.ndarray] | None, aside: set[str]):
        others = {side: [t for t in texts[TAUGHT:] if t not in aside] for side, texts in sides.items()}
        last = min(HELD_OUT, *(len(texts) // 4 for texts in others.values()))
        seen = [(t, side) for side, texts in others.items() for t in texts[last : last + JUDGED]]
        kept = [(t, side) for side, texts in others.items() for t in texts[:last]]
        tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"[\w']+")
        self.features = embed or tfidf.fit([t for t, _ in seen]).transform
        self.model = LogisticRegression(C=10, max_iter=1000, class_weight="balanced")
        self.model.fit(self.features([t for t, _ in seen]), [side for _, side in seen])
        self.right = float(np.mean((self([t for t, _ in kept]) > 0) == [side for _, side in kept]))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the log-odds that each text is of the positive side."""
        return self.model.decision_function(self.features(list(texts)))


def pool(bench: Bench, name: str) -> Sides:
    """Return the labelled sentences of an attribute, shuffled."""
    if name in OF_DATA:
        rows = [(str(r[name]), str(r["text"])) for r in read_rows(str(ROOT / "data" / "train.tsv"), columns=[name])]
        sides = {side: [text for label, text in rows if label == LEVELS[side]] for side in (True, False)}
    elif name == "tense":
        lines = (bench.data / "brown" / "brown.tsv").read_text(encoding="utf-8").splitlines()[1:]
        rows = [(tense, joined(sentence)) for _, tense, sentence in (line.split("\t") for line in lines)]
        sides = {side: [text for label, text in rows if label == TENSES[side]] for side in (True, False)}
    elif name == "concreteness":
        concrete = concreteness(bench.data / "wordnet" / "glosses.tsv")
        sides = by_score(bench.corpus.train, concrete)
    else:
        sides = by_rule(bench.corpus.train, *RULES[name])
    for side, texts in sides.items():
        sides[side] = sorted({text for text in texts if len(text.split()) in WORDS})
        random.Random(SEED).shuffle(sides[side])
    return sides


def by_rule(texts: Iterable[str], positive: str, negative: str) -> Sides:
    """Return the texts that have words of one side only."""
    high, low = (re.compile(rf"(?<![\w'])(?:{words})(?![\w'])", re.IGNORECASE) for words in (positive, negative))
    sides: Sides = {True: [], False: []}
    for text in texts:
        has, lacks = bool(high.search(text)), bool(low.search(text))
        if has != lacks:
            sides[has].append(text)
    return sides


def concreteness(glosses: Path) -> dict[str, float]:
    """Return the share of each noun's senses in WordNet that are things, for words that are nouns above all."""
    senses: dict[str, Counter[str]] = {}
    for line in glosses.read_text(encoding="utf-8").splitlines()[1:]:
        _, part, topic, lemmas, *_ = line.split("\t")
        kind = "verb" if part != "n" else "thing" if topic in CONCRETE else "idea"
        for lemma in lemmas.split("|"):
            senses.setdefault(lemma, Counter())[kind] += 1
    return {
        lemma: of["thing"] / (of["thing"] + of["idea"])
        for lemma, of in senses.items()
        if len(lemma) > 3 and of["thing"] + of["idea"] > of["verb"]
    }


def by_score(texts: Iterable[str], scores: dict[str, float]) -> Sides:
    """Return the texts whose nouns are things, and those whose nouns are ideas."""
    sides: Sides = {True: [], False: []}
    for text in texts:
        words = (word if word in scores else word.removesuffix("s") for word in re.findall(r"[a-z]+", text.lower()))
        found = [scores[word] for word in words if word in scores]
        if len(found) >= TELLING_NOUNS:
            mean = statistics.mean(found)
            if mean >= CONCRETE_SHARE or mean <= ABSTRACT_SHARE:
                sides[mean >= CONCRETE_SHARE].append(text)
    return sides


def draw(names: Sequence[str], matrix: np.ndarray, path: Path) -> None:
    """Draw how far moving each attribute (rows) moves each judge (columns), in deviations of ordinary sentences."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    labels = [name.replace("_", " ") for name in names]
    figure, axes = plt.subplots(figsize=(7.2, 5.6), layout="constrained")
    most = float(np.abs(matrix).max())
    axes.imshow(matrix, cmap="RdBu", vmin=-most, vmax=most)
    axes.set_xticks(range(len(names)), labels, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), labels)
    axes.set(xlabel="what the judge of this attribute sees", ylabel="what was moved",
             title="Change in deviations of ordinary sentences")  # fmt: skip
    for i, j in np.ndindex(*matrix.shape):
        ink = "white" if abs(matrix[i, j]) > 0.6 * most else "black"
        axes.text(j, i, f"{matrix[i, j]:.1f}", ha="center", va="center", color=ink)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
