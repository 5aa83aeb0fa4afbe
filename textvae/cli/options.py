"""Flags that several verbs share, and checks that run before a model is loaded."""

from __future__ import annotations

import json as json_format
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ..latent.hub import local_folder
from ..storage.folders import open_folder
from ..storage.row_files import TABLES, finite
from .terminal import in_json, shown

if TYPE_CHECKING:
    from ..latent.vae import TextVAE
    from ..text.cleaning import GateReport

STDIN = "-"
BLOCK = 8192  # texts in memory at a time where results are streamed
FILES = (*TABLES, ".npy", ".txt", ".json", ".png", ".pdf", ".svg", ".html")  # endings that no folder has
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # of oneDNN and of PyTorch's use of it
KERNELS = 64  # compiled matrix products in each: one for each batch size, so that memory does not grow with the stream


def _not_a_flag(type_: Any, text: str | None) -> None:
    if text and re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", text):
        raise ValueError("There is no such option; give a text that begins like one on standard input, with -.")


# A sentence or the name of a corpus. Both may begin with a hyphen: - is standard input, "- so it goes" a sentence.
Text = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_not_a_flag)]
Source = Text
Count = Annotated[int, Parameter(name="-n")]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Run = Annotated[Path, Parameter(help="Run folder, or org/name on the hub.")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Printing:
    """What is printed: results on stdout, everything else on stderr.

    Attributes:
        json: Print results as JSON, one object per line.
        quiet: Print nothing but results and errors.
    """

    json: bool = False
    quiet: bool = False

    def result(self, record: Mapping[str, Any], line: str) -> None:
        """Print one result: the record under --json, NaN as null, else the line; no breaks or control characters."""
        text = in_json(json_format.dumps(finite(record), ensure_ascii=False)) if self.json else shown(line)
        sys.stdout.write(text + "\n")

    def facts(self, record: Mapping[str, Any]) -> None:
        """Print one record: under --json a line, else a table of names and values without those that are None."""
        if self.json:
            self.result(record, "")
            return
        known = {name: value for name, value in record.items() if value is not None}
        width = max(map(len, known))
        for name, value in known.items():
            self.result({}, f"{name:{width}}  {_number(value)}")

    def note(self, message: str) -> None:
        """Print a line to stderr unless quiet."""
        if not self.quiet:
            sys.stderr.write(shown(message) + "\n")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a corpus is read: one sentence a line, or a column of csv, tsv, jsonl, parquet or a data set on the hub.

    Attributes:
        column: Name of the text column, or its position in a table without header; by default found by its name.
        split: Split of a data set on the hub.
        limit: Read this many texts at most.
        streaming: Read a data set on the hub as it arrives instead of downloading it first.
    """

    column: str | None = None
    split: str = "train"
    limit: int | None = None
    streaming: Annotated[bool, Parameter(name="--streaming", negative="--no-streaming")] = True

    def texts(self, source: str, printing: Printing) -> Iterator[str]:
        """Yield the texts of a corpus; see `rows`."""
        return (str(row["text"]) for row in self.rows(source, printing))

    def rows(self, source: str, printing: Printing, keep: Sequence[str] = ()) -> Iterator[dict[str, object]]:
        """Yield the rows of a corpus, and report at its end how many were dropped or changed.

        The first row is read at once, so that a bad corpus is refused before a model is loaded.
        """
        from ..text.cleaning import GateReport
        from ..text.corpus import read_rows

        report = GateReport()
        options = {"column": self.column, "split": self.split, "streaming": self.streaming, "limit": self.limit}
        rows = read_rows(source, columns=keep, report=report, **options)  # type: ignore[arg-type]
        first = next(rows)
        return _noted(chain([first], rows), report, printing)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Device:
    """Where the model runs.

    Attributes:
        device: Where the model runs, such as cpu or cuda:1; by default the GPU if there is one.
        encoder_backend: What turns texts into latents: torch; onnx or openvino, on the CPU, after an export to the
            user's cache; auto takes the fastest that agrees with torch, once there is enough to encode.
        precision: int8 takes products of 8-bit numbers in onnxruntime; a model whose latents would change too
            much (a cosine below 0.99 among the first thousand texts) is refused.
    """

    device: str | None = None
    encoder_backend: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    precision: Literal["fp32", "int8"] = "fp32"

    def load(self, run: Path) -> TextVAE:
        """Load a run, with the messages of other libraries silenced."""
        run = folder_of(run)
        for cache in KERNEL_CACHES:  # read at the first product
            os.environ.setdefault(cache, str(KERNELS))
        hush_libraries()
        from ..latent.vae import TextVAE

        return TextVAE.from_pretrained(run, self._checked(), backend=self.encoder_backend, precision=self.precision)

    def _checked(self) -> str | None:
        import torch

        try:
            if self.device is not None:
                torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"--device {self.device} cannot be used here: {reason}") from error
        return self.device


def folder_of(run: Path) -> Path:
    """Return the folder of a run, also of one on the hub; errors are raised before torch is imported."""
    folder = local_folder(str(run))
    if not (folder / "config.json").exists():
        open_folder(folder, "run", "config.json")
    return folder


PRINTING, READING, DEVICE = Printing(), Reading(), Device()


def hush_libraries() -> None:
    """Silence warnings and progress bars of transformers, which is imported only where a model is loaded."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read when it is imported
    if "transformers" not in sys.modules:
        return
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def sentences(text: str) -> Iterable[str]:
    """Return the one sentence given, or those of standard input for "-".

    Raises:
        ValueError: The sentence is the name of a file: its lines come on standard input.
    """
    if text != STDIN:
        return [_not_a_file(text)]
    from ..text.corpus import read_texts

    return read_texts(STDIN)


def in_place(texts: Sequence[str]) -> list[str]:
    """Return the sentences with each "-" replaced by the next line of standard input."""
    lines = iter(sentences(STDIN)) if STDIN in texts else iter(())
    missing = f"standard input has fewer sentences than the {texts.count(STDIN)} asked for with -"
    filled = [next(lines, None) if text == STDIN else _not_a_file(text) for text in texts]
    if None in filled:
        raise ValueError(missing)
    return [text for text in filled if text is not None]


def _not_a_file(text: str) -> str:
    if os.path.splitext(text)[1] and os.path.isfile(text):
        raise ValueError(f"{text} is a file, not a sentence: for each of its lines write - < {text}")
    return text


def blocks(texts: Iterable[str], size: int = BLOCK) -> Iterator[list[str]]:
    """Yield the texts in lists of at most `size`."""
    remaining = iter(texts)
    return iter(lambda: list(islice(remaining, size)), [])


def at_least(smallest: int, name: str, value: int) -> None:
    """Raise ValueError if a number is too small."""
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")


def can_write_file(path: Path | None, endings: Sequence[str]) -> None:
    """Raise if a file cannot be written, before the work starts: a folder is there, or its ending names no format."""
    if path and path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    if path and (path.is_block_device() or path.is_socket()):
        raise FileExistsError(f"{path} is a device or a socket: name a file")
    if path and path.suffix and path.suffix.lower() not in endings:
        raise ValueError(f"{path} has the ending {path.suffix}: choose {', '.join(endings[:-1])} or {endings[-1]}")


def names_a_folder(path: Path, kind: str) -> None:
    """Raise if a folder is to have the name of a file, such as index.parquet, before the work starts."""
    if path.suffix.lower() in FILES and not path.is_dir():
        raise ValueError(f"{path} has the name of a file, but {kind} is a folder: leave {path.suffix} out")


def can_write_folder(path: Path, kind: str, mark: str) -> None:
    """Raise if a folder would replace anything but an older one of its kind, before the work starts."""
    names_a_folder(path, f"an {kind}")
    if (path.exists() and not path.is_dir()) or (path.is_dir() and any(path.iterdir()) and not (path / mark).exists()):
        raise FileExistsError(f"{path} exists and is not an {kind}: choose another folder")


def _noted(rows: Iterator[dict[str, object]], report: GateReport, printing: Printing) -> Iterator[dict[str, object]]:
    yield from rows
    if report.kept < report.read or report.cut or report.surrogates:
        printing.note(report.summary())


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
