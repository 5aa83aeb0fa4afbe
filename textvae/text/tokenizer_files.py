"""Tokenizer files of a folder, checked: they name no code and no other files, and patterns that end soon."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path
from typing import Any

from ..storage.atomic import read_json, write_json
from ..storage.errors import CorruptFileError
from ..storage.folders import find_file, require_file
from ..storage.schema import Field, check_fields, check_tree, integer, is_int, is_number, shown, text
from .patterns import MOST_WAYS, ways

TOKENIZER, OPTIONS = "tokenizer.json", "tokenizer_config.json"
MOST_OPTIONS, MOST_PATTERN, MOST_TOKENS, MOST_ADDED = 1 << 24, 4096, 1 << 22, 1 << 16
MOST_RULES, MOST_PIECES, MOST_GROWTH = 64, 64, 64  # of a part; of a template; in length, by all rules of a part
LONGEST_WORD = 1000  # characters; WordPiece takes the cube of it
DEFAULT_CLASS = "TokenizersBackend"
CLASS = re.compile(r"[A-Z]\w*Tokenizer(Fast)?|TokenizersBackend|PreTrainedTokenizerFast")
DROPPED = re.compile(r"_files?$|_path$|_dir$|_class$|_kwargs$|^gguf|^chat_template$|^backend$|^subfolder$|^revision$")
KINDS = {
    "model": {"BPE", "WordPiece", "Unigram", "WordLevel"},
    "normalizer": {
        "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Strip", "StripAccents", "Replace", "Prepend", "Sequence",
        "BertNormalizer", "Precompiled", "Nmt", "ByteLevel",
    },
    "pre_tokenizer": {
        "ByteLevel", "BertPreTokenizer", "Metaspace", "Whitespace", "WhitespaceSplit", "Digits", "Punctuation", "Split",
        "Sequence", "UnicodeScripts", "CharDelimiterSplit",
    },
    "post_processor": {"TemplateProcessing", "ByteLevel", "BertProcessing", "RobertaProcessing", "Sequence"},
    "decoder": {
        "ByteLevel", "Metaspace", "WordPiece", "BPEDecoder", "ByteFallback", "Fuse", "Strip", "Replace", "Sequence",
    },
}  # fmt: skip
TRUTH = Field(lambda value: isinstance(value, bool), "true or false").or_null().or_absent()
SIDE = Field(lambda value: value in ("left", "right"), "left or right").or_null().or_absent()
OPTION_TYPES = {
    "model_max_length": Field(lambda value: is_number(value) and value >= 0, "0 or more").or_null().or_absent(),
    "padding_side": SIDE, "truncation_side": SIDE, "clean_up_tokenization_spaces": TRUTH, "add_prefix_space": TRUTH,
    "add_bos_token": TRUTH, "add_eos_token": TRUTH, "do_lower_case": TRUTH, "split_special_tokens": TRUTH,
    "tokenizer_class": text().or_null().or_absent(),
}  # fmt: skip


def stage_tokenizer(folder: Path, inner: str, target: Path) -> None:
    """Check the two files of a tokenizer and copy them to a folder of their own, where nothing else can be read.

    Args:
        folder: The run folder.
        inner: Folder of the tokenizer in it, "" for the run folder itself.
        target: The folder to copy them to.

    Raises:
        CorruptFileError: A file is missing, not listed or not of a tokenizer as textvae writes it.
    """
    source, options = (require_file(folder, f"{inner}/{name}".lstrip("/")) for name in (TOKENIZER, OPTIONS))
    _check_tokenizer(read_json(source), source)
    shutil.copyfile(source, target / TOKENIZER)
    write_json(target / OPTIONS, _plain_options(read_json(options, MOST_OPTIONS), options))


def check_tokenizer_file(folder: Path) -> None:
    """Check the kinds, patterns and ids in the tokenizer.json of another library's folder, if it has one.

    Raises:
        CorruptFileError: It is of no supported kind, or has patterns that may take forever.
    """
    found = find_file(folder, TOKENIZER)
    if found is not None:
        _check_tokenizer(read_json(found), found)


def _plain_options(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the options without those that name files, places or templates, none of which we write or need."""
    check_tree(content, path)
    if content.get("auto_map"):
        raise CorruptFileError(f"{path} has the field 'auto_map', which names code: not loaded")
    check_fields(content, OPTION_TYPES, path)
    chosen = content.get("tokenizer_class") or DEFAULT_CLASS
    if not CLASS.fullmatch(chosen):
        raise CorruptFileError(
            f"{path} asks for the tokenizer {shown(chosen)}, which is none of transformers: not loaded"
        )
    kept = {name: value for name, value in content.items() if not DROPPED.search(name) and name != "auto_map"}
    return kept | {"tokenizer_class": chosen}


def _check_tokenizer(content: dict[str, Any], path: Path) -> None:
    an_object = Field(lambda value: isinstance(value, dict), "an object")
    tokens = Field(lambda value: isinstance(value, list) and len(value) <= MOST_TOKENS, "an array")
    rules = {name: an_object.or_null().or_absent() for name in KINDS}
    rules |= {"model": an_object, "added_tokens": tokens.or_absent()}
    check_fields(content, rules, path)
    model = content["model"]
    check_fields(model, {"max_input_chars_per_word": integer(0, LONGEST_WORD).or_absent()}, path)
    for name, kinds in KINDS.items():
        part = model | {"vocab": None, "merges": None} if name == "model" else content.get(name)
        check_tree(part, path)
        _check_part(part, name, kinds, path)
    if model.get("dropout"):
        raise CorruptFileError(f"{path} has a dropout, which would give a text other tokens each time: not loaded")
    _check_vocabulary(model, content.get("added_tokens") or [], path)


def _check_part(part: Any, name: str, kinds: set[str], path: Path) -> None:
    """Check the kinds, the number, the patterns and the growth of a part and of the parts in it."""
    waiting, rules, growth = [part], 0, 1.0
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            _require(name != "post_processor" or len(value) <= MOST_PIECES, path, "adds too many tokens to a text")
            waiting += value
        if not isinstance(value, dict):
            continue
        kind = value.get("type")
        if isinstance(kind, str) and kind not in kinds and name != "post_processor":
            raise CorruptFileError(f"{path} has a {name} of the kind {shown(kind)}, which is not supported: not loaded")
        pattern = value.get("pattern")
        if isinstance(pattern, dict) and "Regex" in pattern:
            _check_pattern(pattern["Regex"], path)
        rules, growth = rules + isinstance(kind, str), growth * _growth(value, path)
        _require(rules <= MOST_RULES, path, f"has too many rules in its {name}")
        _require(growth <= MOST_GROWTH, path, f"has a {name} that makes texts many times as long")
        waiting += value.values()


def _growth(rule: dict[str, Any], path: Path) -> float:
    """Return how many times as long a rule can make a text, at least 1."""
    written = [len(text) for name in ("content", "prepend") if isinstance(text := rule.get(name), str)]
    pattern, characters = rule.get("pattern"), rule.get("precompiled_charsmap")
    if isinstance(characters, str):
        written.append(_longest_replacement(characters, path))
    fixed = pattern.get("String") if isinstance(pattern, dict) else None
    replaced = len(fixed) if isinstance(fixed, str) else 0
    most = max(written, default=0)
    return max(1.0, most / replaced if replaced else most + ("prepend" in rule or pattern is not None))


def _longest_replacement(characters: str, path: Path) -> int:
    """Return the most characters that a map of sentencepiece puts in the place of one."""
    try:
        data = base64.b64decode(characters, validate=True)
    except ValueError as error:
        raise CorruptFileError(f"{path} has a map of characters that is none: not loaded") from error
    replacements = data[4 + int.from_bytes(data[:4], "little") :]
    return max(len(each.decode(errors="replace")) for each in replacements.split(b"\0"))


def _require(holds: bool, path: Path, wrong: str) -> None:
    if not holds:
        raise CorruptFileError(f"{path} {wrong}: not loaded")


def _check_pattern(pattern: Any, path: Path) -> None:
    """Refuse what takes a regular expression more than quadratic time."""
    if not isinstance(pattern, str) or len(pattern) > MOST_PATTERN:
        raise CorruptFileError(f"{path} has a pattern that is {shown(pattern)}: not loaded")
    if ways(pattern) > MOST_WAYS:
        raise CorruptFileError(f"{path} has the pattern {shown(pattern)}, which may take forever: not loaded")


def _check_vocabulary(model: dict[str, Any], added: list[Any], path: Path) -> None:
    """Check that the ids of tokens are different numbers from 0 on, without large gaps."""
    vocab = model.get("vocab")
    if isinstance(vocab, dict):
        ids = list(vocab.values())
    elif isinstance(vocab, list):  # Unigram: pairs of a token and its log probability
        ids = list(range(len(vocab)))
    else:
        raise CorruptFileError(f"{path} has no vocabulary: restore it from a copy")
    _require(len(added) <= MOST_ADDED, path, f"adds {len(added):,} tokens to its vocabulary, at most {MOST_ADDED:,}")
    right = all(isinstance(token, dict) and isinstance(token.get("content"), str) for token in added)
    known = vocab if isinstance(vocab, dict) else {}
    ids += [token.get("id") for token in added if right and token["content"] not in known]
    if not right or not all(is_int(id, 0, MOST_TOKENS) for id in ids):
        raise CorruptFileError(f"{path} has tokens whose ids are no numbers: restore it from a copy")
    if isinstance(vocab, dict) and len(set(ids)) != len(ids):
        raise CorruptFileError(f"{path} gives one id to two tokens: restore it from a copy")
