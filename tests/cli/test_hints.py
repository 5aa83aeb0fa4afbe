"""Names from other tools are answered with what they are called here."""

import pytest

from textvae.cli import VERBS, _app, hints, main

FLAGS = [
    ("train texts.txt -o run --lr 3", "--learning-rate"),
    ("train texts.txt -o run --lr=3", "--learning-rate"),
    ("train texts.txt -o run --batch-size 3", "--batch-tokens"),
    ("train texts.txt -o run --num_epochs 3", "--epochs"),
    ("train texts.txt -o run --output-dir run", "--output"),
    ("train texts.txt -o run --steps 3", "--max-steps"),
    ("encode run texts.txt --bs 3", "--batch-size"),
    ("sample run --temp 3", "--temperature"),
    ("sample run --num-samples 3", "-n"),
    ("search index a --top-k 3", "-k"),
    ("search index a -n 3", "-k"),
    ("search index a --top 3", "-k"),
    ("shift run a -a tone", "--attribute"),
    ("search index a --filter x", "--where"),
    ("train texts.txt -o run --epoch 3", "--epochs"),  # by its letters
]
WORDS = {
    "embed": "encode", "generate": "sample", "paraphrase": "vary", "evaluate": "eval",
    "fit": "train", "query": "search", "Embed": "encode", "trian": "train",
}  # fmt: skip


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_a_flag_of_another_tool_is_answered_with_ours(command, flag, capsys):
    verb = command.split()[0]
    assert main(command.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith("textvae: Unknown option: -") and err.count("\n") == 1
    assert err.endswith(f"Did you mean {flag}? See textvae {verb} --help\n")


@pytest.mark.parametrize(("word", "verb"), WORDS.items())
def test_a_verb_of_another_tool_is_answered_with_ours(word, verb, capsys):
    assert main([word, "run"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f'textvae: Unknown command "{word}". Did you mean "{verb}"?') and err.count("\n") == 1


def test_a_flag_that_the_verb_lacks_is_not_suggested(capsys):
    assert main(["sample", "run", "--lr", "3"]) == 2
    assert "learning-rate" not in capsys.readouterr().err


def test_every_suggestion_exists():
    app = _app()
    flags = {name for verb in VERBS for each in app[verb].assemble_argument_collection() for name in each.names}
    assert set(hints.VERBS.values()) <= set(VERBS) and not set(hints.VERBS) & set(VERBS)
    assert {name for names in hints.FLAGS.values() for name in names} <= flags
