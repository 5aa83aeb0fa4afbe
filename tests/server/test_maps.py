"""The map of an index: what it shows, where it is kept, and what it does after changes."""

import json
import time

import numpy as np
import pytest

pytest.importorskip("fastapi")

from textvae import LatentIndex
from textvae.evaluation.projection import project
from textvae.server import maps
from textvae.server.maps import SCALE, IndexMap, fields_of
from textvae.server.served_index import ServedIndex

WORDS = ["soup", "bread", "waiter", "room", "coffee", "phone", "dog", "museum", "river", "park"]
TEXTS = [f"the {a} was near the {b} ." for a in WORDS for b in WORDS[:4]]
PACKAGE = """class PaCMAP:
    def __init__(self, **options):
        pass

    def fit_transform(self, latents):
        return -3 * latents[:, :2]
"""


@pytest.fixture
def folder(server_vae, tmp_path):
    metadata = [{"n": str(i), "kind": "even" if i % 2 == 0 else "odd"} for i in range(40)]
    LatentIndex.build(server_vae, TEXTS, path=tmp_path / "index", metadata=metadata)
    return tmp_path / "index"


@pytest.fixture
def served(folder, server_vae):
    served = ServedIndex(folder, server_vae)
    yield served
    served.close()


def shown(drawn):
    return json.loads(drawn.answer())


@pytest.fixture
def pca(monkeypatch):
    monkeypatch.setattr(maps, "automatic_axes", lambda count: "pca")


@pytest.fixture
def pacmap(tmp_path, monkeypatch):
    """A stand-in for pacmap, which the process that computes the map imports."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "pacmap.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setattr(maps, "automatic_axes", lambda count: "pacmap")


def finished(drawn):
    deadline = time.monotonic() + 60
    while (found := shown(drawn))["pending"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_the_map_is_the_projection_in_whole_numbers(served, tmp_path, pca):
    found = shown(IndexMap(served, tmp_path / "cache"))
    plane = project(served.index.vectors(served.ids), "pca").points
    points = np.stack([found["x"], found["y"]], 1)
    assert found["ids"] == served.ids and found["total"] == 40 and not found["pending"]
    assert points.min() >= 0 and points.max() <= SCALE
    side = (plane.max(0) - plane.min(0)).max()
    np.testing.assert_allclose(points - points.mean(0), (plane - plane.mean(0)) / side * SCALE, atol=2)


def test_an_index_that_does_not_return_its_vectors_is_encoded_again(served, tmp_path, pca, monkeypatch):
    expected = shown(IndexMap(served, tmp_path / "cache"))

    def refuse(ids):
        raise ValueError

    monkeypatch.setattr(served.index, "vectors", refuse)
    found = shown(IndexMap(served, tmp_path / "cache"))
    assert found["ids"] == expected["ids"] and found["x"] != expected["x"]  # the latents are not scaled to length 1
    scaled = np.corrcoef(found["x"], project(served.index.vae.encode(TEXTS), "pca").points[:, 0])
    assert scaled[0, 1] > 0.999999


def test_fields_are_groups_or_scales():
    rows = [{"kind": "a", "n": i, "free": f"text {i}", "mixed": [1], "some": "x" if i else None} for i in range(50)]
    found = {field["name"]: field for field in fields_of(rows, ["free", "kind", "mixed", "n", "some"])}
    assert set(found) == {"kind", "n", "some"}
    assert found["kind"] == {"name": "kind", "kind": "groups", "values": ["a"], "codes": [0] * 50}
    assert (found["n"]["low"], found["n"]["high"], found["n"]["numbers"][7]) == (0, 49, 7)
    assert found["some"]["codes"] == [-1] + [0] * 49
    assert fields_of([{"v": True}, {"v": 1}, {"v": "1"}], ["v"])[0]["codes"] == [0, 1, 2]


def test_texts_of_the_index_are_placed_where_they_are_and_others_among_their_neighbours(served, tmp_path, pca):
    drawn = IndexMap(served, tmp_path / "cache")
    found = shown(drawn)
    vectors = served.index.vectors(served.ids)
    for row in (0, 17, 39):
        np.testing.assert_allclose(drawn.place(vectors[row]), (found["x"][row], found["y"][row]), atol=200)
    middle = drawn.place(vectors[:8].mean(0))
    assert min(found["x"]) <= middle[0] <= max(found["x"]) and min(found["y"]) <= middle[1] <= max(found["y"])


def test_a_text_is_placed_where_most_of_its_neighbours_are():
    points = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [90, 90], [91, 90]], np.float32)
    found = maps.geometric_median(points, np.ones(7, np.float32))
    grid = np.stack(np.meshgrid(*[np.linspace(0, 2, 201)] * 2), -1).reshape(-1, 2)
    costs = np.linalg.norm(grid[:, None] - points, axis=2).sum(1)
    assert np.linalg.norm(found - points, axis=1).sum() <= costs.min() + 1e-3
    assert np.linalg.norm(found - points[4]) < 1


def test_the_map_is_computed_once_and_kept_outside_the_index(served, folder, tmp_path, pacmap):
    before = sorted(folder.iterdir())
    drawn = IndexMap(served, tmp_path / "cache")
    first = shown(drawn)
    assert first["method"] == "pca" and first["pending"]
    found = finished(drawn)
    assert found["method"] == "pacmap"
    plane = -3 * served.index.vectors(served.ids)[:, :2]
    x = np.array(found["x"])
    np.testing.assert_allclose(np.corrcoef(x, plane[:, 0])[0, 1], 1, atol=1e-6)
    assert sorted(folder.iterdir()) == before
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".npy"]
    again = shown(IndexMap(served, tmp_path / "cache"))
    assert (again["method"], again["pending"], again["x"]) == ("pacmap", False, found["x"])


def test_a_file_in_the_folder_of_the_index_is_not_read(served, folder, tmp_path, pca):
    expected = shown(IndexMap(served, tmp_path / "cache"))
    for name in ("map.npy", "points.npy", "map.json"):
        np.save(folder / name, np.zeros((40, 2), np.float32))
    assert shown(IndexMap(ServedIndex(folder, served._vae), tmp_path / "cache")) == expected


@pytest.mark.parametrize(
    "content", [np.zeros((39, 2), np.float32), np.zeros((40, 2)), np.full((40, 2), np.nan, np.float32), None]
)
def test_a_damaged_cache_is_computed_again(served, tmp_path, pacmap, content):
    drawn = IndexMap(served, tmp_path / "cache")
    found = finished(drawn)
    [file] = (tmp_path / "cache").iterdir()
    file.write_bytes(b"nothing") if content is None else np.save(file, content)
    again = IndexMap(served, tmp_path / "cache")
    assert shown(again)["method"] == "pca"
    assert finished(again)["x"] == found["x"]


def test_a_pickle_in_the_cache_is_not_opened(served, tmp_path, pacmap):
    drawn = IndexMap(served, tmp_path / "cache")
    finished(drawn)
    np.save(drawn._file(), np.array([object()], object), allow_pickle=True)
    again = IndexMap(served, tmp_path / "cache")
    assert shown(again)["method"] == "pca"
    again.close()


def test_nothing_in_the_working_folder_is_imported(served, tmp_path, pacmap, monkeypatch):
    (tmp_path / "strange").mkdir()
    for name in ("numpy", "pacmap", "textvae"):
        (tmp_path / "strange" / f"{name}.py").write_text(
            f"open({str(tmp_path / 'marker')!r}, 'w')\nraise RuntimeError\n"
        )
    monkeypatch.chdir(tmp_path / "strange")
    assert finished(IndexMap(served, tmp_path / "cache"))["method"] == "pacmap"
    assert not (tmp_path / "marker").exists()


def test_a_failed_projection_leaves_the_sketch(served, tmp_path, pacmap, caplog):
    (tmp_path / "packages" / "pacmap.py").write_text("raise RuntimeError\n")
    found = finished(IndexMap(served, tmp_path / "cache"))
    assert found["method"] == "pca" and "pacmap failed" in caplog.text


def test_a_cache_that_cannot_be_written_is_done_without(served, tmp_path, pacmap):
    (tmp_path / "file").write_text("")
    assert finished(IndexMap(served, tmp_path / "file" / "cache"))["method"] == "pacmap"


def test_added_changed_and_removed_texts_appear_without_a_new_map(served, tmp_path, pca, monkeypatch):
    drawn = IndexMap(served, tmp_path / "cache")
    before = shown(drawn)
    monkeypatch.setattr(maps, "project", None)  # it is not called
    served.change(lambda index: index.add(["the soup was near the river ."], [{"kind": "new"}])).result()
    served.change(lambda index: index.remove([0]) and []).result()
    served.change(lambda index: index.update([1], [TEXTS[39]]) or []).result()
    after = shown(drawn)
    assert after["ids"] == [*range(1, 40), 40]
    assert after["x"][1:39] == before["x"][2:]
    np.testing.assert_allclose(after["x"][0], before["x"][39], atol=200)
    assert [field["values"] for field in after["fields"] if field["name"] == "kind"] == [["even", "odd", "new"]]


def test_many_changes_make_a_new_map(served, tmp_path, pca):
    drawn = IndexMap(served, tmp_path / "cache")
    shown(drawn)
    served.change(lambda index: index.add([f"a {word} ." for word in WORDS])).result()
    found = shown(drawn)
    plane = project(served.index.vectors(served.ids), "pca").points
    assert np.corrcoef(found["x"], plane[:, 0])[0, 1] > 0.999999


def test_too_few_texts_have_no_map_and_no_place(server_vae, tmp_path):
    LatentIndex.build(server_vae, TEXTS[:2], path=tmp_path / "two")
    served = ServedIndex(tmp_path / "two", server_vae)
    drawn = IndexMap(served, tmp_path / "cache")
    assert shown(drawn)["ids"] == [] and drawn.place(np.zeros(served.index.dim, np.float32)) is None


@pytest.mark.slow
def test_pacmap_itself_separates_what_is_apart(tmp_path):
    pytest.importorskip("pacmap")
    centres = 30 * np.random.default_rng(0).normal(size=(3, 16))
    latents = np.repeat(centres, 60, 0) + np.random.default_rng(1).normal(size=(180, 16))
    plane = project(latents)
    assert plane.method == "pacmap"
    groups = plane.points.reshape(3, 60, 2)
    within = max(group.std(0).max() for group in groups)
    means = groups.mean(1)
    assert min(np.linalg.norm(means[i] - means[j]) for i in range(3) for j in range(i)) > 5 * within
