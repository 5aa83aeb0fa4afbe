"""The general English corpus that the shipped model is trained on: its sources, cleaned, deduplicated and split.

    python scripts/english_corpus.py --data DATA [--teacher FOLDER] -o runs/english/pack

DATA holds corpus/*.txt and, where they are there, yelp/, multi30k/ and wordnet/. No sentence of it is ever shipped.
Captions are held out by picture, all other sentences one by one.
The pack is small enough to carry to a machine without a network: the sentences, their tokenizer, and the teacher with
its weights in 8 bits.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from textvae.storage.folders import atomic_folder
from textvae.text.tokenizers import load_tokenizer, train_tokenizer

SEED = 0
DEV, TEST = 200, 200  # sentences of each source that choose a recipe, and that measure the result
UNSEEN = ("abc_news", "counsel_chat")  # sources of which nothing is trained on
WORDS = range(3, 25)
TOKENIZER_TEXTS = 400_000
PACKED_TEACHER = "model.int8.safetensors"
TOKENISED = re.compile(r" (?=[.,!?;:%)'’]|n't\b)|(?<=[($]) ")


@dataclass(frozen=True)
class Corpus:
    """Sentences by part.

    Attributes:
        train: Shuffled over all sources.
        dev: Of each source, those of UNSEEN included.
        test: As `dev`, other sentences.
    """

    train: list[str]
    dev: dict[str, list[str]]
    test: dict[str, list[str]]


def read_mixture(data: Path) -> Corpus:
    """Return the corpus from its sources, each sentence once whatever its case, digits and punctuation."""
    generator = random.Random(SEED)
    seen: set[str] = set()
    corpus = Corpus([], {}, {})
    for name, sentences in _sources(data):
        found = [s for s in sentences if len(s.split()) in WORDS and not ((key := _key(s)) in seen or seen.add(key))]
        generator.shuffle(found)
        corpus.dev[name], corpus.test[name] = found[:DEV], found[DEV : DEV + TEST]
        if name not in UNSEEN:
            corpus.train.extend(found[DEV + TEST :])
    for part, file in ((corpus.dev, "valid.tsv"), (corpus.test, "test.tsv")):
        if "multi30k" in part:  # five captions describe a picture: those of other pictures
            part["multi30k"] = _captions(data, file, seen)[:DEV]
    if not corpus.train:
        raise FileNotFoundError(f"{data} holds no corpus: unpack it there, so that {data / 'corpus'} has .txt files")
    generator.shuffle(corpus.train)
    return corpus


def write_pack(corpus: Corpus, folder: Path) -> None:
    """Write a corpus as two compressed files, which `read_pack` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / "train.txt.xz", "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as file:
        # sorted, they take less space; the order is drawn again when they are read
        file.writelines(sentence + "\n" for sentence in sorted(corpus.train))
    with lzma.open(folder / "held_out.json.xz", "wt", encoding="utf-8") as file:
        json.dump({"dev": corpus.dev, "test": corpus.test}, file)


def corpus_tokenizer(corpus: Corpus, vocab_size: int, *folders: Path) -> Any:
    """Return the tokenizer of a corpus from the first folder that has it; else train it and keep it in the last."""
    paths = [folder / f"tokenizer-{vocab_size}" for folder in folders]
    for path in paths:
        if path.exists():
            return load_tokenizer(path)
    with atomic_folder(paths[-1], "tokenizer.json") as staged:
        train_tokenizer(corpus.train[:TOKENIZER_TEXTS], vocab_size).save_pretrained(staged)
    return load_tokenizer(paths[-1])


def pack_teacher(teacher: Path, folder: Path) -> None:
    """Copy a sentence encoder with its matrices in 8 bits, one scale a row; `unpack_teacher` makes it whole again."""
    shutil.copytree(teacher, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", "*.md"))
    packed = {}
    for name, weight in load_file(teacher / "model.safetensors").items():
        if weight.ndim != 2:
            packed[name] = weight
            continue
        scale = np.abs(weight).max(1, keepdims=True) / 127 + np.float32(1e-12)
        packed[name] = np.rint(weight / scale).astype(np.int8)
        packed[f"{name}.scale"] = scale.astype(np.float32)
    save_file(packed, folder / PACKED_TEACHER)


def unpack_teacher(folder: Path, output: Path) -> Path:
    """Write a packed sentence encoder as the folder that sentence-transformers loads, and return it."""
    shutil.copytree(folder, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns(PACKED_TEACHER))
    packed = load_file(folder / PACKED_TEACHER)
    weights = {
        name: value * packed[f"{name}.scale"] if f"{name}.scale" in packed else value
        for name, value in packed.items()
        if not name.endswith(".scale")
    }
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
    return output


def read_pack(folder: Path) -> Corpus:
    """Return the corpus of a folder that `write_pack` wrote, its training sentences in an order of their own."""
    with lzma.open(folder / "train.txt.xz", "rt", encoding="utf-8") as file:
        train = file.read().splitlines()
    with lzma.open(folder / "held_out.json.xz", "rt", encoding="utf-8") as file:
        held_out = json.load(file)
    random.Random(SEED).shuffle(train)
    return Corpus(train, held_out["dev"], held_out["test"])


def read_corpus(path: Path) -> Corpus:
    """Return the corpus of a pack, or of a folder with its sources."""
    return read_pack(path) if (path / "train.txt.xz").exists() else read_mixture(path)


def _sources(data: Path) -> Iterator[tuple[str, Iterable[str]]]:
    for path in sorted((data / "corpus").glob("*.txt")):
        yield path.stem, path.read_text(encoding="utf-8").splitlines()
    for folder in (data, data / "bench"):
        if (folder / "yelp" / "train.tsv").exists():
            tokenised = [line.split("\t")[1] for line in _lines(folder / "yelp" / "train.tsv") if "_num_" not in line]
            # every second one with the capitals that it was published without
            yield "yelp", (_capitals(s) if i % 2 else s for i, s in enumerate(map(joined, tokenised)))
        if (folder / "multi30k" / "train.tsv").exists():
            yield "multi30k", (line.split("\t")[1].strip() for line in _lines(folder / "multi30k" / "train.tsv"))
        if (folder / "wordnet" / "glosses.tsv").exists():
            rows = [line.split("\t") for line in _lines(folder / "wordnet" / "glosses.tsv")[1:]]
            yield "wordnet_definitions", (row[5].strip() for row in rows)
            yield "wordnet_examples", (joined(s.strip()) for row in rows for s in row[6].split("|||"))


def _captions(data: Path, file: str, seen: set[str]) -> list[str]:
    """Return a sentence of each picture of a held-out part, none of which has been seen."""
    folder = next(f for f in (data / "multi30k", data / "bench" / "multi30k") if f.exists())
    of_picture = {line.split("\t")[0]: line.split("\t")[1].strip() for line in _lines(folder / file)}
    sentences = [s for s in of_picture.values() if len(s.split()) in WORDS and _key(s) not in seen]
    random.Random(SEED).shuffle(sentences)
    return sentences


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def joined(tokenised: str) -> str:
    """Return a sentence of spaced tokens with its punctuation where people write it."""
    return TOKENISED.sub("", tokenised.replace("`` ", '"').replace(" ''", '"')).strip()


def _capitals(sentence: str) -> str:
    return re.sub(r"\bi\b(?!\.)", "I", sentence[:1].upper() + sentence[1:])


def _key(sentence: str) -> str:
    return re.sub(r"[\W\d_]+", " ", sentence.lower()).strip()


def main() -> None:
    """Write the pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sources")
    parser.add_argument("--teacher", type=Path, help="folder of a sentence encoder")
    parser.add_argument("--vocab-size", type=int, default=8192, help="of the tokenizer")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pack")
    arguments = parser.parse_args()
    corpus = read_mixture(arguments.data)
    write_pack(corpus, arguments.output)
    corpus_tokenizer(read_pack(arguments.output), arguments.vocab_size, arguments.output)
    if arguments.teacher:
        pack_teacher(arguments.teacher, arguments.output / "teacher")
    size = sum(file.stat().st_size for file in arguments.output.rglob("*")) / 2**20
    sources = ", ".join(corpus.dev)
    sys.stdout.write(f"{len(corpus.train):,} sentences to train on, {size:.1f} MiB; held out of: {sources}\n")


if __name__ == "__main__":
    main()
