"""Progress in the log: rare lines, true numbers, and what the command line makes of them."""

import logging
import sys

import numpy as np
import pytest

from textvae import LatentIndex, _progress
from textvae._progress import Progress, clock
from textvae.cli import main
from textvae.cli.logs import log_on_stderr


@pytest.fixture
def time(monkeypatch, caplog):
    """A clock that the test sets."""
    caplog.set_level(logging.INFO, "textvae")
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_every_five_seconds_with_rate_and_rest(time, caplog):
    with Progress("encoded", 10_000) as progress:
        for second in range(1, 13):
            time[0] = second
            progress.advance(500)
    assert caplog.messages == [
        "encoded 2,500 of 10,000 texts, 500 texts/s, 0:15 left",
        "encoded 5,000 of 10,000 texts, 500 texts/s, 0:10 left",
    ]


def test_variations_of_a_text_do_not_count_as_texts(time, caplog):
    with Progress("rewritten", 4, counts_inner=False) as progress:
        progress.advance(2)
        with Progress("decoded", 600) as inner:
            time[0] = 5.0
            inner.advance(600)
    assert caplog.messages == ["rewritten 2 of 4 texts, 2.5 s/text, 0:05 left"]


def test_before_the_first_text_is_done_there_is_no_rate(time, caplog):
    with Progress("shifted", 4, counts_inner=False), Progress("decoded", 600) as inner:
        time[0] = 5.0
        inner.advance(600)
    assert caplog.messages == ["shifted 0 of 4 texts, 0:05 so far"]


def test_short_work_logs_nothing(time, caplog):
    with Progress("encoded", 3) as progress:
        time[0] = 4.9
        progress.advance(3)
    assert caplog.messages == []


def test_an_inner_one_is_told_by_the_outer(time, caplog):
    with Progress("indexed") as outer:
        outer.advance(100)
        with Progress("encoded", 50) as inner:
            time[0] = 10
            inner.advance(20)
    with Progress("decoded", 9) as later:
        time[0] = 16
        later.advance(3)
    assert caplog.messages == ["indexed 120 texts, 12 texts/s", "decoded 3 of 9 texts, 2.0 s/text, 0:12 left"]


def test_hours_are_told_where_there_are_any():
    assert [clock(s) for s in (0, 59.6, 3599, 3600)] == ["0:00", "1:00", "59:59", "1:00:00"]


@pytest.mark.parametrize(
    ("work", "line"),
    [
        (lambda vae, texts: vae.encode(texts), "encoded 8 of 8 texts"),
        (lambda vae, texts: vae.decode(np.zeros((8, 32), np.float32)), "decoded 8 of 8 texts"),
        (lambda vae, texts: vae.log_likelihood(texts, num_samples=2), "scored 8 of 8 texts"),
        (lambda vae, texts: LatentIndex.build(vae, texts), "indexed 8 texts"),
        (lambda vae, texts: vae.fit_prior(texts, 1), "fitting the prior (mixture) to the latents of 8 texts"),
    ],
    ids=["encode", "decode", "log_likelihood", "index", "prior"],
)
def test_long_work_shows_its_progress(small_vae, sentences, caplog, monkeypatch, work, line):
    caplog.set_level(logging.INFO, "textvae")
    monkeypatch.setattr(_progress, "INTERVAL", 0.0)
    prior = small_vae.prior
    try:
        work(small_vae, sentences)
    finally:
        small_vae.prior = prior
    assert caplog.messages[-1].startswith(line)


def test_the_command_line_writes_the_log_to_stderr_and_leaves_no_handler(capsys):
    logger = logging.getLogger("textvae")
    before = list(logger.handlers), logger.level
    with log_on_stderr(quiet=False):
        logger.info("step 1")
        logging.getLogger("textvae.training.run").warning("careful")
        logging.getLogger("another").warning("not ours")
    assert capsys.readouterr() == ("", "step 1\ncareful\n")
    with log_on_stderr(quiet=True):
        logger.warning("nobody asked")
    assert capsys.readouterr() == ("", "")
    assert (list(logger.handlers), logger.level) == before


@pytest.mark.parametrize(("flags", "lines"), [([], 1), (["--quiet"], 0)])
def test_quiet_silences_progress(small_vae, sentences, tmp_path, monkeypatch, capsys, flags, lines):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "INTERVAL", 0.0)
    type(small_vae)(small_vae.model, small_vae.tokenizer).save_pretrained("run")
    (tmp_path / "texts.txt").write_text("\n".join(sentences))
    assert main(["encode", "run", "texts.txt", *flags]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 8 and sys.stderr is not sys.__stderr__
    assert (err.count("encoded 8 of 8 texts") >= 1) is bool(lines) and (lines or err == "")
