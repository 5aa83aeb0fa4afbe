"""Write docs/cli.md from `textvae --help` and the help of every verb; --check exits 1 if it differs.

python scripts/write_cli_page.py [--check]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from textvae.cli import VERBS, _app

PAGE = ROOT / "docs/cli.md"
WIDTH = 100  # columns
INTRODUCTION = """# Command line

This page is written by `scripts/write_cli_page.py` from the help of each verb.

`--json` prints one object per line, `-` reads standard input. Options of `textvae train` may come from a JSON file by
`--config`. Results go to standard output, progress and errors to standard error; with `TEXTVAE_DEBUG=1` an error
shows its traceback.

| exit code | meaning |
| --- | --- |
| 0 | ok |
| 1 | failure |
| 2 | usage: an unknown flag, or flags that exclude each other |
| 3 | bad input |
| 4 | corrupt file |
| 5 | out of memory or disk space |
| 130 | interrupted |
"""


def main() -> None:
    """Write the page, or compare it."""
    new = page()
    if "--check" in sys.argv:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == new
        sys.exit(0 if same else "docs/cli.md differs from --help: run python scripts/write_cli_page.py")
    PAGE.write_text(new, encoding="utf-8")


def page() -> str:
    """Return the page: the help of the program, then a section for each verb."""
    parts = [INTRODUCTION, _block(help_of())]
    parts += [f"## textvae {verb}\n\n{_block(help_of(verb))}" for verb in VERBS]
    return "\n".join(parts)


def help_of(*words: str) -> str:
    """Return what `textvae WORDS --help` prints, at a fixed width and without colours."""
    written = io.StringIO()
    console = Console(file=written, width=WIDTH, force_terminal=False, color_system=None, legacy_windows=False)
    _app().help_print(words, console=console)
    return "\n".join(line.rstrip() for line in written.getvalue().strip().splitlines())


def _block(text: str) -> str:
    return f"```text\n{text}\n```\n"


if __name__ == "__main__":
    main()
