"""Search: documents against BM25 and the sentence encoder itself, and LatentIndex against raw faiss.

    python benchmarks/search.py --data DATA [--run RUN] [--encoder FOLDER] [--only scifact,factories]

Into results/search.json. `scifact` ranks the documents of DATA/scifact for its train queries by a LatentIndex of RUN, a
model that keeps the pretrained encoder FOLDER, by that encoder's own embeddings, and by BM25. `factories` fills a
LatentIndex and a faiss index of the same factory with the same blocks of 1,000,000 x 64 vectors, searches both in turn,
and compares the medians of their times and their recall against exact search; --run is not needed.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from results import row, write_results
from textvae import LatentIndex, TextVAE
from textvae.index.backends.faiss import PER_LIST, TRAINING
from textvae.index.build import BLOCK

FACTORIES = ["Flat", "IVF4000,Flat", "IVF4000,PQ16", "HNSW32"]
VECTORS, DIM, CENTRES, QUERIES, K = 1_000_000, 64, 2000, 1000, 10
ROUNDS = 5
DEPTH = 10  # of nDCG


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with scifact/")
    parser.add_argument("--run", type=Path, help="a run that keeps the encoder")
    parser.add_argument("--encoder", help="folder or hub id of that encoder")
    parser.add_argument("--only", default="scifact,factories", help="parts, separated by commas")
    parser.add_argument("--factories", nargs="+", default=FACTORIES)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    parts = arguments.only.split(",")
    if "scifact" in parts:
        if None in (arguments.data, arguments.run, arguments.encoder):
            parser.error("scifact needs --data, --run and --encoder")
        report(scifact(arguments.data / "scifact", arguments.run, arguments.encoder))
    if "factories" in parts:
        vectors, queries = clustered(np.random.default_rng(0))
        exact = neighbours("Flat", vectors, queries)
        for factory in arguments.factories:
            report(against_faiss(factory, vectors, queries, exact))


def report(rows: list[dict[str, Any]]) -> None:
    """Print and write rows."""
    sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}; {r['note']})\n" for r in rows))
    sys.stdout.flush()
    write_results("search", rows)


# Documents


def scifact(data: Path, run: Path, encoder: str) -> list[dict[str, Any]]:
    """Return the rows of the three rankings."""
    import bm25s
    from sentence_transformers import SentenceTransformer

    documents, queries, relevant = read_scifact(data)
    names, texts = list(documents), list(documents.values())
    hits = LatentIndex.build(TextVAE.from_pretrained(run), texts).search(queries, k=DEPTH)
    ours = [[names[hit.id] for hit in found] for found in hits]
    peer = SentenceTransformer(encoder)
    a, b = (peer.encode(part, normalize_embeddings=True) for part in (queries, texts))
    of_peer = [[names[i] for i in best] for best in np.argsort(-a @ b.T, axis=1)[:, :DEPTH]]
    words = bm25s.BM25()
    words.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(queries, stopwords="en", show_progress=False)
    found, _ = words.retrieve(tokens, k=DEPTH, show_progress=False)
    of_words = [[names[i] for i in best] for best in found.tolist()]

    values = {
        "scifact.train.ndcg10": (ours, f"mu of {run.name}"),
        "scifact.train.ndcg10.minilm": (of_peer, "the encoder's embeddings through sentence-transformers"),
        "scifact.train.ndcg10.bm25": (of_words, "bm25s, English stop words"),
    }
    bar = f">= {ndcg(of_peer, relevant):.4f}, the encoder"
    return [
        row(id, ndcg(ranked, relevant), n=len(queries), bar=bar if ranked is ours else None, note=note)
        for id, (ranked, note) in values.items()
    ]


def read_scifact(data: Path) -> tuple[dict[str, str], list[str], dict[str, set[str]]]:
    """Return the documents by name, the queries of the training part, and the names that answer each of these."""
    documents = [json.loads(line) for line in (data / "corpus.jsonl").read_text().splitlines()]
    asked = {q["_id"]: q["text"] for q in map(json.loads, (data / "queries.train.jsonl").read_text().splitlines())}
    relevant: dict[str, set[str]] = {}
    for line in (data / "qrels.train.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            relevant.setdefault(query, set()).add(document)
    return {d["_id"]: f"{d['title']} {d['text']}" for d in documents}, [asked[query] for query in relevant], relevant


def ndcg(ranked: Sequence[Sequence[str]], relevant: Mapping[str, set[str]]) -> float:
    """Return the mean nDCG@10 of rankings, one for each query, for relevance that is yes or no."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    gains = [
        discounts[[name in wanted for name in best]].sum() / discounts[: len(wanted)].sum()
        for best, wanted in zip(ranked, relevant.values(), strict=True)
    ]
    return float(np.mean(gains))


# Vectors


class Given:
    """Stands in for a model whose vectors are there already."""

    fingerprint, path, dim = "given", None, DIM

    def __init__(self, vectors: np.ndarray):
        self.parts: Iterator[np.ndarray] = iter(vectors)

    def encode(self, texts: Sequence[str], /, *, batch_size: int = 64) -> np.ndarray:
        """Return the next vectors."""
        return np.stack([next(self.parts) for _ in texts])


def clustered(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and queries around common centres, as latents of real texts are, float32."""
    centres = generator.normal(size=(CENTRES, DIM))
    weights = generator.dirichlet(np.ones(CENTRES))
    drawn = generator.choice(CENTRES, size=VECTORS + QUERIES, p=weights)
    points = (centres[drawn] + 0.7 * generator.normal(size=(len(drawn), DIM))).astype(np.float32)
    return points[:VECTORS], points[VECTORS:]


def against_faiss(factory: str, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray) -> list[dict[str, Any]]:
    """Return recall and speed of a factory through LatentIndex, over those of faiss with the same settings."""
    import faiss

    start = time.perf_counter()
    ours = LatentIndex.build(Given(vectors), (f"text {n}" for n in range(VECTORS)), factory=factory, metric="l2")  # type: ignore[arg-type]
    middle = time.perf_counter()
    raw = faiss.index_factory(DIM, factory)
    lists = faiss.try_extract_index_ivf(raw)
    if not raw.is_trained:
        asked = max(TRAINING, PER_LIST * lists.nlist if lists else 0)
        raw.train(vectors[: -(-asked // BLOCK) * BLOCK])  # the same ones: the index is built of whole blocks
    for first in range(0, VECTORS, BLOCK):  # as ours are: a graph comes out differently when it grows in blocks
        raw.add(vectors[first : first + BLOCK])
    if lists:
        lists.nprobe = round(lists.nlist**0.5)
    built = time.perf_counter() - middle
    hits, (_, ids) = ours.search(queries, k=K), raw.search(queries, K)
    recalls = [recall([[hit.id for hit in found] for found in hits], exact), recall(ids.tolist(), exact)]
    trials: dict[str, Callable[[], Any]] = {
        "neighbours": lambda: ours.neighbours(queries, k=K),
        "faiss": lambda: raw.search(queries, K),
        "search": lambda: ours.search(queries, k=K),
    }
    spent: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(ROUNDS):
        for name, trial in trials.items():
            begin = time.perf_counter()
            trial()
            spent[name].append(time.perf_counter() - begin)
    seconds = {name: statistics.median(found) for name, found in spent.items()}
    taken = ", ".join(f"{name} {found:.3f} s" for name, found in seconds.items())
    note = f"{QUERIES:,} queries, k={K}: {taken}, medians of {ROUNDS}"
    return [
        row(
            f"index.{factory}.recall10", recalls[0], n=QUERIES, seed=0, bar=f"{recalls[1]:.4f}, of faiss",
            note=f"{VECTORS:,} x {DIM}; built in {middle - start:.0f} s, faiss {built:.0f} s",
        ),
        row(
            f"index.{factory}.speed_ratio", seconds["faiss"] / seconds["neighbours"], n=QUERIES, seed=0, bar=">= 0.95",
            note=f"scores and ids, as faiss gives them; {note}",
        ),
        row(
            f"index.{factory}.speed_ratio.texts", seconds["faiss"] / seconds["search"], n=QUERIES, seed=0, bar="-",
            note=f"hits with texts and metadata; {note}",
        ),
    ]  # fmt: skip


def neighbours(factory: str, vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the ids that faiss finds, shape (queries, K)."""
    import faiss

    index = faiss.index_factory(DIM, factory)
    index.add(vectors)
    return index.search(queries, K)[1]


def recall(found: Sequence[Sequence[int]], exact: np.ndarray) -> float:
    """Return the share of the exact neighbours that were found."""
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found, exact.tolist(), strict=True)]))


if __name__ == "__main__":
    main()
