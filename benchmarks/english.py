"""Measure the English model: what it gives back, writes, finds and moves, on sentences that chose nothing.

    python benchmarks/english.py --run RUN --corpus PACK --data DATA --teacher FOLDER --lm FOLDER [--parts NAMES]

RUN was trained by scripts/train_english.py. PACK, of scripts/english_corpus.py, has 200 held-out sentences of each of
its sources, two of which no training has seen. DATA has stsb/, scifact/ and vader/. The teacher judges meaning by its
cosines; the LM judges naturalness: `valid` is the share of texts whose SLOR is above the 5th percentile of real
sentences, `natural` the share above their median (Kann et al. 2018). Every verb runs with its default settings.
Rows go to results/english.json.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import logging
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from search import ndcg, read_scifact
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from results import ROOT, row, write_results
from textvae import Attribute, LatentIndex, TextVAE, shift
from textvae.evaluation.text_scores import duplicates, edit_distance
from textvae.latent.drafts import DRAFTS
from textvae.latent.latents import Latents
from textvae.modeling.pretrained import load_sentence_encoder

sys.path.append(str(ROOT / "scripts"))

from english_corpus import UNSEEN, Corpus, read_corpus
from english_measure import LENGTHS, Naturalness, bleu, exact, repeating, sts

SEED = 0
JUDGED = 1000  # texts whose naturalness or exact latents are measured, at most
COUNTED = 15_000  # sentences that give the unigram distribution of naturalness
SAMPLES = 1000
VARIED, VARIATIONS = 200, 5  # sentences, and variations of each
MOVED = 200  # sentences whose sentiment is moved
TAUGHT = 100  # sentences of each class that an attribute is fitted to
CLEAR = 1.0  # human sentiment, of -4 to 4, beyond which a sentence has a class
CORPUS_LATENTS = 5000  # training sentences whose latents give the deviations
MIDPOINTS = 500
DEPTH = 10
NOISE = (0.25, 0.5, 1.0)  # of the latents' deviation
GRAM = 4
SPEED_TEXTS, SPEED_ROUNDS = 2000, 3

Rows = list[dict[str, Any]]


def bench_options(about: str, data: str) -> argparse.ArgumentParser:
    """Return a parser of what a `Bench` needs.

    Args:
        about: What the program does.
        data: Help on --data.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--run", type=Path, required=True, help="folder of the model")
    parser.add_argument("--corpus", type=Path, required=True, help="pack, or folder with the sources")
    parser.add_argument("--data", type=Path, required=True, help=data)
    parser.add_argument("--teacher", required=True, help="folder of a sentence encoder")
    parser.add_argument("--lm", required=True, help="folder or hub id of a causal LM")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def main() -> None:
    """Run the parts."""
    parser = bench_options(__doc__.splitlines()[0], "folder with stsb/, scifact/ and vader/")
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    bench = Bench(arguments)
    for name in arguments.parts.split(","):
        started, rows = time.monotonic(), PARTS[name](bench)
        for each in rows:
            sys.stdout.write(f"{each['id']}: {each['value']}  (bar {each['bar'] or 'none'}; n {each['n']})\n")
        sys.stdout.write(f"{name}: {time.monotonic() - started:.0f} s\n")
        sys.stdout.flush()
        write_results("english", rows)


class Bench:
    """The model, the held-out sentences, and the judges, each loaded when it is first needed."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.data: Path = arguments.data
        self.vae = TextVAE.from_pretrained(arguments.run, "cpu")
        self.corpus: Corpus = read_corpus(arguments.corpus)
        self.dev = [text for name, texts in self.corpus.dev.items() if name not in UNSEEN for text in texts]
        self.new = [text for name in UNSEEN for text in self.corpus.dev.get(name, [])]

    @functools.cached_property
    def teacher(self) -> Any:
        """The sentence encoder that judges meaning."""
        return load_sentence_encoder(self.arguments.teacher, "cpu")

    @functools.cached_property
    def natural(self) -> Naturalness:
        """The judge of naturalness, who compares with held-out sentences."""
        return Naturalness(self.arguments.lm, self.some(self.dev, JUDGED), self.corpus.train[:COUNTED])

    @functools.cached_property
    def deviation(self) -> np.ndarray:
        """Standard deviation of z over the corpus, shape (D + W,): of the meaning, and of a slot's numbers."""
        reading = self.vae.read(self.corpus.train[:CORPUS_LATENTS])
        given = reading.slots.mean[reading.states == 1]
        of_slots = given.std(0) if len(given) else given.new_zeros(reading.slots.mean.shape[2])
        return torch.cat([reading.meaning.mean.std(0), of_slots]).numpy()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the teacher's embeddings, of length 1."""
        return self.teacher.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    def cosine(self, written: Sequence[str], sources: Sequence[str]) -> float:
        """Return the mean cosine, by the teacher, of texts with their sources."""
        return float((self.embed(written) * self.embed(sources)).sum(1).mean())

    @staticmethod
    def some(texts: Sequence[str], most: int) -> list[str]:
        """Return at most so many texts, spread evenly over all."""
        return list(texts[:: max(1, -(-len(texts) // most))])


def reconstruction(bench: Bench) -> Rows:
    """Greedy reconstructions from the posterior mean, by length, from draws, under noise, and of new sources."""
    vae, dev = bench.vae, bench.dev
    back = vae.reconstruct(dev)
    rows = [
        row("english.recon_bleu", bleu(back, dev), n=len(dev), bar=">= 95", note=examples(dev, back)),
        row("english.recon_exact_match", exact(back, dev), n=len(dev), bar=">= .80"),
    ]
    for least, most in LENGTHS:
        chosen = [i for i, text in enumerate(dev) if least <= len(text.split()) <= most]
        written, sources = [back[i] for i in chosen], [dev[i] for i in chosen]
        rows.append(row(f"english.recon_bleu.{least}_{most}", bleu(written, sources), n=len(chosen)))
        rows.append(row(f"english.recon_exact_match.{least}_{most}", exact(written, sources), n=len(chosen)))
    some = bench.some(dev, JUDGED)
    closest = vae.reconstruct(some, exact=50)
    rows.append(row("english.recon_bleu.exact", bleu(closest, some), n=len(some), bar=">= 99"))
    rows.append(row("english.recon_exact_match.exact", exact(closest, some), n=len(some)))
    rows.append(row("english.recon_bleu.new", bleu(vae.reconstruct(bench.new), bench.new), n=len(bench.new),
                    bar=">= 92", note=", ".join(UNSEEN)))  # fmt: skip
    return rows


def noise(bench: Bench) -> Rows:
    """Reconstructions from draws of the posterior, and under noise in units of the corpus' deviation."""
    vae, dev = bench.vae, bench.dev
    reading = vae.read(dev)
    drawn = vae.decode(reading.sample(SEED))
    deviation, D = bench.deviation, vae.dim
    ratios = [float((reading.meaning.std.mean(0).numpy() / deviation[:D]).mean())]
    if given := bool((reading.states == 1).any()):
        ratios.append(float((reading.slots.std[reading.states == 1].mean(0).numpy() / deviation[D:]).mean()))
    note = "sigma over the corpus' deviation: " + ", ".join(
        f"{part} {ratio:.2f}" for part, ratio in zip(("meaning", "slots"), ratios, strict=False)
    )
    rows = [row("english.noise.bleu", bleu(drawn, dev), n=len(dev), seed=SEED, bar=">= 80", note=note)]
    generator = np.random.default_rng(SEED)
    mean = reading.mean
    for sigma in NOISE:
        of_m = sigma * deviation[:D] * generator.standard_normal(mean.meaning.shape)
        of_w = sigma * deviation[D:] * generator.standard_normal(mean.slots.shape) if given else 0
        written = vae.decode(Latents(mean.meaning + of_m, mean.slots + of_w, mean.states))
        rows.append(row(f"english.noise_curve.{sigma:g}", bleu(written, dev), n=len(dev), seed=SEED))
    tokens = sum(len(ids) - 1 for ids in reading.ids)
    other = np.roll(np.arange(len(dev)), 1)
    zero = Latents(0 * mean.meaning, 0 * mean.slots, mean.states)
    average = mean.moved(np.broadcast_to(mean.meaning.mean(0), mean.meaning.shape)).opened()
    latents = {"own": mean, "meaning_of_another": mean.moved(mean.meaning[other]), "all_of_another": mean[other],
               "open": mean.opened(), "zero": zero, "mean_open": average}  # fmt: skip
    for name, z in latents.items():
        value = float(vae.nats(reading, z).sum()) / tokens
        rows.append(row(f"english.interventions.{name}", value, n=len(dev), note="nats a token"))
    return rows


def meaning(bench: Bench) -> Rows:
    """Texts from the meaning alone: one draft, greedy and sampled; the nearest of several, sampled and of beams."""
    texts = bench.some(bench.dev, JUDGED)
    z = bench.vae.encode(texts)
    ways: dict[str, dict[str, Any]] = {
        "greedy": {}, "sampled": {"temperature": 0.7, "seed": SEED},
        "ranked": {"temperature": 0.7, "candidates": 8, "seed": SEED},
        "beams": {"num_beams": DRAFTS, "candidates": DRAFTS},
    }  # fmt: skip
    rows = []
    for name, options in ways.items():
        written = bench.vae.decode(z, **options)
        judged = bench.natural(written)
        end, n = "" if name == "greedy" else f".{name}", len(texts)
        seed = options.get("seed")
        note = examples(texts, written)
        rows += [
            row(f"english.meaning.cosine{end}", bench.cosine(written, texts), n=n, seed=seed, bar=">= .70", note=note),
            row(f"english.meaning.natural{end}", judged["natural"], n=n, seed=seed, bar=">= .42"),
            row(f"english.meaning.valid{end}", judged["valid"], n=n, seed=seed),
            row(f"english.meaning.repeating{end}", repeating(written), n=n, seed=seed,
                note=f"real sentences {repeating(texts):.3f}"),
        ]  # fmt: skip
    return rows


def samples(bench: Bench) -> Rows:
    """Texts from the prior: naturalness, repeats, 4-grams of the training text, distance from real text."""
    written = bench.vae.sample(SAMPLES, seed=SEED)
    judged = bench.natural(written)
    heldout = bench.some(bench.dev, SAMPLES)
    learnt = {gram for text in bench.corpus.train for gram in grams(text)}
    of_real = memorised(heldout, learnt)
    latents = bench.vae.decode(bench.vae.encode(bench.some(bench.dev, SAMPLES)))
    again = bench.vae.encode(written)
    drift = 1 - float(np.diag(bench.vae.similarity(again, bench.vae.encode(bench.vae.reconstruct(written)))).mean())
    n = len(written)
    return [
        row("english.valid", judged["valid"], n=n, seed=SEED, bar=">= .92", note=" | ".join(written[:10])),
        row("english.natural", judged["natural"], n=n, seed=SEED, bar=">= .42"),
        row("english.duplicates", duplicates(written), n=n, seed=SEED, bar="< .005"),
        row("english.memorised", memorised(written, learnt), n=n, seed=SEED, bar=f"<= {of_real + 0.02:.3f}",
            note=f"share of 4-grams that occur in training text; of held-out sentences {of_real:.3f}"),
        row("english.repeating", repeating(written), n=n, seed=SEED, note=f"real sentences {repeating(heldout):.3f}"),
        row("english.mauve", mauve(bench, written, heldout), n=n, seed=SEED,
            note="mauve-text with its defaults; features: embeddings of the teacher"),
        row("english.mauve.meaning", mauve(bench, latents, heldout), n=len(latents),
            note="texts from the meanings of the same held-out sentences"),
        row("english.reread", drift, n=n, seed=SEED,
            note="1 - cosine of a sample's meaning with that of its reconstruction"),
    ]  # fmt: skip


def midpoints(bench: Bench) -> Rows:
    """Texts half-way between a sentence and its nearest neighbour, written as `interpolate` does."""
    texts = bench.dev + bench.corpus.train[:20_000]
    z = bench.vae.encode(texts)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    chosen = np.arange(0, len(bench.dev), max(1, len(bench.dev) // MIDPOINTS))
    cosines = unit[chosen] @ unit.T
    cosines[np.arange(len(chosen)), chosen] = -1
    nearest = cosines.argmax(1)
    written = bench.vae.decode((z[chosen] + z[nearest]) / 2, num_beams=DRAFTS, candidates=DRAFTS)
    pairs = [f"{texts[i]} / {texts[j]}" for i, j in zip(chosen, nearest, strict=True)]
    judged, n = bench.natural(written), len(written)
    return [
        row("english.midpoint_natural", judged["natural"], n=n, bar=">= .40", note=examples(pairs, written)),
        row("english.midpoint_valid", judged["valid"], n=n),
    ]


def retrieval(bench: Bench) -> Rows:
    """Similarity of sentence pairs, and retrieval of documents."""
    value = sts(lambda texts: bench.vae.encode(texts), bench.data / "stsb" / "dev.tsv") / 100
    documents, queries, relevant = read_scifact(bench.data / "scifact")
    hits = LatentIndex.build(bench.vae, list(documents.values())).search(queries, k=DEPTH)
    names = list(documents)
    found = ndcg([[names[hit.id] for hit in best] for best in hits], relevant)
    return [
        row("english.sts_dev", value, bar=">= .82", note="Spearman, STS-B dev, cosine of the meanings"),
        row("english.scifact", found, n=len(queries), bar=">= .55", note="nDCG@10, SciFact train queries"),
    ]


def variations(bench: Bench) -> Rows:
    """Variations of held-out sentences with the defaults of `vary`."""
    sources = bench.some(bench.dev, VARIED)
    written = [bench.vae.vary(text, VARIATIONS, seed=i) for i, text in enumerate(sources)]
    flat = list(itertools.chain(*written))
    repeated = [text for text in sources for _ in range(VARIATIONS)]
    different = statistics.mean(
        len(set(each) - {text}) / VARIATIONS for text, each in zip(sources, written, strict=True)
    )
    n = len(flat)
    return [
        row("english.vary.similarity", bench.cosine(flat, repeated), n=n, bar=">= .80", note=examples(repeated, flat)),
        row("english.vary.self_bleu", bleu(flat, repeated), n=n, bar="<= 60", note="BLEU against the source"),
        row("english.vary.natural", bench.natural(flat)["natural"], n=n, bar=">= .40"),
        row("english.vary.distinct", different, n=n, bar=">= .95", note="differ from the source and from each other"),
    ]


def inversion(bench: Bench) -> Rows:
    """Texts from the teacher's bare embeddings, for a model whose meaning lies in the teacher's space."""
    texts = bench.some(bench.dev, JUDGED)
    given = bench.embed(texts)
    if given.shape[1] != bench.vae.dim:
        return []
    written = bench.vae.decode(given, num_beams=DRAFTS, candidates=DRAFTS)
    n = len(texts)
    return [
        row("english.invert.cosine", float((bench.embed(written) * given).sum(1).mean()), n=n, bar=">= .90",
            note=examples(texts, written)),
        row("english.invert.bleu", bleu(written, texts), n=n, bar=">= 35"),
    ]  # fmt: skip


def sentiment(bench: Bench) -> Rows:
    """Sentiment learnt from a few product reviews, moved in others; judged by a classifier of other sentences."""
    lines = (bench.data / "vader" / "sentences.tsv").read_text(encoding="utf-8").splitlines()[1:]
    labelled = [(domain, float(score), text) for domain, score, text in (line.split("\t") for line in lines)]
    random.Random(SEED).shuffle(labelled)
    reviews: dict[bool, list[str]] = {True: [], False: []}
    for domain, score, text in labelled:
        if domain == "amazon" and abs(score) > CLEAR and 4 <= len(text.split()) <= 20:
            reviews[score > 0].append(text)
    fitted = {side: texts[:TAUGHT] for side, texts in reviews.items()}
    moved = {side: texts[TAUGHT : TAUGHT + MOVED // 2] for side, texts in reviews.items()}
    aside = {text for side in (fitted, moved) for texts in side.values() for text in texts}
    others = [(text, score > 0) for _, score, text in labelled if abs(score) > CLEAR / 2 and text not in aside]
    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    judge = LogisticRegression(C=10, max_iter=1000).fit(
        tfidf.fit_transform([t for t, _ in others]), [p for _, p in others]
    )
    attribute = Attribute.fit(bench.vae, fitted[True], fitted[False], name="sentiment")
    sources, written, reached = [], [], []
    for side, texts in moved.items():
        results = shift(bench.vae, texts, attribute, -1.0 if side else 1.0)
        sources += texts
        written += [result.text for result in results]
        reached += [bool(p) != side for p in judge.predict(tfidf.transform([result.text for result in results]))]
    said = [bool(p) for p in judge.predict(tfidf.transform(sources))]
    of_sources = statistics.mean(a == b for a, b in zip(said, [s for s in moved for _ in moved[s]], strict=True))
    kept = statistics.mean(1 - edit_distance(a, b) for a, b in zip(sources, written, strict=True))
    n = len(written)
    return [
        row("english.shift.natural", bench.natural(written)["natural"], n=n, bar=">= .40",
            note=f"of the sources {bench.natural(sources)['natural']:.2f}; " + examples(sources, written)),
        row("english.shift.accuracy", statistics.mean(reached), n=n, bar=">= .80",
            note=f"the judge is right on {of_sources:.2f} of the sources"),
        row("english.shift.similarity", bench.cosine(written, sources), n=n, bar=">= .70"),
        row("english.shift.words_kept", kept, n=n),
    ]  # fmt: skip


def speed(bench: Bench) -> Rows:
    """Encoding beside the teacher through sentence-transformers in float32, in turns."""
    texts = bench.corpus.train[:SPEED_TEXTS]
    times: dict[str, list[float]] = {"ours": [], "teacher": []}
    bench.teacher.float()
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: bench.vae.encode(texts),
        "teacher": lambda: bench.embed(texts),
    }
    for _ in range(SPEED_ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    ratio = statistics.median(times["teacher"]) / statistics.median(times["ours"])
    note = f"{len(texts) / statistics.median(times['ours']):.0f} sentences/s, {torch.get_num_threads()} threads"
    return [row("english.encode_vs_minilm", ratio, n=len(texts), bar=">= 5", note=note)]


def size(bench: Bench) -> Rows:
    """Bytes on disk with the weights in 16 bits."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        bench.vae.save_pretrained(Path(folder) / "run", dtype="bfloat16")
        total = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    parameters = f"{bench.vae.model.num_parameters():,} parameters in 16 bits"
    return [row("english.megabytes", total / 1e6, bar="<= 40", note=parameters)]


def examples(sources: Sequence[str], written: Sequence[str], count: int = 5) -> str:
    """Return a few pairs, evenly spread and unselected, as a note."""
    chosen = range(0, len(sources), max(1, len(sources) // count))
    return " | ".join(f"{sources[i]} -> {written[i]}" for i in chosen[:count])


def grams(text: str) -> Iterable[tuple[str, ...]]:
    """Return the word 4-grams of a text, in lower case."""
    words = text.lower().split()
    return zip(*(words[i:] for i in range(GRAM)), strict=False)


def memorised(texts: Sequence[str], learnt: set[tuple[str, ...]]) -> float:
    """Return the share of 4-grams that occur in training text."""
    found = [gram in learnt for text in texts for gram in grams(text)]
    return sum(found) / max(1, len(found))


def mauve(bench: Bench, written: Sequence[str], real: Sequence[str]) -> float:
    """Return MAUVE (Pillutla et al. 2021) of written and real texts, by mauve-text with its defaults."""
    from mauve import compute_mauve

    return float(compute_mauve(bench.embed(written), bench.embed(real), seed=SEED).mauve)


PARTS: dict[str, Callable[[Bench], Rows]] = {
    "reconstruction": reconstruction, "noise": noise, "meaning": meaning, "samples": samples, "midpoints": midpoints,
    "retrieval": retrieval, "variations": variations, "inversion": inversion, "sentiment": sentiment, "speed": speed,
    "size": size,
}  # fmt: skip


if __name__ == "__main__":
    main()
