"""Train the English model: meaning and wording apart, on a general corpus; resumable at any moment.

    python scripts/train_english.py --corpus runs/english/pack --teacher FOLDER -o runs/english/RUN --minutes 60

--corpus is a pack of scripts/english_corpus.py or a folder with its sources. What is there already, the tokenizer, the
token ids, the teacher's embeddings and the newest checkpoint, is taken from there. Options of the recipe are given as
NAME=VALUE; OUTPUT/model then holds the weights averaged over the last steps, which load as any run does.

On a machine with a GPU and no network, from the root of the checkout and with a pack that has its teacher:

    PYTHONPATH=. python scripts/train_english.py --large --corpus PACK -o runs/english/gpu --minutes 8 \
        --embed-seconds 60 --report 120 --save 240 --pieces OUT

OUT gets the model in bfloat16 as pieces of at most 15 MB at every report: cat OUT/model.tar.* | tar x.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import logging
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from english_corpus import corpus_tokenizer, read_corpus, unpack_teacher
from english_loop import Budget, Loop, Recipe, Tokens, flatten
from english_measure import means, sts, write_back
from safetensors.numpy import load_file, save_file

from textvae.latent.vae import TextVAE
from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.precision import default_device
from textvae.storage.atomic import atomic_path
from textvae.storage.folders import atomic_folder
from textvae.text.tokenizers import to_texts, wrap
from textvae.training.distillation import BLOCK, TeacherCache, leading_directions

SWITCHES = {"true": True, "false": False}
DEV_OF_EACH = 40  # sentences of each source that are written back
PRIOR_TEXTS = 10_000
PIECE = 15_000_000  # bytes
LARGE = Recipe(
    hidden_size=384, num_layers=3, num_heads=6, gru_hidden_size=960, coverage=True, slot_dim=32, batch_tokens=32768,
    learning_rate=2e-3, warmup_steps=300, average=200, open_all=0.5, open_some=0.8, tie=True, warm_start=True,
    encoder_first=0.1, distillation=100.0, from_teacher=0.15, latent_dropout=0.05,
)  # fmt: skip


def main() -> None:
    """Prepare, train, report, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="*", metavar="NAME=VALUE", help="options of the recipe")
    parser.add_argument("--corpus", type=Path, required=True, help="pack, or folder with the sources")
    parser.add_argument("--teacher", help="folder or hub id of a sentence encoder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, help="minutes of processor time (on a GPU of the clock) in all")
    parser.add_argument("--steps", type=int, help="steps in all, instead")
    parser.add_argument("--sentences", type=int, help="train on so many sentences only")
    parser.add_argument("--weights", type=Path, help="run whose weights training starts from")
    parser.add_argument("--report", type=float, default=900, help="seconds of training between two reports")
    parser.add_argument("--save", type=float, default=300, help="seconds of training between two checkpoints")
    parser.add_argument("--dev", type=int, default=DEV_OF_EACH, help="sentences of each source in a report")
    parser.add_argument("--stsb", type=Path, help="STS-B dev file")
    parser.add_argument("--threads", type=int, default=1, help="threads on a CPU")
    parser.add_argument("--large", action="store_true", help="start from the recipe for a GPU")
    parser.add_argument("--embed-seconds", type=float, default=0, help="first let the teacher embed for so long")
    parser.add_argument("--pieces", type=Path, help="folder for the model in pieces, at every report")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    device = default_device()
    torch.set_float32_matmul_precision("high")
    recipe = read_recipe(arguments.recipe, LARGE if arguments.large else Recipe())
    corpus = read_corpus(arguments.corpus)
    train = corpus.train[: arguments.sentences]
    shared = arguments.output.parent
    say(f"{len(train):,} sentences, {device}")
    tokenizer = corpus_tokenizer(corpus, recipe.vocab_size, arguments.corpus, shared)
    config = recipe.config(len(tokenizer))
    rows = token_rows(tokenizer, train, config, shared)
    teacher = embeddings = None
    if arguments.teacher is None and (arguments.corpus / "teacher").exists():
        arguments.teacher = str(unpack_teacher(arguments.corpus / "teacher", shared / "unpacked-teacher"))
    if arguments.teacher:
        teacher = TeacherCache(shared / "teacher", arguments.teacher, str(device), 64 if device.type == "cpu" else 1024)
        start = time.monotonic()
        for _ in teacher.blocks(train):
            if time.monotonic() - start > arguments.embed_seconds:
                break
        embeddings = teacher.known(train)
        say(f"{len(embeddings):,} of {len(train):,} sentences have an embedding of the teacher")
    if recipe.distillation == 0 and recipe.from_teacher == 0:
        embeddings = None
    if embeddings is not None and embeddings.shape[1] > recipe.latent_dim:  # by the first block, which is always there
        directions = leading_directions(embeddings[:BLOCK], recipe.latent_dim)
        embeddings = (embeddings @ directions).astype(np.float16)
    torch.manual_seed(recipe.seed)
    model = TextVAEModel(config).to(device)
    if device.type == "cpu":
        model.set_attn_implementation("eager")
    if arguments.weights:
        given = TextVAEModel.from_pretrained(arguments.weights).state_dict()
        missing, unexpected = model.load_state_dict(given, strict=False)
        if unexpected or set(missing) - {"decoder.covered.weight"}:  # which starts at zero
            raise SystemExit(f"{arguments.weights} has another network: {', '.join(missing + unexpected)}")
    elif recipe.warm_start and teacher is not None:
        warm_start(model, tokenizer, teacher)
    tokens = Tokens(rows, device, config.pad_token_id, embeddings)
    loop = Loop(
        recipe, model.train(), tokens, arguments.output, Budget(steps=arguments.steps, minutes=arguments.minutes)
    )
    say(f"{sum(p.numel() for p in model.parameters()):,} parameters, {tokens.lengths.sum():,} tokens, step {loop.step}")
    dev = [text for texts in corpus.dev.values() for text in texts[: arguments.dev]]
    reporter = Reporter(tokenizer, wrap(tokenizer, dev, config), teacher, arguments)
    loop.run(reporter, arguments.report, arguments.save)
    if arguments.pieces:
        finish(arguments.output / "model", train[:PRIOR_TEXTS], arguments.pieces)


class Reporter:
    """Measure the averaged weights, write one line to metrics.jsonl and some texts to stderr, save the run."""

    def __init__(
        self, tokenizer: Any, dev: list[list[int]], teacher: TeacherCache | None, arguments: argparse.Namespace
    ):
        self.tokenizer, self.dev, self.teacher = tokenizer, dev, teacher
        self.stsb, self.run, self.pieces = arguments.stsb, arguments.output, arguments.pieces
        self.at, self.tokens = 0.0, 0

    def __call__(self, loop: Loop) -> None:
        """Report on a loop."""
        model = loop.averaged_model()
        if loop.tokens.flat.device.type == "cpu":
            model.set_attn_implementation("eager")
        line = {"step": loop.step, "minutes": loop.seconds / 60, "tokens": loop.tokens_seen}
        line["tokens_per_second"] = (loop.tokens_seen - self.tokens) / max(loop.seconds - self.at, 1e-9)
        line |= loop.take_recent()
        written = write_back(model, self.tokenizer, self.dev)
        line |= written.scores(None if self.teacher is None else self._embed)
        config: Any = model.config
        if self.stsb is not None:
            line["sts_dev"] = sts(lambda texts: means(model, wrap(self.tokenizer, texts, config)), self.stsb)
        self.run.mkdir(parents=True, exist_ok=True)
        with open(self.run / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        say("  ".join(f"{k} {v:,.4g}" for k, v in line.items()))
        for i in range(0, len(self.dev), max(1, len(self.dev) // 5)):
            say(f"  {written.sources[i]!r}\n    all of z: {written.back[i]!r}\n    m alone:  {written.alone[i]!r}")
        save_run(model, self.tokenizer, self.run / "model")
        if self.pieces:
            write_pieces(self.run / "model", self.pieces)
            shutil.copy(self.run / "metrics.jsonl", self.pieces)
        self.at, self.tokens = loop.seconds, loop.tokens_seen

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        assert self.teacher is not None
        return self.teacher.encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def read_recipe(given: Sequence[str], base: Recipe) -> Recipe:
    """Return a recipe with the options given as NAME=VALUE in place of its own."""
    known = {field.name: field.default for field in dataclasses.fields(Recipe)}
    changed: dict[str, Any] = {}
    for option in given:
        name, _, value = option.partition("=")
        if name not in known:
            raise SystemExit(f"unknown option of the recipe {name!r}: it has {', '.join(known)}")
        default = known[name]
        try:
            changed[name] = SWITCHES[value] if isinstance(default, bool) else type(default)(value)
        except (KeyError, ValueError):
            raise SystemExit(f"{name} must be like {str(default).lower()}, got {value!r}") from None
    return dataclasses.replace(base, **changed)


def token_rows(tokenizer: Any, texts: list[str], config: TextVAEConfig, folder: Path) -> dict[str, np.ndarray]:
    """Return the flattened token ids of the texts, computed at the first call."""
    digest = hashlib.sha256(f"{config.max_length}\n{tokenizer.backend_tokenizer.to_str()}".encode())
    for text in texts:
        digest.update(text.encode() + b"\n")
    path = folder / f"tokens-{digest.hexdigest()[:16]}.safetensors"
    if not path.exists():
        with atomic_path(path) as staged:
            save_file(flatten(wrap(tokenizer, texts, config)), staged)
    return load_file(path)


def warm_start(model: TextVAEModel, tokenizer: Any, teacher: TeacherCache) -> None:
    """Let the token embeddings of both halves start from the teacher's embeddings of each token's text."""
    texts = to_texts(tokenizer, [[i] for i in range(len(tokenizer))])
    vectors = teacher.encoder.encode([text or "." for text in texts], normalize_embeddings=True, batch_size=256)
    decoder: Any = model.decoder
    backbone: Any = model.encoder.backbone
    for weight in (decoder.get_input_embeddings().weight, backbone.get_input_embeddings().weight):
        chosen = np.asarray(vectors - vectors.mean(0), np.float32)
        chosen = chosen @ leading_directions(chosen, weight.shape[1])
        with torch.no_grad():
            weight.copy_(torch.from_numpy(chosen * (weight.std().item() / chosen.std())))


def finish(folder: Path, texts: Sequence[str], pieces: Path) -> None:
    """Fit the prior to the latents of texts, write the run with it in bfloat16, and some samples."""
    vae = TextVAE.from_pretrained(folder)
    vae.fit_prior(texts)
    vae.save_pretrained(folder, dtype="bfloat16")
    write_pieces(folder, pieces)
    samples = vae.sample(20, seed=0)
    (pieces / "samples.txt").write_text("".join(sample + "\n" for sample in samples), encoding="utf-8")
    say("samples:\n  " + "\n  ".join(samples))


def write_pieces(folder: Path, output: Path) -> None:
    """Write a run in bfloat16 as a tar in pieces of at most 15 MB: cat model.tar.* | tar x."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(fileobj=buffer, mode="w") as archive:
        copy = Path(temporary) / "model"
        TextVAE.from_pretrained(folder, "cpu").save_pretrained(copy, dtype="bfloat16")
        archive.add(copy, "model")
    content = buffer.getvalue()
    output.mkdir(parents=True, exist_ok=True)
    for i, start in enumerate(range(0, len(content), PIECE)):
        (output / f"model.tar.{i:02d}").write_bytes(content[start : start + PIECE])


def save_run(model: TextVAEModel, tokenizer: Any, folder: Path) -> None:
    """Write the model as a run folder that TextVAE loads."""
    with atomic_folder(folder, "config.json") as staged:
        model.save_pretrained(staged, max_shard_size="15MB")
        tokenizer.save_pretrained(staged)


def say(message: str) -> None:
    """Write a line to stderr, with the time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
