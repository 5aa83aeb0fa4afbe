import os
import signal
import subprocess
import sys
import threading

import pytest
from stubs import TEXTS, StubVAE

from textvae.index import LatentIndex
from textvae.storage import locks
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


def test_a_lock_that_its_owner_deletes_meanwhile_is_made_again(tmp_path, monkeypatch):
    flock, calls = locks.fcntl.flock, []

    def delete_first(descriptor, how):
        calls.append(how)
        if len(calls) == 1:
            (tmp_path / ".lock-index").unlink()
        flock(descriptor, how)

    monkeypatch.setattr(locks.fcntl, "flock", delete_first)
    with only_writer(tmp_path / "index"):
        assert (tmp_path / ".lock-index").read_text() == str(os.getpid())
    assert len(calls) == 2


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
