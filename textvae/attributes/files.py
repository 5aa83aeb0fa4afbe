"""The files of an attribute: their names, the fields of attribute.json, and the arrays beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ..latent.geometry import Array
from ..storage.errors import CorruptFileError
from ..storage.schema import Field, integer, is_number, text
from ..storage.tensors import UNREADABLE, check_header

ARRAYS = {"direction", "weights", "midpoint", "word_weights"}
ABOUT, DIRECTION, MOST_BYTES = "attribute.json", "direction.safetensors", 1 << 20
LARGEST = 1e12  # of a weight or a slope: scores of larger ones are not finite
NUMBER = Field(lambda value: is_number(value) and abs(value) <= LARGEST, f"a number of at most {LARGEST:g}")
PAIR = Field(lambda value: isinstance(value, list) and len(value) == 2 and all(map(NUMBER.holds, value)), "two numbers")
SHARE = Field(lambda value: is_number(value) and 0 <= value <= 1, "a share in [0, 1]")
FIELDS = {
    **dict.fromkeys(("name", "fingerprint", "probe", "positive", "negative"), text()),
    **dict.fromkeys(("slope", "threshold"), NUMBER),
    **dict.fromkeys(("reading", "typical"), PAIR),
    **dict.fromkeys(("scored", "examples"), integer(0, 2**53)),
    "unlabelled": integer(0, 2**53).or_absent(),  # older attributes have no such field
    "accuracy": SHARE.or_null(),
    "writability": SHARE.or_null().or_absent(),
}


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of an attribute, float32, of one length but for the weights of words."""
    check_header(path)
    try:
        arrays = load_file(path)
    except UNREADABLE as error:
        raise CorruptFileError(f"{path} is no direction of an attribute: fit it again") from error
    right = set(arrays) == ARRAYS and all(a.ndim == 1 and len(a) and a.dtype == np.float32 for a in arrays.values())
    if not right or len({len(arrays[name]) for name in ARRAYS - {"word_weights"}}) > 1:
        raise CorruptFileError(f"{path} does not hold the fields of an attribute: fit it again")
    if not all((np.abs(array) <= LARGEST).all() for array in arrays.values()):  # NaN neither
        raise CorruptFileError(f"{path} holds numbers that are not finite or huge: fit the attribute again")
    return arrays
