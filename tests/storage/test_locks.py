import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex
from textvae.storage.locks import only_writer

HOLDER = """
import sys, pathlib, textvae.storage.locks
with textvae.storage.locks.only_writer(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the index."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "index")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_two_processes_do_not_write_one_index(tmp_path, holder):
    index = LatentIndex.build(StubVAE(), TEXTS)
    message = rf"another process \(PID {holder.pid}\) is writing .*index: wait until it has finished, or stop it"
    with pytest.raises(BlockingIOError, match=message):
        index.save(tmp_path / "index")
    vae = StubVAE()
    with pytest.raises(BlockingIOError, match=message):
        LatentIndex.build(vae, TEXTS, path=tmp_path / "index")
    assert vae.encoded == [] and sorted(p.name for p in tmp_path.iterdir()) == [".lock-index"]
    index.save(tmp_path / "other")
    holder.communicate()
    index.save(tmp_path / "index")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index", "other"]


def test_a_killed_writer_holds_no_lock(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock-index").exists()
    LatentIndex.build(StubVAE(), TEXTS).save(tmp_path / "index")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index"]


def test_a_lock_is_released_by_an_error_and_held_once(tmp_path):
    with pytest.raises(KeyError), only_writer(tmp_path / "index"):
        with pytest.raises(BlockingIOError, match="this process is writing"):
            with only_writer(tmp_path / "index"):
                pass
        with only_writer(tmp_path / "other"):
            raise KeyError
    with only_writer(tmp_path / "index"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_is_left_behind_locks_nothing(tmp_path):
    (tmp_path / ".lock-index").write_text("\0" + "9" * 20)
    with only_writer(tmp_path / "index"):
        with pytest.raises(BlockingIOError, match="this process is writing"):
            with only_writer(tmp_path / "index"):
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_cannot_be_deleted_is_released(tmp_path, monkeypatch):
    def refuse(self, missing_ok=False):
        raise PermissionError(13, "the file is in use", str(self))  # as Windows does while it is open

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        with only_writer(tmp_path / "index"):
            pass


def test_another_thread_of_the_process_is_kept_out(tmp_path):
    messages = []

    def write():
        try:
            with only_writer(tmp_path / "index"):
                messages.append("entered")
        except BlockingIOError as error:
            messages.append(str(error))

    with only_writer(tmp_path / "index"):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert messages == [f"this process is writing {tmp_path / 'index'}: wait until it has finished, or stop it"]


def test_a_holder_that_cannot_be_read_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr("textvae.storage.locks._write_note", lambda file: None)
    with only_writer(tmp_path / "index"), pytest.raises(BlockingIOError, match=r"another process \(PID unknown\)"):
        with only_writer(tmp_path / "index"):
            pass


def test_writers_that_race_are_never_two(tmp_path):
    inside, most, entered = [], [], []

    def write():
        for _ in range(300):
            try:
                with only_writer(tmp_path / "index"):
                    inside.append(1)
                    most.append(len(inside))
                    entered.append(1)
                    inside.pop()
            except BlockingIOError:
                pass

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and entered and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["index", "a b=c"])
@pytest.mark.parametrize("kind", ["hard link", "symbolic link", "FIFO", "folder"])
def test_what_lies_in_the_place_of_a_lock_is_not_written(tmp_path, name, kind):
    (tmp_path / "secret").write_text("nobody is to write into this file")
    lock = tmp_path / f".lock-{name}"
    make = {"hard link": lock.hardlink_to, "symbolic link": lock.symlink_to}
    if kind in make:
        make[kind](tmp_path / "secret")
    else:
        (os.mkfifo if kind == "FIFO" else os.mkdir)(lock)
    with pytest.raises(OSError, match="in the place of a lock file"), only_writer(tmp_path / name):
        pass
    assert (tmp_path / "secret").read_text() == "nobody is to write into this file" and os.path.lexists(lock)
