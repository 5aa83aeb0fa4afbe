"""Token rows in Arrow files, and latents written row by row."""

from __future__ import annotations

import numpy as np
import pytest

from textvae.storage.atomic import save_rows
from textvae.text import token_cache as token_rows
from textvae.text.token_cache import TokenRows, cached_token_rows, write_token_rows


def spelled(texts):
    return [[ord(letter) for letter in text] for text in texts]


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["soup", "", "bread", "x" * 99] * 5 + ["end"]])
def test_rows_come_back_whatever_the_blocks(tmp_path, monkeypatch, texts):
    monkeypatch.setattr(token_rows, "BLOCK", 4)
    write_token_rows(tmp_path / "rows.arrow", iter(texts), spelled)
    rows = TokenRows(tmp_path / "rows.arrow")
    assert list(rows) == spelled(texts) and rows.lengths.tolist() == list(map(len, texts))
    assert rows[1:3] == spelled(texts)[1:3]
    if texts:
        assert rows[-1] == spelled(texts)[-1]
    with pytest.raises(IndexError):
        rows[len(texts)]


def test_a_block_is_all_that_is_tokenised_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(token_rows, "BLOCK", 4)
    sizes = []
    write_token_rows(tmp_path / "rows.arrow", ["a"] * 10, lambda texts: sizes.append(len(texts)) or spelled(texts))
    assert sizes == [4, 4, 2]


def test_kept_rows_are_not_made_again(tmp_path):
    def refuse(texts):
        raise AssertionError("the rows are there")

    cached_token_rows(tmp_path / "train", ["one", "two"], spelled)
    assert list(cached_token_rows(tmp_path / "train", ["other"], refuse)) == spelled(["one", "two"])
    assert list(cached_token_rows(tmp_path / "valid", ["other"], spelled)) == spelled(["other"])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data[:200] + b"?" + data[201:], lambda data: b""]
)
def test_damaged_rows_are_made_again(tmp_path, damage):
    cached_token_rows(tmp_path / "train", ["one", "two"], spelled)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert list(cached_token_rows(tmp_path / "train", ["one", "two"], spelled)) == spelled(["one", "two"])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("counts", [[3], [1, 0, 4], [0], [0, 3], [7] * 30])
def test_arrays_are_written_one_below_the_other(tmp_path, counts):
    parts = [np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32) for count in counts]
    assert save_rows(tmp_path / "rows.npy", iter(parts)) == sum(counts)
    assert np.array_equal(np.load(tmp_path / "rows.npy"), np.concatenate(parts))


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no arrays were given"):
        save_rows(tmp_path / "rows.npy", [])
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    save_rows(tmp_path / "rows.npy", [np.ones((2, 3), np.float32)])

    def parts():
        yield np.zeros((1, 3), np.float32)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        save_rows(tmp_path / "rows.npy", parts())
    assert np.load(tmp_path / "rows.npy").sum() == 6
