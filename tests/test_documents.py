"""The README and docs/: their code runs, their flags and files exist, their numbers are those of results/."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import textvae
from textvae import TextVAE
from textvae.cli import VERBS, _app

ROOT = Path(__file__).parent.parent
PAGES = {
    file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
    for file in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
README_LINES = 150
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# docs/extending.md trains runs of its own, in test_extending.py
WITH_PYTHON = [page for page, text in PAGES.items() if PYTHON_BLOCK.search(text) and page != "docs/extending.md"]
OF_THE_REPOSITORY = re.compile(r"(scripts|benchmarks|data|tests)/[\w./-]+")
EVERYWHERE = {"--help", "-h", "--version"}


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= README_LINES


@pytest.mark.parametrize(
    "command", [["benchmarks/render.py", "--check"], ["scripts/write_cli_page.py", "--check"]], ids=["results", "help"]
)
def test_pages_print_what_they_are_made_from(command):
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in WITH_PYTHON if page != "docs/extending.md"])  # test_extending.py
def test_the_python_blocks_of_a_page_run(page, small_vae, tmp_path, monkeypatch):
    """Blocks run in order in one namespace; an untrained model stands in for every run "runs/..." that they name.

    A line `# needs ...` in a block says that it cannot run here.
    """
    blocks = [block for block in PYTHON_BLOCK.findall(PAGES[page]) if not re.search("^# needs", block, re.MULTILINE)]
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "data", tmp_path / "data")
    for run in set(re.findall(r'"(runs/[\w-]+)"', "".join(blocks))):
        TextVAE(small_vae.model, small_vae.tokenizer).save_pretrained(run)
    namespace = {"__name__": "page"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{page}, python block {number}", "exec"), namespace)


def commands(page):
    """Yield each command of the shell blocks of a page as its words, without what stands before a pipe or `&&`."""
    for language, block in FENCE.findall(PAGES[page]):
        lines = block.replace("\\\n", " ").splitlines()
        if language == "text":  # a transcript
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        elif language not in ("bash", "sh", "console"):
            continue
        for line in lines:
            words = []
            for word in shlex.split(line, comments=True):
                if word in ("|", "&&", ";"):
                    yield words
                    words = []
                else:
                    words.append(word)
            yield words


@functools.cache
def flags_of(verb):
    """Return the flags that a verb takes."""
    return {name for argument in _app()[verb].assemble_argument_collection() for name in argument.names}


def problems(words):
    """Return what a command names that does not exist: a verb, its flags, files of the repository."""
    wrong = [word for word in words if OF_THE_REPOSITORY.fullmatch(word) and not (ROOT / word).exists()]
    if words[:1] != ["textvae"] or len(words) < 2 or words[1] in EVERYWHERE:
        return wrong
    verb, *others = words[1:]
    if verb not in VERBS:
        return [*wrong, verb]
    flags = [word.split("=")[0] for word in others if re.match(r"--?[a-zA-Z]", word)]
    return wrong + [flag for flag in flags if flag not in flags_of(verb) | EVERYWHERE]


@pytest.mark.parametrize("page", PAGES)
def test_verbs_flags_and_files_of_shell_blocks_exist(page):
    assert [(words, problems(words)) for words in commands(page) if problems(words)] == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("textvae shift RUN text --attribute A=1 --candidates 4", []),
        ("textvae shift RUN text --candidate 4", ["--candidate"]),
        ("textvae move RUN", ["move"]),
        ("textvae sample RUN -n 5 --seeds 1", ["--seeds"]),
        ("python benchmarks/absent.py", ["benchmarks/absent.py"]),
    ],
)
def test_a_command_that_cannot_work_is_found(command, wrong):
    assert problems(shlex.split(command)) == wrong


@pytest.mark.parametrize("page", PAGES)
def test_flags_named_in_prose_exist(page):
    known = set().union(*map(flags_of, VERBS))
    prose = FENCE.sub("", PAGES[page])
    named = {
        flag for code in re.findall(r"`([^`\n]+)`", prose) for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)
    }
    of_others = {"--check", "--strict"} | EVERYWHERE  # benchmarks/render.py, ruff, mkdocs
    assert named - known - of_others == set()


def test_the_output_of_each_block_is_written_by_a_script():
    for page in WITH_PYTHON:
        text = PAGES[page]
        assert text.count("<!-- output -->") == text.count("<!-- /output -->")
        assert "<!-- output -->\n<!-- /output -->" not in text, f"run python scripts/write_outputs.py {page}"


def test_the_api_page_names_every_public_name():
    shown = set(re.findall(r"^::: (\S+)", PAGES["docs/api.md"], re.MULTILINE))
    assert {f"{getattr(textvae, name).__module__}.{name}" for name in textvae.__all__} <= shown


def blocks(language):
    """Return the blocks of docs/serving.md in a language."""
    return [block for name, block in FENCE.findall(PAGES["docs/serving.md"]) if name == language]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    (unit,) = blocks("ini")
    file = tmp_path / "textvae.service"
    file.write_text(unit.replace("/opt/textvae/.venv/bin/textvae", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_image_copies_and_runs_exists():
    (image,) = blocks("dockerfile")
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", image, re.MULTILINE) for name in line.split()]
    assert copied and all((ROOT / name).exists() for name in copied)
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    arguments = shlex.split(re.search(r"^ENTRYPOINT \[(.*)\]$", image, re.MULTILINE)[1].replace(",", ""))
    assert arguments[0] == "textvae" and not problems(["textvae", "serve", *arguments[3:]])
