"""`textvae serve`: what it refuses before the model is loaded, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import forking
import httpx
import pytest

from textvae import Attribute, LatentIndex
from textvae.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def refused(run, monkeypatch, capsys):
    """A function that serves the run with flags, and returns the exit code and the message; no model is loaded."""
    monkeypatch.setattr("textvae.cli.options.Device.load", None)

    def serve(*flags):
        code = main(["serve", *map(str, flags)])
        return code, capsys.readouterr().err

    return serve


def test_others_are_kept_out_without_a_key(refused, run, tmp_path):
    code, message = refused(run, "--host", "0.0.0.0")
    assert code == 2
    assert "0.0.0.0 can be reached by others: give --api-key-file" in message
    (tmp_path / "key").write_text("short\n")
    code, message = refused(run, "--host", "0.0.0.0", "--api-key-file", tmp_path / "key")
    assert code == 3
    assert "at least 16 ASCII characters" in message


CASES = {
    "neither run nor demo": ([], 2, "a run, or --demo alone"),
    "a port that is none": (["RUN", "--port", "70000"], 2, "from 0 to 65535"),
    "an index without a name": (["RUN", "--index", "folder"], 2, "--index takes NAME=FOLDER, got 'folder'"),
    "a name twice": (["RUN", "--index", "a=RUN", "--index", "a=RUN"], 2, "has the name 'a' twice"),
    "a run as an index": (["RUN", "--index", "a=RUN"], 3, "not an index"),
    "no such attribute": (["RUN", "--attribute", "a=absent"], 3, "absent"),
    "no such run": (["absent"], 3, "absent"),
    "no such key": (["RUN", "--api-key-file", "absent"], 3, "absent: No such file"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_command_is_refused_in_one_line(refused, run, case):
    words, code, message = CASES[case]
    found, said = refused(*(word.replace("RUN", str(run)) for word in words))
    assert (found, said.count("\n")) == (code, 1), said
    assert message in said


def test_the_demo_has_an_index_and_two_attributes(monkeypatch, tmp_path):
    """The server itself is left out: it is what these are handed to."""
    given = {}

    def workspace(vae, name, **options):
        given.update(options, names={name: Attribute.load(path) for name, path in options["attributes"].items()})
        raise KeyboardInterrupt

    monkeypatch.setattr("textvae.server.workspace.Workspace", workspace)
    monkeypatch.setattr("textvae.cli.serving.DEMO_TEXTS", 20)
    monkeypatch.setattr("textvae.cli.serving.DEMO_LABELLED", 60)
    assert main(["serve", "--demo", "--port", "0", "--quiet"]) == 130
    assert given["indexes"].keys() == {"reviews"} and given["writable"]
    ends = {name: (each.negative, each.positive) for name, each in given["names"].items()}
    assert ends == {"sentiment": ("negative", "positive"), "tense": ("past", "future")}


def test_a_port_that_is_taken_is_told(refused, run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, message = refused(run, "--port", taken.getsockname()[1])
    assert code == 3
    assert "cannot be listened on" in message


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_answered_write_outlives_the_process(small_vae, run, tmp_path, end):
    LatentIndex.build(small_vae, ["one text", "another"], path=tmp_path / "index")
    flags = ["--index", f"texts={tmp_path / 'index'}", "--writable", "--port", "0", "--json", "--quiet"]
    words = ["serve", str(run), *flags]
    reader, writer = os.pipe()
    if end == signal.SIGTERM:  # how a process of its own ends
        process = subprocess.Popen([sys.executable, "-m", "textvae", *words], stdout=writer, cwd=ROOT, env=os.environ)
        child = process.pid
    else:
        child = forking.start(words, streams={1: writer})
    os.close(writer)
    try:
        with open(reader, encoding="utf-8") as said:
            url = json.loads(said.readline())["url"]
        with httpx.Client(base_url=url, timeout=60, transport=httpx.HTTPTransport(retries=10)) as http:
            added = http.post("/v1/indexes/texts/items", json={"items": [{"text": "a third"}]}).json()
        assert added == {"ids": [2], "total": 3}
    finally:
        os.kill(child, end)
        code = forking.wait(child)
    assert code == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    assert LatentIndex.load(tmp_path / "index").get(2) == ("a third", {})
