"""The same request gives the same result over HTTP and in Python."""

from __future__ import annotations

import dataclasses
import json
import threading

import httpx
import numpy as np
import pytest
from served import ROWS

from textvae import LatentIndex, shift
from textvae.attributes.rewriting import rewrite
from textvae.evaluation.surprise import novelty
from textvae.server.shared_model import SharedModel

A, B, C = "the soup was hot .", "the room was cold .", "our waiter never smiled ."


@pytest.fixture(scope="module")
def http(reading_server):
    with httpx.Client(base_url=reading_server, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True, scope="module")
def few_contexts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.latent.naturalness.CONTEXTS", 8)  # an untrained model writes to its last token
        yield


def asked(http, route, body):
    answer = http.post(f"/v1/{route}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(http, route, body):
    """Return the results of a stream, which ends with [DONE]."""
    with http.stream("POST", f"/v1/{route}", json=body | {"stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    found = [json.loads(line) for line in lines]
    assert all("error" not in each for each in found), found
    return found


WRITTEN = {
    "reconstruct": ({"texts": [A, B]}, lambda vae: vae.reconstruct([A, B])),
    "sample": ({"n": 20, "seed": 4}, lambda vae: vae.sample(20, seed=4)),
    "vary": ({"text": A, "n": 3, "spread": 2, "seed": 1}, lambda vae: vae.vary(A, 3, spread=2, seed=1)),
    "interpolate": ({"a": A, "b": B, "n": 3}, lambda vae: vae.interpolate(A, B, 3)),
    "decode": ({"vectors": [[0.5] * 32, [-1.0] * 32]}, lambda vae: vae.decode([[0.5] * 32, [-1.0] * 32])),
}


@pytest.mark.parametrize("route", WRITTEN)
def test_texts_are_those_of_the_library_also_streamed(http, server_vae, route):
    body, written = WRITTEN[route]
    expected = written(server_vae)
    assert asked(http, route, body)["texts"] == expected
    found = events(http, route, body)
    assert [each["text"] for each in found] == expected
    assert [each["index"] for each in found] == list(range(len(expected)))


STREAMED = {route: body for route, (body, _) in WRITTEN.items()} | {
    "shift": {"texts": [A, B], "attributes": [{"name": "tone"}], "candidates": 1},
    "rewrite": {"texts": [A, B], "n": 2},
}


@pytest.mark.parametrize("route", STREAMED)
def test_a_stream_begins_before_all_is_written(http, route, monkeypatch):
    asked(http, route, STREAMED[route])  # makes what is made once
    calls, received, decode = [], threading.Event(), SharedModel.decode

    def slow(vae, *given, **options):
        calls.append(0)
        assert len(calls) == 1 or received.wait(10)
        return decode(vae, *given, **options)

    monkeypatch.setattr(SharedModel, "decode", slow)
    with http.stream("POST", f"/v1/{route}", json=STREAMED[route] | {"stream": True}) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert '"index":0' in next(lines)
        received.set()
        rest = list(lines)
    assert len(calls) > 1
    assert rest[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in rest)


def test_a_stream_of_samples_draws_by_its_seed(http):
    body = {"n": 5, "temperature": 1, "seed": 5}
    assert events(http, "sample", body) == events(http, "sample", body)


def test_sampled_tokens_are_those_of_the_seed(http, server_vae):
    expected = server_vae.sample(4, temperature=1, seed=5)
    assert asked(http, "sample", {"n": 4, "temperature": 1, "seed": 5})["texts"] == expected


def test_positions_are_those_asked_for(http, server_vae):
    assert asked(http, "interpolate", {"a": A, "b": B, "steps": 5})["positions"] == [0, 0.25, 0.5, 0.75, 1]
    at = asked(http, "interpolate", {"a": A, "b": B, "at": [0.37]})
    assert at == {"texts": server_vae.interpolate(A, B, at=[0.37]), "positions": [0.37]}


def test_blend_and_analogy_are_those_of_the_library(http, server_vae):
    assert asked(http, "analogy", {"a": A, "b": B, "c": C})["text"] == server_vae.analogy(A, B, C)
    blended = asked(http, "blend", {"texts": [A, B], "weights": [1, 3]})
    assert blended["text"] == server_vae.blend([A, B], [1, 3])


def test_familiarity_is_told_if_asked(http, server_vae):
    assert asked(http, "reconstruct", {"texts": [A]})["familiarity"] is None
    found = asked(http, "reconstruct", {"texts": [A, "zq"], "familiarity": True})["familiarity"]
    assert np.allclose(found, server_vae.familiarity([A, "zq"]), atol=1e-5)


@pytest.mark.parametrize("candidates", [1, 4])
def test_shift_is_that_of_the_library(http, server_vae, tone, candidates):
    options = {"attributes": [{"name": "tone", "strength": -1}], "candidates": candidates}
    (expected,) = shift(server_vae, [A], tone, -1, candidates=candidates)
    (found,) = asked(http, "shift", {"texts": [A], **options})["results"]
    for name, value in dataclasses.asdict(expected).items():
        assert found[name] == (pytest.approx(value, abs=1e-3) if isinstance(value, float | dict) else value)
    assert found["probabilities"]["tone"] == pytest.approx(
        1 / (1 + np.exp(tone.read(server_vae.read([expected.text]))[0])), abs=1e-4
    )
    (streamed,) = events(http, "shift", {"texts": [A], **options})
    assert streamed == {"index": 0} | found


def test_rewrite_is_that_of_the_library(http, server_vae, tone):
    expected = rewrite(server_vae, [A, B], tone, n=3, seed=2)
    body = {"texts": [A, B], "attributes": [{"name": "tone"}], "n": 3, "seed": 2}
    found = asked(http, "rewrite", body)["rows"]
    assert [each["text"] for each in found] == [each.text for each in expected]
    assert [each["score"] for each in found] == pytest.approx([each.score for each in expected], abs=1e-4)
    assert [each["text"] for each in events(http, "rewrite", body)] == [each.text for each in expected]


def test_scores_are_those_of_the_library(http, server_vae, tone):
    rows = asked(http, "score", {"texts": [A, B]})["rows"]
    expected = novelty(server_vae, [A, B])
    assert [row["nats_per_word"] for row in rows] == pytest.approx(expected.nats_per_word.tolist(), rel=1e-4)
    odds = tone.read(server_vae.read([A, B]))
    assert [row["attributes"]["tone"] for row in rows] == pytest.approx((1 / (1 + np.exp(-odds))).tolist(), abs=1e-4)


@pytest.mark.parametrize("where", [None, "topic = 'food' and stars >= 4"])
def test_search_is_that_of_the_library(http, server_vae, where):
    index = LatentIndex.build(server_vae, ROWS)
    expected = index.search(A, 3, where=where)
    found = asked(http, "indexes/numbered/search", {"text": A, "k": 3, "where": where, "blend": True})
    assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in expected]
    assert [hit["metadata"] for hit in found["hits"]] == [hit.metadata for hit in expected]
    assert found["blend"] == index.blend(expected)
    by_vector = {"vector": server_vae.encode(A).tolist(), "k": 3, "where": where}
    assert [h["id"] for h in asked(http, "indexes/numbered/search", by_vector)["hits"]] == [h.id for h in expected]


def test_items_are_listed_in_pages_and_by_id(http):
    page = http.get("/v1/indexes/numbered/items", params={"offset": 1, "limit": 2}).json()
    assert page["total"] == len(ROWS)
    assert [item["text"] for item in page["items"]] == [row["text"] for row in ROWS[1:3]]
    chosen = http.get("/v1/indexes/numbered/items", params={"ids": [4, 0]}).json()
    assert [item["metadata"]["topic"] for item in chosen["items"]] == ["city", "food"]


def test_the_server_describes_itself(http, server_vae, tone):
    info = http.get("/v1/info").json()
    assert info["latent_dim"] == server_vae.dim
    assert info["split"] is False
    assert info["writable"] is False
    assert info["indexes"] == [
        {"name": name, "size": len(ROWS), "metric": "cosine", "metadata_fields": ["stars", "topic"]}
        for name in ("numbered", "named")
    ]
    assert info["attributes"] == http.get("/v1/attributes").json()["data"]
    assert info["attributes"][0]["accuracy"] == tone.accuracy
    assert http.get("/health").json() == http.get("/ready").json() == {"status": "ok"}


def test_requests_and_batches_are_counted(http):
    before = http.get("/metrics").text
    asked(http, "reconstruct", {"texts": [A]})
    after = http.get("/metrics").text
    line = 'textvae_requests_total{method="POST",route="/v1/reconstruct",status="200"}'

    def count(text):
        return next((float(row.split()[-1]) for row in text.splitlines() if row.startswith(line)), 0.0)

    assert count(after) == count(before) + 1
    assert 'textvae_batch_rows_count{kind="decode"}' in after
    assert "textvae_requests_working 0.0" in after


def test_no_page_that_loads_files_from_elsewhere(http):
    assert http.get("/docs").status_code == 404
    assert http.get("/openapi.json").json()["info"]["title"] == "textvae"


def test_reading_is_all_that_is_allowed_by_default(http):
    writes = [
        http.post("/v1/indexes/numbered/items", json={"items": [{"text": "a"}]}),
        http.put("/v1/indexes/numbered/items", json={"items": [{"id": 0, "text": "a"}]}),
        http.delete("/v1/indexes/numbered/items", params={"ids": [0]}),
        http.post("/v1/attributes", json={"name": "new", "positive": ["a", "b"], "negative": ["c", "d"]}),
    ]
    assert [answer.status_code for answer in writes] == [403] * 4
    assert "--writable" in writes[0].json()["error"]["message"]


def test_browsers_of_other_pages_get_no_permission(http):
    answer = http.options(
        "/v1/embeddings", headers={"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers
