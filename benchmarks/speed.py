r"""Measure speed against sentence-transformers, transformers' generate, a naive training loop and faiss.

Ratios come from one run that alternates the two sides (A B A B ...) and takes the median of each. Absolute numbers are
in the notes. Rows go to results/speed.json.

Example:
    python benchmarks/speed.py --data DATA --run RUN --encoder FOLDER \
        --against sentence-transformers,hf-generate,naive,faiss,stream,start
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import encoding
import numpy as np
import torch
from allocators import HUGE, KEEP, peak_memory_mb
from timing import alternate, fastest, seconds
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import TrainerCallback, TrainingArguments

from results import row, write_results
from textvae import LatentIndex, TextVAE, TrainConfig, train
from textvae.latent.decoding import repetition_guard
from textvae.latent.latents import Latents
from textvae.modeling import TextVAEConfig
from textvae.modeling.precision import autocast, has_bf16
from textvae.storage.folders import check_manifest
from textvae.text.corpus import read_corpus
from textvae.text.token_budget import TokenBudgetSampler
from textvae.text.tokenizers import to_texts
from textvae.training.build import build_model
from textvae.training.trainer import TextVAETrainer

WARM_STEPS = 15  # not timed
PARTS = ("bf16", "chunked_cross_entropy", "plain_attention", "length_groups", "fused_optimizer", "no_dropout")
EMPTY: dict[str, str] = {}
BATCH_SIZES = [64, 128, 256, 512, 1000]
SAMPLED_AT = 0.7  # temperature
BARS = {
    "speed.encode_vs_st_fp32": ">= 3", "speed.avx2.encode_vs_st_fp32": ">= 1.8",
    "speed.encode_vs_st_onnx": ">= 1.1", "speed.encode_vs_st_openvino": ">= 1.1",
    "speed.encode_int8_vs_st_fp32": ">= 2.5", "speed.encode_int8_min_cosine": ">= 0.99",
    "speed.encode_int8_sts_drop": "<= 0.5", "speed.static_vs_st_fp32": ">= 100", "speed.static_sts": ">= 0.72",
    "speed.encode_vs_st_bf16": ">= 1.5", "speed.encode_small_vs_minilm": ">= 15",
    "speed.encode_min_cosine": ">= 0.999", "speed.train_vs_naive": ">= 4", "speed.train_peak_fraction": ">= 0.30",
    "speed.decode_vs_generate": ">= 2", "speed.decode_whole_vs_generate": ">= 2",
    "speed.decode_sampled_vs_generate": ">= 2", "speed.search_vs_faiss": ">= 0.95", "speed.stream_peak_mb": "<= 900",
    "speed.stream_growth_mb": "<= 64", "speed.elbo_difference": "<= 0.005", "speed.help_seconds": "<= 0.3",
    "speed.search_cold_seconds": "<= 1.5", "speed.search_cold_beyond_torch_seconds": "<= 0.5",
}  # fmt: skip


def main() -> None:
    """Run the chosen comparisons and write their rows as they come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with yelp/")
    parser.add_argument("--run", type=Path, required=True, help="a trained run of size small, whose texts have ends")
    parser.add_argument("--encoder", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=20_000, help="texts that both sides encode")
    parser.add_argument("--corpus", type=Path, help="folder of .txt files, to which the static encoder is fitted too")
    parser.add_argument("--distilled", type=int, default=200_000, help="texts to which the static encoder is fitted")
    parser.add_argument("--epochs", type=int, default=30, help="passes over these")
    parser.add_argument("--against", default=",".join(COMPARISONS), help=f"of {', '.join(COMPARISONS)}")
    parser.add_argument("--rounds", type=int, default=5, help="times that A and B take turns")
    parser.add_argument("--steps", type=int, default=60, help="timed training steps of a turn")
    parser.add_argument("--elbo-steps", type=int, default=1000, help="steps after which validation ELBOs are compared")
    parser.add_argument("--lines", type=int, default=10_000_000, help="lines of the stream")
    parser.add_argument("--tag", help="second part of the ids, for another kind of processor than that of the others")
    parser.add_argument("--trial", help=argparse.SUPPRESS)  # what a child process does
    arguments = parser.parse_args()
    needing = {"sentence-transformers", "encode", "static"} & set(arguments.against.split(","))
    if needing and not (arguments.encoder or arguments.trial):
        parser.error(f"--against {','.join(sorted(needing))} needs --encoder")
    logging.disable(logging.WARNING)
    if arguments.trial:
        sys.stdout.write(json.dumps(TRIALS[arguments.trial](arguments)) + "\n")
        return
    for name in arguments.against.split(","):
        rows = COMPARISONS[name](arguments)
        for measured in rows:
            measured["bar"] = BARS.get(measured["id"])
            if arguments.tag:
                measured["id"] = measured["id"].replace("speed.", f"speed.{arguments.tag}.", 1)
                measured["bar"] = BARS.get(measured["id"], measured["bar"])
            sys.stdout.write(f"{measured['id']}: {measured['value']}  ({measured['note']})\n")
        write_results("speed", rows)


# Encoding


def against_sentence_transformers(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Encode sentences with the same pretrained weights, and with the small encoder."""
    from sentence_transformers import SentenceTransformer

    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=20_000)
    config = TrainConfig(encoder=str(arguments.encoder), vocab_size=8000)
    ours, small = build_model(config, texts), build_model(TrainConfig(), texts)
    peers = {
        "fp32": SentenceTransformer(str(arguments.encoder), device="cpu"),
        "bf16": SentenceTransformer(
            str(arguments.encoder), device="cpu", model_kwargs={"torch_dtype": torch.bfloat16}
        ),
    }  # fmt: skip
    sizes = {
        name: fastest(
            [32, 64, 128, 256], lambda size, peer=peer: seconds(lambda: peer.encode(texts[:2000], batch_size=size))
        )
        for name, peer in peers.items()
    }
    trials = {name: _timed_encode(peer, texts, sizes[name]) for name, peer in peers.items()}
    trials |= {"ours": _timed_encode(ours, texts, 64), "small": _timed_encode(small, texts, 64)}
    rate = {name: len(texts) / s for name, s in alternate(trials, arguments.rounds).items()}
    note = ", ".join(f"{name} {value:,.0f}/s" for name, value in rate.items()) + f"; its batch sizes {sizes}"
    cosines = _cosines_with_fp32(ours, texts)
    return [
        row("speed.encode_vs_st_bf16", round(rate["ours"] / rate["bf16"], 2), n=len(texts), note=note),
        row("speed.encode_small_vs_minilm", round(rate["small"] / rate["fp32"], 2), n=len(texts), note=note),
        row("speed.encode_min_cosine", round(float(cosines.min()), 6), n=len(texts), note="of every vector with fp32"),
    ]


def _timed_encode(model: Any, texts: list[str], batch_size: int) -> Callable[[], float]:
    return lambda: seconds(lambda: model.encode(texts, batch_size=batch_size))


def _cosines_with_fp32(vae: TextVAE, texts: list[str]) -> np.ndarray:
    fast = vae.encode(texts)
    with patch("textvae.latent.reading.autocast", lambda device, **_: torch.autocast(device.type, enabled=False)):
        exact = vae.encode(texts)
    return (fast * exact).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(exact, axis=1)


# Training


class Clock(TrainerCallback):
    """Keeps the time and the tokens of each step."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def trial_ours(
    arguments: argparse.Namespace, size: str = "small", precision: str = "auto", dropout: float | None = None
) -> dict[str, float]:
    """Train with our loop; return real tokens per second and the peak of the memory."""
    clock, tokens, keep = Clock(), [], TextVAETrainer.collate

    def collate(self: TextVAETrainer, pairs: Any) -> dict[str, torch.Tensor]:
        batch = keep(self, pairs)
        tokens.append(int(batch["attention_mask"].sum()))
        return batch

    built = TextVAETrainer.__init__

    def build(self: TextVAETrainer, *given: Any) -> None:
        built(self, *given)
        self.add_callback(clock)
        for module in self.vae.model.modules():
            if isinstance(module, nn.Dropout) and dropout is not None:
                module.p = dropout

    TextVAETrainer.collate, TextVAETrainer.__init__ = collate, build  # type: ignore[method-assign]
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=50_000)
    steps = WARM_STEPS + arguments.steps
    intervals = {"max_steps": steps, "eval_steps": 10 * steps, "save_steps": 10 * steps}
    config = TrainConfig(size=size, precision=precision, **intervals)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        train(texts, Path(folder) / "run", config, valid=texts[:16])
    timed = clock.times[WARM_STEPS : steps + 1]
    peak_mb = peak_memory_mb()
    matrices = sum(p.numel() for p in _matrices(build_model(config, texts)))
    speed = sum(tokens[WARM_STEPS:steps]) / (timed[-1] - timed[0])
    return {"tokens": speed, "flop_per_token": 6 * matrices, "peak_mb": peak_mb}


def trial_base(arguments: argparse.Namespace) -> dict[str, float]:
    """Train size base with our loop."""
    return trial_ours(arguments, "base")


def trial_naive(arguments: argparse.Namespace) -> dict[str, float]:
    """Train the same model with a plain loop: fp32, shuffled padded batches, all logits at once."""
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=50_000)
    vae = build_model(TrainConfig(), texts)
    model = vae.model.train()
    model.set_attn_implementation("sdpa")  # transformers' default
    rows = [torch.tensor(ids) for ids in vae.decoder_rows(texts)]
    batch_size = round(1024 / np.mean([len(ids) for ids in rows]))
    loader = torch.utils.data.DataLoader(rows, batch_size, shuffle=True, collate_fn=list)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    tokens, times = [], [time.perf_counter()]
    for batch in itertools.islice(loader, WARM_STEPS + arguments.steps):
        ids_BT = pad_sequence(batch, batch_first=True, padding_value=model.config.pad_token_id)
        mask_BT = (torch.arange(ids_BT.shape[1]) < torch.tensor([[len(ids)] for ids in batch])).long()
        posterior = model.encode(ids_BT, mask_BT)
        logits_BTV = model.decode(posterior.sample(), ids_BT)
        nats_BT = F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none")
        reconstruction = (nats_BT * mask_BT[:, 1:].flatten()).sum() / len(batch)
        kl = posterior.kl().clamp(min=0.5).sum(1).mean()
        optimizer.zero_grad()
        (reconstruction + 0.1 * kl).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        tokens.append(int(mask_BT.sum()))
        times.append(time.perf_counter())
    timed = times[WARM_STEPS:]
    return {"tokens": sum(tokens[WARM_STEPS:]) / (timed[-1] - timed[0])}


def _matrices(vae: TextVAE) -> Iterator[torch.Tensor]:
    """Yield the weights that every token is multiplied with; a tied embedding is the output layer's."""
    head = vae.model.decoder.head()
    for name, weight in vae.model.named_parameters():
        if weight.dim() == 2 and (weight is head or "embedding" not in name):
            yield weight


def matmul_peak(dtype: torch.dtype, width: int = 4096) -> float:
    """Return the FLOP/s of a large matrix product."""
    a = torch.randn(width, width, dtype=dtype)
    a @ a
    return 2 * width**3 / statistics.median(seconds(lambda: a @ a) for _ in range(7))


def fused_attention() -> Any:
    """Return a patch that lets training use transformers' default attention."""
    return patch(
        "textvae.training.trainer.prefer_attention", lambda model, device: model.set_attn_implementation("sdpa")
    )


def all_logits() -> Any:
    """Return a patch that computes the loss from all logits at once."""
    return patch("textvae.modeling.decoders.LatentDecoder.head", lambda decoder: None)


def without(part: str) -> Callable[[argparse.Namespace], dict[str, float]]:
    """Return the trial of our loop with one of its parts taken away."""

    def shuffled(self: TokenBudgetSampler) -> Iterator[list[int]]:
        order = np.random.default_rng(self.epoch).permutation(len(self.lengths))
        for chosen in np.array_split(order, len(self)):
            yield chosen.tolist()

    def plain_optimizer(**options: Any) -> TrainingArguments:
        return TrainingArguments(**options | {"optim": "adamw_torch"})

    patches: dict[str, Any] = {
        "chunked_cross_entropy": all_logits(),
        "plain_attention": fused_attention(),
        "length_groups": patch.object(TokenBudgetSampler, "__iter__", shuffled),
        "fused_optimizer": patch("textvae.training.trainer.TrainingArguments", plain_optimizer),
    }
    options = {"bf16": {"precision": "fp32"}, "no_dropout": {"dropout": 0.1}}

    def trial(arguments: argparse.Namespace) -> dict[str, float]:
        with patches.get(part, contextlib.nullcontext()):
            return trial_ours(arguments, **options.get(part, {}))  # type: ignore[arg-type]

    return trial


def parts(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train with each part of our loop taken away, and with the allocator settings of benchmarks/allocators.py."""
    peaks: dict[str, float] = {}

    def speed(name: str, trial: str, variables: dict[str, str]) -> float:
        measured = _child(arguments, trial, variables)
        peaks[name] = measured["peak_mb"]
        return measured["tokens"]

    trials = {"ours": partial(speed, "ours", "ours", {})}
    trials |= {part: partial(speed, part, f"without-{part}", {}) for part in PARTS}
    settings = {"keep_memory": KEEP, "huge_pages": HUGE, "keep_memory_and_huge_pages": KEEP | HUGE}
    trials |= {name: partial(speed, name, "ours", variables) for name, variables in settings.items()}
    rate = alternate(trials, arguments.rounds)

    def measured(kind: str, name: str, gain: float) -> dict[str, Any]:
        note = f"{rate[name]:,.0f} tokens/s, {peaks[name]:,.0f} MB; ours {rate['ours']:,.0f}, {peaks['ours']:,.0f} MB"
        return row(f"speed.{kind}.{name}", round(gain, 3), n=arguments.steps, note=note)

    return [
        *(measured("part", part, rate["ours"] / rate[part]) for part in PARTS),
        *(measured("allocator", name, rate[name] / rate["ours"]) for name in settings),
    ]


def against_naive(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train with our loop and a naive one in processes of their own."""
    rate = alternate(
        {name: lambda name=name: _child(arguments, name)["tokens"] for name in ("ours", "naive")}, arguments.rounds
    )
    sets = encoding.processor()
    note = f"real tokens/s: ours {rate['ours']:,.0f}, naive {rate['naive']:,.0f}; {sets}"
    base = _child(arguments, "base")
    peak = matmul_peak(torch.bfloat16 if has_bf16(torch.device("cpu")) else torch.float32)
    fraction = base["tokens"] * base["flop_per_token"] / peak
    peak_note = f"{base['tokens']:,.0f} tokens/s, peak {peak / 1e9:,.0f} GFLOP/s; attention scores not counted; {sets}"
    return [
        row("speed.train_vs_naive", round(rate["ours"] / rate["naive"], 2), n=arguments.steps, note=note),
        row("speed.train_peak_fraction", round(fraction, 3), n=arguments.steps, note=peak_note),
    ]


def elbos(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the validation ELBO of our training with that of the same in fp32 and with all logits at once."""
    plain, fast = (_child(arguments, name)["elbo"] for name in ("elbo-plain", "elbo"))
    note = f"ours {fast:.3f}, fp32 with all logits {plain:.3f} nats, {arguments.elbo_steps} steps"
    return [row("speed.elbo_difference", round(abs(fast / plain - 1), 5), n=2000, seed=0, note=note)]


def trial_elbo(arguments: argparse.Namespace, precision: str = "auto") -> dict[str, float]:
    """Train for a while and return the negative validation ELBO at the final beta."""
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=50_000)
    valid = read_corpus(arguments.data / "yelp" / "valid.tsv", column="1", limit=2000)
    config = TrainConfig(max_steps=arguments.elbo_steps, precision=precision)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        train(texts, Path(folder) / "run", config, valid=valid)
        return {"elbo": json.loads((Path(folder) / "run" / "training.json").read_text())["best_loss"]}


def trial_elbo_plain(arguments: argparse.Namespace) -> dict[str, float]:
    """The same in fp32, with the fused attention and all logits at once."""
    with all_logits(), fused_attention():
        return trial_elbo(arguments, "fp32")


def _child(arguments: argparse.Namespace, trial: str, variables: dict[str, str] = EMPTY) -> dict[str, float]:
    """Run a trial in a process of its own, with the allocator settings of a user who set none."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"))}
    options = [
        f"--{name}={getattr(arguments, name.replace('-', '_'))}" for name in ("data", "run", "steps", "elbo-steps")
    ]
    command = [sys.executable, __file__, "--trial", trial, *options]
    result = subprocess.run(command, env=environment | variables, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"trial {trial} failed: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


# Decoding


def against_generate(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Write texts from latents of held-out sentences, ours and transformers' generate on the same decoder.

    Once from the meanings, with the guard against repetition on both sides that `decode` has there by default, and once
    from the whole latents, without. In bf16 only where the processor computes it.
    """
    vae = TextVAE.from_pretrained(arguments.run, device="cpu")
    texts = read_corpus(arguments.data / "yelp" / "valid.tsv", column="1", limit=1000)
    kinds: dict[str, Any] = {"decode": vae.encode(texts)}
    if vae.model.config.slot_dim:
        kinds["decode_whole"] = vae.read(texts).mean
    precisions: dict[str, Any] = {"": contextlib.nullcontext()}
    if has_bf16(vae.device):
        precisions["_bf16"] = autocast(vae.device)
    rows = []
    for (kind, latents), (suffix, block) in itertools.product(kinds.items(), precisions.items()):
        with block:
            ratio, note = _over_generate(vae, latents, 0, arguments.rounds)
        rows.append(row(f"speed.{kind}{suffix}_vs_generate", ratio, n=len(latents), note=note))
    ratio, note = _over_generate(vae, kinds["decode"], SAMPLED_AT, arguments.rounds)
    rows.append(row("speed.decode_sampled_vs_generate", ratio, n=len(texts), note=f"temperature {SAMPLED_AT}; {note}"))
    return rows


def _over_generate(vae: TextVAE, latents: np.ndarray | Latents, temperature: float, rounds: int) -> tuple[float, str]:
    """Return how many times as fast as `generate` latents are decoded, each side at its best batch size, and how."""
    packed = latents.pack() if isinstance(latents, Latents) else latents
    penalty, ngram_size = repetition_guard(packed, vae.model.config, None, None)
    options: dict[str, Any] = {"repetition_penalty": penalty, "no_repeat_ngram_size": ngram_size}
    if temperature:
        options |= {"do_sample": True, "temperature": temperature, "top_k": 0}

    def generate(batch_size: int) -> list[list[int]]:
        with torch.inference_mode():
            parts = torch.tensor(packed).split(batch_size)
            return [ids for part in parts for ids in vae.model.generate(part, **options).tolist()]

    trials = {
        "ours": lambda size: vae.decode(latents, temperature=temperature, batch_size=size), "generate": generate,
    }  # fmt: skip
    sizes = {side: fastest(BATCH_SIZES, partial(_timed, trial)) for side, trial in trials.items()}
    spent = alternate({side: partial(_timed, trials[side], sizes[side]) for side in trials}, rounds)
    note = f"ours {spent['ours']:.2f} s with texts, generate {spent['generate']:.2f} s, best batch sizes {sizes}"
    if not temperature:
        generated = to_texts(vae.tokenizer, generate(len(packed)))
        same = np.mean([ours == theirs for ours, theirs in zip(vae.decode(latents), generated, strict=True)])
        note += f"; {same:.1%} of the texts are the same"
    return round(spent["generate"] / spent["ours"], 2), f"{note}; {encoding.processor()}"


def _timed(trial: Callable[[int], Any], batch_size: int) -> float:
    return seconds(lambda: trial(batch_size))


# Search


class Vectors:
    """Stands where a model does: gives texts prepared vectors."""

    path, fingerprint = None, "prepared"

    def __init__(self, vectors_ND: np.ndarray):
        self.vectors, self.dim = iter(vectors_ND), vectors_ND.shape[1]

    def encode(self, texts: list[str], batch_size: int = 0) -> np.ndarray:
        """Return the next vectors."""
        return np.stack(list(itertools.islice(self.vectors, len(texts))))


def against_faiss(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Search a million vectors through LatentIndex, which returns texts, and through faiss alone."""
    import faiss

    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(1_000_000, 64)).astype(np.float32)
    queries = generator.normal(size=(1000, 64)).astype(np.float32)
    index = LatentIndex.build(Vectors(vectors), (f"text {i}" for i in range(len(vectors))), metric="l2")  # type: ignore[arg-type]
    raw = faiss.IndexFlatL2(64)
    raw.add(vectors)
    found, (_, ids) = index.search(queries, k=10), raw.search(queries, 10)
    agree = float(np.mean([[hit.id for hit in hits] for hits in found] == ids))
    trials = {
        "ours": lambda: seconds(lambda: index.search(queries, k=10)),
        "faiss": lambda: seconds(lambda: raw.search(queries, 10)),
    }
    spent = alternate(trials, arguments.rounds)
    note = (
        f"Flat l2, 1,000,000 x 64, k=10: ours {spent['ours']:.3f} s, texts included, faiss {spent['faiss']:.3f} s; "
        f"{agree:.2%} of the hits are the same"
    )
    return [row("speed.search_vs_faiss", round(spent["faiss"] / spent["ours"], 3), n=len(queries), seed=0, note=note)]


# The command line


def stream(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Encode a long stream through `textvae encode` with a tiny model, and watch the memory of the process."""
    import psutil

    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=100_000)
    with tempfile.TemporaryDirectory() as folder:
        TextVAE.from_texts(texts, TextVAEConfig.preset("tiny", vocab_size=8000)).save_pretrained(f"{folder}/tiny")
        command = [sys.executable, "-m", "textvae", "encode", f"{folder}/tiny", "-", "-o", f"{folder}/latents.npy"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stdin is not None
        watched, early, peak, start = psutil.Process(process.pid), 0, 0, time.perf_counter()
        for number, text in enumerate(itertools.islice(itertools.cycle(texts), arguments.lines), 1):
            process.stdin.write(text.encode() + b"\n")
            if number % 10_000 == 0:
                peak = max(peak, watched.memory_info().rss)
                early = peak if number <= 100_000 else early
        process.stdin.close()
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, watched.memory_info().rss)
            time.sleep(0.1)
        spent = time.perf_counter() - start
        rows = np.load(f"{folder}/latents.npy", mmap_mode="r").shape[0]
        if process.returncode or rows != arguments.lines:
            raise RuntimeError(f"the stream ended with exit code {process.returncode} after {rows:,} rows")
    note = f"tiny model, {spent:,.0f} s, {arguments.lines / spent:,.0f} lines/s"
    growth = f"from line 100,000 ({early / 2**20:.0f} MB) to the end"
    return [
        row("speed.stream_peak_mb", round(peak / 2**20), n=arguments.lines, note=note),
        row("speed.stream_growth_mb", round((peak - early) / 2**20), n=arguments.lines, note=growth),
    ]


def start(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Time `textvae --help`, and the first answer of `textvae search` on a saved index of 100,000 texts."""
    texts = read_corpus(arguments.data / "yelp" / "train.tsv", column="1", limit=5 * arguments.texts)
    textvae = [sys.executable, "-m", "textvae"]
    loading = "import torch; from textvae.latent.vae import TextVAE"

    def run(*words: str) -> float:
        return seconds(lambda: subprocess.run(words, stdout=subprocess.DEVNULL, check=True))

    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        LatentIndex.build(TextVAE.from_pretrained(arguments.run), texts, path=index)
        search = [*textvae, "search", str(index), "the food was great .", "-k", "3"]
        run(*search, "--encoder-backend", "onnx")  # which exports the encoder
        checks = seconds(lambda: (check_manifest(index), check_manifest(arguments.run)))
        trials = {
            "help": lambda: run(*textvae, "--help"),
            "search": lambda: run(*search, "--encoder-backend", "onnx"),
            "by torch": lambda: run(*search, "--encoder-backend", "torch"),
            "torch": lambda: run(sys.executable, "-c", "import torch"),
            "model": lambda: run(sys.executable, "-c", loading),
        }
        spent = alternate(trials, 2 * arguments.rounds)
    note = f"a new process each time, files in the page cache; {encoding.processor()}"
    times = ", ".join(f"{name} {value:.2f} s" for name, value in spent.items())
    onnx = f"{len(texts):,} texts, encoder in onnxruntime, {checks:.3f} s for the checksums of index and run; {note}"
    beyond = f"beyond importing torch; {times}; model: importing TextVAE, most of it transformers"
    return [
        row("speed.help_seconds", round(spent["help"], 3), n=2 * arguments.rounds, note=note),
        row("speed.search_cold_seconds", round(spent["search"], 2), n=2 * arguments.rounds, note=onnx),
        row(
            "speed.search_cold_beyond_torch_seconds",
            round(spent["by torch"] - spent["torch"], 2),
            n=2 * arguments.rounds,
            note=beyond,
        ),
    ]


TRIALS = {
    **{f"without-{part}": without(part) for part in PARTS},
    "ours": trial_ours,
    "naive": trial_naive,
    "base": trial_base,
    "elbo": trial_elbo,
    "elbo-plain": trial_elbo_plain,
}
COMPARISONS = {
    "encode": encoding.encode,
    "static": encoding.static,
    "sentence-transformers": against_sentence_transformers,
    "naive": against_naive,
    "elbo": elbos,
    "parts": parts,
    "hf-generate": against_generate,
    "faiss": against_faiss,
    "start": start,
    "stream": stream,
}

if __name__ == "__main__":
    main()
