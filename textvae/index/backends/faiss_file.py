"""Faiss files, checked before faiss reads them: it would open other files, allocate, or read out of bounds."""

# N vectors, W dimensions of a vector, L levels of a graph
from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .base import Ids
from .faiss_reader import Reader
from .faiss_transforms import read_transform

INNER_PRODUCT, L2 = 0, 1
MOST_WIDTH, MOST_DEPTH, MOST_TRANSFORMS = 1 << 20, 5, 8
MOST_BREADTH, MOST_FACTOR = 1 << 16, 1000.0  # candidates of a graph search; candidates of a refined search per hit
SQ_WITH_RANGES, SQ_UNIFORM, SQ_PLAIN = {0, 1, 6}, {2, 3}, {4, 5, 7, 8}  # quantizer types by what they learn
SQ_BITS = {0: 8, 1: 4, 2: 8, 3: 4, 4: 16, 5: 8, 6: 6, 7: 16, 8: 8}


@dataclass(frozen=True)
class FaissFile:
    """What a checked file holds.

    Attributes:
        width: W.
        inner_product: Whether it scores by inner products, else by squared Euclidean distances.
        ids: Of the vectors, in the order of the file, shape (N,); None for vectors without ids.
        count: N.
    """

    width: int
    inner_product: bool
    ids: Ids | None
    count: int


def check_file(path: Path) -> FaissFile:
    """Return what a faiss file holds after checking every count, index and number in it.

    Only the kinds of index are known that the factories make: flat, quantized (SQ, PQ), graphs (HNSW) and inverted
    lists, also behind transforms and with refinement.

    Raises:
        RuntimeError: It holds anything else, or its parts do not agree.
    """
    if not path.stat().st_size:
        raise RuntimeError("the file is empty")
    with open(path, "rb") as file:  # the map closes with its last view
        return check_bytes(Reader(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))))


def check_factory(data: memoryview, factory: str, inner_product: bool) -> None:
    """Check that the file of an index can be checked when it is loaded.

    Args:
        data: An empty index, serialized.
        factory: The factory string that made it, for the message.
        inner_product: Whether it should score by inner products.

    Raises:
        ValueError: It is of another kind, or scores otherwise.
    """
    try:
        content = check_bytes(Reader(data))
    except RuntimeError as error:
        raise ValueError(
            f"the index factory {factory!r} is not supported ({error}): use auto, Flat, HNSW32, IVF256,Flat or "
            "another of flat, SQ and PQ vectors, graphs and inverted lists"
        ) from error
    if content.inner_product != inner_product:
        raise ValueError(f"the index factory {factory!r} knows Euclidean distances only: give the metric l2")


def check_bytes(reader: Reader) -> FaissFile:
    """Return what a serialized index holds, as `check_file` does."""
    found = read_any(reader)
    reader.require(reader.at == len(reader.data), f"{len(reader.data) - reader.at} bytes follow the index")
    ids = found.ids
    if ids is not None:
        ids = ids.copy()  # the file is closed
        reader.require(len(np.unique(ids)) == len(ids), "two vectors have the same id")
    return FaissFile(found.width, found.inner_product, ids, found.count)


@dataclass(frozen=True)
class Header:
    """What every index begins with, and the ids that one with ids ends with."""

    width: int
    count: int
    trained: bool
    inner_product: bool
    ids: Ids | None = None


def read_any(reader: Reader, like: Header | None = None, kinds: frozenset[str] | None = None) -> Header:
    """Read an index; `like` is what an inner one must agree with, `kinds` are the codes that it may have."""
    code = bytes(reader.array("u1", 4)).decode("latin-1")
    known = code in READERS and (kinds is None or code in kinds)
    reader.require(known, f"it holds an index of the kind {code!r}, which no supported factory makes")
    reader.depth += 1
    reader.require(reader.depth <= MOST_DEPTH, "indexes are nested too deeply")
    header = _header(reader)
    if like is not None:
        same = (header.width, header.count, header.inner_product) == (like.width, like.count, like.inner_product)
        reader.require(same, f"a part holds {header.count} vectors of {header.width} numbers, not as the whole")
    reader.require(header.trained or not header.count, "it has vectors but is not trained")
    ids = READERS[code](reader, header)
    reader.depth -= 1
    return Header(header.width, header.count, header.trained, header.inner_product, ids)


def _header(reader: Reader) -> Header:
    width = reader.number("i", 1, MOST_WIDTH, "the width")
    count = reader.number("q", 0, len(reader.data) * 8, "the number of vectors")  # a vector takes a bit at least
    reader.array("i8", 2)
    trained = reader.flag()
    return Header(width, count, trained, reader.number("i", INNER_PRODUCT, L2, "the metric") == INNER_PRODUCT)


def _flat(reader: Reader, header: Header) -> None:
    reader.vector("f4", header.count * header.width, "the vectors")


def _scalar_quantizer(reader: Reader, header: Header) -> int:
    kind = reader.one("i")
    reader.require(kind in SQ_BITS, f"the scalar quantizer has the type {kind}")
    reader.number("i", 0, 3, "the range statistic")
    reader.array("f4", 1)
    reader.require(reader.one("Q") == header.width, "the scalar quantizer has another width")
    size = (header.width * SQ_BITS[kind] + 7) // 8
    reader.require(reader.one("Q") == size, "the scalar quantizer has another code size")
    learnt = 2 * header.width if kind in SQ_WITH_RANGES else 2 if kind in SQ_UNIFORM else 0
    reader.vector("f4", learnt if header.trained else None, "the scalar quantizer")
    return size


def _sq(reader: Reader, header: Header) -> None:
    size = _scalar_quantizer(reader, header)
    reader.vector("u1", header.count * size, "the codes")


def _product_quantizer(reader: Reader, header: Header) -> tuple[int, int]:
    """Return the number of subquantizers and their bits."""
    reader.require(reader.one("Q") == header.width, "the product quantizer has another width")
    parts = reader.number("Q", 1, header.width, "the number of subquantizers")
    bits = reader.number("Q", 1, 16, "the bits of a subquantizer")
    reader.require(header.width % parts == 0, f"{header.width} numbers are not divisible by {parts} subquantizers")
    reader.vector("f4", header.width << bits if header.trained else None, "the centroids")
    return parts, bits


def _pq(reader: Reader, header: Header) -> None:
    parts, bits = _product_quantizer(reader, header)
    reader.vector("u1", header.count * ((parts * bits + 7) // 8), "the codes")
    reader.require(reader.one("i") == 0 and not reader.flag(), "the product quantizer searches in another way")
    reader.one("i")


def _pq_fast_scan(reader: Reader, header: Header) -> None:
    parts, bits = _product_quantizer(reader, header)
    options = tuple(reader.array("i4", 3).tolist())
    reader.require(bits == 4 and options == (0, 32, 0), "the fast scan has other options")
    padded = -(-header.count // 32) * 32, -(-parts // 2) * 2
    reader.require((reader.one("Q"), reader.one("Q")) == padded, "the fast scan has other sizes")
    reader.vector("u1", padded[0] * padded[1] // 2, "the codes")


def _id_map(reader: Reader, header: Header) -> Ids:
    read_any(reader, header, WITHOUT_IDS)
    return reader.vector("i8", header.count, "the ids")


def _refined(reader: Reader, header: Header) -> Ids | None:
    ids = read_any(reader, header).ids
    read_any(reader, header, WITHOUT_IDS)
    reader.number("f", 1, MOST_FACTOR, "the refinement factor")
    return ids


def _transformed(reader: Reader, header: Header) -> Ids | None:
    width = header.width
    for _ in range(reader.number("i", 1, MOST_TRANSFORMS, "the number of transforms")):
        width = read_transform(reader, width, header.trained)
    return read_any(reader, Header(width, header.count, header.trained, header.inner_product)).ids


def _graph(storage: str) -> Callable[[Reader, Header], None]:
    def read(reader: Reader, header: Header) -> None:
        _check_graph(reader, header)
        read_any(reader, header, frozenset({storage} if storage != "IxF" else {"IxFI", "IxF2"}))

    return read


def _check_graph(reader: Reader, header: Header) -> None:
    """Check the links of a graph (Malkov and Yashunin 2016): every one leads to a vector of its level."""
    shares, sizes = reader.vector("f8"), reader.vector("i4").astype(np.int64)
    levels_N = reader.vector("i4", header.count, "the levels").astype(np.int64)
    offsets = reader.vector("u8", header.count + 1, "the offsets")
    links = reader.vector("i4")
    start, highest = reader.one("i"), reader.one("i")
    reader.number("i", 1, MOST_BREADTH, "efConstruction")
    reader.number("i", 1, MOST_BREADTH, "efSearch")
    reader.one("i")
    count, most = header.count, len(shares)
    reader.require(((shares >= 0) & (shares <= 1)).all(), "the shares of the levels are not in [0, 1]")
    reader.require(len(sizes) == most + 1 and most >= 1, "the graph has other levels than shares")
    degree = int(sizes[1]) // 2
    usual = np.concatenate([[0], degree * np.arange(2, most + 2)])
    reader.require(1 <= degree <= MOST_BREADTH and (sizes == usual).all(), "the levels of the graph have other sizes")
    reader.require(((levels_N >= 1) & (levels_N <= most)).all(), "a vector is on no level of the graph")
    ends = np.concatenate([[0], np.cumsum(sizes[levels_N])])
    reader.require((offsets == ends.astype(np.uint64)).all() and len(links) == ends[-1], "the links have other places")
    if not count:
        reader.require((start, highest) == (-1, -1), "the empty graph has an entry")
        return
    reader.require(0 <= start < count and levels_N.max() == highest + 1, "the entry of the graph is not one")
    reader.require(levels_N[start] == highest + 1, "the entry of the graph is not on its highest level")
    reader.require(((links >= -1) & (links < count)).all(), "a link of the graph leads to no vector")
    for level in range(highest + 1):
        there = np.flatnonzero(levels_N > level)
        places = ends[there][:, None] + np.arange(sizes[level], sizes[level + 1])
        targets = links[places]
        reader.require((levels_N[targets[targets >= 0]] > level).all(), "a link of the graph leads to a lower level")


def _inverted(codes: Callable[[Reader, Header], int]) -> Callable[[Reader, Header], Ids]:
    def read(reader: Reader, header: Header) -> Ids:
        lists = reader.number("Q", 1, len(reader.data), "the number of lists")
        reader.number("Q", 1, lists, "nprobe")
        quantizer = read_any(reader, None, WITHOUT_IDS)
        right = quantizer.width == header.width and (quantizer.count == lists or not header.trained)
        reader.require(right, f"the quantizer has {quantizer.count} centroids, not {lists}")
        reader.require(reader.one("B") == 0 and reader.one("Q") == 0, "it has a direct map")
        return _lists(reader, header, lists, codes(reader, header))

    return read


def _lists(reader: Reader, header: Header, lists: int, size: int) -> Ids:
    where = bytes(reader.array("u1", 4))
    reader.require(where == b"ilar", f"its inverted lists are of the kind {where!r}, not in the file itself")
    reader.require((reader.one("Q"), reader.one("Q")) == (lists, size), "the lists have another code size")
    form = bytes(reader.array("u1", 4))
    reader.require(form in (b"full", b"sprs"), "the lists are in an unknown form")
    sizes = reader.vector("u8", lists if form == b"full" else None, "the sizes of the lists")
    if form == b"sprs":
        reader.require(len(sizes) % 2 == 0 and (np.diff(sizes[::2].astype(object)) > 0).all(), "lists come twice")
        reader.require((sizes[::2] < lists).all(), "a list has no place")
        sizes = sizes[1::2]
    reader.require((sizes <= header.count).all() and int(sizes.sum()) == header.count, "the lists have other sizes")
    ids = [np.empty(0, np.int64)]
    for length in sizes[sizes > 0].tolist():
        _flat_codes(reader, header, length, size)
        ids.append(reader.array("i8", length))
    return np.concatenate(ids)


def _flat_codes(reader: Reader, header: Header, length: int, size: int) -> None:
    reader.array(
        "f4" if size == 4 * header.width else "u1", length * (header.width if size == 4 * header.width else size)
    )


def _ivf_flat(reader: Reader, header: Header) -> int:
    return 4 * header.width


def _ivf_sq(reader: Reader, header: Header) -> int:
    size = _scalar_quantizer(reader, header)
    reader.require(reader.one("Q") == size, "the lists have another code size")
    reader.flag()
    return size


def _ivf_pq(reader: Reader, header: Header) -> int:
    reader.flag()
    size = reader.one("Q")
    parts, bits = _product_quantizer(reader, header)
    reader.require(size == (parts * bits + 7) // 8, "the lists have another code size")
    return size


READERS: dict[str, Callable[[Reader, Header], Ids | None]] = {
    "IxFI": _flat,
    "IxF2": _flat,
    "IxSQ": _sq,
    "IxPq": _pq,
    "IPfs": _pq_fast_scan,
    "IHNf": _graph("IxF"),
    "IHNs": _graph("IxSQ"),
    "IHNp": _graph("IxPq"),
    "IxM2": _id_map,
    "IxRF": _refined,
    "IxPT": _transformed,
    "IwFl": _inverted(_ivf_flat),
    "IwSq": _inverted(_ivf_sq),
    "IwPQ": _inverted(_ivf_pq),
}
WITHOUT_IDS = frozenset(READERS) - {"IxM2", "IwFl", "IwSq", "IwPQ"}
