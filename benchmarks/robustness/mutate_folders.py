"""Change valid files of runs, indexes and attributes into other valid files, and load them; into results/trust.json.

    python benchmarks/robustness/mutate_folders.py [--mutations 2000] [--kinds config index.json ...] [--dry-run]

Every mutation keeps the syntax of its file, and the manifest's digests are those of the changed files: JSON values
become others of other types, huge, negative, NaN or deep ones; databases change by SQL; headers of safetensors and of
faiss get other numbers. A folder is then loaded and used in a child process that may take 10 seconds and a GB more than
the unchanged folder. It is refused if that ends in CorruptFileError (exit code 4); foreign if it ends in the ValueError
(exit code 3) of a format, a metric, a backend, a module or a model that is of another kind or version; legal if it is
used without an error; silent if the files of one folder contradict each other and nothing said so; raw if another
exception ends it; hang if it exceeds time or memory.
"""

from __future__ import annotations

import argparse
import collections
import copy
import json
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import struct
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are forked, which threads do not survive
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from crash_index import WORDS
from transformers import BertConfig, BertModel

from textvae import Attribute, LatentIndex, TextVAE
from textvae.cli.folders import _run_facts
from textvae.modeling import TextVAEConfig
from textvae.modeling.sentence_encoder import Dense, Normalize
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest
from textvae.text.tokenizers import train_tokenizer

sys.path.append(str(Path(__file__).resolve().parents[1]))

from results import row, write_results

PATIENCE, MEMORY = 10, 1 << 30  # seconds of a trial; bytes beyond those of the process before it
FACTORIES = ["Flat", "HNSW16", "IVF8,Flat", "SQ8", "PCA16,IVF4,SQ8"]
# messages of ValueErrors that are documented beside CorruptFileError
DOCUMENTED = ("has the index format", "has the metric", "unknown index backend", "holds a model of another kind",
              "unknown prior", "is not a run folder", "is not an index folder", "no trained model yet",
              "holds no encoder that could be loaded", "is unknown here", "unknown pooling", "lists no pooling",
              "puts a prompt before", "lower-cases each text")  # fmt: skip
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 7, 63, 1000, 10**6, 10**9, 2**31, 2**63, 2**70, -(2**63), 1.5, -0.5, 1e-9, 1e308,
    float("nan"), float("inf"), "", "x", "../x", "/etc/passwd", "a/b", "\x1b[2J", "\0", "9", [], {}, [[]], ["x"],
    {"a": 1}, [1, 2, 3], "x" * 100_000, list(range(1000)),
]  # fmt: skip

Change = Callable[[Path, random.Random], None]


def main() -> None:
    """Run the mutations and write their rows; exit 1 if one was silent, hung or raw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=2000, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print the rows and write no file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        sources = build(Path(scratch), arguments.seed)
        for kind in arguments.kinds:
            found = outcomes(sources, kind, arguments.mutations, arguments.seed)
            measured = {"n": arguments.mutations, "seed": arguments.seed, "bar": "0"}
            note = ", ".join(f"{found[name]} {name}" for name in ("refused", "foreign", "legal"))
            bad += sum(found[name] for name in BAD)
            sys.stdout.write(f"{kind}: {dict(found)}\n")
            sys.stdout.flush()
            if not arguments.dry_run:  # at once: a run of all kinds takes long
                write_results(
                    "trust", [row(f"trust.{kind}.{name}", found[name], **measured, note=note) for name in BAD]
                )
    sys.exit(1 if bad else 0)


def build(scratch: Path, seed: int) -> dict[str, list[Path]]:
    """Return folders of each sort: runs with and without slots, of shards, sentence encoders, attributes, indexes."""
    generator = random.Random(seed)
    corpus = [f"{' '.join(generator.choices(WORDS, k=generator.randint(3, 9)))} {n}" for n in range(200)]
    vae = TextVAE.from_texts(corpus, TextVAEConfig.preset("tiny", vocab_size=300, max_length=24))
    vae.fit_prior(corpus)
    vae.calibrate(corpus[:40])
    vae.save_pretrained(scratch / "run")
    slots = TextVAE.from_texts(corpus, TextVAEConfig.preset("tiny", vocab_size=300, max_length=24, slot_dim=8))
    slots.fit_prior(corpus[:50])
    slots.save_pretrained(scratch / "slots")
    shards = scratch / "shards"
    shutil.copytree(scratch / "run", shards)
    (shards / "model.safetensors").unlink()
    vae.model.save_pretrained(shards, max_shard_size="1MB")
    write_manifest(shards)
    Attribute.fit(vae, corpus[:20], corpus[20:40]).save(scratch / "attribute")
    indexes = []
    for factory in FACTORIES:
        names = [f"n{i}" for i in range(200)] if factory == "SQ8" else None
        metadata = [{"n": n, "of": {"x": [n]}} for n in range(200)]
        index = LatentIndex.build(vae, corpus, factory=factory, metadata=metadata, ids=names)
        index.remove(index.ids[:20:5])
        indexes.append(scratch / factory.replace(",", "_"))
        index.save(indexes[-1])
    store = LatentIndex.build(vae, corpus, backend="numpy")
    store.save(scratch / "numpy")
    return {
        "run": [scratch / "run"], "slots": [scratch / "slots"], "shards": [shards],
        "encoder": [sentence_encoder(scratch / "encoder", corpus)], "attribute": [scratch / "attribute"],
        "index": indexes, "numpy": [scratch / "numpy"],
    }  # fmt: skip


def sentence_encoder(folder: Path, corpus: list[str]) -> Path:
    """Write a sentence encoder with every kind of module and return its folder."""
    tokenizer = train_tokenizer(corpus, 300)
    tokenizer.save_pretrained(folder)
    shape: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(tokenizer), intermediate_size=32, pad_token_id=2, **shape)).save_pretrained(
        folder
    )
    vae = TextVAE.from_encoder(folder, "cpu")
    vae.model.stages.extend([Dense(32, 8, True, "Tanh"), Normalize()])
    vae.model.config.latent_dim = 8
    vae.save_pretrained(folder.with_name("sentences"))
    return folder.with_name("sentences")


def use(folder: Path, sort: str) -> None:
    """Load a folder and ask it everything; raise AssertionError if what it says is contradictory."""
    if sort == "encoder":
        vae = TextVAE.from_pretrained(folder, "cpu")
        vectors = vae.encode(["the red fox", "a", ""])
        assert vectors.shape == (3, vae.dim) and np.isfinite(vectors).all(), "latents that are not finite"
    elif sort in ("run", "shards", "slots"):
        vae = TextVAE.from_pretrained(folder, "cpu")
        _run_facts(folder)
        assert np.isfinite(vae.encode(["the red fox", "a"])).all(), "latents that are not finite"
        assert np.isfinite(vae.log_likelihood(["a fox"], num_samples=2)).all(), "likelihoods that are not finite"
        vae.sample(2, seed=0)
        vae.reconstruct(["the old house near a tree"])
        assert np.isfinite(vae.familiarity(["the red fox"])).all(), "familiarity that is not finite"
    elif sort == "attribute":
        attribute = Attribute.load(folder)
        repr(attribute), attribute.summary()
        assert np.isfinite(attribute.log_odds(np.ones((2, 32), np.float32))).all(), "scores that are not finite"
    else:
        index = LatentIndex.load(folder)
        ids, texts = index.ids, index.texts
        assert len(ids) == len(texts) == len(index) == len(set(ids)), "counts that differ"
        items = [index.get(id) for id in ids]
        assert [text for text, _ in items] == texts, "texts that differ"
        hits = index.search(np.ones((3, index.dim), np.float32), k=5)
        assert all(hit.id in ids for near in hits for hit in near), "hits that are not there"
        assert all(np.isfinite(hit.score) for near in hits for hit in near), "scores that are not finite"
        index.search(np.ones(index.dim, np.float32), k=5, where="n >= 5")
        index.save(folder.with_name("saved"))


def outcomes(sources: dict[str, list[Path]], kind: str, mutations: int, seed: int) -> collections.Counter[str]:
    """Return how many mutations of a kind ended in each way."""
    found: list[str] = []
    context = multiprocessing.get_context("fork")
    while len(found) < mutations:
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=run, args=(sources, kind, seed, range(len(found), mutations), theirs))
        child.start()
        theirs.close()
        try:
            mine.recv()  # that the unchanged folder can be used
        except EOFError:
            sys.exit(f"{kind}: the unchanged folder cannot be used")
        try:
            while len(found) < mutations and mine.poll(4 * PATIENCE):  # of this machine's time, which others share
                found.append(mine.recv())
        except EOFError:
            pass
        if len(found) < mutations:  # the child died or hangs
            sys.stdout.write(f"  {kind} {len(found)}: hang\n")
            found.append("hang")
        child.kill()
        child.join()
    return collections.Counter(found)


def run(sources: dict[str, list[Path]], kind: str, seed: int, trials: range, outcome: Connection) -> None:
    """Send the outcome of each trial."""
    sort, change = KINDS[kind]
    with tempfile.TemporaryDirectory(dir=sources[sort][0].parent) as scratch:
        for source in sources[sort]:
            use(shutil.copytree(source, Path(scratch) / "warm" / source.name), sort)  # imports and arenas
        outcome.send("ready")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # C++ and Rust have their say before they fail
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        for trial in trials:
            generator = random.Random(f"{kind} {seed} {trial}")
            source = generator.choice(sources[sort])
            folder = Path(scratch) / "trial" / source.name
            shutil.rmtree(folder.parent, ignore_errors=True)
            shutil.copytree(source, folder)
            change(folder, generator)
            outcome.send(judged(folder, sort, f"{kind} {trial}"))


def judged(folder: Path, sort: str, name: str) -> str:
    """Return what became of a changed folder."""
    begin = resource.getrusage(resource.RUSAGE_SELF)
    try:
        use(folder, sort)
        result = "legal"
    except CorruptFileError:
        result = "refused"
    except AssertionError as error:
        result, words = "silent", str(error)
    except MemoryError:
        result, words = "hang", "memory"
    except BaseException as error:
        documented = isinstance(error, ValueError) and any(each in str(error) for each in DOCUMENTED)
        result, words = "foreign" if documented else "raw", f"{type(error).__name__}: {error}"[:300]
    end = resource.getrusage(resource.RUSAGE_SELF)
    if end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime > PATIENCE:
        result, words = "hang", "seconds"
    if result in BAD:
        sys.stdout.write(f"  {name}: {result}: {words}\n")
        sys.stdout.flush()
    return result


# Changes


def in_json(name: str, inside: tuple[str, ...] = ()) -> Change:
    """Return the change of a value anywhere in a JSON file, or in one of its parts."""

    def change(folder: Path, generator: random.Random) -> None:
        path = folder / name
        content = json.loads(path.read_text())
        part = content[generator.choice(inside)] if inside and generator.random() < 0.5 else content
        for _ in range(generator.choice([1, 1, 1, 2, 5])):
            mutate(part if isinstance(part, dict | list) else content, generator)
        try:
            text = json.dumps(content)
        except RecursionError:  # deeper than Python writes
            text = "[" * 5000 + "]" * 5000
        path.write_text(text)
        write_manifest(folder)

    return change


def mutate(content: Any, generator: random.Random) -> None:
    """Change, remove, add, swap or nest one value of a tree."""
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = generator.choice(keys)
        if not isinstance(place[key], dict | list) or not place[key] or generator.random() < 0.2:
            break
        place = place[key]
    match generator.choice(["odd", "odd", "odd", "number", "number", "remove", "add", "swap", "deep"]):
        case "odd":
            place[key] = copy.deepcopy(generator.choice(ODD))
        case "number":
            old = place[key]
            number = isinstance(old, int | float) and not isinstance(old, bool)
            place[key] = generator.choice([old * 2, -old, old + 1, old - 1, old * 10**6, float(old)]) if number else 5
        case "remove":
            del place[key]
        case "add":
            name = generator.choice(["auto_map", "_attn_implementation", "x", "num_labels", "model_type"])
            if isinstance(place, dict):
                place[name] = copy.deepcopy(generator.choice(ODD))
            else:
                place.append(copy.deepcopy(generator.choice(ODD)))
        case "swap":
            other = generator.choice(keys)
            place[key], place[other] = place[other], place[key]
        case "deep":
            value: Any = place[key]
            for _ in range(generator.choice([1, 5, 100, 900])):
                value = [value]
            place[key] = value


def in_safetensors(name: str) -> Change:
    """Return the change of the header of a safetensors file, whose data stay."""

    def change(folder: Path, generator: random.Random) -> None:
        path = generator.choice(sorted(folder.glob(name)))
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        names = [key for key in header if key != "__metadata__"]
        one, other = generator.choice(names), generator.choice(names)
        match generator.choice(["shape", "dtype", "swap", "rename", "remove", "offset", "any", "transpose", "values"]):
            case "shape":
                header[one]["shape"] = generator.choice(
                    [[], [1], [10**9], [2**40, 2**40], header[other]["shape"], [-1]]
                )
            case "dtype":
                header[one]["dtype"] = generator.choice(
                    ["F16", "BF16", "I32", "U8", "F64", "I64", "BOOL", "F8_E4M3", "X"]
                )
            case "swap":
                header[one], header[other] = header[other], header[one]
            case "rename":
                header[generator.choice(["x", one + ".x", "../x", ""])] = header.pop(one)
            case "remove":
                del header[one]
            case "offset":
                header[one]["data_offsets"] = generator.choice(
                    [[0, 0], [0, 2**62], [5, 3], header[other]["data_offsets"]]
                )
            case "any":
                mutate(header, generator)
            case "transpose":
                header[one]["shape"] = header[one]["shape"][::-1]
            case "values":
                begin, end = header[one]["data_offsets"]
                odd = generator.choice([float("nan"), float("inf"), 3e38, -1.0, 0.0])
                filled = np.full((end - begin) // 4, odd, "<f4").tobytes()
                data = data[: 8 + length + begin] + filled + data[8 + length + begin + len(filled) :]
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
        write_manifest(folder)

    return change


SQL = [
    "DELETE FROM items WHERE id = {id}", "UPDATE items SET id = {odd} WHERE id = {id}", "DROP TABLE items",
    "UPDATE items SET text = {value} WHERE id = {id}", "UPDATE items SET metadata = {value} WHERE id = {id}",
    "INSERT INTO items VALUES ({odd}, {value}, {value})", "CREATE TABLE other (x)", "CREATE INDEX i ON items (text)",
    "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END", "ALTER TABLE items ADD COLUMN x",
    "ALTER TABLE items RENAME TO y", "ALTER TABLE items RENAME COLUMN text TO w", "UPDATE items SET metadata = '[]'",
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)", "DROP TABLE IF EXISTS names",
    "INSERT INTO names VALUES ({odd}, {value})", "UPDATE names SET name = {value} WHERE id = {id}",
    "DELETE FROM names WHERE id = {id}", "CREATE VIEW v AS SELECT * FROM items", "PRAGMA journal_mode = WAL",
    "PRAGMA user_version = {odd}", "PRAGMA encoding = 'UTF-16'", "PRAGMA auto_vacuum = 1", "VACUUM",
    "CREATE VIRTUAL TABLE f USING fts5 (x)", "UPDATE items SET id = id + 1000",
]  # fmt: skip
VALUES = ["NULL", "5", "1.5", "x'00ff'", "''", "'{}'", "'[]'", "'{\"n\": 1e999}'", "'{'", "CAST(x'ff' AS TEXT)", "'a'",
          "'{\"a\": NaN}'", "char(27)", "char(0)", "zeroblob(100000)", "'null'", "printf('%.5000c', '[')"]  # fmt: skip


def in_database(folder: Path, generator: random.Random) -> None:
    """Change the texts of an index by SQL, now and then in the schema itself."""
    database = sqlite3.connect(folder / "items.sqlite", isolation_level=None)
    for _ in range(generator.choice([1, 1, 2, 4])):
        odd = generator.choice(["-1", "200", "10000", "9223372036854775807", "NULL", "3", "-9223372036854775808"])
        words = generator.choice(SQL).format(id=generator.randrange(200), odd=odd, value=generator.choice(VALUES))
        try:
            if generator.random() < 0.1:
                database.execute("PRAGMA writable_schema = ON")
                words = "UPDATE sqlite_master SET " + generator.choice(
                    ["sql = replace(sql, 'TEXT', 'BLOB')", "rootpage = rootpage + 1", "type = 'view'",
                     "sql = sql || ' '", "rootpage = 2", "name = 'x'", "sql = replace(sql, 'NOT NULL', '')"]
                )  # fmt: skip
            database.execute(words)
        except sqlite3.Error:
            continue
    database.close()
    for rest in folder.glob("items.sqlite-*"):
        rest.unlink()
    write_manifest(folder)


def in_faiss(folder: Path, generator: random.Random) -> None:
    """Give an aligned number of a faiss file, near its beginning or end as a rule, another value."""
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    for _ in range(generator.choice([1, 1, 1, 2, 4])):
        near = generator.choice([64, 256, 2048, len(data) - 8])
        at = generator.randrange(min(near, len(data) - 8))
        at = len(data) - 8 - at if generator.random() < 0.3 else at
        kind = generator.choice("iqfBQ")
        number = generator.choice([0, 1, 2, -1, 3, 7, 31, 33, 255, 10**6, 2**31 - 1, 2**40, -(2**31), 2**62])
        size = struct.calcsize("<" + kind)
        if kind == "f":
            raw = struct.pack("<f", generator.choice([float("nan"), float("inf"), 1e38, -1.0, 0.0]))
        elif generator.random() < 0.3:
            raw = bytes(data[at : at + size])
            raw = (int.from_bytes(raw, "little") + generator.choice([-1, 1, 2])).to_bytes(
                size + 1, "little", signed=True
            )
        else:
            raw = (number % 2 ** (8 * size)).to_bytes(size, "little")
        data[at : at + size] = raw[:size]
    if generator.random() < 0.15:
        codes = [
            b"IxFI",
            b"IxF2",
            b"IHNf",
            b"IwFl",
            b"ilod",
            b"ilar",
            b"IxMp",
            b"IxM2",
            b"IxPT",
            b"null",
            b"IxSQ",
            b"IBxF",
        ]
        present = [code for code in codes if code in data]
        if present:
            data = bytearray(bytes(data).replace(generator.choice(present), generator.choice(codes), 1))
    path.write_bytes(data)
    write_manifest(folder)


def in_manifest(folder: Path, generator: random.Random) -> None:
    """Change the entries of a manifest."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    names = list(content)
    match generator.choice(["any", "name", "digest", "remove"]):
        case "any":
            mutate(content, generator)
        case "name":
            odd = ["../x", "/etc/passwd", "a\\b", "..", "", "x/../y", "\0", "x" * 5000, "C:x", "./config.json", "sub"]
            content[generator.choice(odd)] = content[generator.choice(names)]
        case "digest":
            content[generator.choice(names)] = copy.deepcopy(generator.choice(ODD))
        case "remove":
            del content[generator.choice(names)]
    path.write_text(json.dumps(content))


BAD = ("silent", "hang", "raw")
KINDS: dict[str, tuple[str, Change]] = {
    "config": ("run", in_json("config.json", ("encoder", "decoder"))),
    "tokenizer": ("run", in_json("tokenizer.json", ("model", "pre_tokenizer", "post_processor", "decoder"))),
    "tokenizer_config": ("run", in_json("tokenizer_config.json")),
    "prior": ("run", in_safetensors("prior.safetensors")),
    "weights": ("run", in_safetensors("model.safetensors")),
    "shards": ("shards", in_json("model.safetensors.index.json", ("weight_map",))),
    "index.json": ("index", in_json("index.json")),
    "items": ("index", in_database),
    "faiss": ("index", in_faiss),
    "attribute": ("attribute", in_json("attribute.json")),
    "direction": ("attribute", in_safetensors("direction.safetensors")),
    "manifest": ("index", in_manifest),
    "manifest_run": ("run", in_manifest),
    "familiarity": ("run", in_json("familiarity.json", ("totals",))),
    "config_slots": ("slots", in_json("config.json", ("encoder", "decoder"))),
    "prior_slots": ("slots", in_safetensors("prior.safetensors")),
    "store": ("numpy", in_safetensors("index.safetensors")),
    "encoder_config": ("encoder", in_json("config.json")),
    "encoder_tokenizer": ("encoder", in_json("tokenizer_config.json")),
    "modules": ("encoder", in_json("modules.json")),
    "sentence_settings": ("encoder", in_json("sentence_bert_config.json")),
    "pooling": ("encoder", in_json("1_Pooling/config.json")),
    "dense": ("encoder", in_json("2_Dense/config.json")),
    "dense_weights": ("encoder", in_safetensors("2_Dense/model.safetensors")),
}

if __name__ == "__main__":
    main()
