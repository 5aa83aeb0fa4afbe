"""Clients that do harm: refused in bounded time and memory, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
from served import KEY, served

from textvae.server.batcher import Job
from textvae.server.doorman import _Visit
from textvae.server.errors import ApiError
from textvae.server.limits import Limits

QUICK = Limits(
    body_bytes=20_000, bodies_bytes=30_000, characters=5000, read_seconds=0.5, write_seconds=0.5, seconds=3.0,
    queue=4, connections=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def narrow(make_space):
    """The address of a server with narrow limits."""
    with served(make_space(limits=QUICK)) as url:
        yield url


@pytest.fixture
def server(narrow, http):
    """The same, which must live when the test is over."""
    yield narrow
    assert http.get(f"{narrow}/health").status_code == 200


def connect(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def read_all(connection):
    """Return what comes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.fixture
def post(server, http):
    """A function that posts bytes to a route."""
    headers = {"Content-Type": "application/json"}
    return lambda route, body: http.post(f"{server}/v1/{route}", content=body, headers=headers)


HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SLOW = {
    "nothing": b"",
    "half a line": b"POST /v1/emb",
    "half the headers": HEAD,
    "half the body": HEAD + b'Content-Length: 1000\r\n\r\n{"input"',
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
}


@pytest.mark.parametrize("sent", SLOW)
def test_a_client_that_stops_halfway_is_let_go(server, sent):
    start = time.monotonic()
    with connect(server) as connection:
        connection.sendall(SLOW[sent])
        answer = read_all(connection)
    assert time.monotonic() - start < 5
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert ("body" not in sent and "chunk" not in sent) or b"slow_body" in answer


def test_a_header_a_second_is_too_slow(server):
    start = time.monotonic()
    with connect(server) as connection:
        try:
            connection.sendall(HEAD)
            for i in range(100):
                connection.sendall(b"X-%d: 1\r\n" % i)
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - start < 4


def test_a_client_that_does_not_read_is_let_go(make_space, http):
    space = make_space(limits=Limits(write_seconds=0.3))
    with served(space) as url, connect(url) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)  # 20 MB of answers
        with pytest.raises(OSError):
            for _ in range(300):
                time.sleep(0.1)
                connection.send(b"G")  # tells whether the server has closed
        assert http.get(f"{url}/health").status_code == 200


def test_many_idle_connections_leave_room(server, http):
    idle = [connect(server) for _ in range(80)]
    time.sleep(0.8)
    assert http.get(f"{server}/health").status_code == 200
    for each in idle:
        each.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused_unread(server, post, chunked):
    sent = 0

    def parts():
        nonlocal sent
        for _ in range(2000):
            sent += 100_000
            yield b" " * 100_000

    if chunked:
        try:
            answer = post("embeddings", parts())
            assert answer.status_code == 413
        except httpx.HTTPError:  # the server has closed the connection while the client still sends
            pass
        assert sent < 50_000_000
        return
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 999999999999\r\n\r\n")
        assert b" 413 " in read_all(connection)[:20]


def test_ten_thousand_headers_are_refused(server, http):
    with connect(server) as connection:
        lines = b"".join(b"X-%d: 1\r\n" % i for i in range(10_000))
        try:
            connection.sendall(HEAD + lines + b"\r\n")
        except OSError:
            pass
        assert read_all(connection)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"")
    few = {f"X-{i}": "1" for i in range(200)}
    assert http.get(f"{server}/v1/models", headers=few).status_code == 431


BODIES = {
    "no JSON": (b"{", 400),
    "no UTF-8": (b'{"input": "\xff", "model": "tiny"}', 400),
    "deep JSON": (b"[" * 9000 + b"]" * 9000, 400),
    "deep objects": (b'{"a":' * 3000 + b"1" + b"}" * 3000, 400),
    "a number of 10,000 digits": (b'{"input": "a", "model": "tiny", "dimensions": ' + b"9" * 10_000 + b"}", 400),
    "NaN": (b'{"input": "a", "model": "tiny", "dimensions": NaN}', 422),
    "another type": (b'{"input": {"a": 1}, "model": "tiny"}', 422),
    "an unknown field": (b'{"input": "a", "model": "tiny", "inputs": 1}', 422),
    "no texts": (b'{"input": [], "model": "tiny"}', 422),
    "too many texts": (json.dumps({"input": ["a"] * 2049, "model": "tiny"}).encode(), 413),
    "a long text": (json.dumps({"input": "a" * 10_001, "model": "tiny"}).encode(), 413),
    "many characters": (json.dumps({"input": ["a" * 1000] * 6, "model": "tiny"}).encode(), 413),
    "nothing": (b"", 422),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_answered_with_its_fault(post, case, monkeypatch):
    def refuse(*_):
        raise AssertionError("a tokenizer ran")

    monkeypatch.setattr("textvae.latent.codec.LatentCodec.encoder_rows", refuse)
    body, status = BODIES[case]
    answer = post("embeddings", body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert len(answer.content) < 2000


ASKED = {
    "n": ("sample", {"n": 10**9}),
    "candidates": ("shift", {"texts": ["a"], "attributes": [{"name": "tone"}], "candidates": 10**6}),
    "strength": ("shift", {"texts": ["a"], "attributes": [{"name": "tone", "strength": 1e300}]}),
    "texts times candidates": ("shift", {"texts": ["a"] * 200, "attributes": [{"name": "tone"}], "candidates": 64}),
    "where": ("indexes/numbered/search", {"text": "a", "where": "(" * 2000}),
    "k": ("indexes/numbered/search", {"text": "a", "k": 10**7}),
    "infinite vector": ("indexes/numbered/search", {"vector": [1e300] * 32}),
    "short vector": ("decode", {"vectors": [[0.0]]}),
    "both": ("indexes/numbered/search", {"text": "a", "vector": [0.0] * 32}),
    "weights": ("blend", {"texts": ["a", "b"], "weights": [1, -1]}),
}


@pytest.mark.parametrize("case", ASKED)
def test_too_much_is_refused(server, http, case):
    route, body = ASKED[case]
    answer = http.post(f"{server}/v1/{route}", json=body)
    assert answer.status_code == 422, answer.text


def test_half_characters_are_replaced(post):
    answer = post("reconstruct", b'{"texts": ["half an emoji: \\ud83d"]}')
    assert answer.status_code == 200
    assert post("reconstruct", b'{"\\ud83d": 1}').status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/v1/indexes/../../etc/passwd/items", "/v1/indexes/%2e%2e%2fnumbered/items", "/v1/indexes/%00/items",
     "/v1/indexes/%ff/items", "//", "/static/../../pyproject.toml", "/static/%2e%2e/app.py"],
)  # fmt: skip
def test_a_path_leads_nowhere(server, path):
    with connect(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert read_all(connection).startswith(b"HTTP/1.1 404 ")


def test_a_full_queue_says_when_to_come_again(server, http):
    with connect_many(http, server, 12) as answers:
        pass
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "queue_full"


class connect_many:
    """Ask for samples at the same time, and collect the answers."""

    def __init__(self, http, url, count):
        self.http, self.answers = http, []
        self.threads = [threading.Thread(target=self.ask, args=(url,)) for _ in range(count)]

    def ask(self, url):
        self.answers.append(self.http.post(f"{url}/v1/sample", json={"n": 16, "temperature": 1}))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self.answers

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()


@pytest.fixture
def endless(monkeypatch):
    """Decoding that goes on as long as somebody waits for it; yields a list with an entry for each step."""
    from textvae.server.shared_model import SharedModel

    steps = []

    def sample(vae, n, **options):
        for _ in range(1000):
            steps.append(n)
            vae.read(["a"])
            time.sleep(0.01)

    monkeypatch.setattr(SharedModel, "sample", sample)
    return steps


def test_work_stops_when_the_client_leaves(server, http, endless):
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"{server}/v1/sample", json={}, timeout=0.3)
    time.sleep(0.3)
    before = len(endless)
    time.sleep(0.3)
    assert len(endless) == before > 0


def test_work_stops_when_the_time_is_over(make_space, http, endless):
    with served(make_space(limits=Limits(seconds=0.3))) as url:
        answer = http.post(f"{url}/v1/sample", json={})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "time_limit"
        before = len(endless)
        time.sleep(0.3)
        assert len(endless) <= before + 1


def test_a_stream_ends_with_an_error_when_the_time_is_over(make_space, http, monkeypatch):
    from textvae.server.shared_model import SharedModel

    calls, decode = [], SharedModel.decode

    def endless(vae, *given, **options):
        calls.append(0)
        while len(calls) > 1:  # ends when nobody waits for it any longer
            vae.read(["a"])
            time.sleep(0.01)
        return decode(vae, *given, **options)

    monkeypatch.setattr(SharedModel, "decode", endless)
    with served(make_space(limits=Limits(seconds=2.0))) as url:
        answer = http.post(f"{url}/v1/reconstruct", json={"texts": ["a"] * 20, "stream": True})
    first, *_, last = answer.text.strip().split("\n\n")
    assert first.startswith('data: {"index":0')
    assert last.startswith("event: error\ndata: ") and "time_limit" in last


def test_an_answer_that_is_complete_is_not_refused_any_more():
    """The time may end between the last part of an answer and the end of its task."""
    sent = []

    async def send(message):
        sent.append(message)

    async def answer(*parts):
        visit = _Visit({"type": "http"}, send)
        for part in parts:
            await visit.send(part)
        await visit.refuse(ApiError(422, "too slow"))

    for kind in (b"text/event-stream", b"application/json"):
        sent.clear()
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
        asyncio.run(answer(start, {"type": "http.response.body", "body": b"{}"}))
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


TEXT = {"text": "a"}
MOVED = {"texts": ["a", "b"], "attributes": [{"name": "tone"}]}
LEFT = {
    "embeddings": {"input": "a", "model": "tiny"},
    "reconstruct": {"texts": ["a"]},
    "decode": {"vectors": [[0.0] * 32]},
    "sample": {},
    "vary": TEXT,
    "interpolate": {"a": "a", "b": "b"},
    "analogy": {"a": "a", "b": "b", "c": "c"},
    "blend": {"texts": ["a", "b"]},
    "shift": MOVED,
    "rewrite": {"texts": ["a"]},
    "score": {"texts": ["a"]},
    "attributes": {"name": "left", "positive": ["a", "b"], "negative": ["c", "d"]},
    "indexes/numbered/search": TEXT,
    "indexes/numbered/place": TEXT,
}
STREAMS = {f"{route}, streamed": LEFT[route] | {"stream": True}
           for route in ("reconstruct", "decode", "sample", "vary", "interpolate", "shift", "rewrite")}  # fmt: skip


@pytest.fixture(scope="module")
def watched(make_space):
    """A workspace, and its address."""
    space = make_space(writable=True)
    with served(space) as url:
        yield space, url


@pytest.mark.parametrize("case", [*LEFT, *STREAMS])
def test_nothing_is_computed_for_a_client_that_has_left(watched, http, case):
    space, url = watched
    free, batches = threading.Event(), []
    space.batcher.measure = lambda kind, rows: batches.append(kind)
    space.batcher.submit(Job("held", None, [0], lambda rows: [free.wait(20)]))
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"{url}/v1/{case.split(',')[0]}", json=(LEFT | STREAMS)[case], timeout=0.4)
    waiting = time.monotonic() + 5
    while "requests_working 0.0" not in http.get(f"{url}/metrics").text and time.monotonic() < waiting:
        time.sleep(0.02)
    free.set()
    assert space.batcher.submit(Job("last", None, [0], list)).result(10) == [0]
    time.sleep(0.05)  # for work that would follow
    assert batches == ["held", "last"]
    assert "left" not in space.attributes


class Panic(BaseException):
    """As those of libraries in Rust."""


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt, RecursionError, MemoryError, Panic])
@pytest.mark.parametrize("inside", ["SharedModel.decode", "SharedModel.encoder_rows", "Workspace.naturalness"])
def test_a_failing_request_fails_alone(watched, http, error, inside, monkeypatch):
    space, url = watched

    def fail(*_, **__):
        raise error("inside")

    with monkeypatch.context() as patch:
        module = "shared_model" if "Model" in inside else "workspace"
        patch.setattr(f"textvae.server.{module}.{inside}", fail)
        for _ in range(5):
            answer = http.post(f"{url}/v1/rewrite", json={"texts": ["a"]})
            assert answer.status_code == 500
            assert answer.json()["error"]["type"] == "server_error"
        answer = http.post(f"{url}/v1/rewrite", json={"texts": ["a"], "stream": True})
        assert answer.text.startswith("event: error\ndata: ") and "server_error" in answer.text
    assert http.post(f"{url}/v1/analogy", json=LEFT["analogy"]).status_code == 200
    added = http.post(f"{url}/v1/indexes/numbered/items", json={"items": [TEXT]})
    assert added.status_code == 200


def test_a_wrong_key_is_refused(make_space, http):
    with served(make_space(), key=KEY) as url:
        for sent in (None, "", "Bearer", "Bearer wrong", f"bearer{KEY}", f"Bearer {KEY}s", "Basic \u00ff"):
            headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
            for route in ("v1/models", "metrics", "openapi.json", "none"):
                answer = http.get(f"{url}/{route}", headers=headers)
                assert answer.status_code == 401
                assert answer.json()["error"]["code"] == "invalid_api_key"
        assert http.get(f"{url}/health").status_code == 200
        assert http.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost@evil.example", ""])
def test_a_web_page_cannot_reach_the_server_under_a_name_of_its_own(server, http, host):
    refusal = http.get(f"{server}/v1/info", headers={"Host": host})
    assert refusal.status_code in (400, 403)
    assert http.get(f"{server}/v1/info", headers={"Host": "LOCALHOST:99"}).status_code == 200
