"""Names that a manifest may list, files that a folder may hold, and JSON of bounded size and depth."""

import json
import os
import sys

import pytest

from textvae.storage.atomic import parse_json, read_json, sha256, write_json
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import (
    MANIFEST,
    check_manifest,
    find_file,
    listed_files,
    open_folder,
    require_file,
    write_manifest,
)
from textvae.storage.plain import check_plain_file, is_plain_name

UNSAFE = ["", ".", "..", "../x", "/etc/passwd", "a/../b", "a/./b", "a//b", "a/", "a\\b", "C:x", "x\n", "x\x1b[2J",
          "a./b", "b ", "\ud800", "x\0", "~/../x", "x" * 256, "a/" * 600 + "b", None, 3]  # fmt: skip


@pytest.fixture
def opened():
    """The files that Python opens during a test."""
    names, active = [], [True]
    sys.addaudithook(lambda event, a: names.append(str(a[0])) if active[0] and event == "open" else None)
    yield names
    active[0] = False


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    (path / "inner").mkdir(parents=True)
    for name in ("a.txt", "inner/b.txt"):
        (path / name).write_text(name)
    write_manifest(path)
    return path


def with_entry(folder, name, digest="0" * 64):
    write_json(folder / MANIFEST, json.loads((folder / MANIFEST).read_text()) | {name: [digest]})


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leaves_its_folder_on_some_system_is_not_plain(name):
    assert not is_plain_name(name)


@pytest.mark.parametrize(
    "name", ["config.json", "inner/b.txt", "model-00001-of-00003.safetensors", "é ü.txt", ".hidden"]
)
def test_a_relative_name_is_plain(name):
    assert is_plain_name(name)


@pytest.mark.parametrize("name", [name for name in UNSAFE if isinstance(name, str) and name != "\ud800"])
def test_a_manifest_with_such_a_name_is_refused_and_nothing_opened(folder, name, opened):
    with_entry(folder, name)
    opened.clear()
    with pytest.raises(CorruptFileError, match="not a plain name inside the folder"):
        check_manifest(folder)
    assert {os.path.basename(name) for name in opened} == {MANIFEST}


def test_an_absolute_name_is_refused_and_nothing_opened(folder, tmp_path, opened):
    (tmp_path / "secret").write_text("s")
    with_entry(folder, str(tmp_path / "secret"), sha256(tmp_path / "secret"))
    opened.clear()
    with pytest.raises(CorruptFileError, match="not a plain name inside the folder"):
        open_folder(folder, "run", "a.txt")
    assert not any("secret" in name for name in opened)


LINKS = {
    "file": lambda folder, secret: (folder / "a.txt").unlink() or (folder / "a.txt").symlink_to(secret),
    "folder": lambda folder, secret: (
        (folder / "inner" / "b.txt").unlink(),
        (folder / "inner").rmdir(),
        (folder / "inner").symlink_to(secret.parent),
    ),
    "dangling": lambda folder, secret: (folder / "a.txt").unlink() or (folder / "a.txt").symlink_to("nowhere"),
    "manifest": lambda folder, secret: (folder / MANIFEST).unlink() or (folder / MANIFEST).symlink_to(secret),
}


@pytest.mark.parametrize("make", LINKS.values(), ids=LINKS)
def test_a_link_is_refused_and_not_followed(folder, tmp_path, make, opened):
    (tmp_path / "elsewhere").mkdir()
    secret = tmp_path / "elsewhere" / "b.txt"
    secret.write_text("a.txt")
    make(folder, secret)
    opened.clear()
    with pytest.raises(CorruptFileError, match="symbolic link|is not a folder"):
        check_manifest(folder)
    assert not any("elsewhere" in name or "inner" in name for name in opened)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_a_writer(folder):
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    with pytest.raises(CorruptFileError, match="a device or pipe, not a regular file"):
        check_manifest(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(CorruptFileError, match="a device or pipe, not a regular file"):
        require_file(folder, "a.txt")


def test_a_folder_in_the_place_of_a_file_is_refused(folder):
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    with pytest.raises(CorruptFileError, match="a folder, not a regular file"):
        check_manifest(folder)


def test_a_file_that_the_manifest_does_not_list_is_not_there(folder):
    (folder / "c.txt").write_text("c")
    assert find_file(folder, "c.txt") is None and find_file(folder, "a.txt") == folder / "a.txt"
    with pytest.raises(CorruptFileError, match=r"c.txt cannot be used: manifest.json does not list it"):
        require_file(folder, "c.txt")
    with pytest.raises(CorruptFileError, match=r"d.txt cannot be used: it is missing"):
        require_file(folder, "d.txt")
    assert listed_files(folder) == {"a.txt", "inner/b.txt"}
    (folder / MANIFEST).unlink()
    assert listed_files(folder) is None and find_file(folder, "c.txt") == folder / "c.txt"


def test_a_snapshot_of_the_hub_links_to_blobs_beside_it_and_nowhere_else(tmp_path):
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "c0ffee", tmp_path / "models--a--b" / "blobs"
    for each in (snapshot, blobs):
        each.mkdir(parents=True)
    (blobs / "1234").write_text("x")
    (snapshot / "a.txt").symlink_to("../../blobs/1234")
    assert check_plain_file(snapshot, "a.txt").read_text() == "x"
    (tmp_path / "secret").write_text("s")
    for target in ("../../../secret", "../../blobs/5678", str(tmp_path / "secret")):
        (snapshot / "a.txt").unlink()
        (snapshot / "a.txt").symlink_to(target)
        with pytest.raises(CorruptFileError, match="symbolic link"):
            check_plain_file(snapshot, "a.txt")
    (blobs / "5678").symlink_to(tmp_path / "secret")
    (snapshot / "a.txt").unlink()
    (snapshot / "a.txt").symlink_to("../../blobs/5678")
    with pytest.raises(CorruptFileError, match="symbolic link"):
        check_plain_file(snapshot, "a.txt")


@pytest.mark.parametrize("data", ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + "9" * 10_000 + "}"], ids=["[", "{", "9"])
def test_json_without_a_bottom_is_refused(tmp_path, data):
    (tmp_path / "x.json").write_text(data)
    with pytest.raises(CorruptFileError, match="x.json is not valid JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(ValueError, match="."):
        parse_json(data)


def test_json_that_is_too_large_is_refused_unread(tmp_path):
    with open(tmp_path / "x.json", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on disk
    with pytest.raises(CorruptFileError, match="x.json is larger than 1,000 bytes"):
        read_json(tmp_path / "x.json", 1000)


def test_a_manifest_of_very_many_files_is_refused_before_any_is_looked_for(folder, opened):
    (folder / MANIFEST).write_text(json.dumps({f"{i}": ["x" * 64] for i in range(60_000)}))
    with pytest.raises(CorruptFileError, match="manifest.json is larger than 4,194,304 bytes"):
        check_manifest(folder)
    assert not any(name.endswith("/0") for name in opened)
