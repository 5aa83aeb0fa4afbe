"""Attribute shift: plain arithmetic and the closed loop, judged from outside; into results/shift.json.

    python benchmarks/shift.py --data DATA --run RUN --lm FOLDER [--parts yelp,arithmetic,dial,curve,tense,...]
        [--negative FILE --positive FILE [--negative-references FILE --positive-references FILE]]
        [--past FILE --present FILE] [--own-run runs/own] [--content-runs RUN ...]

DATA holds yelp/, RUN was trained on its train.tsv. By default the development halves are shifted; other files are given
one sentence a line, and references as their rewrites, in the same order. What is written goes to --output, one sentence
a line. Attributes are fitted on yelp/train.tsv, and for tense on the part of tense_dev that is not shifted. The judges
are logistic regressions on tf-idf of single words and pairs. Tuned on the development halves only.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from results import ROOT, row, write_results
from textvae import Attribute, TextVAE, TrainConfig, train
from textvae.attributes.dialing import dial
from textvae.attributes.shifting import shift
from textvae.evaluation.fluency import OutsideLM, word_perplexity
from textvae.evaluation.text_scores import bleu
from textvae.text.corpus import read_rows

sys.path.append(str(ROOT / "data" / "corpus"))

from corpus_reader import read, split

CERTAINTY, TENSE_CERTAINTY, OWN_CERTAINTY = 0.9, 0.7, 0.99999
ALONE = 4.4  # strength of arithmetic without candidates
DIAL = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)  # positions at which the judge's score should rise
TWO_DIALED = 60  # texts of two dials
STRENGTHS = (1, 1.5, 2, 3, 4, 5)
CERTAINTIES = (0.5, 0.7, 0.9, 0.97)
DAAE = [(36, 41), (74, 18), (92, 7)]  # accuracy and self-BLEU, quoted: Shen et al. 2020, table 3
OWN_TRAINING = TrainConfig(latent_dim=64, epochs=6.0, beta=0.15, free_bits=0.2, schedule="constant")
PAIRS = [
    ("sentiment", "tense"), ("technical_depth", "sentiment"), ("brand_authority", "sentiment"),
    ("technical_depth", "tense"), ("brand_authority", "tense"),
]  # fmt: skip
SIDES = {  # negative and positive class of each attribute of our own corpus
    "sentiment": ("negative", "positive"), "tense": ("past", "present"), "technical_depth": ("0", "2"),
    "brand_authority": ("0", "2"),
}  # fmt: skip
SEEN_BY_SECOND = 20_000  # training sentences of the second judge
SEEN_BY_ATTRIBUTE = 20_000  # training sentences of an attribute where recipes are compared
UNLABELLED = 10_000  # training sentences whose labels few examples do not see
AT_ACCURACY = 75

Sides = tuple[list[str], list[str]]  # texts of the negative and of the positive class


class Judge:
    """An outside classifier: of words and pairs of words, or of embeddings."""

    def __init__(
        self, texts: Sequence[str], positive: Sequence[bool], embed: Callable[[Sequence[str]], np.ndarray] | None = None
    ):
        tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+")
        self.features = embed or tfidf.fit(texts).transform
        self.model = LogisticRegression(C=10, max_iter=1000)
        self.model.fit(self.features(texts), np.asarray(positive))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts are positive."""
        return self.model.predict(self.features(texts))

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return the log-odds that each text is positive."""
        return self.model.decision_function(self.features(texts))


def embedder(source: str) -> Callable[[Sequence[str]], np.ndarray]:
    """Return the embedding of a pretrained sentence encoder: the mean of its states."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(source).eval(), AutoTokenizer.from_pretrained(source)

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> np.ndarray:
        parts = []
        for start in range(0, len(texts), 64):
            batch = tokenizer(list(texts[start : start + 64]), padding=True, truncation=True, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            states = model(**batch).last_hidden_state * mask
            parts.append((states.sum(1) / mask.sum(1)).numpy())
        return np.concatenate(parts)

    return embed


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--run", type=Path, required=True, help="a run trained on yelp/train.tsv")
    parser.add_argument("--lm", required=True, help="folder or hub id of the causal LM that judges fluency")
    parser.add_argument("--parts", default="yelp,curve,tense,fewshot,own")
    parser.add_argument(
        "--second-judge", help="folder or hub id of a sentence encoder, for a judge that reads no words"
    )
    parser.add_argument("--encoder", help="folder or hub id of the sentence encoder that labels for few examples")
    parser.add_argument("--negative", type=Path)
    parser.add_argument("--positive", type=Path)
    parser.add_argument("--negative-references", type=Path, help="rewrites of --negative by people")
    parser.add_argument("--positive-references", type=Path, help="rewrites of --positive by people")
    parser.add_argument("--past", type=Path)
    parser.add_argument("--present", type=Path)
    parser.add_argument("--own-run", type=Path, default=Path("runs/own"), help="run on data/, trained if not there")
    parser.add_argument(
        "--pairs",
        nargs="+",
        default=["+".join(pair) for pair in PAIRS],
        help="attributes of data/ that are moved at once",
    )
    parser.add_argument(
        "--content-runs", type=Path, nargs="*", default=[], help="runs of other recipes on yelp/, for the part content"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/shift"), help="folder for what is written")
    parser.add_argument("--limit", type=int, default=500, help="sentences of each class, of development halves")
    parser.add_argument("--few", type=int, default=100, help="sentences of each class for the curve and few examples")
    parser.add_argument("--candidates", type=int, default=32)
    arguments = parser.parse_args()
    for one, other in (
        ("negative", "positive"), ("negative_references", "positive_references"), ("past", "present"),
        ("negative_references", "negative"),
    ):  # fmt: skip
        if getattr(arguments, one) and not getattr(arguments, other):
            parser.error(f"--{one} needs --{other}".replace("_", "-"))
    logging.disable(logging.WARNING)
    arguments.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments)
    for part in arguments.parts.split(","):
        rows = getattr(bench, part)()
        write_results("shift", rows)
        sys.stdout.write("".join(f"{r['id']}: {r['value']}  ({r['note']})\n" for r in rows))
        sys.stdout.flush()


class Bench:
    """The model, the judge and the texts that the parts share."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments, self.yelp_data = arguments, arguments.data / "yelp"
        self.vae = TextVAE.from_pretrained(arguments.run)
        self.lm = OutsideLM(arguments.lm)
        rows = [line.split("\t", 1) for line in lines(self.yelp_data / "train.tsv")]
        self.train = [text for _, text in rows]
        self.labels = [label == "1" for label, _ in rows]
        self.judge = Judge(self.train, self.labels)
        self.second = None
        if arguments.second_judge:
            embed = embedder(arguments.second_judge)
            self.second = Judge(self.train[:SEEN_BY_SECOND], self.labels[:SEEN_BY_SECOND], embed)
        files = (
            arguments.negative or self.yelp_data / "style_dev.neg",
            arguments.positive or self.yelp_data / "style_dev.pos",
        )
        limit = None if arguments.negative else arguments.limit
        self.sources: Sides = tuple(lines(file)[:limit] for file in files)  # type: ignore[assignment]
        self.split = "dev" if arguments.negative is None else "given files"
        self.few: Sides = tuple(side[: arguments.few] for side in self.sources)  # type: ignore[assignment]
        self._sentiment: Attribute | None = None

    @property
    def sentiment(self) -> Attribute:
        """Return the attribute of all training sentences."""
        if self._sentiment is None:
            labels = ["positive" if label else "negative" for label in self.labels]
            self._sentiment = Attribute.fit_labels(self.vae, self.train, labels, name="sentiment")
        return self._sentiment

    def loop(self, attribute: Attribute, sources: Sides, certainty: float = CERTAINTY) -> Sides:
        """Return each side shifted to the other by the closed loop."""
        options = {"candidates": self.arguments.candidates, "certainty": certainty, "seed": 0}
        low, high = (
            [each.text for each in shift(self.vae, texts, attribute, strength, **options)]
            for texts, strength in zip(sources, (1.0, -1.0), strict=True)
        )
        return low, high

    def plain(self, attribute: Attribute, sources: Sides, strength: float) -> Sides:
        """Return each side with a constant added to its latents."""
        low, high = (
            self.vae.decode(attribute.move(self.vae.encode(texts), sign * strength))
            for texts, sign in zip(sources, (1, -1), strict=True)
        )
        return low, high

    def yelp(self) -> list[dict[str, Any]]:
        """Shift sentiment both ways with one setting."""
        written = self.loop(self.sentiment, self.sources)
        for name, texts in zip(("negative", "positive"), written, strict=True):
            (self.arguments.output / f"{name}.shifted").write_text("\n".join(texts) + "\n", encoding="utf-8")
        flat, n = sum(self.sources, []), len(sum(self.sources, []))
        ratio = self.perplexity(sum(written, [])) / self.perplexity(flat)
        note = (
            f"{self.split}, closed loop, {self.arguments.candidates} candidates, certainty {CERTAINTY}, "
            f"{self.arguments.run.name}; {self.sentiment.summary()}"
        )
        rows = [
            row("shift.yelp.accuracy", 100 * accuracy(self.judge, written), n=n, bar=">= 90", seed=0, note=note),
            row("shift.yelp.self_bleu", of_sides(written, self.sources), n=n, bar=">= 62", seed=0, note=note),
            row("shift.yelp.copies", copies(written, self.sources), n=n, bar="<= 0.03", seed=0, note=note),
            row("shift.yelp.ppl_ratio", ratio, n=n, bar="<= 1.10", seed=0, note=note),
            row(
                "shift.yelp.judge", 100 * accuracy(self.judge, self.sources[::-1]), n=n, bar="-", note="on the sources"
            ),
        ]
        if self.second:
            other = f"on sentence embeddings, right on {accuracy(self.second, self.sources[::-1]):.1%} of the sources"
            by_other = 100 * accuracy(self.second, written)
            rows.append(row("shift.yelp.second_judge", by_other, n=n, bar=">= 86", seed=0, note=other))
        files = self.arguments.negative_references, self.arguments.positive_references
        if all(files):
            references: Sides = tuple(lines(file) for file in files)  # type: ignore[assignment]
            rows.append(row("shift.yelp.ref_bleu", of_sides(written, references), n=n, bar=">= 25", seed=0, note=note))
        return rows

    def arithmetic(self) -> list[dict[str, Any]]:
        """Shift sentiment both ways by one decode each, without candidates."""
        low, high = (
            [each.text for each in shift(self.vae, texts, self.sentiment, sign * ALONE, candidates=1)]
            for texts, sign in zip(self.sources, (1, -1), strict=True)
        )
        written, n = (low, high), len(low) + len(high)
        ratio = self.perplexity(low + high) / self.perplexity(sum(self.sources, []))
        note = f"{self.split}, one decode, strength {ALONE:g}, {self.arguments.run.name}"
        id = "shift.yelp.arithmetic"
        rows = [
            row(f"{id}.accuracy", 100 * accuracy(self.judge, written), n=n, bar=">= 75", note=note),
            row(f"{id}.self_bleu", of_sides(written, self.sources), n=n, bar=">= 45", note=note),
            row(f"{id}.ppl_ratio", ratio, n=n, note=note),
        ]
        if self.second:
            rows.append(row(f"{id}.second_judge", 100 * accuracy(self.second, written), n=n, note=note))
        return rows

    def dial(self) -> list[dict[str, Any]]:
        """Turn dials from -2 to 2, and compare their positions with the score that the judge gives to what is written.

        One dial is sentiment's; two are sentiment's and tense's, each turned while the other stays at an end.
        """
        texts = sum(self.few, [])
        judges = {"sentiment": self.judge}
        attributes = {"sentiment": self.sentiment}
        past, present = (lines(self.yelp_data / f"tense_dev.{tense}") for tense in ("past", "present"))
        judges["tense"] = Judge(past + present, [False] * len(past) + [True] * len(present))
        attributes["tense"] = Attribute.fit(self.vae, present[: len(past)], past, name="tense")
        options: dict[str, Any] = {"candidates": self.arguments.candidates}
        rows = [self.monotone("shift.dial.monotone", judges["sentiment"], texts, [
            [each.text for each in versions] for versions in dial(self.vae, texts, self.sentiment, DIAL, **options)
        ])]  # fmt: skip
        for turned, held in (("sentiment", "tense"), ("tense", "sentiment")):
            pair = [attributes[turned], attributes[held]]
            some = texts[:: max(1, len(texts) // TWO_DIALED)]
            for end in (-1.0, 1.0):
                written = dial(self.vae, some, pair, [(place, end) for place in DIAL], **options)
                rows.append(self.monotone(
                    f"shift.dial.two.{turned}_with_{held}_{end:+g}", judges[turned], some,
                    [[each.text for each in versions] for versions in written],
                ))  # fmt: skip
        return rows

    @staticmethod
    def monotone(id: str, judge: Judge, texts: list[str], written: list[list[str]]) -> dict[str, Any]:
        """Return a row with the mean correlation, over texts, of the dial's position and the judge's score."""
        scores = np.array([judge.score(versions) for versions in written])
        each = [spearmanr(DIAL, of_text).statistic for of_text in scores if len(set(of_text)) > 1]
        means = ", ".join(f"{place:g}: {score:.2f}" for place, score in zip(DIAL, scores.mean(0), strict=True))
        note = (
            f"Spearman of position and log-odds of the judge, mean over texts; {len(texts) - len(each)} texts never "
            f"changed and count 0; mean log-odds by position: {means}; "
            f"{np.mean([len(set(versions)) for versions in written]):.1f} different sentences a text"
        )
        return row(id, sum(each) / len(texts), n=len(texts), bar=">= .9", note=note)

    def curve(self) -> list[dict[str, Any]]:
        """Measure plain arithmetic over strengths and the closed loop over certainties, and draw both."""
        rows, curves = [], {}
        ways: list[tuple[str, Iterable[float], Callable[[float], Sides]]] = [
            ("plain", STRENGTHS, lambda s: self.plain(self.sentiment, self.few, s)),
            ("loop", CERTAINTIES, lambda c: self.loop(self.sentiment, self.few, c)),
        ]
        for name, settings, write in ways:
            curves[name] = []
            for setting in settings:
                written = write(setting)
                values = {
                    "accuracy": 100 * accuracy(self.judge, written), "self_bleu": of_sides(written, self.few),
                    "ppl_ratio": self.perplexity(sum(written, [])) / self.perplexity(sum(self.few, [])),
                }  # fmt: skip
                curves[name].append((values["accuracy"], values["self_bleu"]))
                rows += [
                    row(f"shift.yelp.{name}.{setting:g}.{key}", value, n=2 * len(self.few[0]), seed=0, note=self.split)
                    for key, value in values.items()
                ]
        draw(curves)
        above = [bleu_at(curves["plain"], accuracy_) > bleu_ for accuracy_, bleu_ in DAAE]
        note = f"DAAE, quoted: {DAAE}; ours interpolated between strengths"
        rows.append(row("shift.yelp.plain.above_daae", sum(above), n=len(DAAE), bar=f"{len(DAAE)}", note=note))
        return rows

    def tense(self) -> list[dict[str, Any]]:
        """Shift tense both ways."""
        limit, known = (
            self.arguments.limit,
            [lines(self.yelp_data / f"tense_dev.{tense}") for tense in ("past", "present")],
        )
        given = self.arguments.past, self.arguments.present
        if all(given):
            sources: Sides = tuple(lines(file) for file in given)  # type: ignore[assignment]
        else:
            sources = known[0][:limit], known[1][:limit]
            known = [side[limit:] for side in known]
        judge = Judge(known[0] + known[1], [False] * len(known[0]) + [True] * len(known[1]))
        attribute = Attribute.fit(self.vae, known[1], known[0], name="tense")
        written = self.loop(attribute, sources, TENSE_CERTAINTY)
        for name, texts in zip(("past", "present"), written, strict=True):
            (self.arguments.output / f"{name}.shifted").write_text("\n".join(texts) + "\n", encoding="utf-8")
        n, where = len(sum(sources, [])), "given files" if all(given) else "dev"
        note = (
            f"{where}; the judge is right on {accuracy(judge, sources[::-1]):.1%} of the sources; {attribute.summary()}"
        )
        return [
            row("shift.tense.accuracy", 100 * accuracy(judge, written), n=n, bar=">= 88", seed=0, note=note),
            row("shift.tense.self_bleu", of_sides(written, sources), n=n, bar=">= 75", seed=0, note=note),
            row("shift.tense.copies", copies(written, sources), n=n, bar="-", seed=0, note=note),
        ]

    def fewshot(self) -> list[dict[str, Any]]:
        """Compare attributes of 10 + 10 examples with one of 2,000 + 2,000, at the same self-BLEU."""
        sides = [
            [t for t, label in zip(self.train, self.labels, strict=True) if label == side] for side in (True, False)
        ]

        def fitted(count: int, seed: int, **others: Any) -> Attribute:
            chosen = [random.Random(seed).sample(side, count) for side in sides]
            return Attribute.fit(self.vae, *chosen, name="sentiment", seed=seed, **others)

        def point(attribute: Attribute, certainty: float) -> tuple[float, float]:
            written = self.loop(attribute, self.few, certainty)
            return 100 * accuracy(self.judge, written), of_sides(written, self.few)

        many = fitted(2000, 0)
        reference = [point(many, certainty) for certainty in CERTAINTIES]
        helps: dict[str, dict[str, Any]] = {"alone.": {}}
        if self.arguments.encoder:
            unlabelled = random.Random(0).sample(self.train, UNLABELLED)
            helps[""] = {"unlabelled": unlabelled, "encoder": self.arguments.encoder}
        rows = []
        for help, others in helps.items():
            found = [point(fitted(10, seed, **others), CERTAINTY) for seed in range(3)]
            drops = [accuracy_at(reference, kept) - reached for reached, kept in found]
            note = (
                f"{f'with {UNLABELLED:,} unlabelled sentences that a sentence encoder labels' if others else 'alone'}; "
                f"10 + 10, three draws: {found}; 2,000 + 2,000, by certainty {CERTAINTIES}: {reference} "
                "(accuracy, self-BLEU)"
            )
            id, n = f"shift.fewshot.{help}accuracy_drop", 2 * len(self.few[0])
            rows.append(row(id, statistics.mean(drops), n=n, bar="<= 10", note=note))
        return rows

    def content(self) -> list[dict[str, Any]]:
        """Compare what latents of other recipes keep: plain arithmetic at one accuracy, and the closed loop."""
        rows = []
        labels = ["positive" if label else "negative" for label in self.labels]
        for run in self.arguments.content_runs:
            self.vae = TextVAE.from_pretrained(run)
            attribute = Attribute.fit_labels(self.vae, self.train[:SEEN_BY_ATTRIBUTE], labels[:SEEN_BY_ATTRIBUTE])
            curve = []
            for strength in STRENGTHS:
                written = self.plain(attribute, self.few, strength)
                curve.append((100 * accuracy(self.judge, written), of_sides(written, self.few)))
            written = self.loop(attribute, self.few)
            rebuilt = of_sides(tuple(self.vae.reconstruct(side) for side in self.few), self.few)  # type: ignore[arg-type]
            n, note = 2 * len(self.few[0]), f"{self.split}; attribute of {SEEN_BY_ATTRIBUTE:,} sentences"
            rows += [
                row(f"shift.content.{run.name}.{key}", value, n=n, seed=0, note=note)
                for key, value in {
                    "reconstruction_bleu": rebuilt,
                    "attribute_accuracy": 100 * (attribute.accuracy or 0),
                    f"plain_self_bleu_at_{AT_ACCURACY}": bleu_at(curve, AT_ACCURACY),
                    "loop_accuracy": 100 * accuracy(self.judge, written),
                    "loop_self_bleu": of_sides(written, self.few),
                }.items()
            ]
        return rows

    def own(self) -> list[dict[str, Any]]:
        """Move two attributes at once on our own corpus, whose attributes are known."""
        texts, table, _ = read_own("train")
        vae = train(texts, self.arguments.own_run, OWN_TRAINING, valid=read_own("valid")[0], resume=True)
        held_out, held_table, topics = read_own("test")
        attributes = {}
        for name, (low, high) in SIDES.items():
            sides = [[t for t, value in zip(texts, table[name], strict=True) if value == side] for side in (high, low)]
            attributes[name] = Attribute.fit(vae, *sides, name=name)
        right = [
            reading[name].value == value
            for name in SIDES
            for reading, value in zip(map(read, held_out, topics), held_table[name], strict=True)
        ]
        rows = []
        for pair in (tuple(names.split("+")) for names in self.arguments.pairs):
            reached, kept, outputs = [], [], []
            for goals in itertools.product((0, 1), repeat=2):
                now, then = (
                    [SIDES[name][side ^ goal] for name, goal in zip(pair, goals, strict=True)] for side in (1, 0)
                )
                values = zip(held_out, topics, *(held_table[name] for name in pair), strict=True)
                chosen = [(t, topic) for t, topic, *has in values if has == now][: self.arguments.few // 2]
                done = shift(
                    vae, [t for t, _ in chosen], [attributes[name] for name in pair], [2.0 * g - 1 for g in goals],
                    candidates=self.arguments.candidates, certainty=OWN_CERTAINTY, seed=0,
                )  # fmt: skip
                for (source, topic), each in zip(chosen, done, strict=True):
                    told, tells = read(source, topic), read(each.text, topic)
                    reached.append([tells[name].value == value for name, value in zip(pair, then, strict=True)])
                    telling = frozenset().union(*(told[name].words for name in pair))
                    kept.append(content_kept(split(source), split(each.text), telling))
                    outputs.append(f"{source}\t{each.text}")
            id = "shift.two" if pair == PAIRS[0] else f"shift.two.{'_'.join(pair)}"
            (self.arguments.output / f"{id}.tsv").write_text("\n".join(outputs) + "\n", encoding="utf-8")
            alone = " and ".join(f"{share:.2f}" for share in np.mean(reached, 0))
            note = (
                f"{' and '.join(pair)} both turned ({alone} alone), test sentences of data/, read off the phrase "
                f"banks, which read {np.mean(right):.1%} of the sources' labels right; content: words of four letters "
                f"or more that tell neither; certainty {OWN_CERTAINTY}"
            )
            kept_of = [share for share in kept if share is not None]
            both = float(np.mean(np.all(reached, 1)))
            rows += [
                row(f"{id}.both_reached", both, n=len(reached), bar=">= 0.80", seed=0, note=note),
                row(f"{id}.content_kept", float(np.mean(kept_of)), n=len(kept_of), bar=">= 0.80", seed=0, note=note),
            ]
        return rows

    def perplexity(self, texts: list[str]) -> float:
        """Return the word perplexity of texts under the outside LM."""
        return word_perplexity(self.lm.nats(texts), texts)


def lines(path: Path) -> list[str]:
    """Return the lines of a file."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]


def accuracy(judge: Judge, written: Sequence[list[str]]) -> float:
    """Return the share of the texts, of negative and of positive sources, that the judge takes for the other class."""
    right = np.concatenate([judge(written[0]), ~judge(written[1])])
    return float(right.mean())


def of_sides(written: Sides, others: Sides) -> float:
    """Return the corpus BLEU of both sides together, lower-cased."""
    score = bleu(*([text.lower() for text in sum(sides, [])] for sides in (written, others)))
    assert score is not None
    return score


def copies(written: Sides, sources: Sides) -> float:
    """Return the share of texts that came back unchanged."""
    return float(np.mean([a == b for a, b in zip(sum(written, []), sum(sources, []), strict=True)]))


def accuracy_at(curve: Sequence[tuple[float, float]], self_bleu: float) -> float:
    """Return the accuracy of a curve of (accuracy, self-BLEU) at a self-BLEU, interpolated."""
    by_bleu = sorted((kept, reached) for reached, kept in curve)
    return float(np.interp(self_bleu, *map(list, zip(*by_bleu, strict=True))))


def bleu_at(curve: Sequence[tuple[float, float]], reached: float) -> float:
    """Return the self-BLEU of a curve at an accuracy, interpolated; 0 where it is not reached."""
    points = sorted(curve)
    return float(np.interp(reached, *map(list, zip(*points, strict=True)), right=0.0))


def read_own(part: str) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Return the texts of our own corpus, its labels by column, and the topics."""
    rows = list(read_rows(str(ROOT / "data" / f"{part}.tsv"), columns=[*SIDES, "topic"]))
    labels = {name: [str(r[name]) for r in rows] for name in SIDES}
    return [str(r["text"]) for r in rows], labels, [str(r["topic"]) for r in rows]


def content_kept(source: list[str], text: list[str], telling: Iterable[int]) -> float | None:
    """Return how many of the source's content words are still there, as a share; None if it has none.

    Content words have four letters or more and do not tell an attribute.
    """
    content = Counter(word for i, word in enumerate(source) if len(word) > 3 and i not in set(telling))
    return (content & Counter(text)).total() / content.total() if content else None


def draw(curves: dict[str, list[tuple[float, float]]]) -> None:
    """Draw self-BLEU over accuracy."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    names = {"plain": "plain arithmetic, by strength", "loop": "closed loop, by certainty"}
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=names[name])
    axes.plot(*zip(*DAAE, strict=True), marker="x", linestyle=":", color="grey", label="DAAE (quoted)")
    axes.set(xlabel="accuracy of the target class, %", ylabel="self-BLEU", title="Yelp sentiment, both directions")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(ROOT / "results" / "shift.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
