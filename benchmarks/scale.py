"""Past one machine: training in two processes, pushes and workers that are killed, ten million vectors.

    python benchmarks/scale.py [--parts speed,validation,resume,push,ray,ivfpq] [--seed 0] [--work FOLDER]

Into results/scale.json, with the load average before each part. `speed` compares tokens per second of two processes of
torchrun with one thread each with one such process; `validation` the held-out loss of the same global batch in one and
in two; `resume` kills one of two processes and compares the weights with an uninterrupted run. `push` kills `textvae
push` of 100,000 items to PostgreSQL with pgvector. `ray` kills workers of `textvae encode --engine ray`, and times it
against one process with as many threads. `ivfpq` builds, loads and searches 10,000,000 x 64 vectors of a mixture, drawn
in blocks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from allocators import peak_memory_mb

from results import ROOT, row, write_results

Rows = list[dict[str, Any]]
MODEL, CORPUS = ROOT / "data/models/english", ROOT / "data/train.tsv"
SIZES = {"STEPS": 120, "ITEMS": 100_000, "SENTENCES": 100_000, "VECTORS": 10_000_000}
STEPS, ITEMS, SENTENCES, VECTORS = SIZES.values()  # and what the command line says instead
WARM, ROUNDS = 20, 3  # steps of training before those that are timed, and turns of each side
TOKENS, VALIDATION_STEPS = 1024, 600
KILLS, WORKER_KILLS, WORKERS = 5, 3, 2
DIM, CENTRES, QUERIES, K = 64, 2000, 1000, 10
BLOCK = 8192
MEGABYTES = 4096  # in which the index of ten million vectors is built
SAME = 0.9999  # cosine from which two vectors are the same: the products may be of 16 bits, and batches differ
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT),
    "RAY_worker_niceness": "0", "RAY_memory_monitor_refresh_ms": "0",
}  # fmt: skip
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def main() -> None:
    """Run the chosen parts, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for runs, indexes and vectors; by default a temporary one")
    for name, size in SIZES.items():
        parser.add_argument(f"--{name.lower()}", type=int, default=size, help=f"by default {size:,}")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)  # what a child process does
    arguments, rest = parser.parse_known_args()
    globals().update({name: getattr(arguments, name.lower()) for name in SIZES})
    logging.disable(logging.WARNING)
    if arguments.job:
        JOBS[arguments.job](*rest)
        return
    os.environ |= ENVIRONMENT
    for part in arguments.parts.split(","):
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            load = f"load average {os.getloadavg()[0]:.1f} before, {os.cpu_count()} cores"
            rows = [r | {"note": f"{r['note']}; {load}"} for r in PARTS[part](Path(folder), arguments.seed)]
        sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}; {r['note']})\n" for r in rows))
        sys.stdout.flush()
        write_results("scale", rows)


def command(job: str, *words: object, processes: int = 1) -> list[str]:
    """Return the command of a child process that does a job."""
    launcher = [*LAUNCH, str(processes)] if processes > 1 else []
    sizes = [f"--{name.lower()}={globals()[name]}" for name in SIZES]
    return [sys.executable, *launcher, __file__, "--job", job, *sizes, *map(str, words)]


def child(job: str, *words: object, processes: int = 1, group: Path | None = None, **variables: str) -> Any:
    """Run a job, in a memory cgroup if one is given, and return what the last line of its output says."""
    asked = command(job, *words, processes=processes)
    enter = None if group is None else lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    done = subprocess.run(asked, capture_output=True, text=True, env=os.environ | variables, preexec_fn=enter)
    if done.returncode:
        raise RuntimeError(f"{job} failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


@contextlib.contextmanager
def memory_of(megabytes: int) -> Iterator[Path | None]:
    """Yield a memory cgroup (version 1) of so much memory, cached files included; None where there can be none.

    The largest resident memory of a process counts pages of mapped files too, as long as nothing else needs the memory.
    """
    group = Path(f"/sys/fs/cgroup/memory/textvae-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(megabytes << 20))
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def textvae(*words: object) -> list[str]:
    """Return a command of textvae."""
    return [sys.executable, "-m", "textvae", *map(str, words)]


# Training in two processes


def train_job(folder: str, tokens: str, steps: str, warm: str, accumulated: str) -> None:
    """Train and write what this process measured: tokens a second, and the held-out losses."""
    import torch

    from textvae import TrainConfig, train
    from textvae.text.corpus import read_corpus
    from textvae.training import trainer

    torch.set_num_threads(1)
    seen: list[tuple[float, int]] = []
    compute = trainer.TextVAETrainer.compute_loss

    def timed(self: Any, model: Any, inputs: dict[str, Any], *more: Any, **options: Any) -> Any:
        seen.append((time.perf_counter(), int(inputs["attention_mask"].sum())))
        return compute(self, model, inputs, *more, **options)

    trainer.TextVAETrainer.compute_loss = timed  # type: ignore[method-assign]
    config = TrainConfig(
        max_steps=int(steps), batch_tokens=int(tokens), gradient_accumulation_steps=int(accumulated),
        eval_steps=int(steps), precision="fp32",
    )  # fmt: skip
    valid = read_corpus(ROOT / "data/valid.tsv")
    train(read_corpus(CORPUS), folder, config, valid=valid)
    first, last = seen[int(warm)], seen[-1]
    rate = sum(count for _, count in seen[int(warm) : -1]) / (last[0] - first[0])
    rank = os.environ.get("RANK", "0")
    Path(f"{folder}.{rank}.json").write_text(json.dumps({"tokens_per_second": rate}))


def trained(folder: Path, processes: int, steps: int, warm: int, accumulated: int = 1) -> tuple[float, float]:
    """Train in so many processes; return tokens a second of all, and the held-out loss at the end.

    Batches have TOKENS tokens; `accumulated` of them in each process make a step.
    """
    child("train", folder, TOKENS, steps, warm, accumulated, processes=processes)
    rates = [json.loads(Path(f"{folder}.{rank}.json").read_text())["tokens_per_second"] for rank in range(processes)]
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return sum(rates), [line["eval_loss"] for line in lines if "eval_loss" in line][-1]


def speed(folder: Path, seed: int) -> Rows:
    """Compare tokens a second of two processes and of one, in turns."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(ROUNDS):
        for processes, found in rates.items():
            run = folder / f"{turn}.{processes}"
            found.append(trained(run, processes, STEPS + WARM, WARM)[0])
    one, two = (statistics.median(found) for found in rates.values())
    note = (
        f"size small, gru, {TOKENS} tokens a process, one thread each, gloo, fp32: {two:,.0f} over {one:,.0f} tokens/s"
    )
    note += f", medians of {ROUNDS} turns of {STEPS} steps"
    return [row("scale.train.speedup", two / one, n=STEPS, seed=seed, bar=">= 1.7", note=note)]


def validation(folder: Path, seed: int) -> Rows:
    """Compare the held-out loss after the same steps of the same global batch."""
    two, one = (
        trained(folder / f"of{processes}", processes, VALIDATION_STEPS, WARM, 2 // processes)[1] for processes in (2, 1)
    )
    note = f"{two:.3f} in two processes, {one:.3f} in one that accumulates two batches, nats; {VALIDATION_STEPS} steps "
    note += f"of 2 x {TOKENS} tokens"
    return [row("scale.train.validation_difference", abs(two / one - 1), n=1000, seed=seed, bar="<= 0.005", note=note)]


def resume(folder: Path, seed: int) -> Rows:
    """Kill one of two processes, twice, go on, and compare the weights with an uninterrupted run."""
    from safetensors.numpy import load_file

    options = ["--size", "tiny", "--batch-tokens", 1024, "--max-steps", 200, "--eval-steps", 50, "--save-steps", 10]

    def start(run: Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, *LAUNCH, "2", "-m", "textvae", "train", CORPUS, "-o", run, "--resume", *options]
        with open(run.with_suffix(".log"), "ab") as log:
            return subprocess.Popen(list(map(str, words)), stdout=log, stderr=log)

    generator, seconds, broken = random.Random(seed), [], folder / "broken"
    if start(folder / "whole").wait():
        raise RuntimeError("the uninterrupted run failed: " + (folder / "whole.log").read_text()[-2000:])
    for killed in (0, 1):
        process, before = start(broken), newest(broken)
        while process.poll() is None and newest(broken) <= before:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 1))
        ranks = [pid for pid in descendants(process.pid) if variable(pid, "RANK") == str(killed)]
        os.kill(ranks[0], signal.SIGKILL)
        begun = time.perf_counter()
        process.wait()
        while any(map(alive, ranks)):
            time.sleep(0.05)
        seconds.append(time.perf_counter() - begun)
    if start(broken).wait():
        raise RuntimeError("the resumed run failed: " + broken.with_suffix(".log").read_text()[-2000:])
    weights, expected = (load_file(folder / name / "model.safetensors") for name in ("broken", "whole"))
    different = sum(int((weights[name] != values).sum()) for name, values in expected.items())
    count = sum(values.size for values in expected.values())
    note = "kill -9 of rank 0, then of rank 1, each --resume in two processes; weights unlike those of no kill"
    return [
        row("scale.train.resume_different", different, n=count, seed=seed, bar="0", note=note),
        row(
            "scale.train.crash_seconds", max(seconds), n=2, seed=seed, bar="<= 30",
            note="until every process has ended after one was killed",
        ),
    ]  # fmt: skip


def newest(run: Path) -> int:
    """Return the step of the newest checkpoint, 0 if there is none."""
    return max((int(path.name.split("-")[1]) for path in run.glob("checkpoints/checkpoint-*")), default=0)


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for inner in map(int, (task / "children").read_text().split()):
                found += [inner, *descendants(inner)]
    return found


def variable(pid: int, name: str) -> str | None:
    """Return an environment variable of a process."""
    with contextlib.suppress(OSError):
        for pair in Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0"):
            if pair.startswith(f"{name}="):
                return pair.partition("=")[2]
    return None


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# A push that is killed


class Given:
    """Stands in for a model whose vectors are drawn from a mixture, block by block, the same ones each time."""

    fingerprint, path, dim = "given", None, DIM

    def __init__(self, seed: int):
        self.seed, self.block = seed, 0

    def encode(self, texts: Sequence[str], /, *, batch_size: int = 64) -> np.ndarray:
        """Return the vectors of the next block."""
        self.block += 1
        return mixture(self.seed, self.block, len(texts))


def mixture(seed: int, block: int, count: int) -> np.ndarray:
    """Return vectors around common centres, as latents of real texts are; block 0 holds the queries."""
    centres = np.random.default_rng(seed).normal(size=(CENTRES, DIM)).astype(np.float32)
    generator = np.random.default_rng([seed, block, 1])
    weights = np.random.default_rng([seed, 2]).dirichlet(np.ones(CENTRES))
    chosen = centres[generator.choice(CENTRES, size=count, p=weights)]
    return chosen + np.float32(0.7) * generator.standard_normal((count, DIM), np.float32)


def index_job(folder: str, count: str, factory: str, seed: str) -> None:
    """Build an index of drawn vectors in a folder, and tell seconds and memory."""
    from textvae import LatentIndex

    start, total = time.perf_counter(), int(count)
    rows = ({"text": f"item {n}", "n": n, "topic": f"t{n % 7}"} for n in range(total))
    if factory != "Flat":
        rows = (f"item {n}" for n in range(total))  # type: ignore[assignment]
    LatentIndex.build(Given(int(seed)), rows, factory=factory, metric="l2", path=folder)  # type: ignore[arg-type]
    told = {"seconds": time.perf_counter() - start, "peak_mb": peak_memory_mb()}
    sys.stdout.write(json.dumps(told) + "\n")


def push(folder: Path, seed: int) -> Rows:
    """Push once, and once with kills; compare the tables."""
    sys.path.append(str(ROOT / "scripts"))
    import psycopg
    from start_engine import pgvector

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    child("index", folder / "index", ITEMS, "Flat", seed)
    os.chmod(folder, 0o755)  # PostgreSQL does not run as root
    generator = random.Random(seed)
    with pgvector(folder / "postgres") as place, psycopg.connect(place, autocommit=True) as database:

        def pushing(name: str) -> subprocess.Popen[bytes]:
            words = textvae("push", folder / "index", "--to", f"pgvector:{place}#{name}", "--quiet")
            return subprocess.Popen(words, stdout=subprocess.DEVNULL)

        def count(name: str) -> int:
            there = database.execute("SELECT to_regclass(%s)", [name]).fetchone()
            found = database.execute(f"SELECT count(*) FROM {name}").fetchone() if there and there[0] else None
            return int(found[0]) if found else 0

        start = time.perf_counter()
        if pushing("whole").wait():
            raise RuntimeError("the push failed")
        seconds, at = time.perf_counter() - start, []
        for kill in range(KILLS):
            process, least = pushing("broken"), (kill + generator.random()) * ITEMS / (KILLS + 1)
            while process.poll() is None and count("broken") < least:
                time.sleep(0.05)
            process.kill()
            process.wait()
            at.append(count("broken"))
        if pushing("broken").wait():
            raise RuntimeError("the last push failed")
        question = "SELECT count(*) FROM whole FULL JOIN broken USING (id) WHERE whole.{0} IS DISTINCT FROM broken.{0}"
        columns = ("text", "metadata::text", "digest", "terms", "facets", "embedding")
        found = [database.execute(question.format(column)).fetchone() for column in columns]
        different = sum(int(each[0]) for each in found if each) + abs(count("whole") - ITEMS)
        version = database.execute("SHOW server_version").fetchone()
    note = (
        f"PostgreSQL {version[0] if version else ''} with pgvector; killed at {', '.join(f'{n:,}' for n in at)} items"
    )
    return [
        row("scale.push.different", different, n=ITEMS, seed=seed, bar="0", note=note),
        row("scale.push.items_per_second", ITEMS / seconds, n=ITEMS, seed=seed, note=f"one push, {DIM} numbers each"),
    ]


# Workers of Ray


def ray(folder: Path, seed: int) -> Rows:
    """Encode with workers and with one process, then with workers that are killed."""
    import ray as library

    texts = [line.split("\t")[0] for line in CORPUS.read_text(encoding="utf-8").splitlines()[1:]]
    few = SENTENCES // 50
    for name, size in (("few", few), ("all", SENTENCES)):
        lines = (json.dumps({"key": f"k{n}", "text": texts[n % len(texts)]}) for n in range(size))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def encode(name: str, output: Path, *words: object) -> list[str]:
        return textvae("encode", MODEL, folder / f"{name}.jsonl", "-o", output, "--id", "key", "--quiet", *words)

    by_ray, alone = ("--engine", "ray", "--workers", WORKERS), ("--shard", "1/1")
    seconds, peaks = {}, {}
    for kind, words in (("ray", by_ray), ("alone", alone)):
        for name in ("few", "all"):
            threads = {"OMP_NUM_THREADS": str(WORKERS)} if kind == "alone" else {}
            start = time.perf_counter()
            process = subprocess.Popen(
                encode(name, folder / f"{kind}.{name}", *words), stdout=subprocess.DEVNULL, env=os.environ | threads
            )
            peaks[kind, name] = watch(process)
            seconds[kind, name] = time.perf_counter() - start
    rates = {kind: (SENTENCES - few) / (seconds[kind, "all"] - seconds[kind, "few"]) for kind in ("ray", "alone")}
    killed = kill_workers(encode("all", folder / "killed", *by_ray), folder / "killed", random.Random(seed))
    expected = Counter(f"k{n}" for n in range(SENTENCES))
    lost, doubled, differing = compare(folder / "killed", folder / "alone.all", expected)
    about = f"ray {library.__version__}, {WORKERS} workers on this machine"
    spent = ", ".join(f"{kind} {name} {value:.0f} s" for (kind, name), value in seconds.items())
    note = (
        f"{rates['ray']:,.0f} over {rates['alone']:,.0f} texts/s of {SENTENCES:,} less {few:,} texts ({spent}); {about}"
    )
    kills = f"{killed} workers killed with SIGKILL; {about}"
    memory = {name: round(peaks["ray", name]) for name in ("few", "all")}
    return [
        row("scale.ray.lost", lost, n=SENTENCES, seed=seed, bar="0", note=kills),
        row("scale.ray.doubled", doubled, n=SENTENCES, seed=seed, bar="0", note=kills),
        row("scale.ray.different", differing, n=SENTENCES, seed=seed, bar="0",
            note=f"rows unlike those of one process, or of vectors with a cosine below {SAME}"),
        row("scale.ray.efficiency", rates["ray"] / rates["alone"], n=SENTENCES, seed=seed, bar=">= 0.8", note=note),
        row("scale.ray.driver_mb", memory["all"], n=SENTENCES, seed=seed,
            note=f"peak; {memory['few']} MB for {few:,} texts"),
        row("scale.encode.texts_per_second", rates["alone"], n=SENTENCES, seed=seed,
            note=f"one process, {WORKERS} threads, {MODEL.name}"),
    ]  # fmt: skip


def watch(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process and return its peak memory in MB."""
    peak = 0.0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{process.args} failed")
    return peak


def kill_workers(asked: list[str], output: Path, generator: random.Random) -> int:
    """Run a command and kill one of its workers each time that further parts are there."""
    process, killed, parts = subprocess.Popen(asked, stdout=subprocess.DEVNULL), 0, 1
    while process.poll() is None:
        time.sleep(0.05)
        if killed < WORKER_KILLS and len(list(output.glob("*.parquet"))) >= parts:
            time.sleep(generator.uniform(0, 2))
            workers = [pid for pid in descendants(process.pid) if "MapWorker" in told(pid)]
            if workers:
                os.kill(generator.choice(workers), signal.SIGKILL)
                killed, parts = killed + 1, len(list(output.glob("*.parquet"))) + 2
    if process.returncode:
        raise RuntimeError("the encoding did not survive the kills")
    return killed


def told(pid: int) -> str:
    """Return the command line of a process, which is the name that Ray gives it."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def compare(folder: Path, expected: Path, names: Counter[str]) -> tuple[int, int, int]:
    """Return how many rows are lost, doubled, and unlike those of another folder."""
    from textvae.index.shards import EncodedCorpus

    found: Counter[str] = Counter()
    differing = 0
    for (id, item, latent), (name, other, vector) in zip(
        EncodedCorpus(folder).rows(), EncodedCorpus(expected).rows(), strict=False
    ):
        found[id] += 1
        cosine = latent @ vector / np.sqrt((latent @ latent) * (vector @ vector))
        differing += (id, item) != (name, other) or not cosine >= SAME
    return (names - found).total(), (found - names).total(), differing


# Ten million vectors


def search_job(folder: str, seed: str, truth: str) -> None:
    """Load an index, search it and raw faiss in turns, and tell recall, speed and memory."""
    import faiss

    from textvae import LatentIndex

    queries, exact = mixture(int(seed), 0, QUERIES), np.load(truth)
    start = time.perf_counter()
    index = LatentIndex.load(folder, mmap=True)
    loaded, of_loading = time.perf_counter() - start, peak_memory_mb()
    trials: dict[str, Callable[[], Any]] = {"ours": lambda: index.neighbours(queries, k=K)}
    ids = trials["ours"]()[1]
    first = time.perf_counter() - start - loaded
    searching = peak_memory_mb()
    raw = faiss.read_index(f"{folder}/index.faiss", faiss.IO_FLAG_MMAP_IFC)
    trials["faiss"] = lambda: raw.search(queries, K)
    theirs = trials["faiss"]()[1]
    spent: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(5):
        for name, trial in trials.items():
            begin = time.perf_counter()
            trial()
            spent[name].append(time.perf_counter() - begin)
    seconds = {name: statistics.median(found) for name, found in spent.items()}

    def recall(found: np.ndarray) -> float:
        return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))

    facts = {
        "load_seconds": loaded, "first_seconds": first, "load_peak_mb": of_loading, "search_peak_mb": searching,
        "recall": recall(ids), "faiss_recall": recall(theirs), **seconds,
    }  # fmt: skip
    sys.stdout.write(json.dumps(facts) + "\n")


def truth_job(file: str, seed: str) -> None:
    """Write the ids of the nearest vectors, found exactly, block by block."""
    import faiss

    queries = mixture(int(seed), 0, QUERIES)
    scores, ids = np.full((QUERIES, K), np.inf, np.float32), np.full((QUERIES, K), -1, np.int64)
    for first, vectors in blocks(int(seed)):
        theirs, found = faiss.knn(queries, vectors, K)
        scores, ids = np.hstack([scores, theirs]), np.hstack([ids, found + first])
        order = np.argsort(scores, axis=1, kind="stable")[:, :K]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    np.save(file, ids)


def blocks(seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first id and the vectors of each block of the index."""
    for number, first in enumerate(range(0, VECTORS, BLOCK), 1):
        yield first, mixture(seed, number, min(BLOCK, VECTORS - first))


def ivfpq(folder: Path, seed: int) -> Rows:
    """Build, load and search ten million vectors."""
    threads = {"OMP_NUM_THREADS": str(os.cpu_count())}
    factory = f"IVF{2 ** round(np.log2(1.3 * VECTORS**0.5))},PQ32,RFlat"  # 4096 lists for ten million
    with memory_of(MEGABYTES) as group:
        built = child("index", folder / "index", VECTORS, factory, seed, group=group, **threads)
    limit = f", in a cgroup of {MEGABYTES:,} MB" if group else ""
    child("truth", folder / "truth.npy", seed, **threads)
    found = child("search", folder / "index", seed, folder / "truth.npy", **threads)
    size = sum(file.stat().st_size for file in (folder / "index").iterdir()) / 2**20
    about = f"{VECTORS:,} x {DIM} of a mixture, {factory}, mmap"
    rates = {name: QUERIES / found[name] for name in ("ours", "faiss")}
    return [
        row(f"scale.ivfpq.{part}_peak_mb", round(value), n=VECTORS, seed=seed, bar="<= 4096", note=f"{about}; {told}")
        for part, value, told in (
            ("build", built["peak_mb"], f"{built['seconds']:.0f} s, texts included{limit}; folder {size:,.0f} MB"),
            ("load", found["load_peak_mb"], f"{found['load_seconds']:.0f} s, with the checks of every file"),
            ("search", found["search_peak_mb"], f"first {QUERIES:,} queries {found['first_seconds']:.1f} s"),
        )
    ] + [
        row("scale.ivfpq.recall10", found["recall"], n=QUERIES, seed=seed, bar=">= 0.9",
            note=f"{about}; faiss {found['faiss_recall']:.4f}"),
        row("scale.ivfpq.speed_ratio", rates["ours"] / rates["faiss"], n=QUERIES, seed=seed, bar=">= 0.95",
            note=f"{rates['ours']:.0f} over {rates['faiss']:.0f} queries/s of faiss, same file, k={K}, medians of 5"),
        row("scale.ivfpq.build_seconds", built["seconds"], n=VECTORS, seed=seed, note=about),
    ]  # fmt: skip


JOBS: dict[str, Callable[..., None]] = {
    "train": train_job, "index": index_job, "search": search_job, "truth": truth_job,
}  # fmt: skip
PARTS: dict[str, Callable[[Path, int], Rows]] = {
    "speed": speed, "validation": validation, "resume": resume, "push": push, "ray": ray, "ivfpq": ivfpq,
}  # fmt: skip

if __name__ == "__main__":
    main()
