"""Read the attributes of a sentence off the phrase banks of our own corpus, and which of its words tell them.

    python data/corpus/corpus_reader.py [--data data]

prints how often the reading is the label that a sentence was written for.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from corpus_banks import TOPICS, common
from corpus_banks.schema import Topic
from corpus_banks.verbs import BE_PLURAL, VERBS
from make_corpus import SENTIMENTS, TENSES, THIS_OR_THAT, items, load_frames, options, parse_noun

from textvae.text.corpus import read_rows

ATTRIBUTES = ("sentiment", "tense", "technical_depth", "brand_authority")
MARKS = re.compile(r"[.,!?;:]+(?=\s|$)")
SLOTS = {"I": "i|we", "me": "me|us", "my": "my|our", "its": "its|their", "was": "was|were", "am": "am|are"}
PAST_BE, PRESENT_BE = {"was", "were"}, {"is", "are", "am"}
# The verbs of the frames, in the form that only one tense has.
FRAME_VERBS = {
    "past": "agreed annoyed avoided called complained could criticised denied disappointed expected felt found gave "
    "hated heard impressed learned lost loved made mentioned noticed pleased praised recommended said thought told "
    "turned warned won",
    "present": "agrees annoys avoids call can complains criticise denies dislike disappoint disappoints expect feel "
    "find finds give gives hates hear impress impresses know loses wins makes loves mentions notice pleases praise "
    "recommend recommends says tell tells think thinks turns warn whenever",
}
NOTHING = "nothing"  # class of phrases that say nothing of an attribute, and must not be taken apart


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a sentence says of one attribute.

    Attributes:
        value: Its class; None if it says two things at once.
        words: Positions of the words that tell it.
    """

    value: str | None
    words: frozenset[int]


def split(text: str) -> list[str]:
    """Return the words of a text in lower case, without the marks after them."""
    return MARKS.sub("", text.lower()).split()


def read(text: str, topic: str) -> dict[str, Reading]:
    """Return the reading of each attribute of a text about a topic."""
    words = split(text)
    return {
        "sentiment": _read_sentiment(words, topic),
        "tense": _read_tense(words, topic),
        "technical_depth": _highest(_matches(words, _nouns())),
        "brand_authority": _highest(found for found in _matches(words, _cues(topic)) if found[0] != NOTHING),
    }


def _highest(found: Iterable[tuple[str, range]]) -> Reading:
    levels = list(found)
    return Reading(max((level for level, _ in levels), default="0"), frozenset(i for _, where in levels for i in where))


def _read_sentiment(words: list[str], topic: str) -> Reading:
    found = _not_of_makers(words, _matches(words, _sides(topic)))
    sides = {side for side, _ in found}
    value = None if len(sides) > 1 else next(iter(sides), "neutral")
    return Reading(value, frozenset(i for _, where in found for i in where))


def _read_tense(words: list[str], topic: str) -> Reading:
    telling: dict[str, set[int]] = defaultdict(set)
    for tense, where in _not_of_makers(words, _matches(words, _verbs(topic))):
        past, present = _forms()[tense == "past"], _forms()[tense != "past"]
        telling[tense] |= {i for i in where if words[i] in past and words[i] not in present} or set(where)
    everything = frozenset(i for where in telling.values() for i in where)
    if telling["future"]:  # what one hears or hopes now is about what will be
        return Reading("future", everything)
    return Reading(next(iter(telling)) if len([w for w in telling.values() if w]) == 1 else None, everything)


def _not_of_makers(words: list[str], found: Iterable[tuple[str, range]]) -> list[tuple[str, range]]:
    """Return what is said by a verb or a judgement: "recommended by experts" and "am told" are none."""
    return [
        (value, where)
        for value, where in found
        if value != NOTHING
        and words[where[-1] + 1 : where[-1] + 2] != ["by"]
        and not (words[where[0]] == "told" and where[0] and words[where[0] - 1] in PRESENT_BE)
    ]


# A bank is its phrases, as words with alternatives, by their first words: the longest that fits is the one meant.
Phrase = tuple[frozenset[str], ...]
Bank = dict[str, list[tuple[Phrase, str]]]


def _matches(words: list[str], bank: Bank) -> Iterator[tuple[str, range]]:
    """Yield the classes of the phrases in a text, the longest first at each place, and their positions."""
    i = 0
    while i < len(words):
        fitting = [
            (len(phrase), value)
            for phrase, value in bank.get(words[i], [])
            if len(phrase) <= len(words) - i and all(w in p for w, p in zip(words[i:], phrase, strict=False))
        ]
        longest = max((length for length, _ in fitting), default=1)
        values = [*{value for length, value in fitting if length == longest}]
        if len(values) == 1:
            yield values[0], range(i, i + longest)
        i += longest


def _bank(phrases: Iterable[tuple[str, str]], verb: Callable[[str], frozenset[str]] | None = None) -> Bank:
    """Return a bank of phrases and their classes; what stands for a place or a person cuts a phrase."""
    bank: Bank = defaultdict(list)
    for text, value in phrases:
        parts = re.split(r"\{(?:E|at|noun|who|Who|often|L\w*|S2?|P+2?|A\w*|C\w*|T|O|R|W)\}", text.replace("#", ""))
        for part in parts:
            whole = split(part)
            starred = next((i for i, word in enumerate(whole) if word.startswith("*")), 0)
            will = [*whole[:starred], "will", *whole[starred:]]
            for ordered in (whole, will) if starred else (whole,):
                phrase = tuple(_alternatives(word, verb) for word in ordered)
                if phrase and (len(parts) == 1 or len(phrase) > 1):
                    for first in phrase[0]:
                        bank[first].append((phrase, value))
    return bank


def _alternatives(word: str, verb: Callable[[str], frozenset[str]] | None) -> frozenset[str]:
    if starred := re.fullmatch(r"[*^]([a-z]+)(\S*)", word):
        return frozenset(form + starred[2] for form in (verb or _all_forms)(starred[1]))
    slot = re.fullmatch(r"\{(\w+)\}", word)
    by_lower = {name.lower(): forms for name, forms in SLOTS.items()}
    return frozenset(by_lower[slot[1]].split("|")) if slot else frozenset([word])


def _all_forms(verb: str) -> frozenset[str]:
    return frozenset({verb, *VERBS[verb]} | (set(BE_PLURAL) if verb == "be" else set()))


def _past(verb: str) -> frozenset[str]:
    return frozenset(PAST_BE if verb == "be" else {VERBS[verb][0]})


def _present(verb: str) -> frozenset[str]:
    return frozenset(PRESENT_BE if verb == "be" else {verb, VERBS[verb][1]})


@functools.cache
def _forms() -> tuple[frozenset[str], frozenset[str]]:
    """Return all words that are present and all that are past forms."""
    return (
        frozenset().union(*(_present(verb) for verb in VERBS)),
        frozenset().union(*(_past(verb) for verb in VERBS)),
    )


def _pairs(label: str | None = None) -> Iterator[tuple[str, ...]]:
    for topic in TOPICS:
        if label in (None, topic.label):
            yield from options(topic.outcomes)
            for aspect in topic.aspects:
                yield from options(aspect.adjectives)
                yield from options(aspect.verbs)
                yield from ((f"{low} than", f"{high} than") for low, high in options(aspect.comparatives))
    for bank in (common.JUDGEMENTS, common.OPENERS, common.REACTIONS):
        yield from options(bank)


@functools.cache
def _sides(topic: str) -> Bank:
    phrases = [(side, SENTIMENTS[k]) for pair in _pairs(topic) for k, side in enumerate(pair[:2])]
    for frame in load_frames():
        for wording in frame.wordings:
            for found in THIS_OR_THAT.findall(wording):
                low, high = found.split("|")[:2]
                if {low, high}.isdisjoint({"but", "and", "yet", "so"}):
                    phrases += [(low, "negative"), (high, "positive")]
    return _bank([*phrases, *((phrase, NOTHING) for phrase in (*_facts(topic), *_names(), *_praise(topic)))])


def _topic(label: str) -> Topic:
    return next(topic for topic in TOPICS if topic.label == label)


def _facts(label: str) -> Iterator[str]:
    """Yield what is said of the aspects of a topic without praise or blame, when, and beside what."""
    topic = _topic(label)
    for bank in (*(aspect.neutral for aspect in topic.aspects), topic.leads, topic.references):
        yield from items(bank)
    yield from (phrase for phrase, _ in _when(label))


def _when(label: str) -> Iterator[tuple[str, str]]:
    topic = _topic(label)
    shared = (common.PAST_TIMES, common.PRESENT_TIMES, common.FUTURE_TIMES)
    for tense, banks in zip(TENSES, zip(shared, (topic.past, topic.present, topic.future), strict=True), strict=True):
        for bank in banks:
            yield from ((phrase, tense) for phrase in items(bank))


def _names() -> Iterator[str]:
    for topic in TOPICS:
        for aspect in topic.aspects:
            for bank in (aspect.plain, aspect.technical, aspect.expert):
                yield from (parse_noun(noun).text for noun in items(bank))


def _praise(label: str) -> Iterator[str]:
    kind = _topic(label).kind
    for bank in (common.MILD_CLAUSES, common.STRONG_CLAUSES[kind], common.MILD_TAILS, common.STRONG_TAILS[kind]):
        yield from items(bank)


@functools.cache
def _nouns() -> Bank:
    return _bank(
        (parse_noun(noun).text, str(level))
        for topic in TOPICS
        for aspect in topic.aspects
        for level, bank in enumerate((aspect.plain, aspect.technical, aspect.expert))
        for noun in items(bank)
    )


@functools.cache
def _cues(topic: str) -> Bank:
    mild = [*common.MILD_ADJECTIVES.values(), common.MILD_TAILS, common.MILD_CLAUSES]
    strong = [*common.STRONG_ADJECTIVES.values(), *common.STRONG_TAILS.values(), *common.STRONG_CLAUSES.values()]
    cues = [(cue, str(level)) for level, banks in ((1, mild), (2, strong)) for bank in banks for cue in items(bank)]
    said = [(side, NOTHING) for pair in _pairs(topic) for side in pair if " " in side]
    return _bank([*cues, *said])


@functools.cache
def _verbs(topic: str) -> Bank:
    phrases = [*(side for pair in _pairs(topic) for side in pair), *_facts(topic), *_praise(topic)]
    # From the verb on: what stands before it is the same in every tense.
    starred = [phrase[phrase.index("*") :] for phrase in phrases if "*" in phrase]
    compared = (f"than {reference}" for reference in items(_topic(topic).references))
    bank = _bank([*_when(topic), ("could tell", "past"), *((phrase, NOTHING) for phrase in (*_names(), *compared))])
    for tense, verb in (("past", _past), ("present", _present)):
        own = [*((phrase, tense) for phrase in starred), *((word, tense) for word in FRAME_VERBS[tense].split())]
        for first, found in _bank([*own, ("*be", tense)], verb).items():
            bank[first] += found
    bank["will"].append(((frozenset(["will"]),), "future"))
    return bank


def main() -> None:
    """Print the share of right readings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    for file in ("valid.tsv", "test.tsv"):
        rows = list(read_rows(str(parser.parse_args().data / file), columns=[*ATTRIBUTES, "topic"]))
        readings = [read(str(row["text"]), str(row["topic"])) for row in rows]
        for name in ATTRIBUTES:
            right = sum(reading[name].value == str(row[name]) for reading, row in zip(readings, rows, strict=True))
            sys.stdout.write(f"{file} {name}: {right} of {len(rows)} right\n")


if __name__ == "__main__":
    main()
