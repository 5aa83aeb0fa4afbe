"""Runs from strangers: nothing in them executes, asks, reaches outside or allocates; they are a CorruptFileError."""

import base64
import builtins
import json
import resource
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from textvae import TextVAE
from textvae.cli import main
from textvae.latent.priors import MixturePrior
from textvae.modeling.config_file import check_without_code, read_config
from textvae.modeling.pretrained import check_source
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest
from textvae.text.tokenizers import train_tokenizer


def edit(run, name, change):
    content = json.loads((run / name).read_text())
    change(content)
    (run / name).write_text(json.dumps(content))
    write_manifest(run)


def refused(run, match):
    """Check that a run is refused soon, with one line that names no type of Python, in little memory."""
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CorruptFileError, match=match) as caught:
        TextVAE.from_pretrained(run, "cpu")
    assert time.process_time() - begin < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes
    words = str(caught.value)
    assert "\n" not in words and not any(name in words for name in ("NoneType", "dict", "TypeError", "KeyError"))


@pytest.fixture(autouse=True)
def nothing_asks(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("standard input was read"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))


# Code

CODE = {
    "tokenizer": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}, "'auto_map'"),
    "legacy list": ("tokenizer_config.json", {"auto_map": ["evil.Evil", None]}, "'auto_map'"),
    "config": ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "'auto_map'"),
    "kernels": ("config.json", {"_attn_implementation": "someone/kernels"}, "'_attn_implementation'"),
    "kernels, set": ("config.json", {"attn_implementation": {"": "a/b:c"}}, "'attn_implementation'"),
    "quantizer": ("config.json", {"quantization_config": {"quant_method": "x"}}, "'quantization_config'"),
    "class": ("tokenizer_config.json", {"tokenizer_class": "AutoModel"}, "'AutoModel', which is none of"),
    "module": ("tokenizer_config.json", {"tokenizer_class": "evil.EvilTokenizer"}, "which is none of"),
}


@pytest.mark.parametrize(("name", "fields", "match"), CODE.values(), ids=CODE)
def test_a_folder_that_names_code_is_refused_and_none_of_it_runs(run, tmp_path, monkeypatch, name, fields, match):
    flag = tmp_path / "flag"
    (run / "evil.py").write_text(f"open({str(flag)!r}, 'w')")
    monkeypatch.setattr(sys, "stdin", None)
    edit(run, name, lambda content: content.update(fields))
    refused(run, match)
    assert not flag.exists() and "evil" not in sys.modules


@pytest.mark.parametrize("half", ["encoder", "decoder"])
@pytest.mark.parametrize(("field", "value"), [("auto_map", {"AutoConfig": "x.Y"}), ("_attn_implementation", "a/b")])
def test_a_half_that_names_code_is_refused(run, half, field, value):
    edit(run, "config.json", lambda content: content[half].update({field: value}))
    refused(run, field)


def test_the_attention_of_transformers_may_be_named(tmp_path):
    for value in ("eager", "sdpa", "flash_attention_2", None, {"": "sdpa"}):
        check_without_code({"a": [{"_attn_implementation": value}]}, tmp_path)


SOURCES = {
    "config": ("config.json", {"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
    "kernels": ("config.json", {"_attn_implementation": "x/y"}, "_attn_implementation"),
    "modules": ("modules.json", [{"type": "subprocess.Popen", "path": ""}], "subprocess.Popen"),
    "inner": ("inner/config.json", {"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
}


@pytest.mark.parametrize(("name", "content", "match"), SOURCES.values(), ids=SOURCES)
def test_a_pretrained_source_that_names_code_is_refused(tmp_path, name, content, match):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match=match):
        check_source(str(tmp_path), modules=True)


# Weights


def as_shards(run, place):
    weights = load_file(run / "model.safetensors")
    (run / "model.safetensors").unlink()
    torch.save(weights, run / "pytorch_model.bin")
    (run / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(weights, place)}))
    return weights


PLACES = ["pytorch_model.bin", "../model.safetensors", "/etc/passwd", "model.pt", "x/model.safetensors", 5, None, ["a"]]


@pytest.mark.parametrize("place", PLACES)
def test_shards_are_plain_safetensors_names(run, place):
    weights = as_shards(run, place)
    save_file(weights, run.parent / "model.safetensors")
    write_manifest(run)
    refused(run, "is no safetensors file beside it")


def test_a_shard_that_is_not_listed_or_holds_other_weights_is_refused(run):
    weights = as_shards(run, "model-1.safetensors")
    write_manifest(run)
    save_file(weights, run / "model-1.safetensors")
    refused(run, "does not list it")
    save_file(dict(list(weights.items())[1:]), run / "model-1.safetensors")
    write_manifest(run)
    refused(run, "holds other weights than")
    save_file(weights, run / "model-1.safetensors")
    write_manifest(run)
    assert np.isfinite(TextVAE.from_pretrained(run, "cpu").encode("hello")).all()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "adapter_model.pkl"])
def test_pickles_beside_the_weights_are_never_read(run, small_vae, sentences, name):
    (run / name).write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    (run / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b", "peft_type": "LORA"}')
    write_manifest(run)
    assert np.array_equal(TextVAE.from_pretrained(run, "cpu").encode(sentences), small_vae.encode(sentences))


WEIGHTS = {
    "another shape": (lambda w: w.update({"encoder.mean.bias": torch.zeros(5)}), "asks for the shape|not those of"),
    "unknown": (lambda w: w.update({"evil.weight": torch.zeros(5)}), "weights of another network, evil.weight"),
    "integers": (lambda w: w.update({"encoder.mean.bias": torch.zeros(32, dtype=torch.int32)}), "as I32"),
    "missing": (lambda w: w.pop("encoder.mean.bias"), "lacks the weights encoder.mean.bias"),
    "none": (dict.clear, "holds 0 weights"),
}


@pytest.mark.parametrize(("change", "match"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_of_another_network_are_refused(run, change, match):
    weights = load_file(run / "model.safetensors")
    change(weights)
    save_file(weights, run / "model.safetensors", metadata={"format": "pt"})
    write_manifest(run)
    refused(run, match)


# Sizes and types

BOMBS = [
    ("encoder", "num_hidden_layers", 10**7), ("encoder", "hidden_size", 10**9), ("encoder", "num_labels", 10**9),
    ("encoder", "intermediate_size", 2**40), ("encoder", "vocab_size", 10**9), ("decoder", "num_hidden_layers", 10**6),
    ("decoder", "gru_hidden_size", 10**6), ("decoder", "vocab_size", 10**7), 
    ("encoder", "max_position_embeddings", 10**8),
]  # fmt: skip


@pytest.mark.parametrize(("half", "field", "value"), BOMBS)
def test_a_configuration_that_asks_for_too_much_is_refused_at_once(run, half, field, value):
    edit(run, "config.json", lambda content: content[half].update({field: value}))
    refused(run, "config.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [("latent_dim", 10**9), ("pooling_queries", 10**6), ("max_length", 10**9), ("slot_stride", 0), 
     ("slot_dim", 10**6),
     ("pooling_width", -1), ("bos_token_id", 10**6), ("encoder", {}), ("decoder", None), ("latent_dim", "64"),
     ("residual", float("nan")), ("pooling", 5), ("max_length", None), ("encoder", {"model_type": "no such"}),
     ("encoder", {"model_type": "textvae"}), ("latent_dim", True), ("prefix_length", [[]]), ("use_cache", 2**70)],
)  # fmt: skip
def test_a_field_of_another_type_or_range_is_refused(run, field, value):
    edit(run, "config.json", lambda content: content.update({field: value}))
    refused(run, "config.json|weights")


def test_a_deep_configuration_is_refused(run):
    deep = "[" * 500 + "]" * 500
    (run / "config.json").write_text((run / "config.json").read_text().replace("{", '{"deep": ' + deep + ",", 1))
    write_manifest(run)
    refused(run, "config.json is nested too deeply")


def test_a_configuration_with_which_the_network_does_not_run_is_refused(run):
    edit(run, "config.json", lambda content: content["encoder"].update(layer_norm_eps=-1e9))
    refused(run, "gives no finite numbers|does not run")
    with pytest.raises(CorruptFileError, match="is not the configuration"):
        edit(run, "config.json", lambda content: content["encoder"].update(hidden_act=7))
        read_config(run)


# Files that are not listed


def test_files_that_the_manifest_does_not_list_change_nothing(run, small_vae, sentences):
    train_tokenizer(["abc abd hello there"], 300).save_pretrained(run / "encoder_tokenizer")
    MixturePrior(np.ones(1, np.float32), np.full((1, 32), 9, np.float32), np.eye(32, dtype=np.float32)[None]).save(
        run / "prior.safetensors"
    )
    for name in ("chat_template.jinja", "added_tokens.json", "generation_config.json", "special_tokens_map.json"):
        (run / name).write_text('{"the": 5}')
    loaded = TextVAE.from_pretrained(run, "cpu")
    assert np.array_equal(loaded.encode(sentences), small_vae.encode(sentences))
    assert loaded.sample(2, seed=0) == small_vae.sample(2, seed=0)


PRIORS = {
    "another width": (np.ones(1), np.zeros((1, 5)), np.eye(5)[None]),
    "no shares": (np.full(2, 9.0), np.zeros((2, 32)), np.stack([np.eye(32)] * 2)),
    "negative": (np.array([2.0, -1.0]), np.zeros((2, 32)), np.stack([np.eye(32)] * 2)),
    "no factor": (np.ones(1), np.zeros((1, 32)), np.ones((1, 32, 32))),
    "singular": (np.ones(1), np.zeros((1, 32)), np.zeros((1, 32, 32))),
    "other lengths": (np.ones(3) / 3, np.zeros((2, 32)), np.stack([np.eye(32)] * 2)),
}


@pytest.mark.parametrize("arrays", PRIORS.values(), ids=PRIORS)
def test_a_prior_that_is_none_of_the_model_is_refused(run, arrays):
    MixturePrior(*(array.astype(np.float32) for array in arrays)).save(run / "prior.safetensors")
    write_manifest(run)
    refused(run, "prior.safetensors is no prior")


# Tokenizers

REGEX = [
    "(a+)+$", "(x+x+)+y", "(a|a)*b", "(a{1,30}){1,30}", r"(\w+\s?)*$", r"(.)\1*x",
    "a*a*[bc]", "a*(?:x|a*)(?:x|a*)b", "a?" * 30 + "a" * 30, "(?:a|a)" * 30 + "b", "a{1,200}a{1,200}a{1,200}b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REGEX)
@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "decoder"])
def test_a_pattern_that_may_take_forever_is_refused(run, pattern, part):
    kinds = {"pre_tokenizer": {"type": "Split", "behavior": "Isolated", "invert": False}}
    rule = kinds.get(part, {"type": "Replace", "content": "x"}) | {"pattern": {"Regex": pattern}}
    edit(run, "tokenizer.json", lambda content: content.update({part: {"type": "Sequence", part + "s": [rule]}}))
    refused(run, "which may take forever")


KNOWN = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}]*[\p{Ll}\p{Lm}]+(?i:'s|'t|'re)?|[^\r\n\p{L}]?[\p{Lu}]+[\p{Ll}]*(?i:'s|'t)?|\s+",
    r"[!\"#$%]['A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    " {2,}",
]


@pytest.mark.parametrize("pattern", KNOWN)
def test_the_patterns_of_pretrained_tokenizers_pass(run, pattern):
    rule = {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex": pattern}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    both = {"type": "Sequence", "pretokenizers": [rule, byte_level]}
    edit(run, "tokenizer.json", lambda content: content.update(pre_tokenizer=both))
    assert np.isfinite(TextVAE.from_pretrained(run, "cpu").encode("hello there, 123")).all()


TOKENIZERS = {
    "no model": lambda content: content.pop("model"),
    "another kind": lambda content: content["model"].update(type="Wasm"),
    "an id that is a text": lambda content: content["model"]["vocab"].update(zz="5"),
    "an id of two": lambda content: content["model"]["vocab"].update(zz=7),
    "an id of no row": lambda content: content["model"]["vocab"].update(zz=4000),
    "words of any length": lambda content: content["model"].update(max_input_chars_per_word=10**6),
    "words of no length": lambda content: content["model"].update(max_input_chars_per_word="x"),
    "dropout": lambda content: content["model"].update(dropout=0.5),
    "a merge of nothing": lambda content: content["model"]["merges"].append(["zzz", "qqq"]),
    "no vocabulary": lambda content: content["model"].update(vocab=None),
    "added": lambda content: content.update(added_tokens=[5]),
}


@pytest.mark.parametrize("change", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_tokenizer_that_textvae_does_not_write_is_refused(run, change):
    edit(run, "tokenizer.json", change)
    refused(run, "tokenizer.json")


OPTIONS = [
    {"model_max_length": "tokenizers"}, {"model_max_length": [1]}, {"model_max_length": -1}, {"padding_side": "up"},
    {"clean_up_tokenization_spaces": 5}, {"tokenizer_class": ["x"]}, {"pad_token": 5}, {"bos_token": {"content": []}},
    {"extra_special_tokens": [5]}, {"model_input_names": 5},
]  # fmt: skip


@pytest.mark.parametrize("fields", OPTIONS, ids=str)
def test_an_option_of_a_tokenizer_of_another_type_is_refused(run, fields):
    edit(run, "tokenizer_config.json", lambda content: content.update(fields))
    refused(run, "tokenizer")


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


TIMES_TEN = replace({"String": "a"}, "a" * 10)
MANY = [{"SpecialToken": {"id": "<s>", "type_id": 0}}] * 1000
GROWING = {
    "ten times ten": {"normalizer": {"type": "Sequence", "normalizers": [TIMES_TEN] * 9}},
    "at every place": {"normalizer": replace({"Regex": "x*"}, "y" * 1000)},
    "of nothing": {"normalizer": replace({"String": ""}, "y" * 1000)},
    "before": {"normalizer": {"type": "Prepend", "prepend": "x" * 10**6}},
    "a map": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(
        bytes(4) + b"x" * 5000 + b"\0").decode()}},
    "many rules": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1000}},
    "decoded": {"decoder": {"type": "Sequence", "decoders": [TIMES_TEN] * 9}},
    "template": {"post_processor": {"type": "TemplateProcessing", "single": MANY, "pair": [], "special_tokens": {}}},
}  # fmt: skip


@pytest.mark.parametrize("case", GROWING)
def test_a_tokenizer_that_makes_texts_many_times_as_long_is_refused(run, case):
    edit(run, "tokenizer.json", lambda content: content.update(GROWING[case]))
    refused(run, "many times as long|too many (rules|tokens)")


def test_replacements_of_pretrained_tokenizers_pass(run):
    rules = [replace({"Regex": " {2,}"}, "▁"), replace({"String": " "}, "▁"), {"type": "Prepend", "prepend": "▁"}]
    sequence = {"type": "Sequence", "normalizers": rules}
    edit(run, "tokenizer.json", lambda content: content.update(normalizer=sequence))
    assert np.isfinite(TextVAE.from_pretrained(run, "cpu").encode("hello there")).all()


def test_many_added_tokens_are_refused(run):
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    many = [token | {"id": i, "content": f"zq{i}"} for i in range(5000, 75_000)]
    edit(run, "tokenizer.json", lambda content: content["added_tokens"].extend(many))
    refused(run, "adds 70,0.. tokens to its vocabulary")


@pytest.mark.parametrize("name", ["model.safetensors", "prior.safetensors"])
def test_a_header_of_many_tensors_is_refused_before_it_is_read(run, small_vae, name):
    path = run / name
    data = (run / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length] + b" " * (1 << 23)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    write_manifest(run)
    refused(run, f"{name} says that its header has")


def test_a_panic_of_a_native_library_is_one_line(small_vae, monkeypatch, run, capsys):
    class PanicException(BaseException):
        """As pyo3 raises it."""

    def panic(*_, **__):
        raise PanicException("Onig: \x1b[31mretry-limit")

    loaded = TextVAE.from_pretrained(run, "cpu")
    monkeypatch.setattr("textvae.text.tokenizers.PreTrainedTokenizerFast.backend_tokenizer", property(panic))
    monkeypatch.setattr("textvae.latent.vae.TextVAE.from_pretrained", lambda *_, **__: loaded)
    assert main(["encode", str(run), "-o", str(run / "x.npy"), "-i", "x"]) != 0
    capsys.readouterr()
    monkeypatch.setattr("textvae.latent.vae.TextVAE.from_pretrained", panic)
    assert main(["sample", str(run)]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "restore it from a copy" in error and "\x1b" not in error


@pytest.mark.parametrize("verb", ["info", "sample"])
def test_the_command_line_says_which_file_is_corrupt(run, capsys, verb):
    edit(run, "config.json", lambda content: content["encoder"].update(hidden_size="\x1b[2J"))
    assert main([verb, str(run)]) == 4
    error = capsys.readouterr().err
    assert error.startswith("textvae: ") and "config.json" in error and error.count("\n") == 1 and "\x1b" not in error


def test_metrics_that_are_none_are_refused(run, capsys):
    for line in ("[1]", "{", '{"eval_loss": 3}', "[" * 10_000):
        (run / "metrics.jsonl").write_text(line + "\n")
        assert main(["info", str(run)]) == 4
    assert capsys.readouterr().err.count("metrics.jsonl has a line that is") == 4
