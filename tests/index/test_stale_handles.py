"""Handles of one saved index: what one has saved, another never overwrites without having read it."""

import os
import shutil

import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex

STALE = "saved by another writer since this handle loaded or saved it: load it again"


@pytest.fixture(params=["faiss", "numpy"])
def path(request, tmp_path):
    LatentIndex.build(StubVAE(), TEXTS, backend=request.param).save(tmp_path / "index")
    return tmp_path / "index"


def changed(path, change):
    index = LatentIndex.load(path, StubVAE())
    change(index)
    return index


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.add(["of the second"]),
        lambda index: index.remove([0]),
        lambda index: index.update([0], ["of the second"]),
    ],
    ids=["add", "remove", "update"],
)
def test_a_handle_from_before_another_save_is_refused(path, change):
    second = changed(path, change)
    changed(path, lambda index: index.add(["of the first"])).save(path)
    with pytest.raises(ValueError, match=STALE):
        second.save(path)
    assert LatentIndex.load(path).texts == [*TEXTS, "of the first"]
    second.save(path.with_name("elsewhere"))
    again = LatentIndex.load(path, StubVAE())
    change(again)
    again.save(path)
    assert "of the first" in LatentIndex.load(path).texts


def test_an_edit_and_a_new_build_count_as_saves_too(path):
    handle = changed(path, lambda index: index.add(["of the handle"]))
    with LatentIndex.edit(path, StubVAE()) as edited:
        edited.add(["of the edit"])
    with pytest.raises(ValueError, match=STALE):
        handle.save(path)
    handle = changed(path, lambda index: index.add(["of the handle"]))
    LatentIndex.build(StubVAE(), ["a new build"], path=path)
    with pytest.raises(ValueError, match=STALE):
        handle.save(path)
    assert LatentIndex.load(path).texts == ["a new build"]


def test_a_handle_saves_as_often_as_it_likes(path):
    index = LatentIndex.load(path, StubVAE())
    for turn in range(3):
        index.add([f"turn {turn}"])
        index.save(path)
        index.save(path)
    assert LatentIndex.load(path).texts[-3:] == ["turn 0", "turn 1", "turn 2"]


def test_an_edited_index_can_be_saved_afterwards(path):
    with LatentIndex.edit(path, StubVAE()) as index:
        index.add(["in the block"])
    index.add(["after it"])
    index.save(path)
    assert LatentIndex.load(path).texts[-2:] == ["in the block", "after it"]


def test_an_index_that_is_gone_is_written_again(path):
    index = LatentIndex.load(path, StubVAE())
    index.add(["kept in memory"])
    shutil.rmtree(path)
    index.save(path)
    assert LatentIndex.load(path).texts[-1] == "kept in memory"


def test_a_link_to_the_folder_is_the_folder(path):
    link = path.with_name("link")
    link.symlink_to(path, target_is_directory=True)
    through_link = changed(link, lambda index: index.add(["through the link"]))
    changed(path, lambda index: index.add(["straight"])).save(path)
    with pytest.raises(ValueError, match=STALE):
        through_link.save(link)
    changed(link, lambda index: index.add(["again"])).save(link)
    assert link.is_symlink() and LatentIndex.load(path).texts[-2:] == ["straight", "again"]


@pytest.mark.skipif(os.name != "posix", reason="links only for administrators")
@pytest.mark.parametrize("name", ["vectors.f32", "items.sqlite", "build.json"])
def test_a_build_writes_through_no_link(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    partial = tmp_path / "index.partial"
    partial.mkdir()
    (partial / name).symlink_to(victim)
    with pytest.raises(FileExistsError, match="holds something else"):
        LatentIndex.build(StubVAE(), TEXTS, path=tmp_path / "index", resume=True)
    assert victim.read_text() == "precious"


def deep(levels):
    value = "end"
    for _ in range(levels):
        value = {"in": value}
    return value


def test_metadata_are_nested_to_a_depth_that_is_named():
    index = LatentIndex.build(StubVAE(), [{"text": "deep", **deep(100)}])
    assert index.get(0)[1] == deep(100)
    circle = {}
    circle["in"] = circle
    for levels in (deep(101), deep(5000), {"in": [[deep(99)]]}, circle):
        with pytest.raises(ValueError, match="metadata of item 1 are nested deeper than 100 levels"):
            index.add([{"text": "fine"}, {"text": "deep", **levels}])
    assert len(index) == 1


def test_k_is_the_number_of_texts_at_most_and_hits_are_bounded():
    index = LatentIndex.build(StubVAE(), TEXTS)
    assert len(index.search("a query", k=10**9)) == len(TEXTS)
    many = StubVAE().encode(["x"]).repeat(200_000, 0)
    with pytest.raises(ValueError, match="200,000 queries with 60 hits each are more than 10,000,000 hits"):
        index.neighbours(many, k=10**9)
    assert index.neighbours(many[:1000], k=10**9)[1].shape == (1000, len(TEXTS))
