r"""Measure training, encoding and decoding on one GPU, in six minutes at most.

    PYTHONPATH=. python benchmarks/gpu.py --corpus PACK [NAME=VALUE ...] [--parts NAMES] [--seconds 20] [--minutes 6]
        [--output FOLDER] [--commit COMMIT]
    PYTHONPATH=. python benchmarks/gpu.py --corpus PACK --device cpu --seconds 10

PACK is one of scripts/english_corpus.py. What is trained is the recipe for a GPU of scripts/train_english.py, from its
start, with random vectors in the place of the teacher's embeddings; NAME=VALUE changes it. Sides that are compared take
turns; the device is waited for before and after a turn, never within. Rows go to results/gpu.json after each part. What
fails or finds too little time left is said and costs no other part. The second command rehearses on a CPU, with small
batches and few sentences; its rows go to runs/rehearsal. A machine that has a copy of the files without their history
is told the commit.
"""

# B sentences, T tokens, V vocabulary, H hidden, E dimensions of the teacher
from __future__ import annotations

import time

STARTED = time.monotonic()  # before the imports, which count

import argparse
import contextlib
import copy
import dataclasses
import gc
import itertools
import logging
import signal
import statistics
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from allocators import peak_memory_mb
from timing import alternate, fastest
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from results import ROOT, row, write_results
from textvae.latent.reading import read_rows
from textvae.latent.vae import TextVAE
from textvae.modeling import TextVAEModel, likelihood
from textvae.modeling.decoders.base import LatentDecoder
from textvae.modeling.likelihood import IGNORED
from textvae.modeling.precision import autocast, default_device, has_bf16
from textvae.text.token_budget import TokenBudgetSampler
from textvae.text.tokenizers import wrap
from textvae.training.noise import mask_tokens

sys.path.append(str(ROOT / "scripts"))

from english_corpus import corpus_tokenizer, read_corpus
from english_loop import Budget, Loop, Recipe, Tokens, flatten
from train_english import LARGE, read_recipe

Rows = list[dict[str, Any]]
BARS = {"gpu.train_peak_fraction": ">= 0.25", "gpu.train_vs_naive": ">= 4"}
TURNS, ROUNDS, PART_ROUNDS = 5, 3, 2  # of the row that is timed alone, of A and B, of a part and the base
COUNTED_BATCHES = 20  # whose operations are counted
PRODUCTS = 10  # of matrices that are timed together
DECODE_BATCH = 512


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        batch_tokens: Tokens of a batch.
        budgets: Others that are tried.
        sentences: Trained on.
        encoded: Sentences that are encoded.
        decoded: Latents that are decoded.
        warm: Steps of a side that are not timed.
        look: Steps between two looks at the clock, and those that are profiled.
        peak_width: Of the square matrices whose product gives the peak.
    """

    batch_tokens: int
    budgets: tuple[int, ...]
    sentences: int
    encoded: int
    decoded: int
    warm: int
    look: int
    peak_width: int


OF_GPU = Sizes(32768, (4096, 16384, 65536), 200_000, 100_000, 4096, 150, 10, 8192)
OF_CPU = Sizes(512, (64, 256, 1024), 1000, 200, 8, 1, 1, 1024)  # a rehearsal


def main() -> None:
    """Measure the parts one after another, those with bars first, and write their rows as they come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="*", metavar="NAME=VALUE", help="options of the recipe")
    parser.add_argument("--corpus", type=Path, default=ROOT / "runs/english/pack", help="pack, or folder with sources")
    parser.add_argument("--device", type=torch.device, default=default_device(), help="by default the GPU")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=float, default=20, help="timed seconds of each part, of all its turns")
    parser.add_argument("--minutes", type=float, default=6, help="after which no part begins, and the last one ends")
    parser.add_argument("--output", type=Path, help="folder for gpu.json")
    parser.add_argument("--commit", help="where there is no git")
    arguments = parser.parse_args()
    unknown = set(chosen := arguments.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--parts has {', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    logging.disable(logging.WARNING)
    folder = arguments.output or ROOT / ("runs/rehearsal" if arguments.device.type == "cpu" else "results")
    failed = []
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(arguments, Path(work), folder)
        say(f"{len(bench.texts):,} sentences of {bench.mean_length:.1f} tokens on {arguments.device}")
        for name in chosen:
            part = PARTS[name]
            left = 60 * arguments.minutes - (time.monotonic() - STARTED)
            if left < (part.needs + part.turns * arguments.seconds if part.optional else part.needs):
                say(f"{name}: skipped, {left:.0f} seconds are left")
                failed += [] if part.optional else [name]
                continue
            try:
                with limit(min(left, part.most + part.turns * arguments.seconds) if part.optional else left):
                    rows = part.measure(bench)
            except Exception:  # of one part, which shall not cost the others
                say(f"{name}: failed\n{traceback.format_exc()}")
                failed.append(name)
                rows = []
            for measured in rows:
                measured["bar"] = BARS.get(measured["id"])
                sys.stdout.write(f"{measured['id']}: {measured['value']:,}  ({measured['note']})\n")
            sys.stdout.flush()
            if rows:
                write_results("gpu", rows, folder=folder, commit=arguments.commit)
            bench.tidy()
    say(f"done{', failed: ' + ', '.join(failed) if failed else ''}")
    if any(not PARTS[name].optional for name in failed):
        sys.exit(1)


def say(message: str) -> None:
    """Write a line with the seconds since the start."""
    sys.stdout.write(f"[{time.monotonic() - STARTED:5.1f} s] {message}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1), 5)  # again, since a compiler may catch the first one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Bench:
    """What all parts share: sentences, their tokens on the device, the recipe, the base that others are compared with.

    Args:
        arguments: Of the command line.
        work: Folder for what is not kept.
        folder: Folder for what is.
    """

    def __init__(self, arguments: argparse.Namespace, work: Path, folder: Path):
        self.device, self.seconds, self.work, self.folder = arguments.device, arguments.seconds, work, folder
        self.sizes = OF_CPU if self.device.type == "cpu" else OF_GPU
        whole = dataclasses.replace(LARGE, encoder_first=0.0, batch_tokens=self.sizes.batch_tokens)
        self.recipe = read_recipe(arguments.recipe, whole)
        corpus = read_corpus(arguments.corpus)
        self.tokenizer = corpus_tokenizer(corpus, self.recipe.vocab_size, arguments.corpus, work)
        self.config = self.recipe.config(len(self.tokenizer))
        self.texts = corpus.train[: max(self.sizes.sentences, self.sizes.encoded)]
        rows = wrap(self.tokenizer, self.texts[: self.sizes.sentences], self.config)
        self.mean_length = float(np.mean([len(ids) for ids in rows]))
        vectors = np.random.default_rng(0).standard_normal((len(rows), self.recipe.latent_dim), np.float32)
        teacher = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        self.tokens = Tokens(flatten(rows), self.device, self.config.pad_token_id, teacher)
        self.rows, self.teacher = rows, torch.from_numpy(teacher).float()
        self._base: Side | None = None
        self._peak = 0.0

    @property
    def base(self) -> Side:
        """The training run that parts are compared with, warm."""
        if self._base is None:
            self._base = Side(self)
        return self._base

    @property
    def peak(self) -> float:
        """Operations a second of a large product of random matrices in bf16; in float32 without hardware for it."""
        if not self._peak:
            width, dtype = self.sizes.peak_width, torch.bfloat16 if has_bf16(self.device) else torch.float32
            a, b = (torch.randn(width, width, device=self.device, dtype=dtype) for _ in range(2))
            spent = [self.timed(lambda: [a @ b for _ in range(PRODUCTS)]) for _ in range(TURNS + 1)]
            self._peak = PRODUCTS * 2 * width**3 / statistics.median(spent[1:])
        return self._peak

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, action: Callable[[], Any]) -> float:
        """Return the seconds of an action, the device's work included."""
        self.synchronize()
        start = time.perf_counter()
        action()
        self.synchronize()
        return time.perf_counter() - start

    def for_seconds(self, seconds: float, step: Callable[[], int]) -> float:
        """Repeat a step for so many seconds; return tokens a second, of which each step returns its own."""
        seen = 0

        def steps() -> None:
            nonlocal seen
            end = time.perf_counter() + seconds
            while not seen or time.perf_counter() < end:
                seen += sum(step() for _ in range(self.sizes.look))

        spent = self.timed(steps)
        return seen / spent

    def tidy(self) -> None:
        """Give memory back, so that one part's does not count in another."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


# Training


class Side:
    """A training run by `Loop`, timed in turns, its batches drawn on the way.

    Args:
        bench: What it shares with others.
        batch_tokens: Tokens of a batch; by default the recipe's.
        multiple: Of which the length of a batch is one.
        change: What is done to the model before anything runs.
        around: Returns a context for all steps.
    """

    def __init__(
        self,
        bench: Bench,
        batch_tokens: int = 0,
        multiple: int = 1,
        change: Callable[[TextVAEModel], object] = lambda model: None,
        around: Callable[[], Any] = contextlib.nullcontext,
    ):
        self.bench, self.around = bench, around
        recipe = dataclasses.replace(bench.recipe, batch_tokens=batch_tokens or bench.recipe.batch_tokens)
        torch.manual_seed(recipe.seed)
        model = TextVAEModel(bench.config).to(bench.device).train()  # type: ignore[arg-type]
        if bench.device.type == "cpu":
            model.set_attn_implementation("eager")
        change(model)
        tokens = copy.copy(bench.tokens)
        tokens.multiple = multiple
        self.loop = Loop(recipe, model, tokens, bench.work / "none", Budget(steps=10**9))
        self.batches = self.loop._batches()
        with self._context():
            for _ in range(bench.sizes.warm):
                self._step()

    def turn(self, seconds: float) -> float:
        """Train for so many seconds and return tokens a second, padding not counted."""
        with self._context():
            rate = self.bench.for_seconds(seconds, self._step)
        self.loop.check_finite()
        self.loop.recent = []
        return rate

    def _step(self) -> int:
        before = self.loop.tokens_seen
        self.loop._train_step(next(self.batches))
        return self.loop.tokens_seen - before

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        torch.set_float32_matmul_precision("high")  # as scripts/train_english.py does
        try:
            with self.around():
                yield
        finally:
            torch.set_float32_matmul_precision("highest")


def training(bench: Bench) -> Rows:
    """Time the base alone; compare what it computes with the peak of the device."""
    peak = bench.peak
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    side = bench.base
    first = side.loop.step
    rate = statistics.median(side.turn(bench.seconds / TURNS) for _ in range(TURNS))
    steps, sizes = side.loop.step - first, f"{sum(p.numel() for p in side.loop.model.parameters()):,} parameters"
    operations = operations_a_token(bench, side.loop.model, _training_forward(bench))
    on_gpu = bench.device.type == "cuda"
    memory = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else peak_memory_mb() / 1024
    changed = ", ".join(_changed(bench.recipe))
    note = f"{sizes}, batches of {bench.recipe.batch_tokens:,} tokens, at most {memory:.1f} GB; recipe with {changed}"
    counted = (
        f"{3 * operations / 1e6:.0f} million operations a token, three times those of the linear layers, GRU and output"
        f" layer in the forward pass; attention, padding, loss and optimiser not counted; peak "
        f"{peak / 1e12:.3g} TFLOP/s, {_product(bench)}; {rate:,.0f} tokens/s"
    )
    return [
        row("gpu.train_peak_fraction", round(3 * operations * rate / peak, 4), n=steps, seed=0, note=counted),
        row("gpu.train_tokens_per_second", round(rate), n=steps, seed=0, note=note),
    ]


def _changed(recipe: Recipe) -> list[str]:
    """Return the options in which a recipe is not the one for a GPU."""
    theirs = dataclasses.asdict(LARGE)
    return [f"{name}={value}" for name, value in dataclasses.asdict(recipe).items() if value != theirs[name]]


def _product(bench: Bench) -> str:
    kind = "bf16" if has_bf16(bench.device) else "float32"
    return f"a product of two random matrices of {bench.sizes.peak_width} x {bench.sizes.peak_width} in {kind}"


def _training_forward(bench: Bench) -> Callable[[TextVAEModel, dict[str, Tensor]], int]:
    """Return a forward pass of training; it returns the operations of the output layer, which is no module there."""

    def forward(model: TextVAEModel, batch: dict[str, Tensor]) -> int:
        model(**batch, **options(bench.recipe))
        head: Any = model.decoder.get_output_embeddings()
        return 2 * batch["labels"][:, 1:].numel() * head.weight.numel()

    return forward


def options(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe passes to the model in each step, the noise of its inputs left out."""
    return {
        "beta": recipe.beta,
        "free_bits": recipe.free_bits,
        "terms": {"distillation": recipe.distillation},
        "from_teacher": recipe.from_teacher,
        "open_all": recipe.open_all,
        "open_some": recipe.open_some,
    }


@torch.no_grad()
def operations_a_token(
    bench: Bench, model: TextVAEModel, forward: Callable[[TextVAEModel, dict[str, Tensor]], int]
) -> float:
    """Return the operations of a forward pass for each token that is no padding: two for a weight and a row.

    Linear layers and GRUs are counted where they run, and what `forward` returns is added.
    """
    found = 0

    def linear(module: nn.Linear, inputs: Any, output: Tensor) -> None:
        nonlocal found
        found += 2 * output.numel() * module.in_features

    def gru(module: nn.GRU, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal found
        rows = inputs[0].numel() // inputs[0].shape[-1]
        found += 2 * rows * sum(weight.numel() for weight in module.parameters() if weight.dim() == 2)

    hooks = {nn.Linear: linear, nn.GRU: gru}
    handles = [m.register_forward_hook(hooks[type(m)]) for m in model.modules() if type(m) in hooks]
    sampler = TokenBudgetSampler(bench.tokens.lengths, bench.recipe.batch_tokens, bench.recipe.seed)
    operations, tokens = 0.0, 0
    try:
        for chosen in itertools.islice(sampler, COUNTED_BATCHES):
            batch, found = bench.tokens.batch(np.asarray(chosen)), 0
            with autocast(bench.device):
                others = forward(model, batch)
            real = int(bench.tokens.lengths[chosen].sum())
            operations += (found + others) * real / batch["input_ids"].numel()
            tokens += real
    finally:
        for handle in handles:
            handle.remove()
    return operations / tokens


class Naive:
    """The same network and loss in a plain loop.

    In fp32, padded batches in random order, all logits at once, AdamW as it comes, data moved and the loss read in each
    step.
    """

    def __init__(self, bench: Bench):
        self.bench, self.options = bench, options(bench.recipe)
        torch.manual_seed(bench.recipe.seed)
        self.model = TextVAEModel(bench.config).to(bench.device).train()  # type: ignore[arg-type]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=bench.recipe.learning_rate)
        pairs = [(torch.tensor(ids), bench.teacher[i]) for i, ids in enumerate(bench.rows)]
        size = max(1, round(bench.recipe.batch_tokens / bench.mean_length))
        loader = torch.utils.data.DataLoader(pairs, size, shuffle=True, collate_fn=list)  # type: ignore[arg-type]
        self.batches = itertools.chain.from_iterable(itertools.repeat(loader))
        self.losses: list[float] = []
        self.turn(0)

    def turn(self, seconds: float) -> float:
        """Train for so many seconds and return tokens a second, padding not counted."""
        with patch.object(LatentDecoder, "head", lambda decoder: None):  # all logits
            return self.bench.for_seconds(seconds, self._step)

    def _step(self) -> int:
        recipe, config, device = self.bench.recipe, self.model.config, self.bench.device
        ids, teacher = zip(*next(self.batches), strict=True)
        lengths_B1 = torch.tensor([[len(each)] for each in ids])
        ids_BT = pad_sequence(list(ids), batch_first=True, padding_value=config.pad_token_id)
        mask_BT = (torch.arange(ids_BT.shape[1]) < lengths_B1).long()
        batch = {"attention_mask": mask_BT, "labels": ids_BT.masked_fill(mask_BT == 0, IGNORED)}
        batch |= {"input_ids": mask_tokens(ids_BT, mask_BT, recipe.mask, config.mask_token_id)}
        batch |= {"teacher": torch.stack(teacher)}
        loss = self.model(**{name: value.to(device) for name, value in batch.items()}, **self.options).loss
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.max_grad_norm)
        self.optimizer.step()
        self.losses.append(loss.item())
        return int(mask_BT.sum())


def against_naive(bench: Bench) -> Rows:
    """Compare the base with a plain loop."""
    base, naive = bench.base, Naive(bench)
    seconds = bench.seconds / (2 * ROUNDS)
    rate = alternate({"ours": lambda: base.turn(seconds), "naive": lambda: naive.turn(seconds)}, ROUNDS)
    note = (
        f"ours {rate['ours']:,.0f} tokens/s, naive {rate['naive']:,.0f}: fp32, padded batches in random order, all "
        f"logits, AdamW as it comes, .item() in each step; medians of {ROUNDS} turns each"
    )
    ratio = round(rate["ours"] / rate["naive"], 2)
    return [row("gpu.train_vs_naive", ratio, n=len(naive.losses), seed=0, note=note)]


# Encoding and decoding


def encoding(bench: Bench) -> Rows:
    """Time `TextVAE.encode` of a network with fresh weights."""
    model: Any = TextVAEModel(bench.config).to(bench.device)  # type: ignore[arg-type]
    vae, texts = TextVAE(model, bench.tokenizer), bench.texts[: bench.sizes.encoded]
    some = texts[: max(1, len(texts) // 10)]
    size = fastest([256, 1024, 4096], lambda size: bench.timed(lambda: vae.encode(some, batch_size=size)))
    spent = statistics.median(bench.timed(lambda: vae.encode(texts, batch_size=size)) for _ in range(ROUNDS))
    rate, rows = len(texts) / spent, vae.encoder_rows(some)
    of_ids = statistics.median(
        len(rows) / bench.timed(lambda: read_rows(vae.model, rows, vae.encoder_pad_id, size)) for _ in range(ROUNDS)
    )

    def forward(model: TextVAEModel, batch: dict[str, Tensor]) -> int:
        model.encode(batch["input_ids"], batch["attention_mask"])
        return 0

    operations = bench.mean_length * operations_a_token(bench, model, forward)
    kind = "bf16" if has_bf16(bench.device) else "float32"
    note = (
        f"{kind}, batch_size={size}, tokenizer included; {operations * rate / bench.peak:.2%} of the peak, "
        f"{bench.peak / 1e12:.3g} TFLOP/s; from token ids {of_ids:,.0f}, {operations * of_ids / bench.peak:.2%}"
    )
    return [row("gpu.encode_per_second", round(rate), n=len(texts), seed=0, note=note)]


def decoding(bench: Bench) -> Rows:
    """Time `TextVAE.decode` of latents with their slots, by the weights that the base has by now."""
    model: Any = bench.base.loop.averaged_model()
    vae = TextVAE(model, bench.tokenizer)
    latents = vae.read(bench.texts[: bench.sizes.decoded], batch_size=1024).mean
    written: list[str] = []

    def decode() -> None:
        written[:] = vae.decode(latents, batch_size=DECODE_BATCH)

    spent = statistics.median([bench.timed(decode) for _ in range(ROUNDS + 1)][1:])
    tokens = sum(len(ids) - 1 for ids in vae.decoder_rows(written))
    with autocast(bench.device):
        fast = statistics.median([bench.timed(decode) for _ in range(ROUNDS + 1)][1:])
    rate = len(written) / spent
    note = (
        f"greedy, batch_size={DECODE_BATCH}, in float32 as `decode` does: {tokens / spent:,.0f} tokens/s, "
        f"{tokens / len(written):.1f} tokens a text; under autocast {len(written) / fast:,.0f} sentences/s; weights of "
        f"{bench.base.loop.step:,} steps"
    )
    return [row("gpu.decode_per_second", round(rate, 1), n=len(written), seed=0, note=note)]


# Parts of the loop


def compared(name: str, said: str, *, at: int | None = None, **changes: Any) -> Callable[[Bench], Rows]:
    """Return a comparison of the base with a changed side, by name, whose note begins with what is `said`.

    Args:
        name: In the row's id; with `at`, the number of tokens is added.
        said: About the change.
        at: Place in the budgets of the one that is tried.
        **changes: Arguments of `Side`.
    """

    def measure(bench: Bench) -> Rows:
        full, options = name, dict(changes)
        if at is not None:
            options["batch_tokens"] = bench.sizes.budgets[at]
            full = f"{name}_{options['batch_tokens']}"
        start = time.perf_counter()
        base, side = bench.base, Side(bench, **options)
        warm, seconds = time.perf_counter() - start, bench.seconds / (2 * PART_ROUNDS)
        rate = alternate({"base": lambda: base.turn(seconds), "part": lambda: side.turn(seconds)}, PART_ROUNDS)
        note = f"{said}: {rate['part']:,.0f} tokens/s, base {rate['base']:,.0f}; {warm:.0f} s to build and warm up"
        return [row(f"gpu.part.{full}", round(rate["part"] / rate["base"], 3), n=side.loop.step, seed=0, note=note)]

    return measure


def compile_encoder(model: TextVAEModel) -> None:
    """Let torch compile the encoder for any shape."""
    encoder: Any = model.encoder
    encoder.backbone.compile(dynamic=True)


def more_passes() -> Any:
    """Return a patch that lets the loss pass over the logits as on a CPU."""
    return patch.object(likelihood, "_scored_in_few_passes", likelihood._scored_in_cache)


def recurrence_in_bf16() -> Any:
    """Return a patch that lets GRUs compute in bf16, their state included, with weights that stay in float32."""

    def forward(gru: nn.GRU, inputs_BTI: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights = [weight.bfloat16() for weight in gru._flat_weights]
        states_BTG, last = torch._VF.gru(  # type: ignore[attr-defined]
            inputs_BTI.bfloat16(), hidden.bfloat16(), weights, gru.bias, gru.num_layers, gru.dropout, gru.training,
            gru.bidirectional, gru.batch_first,
        )  # fmt: skip
        return states_BTG.float(), last.float()

    return patch.object(nn.GRU, "forward", forward)


def profile(bench: Bench) -> Rows:
    """Print what some steps of the base spend their time on, and for which share of it the device is busy."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    base, on_gpu = bench.base, bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])

    def steps() -> None:
        for _ in range(bench.sizes.look):
            base._step()

    with base._context():
        plain = bench.timed(steps)
        with profiler(activities=activities) as profiled:
            bench.timed(steps)
    found, count = profiled.key_averages(), bench.sizes.look
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    bench.folder.mkdir(parents=True, exist_ok=True)
    table = found.table(sort_by=order, row_limit=60, max_name_column_width=90)
    (bench.folder / "gpu_profile.txt").write_text(table, encoding="utf-8")
    on_host = [e for e in found if e.device_type == DeviceType.CPU]  # to which their kernels' time is added
    kernels = [e for e in found if e.device_type != DeviceType.CPU and not getattr(e, "is_user_annotation", False)]
    busy = sum(getattr(e, order) for e in kernels or on_host) / 1e3 / count
    say(f"a step takes {1e3 * plain / count:.2f} ms, with {busy:.2f} ms of work")
    for events in (on_host, kernels):
        for e in sorted(events, key=lambda e: getattr(e, order), reverse=True)[:25]:
            say(f"{getattr(e, order) / 1e3 / count:8.3f} ms {e.count / count:6.0f} x  {e.key[:110]}")
    return []


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        measure: Returns its rows.
        needs: Seconds beside those that are timed, about.
        most: Of these, after which the part is given up.
        turns: Share of --seconds that is timed.
        optional: Whether it is left out where time is short.
    """

    measure: Callable[[Bench], Rows]
    needs: float = 6
    most: float = 40
    turns: float = 1
    optional: bool = True


PARTS = {
    "train": Part(training, optional=False),
    "naive": Part(against_naive, optional=False),
    "encode": Part(encoding, optional=False),
    "decode": Part(decoding, optional=False),
    "profile": Part(profile, turns=0),
    **{
        f"batch_tokens_{kind}": Part(compared("batch_tokens", "batches of other sizes", at=i))
        for i, kind in enumerate(("small", "medium", "large"))
    },
    "few_sizes": Part(compared("few_sizes", "batches padded to multiples of 8 tokens", multiple=8)),
    "bf16_recurrence": Part(compared("bf16_recurrence", "the GRU in bf16, its state too", around=recurrence_in_bf16)),
    "compile": Part(compared("compile", "torch.compile of the encoder", change=compile_encoder), needs=30, most=90),
    "more_passes": Part(
        compared("more_passes", "the loss of twice as many passes over the logits", around=more_passes)
    ),
    "plain_attention": Part(
        compared("plain_attention", "attention not fused", change=lambda model: model.set_attn_implementation("eager"))
    ),
}

if __name__ == "__main__":
    main()
