"""How fast `textvae serve` answers, what batching gains, and whether it stands a crowd; into results/serving.json.

    python benchmarks/serving.py RUN [--corpus FILE] [--parts throughput,batching,ready,soak] [--seconds 10]
        [--soak-seconds 600] [--soak-clients 1000] [--repeats 3]

The server runs as a process of its own, as users start it; the clients are of asyncio in this process. Both sides of a
ratio take turns on one machine, `--repeats` times, and the median counts. For ratios the server, or the library in its
turn, has the first core and one thread, and the clients the last core. The same ratios in processor time, where a
machine is shared, are the rows that end in `.cpu`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results import ROOT, row, write_results
from textvae.text.corpus import read_corpus

TEXTS_OF_A_REQUEST = 64
CLIENTS, CROWD = 16, 32
READY_SECONDS = 120
ALLOCATOR = {  # as docs/serving.md has it
    "MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144",
}  # fmt: skip
SHARED = "one thread, clients on another core"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--corpus", type=Path, default=ROOT / "data/train.tsv")
    parser.add_argument("--parts", default="throughput,batching,ready,soak")
    parser.add_argument("--routes", default="reconstruct,embeddings", help="of the part batching")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement of a rate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--soak-seconds", type=float, default=600)
    parser.add_argument("--soak-clients", type=int, default=1000)
    parser.add_argument("--note", default="", help="remark on the machine, added to every row")
    arguments = parser.parse_args()
    arguments.texts = list(itertools.islice(read_corpus(arguments.corpus), 20_000))
    parts = {"throughput": throughput, "batching": batching, "ready": ready, "soak": soak}
    for part in arguments.parts.split(","):
        rows = parts[part](arguments)
        for each in rows:
            each["note"] = "; ".join(filter(None, (each["note"], arguments.note)))
        write_results("serving", rows)
        sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}) {r['note']}\n" for r in rows))
        sys.stdout.flush()


# The server as a process


@contextlib.contextmanager
def server(run: Path, *flags: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """Start `textvae serve` on a free port; yield the port and the process once it is ready."""
    command = [sys.executable, "-m", "textvae", "serve", str(run), "--port", "0", "--quiet", "--json", *flags]
    surroundings = os.environ | ALLOCATOR | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings)
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            sys.exit(f"the server did not start: {' '.join(command)}")
        port = int(json.loads(told)["url"].rpartition(":")[2])
        wait_until_ready(port)
        yield port, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


@contextlib.contextmanager
def core(which: int) -> Iterator[None]:
    """Run what is in the block, and the processes that it starts, on the first core (0) or the last (-1)."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(all_of_them)[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rates(count: float, start: float, used: float) -> tuple[float, float]:
    """Return so many things a second since a start, and a processor second."""
    return count / (time.perf_counter() - start), count / used


def wait_until_ready(port: int) -> float:
    """Wait for 200 from /ready, and return the seconds."""
    start = time.perf_counter()
    while time.perf_counter() - start < READY_SECONDS:
        with contextlib.suppress(OSError):
            if asyncio.run(one(port, "GET", "/ready"))[0] == 200:
                return time.perf_counter() - start
        time.sleep(0.02)
    sys.exit(f"the server was not ready after {READY_SECONDS} seconds")


class Connection:
    """A kept connection that asks one thing after the other; small, since clients share the cores with the server."""

    def __init__(self, port: int):
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Return status and body of the answer; 0 if the server closed the connection.

        Where it closed a kept connection before it answered, the question is asked again on a new one, as clients do.
        """
        kept, begun = self.writer is not None and not self.writer.is_closing(), False
        try:
            if self.writer is None or self.writer.is_closing():
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            assert self.reader is not None
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await self.writer.drain()
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            begun = True
            status = int(lines[0].split()[1])
            length = next((int(line[16:]) for line in lines if line.startswith("content-length: ")), None)
            content = await (self.reader.readexactly(length) if length is not None else self._chunks())
            if "connection: close" in lines:
                self.close()
            return status, content
        except (OSError, asyncio.IncompleteReadError, ValueError):  # a part that ends early is no number
            self.close()
            return await self.ask(method, path, body) if kept and not begun else (0, b"")

    async def _chunks(self) -> bytes:
        parts = []
        assert self.reader is not None
        while size := int((await self.reader.readline()).strip(), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readline()
        await self.reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self.writer is not None:
            self.writer.close()
        self.writer = None


async def one(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask one thing on a connection of its own."""
    connection = Connection(port)
    try:
        return await connection.ask(method, path, body)
    finally:
        connection.close()


async def load(port: int, bodies: Iterator[bytes], path: str, clients: int, seconds: float) -> list[float]:
    """Ask from several clients at a time, and return the seconds of each answer."""
    end, times = time.perf_counter() + seconds, list[float]()

    async def client() -> None:
        connection = Connection(port)
        while (start := time.perf_counter()) < end:
            status, _ = await connection.ask("POST", path, next(bodies))
            if status != 200:
                sys.exit(f"{path} was answered with {status}")
            times.append(time.perf_counter() - start)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return times


# The parts


def throughput(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return embeddings over HTTP against the library's own `encode`, in texts per second."""
    import torch

    from textvae import TextVAE

    vae = TextVAE.from_pretrained(arguments.run)
    texts, size = arguments.texts, TEXTS_OF_A_REQUEST
    requests = itertools.cycle(
        json.dumps({"input": texts[i : i + size], "model": arguments.run.name, "encoding_format": "base64"}).encode()
        for i in range(0, len(texts) - size, size)
    )
    torch.set_num_threads(1)
    direct, served, times = list[tuple[float, float]](), list[tuple[float, float]](), list[float]()
    with contextlib.ExitStack() as stack:
        with core(0):
            port, process = stack.enter_context(server(arguments.run))
        asyncio.run(load(port, requests, "/v1/embeddings", CLIENTS, 2))
        for _ in range(arguments.repeats):
            with core(0):
                start, before, done = time.perf_counter(), time.process_time(), 0
                while time.perf_counter() - start < arguments.seconds:
                    first = done % (len(texts) - 1024)
                    vae.encode(texts[first : first + 1024])
                    done += 1024
                direct.append(rates(done, start, time.process_time() - before))
            with core(-1):
                start, before = time.perf_counter(), processor_seconds(process.pid)
                found = asyncio.run(load(port, requests, "/v1/embeddings", CLIENTS, arguments.seconds))
                served.append(rates(len(found) * size, start, processor_seconds(process.pid) - before))
            times += found
    medians = [[statistics.median(each) for each in zip(*side, strict=True)] for side in (served, direct)]
    by_time, by_processor = (
        statistics.median(a[i] / b[i] for a, b in zip(served, direct, strict=True)) for i in (0, 1)
    )
    about = f"{CLIENTS} clients, {size} texts a request, base64; server and library in turns on one core, {SHARED}; "
    shown = [f"{of_server:,.0f} over {of_library:,.0f} texts" for of_server, of_library in zip(*medians, strict=True)]
    p50, p99 = (round(1000 * percentile(times, share), 1) for share in (0.5, 0.99))
    return [
        row("serve.throughput_ratio", round(by_time, 3), n=len(times), bar=">= 0.85", note=f"{about}{shown[0]}/s"),
        row("serve.throughput_ratio.cpu", round(by_processor, 3), n=len(times), bar=">= 0.85",
            note=f"the same by processor time, {shown[1]} a processor second"),
        row("serve.throughput.p50_ms", p50, n=len(times)),
        row("serve.throughput.p99_ms", p99, n=len(times)),
    ]  # fmt: skip


def batching(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what dynamic batching gains over one request at a time, for clients that send one text each."""
    rows = []
    routes = {
        "reconstruct": lambda text: {"texts": [text]},
        "embeddings": lambda text: {"input": text, "model": arguments.run.name, "encoding_format": "base64"},
    }
    for route in arguments.routes.split(","):
        body = routes[route]
        requests = itertools.cycle([json.dumps(body(text)).encode() for text in arguments.texts[:4096]])
        found: list[list[tuple[float, float]]] = [[], []]
        with contextlib.ExitStack() as stack:
            with core(0):
                both = [stack.enter_context(server(arguments.run, *flags)) for flags in ((), ("--no-batching",))]
            with core(-1):
                for port, _ in both:
                    asyncio.run(load(port, requests, f"/v1/{route}", CROWD, 2))
                for _, (side, (port, process)) in itertools.product(range(arguments.repeats), enumerate(both)):
                    start, before = time.perf_counter(), processor_seconds(process.pid)
                    times = asyncio.run(load(port, requests, f"/v1/{route}", CROWD, arguments.seconds))
                    found[side].append(rates(len(times), start, processor_seconds(process.pid) - before))
        note = f"/v1/{route}, {CROWD} clients, one text a request; server on one core, {SHARED}; "
        id = "serve.batching_gain" if route == "reconstruct" else f"serve.batching_gain.{route}"
        for i, (suffix, unit) in enumerate((("", "second"), (".cpu", "processor second"))):
            gain = statistics.median(a[i] / b[i] for a, b in zip(*found, strict=True))
            together, alone = (statistics.median(each[i] for each in side) for side in found)
            shown = f"{note}{together:,.0f} over {alone:,.0f} requests a {unit}"
            rows.append(row(id + suffix, round(gain, 2), n=arguments.repeats, bar=">= 4", note=shown))
    return rows


def ready(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the seconds from the start of the process to ready, and to the first answer."""
    to_ready, to_first = [], []
    body = json.dumps({"input": "a first text", "model": arguments.run.name}).encode()
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        with server(arguments.run) as (port, _):
            to_ready.append(time.perf_counter() - start)
            status, _ = asyncio.run(one(port, "POST", "/v1/embeddings", body))
            to_first.append(time.perf_counter() - start)
            assert status == 200
    return [
        row("serve.ready_seconds", round(statistics.median(to_ready), 2), n=arguments.repeats),
        row("serve.first_answer_seconds", round(statistics.median(to_first), 2), n=arguments.repeats),
    ]


def soak(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return how a server stands many clients with mixed requests, good and bad, and a kill -9 while it writes."""
    from textvae import LatentIndex, TextVAE

    statuses: Counter[str] = Counter()
    acknowledged: dict[int, str] = {}
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        LatentIndex.build(TextVAE.from_pretrained(arguments.run), arguments.texts[:1000], path=path)
        with server(arguments.run, "--index", f"soak={path}", "--writable") as (port, process):
            memory = asyncio.run(crowd(port, process.pid, arguments, statuses, acknowledged, times))
            process.wait()
        index = LatentIndex.load(path)
        kept = set(index.ids)
        lost = sum(id not in kept or index.get(id)[0] != text for id, text in acknowledged.items())
    count, n = sum(statuses.values()), arguments.soak_clients
    allowed = sum(count for status, count in statuses.items() if status[0] in "24")
    about = f"{n} clients, {arguments.soak_seconds:g} s: {dict(sorted(statuses.items()))}"
    p50, p99 = (round(percentile(times, share), 2) for share in (0.5, 0.99))
    return [
        row("serve.soak.unexpected", count - allowed, n=count, bar="0", note=f"neither 2xx nor 4xx; {about}"),
        row("serve.soak.memory_growth", round(memory[1] / memory[0] - 1, 3), n=count, bar="<= 0.10",
            note=f"{memory[0]:.0f} MB after a tenth of the time (a minute of ten), {memory[1]:.0f} MB at the end"),
        row("serve.soak.lost", lost, n=len(acknowledged), bar="0", note="texts acknowledged, then kill -9"),
        row("serve.soak.requests", count, n=count, note=f"{count / arguments.soak_seconds:.1f} a second"),
        row("serve.soak.p50_seconds", p50, n=len(times), note="answers with 200, all routes"),
        row("serve.soak.p99_seconds", p99, n=len(times)),
    ]  # fmt: skip


async def crowd(
    port: int, pid: int, arguments: argparse.Namespace, statuses: Counter[str], acknowledged: dict[int, str],
    times: list[float],
) -> tuple[float, float]:  # fmt: skip
    """Ask mixed things from many clients, and kill the server at the end, while it writes.

    Statuses are counted, texts that were acknowledged kept by id, and the seconds of good answers noted. Returns the
    server's memory in MB after a tenth of the time and at the end.
    """
    texts, killed = arguments.texts, asyncio.Event()

    async def client(number: int) -> None:
        draw, connection = random.Random(number), Connection(port)
        while not killed.is_set():
            method, path, body = question(draw, texts, arguments.run.name)
            start = time.perf_counter()
            status, content = await connection.ask(method, path, body)
            if status == 200:
                times.append(time.perf_counter() - start)
            if status or not killed.is_set():
                statuses[str(status) if status else "0 closed"] += 1
            if status == 200 and path.endswith("/items") and method == "POST":
                sent = json.loads(body)["items"]
                acknowledged.update(zip(json.loads(content)["ids"], (item["text"] for item in sent), strict=True))
            if status == 429 and not killed.is_set():
                await asyncio.sleep(draw.uniform(0.5, 1.5))  # as Retry-After says
            if draw.random() < 0.02:
                connection.close()

    async def watch() -> tuple[float, float]:
        await asyncio.sleep(arguments.soak_seconds / 10)
        first = resident(pid)
        await asyncio.sleep(arguments.soak_seconds * 0.9)
        last = resident(pid)
        killed.set()
        os.kill(pid, signal.SIGKILL)
        return first, last

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(client(number) for number in range(arguments.soak_clients)))
    return await watching


def question(draw: random.Random, texts: list[str], model: str) -> tuple[str, str, bytes]:
    """Return method, path and body of a request; one in ten is past the limits or broken."""
    some = draw.sample(texts, draw.choice((1, 1, 2, 8, 64)))
    kinds: list[tuple[float, str, str, Any]] = [
        (30, "POST", "/v1/embeddings", {"input": some, "model": model}),
        (15, "POST", "/v1/indexes/soak/search", {"text": some[0], "k": draw.randint(1, 20)}),
        (10, "POST", "/v1/reconstruct", {"texts": some[:8]}),
        (5, "POST", "/v1/vary", {"text": some[0], "n": draw.randint(1, 8), "stream": draw.random() < 0.5}),
        (5, "POST", "/v1/sample", {"n": draw.randint(1, 16), "stream": draw.random() < 0.5}),
        (5, "POST", "/v1/interpolate", {"a": some[0], "b": some[-1], "n": 5}),
        (5, "POST", "/v1/indexes/soak/items", {"items": [{"text": text} for text in some[:4]]}),
        (5, "GET", "/v1/indexes/soak/items?limit=20", None),
        (5, "GET", "/health", None),
        (5, "GET", "/v1/info", None),
        (3, "POST", "/v1/embeddings", {"input": ["x" * 20_000], "model": model}),
        (2, "POST", "/v1/embeddings", {"input": ["a"] * 3000, "model": model}),
        (2, "POST", "/v1/sample", {"n": 10**6}),
        (2, "POST", "/v1/blend", {"text": 1}),
        (0.5, "POST", "/v1/embeddings", {"input": ["y" * 9000] * 700, "model": model}),  # 6 MB
        (0.5, "POST", "/v1/embeddings", {"input": ["y" * 9000] * 110, "model": model}),  # within the bounds, barely
    ]
    _, method, path, body = draw.choices(kinds, [kind[0] for kind in kinds])[0]
    return method, path, b"" if body is None else json.dumps(body).encode()


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of them is below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    main()
