"""Labels of a corpus as the two sides of an attribute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np


def split_labels(labels: Sequence[Any], positive: str | None = None) -> tuple[list[bool], tuple[str, str]]:
    """Return which texts are on the positive side, and the names of the negative and the positive side.

    Numbers are split at their median.

    Raises:
        ValueError: There are not two sides, or more than two classes and no `positive`.
    """
    if len(labels) and all(isinstance(label, Real) and not isinstance(label, bool | np.bool_) for label in labels):
        if positive is not None:
            raise ValueError(
                f"the labels are numbers, of which those above the median are positive: leave out positive={positive!r}"
            )
        middle = float(np.median(np.asarray(labels, np.float64)))
        if not math.isfinite(middle) or min(labels) == max(labels):
            raise ValueError(
                "the labels are all equal, or not finite: an attribute needs texts above and below the median"
            )
        above = [label > middle for label in labels]
        if not any(above):  # half of them have the largest value
            return [label >= middle for label in labels], (f"below {middle:g}", f"at least {middle:g}")
        return above, (f"at most {middle:g}", f"above {middle:g}")
    classes = sorted({str(label) for label in labels})
    if len(classes) < 2:
        raise ValueError(
            f"an attribute needs two classes, the labels have {len(classes)}: {', '.join(classes) or 'none'}"
        )
    if positive is None and len(classes) > 2:
        raise ValueError(
            f"the labels have {len(classes)} classes: say which is the positive one, of {', '.join(classes)}"
        )
    positive = positive or classes[-1]
    if positive not in classes:
        raise ValueError(f"no label is {positive!r}: the classes are {', '.join(classes)}")
    negative = next(label for label in classes if label != positive) if len(classes) == 2 else f"not {positive}"
    return [str(label) == positive for label in labels], (negative, positive)
