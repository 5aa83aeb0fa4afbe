"""Safetensors files of a stranger: numbers of kinds that numpy lacks are damage, whatever reads them."""

import pytest
import torch
from safetensors.torch import save_file

from textvae.attributes.files import read_arrays
from textvae.index.backends import NumpyBackend
from textvae.latent.latents import Latents
from textvae.latent.priors import load_prior
from textvae.storage.errors import CorruptFileError

READERS = {
    "a prior": (load_prior, CorruptFileError),
    "an attribute": (read_arrays, CorruptFileError),
    "latents": (Latents.load, CorruptFileError),
    "vectors": (lambda path: NumpyBackend.read(path, "Flat"), RuntimeError),  # which the index turns into the first
}


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("read", "error"), READERS.values(), ids=READERS)
def test_numbers_that_numpy_lacks_are_damage(tmp_path, read, error, dtype):
    path = tmp_path / "numbers.safetensors"
    names = "dim", "ids", "vectors", "meaning", "slots", "states", "direction"
    save_file({name: torch.ones(2, 2).to(dtype) for name in names}, path, {"metric": "l2", "kind": "standard"})
    with pytest.raises(error, match=r"numbers\.safetensors"):
        read(path)


@pytest.mark.parametrize(("read", "error"), READERS.values(), ids=READERS)
def test_an_endless_header_is_damage(tmp_path, read, error):
    path = tmp_path / "numbers.safetensors"
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises((CorruptFileError, error), match="header"):
        read(path)
