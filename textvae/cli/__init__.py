"""The command line: one verb each for what the library does.

Only the standard library and cyclopts are imported here and in the modules of the verbs, so that `--help` is instant;
each verb imports what it needs when it runs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cyclopts import App, Parameter

from .. import __doc__ as summary
from .. import __version__
from . import (
    attributes,
    evaluation,
    folders,
    index,
    index_changes,
    latent,
    moving,
    outside,
    rewriting,
    serving,
    training,
)
from .errors import explain
from .logs import log_on_stderr
from .options import PRINTING
from .terminal import shown

# The help text of a verb is its docstring, the order here is the order of the help.
VERBS: dict[str, Callable[..., None]] = {
    "train": training.train,
    "distill": training.distill,
    "encode": latent.encode,
    "decode": latent.decode,
    "reconstruct": latent.reconstruct,
    "sample": latent.sample,
    "vary": latent.vary,
    "interpolate": moving.interpolate,
    "analogy": moving.analogy,
    "blend": moving.blend,
    "traverse": moving.traverse,
    "attribute": attributes.attribute,
    "shift": attributes.shift,
    "rewrite": rewriting.rewrite,
    "index": index.index,
    "search": index.search,
    "index-add": index_changes.index_add,
    "index-remove": index_changes.index_remove,
    "index-update": index_changes.index_update,
    "push": outside.push,
    "score": evaluation.score,
    "eval": evaluation.evaluate,
    "plot": evaluation.plot,
    "serve": serving.serve,
    "export": folders.export,
    "info": folders.info,
    "doctor": folders.doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after `textvae`; by default those of the process.

    Returns:
        0 ok, 1 failure, 2 usage, 3 bad input, 4 corrupt file, 5 out of resources, 130 interrupted.
    """
    try:
        with _open_streams(), _calm_process():
            words = sys.argv[1:] if arguments is None else list(arguments)
            _app()(words, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as `| head -1` does
        _discard_output()
    except BaseException as error:
        if os.environ.get("TEXTVAE_DEBUG") == "1" or isinstance(error, SystemExit | GeneratorExit):
            raise
        try:
            sys.stdout.flush()
        except (OSError, AttributeError, ValueError):  # full, or closed
            _discard_output()
        failure = explain(error)
        with contextlib.suppress(OSError, AttributeError, ValueError):  # standard error is closed or full
            sys.stderr.write(f"textvae: {shown(failure.message)}\n")
        return failure.code
    return 0


def _app() -> App:
    app = App(
        name="textvae",
        help=summary,
        help_format="plaintext",
        version=__version__,
        default_parameter=Parameter(
            negative=(), negative_iterable=(), negative_none=(), consume_multiple=True, show_default=_shown_default
        ),
        config=[training.options_from_file],
        suppress_keyboard_interrupt=False,
    )
    for order, (name, verb) in enumerate(VERBS.items()):
        app.command(_logged(verb), name=name, sort_key=order)
    app.register_install_completion_command()
    return app


def _logged(verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb with the library's log on stderr while it runs."""

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> None:
        with log_on_stderr(quiet=options.get("printing", PRINTING).quiet):
            verb(*arguments, **options)

    return run


def _shown_default(value: object) -> str | None:
    """Return the default as the user would type it; None for a switch that is off and for no value."""
    if value is None or value is False or value == ():
        return None
    return " ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


@contextlib.contextmanager
def _open_streams() -> Iterator[None]:
    """Put the null device in the place of standard streams that are closed, as `>&-` does.

    A file opened later would get the number of a closed stream, and what libraries print would go into it.
    """
    names = ("stdin", "stdout", "stderr")
    closed = [name for name in names if getattr(sys, name) is None]
    for name in closed:
        setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))
    try:
        yield
    finally:
        for name in closed:
            getattr(sys, name).close()
            setattr(sys, name, None)


@contextlib.contextmanager
def _calm_process() -> Iterator[None]:
    """Silence warnings and download bars of other libraries, and make stdout accept every character."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):  # read when they are imported
        os.environ.setdefault(name, "1")
    if hasattr(sys.stdout, "reconfigure"):
        # a lone surrogate is then printed as \ud83d, which is also its escape in JSON
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _discard_output() -> None:
    """Discard buffered output; otherwise Python reports a broken pipe when it exits."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
