import dataclasses
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from forking import shell

from textvae import TextVAE
from textvae.attributes.attribute import Attribute
from textvae.cli import VERBS, _app, main
from textvae.cli.errors import explain
from textvae.cli.terminal import shown
from textvae.index import LatentIndex
from textvae.modeling import TextVAEConfig
from textvae.storage.errors import CorruptFileError

TEXTS = [
    f"{thing} was {how}"
    for thing in ("the room", "the food", "the staff", "our table", "this hotel", "the soup")
    for how in ("clean", "cold", "friendly", "slow", "great", "loud", "fresh", "dull", "warm", "small")
]
HEAVY = {"torch", "transformers", "numpy", "faiss", "datasets", "tokenizers", "pandas", "pyarrow"}
FIRST = TEXTS[0]


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self):
        assert self.code == 0, self.err
        return self.out.split("\n")[:-1]

    @property
    def records(self):
        return [json.loads(line) for line in self.lines]


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """What the words in capitals of a command stand for: whole folders, damaged ones and ones of another model."""
    folder = tmp_path_factory.mktemp("cli")
    config = TextVAEConfig.preset("tiny", vocab_size=400)
    vae = TextVAE.from_texts(TEXTS, config)
    vae.save_pretrained(folder / "run")
    TextVAE.from_texts(TEXTS, config, seed=1).save_pretrained(folder / "other")
    LatentIndex.build(vae, [{"text": text, "n": n} for n, text in enumerate(TEXTS)]).save(folder / "index")
    Attribute.fit(vae, TEXTS[:10], TEXTS[20:30], name="roominess").save(folder / "attribute")
    Attribute.fit(TextVAE.from_pretrained(folder / "other"), TEXTS[:10], TEXTS[20:30]).save(folder / "alien")
    damaged = {
        "TRUNCATED": ("run", "model.safetensors", lambda data: data[: len(data) // 2]),
        "FLIPPED": ("run", "model.safetensors", flip),
        "FLIPPED_TOKENIZER": ("run", "tokenizer.json", flip),
        "FLIPPED_INDEX": ("index", "index.faiss", flip),
        "FLIPPED_ITEMS": ("index", "items.sqlite", flip),
        "FLIPPED_ATTRIBUTE": ("attribute", "direction.safetensors", flip),
        "UNLISTED": ("run", "model.safetensors", lambda data: data[: len(data) // 2]),
    }
    for name, (source, file, damage) in damaged.items():
        shutil.copytree(folder / source, folder / name)
        path = folder / name / file
        path.write_bytes(damage(path.read_bytes()))
    (folder / "UNLISTED" / "manifest.json").unlink()  # a copy without its manifest: only safetensors can tell
    names = {"RUN": "run", "OTHER": "other", "INDEX": "index", "ATTRIBUTE": "attribute", "ALIEN": "alien"}
    return {name: str(folder / path) for name, path in (names | {name: name for name in damaged}).items()}


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Make a current folder with good and bad inputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEXTVAE_DEBUG", raising=False)
    Path("texts.txt").write_text("\n".join(TEXTS) + "\n")
    Path("positive.txt").write_text("\n".join(TEXTS[:10]))
    Path("negative.txt").write_text("\n".join(TEXTS[20:30]))
    Path("table.csv").write_text("id,review,stars\n1,the food was fine,5\n2,the soup was cold,1\n")
    Path("empty.txt").touch()
    Path("blank.txt").write_text("\n  \n\t\n")
    Path("binary.bin").write_bytes(bytes(range(256)) * 8)
    Path("folder").mkdir()
    Path("folder/file").touch()
    np.save("wide.npy", np.zeros((2, 7), np.float32))
    np.save("nan.npy", np.full((2, 32), np.nan, np.float32))
    np.save("words.npy", np.array(["a", "b"]))
    np.save("good.npy", np.zeros((2, 32), np.float32))
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:-9])
    return tmp_path


@pytest.fixture
def textvae(places, here, capsys, monkeypatch):
    """Run a command in this process. Words in capitals are places; a list gives words with spaces."""

    def run(command, *more, stdin=None):
        words = [places.get(word, word) for word in [*command.split(), *more]]
        if stdin is not None:
            data = stdin if isinstance(stdin, bytes) else stdin.encode()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
        capsys.readouterr()
        code = main(words)
        return Result(code, *capsys.readouterr())

    return run


# What every verb does


def test_encode_writes_the_posterior_means_to_exactly_the_named_file(textvae, places):
    result = textvae("encode RUN texts.txt -o latents")
    assert result.lines == ["wrote 60 latents of 32 dimensions to latents"]
    latents = np.load("latents", allow_pickle=False)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(latents, TextVAE.from_pretrained(places["RUN"]).encode(TEXTS))


def test_encode_prints_a_line_for_each_text(textvae):
    records = textvae("encode RUN texts.txt --limit 3 --json").records
    assert [record["text"] for record in records] == TEXTS[:3]
    lines = textvae("encode RUN texts.txt --limit 3").lines
    np.testing.assert_allclose(
        [[float(number) for number in line.split()] for line in lines],
        [record["latent"] for record in records],
        rtol=1e-5,
    )


def test_decode_undoes_encode_as_reconstruct_does(textvae):
    textvae("encode RUN texts.txt --limit 4 -o z.npy")
    reconstructed = textvae("reconstruct RUN texts.txt --limit 4 --json").records
    assert [record["source"] for record in reconstructed] == TEXTS[:4]
    assert [record["text"] for record in textvae("decode RUN z.npy --json").records] == [
        record["text"] for record in reconstructed
    ]
    assert len(textvae("decode RUN z.npy --num-beams 2 --candidates 2 --max-length 9").lines) == 4
    assert "refinements must not be negative" in textvae("decode RUN z.npy --refinements -1").err


def test_a_seed_repeats_samples_and_another_gives_others(textvae):
    one, same, other = (textvae(f"sample RUN -n 3 --temperature 1 --seed {seed}").lines for seed in (0, 0, 1))
    assert len(one) == 3
    assert one == same != other


@pytest.mark.parametrize(
    ("command", "sentences", "keys", "count"),
    [
        ("sample RUN -n 2 --top-p 0.9 --temperature 1", [], {"text"}, 2),
        ("vary RUN -n 3 --spread 0.5 --seed 1", [FIRST], {"source", "text", "familiarity"}, 3),
        ("interpolate RUN -n 4 --method linear", [FIRST, TEXTS[9]], {"position", "text"}, 4),
        ("analogy RUN --scale 0.5", [FIRST, TEXTS[9], TEXTS[20]], {"text"}, 1),
        ("blend RUN --weights 1 -2 3 --device cpu", [FIRST, TEXTS[9], TEXTS[20]], {"text"}, 1),
        ("traverse RUN --dim 3 --values -1 0 1", [FIRST], {"source", "dim", "value", "text"}, 3),
        ("traverse RUN --dim 3", [FIRST], {"source", "dim", "value", "text"}, 7),
        (
            "shift RUN --attribute ATTRIBUTE --strength -1.5",
            [FIRST],
            {"source", "attributes", "text", "familiarity", "reached", "probability"},
            1,
        ),
        ("search INDEX -k 2", [FIRST], {"query", "rank", "id", "score", "text", "metadata"}, 2),
        ("search INDEX -k 2 --blend", [FIRST], {"query", "text", "ids"}, 1),
    ],
)
def test_json_and_text_say_the_same(textvae, command, sentences, keys, count):
    words = ["--", *sentences] if sentences else []
    seed = " --seed 7" if command.startswith("sample") else ""
    records = textvae(f"{command}{seed} --json", *words).records
    assert len(records) == count
    assert all(set(record) == keys for record in records)
    lines = textvae(command + seed, *words).lines
    assert all(shown(record["text"]) in line for record, line in zip(records, lines, strict=True))


def test_sentences_come_from_stdin_where_a_hyphen_stands(textvae):
    two = f"{FIRST}\n\n{TEXTS[9]}\n"
    assert [r["source"] for r in textvae("reconstruct RUN - --json", stdin=two).records] == [FIRST, TEXTS[9]]
    assert [r["source"] for r in textvae("vary RUN - -n 1 --json", stdin=two).records] == [FIRST, TEXTS[9]]
    shifted = textvae("shift RUN - --attribute ATTRIBUTE --json", stdin=two).records
    assert [r["source"] for r in shifted] == [FIRST, TEXTS[9]]
    piped = textvae("interpolate RUN - - -n 3", stdin=two).lines
    assert piped == textvae("interpolate RUN -n 3", FIRST, TEXTS[9]).lines
    assert textvae("blend RUN -", stdin=two).lines == textvae("blend RUN", FIRST, TEXTS[9]).lines
    found = textvae("search INDEX - -k 1", stdin=two).lines
    assert [line.split("\t")[0] for line in found] == [FIRST, TEXTS[9]]
    blended = textvae("search INDEX - -k 1 --blend", stdin=two).lines  # of one hit each, the sentence itself
    assert blended == [f"{text}\t{textvae('reconstruct RUN -', stdin=text).lines[0]}" for text in (FIRST, TEXTS[9])]


def test_an_index_that_is_replaced_is_said_to_be(textvae):
    textvae("index RUN table.csv -o twice")
    again = textvae("index RUN table.csv -o twice")
    assert again.code == 0 and "the index that was in twice is replaced" in again.err


def test_a_sentence_may_begin_with_a_hyphen(textvae):
    assert textvae("vary RUN -n 1 --json", "- so it goes").records[0]["source"] == "- so it goes"


def test_an_index_is_built_searched_and_keeps_columns(textvae):
    built = textvae("index RUN table.csv -o found --keep stars --keep id --metric l2 --factory Flat")
    assert built.lines == ["indexed 2 texts in found"] and "replaced" not in built.err
    hits = textvae("search found --json", "the soup was cold").records  # k is 10, the index holds 2
    assert [hit["metadata"] for hit in hits] == [{"stars": "1", "id": "2"}, {"stars": "5", "id": "1"}]
    line = textvae("search found -k 1 --model RUN --device cpu", "the soup was cold").lines[0]
    score, text, metadata = line.split("\t")
    assert (float(score), text, json.loads(metadata)) == (0, "the soup was cold", {"stars": "1", "id": "2"})
    again = textvae("index RUN texts.txt -o found --json")  # replaces an index, which it may
    assert again.records == [{"output": "found", "texts": 60, "dim": 32, "factory": "Flat", "metric": "cosine"}]


def test_an_attribute_is_fitted_and_shifts_a_file(textvae):
    (line,) = textvae("attribute RUN --positive positive.txt --negative negative.txt -o roomy").lines
    assert line.startswith("roomy: 20 examples")
    command = "attribute RUN --positive positive.txt --negative negative.txt -o roomy --name r --json"
    (record,) = textvae(command).records
    assert record["name"] == "r"
    assert record["interval"][0] <= record["accuracy"] <= record["interval"][1]
    shifted = textvae("shift RUN --attribute roomy --input table.csv --strength 0 --json").records
    rebuilt = textvae("reconstruct RUN table.csv --json").records
    assert [(r["source"], r["text"]) for r in shifted] == [(r["source"], r["text"]) for r in rebuilt]


def test_texts_without_a_label_are_read_too(textvae):
    Path("others.txt").write_text("\n".join(f"{text} again" for text in TEXTS) + "\n")
    command = "attribute RUN --positive positive.txt --negative negative.txt --unlabelled others.txt -o roomy --json"
    (record,) = textvae(command).records
    assert record["unlabelled"] == 60 and textvae("info roomy --json").records[0]["unlabelled"] == 60
    rows = [f"{text},{'big' if i < 30 else 'small'}" for i, text in enumerate(TEXTS)]
    Path("labelled.csv").write_text("\n".join(["text,size", *rows]) + "\n")
    again = "attribute RUN labelled.csv --label size --unlabelled others.txt -o size --json"
    assert textvae(again).records[0]["unlabelled"] == 60


def test_texts_that_are_short_of_the_target_are_counted(textvae):
    reached = []
    for strength in (0.01, -0.01):  # a sentence cannot be typical of both classes
        command = f"shift RUN --attribute ATTRIBUTE --strength {strength} --candidates 1 --json"
        result = textvae(command, FIRST)
        reached.append(result.records[0]["reached"])
        told = f"1 text is short of the target (--explain says by how much), such as: {result.records[0]['text'][:20]}"
        assert (told in result.err) is not reached[-1]
        assert textvae(f"{command} --quiet", FIRST).err == ""
    assert not all(reached)


def test_an_attribute_comes_from_a_labelled_column_or_a_dimension(textvae):
    rows = [f"{text},{'big' if i < 30 else 'small'},{i % 4}" for i, text in enumerate(TEXTS)]
    Path("labelled.csv").write_text("\n".join(["text,size,stars", *rows]) + "\n")
    (record,) = textvae("attribute RUN labelled.csv --label size -o size --probe lda --json").records
    assert record["examples"] == 60 and record["probe"] == "lda"
    assert "positive small" in " ".join(textvae("info size").out.split())
    first, *dimensions = textvae("attribute RUN labelled.csv --label size --class big -o size --dims --json").records
    assert len(dimensions) == 32 and {"dim", "information", "correlation"} == set(dimensions[0])
    assert dimensions[0]["information"] == max(each["information"] for each in dimensions) > 0.1
    lines = textvae("attribute RUN labelled.csv --label stars -o stars --dims").lines
    assert lines[0].startswith("stars: 60 examples") and lines[1].startswith("dimension ")
    assert textvae("attribute RUN --dim 3 -o three").lines == ["three: not fitted on examples"]
    (record,) = textvae("info three --json").records
    assert (record["accuracy"], record["interval"], record["probe"]) == (None, None, "dimension")


def test_a_shift_takes_several_attributes_and_explains(textvae):
    textvae("attribute RUN --positive positive.txt --negative negative.txt -o roomy")
    textvae("attribute RUN --dim 3 -o three")
    command = "shift RUN --attribute roomy=-1 --attribute three --strength 2 --candidates 4 --certainty 0.8"
    (record,) = textvae(f"{command} --json", FIRST).records
    assert record["attributes"] == {"roomy": -1.0, "three": 2.0}
    (explained,) = textvae(f"{command} --json --explain", FIRST).records
    assert explained["text"] == record["text"]
    assert set(explained) == {
        "source", "attributes", "text", "familiarity", "strengths", "before", "after", "probability", "similarity",
        "nats", "reached",
    }  # fmt: skip
    assert (record["reached"], record["probability"]) == (explained["reached"], explained["probability"])
    text, why = textvae(f"{command} --explain", FIRST).lines[0].split("\t")
    assert text == " ".join(record["text"].splitlines()) and why.startswith("roomy ")
    kept = textvae("shift RUN --attribute roomy=2 --keep three --explain --json", FIRST).records[0]
    assert set(kept["before"]) == {"roomy", "three"} and kept["attributes"] == {"roomy": 2.0}
    Path("roomy").rename("a=b")
    assert textvae("shift RUN --attribute a=b --json", FIRST).records[0]["attributes"] == {"roomy": 1.0}


def test_traverse_tells_what_changed(textvae):
    records = textvae("traverse RUN --dim 3 --values 0 9 --explain --json", FIRST).records
    rebuilt = textvae("reconstruct RUN - --json", stdin=FIRST).records[0]["text"]
    assert all(bool(record["changes"]) == (record["text"].split() != rebuilt.split()) for record in records)
    lines = textvae("traverse RUN --dim 3 --values 0 9 --explain", FIRST).lines
    assert [line.split("\t")[0] for line in lines] == ["0", "9"]
    assert any(
        record["changes"] for record in textvae("traverse RUN --dim 3 --values 99 --explain --json", FIRST).records
    )


def test_eval_prints_a_table_or_a_record(textvae):
    command = "eval RUN texts.txt --limit 5 --num-samples 2 --n-prior 4 --n-paths 2"
    (record,) = textvae(f"{command} --json -o report.json").records
    assert record["texts"] == 5
    assert json.loads(Path("report.json").read_text()) == record
    shown = [name for name, value in record.items() if value is not None and not isinstance(value, list)]
    assert [line.split()[0] for line in textvae(command).lines] == shown


def test_eval_scores_the_factors_of_a_table(textvae):
    table = "text,tense,mood\n" + "".join(f"sentence {i},{'past' if i % 2 else 'present'},{i % 3}\n" for i in range(24))
    Path("factors.csv").write_text(table)
    command = "eval RUN factors.csv --num-samples 1 --n-prior 2 --n-paths 1 --factor tense --factor"
    (record,) = textvae(f"{command} mood --json").records
    assert 0 <= record["mig"] < 1
    refused = textvae(f"{command} colour")
    assert refused.code == 3 and "colour" in refused.err


@pytest.mark.parametrize(("by", "key"), [("likelihood", "nats_per_word"), ("width", "width"), ("distance", "distance")])
def test_score_puts_the_most_unusual_texts_first(textvae, places, by, key):
    records = textvae(f"score RUN texts.txt --by {by} --num-samples 2 --json").records
    assert sorted(record["text"] for record in records) == sorted(TEXTS)
    assert set(records[0]) == {"text", "nats_per_word", "width", "distance"}
    values = [record[key] for record in records]
    assert values == sorted(values, reverse=by != "width") and values[0] != values[-1]
    if by == "distance":
        latents = TextVAE.from_pretrained(places["RUN"]).encode([record["text"] for record in records])
        np.testing.assert_allclose(values, np.linalg.norm(latents, axis=1), rtol=1e-5)
    lines = textvae(f"score RUN texts.txt --by {by} --num-samples 2 -k 3").lines
    assert [line.split("\t") for line in lines] == [
        [f"{record[name]:.3f}" for name in ("nats_per_word", "width", "distance")] + [record["text"]]
        for record in records[:3]
    ]
    assert by != "likelihood" or lines == textvae("score RUN texts.txt --num-samples 2 -k 3").lines


@pytest.mark.parametrize(("place", "kind"), [("RUN", "run"), ("INDEX", "index"), ("ATTRIBUTE", "attribute")])
def test_info_says_what_a_folder_holds(textvae, place, kind):
    (record,) = textvae(f"info {place} --json").records
    assert record["kind"] == kind
    lines = textvae(f"info {place}").lines
    told = [name for name, value in record.items() if value is not None and (kind, name) != ("attribute", "unlabelled")]
    assert [line.split()[0] for line in lines] == told


def test_info_tells_an_attribute_in_words(textvae, places):
    attribute = dataclasses.replace(Attribute.load(places["ATTRIBUTE"]), writability=0.875)
    attribute.save("written")
    words = dict(line.split(maxsplit=1) for line in textvae("info written").lines)
    low, high = attribute.interval
    assert words["examples"] == "20 with a label, 0 without"
    assert words["accuracy"] == f"{attribute.accuracy:.1%} of held-out examples told apart; 50% is guessing"
    assert words["interval"] == f"{low:.1%} to {high:.1%} (95%)"
    assert words["writability"] == "87.5% of shifted texts are as natural as the examples"
    textvae("attribute RUN --dim 3 -o three")
    assert "none: it is one latent dimension" in textvae("info three").out


def test_info_counts_parameters_as_torch_does(textvae, places):
    (record,) = textvae("info RUN --json").records
    model = TextVAE.from_pretrained(places["RUN"]).model
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_guidance_needs_a_model_that_was_trained_for_it(textvae):
    assert len(textvae("sample RUN -n 3 --seed 0 --guidance 1").lines) == 3
    refused = textvae("sample RUN -n 3 --guidance 0.5")
    assert refused.code == 3 and "guidance must be 1 for a model trained without latent dropout" in refused.err
    textvae("train texts.txt -o guided --from RUN --max-steps 1 --valid table.csv")
    sampled = [textvae(f"sample guided -n 20 --seed 0 --guidance {weight}").lines for weight in (0, 0.2, 1)]
    assert len(set(sampled[0])) == 1 and sampled[1] != sampled[2]
    textvae("encode guided texts.txt --limit 4 -o z.npy")
    assert len(set(textvae("decode guided z.npy --guidance 0").lines)) == 1


@pytest.mark.parametrize("cache", ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"])
def test_verbs_of_a_model_bound_the_kernels_that_are_kept(textvae, monkeypatch, cache):
    monkeypatch.setenv(cache, "7")
    textvae("encode RUN texts.txt --limit 2 -o z.npy")
    assert os.environ[cache] == "7"  # the user's wins
    monkeypatch.delenv(cache)
    textvae("encode RUN texts.txt --limit 2 -o z.npy")
    assert os.environ[cache] == "64"


def test_train_from_a_model_and_resume(textvae, places):
    tuned = textvae("train texts.txt -o tuned --from RUN --max-steps 2 --batch-tokens 200 --valid table.csv")
    assert tuned.code == 0, tuned.err
    assert "from scratch" not in tuned.err
    assert Path("tuned/tokenizer.json").read_bytes() == (Path(places["RUN"]) / "tokenizer.json").read_bytes()
    assert textvae("train texts.txt -o tuned --resume --valid table.csv").code == 0
    Path("tune.json").write_text(json.dumps({"from": places["RUN"], "max_steps": 1}))
    assert textvae("train texts.txt -o third --config tune.json --valid table.csv").code == 0
    refused = textvae("train texts.txt -o other --from nowhere --valid table.csv")
    assert refused.code == 3
    assert "nowhere" in refused.err


def test_train_resume_plot_and_info_of_a_run(textvae):
    Path("options.json").write_text('{"size": "tiny", "max_steps": 9, "batch_tokens": 200}')
    trained = textvae("train texts.txt -o run --config options.json --max-steps 2 --valid table.csv --limit 40")
    assert len(trained.lines) == 1
    assert trained.out.startswith("run: best validation at step 2: loss ")
    assert "Writing model shards" not in trained.err
    assert "texts teach a model little from scratch: go on from one that is trained, --from RUN" in trained.err
    made_from = json.loads(Path("run/training.json").read_text())
    assert made_from["options"]["size"] == "tiny"
    assert made_from["options"]["max_steps"] == 2  # a flag wins over the file
    resumed = textvae("train texts.txt -o run --resume --valid table.csv --limit 40 --quiet --json")
    assert resumed.records[0]["run"] == "run"  # with the options of the run, without their flags
    assert resumed.err == ""
    assert textvae("train texts.txt -o run --resume --seed 1 --valid table.csv --limit 40").code == 3
    assert textvae("info run --json").records[0]["best_step"] == 2
    pytest.importorskip("matplotlib")
    assert textvae("plot run").lines == ["run/training.png"]
    assert textvae("plot run -o curves.png --json").records == [{"picture": "curves.png"}]
    Path("shops.csv").write_text(
        "text,town\n" + "".join(f"the shop in {t} was open,{t}\n" for t in ("Ulm", "Bonn", "Jena"))
    )
    drawn = textvae("plot run shops.csv --label town -o drawn").lines
    names = ["training.png", "map.png", "map.html", "dimensions.png"]
    assert drawn == [f"drawn/{name}" for name in names] and all(map(os.path.exists, drawn))
    assert textvae("plot RUN shops.csv -o drawn").lines == drawn[1:]  # a run without metrics has no curves
    assert textvae("plot run --label stars").code == 2
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_training_that_diverges_exits_1(textvae):
    command = "train texts.txt -o run --size tiny --max-steps 9 --learning-rate 1e30 --max-grad-norm 1e30 --quiet"
    result = textvae(command)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "training stopped at step" in result.err


# Odd text


@pytest.mark.parametrize(
    "text",
    [
        "nul \0 inside",
        "🦊 emoji 👩‍👩‍👧",
        "שלום עולם",
        "x" * 1_000_000,
        "tab\tand\u2028separator",
    ],
    ids=["nul", "emoji", "rtl", "megabyte", "separators"],
)
def test_odd_text_passes_through_every_way_in(textvae, text):
    Path("odd.txt").write_text(text + "\n", encoding="utf-8")
    assert len(textvae("encode RUN odd.txt --json").records) == 1
    assert len(textvae("encode RUN - --json", stdin=text).records) == 1
    assert len(textvae("vary RUN -n 1 --json", text).records) == 1
    assert textvae("index RUN odd.txt -o odd").code == 0
    assert len(textvae("search odd", text).lines) == 1


def test_a_lone_surrogate_comes_out_as_readable_json(textvae):
    Path("odd.jsonl").write_text('{"text": "half an emoji: \\ud83d", "mood": "\\ud83d"}\n')
    result = textvae("encode RUN odd.jsonl --json")
    assert result.records[0]["text"] == "half an emoji: \N{REPLACEMENT CHARACTER}"
    assert result.err == "read 1 line: 1 kept, 1 with lone surrogates replaced\n"
    assert textvae("index RUN odd.jsonl -o odd --keep mood --quiet").err == ""
    assert textvae("search odd half --json").records[0]["metadata"] == {"mood": "\ud83d"}
    assert len(textvae("vary RUN -n 1", "argument \udcff").lines) == 1


def test_what_was_dropped_is_said_on_stderr_unless_quiet(textvae):
    gaps = "one\n\ntwo\n"
    assert textvae("encode RUN - --json", stdin=gaps).err == "read 3 lines: 2 kept, 1 empty\n"
    assert textvae("encode RUN - --json --quiet", stdin=gaps).err == ""


# Mistakes

USAGE, BAD_INPUT, CORRUPT = 2, 3, 4
MISTAKES = [
    ("frobnicate", USAGE, 'Unknown command "frobnicate".* See textvae --help'),
    ("encode RUN texts.txt --frob", USAGE, "Unknown option: --frob.* See textvae encode --help"),
    ("vary RUN --frob", USAGE, "no such option.* See textvae vary --help"),
    ("blend RUN a b --jsno", USAGE, "no such option.* See textvae blend --help"),
    ("blend RUN", USAGE, "blend needs sentences"),
    ("vary RUN", USAGE, "vary needs TEXT. See"),
    ("search INDEX two words", USAGE, "There is no place for 'words': a text of several words goes between quotes"),
    ("vary RUN a -n some", USAGE, 'unable to convert "some" into int'),
    ("train texts.txt -o run --size huge", USAGE, 'Invalid value "huge" for --size'),
    ("shift RUN --attribute ATTRIBUTE", USAGE, "either a sentence or --input"),
    ("shift RUN a --input texts.txt --attribute ATTRIBUTE", USAGE, "either a sentence or --input"),
    ("attribute RUN --dim 3 --unlabelled texts.txt -o a", USAGE, "--dim has none"),
    ("attribute RUN --dim 3 --encoder x -o a", USAGE, "--dim has none"),
    (
        "attribute RUN --positive positive.txt --negative negative.txt --unlabelled texts.txt --encoder no/such/x -o a",
        BAD_INPUT,
        "could not load the encoder 'no/such/x'",
    ),
    ("attribute RUN --positive texts.txt --negative texts.txt --encoder x -o a", USAGE, "give those too"),
    ("attribute RUN -o a", USAGE, "attribute needs one kind of examples: give --positive and --negative"),
    ("attribute RUN --positive texts.txt -o a", USAGE, "attribute needs one kind of examples"),
    ("attribute RUN texts.txt -o a", USAGE, "attribute needs one kind of examples"),
    ("attribute RUN table.csv --label stars --dim 1 -o a", USAGE, "attribute needs one kind of examples"),
    ("attribute RUN --dim 1 --dims -o a", USAGE, "need examples, --dim has none"),
    ("attribute RUN --dim 1 --class a -o a", USAGE, "--class names a class of --label"),
    ("attribute RUN table.csv --label nope -o a", BAD_INPUT, "no column 'nope'"),
    ("attribute RUN table.csv --label stars -o a", BAD_INPUT, "at least 2 positive examples, got 1"),
    ("attribute RUN --dim 99 -o a", BAD_INPUT, "dim must be in 0..31, got 99"),
    ("shift RUN a --attribute ATTRIBUTE --candidates 0", BAD_INPUT, "--candidates must be at least 1, got 0"),
    ("shift RUN a --attribute ATTRIBUTE --certainty 1", BAD_INPUT, "certainty must be above 0 and below 1"),
    ("shift RUN a --attribute ATTRIBUTE --attribute ATTRIBUTE", BAD_INPUT, "have the same name"),
    ("shift RUN a --attribute ATTRIBUTE --keep ALIEN", BAD_INPUT, "was fitted on the model"),
    ("encode RUN missing.txt", BAD_INPUT, "there is no file 'missing.txt'"),
    ("vary RUN texts.txt", BAD_INPUT, "texts.txt is a file, not a sentence: for each of its lines write - < texts.txt"),
    ("search INDEX texts.txt", BAD_INPUT, "texts.txt is a file, not a sentence"),
    ("blend RUN texts.txt a", BAD_INPUT, "texts.txt is a file, not a sentence"),
    ("encode RUN empty.txt", BAD_INPUT, "empty.txt holds no text"),
    ("encode RUN blank.txt -o z.npy", BAD_INPUT, "blank.txt holds no text .*3 empty"),
    ("encode RUN folder", BAD_INPUT, "folder is a folder"),
    ("encode RUN binary.bin", BAD_INPUT, "binary.bin is not UTF-8 text"),
    ("encode RUN table.csv --column nope", BAD_INPUT, "no column 'nope': it has id, review, stars"),
    ("encode RUN texts.txt -o folder", BAD_INPUT, "folder is a folder"),
    ("eval RUN texts.txt -o folder", BAD_INPUT, "folder is a folder"),
    ("eval RUN texts.txt --lm folder", BAD_INPUT, "no causal LM could be loaded from 'folder'"),
    ("encode RUN texts.txt --limit 0", BAD_INPUT, "limit must be at least 1"),
    ("encode RUN texts.txt --batch-size 0", BAD_INPUT, "--batch-size must be at least 1, got 0"),
    ("encode RUN texts.txt --device nope", BAD_INPUT, "--device nope cannot be used here"),
    ("index RUN table.csv -o i --keep nope", BAD_INPUT, "no column 'nope'"),
    ("index RUN texts.txt -o folder", BAD_INPUT, "folder exists and is not an index"),
    ("index RUN texts.txt -o i --factory Nope", BAD_INPUT, "does not know the index factory 'Nope'"),
    ("attribute RUN --positive texts.txt --negative texts.txt -o folder", BAD_INPUT, "is not an attribute"),
    ("attribute RUN --positive texts.txt --negative empty.txt -o a", BAD_INPUT, "empty.txt holds no text"),
    ("train empty.txt -o run", BAD_INPUT, "empty.txt holds no text"),
    ("train texts.txt -o folder", BAD_INPUT, "folder exists and is not a run"),
    ("train texts.txt -o run --epochs 0", BAD_INPUT, "--epochs must be above 0"),
    ("train texts.txt -o run --epochs inf", BAD_INPUT, "--epochs must be finite, got inf"),
    ("train texts.txt -o run --config missing.json", BAD_INPUT, "missing.json: No such file"),
    ("train texts.txt -o run --config texts.txt", BAD_INPUT, "texts.txt is not valid JSON"),
    ("sample nowhere", BAD_INPUT, "there is no run at nowhere"),
    ("sample folder", BAD_INPUT, "folder is not a run folder: it has no config.json"),
    ("sample texts.txt", BAD_INPUT, "texts.txt is a file, not a run folder"),
    ("sample INDEX", BAD_INPUT, "is not a run folder|lacks|has no config.json"),
    ("search RUN a", BAD_INPUT, "is not an index folder.* textvae index .* CORPUS -o INDEX an index"),
    ("search nowhere a", BAD_INPUT, "there is no index at nowhere: textvae index RUN CORPUS -o nowhere writes one"),
    ("search INDEX a --model OTHER", BAD_INPUT, "the index was built with the model"),
    ("shift RUN a --attribute ALIEN", BAD_INPUT, "was fitted on the model"),
    (
        "shift RUN a --attribute nowhere",
        BAD_INPUT,
        "there is no attribute at nowhere: textvae attribute RUN --positive FILE",
    ),
    ("info nowhere", BAD_INPUT, "there is no run, index or attribute at nowhere"),
    ("info folder", BAD_INPUT, "folder is neither a run, an index nor an attribute"),
    ("plot RUN", BAD_INPUT, "has no metrics.jsonl"),
    ("sample RUN -n 0", BAD_INPUT, "n must be at least 1, got 0"),
    ("sample RUN --seed -1", USAGE, 'Invalid value "-1" for --seed. Must be >= 0.'),
    ("vary RUN a -n -1", BAD_INPUT, "n must be at least 1, got -1"),
    ("interpolate RUN a b -n 1", BAD_INPUT, "n must be at least 2, got 1"),
    ("reconstruct RUN texts.txt --refinements -1", BAD_INPUT, "refinements must not be negative, got -1"),
    ("search INDEX a -k 0", BAD_INPUT, "k must be at least 1, got 0"),
    ("score RUN empty.txt", BAD_INPUT, "empty.txt holds no text"),
    ("score RUN texts.txt -k 0", BAD_INPUT, "k must be at least 1, got 0"),
    ("score RUN texts.txt --num-samples 0", BAD_INPUT, "--num-samples must be at least 1, got 0"),
    ("score RUN texts.txt --by luck", USAGE, 'Invalid value "luck" for --by'),
    ("export RUN -o e", BAD_INPUT, "trained from scratch and pools by attention"),
    ("export RUN -o folder", BAD_INPUT, "folder exists and is not an export"),
    ("export RUN -o e --to paper", USAGE, 'Invalid value "paper" for --to'),
    ("traverse RUN a --dim 32", BAD_INPUT, r"dim must be in 0\.\.31, got 32"),
    ("traverse RUN a --dim -1", BAD_INPUT, "--dim must be at least 0, got -1"),
    ("blend RUN a b --weights 1", BAD_INPUT, "2 sentences and 1 weights"),
    ("decode RUN missing.npy", BAD_INPUT, "missing.npy: No such file"),
    ("decode RUN texts.txt", BAD_INPUT, "texts.txt is not an npy file"),
    ("decode RUN words.npy", BAD_INPUT, "words.npy holds <U1, not numbers"),
    ("decode RUN wide.npy", BAD_INPUT, r"shape \(2, 7\), the model needs \(N, 32\)"),
    ("decode RUN nan.npy", BAD_INPUT, "hold a NaN"),
    ("decode RUN good.npy --top-p 2", BAD_INPUT, "top_p must be in"),
    ("decode RUN cut.npy", CORRUPT, "cut.npy is not a whole npy file"),
    ("sample TRUNCATED", CORRUPT, "model.safetensors does not match its checksum"),
    ("sample FLIPPED", CORRUPT, "model.safetensors does not match its checksum"),
    ("sample FLIPPED_TOKENIZER", CORRUPT, "tokenizer.json does not match its checksum"),
    ("sample UNLISTED", CORRUPT, ""),
    ("info FLIPPED", CORRUPT, "does not match its checksum"),
    ("search FLIPPED_INDEX a", CORRUPT, "index.faiss does not match its checksum"),
    ("search FLIPPED_ITEMS a", CORRUPT, "items.sqlite does not match its checksum"),
    ("shift RUN a --attribute FLIPPED_ATTRIBUTE", CORRUPT, "direction.safetensors does not match"),
]


@pytest.mark.parametrize(("command", "code", "message"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_one_clear_line_and_its_exit_code(textvae, command, code, message):
    result = textvae(command)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("textvae: ")
    assert result.err.count("\n") == 1, result.err
    assert re.search(message, result.err), result.err


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "rewrite"])
def test_a_sentence_in_the_place_of_a_file_is_told_the_way(run, verb, capsys):
    assert main([verb, str(run), "The waiter was rude."]) == BAD_INPUT
    assert "or - for standard input, as in: echo TEXT | textvae VERB RUN -" in capsys.readouterr().err


def test_too_few_lines_on_stdin_are_a_mistake(textvae):
    result = textvae("interpolate RUN - -", stdin="only one\n")
    assert (result.code, result.err) == (
        3,
        "textvae: standard input has fewer sentences than the 2 asked for with -\n",
    )


def test_counts_are_checked_before_a_model_is_looked_for(textvae):
    assert "n must be at least 1" in textvae("sample nowhere -n 0").err
    assert "k must be at least 1" in textvae("search nowhere a -k 0").err


def test_an_interrupt_exits_130_without_a_traceback(textvae, monkeypatch):
    def interrupted(*_, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(TextVAE, "from_pretrained", interrupted)
    result = textvae("sample RUN")
    assert (result.code, result.err) == (130, "textvae: interrupted\n")


def test_debug_shows_the_traceback(textvae, monkeypatch):
    monkeypatch.setenv("TEXTVAE_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        textvae("sample nowhere")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FloatingPointError("the loss is nan"), 1),
        (ImportError("pip install 'textvae[plot]'"), 1),
        (RuntimeError("a bug"), 1),
        (FileNotFoundError("there is no run"), 3),
        (PermissionError(errno.EACCES, "Permission denied", "z.npy"), 3),
        (ValueError("out of memory is what the text says"), 3),
        (CorruptFileError("flipped"), 4),
        (safetensors.SafetensorError("header too large"), 4),
        (safetensors.SafetensorError("I/O error: No space left on device (os error 28)"), 5),
        (OSError(errno.ENOSPC, "No space left on device"), 5),
        (OSError("could not write the index (...): is the disk full?"), 5),
        (MemoryError(), 5),
        (torch.OutOfMemoryError("CUDA out of memory"), 5),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 5),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_each_error_has_its_exit_code_and_one_line(error, code):
    failure = explain(error)
    assert failure.code == code
    assert failure.message
    assert "\n" not in failure.message


# Help


def test_every_flag_of_every_verb_has_a_help_text():
    app = _app()
    for verb in VERBS:
        for argument in app[verb].assemble_argument_collection(parse_docstring=True):
            if argument.parse and argument.show:
                assert argument.parameter.help, f"{verb} {argument.name}"


def test_help_lists_every_verb_and_version_is_the_package_s(textvae):
    listed = textvae("--help").out
    assert all(f" {verb} " in listed for verb in VERBS)
    assert "Peak learning rate" in textvae("train --help").out
    from textvae import __version__

    assert textvae("--version").lines == [__version__]


# Real processes


def process(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "textvae", *words], capture_output=True, text=True, timeout=120, **options
    )


@pytest.mark.parametrize("words", [("--help",), ("train", "--help")])
def test_help_is_instant(words):
    resource = pytest.importorskip("resource", reason="Windows counts no processor time of children")

    def seconds(*command: str) -> float:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, timeout=120, check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    # Processor time, which a busy machine stretches less, beside that of importing torch: a quarter of it, or less.
    assert any(seconds("-m", "textvae", *words) < 0.5 * seconds("-c", "import torch") for _ in range(3))


def test_help_imports_nothing_heavy():
    code = f"import sys; from textvae.cli import main; main(['train', '--help']); print({HEAVY!r} & {{*sys.modules}})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "set()"


def test_a_mistake_leaves_the_process_with_its_exit_code(here):
    answer = process("sample", "nowhere")
    assert (answer.returncode, answer.stdout, answer.stderr) == (
        3,
        "",
        "textvae: there is no run at nowhere: textvae train CORPUS -o nowhere writes one\n",
    )


def test_a_closed_pipe_ends_the_process_silently(places, here):
    Path("many.txt").write_text("\n".join(TEXTS * 20))  # far more than a pipe holds
    ended = shell(here, f"textvae encode {places['RUN']} many.txt --json | head -c 300")
    assert ended.stdout.startswith(f'{{"text": "{FIRST}"')
    assert (ended.returncode, ended.stderr) == (0, "")
