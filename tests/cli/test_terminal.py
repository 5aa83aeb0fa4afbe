"""What a terminal gets: no control characters from names and texts of files."""

import json
import logging

import numpy as np
import pytest

from textvae.attributes import Attribute
from textvae.cli import main
from textvae.cli.logs import log_on_stderr
from textvae.cli.options import Printing
from textvae.cli.terminal import in_json, shown

ESCAPES = ["\x1b[2J", "\x9b31m", "\x07", "\x00", "\r", "\b\b", "\u202e", "\x1b]0;title\x07", "\x7f", "\x85"]


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_control_character_passes(escape):
    line = shown(f"a{escape}b\tc é ü 狐 \u200d")
    assert all(letter.isprintable() or letter in "\t\u200d" for letter in line) and line.endswith("\tc é ü 狐 \u200d")


@pytest.mark.parametrize("escape", ESCAPES)
def test_json_has_the_same_content_and_no_control_character(escape, capsys):
    Printing(json=True).result({"text": escape}, "")
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"text": escape}
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in printed[:-1])
    assert in_json('"\x9b"') == '"\\u009b"'


@pytest.mark.parametrize("escape", ESCAPES)
def test_facts_notes_and_log_lines_are_plain(escape, capsys):
    Printing().facts({"name": escape})
    Printing().note(escape)
    with log_on_stderr(quiet=False):
        logging.getLogger("textvae").warning("%s", escape)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err.count("\n") == 2
    assert all(letter.isprintable() for letter in (out + err).replace("\n", ""))


def test_the_name_of_an_attribute_cannot_recolour_the_terminal(tmp_path, capsys):
    one = np.ones(4, np.float32)
    bad = {"name": "\x1b[31mred", "positive": "\x1b]0;x\x07", "negative": "a\nb", "fingerprint": "x"}
    Attribute(weights=one, midpoint=one, direction=one, word_weights=one, **bad).save(tmp_path / "a")
    assert main(["info", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    assert "\\x1b[31mred" in out and "\x1b" not in out and "\x07" not in out
    assert main(["info", str(tmp_path / "a"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == bad["name"]
