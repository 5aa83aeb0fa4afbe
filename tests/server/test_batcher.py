"""The thread that runs the model: jobs of one kind join, a bad one fails alone, nothing ends the thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from textvae.server.batcher import TICKET, Batcher, Cancelled, Job, Ticket
from textvae.server.shared_model import SharedModel


@pytest.fixture
def batches():
    """Kind and rows of each batch."""
    return []


@pytest.fixture
def batcher(batches):
    made = Batcher(most_rows=8, measure=lambda kind, rows: batches.append((kind, rows)))
    yield made
    made.close()


@pytest.fixture
def held(batcher):
    """The batcher busy until `set` is called, so that what is submitted waits together."""
    free = threading.Event()
    first = batcher.submit(Job("other", None, [0], lambda rows: [free.wait(10)]))
    while not first.running():
        pass
    return free


def double(rows):
    if None in rows:
        raise ValueError("no number")
    return [2 * row for row in rows]


def test_jobs_that_wait_share_a_batch(batcher, batches, held):
    futures = [batcher.submit(Job("double", "double", [i, i + 10], double)) for i in range(3)]
    other = batcher.submit(Job("triple", "triple", [1], lambda rows: [3 * row for row in rows]))
    held.set()
    assert [future.result(10) for future in futures] == [[0, 20], [2, 22], [4, 24]]
    assert other.result(10) == [3]
    assert batches == [("other", 1), ("double", 6), ("triple", 1)]


def test_a_batch_has_a_bound_and_one_large_job_is_a_batch(batcher, batches, held):
    futures = [batcher.submit(Job("double", "double", list(range(n)), double)) for n in (5, 4, 20, 3)]
    held.set()
    assert [len(future.result(10)) for future in futures] == [5, 4, 20, 3]
    assert [rows for _, rows in batches[1:]] == [8, 4, 20]


def test_without_batching_every_job_runs_alone(batches):
    batcher = Batcher(measure=lambda kind, rows: batches.append(rows), batching=False)
    free = threading.Event()
    futures = [batcher.submit(Job("other", "a", [0], lambda rows: [free.wait(10)]))]
    futures += [batcher.submit(Job("double", "double", [i], double)) for i in range(3)]
    free.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert batches == [1, 1, 1, 1]


def test_a_bad_job_fails_alone(batcher, held):
    futures = [batcher.submit(Job("double", "double", [row], double)) for row in (1, None, 3)]
    held.set()
    assert futures[0].result(10) == [2]
    assert futures[2].result(10) == [6]
    with pytest.raises(ValueError, match="no number"):
        futures[1].result(10)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, type("Panic", (BaseException,), {})])
def test_nothing_ends_the_thread(batcher, error):
    def fail(rows):
        raise error("x")

    with pytest.raises(Exception, match="x"):
        batcher.submit(Job("other", None, [0], fail)).result(10)
    assert batcher.submit(Job("double", "double", [4], double)).result(10) == [8]


def test_a_cancelled_job_is_not_run(batcher, batches, held):
    ticket = Ticket()
    future = batcher.submit(Job("double", "double", [1], double, ticket))
    ticket.cancelled = True
    gone = batcher.submit(Job("double", "double", [2], double))
    gone.cancel()
    held.set()
    with pytest.raises(Cancelled):
        future.result(10)
    assert batcher.submit(Job("double", "double", [3], double)).result(10) == [6]
    assert batches == [("other", 1), ("double", 1)]


def test_a_closed_batcher_finishes_what_waits_and_takes_no_more(batcher, held):
    future = batcher.submit(Job("double", "double", [1], double))
    held.set()
    batcher.close()
    assert future.result(0) == [2]
    with pytest.raises(Cancelled):
        batcher.submit(Job("double", "double", [1], double))


def test_a_shared_model_gives_what_the_model_gives(small_vae, sentences, batcher):
    shared = SharedModel(small_vae, batcher)
    many = sentences * 40  # more than one turn
    assert np.allclose(shared.encode(many), small_vae.encode(many), atol=1e-5)
    assert shared.encode([]).shape == (0, small_vae.dim)
    assert np.allclose(shared.encode("a", normalize_embeddings=True), small_vae.encode("a", normalize_embeddings=True))
    latents = small_vae.encode(sentences)
    for options in (
        {},
        {"temperature": 1, "seed": 3},
        {"num_beams": 2},
        {"candidates": 2, "temperature": 1, "seed": 1},
    ):
        assert shared.decode(latents, **options) == small_vae.decode(latents, **options)
    assert np.allclose(
        shared.nats(many, small_vae.encode(many)), small_vae.nats(many, small_vae.encode(many)), rtol=1e-4
    )
    exact, expected = shared.exact(sentences * 3, steps=2), small_vae.exact(sentences * 3, steps=2)
    assert np.allclose(exact.meaning, expected.meaning, atol=1e-3)


def test_the_network_runs_in_one_thread(small_vae, batcher, monkeypatch):
    threads, decode = set(), type(small_vae.model).decode

    def seen(model, *given, **options):
        threads.add(threading.current_thread().name)
        return decode(model, *given, **options)

    monkeypatch.setattr(type(small_vae.model), "decode", seen)
    shared = SharedModel(small_vae, batcher)
    shared.sample(2, drafts=2, seed=0)  # whose drafts are compared by their likelihood
    shared.nats(["a"], shared.encode(["a"]))
    assert threads == {"textvae-model"}


def test_work_of_a_request_that_nobody_waits_for_stops(small_vae, batcher):
    ticket = Ticket()
    token = TICKET.set(ticket)
    try:
        shared = SharedModel(small_vae, batcher)
        shared.encode(["a"])
        ticket.cancelled = True
        for work in (lambda: shared.encode(["a"]), lambda: shared.read(["a"]), lambda: shared.sample(1)):
            with pytest.raises(Cancelled):
                work()
    finally:
        TICKET.reset(token)
