"""Attributes from strangers: fields of other types, ranges and lengths are a CorruptFileError."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from textvae import Attribute
from textvae.cli import main
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest

D, V = 8, 20


@pytest.fixture
def folder(tmp_path):
    one = np.ones(D, np.float32)
    Attribute(name="a", weights=one, midpoint=one, direction=one, word_weights=np.ones(V, np.float32), fingerprint="x",
              accuracy=0.5, scored=10).save(tmp_path / "a")  # fmt: skip
    return tmp_path / "a"


def refused(folder, match):
    write_manifest(folder)
    with pytest.raises(CorruptFileError, match=match) as caught:
        Attribute.load(folder)
    assert not any(name in str(caught.value) for name in ("NoneType", "TypeError", "KeyError", "dict"))


FIELDS = {
    "name": [5, None, [], "x" * 100_000],
    "slope": ["1", None, True, float("nan"), float("inf"), 10**400, 1e300],
    "threshold": [[], float("-inf")],
    "reading": [[1], [1, 2, 3], [1, "x"], None, 5, [1, float("nan")]],
    "typical": [{}, "ab", [None, None]],
    "accuracy": [2, -0.1, "x", float("nan"), True],
    "scored": [0, -1, 1.5, None, 2**70],
    "examples": ["x", -1],
    "unlabelled": [None, -1],
    "fingerprint": [None, 5],
    "probe": [[], 5],
}
CASES = [(name, value) for name, values in FIELDS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={str(value)[:12]!r}" for name, value in CASES])
def test_a_field_of_another_type_or_range_is_refused(folder, name, value):
    facts = json.loads((folder / "attribute.json").read_text()) | {name: value}
    (folder / "attribute.json").write_text(json.dumps(facts))
    refused(folder, "attribute.json")


@pytest.mark.parametrize("name", ["name", "slope", "reading", "accuracy"])
def test_a_missing_field_is_refused(folder, name, capsys):
    facts = json.loads((folder / "attribute.json").read_text())
    del facts[name]
    (folder / "attribute.json").write_text(json.dumps(facts))
    refused(folder, f"attribute.json lacks the field '{name}'")
    assert main(["info", str(folder)]) == 4 and "attribute.json" in capsys.readouterr().err


ARRAYS = {
    "another length": {"weights": np.ones(D + 1, np.float32)},
    "a matrix": {"midpoint": np.ones((D, 1), np.float32)},
    "integers": {"direction": np.ones(D, np.int32)},
    "nothing": {name: np.ones(0, np.float32) for name in ("weights", "midpoint", "direction")},
    "not finite": {"word_weights": np.full(V, np.nan, np.float32)},
    "huge": {"weights": np.full(D, 3e38, np.float32)},
    "one more": {"other": np.ones(D, np.float32)},
}


@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_do_not_agree_are_refused(folder, change):
    arrays = {name: np.ones(D, np.float32) for name in ("weights", "midpoint", "direction")}
    save_file(arrays | {"word_weights": np.ones(V, np.float32)} | change, folder / "direction.safetensors")
    refused(folder, "direction.safetensors")


def test_a_direction_that_is_not_listed_is_not_read(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["direction.safetensors"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptFileError, match=r"direction.safetensors cannot be used: manifest.json does not list it"):
        Attribute.load(folder)
