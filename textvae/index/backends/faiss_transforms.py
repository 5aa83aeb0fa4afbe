"""Transforms before an index in a faiss file, checked as `faiss_file` checks the rest."""

from __future__ import annotations

from .faiss_reader import Reader

MOST_WIDTH = 1 << 20


def read_transform(reader: Reader, width: int | None, trained: bool, depth: int = 0) -> int:
    """Read a transform of vectors of a width and return the width of what it makes of them.

    Raises:
        RuntimeError: It is of another kind or width, or its parts do not agree.
    """
    code = bytes(reader.array("u1", 4)).decode("latin-1")
    sizes = _content(reader, code, trained, depth)
    width_in = reader.number("i", 1, MOST_WIDTH, "the width of a transform")
    width_out = reader.number("i", 1, MOST_WIDTH, "the width of a transform")
    reader.require(width is None or width_in == width, f"a transform takes {width_in} numbers, not {width}")
    own = reader.flag()
    reader.require(own or not trained, "a transform is not trained")
    if trained:
        for size, expected in zip(sizes, _expected(code, width_in, width_out), strict=True):
            reader.require(size in expected, f"a transform of the kind {code!r} has {size} numbers")
    return width_out


def _content(reader: Reader, code: str, trained: bool, depth: int) -> list[int]:
    """Read what a kind of transform has, and return the lengths of its arrays."""
    sizes = []
    if code == "Pcam":
        reader.array("f4", 2)
        reader.flag()
        reader.number("i", 0, MOST_WIDTH, "the number of bins")
        sizes = [len(reader.vector("f4")) for _ in range(3)]
    elif code == "Viqm":
        reader.number("i", 0, 1 << 20, "the number of rounds")
        reader.one("i")
    elif code == "RmDT":
        places = reader.vector("i4")
        reader.require(((places >= -1) & (places < MOST_WIDTH)).all(), "a transform takes a number from nowhere")
        return [len(places), int(places.max(initial=-1)) + 1]
    elif code == "VNrm":
        reader.require(reader.one("f") == 2, "a normalization is not to length 1")
        return []
    elif code == "VCnt":
        return [len(reader.vector("f4"))]
    elif code == "Viqt":
        reader.require(depth == 0, "transforms are nested")
        mean = len(reader.vector("f4"))
        reader.flag()
        read_transform(reader, None, False, depth + 1)
        return [mean, read_transform(reader, None, trained, depth + 1)]
    reader.require(code in ("LTra", "rrot", "Pcam", "Viqm"), f"a transform has the kind {code!r}")
    biased = reader.flag()
    matrix, bias = (len(reader.vector("f4")) for _ in range(2))
    reader.require(biased or bias >= 0, "a transform has no bias")
    return [*sizes, matrix, bias if biased else -1]


def _expected(code: str, width_in: int, width_out: int) -> list[set[int] | range]:
    linear: list[set[int] | range] = [{width_in * width_out}, {width_out, -1}]
    return {
        "Pcam": [{width_in}, {width_in, 0}, {width_in**2, 0}, *linear],
        "RmDT": [{width_out}, range(width_in + 1)],
        "VNrm": [],
        "VCnt": [{width_in}],
        "Viqt": [{width_in}, {width_out}],
    }.get(code, linear)  # type: ignore[return-value]
