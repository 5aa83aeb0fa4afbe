"""What other systems refuse: this one is made to refuse it too."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PureWindowsPath

import pytest
import torch
from stubs import TEXTS, StubVAE
from transformers import modeling_utils

from textvae import Attribute, LatentIndex, TextVAE, TrainConfig, train
from textvae.index import item_store
from textvae.index.folder import relative_path
from textvae.modeling import TextVAEModel
from textvae.modeling.precision import default_device
from textvae.storage import atomic, folders
from textvae.storage.atomic import read_json, save_rows, write_json
from textvae.storage.folders import MANIFEST, atomic_folder, publish_folder
from textvae.text.token_cache import TokenRows, write_token_rows


def open_files() -> set[Path]:
    """Return the files that this process has open or maps."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(Path(os.readlink(descriptor)))
        except FileNotFoundError:  # the listing's own
            pass
    maps = Path("/proc/self/maps").read_text().splitlines()
    return found | {Path(fields[5]) for line in maps if len(fields := line.split(maxsplit=5)) == 6}


@pytest.fixture
def windows(monkeypatch):
    """No folder opens, nothing is synced that was opened for reading, open files stay, and no rename replaces."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("open files are listed on Linux only")
    fcntl = pytest.importorskip("fcntl")
    real = {name: getattr(os, name) for name in ("open", "fsync", "rename", "replace", "unlink")}

    def refuse_open(*paths):
        for path in (Path(os.path.abspath(path)) for path in paths):
            held = [file for file in open_files() if path.is_file() and file == path or path in file.parents]
            if held and (path.is_file() or path.is_dir()):
                raise PermissionError(13, "the process cannot access the file because it is in use", str(held[0]))

    def open_(path, flags, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real["open"](path, flags, *arguments, **options)

    def fsync(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        real["fsync"](descriptor)

    def rename(source, target):
        if os.path.exists(target):
            raise FileExistsError(17, "Cannot create a file when that file already exists", str(target))
        refuse_open(source)
        real["rename"](source, target)

    def replace(source, target):
        refuse_open(source, target)
        real["replace"](source, target)

    def unlink(path, **options):
        refuse_open(path)
        real["unlink"](path, **options)

    for function in (open_, fsync, rename, replace, unlink):
        monkeypatch.setattr(os, function.__name__.rstrip("_"), function)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)
    monkeypatch.setattr(item_store, "COPIES", True)
    monkeypatch.setattr(folders, "exchange", lambda first, second: False)
    monkeypatch.setattr(atomic, "fcntl", None)
    read = modeling_utils.safe_open  # transformers maps no weights on Windows
    monkeypatch.setattr(
        modeling_utils, "safe_open", lambda *file, **options: read(*file, **options | {"backend": "pread"})
    )


def test_the_stand_in_refuses_what_windows_does(windows, tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    for change in (lambda: os.rename(tmp_path / "a", tmp_path / "b"), lambda: os.open(tmp_path, os.O_RDONLY)):
        with pytest.raises(OSError, match="exists|denied"):
            change()
    with open(tmp_path / "a") as file:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fsync(file.fileno())
        for change in (lambda: os.replace(tmp_path / "b", tmp_path / "a"), (tmp_path / "a").unlink):
            with pytest.raises(PermissionError, match="in use"):
                change()


def test_files_and_folders_are_replaced_on_windows(windows, tmp_path):
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "folder", "a.txt") as folder:
            (folder / "inner").mkdir()
            (folder / "a.txt").write_text(content)
            (folder / "inner" / "b.txt").write_text(content)
        write_json(tmp_path / "x.json", {"content": content})
        save_rows(tmp_path / "rows.npy", [torch.ones(2, 3).numpy()])
    assert (tmp_path / "folder" / "inner" / "b.txt").read_text() == "new" == read_json(tmp_path / "x.json")["content"]
    left = sorted(file.name for file in tmp_path.iterdir())  # there filelock itself deletes the lock, later
    assert left == [".lock-folder", "folder", "rows.npy", "x.json"]


def test_a_folder_that_an_earlier_crash_left_is_not_in_the_way(windows, tmp_path):
    for name in ("run", ".replaced-run", "staged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    publish_folder(tmp_path / "staged", tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run" / "a.txt").read_text() == "staged"


def test_a_read_only_file_is_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    write_json(tmp_path / "x.json", {})
    assert read_json(tmp_path / "x.json") == {}


@pytest.mark.parametrize("error", [PermissionError])
def test_a_file_that_cannot_be_synced_is_an_error(tmp_path, monkeypatch, error):
    def refuse(path, flags, *arguments):
        raise error(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(error):
        write_json(tmp_path / "x.json", {})


def test_a_manifest_has_the_same_names_on_every_system(tmp_path, monkeypatch):
    relative_to = Path.relative_to
    monkeypatch.setattr(Path, "relative_to", lambda self, *other: PureWindowsPath(relative_to(self, *other)))
    with atomic_folder(tmp_path / "folder", "a.txt") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "b.txt").write_text("b")
    assert list(read_json(tmp_path / "folder" / MANIFEST)) == ["inner/b.txt"]


def test_token_rows_are_closed_before_they_are_renamed(windows, tmp_path):
    write_token_rows(tmp_path / "rows.arrow", ["a", "bc"], lambda texts: [[ord(x) for x in text] for text in texts])
    rows = TokenRows(tmp_path / "rows.arrow")
    assert rows[1] == [98, 99]
    rows.close()
    (tmp_path / "rows.arrow").unlink()


def test_an_index_is_saved_where_it_was_loaded_from(windows, tmp_path):
    path = tmp_path / "index"
    index = LatentIndex.build(StubVAE(), TEXTS, path=path)
    index.save(path)
    loaded = LatentIndex.load(path, StubVAE())
    loaded.remove([0])
    loaded.save(path)
    assert LatentIndex.load(path).texts == TEXTS[1:]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".lock-index",
        "index",
    ]  # filelock deletes the lock there


def test_a_model_and_an_attribute_are_saved_where_they_were_loaded_from(windows, small_vae, sentences, tmp_path):
    small_vae.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    loaded.prior = loaded.fit_prior(sentences)
    loaded.save_pretrained(tmp_path / "run")
    TextVAE.from_pretrained(tmp_path / "run", device="cpu").save_pretrained(tmp_path / "run")
    Attribute.from_dimension(small_vae, 1).save(tmp_path / "attribute")
    Attribute.load(tmp_path / "attribute").save(tmp_path / "attribute")


def test_a_run_is_trained_resumed_and_started_from_on_windows(windows, sentences, tmp_path):
    options = {"size": "tiny", "vocab_size": 300, "batch_tokens": 256, "precision": "fp32", "eval_steps": 1}
    config = TrainConfig(max_steps=3, save_steps=1, keep_checkpoints=1, **options)
    vae = train(sentences * 4, tmp_path / "run", config)
    assert train(sentences * 4, tmp_path / "run", config, resume=True).fingerprint == vae.fingerprint
    assert not list((tmp_path / "run").rglob("*.arrow"))


def test_a_model_on_another_drive_has_its_own_path_for_a_relative_one(monkeypatch, tmp_path):
    assert relative_path(tmp_path / "models" / "run", tmp_path / "index") == "../models/run"

    def relpath(path, start):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    assert relative_path(tmp_path / "models" / "run", tmp_path / "index") == (tmp_path / "models/run").as_posix()
    LatentIndex.build(StubVAE(path=tmp_path / "run"), TEXTS).save(tmp_path / "index")
    assert LatentIndex.load(tmp_path / "index").model_path == tmp_path / "run"


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_models_run_on_the_gpu_there_is(monkeypatch, run, cuda, mps, expected):
    chosen = []

    def to(self, device):
        chosen.append(device)
        return self

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(TextVAEModel, "to", to)
    assert default_device() == torch.device(expected)
    TextVAE.from_pretrained(run)
    TextVAE.from_pretrained(run, device="cpu")
    assert chosen == [torch.device(expected), torch.device("cpu")]
