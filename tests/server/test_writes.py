"""Writes: answered when they are on disk, many with one save, all or nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from served import BLAME, PRAISE, ROWS, served

from textvae import Attribute, LatentIndex


@pytest.fixture
def writing(make_space, tmp_path):
    """A client of a server that may be written, and its workspace."""
    space = make_space(tmp_path, writable=True)
    with served(space) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield http, space


def on_disk(space, name):
    return LatentIndex.load(space.indexes[name].path)


def test_an_answered_write_is_on_disk(writing):
    http, space = writing
    added = http.post(
        "/v1/indexes/numbered/items", json={"items": [{"text": "a new text", "metadata": {"topic": "new"}}]}
    ).json()
    assert added == {"ids": [len(ROWS)], "total": len(ROWS) + 1}
    assert on_disk(space, "numbered").get(len(ROWS)) == ("a new text", {"topic": "new"})
    changed = http.put("/v1/indexes/numbered/items", json={"items": [{"id": 0, "text": "another"}]}).json()
    assert changed == {"ids": [0], "total": len(ROWS) + 1}
    assert on_disk(space, "numbered").get(0) == ("another", {})
    removed = http.delete("/v1/indexes/numbered/items", params={"ids": [1, 2]}).json()
    assert removed == {"ids": [1, 2], "total": len(ROWS) - 1}
    assert on_disk(space, "numbered").ids == [0, 3, 4, 5]
    assert http.get("/v1/indexes/numbered/items").json()["total"] == len(ROWS) - 1
    info = http.get("/v1/info").json()["indexes"]
    assert info[1]["metadata_fields"] == ["stars", "topic"]


def test_ids_of_ones_own(writing):
    http, space = writing
    items = [{"id": "r0", "text": "put"}, {"id": "x/../1", "text": "new"}]
    assert http.put("/v1/indexes/named/items", json={"items": items}).json()["total"] == len(ROWS) + 1
    assert http.post("/v1/indexes/named/items", json={"items": [{"id": "y", "text": "z"}]}).json()["ids"] == ["y"]
    assert on_disk(space, "named").get("x/../1")[0] == "new"
    assert http.get("/v1/indexes/named/items", params={"ids": ["r0"]}).json()["items"][0]["text"] == "put"


REFUSED = {
    "an id that is there": ("post", "named", {"items": [{"id": "r1", "text": "a"}]}, 422, "already has the id"),
    "no ids": ("post", "named", {"items": [{"text": "a"}]}, 422, "built with ids"),
    "ids of some": ("post", "named", {"items": [{"text": "a"}, {"id": "n", "text": "b"}]}, 422, "others have none"),
    "an unknown number": ("put", "numbered", {"items": [{"id": 99, "text": "a"}]}, 422, "no id 99"),
    "a word for a number": ("put", "numbered", {"items": [{"id": "x", "text": "a"}]}, 404, "ids of this index are num"),
    "an unknown index": ("post", "../numbered", {"items": [{"text": "a"}]}, 404, ""),
    "deep metadata": (
        "post",
        "numbered",
        {"items": [{"text": "a", "metadata": {"a": None}}]},
        422,
        "nested deeper",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_write_changes_nothing(writing, case):
    method, name, body, status, message = REFUSED[case]
    if case == "deep metadata":
        for _ in range(150):
            body["items"][0]["metadata"] = {"a": body["items"][0]["metadata"]}
    http, space = writing
    answer = http.request(method, f"/v1/indexes/{name}/items", json=body)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]["message"]
    assert [len(on_disk(space, name)) for name in space.indexes] == [len(ROWS)] * 2


def test_writes_that_wait_share_a_save(writing, monkeypatch):
    http, space = writing
    saves, first = [], threading.Event()
    save = LatentIndex.save

    def slow(index, path):
        saves.append(len(index))
        first.wait(5)
        save(index, path)

    monkeypatch.setattr(LatentIndex, "save", slow)

    def write(i):
        if i == 15:
            first.set()
        return http.post("/v1/indexes/numbered/items", json={"items": [{"text": f"text {i}"}]}).json()["ids"]

    with ThreadPoolExecutor(16) as pool:
        ids = sorted(id for found in pool.map(write, range(16)) for id in found)
    assert ids == list(range(len(ROWS), len(ROWS) + 16))
    assert len(saves) < 16
    assert len(on_disk(space, "numbered")) == len(ROWS) + 16


def test_a_save_that_fails_is_no_write(writing, monkeypatch):
    http, space = writing

    def full(index, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LatentIndex, "save", full)
        answer = http.post("/v1/indexes/numbered/items", json={"items": [{"text": "a"}]})
    assert answer.status_code == 507
    assert "nothing was changed" in answer.json()["error"]["message"]
    assert http.get("/v1/indexes/numbered/items").json()["total"] == len(ROWS)
    assert http.post("/v1/indexes/numbered/items", json={"items": [{"text": "a"}]}).json()["total"] == len(ROWS) + 1


def test_another_writer_is_not_overwritten(writing):
    http, space = writing
    with LatentIndex.edit(space.indexes["numbered"].path, space.vae) as index:
        index.add(["from elsewhere"])
    answer = http.post("/v1/indexes/numbered/items", json={"items": [{"text": "a"}]})
    assert answer.status_code == 409
    again = http.post("/v1/indexes/numbered/items", json={"items": [{"text": "a"}]}).json()
    assert again == {"ids": [len(ROWS) + 1], "total": len(ROWS) + 2}


def test_a_posted_attribute_is_kept(writing, make_space):
    http, space = writing
    fitted = http.post("/v1/attributes", json={"name": "mood", "positive": PRAISE, "negative": BLAME}).json()
    assert fitted["accuracy"] == Attribute.load(space.folder / "mood").accuracy
    assert Attribute.load(space.folder / "mood").fingerprint == space.vae.fingerprint
    again = http.post("/v1/attributes", json={"name": "mood", "positive": PRAISE, "negative": BLAME})
    assert again.status_code == 409
    body = {"texts": ["the soup was hot ."], "attributes": [{"name": "mood"}]}
    assert http.post("/v1/shift", json=body).status_code == 200
    other = make_space(folder=space.folder.parent)
    assert set(other.attributes) == {"tone", "mood"}
    other.close()


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "x" * 65, "a\u0000b", "é"])
def test_an_attribute_is_never_a_path(writing, name, tmp_path):
    http, space = writing
    before = sorted(tmp_path.rglob("*"))
    answer = http.post("/v1/attributes", json={"name": name, "positive": PRAISE, "negative": BLAME})
    assert answer.status_code in (413, 422)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_end_finishes_requests_and_saves_writes(make_space, monkeypatch):
    space = make_space(writable=True)
    started, save = threading.Event(), LatentIndex.save

    def slow(index, path):
        started.set()
        threading.Event().wait(0.5)
        save(index, path)

    monkeypatch.setattr(LatentIndex, "save", slow)
    with ThreadPoolExecutor(1) as pool:
        with served(space) as url:
            answer = pool.submit(
                httpx.post, f"{url}/v1/indexes/named/items", json={"items": [{"id": "n", "text": "a"}]}
            )
            assert started.wait(10)
        assert answer.result().json()["total"] == len(ROWS) + 1
    assert on_disk(space, "named").get("n")[0] == "a"
