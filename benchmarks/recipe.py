"""How the English model is trained: recipes in equal minutes, and one flat latent beside meaning and wording.

    python benchmarks/recipe.py --corpus PACK --data DATA --teacher FOLDER --lm FOLDER
        [--runs runs/recipe] [--parts speed,search,compare] [--minutes 60] [--only NAMES]

DATA has stsb/dev.tsv. Every run has one core and so many minutes of processor time, whatever else the machine does; two
are trained side by side. Of `search` each recipe has 12 minutes; it is measured on the dev sentences of the corpus, two
sources of which no recipe has seen, as `compare` is on its test sentences. Rows go to results/recipe.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from allocators import HUGE, KEEP
from torch.utils.flop_counter import FlopCounterMode

from results import ROOT, row, write_results
from textvae.latent.processor import instruction_sets
from textvae.latent.vae import TextVAE
from textvae.modeling import TextVAEModel
from textvae.modeling.pretrained import load_sentence_encoder
from textvae.text.tokenizers import wrap
from textvae.training.distillation import TeacherCache

sys.path.append(str(ROOT / "scripts"))

from english_corpus import Corpus, corpus_tokenizer, read_corpus
from english_loop import Budget, Loop, Recipe, Tokens
from english_measure import LENGTHS, Naturalness, means, sts, write_back
from train_english import DEV_OF_EACH, read_recipe, token_rows

SENTENCES = 253_952  # trained on; more than a search reads in its minutes
TEST_OF_EACH = 60  # sentences of each source that a comparison is measured on
NATURAL = 500  # texts that an LM judges, at most twice as many
COUNTED = 15_000  # sentences that give the unigram distribution
MINUTES = 12
SMALL = ("batch_tokens=768", "learning_rate=1.5e-3", "open_all=0.5", "open_some=0.8", "slot_dim=32", "tie=true",
         "warmup_steps=300")  # fmt: skip
WARM = (*SMALL, "warm_start=true")
SEARCH = {
    "base": (),
    "rate_2e-3": ("learning_rate=2e-3",),
    "warm_start": ("learning_rate=2e-3", "warm_start=true"),
    "small_batches": SMALL,
    "warm_small_batches": WARM,
    "from_teacher": (*WARM, "from_teacher=0.5"),
    "wide_gru": (*WARM, "gru_hidden_size=768"),
    "slots_of_2": (*WARM, "slot_tokens=2", "slot_dim=16"),
    "slots_of_8": (*WARM, "slot_tokens=8", "slot_dim=64"),
    "mostly_open": (*WARM, "open_all=0.75"),
    "muon": (*WARM, "muon=true"),
    "transformer": (*WARM, "decoder=transformer", "num_layers=3"),
    "distilled_more": (*WARM, "distillation=60"),
    "sampled_softmax": (*WARM, "sampled_words=1024"),
    "vocabulary_16384": (*WARM, "vocab_size=16384"),
    "unmasked": (*WARM, "mask=0"),
    "latent_dropout": (*WARM, "latent_dropout=0.15"),
    "coverage": (*WARM, "coverage=true"),
}
CHOSEN = SEARCH["warm_small_batches"]
COMPARED = {
    "split": CHOSEN,
    "flat": (*CHOSEN, "slot_dim=0", "latent_dim=512", "unit_mean=false", "from_teacher=0", "distillation=0"),
}
KEYS = ("loss", "bleu", "exact", "sts_dev")
SPEED_STEPS, PEAK_SIZE = 30, 2048


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="pack, or folder with the sources")
    parser.add_argument("--data", type=Path, required=True, help="folder with stsb/")
    parser.add_argument("--teacher", required=True, help="folder of a sentence encoder")
    parser.add_argument("--lm", help="folder or hub id of the causal LM that judges how natural texts are")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"), help="folder of the runs")
    parser.add_argument("--parts", default="speed,search,compare")
    parser.add_argument("--minutes", type=float, default=60, help="of each run of `compare`")
    parser.add_argument("--only", help="recipes of `search`, separated by commas; by default all")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    corpus = read_corpus(arguments.corpus)
    parts = {"speed": speed, "search": search, "compare": compare}
    for part in arguments.parts.split(","):
        rows = parts[part](corpus, arguments)
        write_results("recipe", rows)
        sys.stdout.write("".join(f"{r['id']}: {r['value']}\n" for r in rows))


def search(corpus: Corpus, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train the recipes of the search, two at a time, and measure them on dev sentences."""
    names = arguments.only.split(",") if arguments.only else list(SEARCH)
    train_pairs(corpus, {name: SEARCH[name] for name in names}, MINUTES, arguments)
    dev = [text for texts in corpus.dev.values() for text in texts[:DEV_OF_EACH]]
    judge = Judge(corpus, dev, arguments)
    rows = []
    for name in names:
        values = judge(arguments.runs / name / "model")
        note = f"{' '.join(SEARCH[name]) or 'defaults'}; {values['tokens']:,} tokens in {MINUTES} minutes of one core"
        for key in (*KEYS, "loss_alone", "bleu_drawn", "cosine_alone", "repeating_alone", "valid", "natural"):
            if key in values:
                id, n = f"recipe.search.{name}.{key}", judge.count(key)
                rows.append(row(id, round(values[key], 4), n=n, seed=0, note=note))
    return rows


def compare(corpus: Corpus, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train the split and the flat latent side by side and measure them on test sentences."""
    train_pairs(corpus, COMPARED, arguments.minutes, arguments)
    test = [text for texts in corpus.test.values() for text in texts[:TEST_OF_EACH]]
    torch.set_num_threads(os.cpu_count() or 1)
    judge = Judge(corpus, test, arguments)
    bars = {"split.bleu": ">= 80, and 40 more than flat"}
    rows = []
    for name in COMPARED:
        values = judge(arguments.runs / name / "model")
        note = f"{values['tokens']:,} tokens in {arguments.minutes:g} minutes of one core; {' '.join(COMPARED[name])}"
        lengths = [f"{kind}_{least}_{most}" for least, most in LENGTHS for kind in ("bleu", "exact")]
        written = ("loss_alone", "bleu_drawn", "cosine_alone", "repeating_alone", "repeating_real", "valid", "natural")
        for key in (*KEYS, *written, *lengths):
            if key in values:
                id = f"recipe.{name}.{key}"
                bar = bars.get(f"{name}.{key}")
                rows.append(row(id, round(values[key], 4), n=judge.count(key), seed=0, bar=bar, note=note))
    return rows


class Judge:
    """Measure runs on held-out sentences."""

    def __init__(self, corpus: Corpus, texts: list[str], arguments: argparse.Namespace):
        self.texts, self.stsb = texts, arguments.data / "stsb" / "dev.tsv"
        self.teacher = load_sentence_encoder(arguments.teacher, "cpu")
        self.some = slice(None, None, max(1, len(texts) // NATURAL))
        self.natural = Naturalness(arguments.lm, texts[self.some], corpus.train[:COUNTED]) if arguments.lm else None

    def __call__(self, folder: Path) -> dict[str, Any]:
        """Return the measurements of a run folder."""
        vae = TextVAE.from_pretrained(folder, "cpu")
        written = write_back(vae.model, vae.tokenizer, wrap(vae.tokenizer, self.texts, vae.model.config))
        values: dict[str, Any] = written.scores(self._embed)
        config: Any = vae.model.config
        values["sts_dev"] = sts(lambda texts: means(vae.model, wrap(vae.tokenizer, texts, config)), self.stsb)
        if self.natural is not None:
            values |= self.natural(written.alone[self.some])
        last = (folder.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        return values | {"tokens": json.loads(last)["tokens"]}

    def count(self, key: str) -> int | None:
        """Return how many texts a measurement is of; None for STS-B's pairs."""
        if key == "sts_dev":
            return None
        return len(self.texts[self.some]) if key in ("valid", "natural") else len(self.texts)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        return self.teacher.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def train_pairs(
    corpus: Corpus, recipes: dict[str, tuple[str, ...]], minutes: float, arguments: argparse.Namespace
) -> None:
    """Train each recipe in a process of its own, on one core, two at a time, but for runs that are done."""
    waiting = [name for name in recipes if minutes_of(arguments.runs / name) < minutes]
    running: dict[str, subprocess.Popen] = {}
    if waiting:
        prepare(corpus, recipes[waiting[0]], arguments)
    while waiting or running:
        while waiting and len(running) < min(2, os.cpu_count() or 1):
            name = waiting.pop(0)
            running[name] = start(recipes[name], arguments.runs / name, minutes, arguments)
        for name, process in list(running.items()):
            if process.poll() is not None:
                if process.returncode:
                    sys.exit(f"{name} failed: see {arguments.runs / name}.log")
                del running[name]
        time.sleep(1)


def minutes_of(run: Path) -> float:
    """Return how long a run has been trained."""
    metrics = run / "metrics.jsonl"
    return json.loads(metrics.read_text(encoding="utf-8").splitlines()[-1])["minutes"] if metrics.exists() else 0.0


def prepare(corpus: Corpus, options: tuple[str, ...], arguments: argparse.Namespace) -> None:
    """Make what all runs share before they start: tokenizer, token ids, the teacher's embeddings."""
    recipe = read_recipe(options, Recipe())
    tokenizer = corpus_tokenizer(corpus, recipe.vocab_size, arguments.corpus, arguments.runs)
    texts = corpus.train[:SENTENCES]
    token_rows(tokenizer, texts, recipe.config(len(tokenizer)), arguments.runs)
    for _ in TeacherCache(arguments.runs / "teacher", arguments.teacher).blocks(texts):
        pass


def start(recipe: tuple[str, ...], output: Path, minutes: float, arguments: argparse.Namespace) -> subprocess.Popen:
    """Start a training process of one thread, whose output goes to a log beside the run."""
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, str(ROOT / "scripts" / "train_english.py"), *recipe, "--corpus", str(arguments.corpus),
        "--teacher", arguments.teacher, "-o", str(output), "--minutes", str(minutes), "--report", "600",
        "--sentences", str(SENTENCES),
    ]  # fmt: skip
    with open(f"{output}.log", "a", encoding="utf-8") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | KEEP | HUGE | {"OMP_NUM_THREADS": "1"}
        )


def speed(corpus: Corpus, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Time training steps of the chosen recipe on one core, and count what they compute."""
    recipe = read_recipe(CHOSEN, Recipe())
    tokenizer = corpus_tokenizer(corpus, recipe.vocab_size, arguments.corpus, arguments.runs)
    config = recipe.config(len(tokenizer))
    model = TextVAEModel(config)
    model.set_attn_implementation("eager")
    texts = corpus.train[:20_000]
    embeddings = np.random.default_rng(0).standard_normal((len(texts), recipe.latent_dim)).astype(np.float16)
    tokens = Tokens(wrap(tokenizer, texts, config), torch.device("cpu"), config.pad_token_id, embeddings)
    loop = Loop(recipe, model.train(), tokens, arguments.runs / "speed", Budget(steps=10**9))
    batches = loop._batches()
    for _ in range(SPEED_STEPS):  # kernels for the common shapes are made once
        loop._train_step(next(batches))
    rates, peaks = [], []
    matrix = torch.randn(PEAK_SIZE, PEAK_SIZE)
    for _ in range(5):
        started, before = time.perf_counter(), loop.tokens_seen
        for _ in range(SPEED_STEPS):
            loop._train_step(next(batches))
        rates.append((loop.tokens_seen - before) / (time.perf_counter() - started))
        started = time.perf_counter()
        for _ in range(5):
            matrix @ matrix
        peaks.append(5 * 2 * PEAK_SIZE**3 / (time.perf_counter() - started))
    before = loop.tokens_seen
    with FlopCounterMode(display=False) as counter:
        for _ in range(SPEED_STEPS):
            loop._train_step(next(batches))
    each = counter.get_total_flops() / (loop.tokens_seen - before)
    rate, peak = statistics.median(rates), statistics.median(peaks)
    sizes = f"{sum(p.numel() for p in model.parameters()):,} parameters"
    used = f"{each / 1e6:.1f} million operations of matrix products a token, {peak / 1e9:.0f} GFLOP/s in fp32"
    changed = {k: v for k, v in dataclasses.asdict(recipe).items() if v != getattr(Recipe(), k)}
    note = f"one core, {' '.join(instruction_sets())}; {sizes}; {used}; {changed}"
    return [
        row("recipe.tokens_per_second", round(rate), n=5, seed=0, note=note),
        row("recipe.peak_fraction", round(each * rate / peak, 3), n=5, seed=0, bar=">= 0.45", note=note),
    ]


if __name__ == "__main__":
    main()
