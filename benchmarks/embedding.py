"""Embeddings that decode: similarity and reconstruction with a pretrained encoder; into results/embedding.json.

    python benchmarks/embedding.py --data DATA --encoder FOLDER [--runs DIR] [--lm FOLDER] [--only PARTS]

DATA holds multi30k/, yelp/ and stsb/; FOLDER (or a hub id) is the sentence encoder that is kept. One model for each
corpus is trained, or resumed, in --runs; reconstruction is measured on test sentences and similarity on STS-B dev, by
the cosine of mu and by that of the encoder itself. `--only contrast` trains on the captions of Multi30k from scratch,
as usual and with the contrastive term, the captions of one picture being a group; `--only mteb` has the package mteb
judge the export of a model to sentence-transformers; `--only lora` trains on Multi30k with adapters in a causal LM.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from shift import embedder

from results import ROOT, row, write_results
from textvae import TextVAE, TrainConfig, train
from textvae.evaluation.text_scores import bleu
from textvae.integrations.sentence_transformers import save_sentence_transformer
from textvae.text.corpus import read_corpus, read_rows
from textvae.text.tokenizers import readable

KEPT = TrainConfig(keep_encoder=True, encoder="", beta=0.001, free_bits=0.0, schedule="constant")
CORPORA: dict[str, dict[str, Any]] = {
    "multi30k": {"residual": 0.1, "epochs": 3.0},
    "yelp": {"residual": 0.2, "epochs": 5.0},
    "lora": {"residual": 0.1, "epochs": 0.1, "lora_rank": 16, "learning_rate": 1e-3, "latent_dropout": 0.0},
}
SENTENCES, VALID = 1000, 2000
CANDIDATES = {"candidates": 8, "refinements": 4, "temperature": 0.5, "seed": 0}
CONTRAST = {"plain": {}, "contrastive": {"contrastive": 1.0, "noise_drop": 0.1}}
CONTRAST_EPOCHS = 0.4
SCRATCH = ROOT / "data" / "models" / "english"

Embed = Callable[[Sequence[str]], np.ndarray]


def main() -> None:
    """Train what is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with multi30k/, yelp/ and stsb/")
    parser.add_argument("--encoder", required=True, help="folder or hub id of a pretrained sentence encoder")
    parser.add_argument("--runs", type=Path, default=Path("runs/embedding"), help="folder for the runs")
    parser.add_argument("--only", default="multi30k,yelp,scratch,contrast")
    parser.add_argument("--lm", help="folder or hub id of the causal LM that `--only lora` adapts")
    arguments = parser.parse_args()
    if "lora" in arguments.only.split(",") and not arguments.lm:
        parser.error("lora needs --lm")
    logging.disable(logging.WARNING)
    pairs = [line.split("\t") for line in (arguments.data / "stsb" / "dev.tsv").read_text().splitlines()]
    of_encoder = similarity(embedder(arguments.encoder), pairs)
    for part in arguments.only.split(","):
        rows = [
            row("sts.encoder.dev", of_encoder, n=len(pairs), bar="-", note="cosine of the encoder's own embeddings")
        ]
        if part == "scratch":
            rows += scratch(pairs)
        elif part == "contrast":
            rows += contrast(pairs, arguments)
        elif part == "mteb":
            rows += judged_by_mteb(pairs, arguments)
        else:
            rows += pretrained(part, pairs, of_encoder, arguments)
        write_results("embedding", rows)
        sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']})\n" for r in rows))
        sys.stdout.flush()


def pretrained(
    corpus: str, pairs: Sequence[Sequence[str]], of_encoder: float, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the rows of a model that keeps the encoder."""
    lora = corpus == "lora"
    files = (arguments.data / ("multi30k" if lora else corpus) / f"{part}.tsv" for part in ("train", "valid", "test"))
    texts, valid, test = (read_corpus(file, column="1") for file in files)
    decoder = arguments.lm if lora else KEPT.decoder
    config = dataclasses.replace(KEPT, encoder=arguments.encoder, decoder=decoder, **CORPORA[corpus])
    if lora:
        valid, test = valid[: VALID // 10], test[: SENTENCES // 4]
    vae = train(texts, arguments.runs / corpus, config, valid=valid[:VALID], resume=True)
    test = readable(vae.tokenizer, test[:SENTENCES])
    latents = vae.encode(test)
    folders = ("encoder", "decoder")
    changed = {k: v for k, v in config.to_dict().items() if v != getattr(TrainConfig(), k) and k not in folders}
    note = f"D={vae.dim}, {', '.join(f'{k}={v}' for k, v in changed.items())}"
    if lora:
        note = f"Multi30k, a causal LM with adapters as the decoder, {note}"
    rows = [
        row(
            "sts.pretrained.dev" if corpus == "multi30k" else f"sts.pretrained.{corpus}.dev",
            similarity(vae.encode, pairs), n=len(pairs), seed=0, bar=f">= {of_encoder:.2f}, the encoder",
            note=f"cosine of mu of the model trained on {corpus}",
        ),
        row(f"decode.{corpus}.bleu", bleu(vae.decode(latents), test), n=len(test), seed=0, bar=">= 50", note=note),
    ]  # fmt: skip
    if not lora:
        best = f"{note}; {', '.join(f'{k}={v}' for k, v in CANDIDATES.items())}"
        texts = vae.decode(latents, **CANDIDATES)
        rows.append(
            row(f"decode.{corpus}.bleu.candidates", bleu(texts, test), n=len(test), seed=0, bar=">= 60", note=best)
        )
    return rows


def scratch(pairs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the row of the model that ships, whose encoder was trained from scratch and saw no similarity label."""
    value = similarity(TextVAE.from_pretrained(SCRATCH).encode, pairs)
    return [row("sts.scratch.dev", value, n=len(pairs), seed=0, bar=">= 62", note="cosine of mu, data/models/english")]


def contrast(pairs: Sequence[Sequence[str]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of two small models from scratch, the same but for the contrastive term and its noise."""
    pictures = list(read_rows(str(arguments.data / "multi30k" / "train.tsv"), column="1", columns=["0"]))
    valid, test = (
        read_corpus(arguments.data / "multi30k" / f"{part}.tsv", column="1", limit=count)
        for part, count in (("valid", VALID), ("test", SENTENCES))
    )
    rows = []
    for name, options in CONTRAST.items():
        config = TrainConfig(epochs=CONTRAST_EPOCHS, **options)  # type: ignore[arg-type]
        groups = [str(row["0"]) for row in pictures] if config.contrastive else None
        texts, run = [str(row["text"]) for row in pictures], arguments.runs / f"contrast.{name}"
        vae = train(texts, run, config, valid=valid, groups=groups, resume=True)
        readable_test = readable(vae.tokenizer, test)
        note = f"small model from scratch, {CONTRAST_EPOCHS} epochs of Multi30k, default recipe" + "".join(
            f", {key}={value}" for key, value in options.items()
        )
        rows += [
            row(f"sts.{name}.dev", similarity(vae.encode, pairs), n=len(pairs), seed=0, bar="-", note=note),
            row(
                f"decode.{name}.bleu", bleu(vae.reconstruct(readable_test), readable_test),
                n=len(readable_test), seed=0, bar="-", note=note,
            ),
        ]  # fmt: skip
    return rows


def judged_by_mteb(pairs: Sequence[Sequence[str]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the row of mteb's own measure of STS-B dev, of an export as sentence-transformers loads it."""
    import mteb
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    texts = read_corpus(arguments.data / "multi30k" / "train.tsv", column="1", limit=VALID)
    config = TrainConfig(keep_encoder=True, encoder=arguments.encoder, max_steps=20)
    save_sentence_transformer(train(texts, arguments.runs / "exported", config, resume=True), arguments.runs / "export")
    task = mteb.get_task("STSBenchmark", eval_splits=["validation"])
    score, first, second = zip(*pairs, strict=True)
    columns = {"score": [float(each) for each in score], "sentence1": list(first), "sentence2": list(second)}
    task.dataset, task.data_loaded = {"validation": Dataset.from_dict(columns)}, True
    model = SentenceTransformer(str(arguments.runs / "export"), device="cpu")
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    value, note = 100 * result.get_score(["validation"]), f"mteb {mteb.__version__}, an export that keeps the encoder"
    return [row("sts.mteb.dev", value, n=len(pairs), seed=0, bar="that of the encoder", note=note)]


def similarity(embed: Embed, pairs: Sequence[Sequence[str]]) -> float:
    """Return 100 times the Spearman correlation of cosines with the scores of (score, text, text)."""
    a, b = (embed([pair[side] for pair in pairs]) for side in (1, 2))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return 100 * float(spearmanr(cosines, [float(pair[0]) for pair in pairs]).statistic)


if __name__ == "__main__":
    main()
