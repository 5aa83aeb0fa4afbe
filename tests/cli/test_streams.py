"""Standard streams that are closed, full or read no further, and outputs that are no files: one line or success."""

import os
import stat
import subprocess
import sys

import pytest
from forking import shell

from textvae import TextVAE
from textvae.cli.attributes import _folder_and_strength
from textvae.modeling import TextVAEConfig

pytestmark = pytest.mark.skipif(os.name != "posix", reason="uses a shell")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sentences):
    folder = tmp_path_factory.mktemp("streams")
    TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320)).save_pretrained(folder / "run")
    (folder / "texts.txt").write_text("\n".join(sentences))
    return folder


def bash(folder, command):
    """Run a line of shell in a process of its own, in which textvae is this one."""
    line = command.replace("textvae", f"{sys.executable} -m textvae")
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=600)


CLOSED = {
    "textvae encode run texts.txt -o z.npy 1>&- 2>&- <&-": (bash, 0),
    "textvae encode run missing.txt 2>&-": (bash, 3),
    "textvae no-such-verb 2>&-": (bash, 2),
    "textvae encode run - <&-": (bash, 3),
    "textvae encode run missing.txt 2>/dev/full": (bash, 3),
    "textvae encode run texts.txt >&-": (shell, 0),
    "textvae encode run texts.txt >/dev/full": (shell, 5),
    "textvae info run >/dev/full": (shell, 5),
    "textvae encode run texts.txt --json | head -c 1": (shell, 0),
}


@pytest.mark.parametrize(("command", "process", "code"), [(key, *value) for key, value in CLOSED.items()], ids=CLOSED)
def test_a_closed_or_full_stream_is_no_traceback(folder, command, process, code):
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    ended = process(folder, command)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr and "NoneType" not in ended.stderr
    assert ended.stderr.count("\n") <= 1, ended.stderr


def test_a_file_that_is_opened_while_stdout_is_closed_holds_its_own_bytes(folder):
    assert shell(folder, "textvae encode run texts.txt -o own.npy >&-").returncode == 0
    assert (folder / "own.npy").read_bytes().startswith(b"\x93NUMPY")
    assert b"wrote" not in (folder / "own.npy").read_bytes()


def test_an_output_may_be_standard_output(folder):
    piped = shell(folder, "textvae encode run texts.txt -o /dev/stdout --quiet | head -c 6")
    assert "NUMPY" in piped.stdout and piped.returncode == 0


def test_a_fifo_without_a_reader_is_refused_and_stays(folder):
    os.mkfifo(folder / "fifo")
    ended = shell(folder, "textvae eval run texts.txt --limit 3 --num-samples 2 --n-prior 2 --n-paths 1 -o fifo")
    assert ended.returncode == 3 and "nobody reads this FIFO" in ended.stderr.splitlines()[-1]
    assert stat.S_ISFIFO((folder / "fifo").stat().st_mode)


@pytest.mark.parametrize("verb", ["attribute run --dim 1 -o pipe", "index run texts.txt -o pipe"])
def test_a_fifo_is_no_folder(folder, verb):
    if not (folder / "pipe").exists():
        os.mkfifo(folder / "pipe")
    ended = shell(folder, f"textvae {verb}")
    assert ended.returncode == 3 and "pipe exists and is not an" in ended.stderr
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("s=2", "a=b=-1.5", "plain"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "attribute.json").touch()
    read = {said: _folder_and_strength(said, 1.0) for said in ("s=2", "s=2=3", "a=b=-1.5", "plain=2", "plain", "x=y")}
    assert {said: (str(folder), size) for said, (folder, size) in read.items()} == {
        "s=2": ("s=2", 1.0), "s=2=3": ("s=2", 3.0), "a=b=-1.5": ("a=b=-1.5", 1.0), "plain=2": ("plain", 2.0),
        "plain": ("plain", 1.0), "x=y": ("x=y", 1.0),
    }  # fmt: skip
