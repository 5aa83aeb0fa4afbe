"""Random command lines: no traceback, only documented exit codes, none over 30 seconds; into results/trust.json.

    python benchmarks/robustness/commands.py [--lines 2000] [--seed 0] [--patience 30] [--dry-run]

A line has a verb, arguments and flags that are often right and often wrong: missing and damaged folders, folders of
another kind, empty and binary files, texts in many alphabets, numbers out of range, flags that do not exist. Each runs
in a forked child, by the function behind `textvae`, in a folder with a run, an index and an attribute.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import inspect
import os
import random
import shlex
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

from textvae import Attribute, LatentIndex, TextVAE, evaluate  # noqa: F401 - the children import nothing again
from textvae.cli import VERBS
from textvae.cli import main as textvae
from textvae.evaluation import plots  # noqa: F401
from textvae.modeling import TextVAEConfig

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

TEXTS = [f"the {thing} was {how}" for thing in ("soup", "room", "staff") for how in ("cold", "great", "slow", "dark")]
DOCUMENTED = {0, 1, 2, 3, 4, 5, 130}
UNEXPECTED = "TEXTVAE_DEBUG=1 shows where"  # what an error of no known kind says

NUMBERS = ["0", "1", "2", "3", "-1", "0.5", "1e9", "1000000000", "nan", "inf", "x", "", "١"]
FOLDERS = ["run", "index", "attribute", "cut", "missing", "empty", "texts.txt", "a b", "../escape", "/dev/null", ""]
CORPORA = [
    "texts.txt", "table.csv", "rows.jsonl", "empty.txt", "binary.bin", "bad.jsonl", "-", "run", "missing.txt", "z.npy",
]  # fmt: skip
SENTENCES = [
    "the soup was cold",
    "",
    " ",
    "-",
    "- so it goes",
    "--no",
    "é ß 中文 🎉",
    "a\tb\nc",
    "</s>",
    "x" * 3000,
    "\x00",
]
OUTPUTS = ["out", "out.npy", "out.json", "out.csv", "new/deep", "run", "/dev/null", "/proc/none", "a=b"]
WORDS = ["1", "a", "stars > 3", "stars = 'x", "stars in (1, 2)", "((((", "Flat", "HNSW8", "IVF4,Flat", "PQ0", "numpy"]
# What a value of each flag is drawn from; flags that are not here are switches or take a word.
VALUES = {
    "NUMBER": (
        "-n -k --temperature --top-p --guidance --seed --batch-size --limit --num-beams --candidates --refinements "
        "--max-length --spread --wording --scale --dim --num-samples --n-prior --n-paths --certainty --strength "
        "--values --weights --min-probability --min-similarity --max-overlap --min-naturalness"
    ).split(),
    "FOLDER": "--attribute --keep --model".split(),
    "CORPUS": "--positive --negative --unlabelled --valid --input".split(),
    "OUTPUT": "--output -o".split(),
    "WORD": "--where --factory --backend --metric --label --class --column --id --prior --method --probe --by".split(),
}
SWITCHES = "--json --quiet --explain --resume --upsert --blend --dims --help --version --nonsense --n=3".split()
POOLS = {"NUMBER": NUMBERS, "FOLDER": FOLDERS, "CORPUS": CORPORA, "OUTPUT": OUTPUTS, "WORD": WORDS}
ARGUMENTS = {
    "train": ["CORPUS"], "encode": ["FOLDER", "CORPUS"], "decode": ["FOLDER", "CORPUS"],
    "reconstruct": ["FOLDER", "CORPUS"], "sample": ["FOLDER"], "vary": ["FOLDER", "TEXT"],
    "interpolate": ["FOLDER", "TEXT", "TEXT"], "analogy": ["FOLDER", "TEXT", "TEXT", "TEXT"],
    "blend": ["FOLDER", "TEXT", "TEXT"], "traverse": ["FOLDER", "TEXT"], "attribute": ["FOLDER"],
    "shift": ["FOLDER", "TEXT"], "rewrite": ["FOLDER", "CORPUS"],
    "index": ["FOLDER", "CORPUS"], "search": ["FOLDER", "TEXT"],
    "index-add": ["FOLDER", "CORPUS"], "index-remove": ["FOLDER", "NUMBER"], "index-update": ["FOLDER", "CORPUS"],
    "score": ["FOLDER", "CORPUS"], "eval": ["FOLDER", "CORPUS"], "plot": ["FOLDER", "CORPUS"], "export": ["FOLDER"],
    "info": ["FOLDER"], "doctor": [],
}  # fmt: skip
NEEDED = {  # flags without which a verb does nothing, mostly given
    "train": ["--size", "tiny", "--max-steps", "2", "--batch-tokens", "128", "--vocab-size", "300", "-o", "OUTPUT"],
    "attribute": ["--positive", "CORPUS", "--negative", "CORPUS", "-o", "OUTPUT"],
    "shift": ["--attribute", "attribute"], "index": ["-o", "OUTPUT"], "index-update": ["--id", "key"],
    "rewrite": ["-n", "2"], "traverse": ["--dim", "3"], "export": ["-o", "OUTPUT"],
    "eval": ["--limit", "3", "--num-samples", "2", "--n-prior", "2", "--n-paths", "1"],
}  # fmt: skip


class Ended(NamedTuple):
    """How a command ended: exit code (None if it was stopped), its messages, and seconds."""

    code: int | None
    messages: str
    seconds: float


def main() -> None:
    """Run all lines and write the rows; exit 1 if one was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=float, default=30.0)
    parser.add_argument("--dry-run", action="store_true", help="print the rows and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        textvae(["doctor"])  # which imports what the children would import again
    generator = random.Random(arguments.seed)
    codes: collections.Counter[str] = collections.Counter()
    tracebacks = unexpected = undocumented = slow = 0
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch))
        for _ in range(arguments.lines):
            line = command(generator)
            ended = run(line, Path(scratch), arguments.patience)
            codes[str(ended.code)] += 1
            wrong = {
                "traceback": "Traceback" in ended.messages,
                "unexpected": UNEXPECTED in ended.messages,
                "undocumented": ended.code is not None and ended.code not in DOCUMENTED,
                "slow": ended.code is None,
            }
            tracebacks, unexpected = tracebacks + wrong["traceback"], unexpected + wrong["unexpected"]
            undocumented, slow = undocumented + wrong["undocumented"], slow + wrong["slow"]
            if any(wrong.values()):
                kinds = ", ".join(name for name, found in wrong.items() if found)
                sys.stderr.write(f"{kinds}: textvae {shlex.join(line)}: {ended.messages.strip()[-300:]}\n")
    measured = {"n": arguments.lines, "seed": arguments.seed, "bar": "0"}
    told = f"exit codes: {', '.join(f'{code}: {count}' for code, count in sorted(codes.items()))}"
    rows = [
        row("trust.cli.tracebacks", tracebacks, **measured, note=told),
        row("trust.cli.unexpected", unexpected, **measured, note="errors of a kind that no message foresees"),
        row("trust.cli.undocumented", undocumented, **measured, note="exit codes other than 0 to 5 and 130"),
        row("trust.cli.slow", slow, **measured, note=f"lines that took over {arguments.patience:g} s"),
    ]
    sys.stdout.write("".join(f"{r['id']}: {r['value']} (bar {r['bar']}; {r['note']})\n" for r in rows))
    if not arguments.dry_run:
        sys.stdout.write(f"{write_results('trust', rows)}\n")
    sys.exit(1 if tracebacks or unexpected or undocumented or slow else 0)


def prepare(scratch: Path) -> None:
    """Write the folders and files that the lines name."""
    vae = TextVAE.from_texts(TEXTS, TextVAEConfig.preset("tiny", vocab_size=300, max_length=16))
    vae.save_pretrained(scratch / "run")
    LatentIndex.build(vae, [{"text": text, "stars": n} for n, text in enumerate(TEXTS)]).save(scratch / "index")
    Attribute.fit(vae, TEXTS[:6], TEXTS[6:]).save(scratch / "attribute")
    vae.save_pretrained(scratch / "cut")
    weights = scratch / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (scratch / "empty").mkdir()
    np.save(scratch / "z.npy", vae.encode(TEXTS))
    files = {
        "texts.txt": "\n".join(TEXTS),
        "table.csv": "text,key,stars\n" + "".join(f"{text},k{n},{n}\n" for n, text in enumerate(TEXTS)),
        "rows.jsonl": "".join(f'{{"text": "{text}", "key": {n}, "stars": null}}\n' for n, text in enumerate(TEXTS)),
        "bad.jsonl": '{"text": "fine"}\n{"text":\n',
        "empty.txt": "",
    }
    for name, content in files.items():
        (scratch / name).write_text(content)
    (scratch / "binary.bin").write_bytes(bytes(range(256)) * 8)


def command(generator: random.Random) -> list[str]:
    """Return the words of a random line."""
    verb = generator.choice(list(ARGUMENTS) if generator.random() < 0.98 else ["", "bogus", "-h", "--"])
    likely = {"index": "index", "search": "index", "info": "index"} if "index" in verb or verb == "search" else {}
    words = [verb]
    for kind in ARGUMENTS.get(verb, []):
        if generator.random() < 0.04:
            continue  # one is missing
        usual = {"FOLDER": "index" if likely and verb != "index" else "run", "CORPUS": "texts.txt", "NUMBER": "1"}
        words.append(usual[kind] if kind in usual and generator.random() < 0.75 else drawn(kind, generator))
    if generator.random() < 0.9:
        words += [drawn(word, generator) for word in NEEDED.get(verb, [])]
    for _ in range(generator.choice([0, 0, 1, 1, 2, 3])):
        kind = generator.choice([*VALUES, "SWITCH"])
        flags = SWITCHES if kind == "SWITCH" else VALUES[kind]
        if generator.random() < 0.85:  # a flag that the verb has, if it has one of the kind
            flags = [flag for flag in flags if flag in flags_of(verb)] or flags
        words.append(generator.choice(flags))
        words += [drawn(kind, generator)] if kind in VALUES else []
    return words


def flags_of(verb: str) -> set[str]:
    """Return the flags of a verb, apart from those of training."""
    names = set(inspect.signature(VERBS[verb]).parameters) if verb in VERBS else set()
    flags = {f"--{name.strip('_').replace('_', '-')}" for name in names} | {"--json", "--quiet"}
    flags |= {f"-{name}" for name in names & {"n", "k"}} | ({"-o"} if "output" in names else set())
    return flags | ({"--column", "--limit"} if "reading" in names else set())


def drawn(kind: str, generator: random.Random) -> str:
    """Return a value of a kind, or the word itself if it is no kind."""
    if kind == "TEXT":
        return generator.choice(SENTENCES[:1] * 8 + SENTENCES)
    return generator.choice(POOLS[kind]) if kind in POOLS else kind


def run(line: list[str], scratch: Path, patience: float) -> Ended:
    """Run a line in a forked child, which is stopped when its time is over."""
    began, errors = time.monotonic(), scratch.parent / f"{scratch.name}.err"
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(scratch)
        for number, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, os.devnull, os.O_WRONLY),
            (2, str(errors), 0o1101),
        ):
            os.dup2(os.open(name, flags, 0o600), number)
        try:
            code = textvae(line)
            sys.stderr.flush()
            os._exit(code)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(99)
    status = None
    while time.monotonic() - began < patience and status is None:
        found, state = os.waitpid(child, os.WNOHANG)
        status = state if found else None
        time.sleep(0.005)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    messages = errors.read_text(errors="replace") if errors.exists() else ""
    errors.unlink(missing_ok=True)
    return Ended(None if status is None else os.waitstatus_to_exitcode(status), messages, time.monotonic() - began)


if __name__ == "__main__":
    assert ARGUMENTS.keys() <= VERBS.keys()
    main()
