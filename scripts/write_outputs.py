"""Run the python blocks of the README and of docs/, and write what they print below them.

    python scripts/write_outputs.py [PAGE ...]

The blocks of a page run in order, in one namespace, in a temporary folder beside which data/ lies. What a block prints
goes between `<!-- output -->` and `<!-- /output -->` after it. Blocks with a line `# needs ...` are left out.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BLOCK = re.compile(
    r"(?P<before>^```python\n(?P<code>.*?)^```\n)(?P<output>\n<!-- output -->\n.*?<!-- /output -->\n)?", re.M | re.S
)


def main() -> None:
    """Rewrite the pages that are named, by default all."""
    pages = [Path(name).resolve() for name in sys.argv[1:]] or [
        ROOT / "README.md",
        *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "extending.md"),  # which trains runs
    ]
    for page in pages:
        old = page.read_text(encoding="utf-8")
        if "```python\n" not in old:
            continue
        start = time.monotonic()
        page.write_text(with_outputs(old, page.name), encoding="utf-8")
        sys.stderr.write(f"{page.name}: {time.monotonic() - start:.0f} s\n")


def with_outputs(text: str, name: str) -> str:
    """Return a page with the outputs of its blocks."""
    namespace: dict[str, object] = {"__name__": "page"}

    def run(match: re.Match[str]) -> str:
        printed = io.StringIO()
        if not re.search("^# needs", match["code"], re.M):
            with contextlib.redirect_stdout(printed):
                exec(compile(match["code"], f"{name}, a python block", "exec"), namespace)
        if match["output"] is None:
            return match[0]
        lines = "\n".join(line.rstrip() for line in printed.getvalue().rstrip().splitlines())
        return f"{match['before']}\n<!-- output -->\n```text\n{lines}\n```\n<!-- /output -->\n"

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(ROOT / "data")
        before = Path.cwd()
        os.chdir(folder)
        try:
            return BLOCK.sub(run, text)
        finally:
            os.chdir(before)


if __name__ == "__main__":
    main()
