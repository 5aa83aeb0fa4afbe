"""The command line in a forked child of the tests: a process of its own, without seconds of imports."""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass

REDIRECTION = re.compile(r"(\d?)([<>])(&-|/\S+)")


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


def start(words, *, folder=".", streams=None):
    """Start `textvae WORDS` in a child whose standard streams are as Python makes them, and return its PID.

    Args:
        words: The words after textvae.
        folder: Its current folder.
        streams: For 0, 1 and 2 a file descriptor, or None for a closed stream; by default the null device.
    """
    streams = {number: (streams or {}).get(number, -1) for number in (0, 1, 2)}
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for number, given in streams.items():
            if given is not None:
                os.dup2(null if given < 0 else given, number)
        os.closerange(3, 1024)  # no end of a pipe stays open here
        for number, given in streams.items():
            if given is None:
                with contextlib.suppress(OSError):
                    os.close(number)
        sys.stdin, sys.stdout, sys.stderr = (_stream(number, streams[number]) for number in (0, 1, 2))
        from textvae.cli import main

        code = main(words)
        for stream in (sys.stdout, sys.stderr):  # as a process does at its end, which fails with 120
            if stream is not None:
                stream.flush()
    except BaseException:
        code = 120
        os.write(2, b"Traceback: the process did not end by itself\n")
    finally:
        os._exit(code)


def wait(child):
    """Return the exit code of a child, as a shell does."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def shell(folder, line):
    """Run a line of shell of one command: textvae with redirections to devices and `>&-`, or into `| head -c N`."""
    line, _, head = line.partition(" | head -c ")
    streams = {
        int(number or (sign == ">")): None if target == "&-" else os.open(target, os.O_RDWR)
        for number, sign, target in REDIRECTION.findall(line)
    }
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = {1: writer if head else out.fileno(), 2: err.fileno()} | streams
        child = start(shlex.split(REDIRECTION.sub("", line))[1:], folder=folder, streams=streams)
        os.close(writer)
        piped = os.read(reader, int(head)) if head else b""
        os.close(reader)
        code = wait(child)
        for number in streams.values():
            if number is not None and number not in (writer, out.fileno(), err.fileno()):
                os.close(number)
        out.seek(0), err.seek(0)
        return Ended(code, (piped or out.read()).decode(errors="replace"), err.read().decode())


def _stream(number, given):
    if given is None:
        return None
    mode = "r" if number == 0 else "w"
    raw = io.FileIO(number, mode, closefd=False)
    buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding="utf-8", line_buffering=number == 2)
