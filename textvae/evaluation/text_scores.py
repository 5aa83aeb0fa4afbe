"""Scores of generated texts: similarity to references, diversity and repeats. Words are whitespace words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..text.tokenizers import to_texts

if TYPE_CHECKING:
    from ..latent.vae import TextVAE


SELF_BLEU_TEXTS = 200  # self-BLEU depends on the number of texts, so it is fixed


def within_length(vae: TextVAE, texts: Sequence[str]) -> list[str]:
    """Truncate texts to the decoder's length, so that perplexity counts only scored words."""
    rows = vae.decoder_rows(texts)
    full = vae.model.config.max_length
    return [
        to_texts(vae.tokenizer, [row])[0] if len(row) == full else text for text, row in zip(texts, rows, strict=True)
    ]


def bleu(written: Sequence[str], references: Sequence[str]) -> float | None:
    """Return corpus BLEU on whitespace words, 0 to 100; None without sacrebleu."""
    try:
        import sacrebleu
    except ImportError:
        return None
    return sacrebleu.corpus_bleu(list(written), [list(references)], tokenize="none", force=True).score


def self_bleu(texts: Sequence[str]) -> float | None:
    """Return the mean BLEU of each of the first 200 texts against the others of them (Zhu et al. 2018).

    Near 0 for varied texts and 100 for equal ones; it increases with the number of texts.

    Returns:
        The mean, or None without sacrebleu or for fewer than 2 texts.
    """
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        return None
    chosen = list(texts[:SELF_BLEU_TEXTS])
    if len(chosen) < 2:
        return None
    metric = BLEU(tokenize="none", effective_order=True, force=True)
    scores = [metric.sentence_score(text, chosen[:i] + chosen[i + 1 :]).score for i, text in enumerate(chosen)]
    return float(np.mean(scores))


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams among all word n-grams (Li et al. 2016); 0 if there are none.

    Examples:
        >>> distinct(["the fox", "the dog"], 1)
        0.75
    """
    grams = [tuple(words[i : i + n]) for words in map(str.split, texts) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def duplicates(texts: Sequence[str]) -> float:
    """Return the share of texts that repeat an earlier one."""
    return 1 - len(set(texts)) / len(texts)


def edit_distance(a: str, b: str) -> float:
    """Return the word-level Levenshtein distance divided by the words of the longer text, 0 (same) to 1.

    Examples:
        >>> edit_distance("the quick fox", "the slow fox")
        0.3333333333333333
    """
    first, second = a.split(), b.split()
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(len(first), len(second), 1)
