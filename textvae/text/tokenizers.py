"""Tokenizers: byte-level BPE trained on the corpus, or that of a pretrained model; special tokens and padding."""

# B sentences, T tokens
from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ..storage.errors import CorruptFileError
from .cleaning import INVISIBLE, JOINERS
from .tokenizer_files import OPTIONS, TOKENIZER, stage_tokenizer

# In this order, so that the ids are 0, 1, 2, 3, the defaults of TextVAEConfig.
BOS, EOS, PAD, MASK = "<s>", "</s>", "<pad>", "<mask>"
CHARACTERS_AT_ONCE = 2**18  # of a call of the tokenizers library, which holds some 30 bytes for each until it returns
_setting = threading.Lock()


class SpecialTokens(Protocol):
    """Ids and maximum length that `wrap` needs."""

    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    max_length: int


def train_tokenizer(
    texts: Iterable[str], vocab_size: int = 8192, *, lowercase: bool = False
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, which encodes every string without unknown tokens.

    Args:
        texts: The corpus.
        vocab_size: Maximum vocabulary size, including 256 bytes and 4 special tokens.
        lowercase: Whether to lower-case texts.

    Examples:
        >>> tokenizer = train_tokenizer(["a small corpus"], 300)
        >>> to_texts(tokenizer, [tokenizer("a corpus")["input_ids"]])
        ['a corpus']
    """
    bpe = Tokenizer(models.BPE())
    if lowercase:
        bpe.normalizer = normalizers.Lowercase()
    # With the prefix space, a word has the same token at the start of a sentence and inside it.
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, eos_token=EOS, pad_token=PAD, mask_token=MASK,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def add_normalisation(tokenizer: PreTrainedTokenizerBase, version: int) -> None:
    """Make a fast tokenizer itself do what `cleaning.normalised` does to texts, for use without textvae."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not version or backend is None:
        return
    spaces = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
    one_space = normalizers.Replace(Regex(f"[{spaces}]+"), " ")
    own = [
        normalizers.Replace(Regex(INVISIBLE.pattern), ""),
        one_space,
        normalizers.Replace(Regex(JOINERS.pattern), ""),
    ]
    before = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([*own, one_space, normalizers.Strip(), normalizers.NFC(), *before])


def load_tokenizer(path: str | Path, gguf_file: str | None = None) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or hub id; `gguf_file` is the name of a GGUF file in the folder."""
    options = {"gguf_file": gguf_file} if gguf_file else {}
    return AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)


def load_run_tokenizer(folder: Path, inner: str = "") -> PreTrainedTokenizerBase:
    """Load a tokenizer that textvae wrote from its two files, checked; nothing else of the folder is read.

    Args:
        folder: The run folder.
        inner: Folder of the tokenizer in it, "" for the run folder itself.

    Raises:
        CorruptFileError: A file is missing, not listed, or not of such a tokenizer.
    """
    source = folder / inner
    with tempfile.TemporaryDirectory(prefix="textvae-") as staged:
        stage_tokenizer(folder, inner, Path(staged))
        try:
            with _native_errors():
                tokenizer = AutoTokenizer.from_pretrained(staged, config=PreTrainedConfig(), trust_remote_code=False)
        except Exception as error:  # of tokenizers and of each class of transformers
            raise CorruptFileError(f"{source / TOKENIZER} is no tokenizer that can be loaded: restore it") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CorruptFileError(f"{source / OPTIONS} asks for a tokenizer of another kind: restore it from a copy")
    tokenizer.name_or_path = tokenizer.init_kwargs["name_or_path"] = str(source)
    return tokenizer


def check_ids(tokenizer: PreTrainedTokenizerBase, vocab_size: int, source: Path) -> None:
    """Check that every token that a text can have is one of the model's V.

    Raises:
        CorruptFileError: The tokenizer has more.
    """
    try:
        with _native_errors():
            vocab, special = tokenizer.get_vocab(), set(tokenizer.all_special_ids)
            around = tokenizer("a")["input_ids"]  # with the special tokens that it adds
    except Exception as error:  # options of a kind that its class does not expect
        raise CorruptFileError(f"{source / OPTIONS} sets a tokenizer up that does not run: restore it") from error
    largest = max([*around, *(id for id in vocab.values() if id not in special)], default=0)
    if largest >= vocab_size:
        raise CorruptFileError(
            f"{source / TOKENIZER} has the token {largest}, the model knows {vocab_size}: restore both from a copy"
        )


@contextmanager
def _native_errors() -> Iterator[None]:
    """Turn a panic of the tokenizers library, which is no `Exception`, and its nameless errors into ours."""
    try:
        yield
    except BaseException as error:
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise CorruptFileError(
                f"the tokenizer failed ({' '.join(str(error).split())}): its tokenizer.json is damaged; restore it"
            ) from error
        raise


def wrap(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: SpecialTokens) -> list[list[int]]:
    """Return BOS ... EOS for each text, truncated to the maximum length with EOS kept."""
    if not texts:
        return []
    rows = _ids(tokenizer, texts, most=special.max_length - 2)
    return [[special.bos_token_id, *row, special.eos_token_id] for row in rows]


def encoder_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Return a pretrained encoder's token ids for each text, including its special tokens."""
    return _ids(tokenizer, texts, max_length) if texts else []


def pad(rows: Sequence[Sequence[int]], pad_id: int, width: int = 1) -> tuple[Tensor, Tensor]:
    """Return ids and mask (1 for tokens), both (B, T) int64, padded on the right to a width or to the longest row."""
    width = max(width, max(map(len, rows)))
    ids_BT = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows])
    mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids_BT, mask_BT


def to_texts(tokenizer: PreTrainedTokenizerBase, ids: Iterable[Sequence[int]]) -> list[str]:
    """Return the text of each row of ids, without special tokens and outer spaces."""
    with _native_errors():
        return [str(tokenizer.decode(list(row), skip_special_tokens=True)).strip() for row in ids]


def readable(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    """Return the texts as the tokenizer can reproduce them: lower-cased if it lower-cases."""
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    with _native_errors():
        if normalizer is None or normalizer.normalize_str("A") != "a":
            return list(texts)
        return [normalizer.normalize_str(text) for text in texts]


def _ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int | None = None, most: int | None = None
) -> list[list[int]]:
    """Return the ids of each text, with special tokens and cut if `max_length` is given, else the first `most`."""
    if isinstance(tokenizer, PreTrainedTokenizerFast):  # twice as fast as through transformers
        backend = tokenizer.backend_tokenizer
        _set_up(backend, max_length)
        rows: list[list[int]] = []
        for group in _groups(texts):
            with _native_errors():
                read = backend.encode_batch_fast(group, add_special_tokens=max_length is not None)
            rows += [row.ids[:most] for row in read]
        return rows
    rows = tokenizer(
        list(texts),
        add_special_tokens=max_length is not None,
        truncation=max_length is not None,
        max_length=max_length,
        return_attention_mask=False,
        verbose=False,
        split_special_tokens=True,
    )["input_ids"]
    return [row[:most] for row in rows]


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in groups of bounded length, so that their number does not decide how much memory a call takes."""
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) > CHARACTERS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


def _set_up(backend: Tokenizer, max_length: int | None) -> None:
    """Set what differs, at the first call: a change waits for ever for another thread that encodes."""
    with _setting:
        if backend.padding is not None:
            backend.no_padding()
        if (backend.truncation or {}).get("max_length") != max_length:
            if max_length is None:
                backend.no_truncation()
            else:
                backend.enable_truncation(max_length)
        if not backend.encode_special_tokens:
            backend.encode_special_tokens = True  # "</s>" in a text is text
