"""Writers beside each other: each file is whole and its own, and links, FIFOs and devices stay what they are."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from textvae.storage import atomic
from textvae.storage.atomic import atomic_path, read_json, save_rows, staged_beside, write_json
from textvae.storage.exchange import exchange
from textvae.storage.folders import atomic_folder
from textvae.storage.versions import Versions

posix = pytest.mark.skipif(os.name != "posix", reason="has no FIFOs, and links only for administrators")


def write(path: Path, content: str) -> None:
    with atomic_path(path) as staged:
        staged.write_text(content)


def test_writers_of_one_file_have_a_temporary_file_each_and_the_last_one_stays(tmp_path):
    path = tmp_path / "file"
    with atomic_path(path) as first:
        first.write_text("first")
        with atomic_path(path) as second:
            assert second != first and first.exists()
            second.write_text("second")
        assert path.read_text() == "second" and first.read_text() == "first"
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["file"]


def test_many_threads_leave_a_whole_array_of_one_of_them(tmp_path):
    path, together = tmp_path / "z.npy", threading.Barrier(8)

    def parts(value):
        yield np.full((50, 3), value)
        together.wait(30)
        yield np.full((50, 3), value)

    threads = [threading.Thread(target=save_rows, args=(path, parts(float(i)))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = np.load(path)
    assert rows.shape == (100, 3) and len(set(rows.ravel().tolist())) == 1 and os.listdir(tmp_path) == ["z.npy"]


def test_a_planted_temporary_name_is_not_opened(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda bytes: "0" * 8)
    (tmp_path / ".staged-file.00000000").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(tmp_path / "file", "new")
    assert victim.read_text() == "precious" and not (tmp_path / "file").exists()


@posix
def test_a_file_behind_a_symbolic_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far" / "file")
    for content in ("new", "newer"):  # the file need not exist
        write(link, content)
        assert link.is_symlink() and (tmp_path / "far" / "file").read_text() == content
    assert os.listdir(tmp_path / "far") == ["file"]


@posix
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_to_itself_is_refused(tmp_path, kind):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="leads back to itself"):
        if kind == "file":
            write(tmp_path / "a", "new")
        else:
            with atomic_folder(tmp_path / "a", "x"):
                pass
    assert (tmp_path / "a").is_symlink()


@posix
def test_a_fifo_is_written_through_and_refused_without_a_reader(tmp_path):
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="nobody reads this FIFO"):
        write(fifo, "lost")
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    deadline = time.monotonic() + 30
    while not got and time.monotonic() < deadline:
        try:
            save_rows(fifo, [np.ones((2, 3), np.float32)])
        except OSError:  # its reader has not come yet
            time.sleep(0.01)
            continue
        reader.join(30)
    assert stat.S_ISFIFO(fifo.stat().st_mode) and got[0].startswith(b"\x93NUMPY")
    assert sorted(os.listdir(tmp_path)) == ["fifo"]


@posix
def test_a_device_is_written_through(monkeypatch):
    write(Path(os.devnull), "anything")
    write_json(Path("/dev/null"), {})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    code = "import sys, pathlib, textvae.storage.atomic as a; a.write_json(pathlib.Path('/dev/stdout'), {'a': 1})"
    written = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert written.stdout.split() == ["{", '"a":', "1", "}"]


@posix
def test_a_socket_is_refused(tmp_path, monkeypatch):
    import socket

    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(OSError, match="device or socket"):
            write(Path("s"), "new")
    assert stat.S_ISSOCK(os.stat("s").st_mode)


@posix
def test_files_of_dead_writers_are_deleted_and_those_of_the_living_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "ABANDONED", -1.0)
    dead = tmp_path / ".staged-file.deadbeef"
    dead.write_text("half of it")
    (tmp_path / ".staged-file.txt").write_text("another's name")
    with atomic_path(tmp_path / "file") as living:
        living.write_text("slow")
        write(tmp_path / "file", "quick")
        assert living.exists() and not dead.exists()
    assert sorted(os.listdir(tmp_path)) == [".staged-file.txt", "file"] and staged_beside(tmp_path / "file") == []


def test_two_names_are_swapped_or_nothing_happens(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swapped = exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b" if swapped else "a"]
    if swapped:
        with pytest.raises(FileNotFoundError, match="missing"):
            exchange(tmp_path / "a", tmp_path / "missing")


def test_a_version_is_refused_once_another_writer_has_replaced_it(tmp_path):
    def save(content):
        with atomic_folder(tmp_path / "run", "a") as folder:
            (folder / "a").write_text(content)

    known, stranger = Versions(), Versions()
    known.check(tmp_path / "run")  # which does not exist
    save("old")
    known.note(tmp_path / "run")
    save("old")
    known.check(tmp_path / "run")  # the same again
    save("new")
    with pytest.raises(ValueError, match="saved by another writer.*load it again"):
        known.check(tmp_path / "run")
    stranger.check(tmp_path / "run")  # it never read the folder, and replaces it knowingly
    known.note(tmp_path / "run")
    known.check(tmp_path / "run")
    assert read_json(tmp_path / "run" / "manifest.json").keys() == {"a"}
