"""Word-level differences between two texts."""

from __future__ import annotations

import difflib
import itertools
import math
from collections import Counter

BLEU_ORDER = 4  # words of the longest phrases that are compared


def word_similarity(a: str, b: str) -> float:
    """Return 2 * matching words / words of both texts, 0 to 1 (Ratcliff & Obershelp).

    Examples:
        >>> word_similarity("the food was bad", "the food was great")
        0.75
    """
    return difflib.SequenceMatcher(None, a.split(), b.split(), autojunk=False).ratio()


def pair_similarity(a: str, b: str) -> float:
    """Return `word_similarity` of word bigrams, ends included; adjacent changes cost less than scattered ones.

    Examples:
        >>> pair_similarity("the food was bad", "the food was great")
        0.6
    """
    return difflib.SequenceMatcher(None, _pairs(a), _pairs(b), autojunk=False).ratio()


def _pairs(text: str) -> list[tuple[str, str]]:
    return list(itertools.pairwise(["", *text.split(), ""]))


def word_overlap(source: str, text: str) -> float:
    """Return the BLEU of a text against its source, 0 to 1: how much of its wording is taken over.

    It is the geometric mean of the precisions of one to four words, those of two and more with one added to both
    counts (Lin & Och 2004), times the brevity penalty.

    Examples:
        >>> word_overlap("the food was bad", "the food was bad")
        1.0
    """
    words, given = text.split(), source.split()
    if not words or not given:
        return float(words == given)
    logs = []
    for order in range(1, min(BLEU_ORDER, len(words)) + 1):
        ours, theirs = _ngrams(words, order), _ngrams(given, order)
        added = int(order > 1)
        found = (ours & theirs).total() + added
        if not found:
            return 0.0
        logs.append(math.log(found / (ours.total() + added)))
    return math.exp(sum(logs) / len(logs) + min(0.0, 1 - len(given) / len(words)))


def _ngrams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def word_changes(before: str, after: str) -> list[tuple[str, str]]:
    """Return the changed words as pairs of old and new; either may be empty.

    Examples:
        >>> word_changes("the food was bad", "the food was very good")
        [('bad', 'very good')]
    """
    old, new = before.split(), after.split()
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(" ".join(old[i:j]), " ".join(new[k:m])) for kind, i, j, k, m in codes if kind != "equal"]


def single_changes(before: str, after: str) -> list[str]:
    """Return the first text with each of its changes to the second made alone, if there are several.

    Examples:
        >>> single_changes("the red car is slow", "the blue car is fast")
        ['the blue car is slow', 'the red car is fast']
    """
    old, new = before.split(), after.split()
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changes = [(i, j, k, m) for kind, i, j, k, m in codes if kind != "equal"]
    return [" ".join(old[:i] + new[k:m] + old[j:]) for i, j, k, m in changes] if len(changes) > 1 else []


def patch(source: str, before: str, after: str) -> str:
    """Apply the word changes from `before` to `after` to `source`, where `source` has the same words.

    Examples:
        >>> patch("my red car is slow", "my blue car is slow", "my blue car is fast")
        'my red car is fast'
    """
    words, old, new = source.split(), before.split(), after.split()
    places: dict[int, int] = {}  # from word positions in `before` to positions in the source
    for block in difflib.SequenceMatcher(None, old, words, autojunk=False).get_matching_blocks():
        places |= {block.a + k: block.b + k for k in range(block.size + 1)}  # includes the position after a block
    result, done = [], 0
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal" and i in places and j in places and done <= places[i] <= places[j]:
            result += words[done : places[i]] + new[k:m]
            done = places[j]
    return " ".join(result + words[done:])
