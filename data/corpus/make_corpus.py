"""Compose the labelled corpus that ships with the library.

Every sentence is built from hand-written phrases (see ``corpus_banks``), so its labels are true by construction.
The same seed always gives the same bytes.

Usage:
    python data/corpus/make_corpus.py [--output data] [--seed 0] [--check]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import os
import random
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple, TypeVar

from corpus_banks import TOPICS, common, frames
from corpus_banks.schema import Aspect, Topic
from corpus_banks.verbs import BE_PLURAL, VERBS

Item = TypeVar("Item")

SENTIMENTS = ("negative", "positive", "neutral")
TENSES = ("past", "present", "future")
SHARES = {
    "sentiment": dict(zip(SENTIMENTS, (0.42, 0.42, 0.16), strict=True)),
    "tense": dict(zip(TENSES, (0.42, 0.42, 0.16), strict=True)),
    "technical_depth": {0: 0.45, 1: 0.30, 2: 0.25},
    "brand_authority": {0: 0.45, 1: 0.30, 2: 0.25},
}
COLUMNS = ("text", *SHARES, "topic")
SENTENCES_PER_TOPIC = 3670
HELD_OUT = {"valid.tsv": 1000, "test.tsv": 1000}
MIN_WORDS, MAX_WORDS = 4, 25
# Longer sentences than this are kept only now and then, so that the mean length stays near ten words.
USUAL_WORDS, LONG_SHARE = 6, 0.03
# People say what they feel about a thing more than once: shares of general judgements and of added reactions.
GENERAL_SHARE, OPENER_SHARE, REACTION_SHARE = 0.5, 0.3, 0.4
MAX_TRIES = 3_000_000

# Short words and the words that good English repeats; anything else said twice in a sentence reads badly.
REPEATABLE = frozenset(
    "about after all and any are because before but every for from had has have its not one our out that the than "
    "their them they this too two was when who will with were".split()
)
PREPOSITION = re.compile(r"\b(?:at|by|from|in|of|on|over|with)\b")
# What the speaker only hears or hopes cannot be about what happened to the speaker.
HEARSAY = re.compile(
    r"heard|hears?|told|turn(?:s|ed) out|denie[ds]|doubts|agree|learned|suspect|accounts|According|{Who}"
)
THIS_OR_THAT = re.compile(r"<([^<>]*)>")


class Labels(NamedTuple):
    """The known attributes of one sentence, in column order."""

    sentiment: str
    tense: str
    technical_depth: int
    brand_authority: int
    topic: str


class Unsuitable(Exception):
    """The chosen frame and phrases cannot express these labels."""


@dataclass(frozen=True)
class Frame:
    """One sentence template with a wording for each tense.

    Attributes:
        wordings: The template in the past, the present and the future.
        kind: ``bare``, ``named`` or ``cued``; says which reputation levels it can carry.
    """

    wordings: tuple[str, str, str]
    kind: str

    @functools.cache  # noqa: B019 - the frames live as long as the program
    def carries(self, labels: Labels) -> bool:
        """Say whether the frame can express the labels."""
        level = labels.brand_authority
        if (level > 0 and self.kind == "bare") or (level == 0 and self.kind == "cued"):
            return False
        text = self.wording(labels.tense)
        if labels.sentiment != "neutral":
            return True
        two_way = any(found.count("|") == 1 for found in THIS_OR_THAT.findall(text))
        return (
            not two_way
            and not any(slot in text for slot in ("{PP}", "{A}", "{R}", "{W}"))
            and not (
                # A description does not turn true "these days" or "last week" unless the speaker did something then.
                "{T}" in text and "{L" not in text
            )
        )

    def wording(self, tense: str) -> str:
        """Return the template for a tense."""
        return self.wordings[TENSES.index(tense)]


def load_frames() -> tuple[Frame, ...]:
    """Parse the frame bank."""
    made = []
    for kind, lines in (("bare", frames.BARE_FRAMES), ("named", frames.NAMED_FRAMES), ("cued", frames.CUED_FRAMES)):
        for line in lines:
            parts = [part.strip() for part in line.split("//")]
            past, present, future = parts if len(parts) == 3 else parts * 3
            made.append(Frame((past, present, future), kind))
    return tuple(made)


@functools.cache
def items(bank: str) -> list[str]:
    """Split a bank line into its phrases."""
    return [phrase.strip() for phrase in bank.split(";") if phrase.strip()]


@functools.cache
def options(bank: str) -> list[tuple[str, ...]]:
    """Split a bank line into its negative/positive(/neutral) groups."""
    return [tuple(side.strip() for side in phrase.split(" / ")) for phrase in items(bank)]


class Choices:
    """Named random choices that stay the same while the labels change.

    A sentence and its counterpart in another sentiment or tense must share everything else, so each decision is
    drawn once under a name and only mapped onto whichever list the labels call for.
    """

    def __init__(self, seed: int) -> None:
        """Start with no decisions taken."""
        self._seed = seed
        self._drawn: dict[str, float] = {}

    def number(self, name: str) -> float:
        """Return the number in [0, 1) drawn under a name."""
        if name not in self._drawn:
            # Seeding by a string is stable across runs, unlike hash().
            self._drawn[name] = random.Random(f"{self._seed}/{name}").random()
        return self._drawn[name]

    def pick(self, name: str, bank: Sequence[Item]) -> Item:
        """Return the element of a bank that was chosen under a name."""
        return bank[int(self.number(name) * len(bank))]


class Noun(NamedTuple):
    """A noun phrase and its number."""

    text: str
    plural: bool


def parse_noun(phrase: str) -> Noun:
    """Read the plural mark of a noun phrase."""
    return Noun(phrase.lstrip("+"), phrase.startswith("+"))


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase."""
    return ("an " if phrase[0].lower() in "aeio" or phrase.startswith(("ultra", "un")) else "a ") + phrase


def verb_form(verb: str, tense: str, plural: bool) -> str:
    """Return a verb in the past or the present."""
    past, third = VERBS[verb]
    if verb == "be" and plural:
        return BE_PLURAL[TENSES.index(tense)]
    if tense == "past":
        return past
    return verb if plural else third


def conjugate(phrase: str, tense: str, plural: bool) -> str:
    """Put the starred verbs of a phrase into a tense.

    Args:
        phrase: The phrase, with ``*`` before each verb to conjugate.
        tense: One of ``TENSES``.
        plural: Whether the subject is plural (or the speaker).

    Returns:
        The phrase with its verbs inflected; "will" comes first in the future.
    """
    phrase = phrase.replace("{its}", "their" if plural else "its")
    if tense == "future":
        before, _, after = phrase.partition("*")
        return f"will {before}{after}".replace("*", "")
    return re.sub(r"\*([a-z]+)", lambda found: verb_form(found[1], tense, plural), phrase)


class Writer:
    """Fills one frame for one set of labels."""

    def __init__(self, topic: Topic, frame: Frame, choices: Choices, labels: Labels) -> None:
        """Fix the speaker and the aspects; the rest is chosen as the slots ask for it."""
        self.topic, self.choices, self.labels = topic, choices, labels
        self.side = SENTIMENTS.index(labels.sentiment)
        self.template = frame.wording(labels.tense)
        self.we = topic.label in ("restaurant", "hotel", "garage", "airline") and choices.number("we") < 0.4
        first, second = self._two_aspects()
        self.aspect, self.second = first, second
        self.subject = self._subject(first, "S", labels.technical_depth)
        # The second clause stays plain, so that it cannot raise the depth of the first.
        self.second_subject = self._subject(second, "S2", 0)
        self.entity = parse_noun(choices.pick("entity", items(topic.entities)))
        self.others_only = "{L3}" in self.template

    def write(self) -> str:
        """Return the finished sentence.

        Raises:
            Unsuitable: If the chosen phrases do not fit together.
        """
        text = THIS_OR_THAT.sub(lambda found: self._side_of(found[1]), self.template)
        text = re.sub(r"\^([a-z]+)", lambda found: verb_form(found[1], self.labels.tense, self.entity.plural), text)
        # Slots may open further slots (a lead holds {at}), hence the second and third pass.
        for _ in range(3):
            text = re.sub(r"\{(\w+)\}", lambda found: self._slot(found[1]), text)
        self._check(text[0].upper() + text[1:])
        text = self._with_feelings(text)
        if len(text.split()) > MAX_WORDS:
            raise Unsuitable
        return text[0].upper() + text[1:]

    def _with_feelings(self, text: str) -> str:
        """Add an opener or a reaction of the same sentiment, where the sentence has none yet and takes one."""
        if self.side == 2 or any(slot in self.template for slot in ("{O}", "{W}", "{R}", "<")):
            return text
        if self.template.startswith("{S}") and self.choices.number("opener") < OPENER_SHARE:
            return f"{self._again('{O}')}, {text}"
        if self.choices.number("reaction") < REACTION_SHARE and not HEARSAY.search(self.template):
            return f"{text[:-1]}, {self._again('{W}')}."
        return text

    def _again(self, slot: str) -> str:
        for _ in range(2):
            slot = re.sub(r"\{(\w+)\}", lambda found: self._slot(found[1]), slot)
        return slot

    def _two_aspects(self) -> tuple[Aspect, Aspect]:
        index = int(self.choices.number("aspect") * len(self.topic.aspects))
        step = 1 + int(self.choices.number("second") * (len(self.topic.aspects) - 1))
        return self.topic.aspects[index], self.topic.aspects[(index + step) % len(self.topic.aspects)]

    def _subject(self, aspect: Aspect, name: str, depth: int) -> Noun:
        noun = parse_noun(self.choices.pick(name, items((aspect.plain, aspect.technical, aspect.expert)[depth])))
        named = "{at}" in self.template or "{AtX}" in self.template
        determiner = "the" if named or noun.plural else self.choices.pick(name + "the", aspect.determiners.split("|"))
        return Noun(f"{determiner} {noun.text}", noun.plural)

    def _side_of(self, wording: str) -> str:
        sides = wording.split("|")
        if self.side >= len(sides):
            raise Unsuitable
        return sides[self.side]

    def _slot(self, name: str) -> str:
        simple = {
            "I": "we" if self.we else "I",
            "me": "us" if self.we else "me",
            "my": "our" if self.we else "my",
            "was": "were" if self.we else "was",
            "am": "are" if self.we else "am",
            "S": self.subject.text,
            "S2": self.second_subject.text,
        }
        if name in simple:
            return simple[name]
        return getattr(self, "_fill_" + name.lower())()

    def _conjugate(self, phrase: str, plural: bool, tense: str | None = None) -> str:
        return conjugate(phrase, tense or self.labels.tense, plural)

    def _adjective(self, aspect: Aspect, name: str, degree: bool = True) -> str:
        general = self.choices.number(name + "general") < GENERAL_SHARE
        word = self.choices.pick(name, options(common.JUDGEMENTS if general else aspect.adjectives))[self.side]
        gradable = word not in common.UNGRADABLE and " " not in word
        if degree and gradable and self.choices.number(name + "degree") < 0.35:
            return f"{self.choices.pick(name + 'how', items(common.DEGREES))} {word}"
        return word

    def _verb(self, aspect: Aspect, name: str) -> str:
        bank = options(aspect.verbs)
        phrase = items(aspect.neutral) if self.side == 2 else [pair[self.side] for pair in bank]
        chosen = self.choices.pick(name, phrase)
        if "#" in chosen and "{T}" in self.template:
            raise Unsuitable
        return chosen.replace(" #", "")

    def _predicate(self, aspect: Aspect, name: str, plural: bool) -> str:
        if self.side != 2 and self.choices.number(name + "kind") < 0.42:
            return self._conjugate(f"*be {self._adjective(aspect, name + 'adjective')}", plural)
        return self._conjugate(self._verb(aspect, name + "verb"), plural)

    def _fill_p(self) -> str:
        return self._predicate(self.aspect, "P", self.subject.plural)

    def _fill_p2(self) -> str:
        return self._predicate(self.second, "P2", self.second_subject.plural)

    def _fill_pp(self) -> str:
        first = self._adjective(self.aspect, "PPfirst")
        if self.choices.number("PPkind") < 0.35:
            second = self._adjective(self.aspect, "PPsecond", degree=False)
        else:
            second = self._verb(self.aspect, "PPverb")
            if not second.startswith("*"):
                raise Unsuitable
        return self._conjugate(f"*be {first} and {second}", self.subject.plural)

    def _fill_a(self) -> str:
        return self._adjective(self.aspect, "A")

    def _fill_c(self) -> str:
        reference = self.choices.pick("reference", items(self.topic.references))
        if self.side == 2:
            return self._conjugate(
                f"*be {self.choices.pick('same', items(common.SAMENESS))} {reference}", self.subject.plural
            )
        word = self.choices.pick("C", options(self.aspect.comparatives))[self.side]
        if self.choices.number("Cdegree") < 0.4 and " and " not in word and not word.startswith("less"):
            word = f"{self.choices.pick('Chow', items(common.COMPARATIVE_DEGREES))} {word}"
        return self._conjugate(f"*be {word} than {reference}", self.subject.plural)

    def _fill_t(self) -> str:
        shared = {"past": common.PAST_TIMES, "present": common.PRESENT_TIMES, "future": common.FUTURE_TIMES}
        own = {"past": self.topic.past, "present": self.topic.present, "future": self.topic.future}
        bank = (shared if self.choices.number("Tshared") < 0.5 else own)[self.labels.tense]
        return self.choices.pick("T", items(bank))

    def _fill_o(self) -> str:
        return self.choices.pick("O", options(common.OPENERS))[self.side]

    def _fill_w(self) -> str:
        return self._conjugate_after(self.choices.pick("W", options(common.REACTIONS))[self.side], plural=False)

    def _fill_r(self) -> str:
        return self._conjugate_after(self.choices.pick("R", options(self.topic.outcomes))[self.side], plural=True)

    def _conjugate_after(self, clause: str, plural: bool) -> str:
        """Conjugate a clause whose subject stands before the verb."""
        head, _, tail = clause.partition("*")
        return head + self._conjugate("*" + tail, plural)

    def _lead(self) -> str:
        lead = self.choices.pick("L", items(self.topic.leads))
        if self.others_only and "{my}" in lead:
            raise Unsuitable
        if "#" in lead and self.labels.tense == "present":
            raise Unsuitable
        return lead.replace(" #", "")

    def _fill_l(self) -> str:
        return self._conjugate(self._lead(), plural=True)

    def _fill_lnow(self) -> str:
        return self._conjugate(self._lead(), plural=True, tense="present")

    def _fill_l3(self) -> str:
        return self._conjugate(self._lead(), plural=False)

    def _fill_often(self) -> str:
        return self.choices.pick("often", items(common.HABITS))

    def _fill_who(self) -> str:
        return self.choices.pick("who", items(common.PEOPLE))

    def _cue_word(self) -> str:
        bank = common.MILD_ADJECTIVES if self.labels.brand_authority == 1 else common.STRONG_ADJECTIVES
        return self.choices.pick("cue", items(bank[self.topic.kind]))

    def _cue_tail(self) -> str:
        mild = self.labels.brand_authority == 1
        return self.choices.pick("tail", items(common.MILD_TAILS if mild else common.STRONG_TAILS[self.topic.kind]))

    def _fill_e(self) -> str:
        noun, plural = self.entity
        this = "these" if plural else "this"
        if self.labels.brand_authority == 0:
            return f"{this if self.choices.number('this') < 0.6 else 'the'} {noun}"
        if self.topic.makers and self.choices.number("maker") < 0.3:
            maker = self.choices.pick("makername", items(self.topic.makers))
            return f"{this} {noun} from {with_article(f'{self._cue_word()} {maker}')}"
        return f"{this} {self._cue_word()} {noun}"

    def _fill_at(self) -> str:
        after_subject = "{S} {at}" in self.template
        preposition = (after_subject and self.aspect.preposition) or self.topic.preposition
        # "the turbo at 1.8 bar at this garage" stumbles, and two different prepositions are only a little better.
        inner = PREPOSITION.findall(self.subject.text)
        if after_subject and inner and (preposition in inner or self.choices.number("inner") < 0.6):
            raise Unsuitable
        return f"{preposition} {self._fill_e()}"

    def _fill_atx(self) -> str:
        if self.aspect.preposition in ("from", "behind"):
            raise Unsuitable
        if self.labels.brand_authority == 0 or self.choices.number("tailed") < 0.5:
            return self._fill_at()
        noun, plural = self.entity
        return f"{self.topic.preposition} {'these' if plural else 'this'} {noun}, {self._cue_tail()}"

    def _fill_app(self) -> str:
        if self.entity.plural:
            raise Unsuitable
        if self.choices.number("apptail") < 0.4:
            return f"{with_article(self.entity.text)} {self._cue_tail()}"
        return with_article(f"{self._cue_word()} {self.entity.text}")

    def _fill_cue(self) -> str:
        if self.entity.plural:
            raise Unsuitable
        mild = self.labels.brand_authority == 1
        clause = self.choices.pick(
            "clause", items(common.MILD_CLAUSES if mild else common.STRONG_CLAUSES[self.topic.kind])
        )
        # A reputation is known before the visit, so it stays in the present when the visit lies ahead.
        tense = "past" if self.labels.tense == "past" else "present"
        clause = clause.replace("{noun}", self.entity.text)
        return conjugate(clause, tense, plural=False)

    def _own_person(self) -> str:
        """Return "my" or "our" where the sentence names a relative, else something that never occurs."""
        if "{Who}" not in self.template and "{who}" not in self.template:
            return "\t"
        person = re.sub(r"\{(\w+)\}", lambda found: self._slot(found[1]), self._fill_who())
        return person if person.startswith(("my ", "our ")) else "\t"

    def _check(self, text: str) -> None:
        """Reject sentences that are too long or short, repeat a word, or mix up who speaks."""
        words = text.split()
        if not MIN_WORDS <= len(words) <= MAX_WORDS:
            raise Unsuitable
        # Detail and reputation take words of their own.
        excess = len(words) - USUAL_WORDS - 2 * self.labels.technical_depth - self.labels.brand_authority
        if excess > 0 and self.choices.number("long") > LONG_SHARE ** (excess / 6):
            raise Unsuitable
        bare = [word.strip(".,:").lower() for word in words]
        stems = Counter(word[:5] for word in bare if len(word) > 2 and word not in REPEATABLE)
        if any(count > 1 for count in stems.values()):
            raise Unsuitable
        if self.we and any(a == "our" and b in common.ONE_BODY_WORDS for a, b in itertools.pairwise(bare)):
            raise Unsuitable
        speaker = sum(word in ("me", "us", "my", "our") for word in bare)
        allowed = len(re.findall(r"{me}|{my}", self.template))
        if allowed and sum(word in ("me", "us") for word in bare) > 1:
            raise Unsuitable
        if HEARSAY.search(self.template) and speaker > allowed + text.count(self._own_person()):
            raise Unsuitable


def counterparts(labels: Labels) -> Iterator[Labels]:
    """Yield the labels and then the neighbours that differ in one attribute."""
    yield labels
    for name in ("sentiment", "tense", "technical_depth", "brand_authority"):
        for value in SHARES[name]:
            if value != getattr(labels, name):
                yield labels._replace(**{name: value})


def quotas(topic: Topic) -> dict[Labels, int]:
    """Share out the sentences of a topic so that its attributes are independent."""
    wanted = {}
    for combination in itertools.product(*(share.items() for share in SHARES.values())):
        values = [value for value, _ in combination]
        wanted[Labels(*values, topic.label)] = SENTENCES_PER_TOPIC * math.prod(share for _, share in combination)
    whole = {labels: int(count) for labels, count in wanted.items()}
    by_remainder = sorted(wanted, key=lambda labels: wanted[labels] - whole[labels], reverse=True)
    for labels in by_remainder[: SENTENCES_PER_TOPIC - sum(whole.values())]:
        whole[labels] += 1
    return whole


def compose_topic(topic: Topic, bank: Sequence[Frame], rng: random.Random, seen: set[str]) -> list[list[tuple]]:
    """Write the sentences of one topic.

    Args:
        topic: The topic.
        bank: All frames.
        rng: The source of randomness.
        seen: Sentences written so far; updated.

    Returns:
        Groups of rows; the rows of a group share a frame and phrases and differ in their labels.

    Raises:
        RuntimeError: If the banks are too small for the quotas.
    """
    left = quotas(topic)
    groups = []
    for _ in range(MAX_TRIES):
        open_cells = [labels for labels, count in left.items() if count > 0]
        if not open_cells:
            return groups
        base = rng.choices(open_cells, [left[labels] for labels in open_cells])[0]
        frame = rng.choice([frame for frame in bank if frame.carries(base)])
        choices = Choices(rng.getrandbits(48))
        group = []
        for labels in counterparts(base):
            if left[labels] <= 0 or not frame.carries(labels):
                continue
            try:
                text = Writer(topic, frame, choices, labels).write()
            except Unsuitable:
                if labels == base:
                    break
                continue
            if text not in seen:
                seen.add(text)
                left[labels] -= 1
                group.append((text, *labels))
        if group:
            groups.append(group)
    raise RuntimeError(f"the banks cannot fill the quotas of {topic.label}")


def compose(seed: int) -> dict[str, list[tuple]]:
    """Write the corpus and split it by whole groups, so that no counterpart sits in another file."""
    rng = random.Random(seed)
    bank, seen = load_frames(), set()
    groups = [group for topic in TOPICS for group in compose_topic(topic, bank, rng, seen)]
    rng.shuffle(groups)
    split: dict[str, list[tuple]] = {"train.tsv": [], **{name: [] for name in HELD_OUT}}
    for group in groups:
        room = (name for name, size in HELD_OUT.items() if len(split[name]) + len(group) <= size)
        split[next(room, "train.tsv")].extend(group)
    for rows in split.values():
        rng.shuffle(rows)
    return split


def render(rows: Iterable[tuple]) -> bytes:
    """Format rows as a tab-separated file."""
    lines = ["\t".join(COLUMNS), *("\t".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def cramers_v(pairs: Sequence[tuple]) -> float:
    """Return Cramer's V of two label columns given as pairs."""
    joint = Counter(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    total = len(pairs)
    chi = sum(
        (joint[a, b] - first[a] * second[b] / total) ** 2 / (first[a] * second[b] / total)
        for a in first
        for b in second
    )
    return math.sqrt(chi / total / (min(len(first), len(second)) - 1))


def count_frames() -> int:
    """Count the distinct templates after choosing tense and sentiment, and the distinct opening actions."""
    wordings = set()
    for frame in load_frames():
        for wording in frame.wordings:
            for side in range(3):
                if all(side < len(found.split("|")) for found in THIS_OR_THAT.findall(wording) if "|" in found):
                    wordings.add(THIS_OR_THAT.sub(lambda found, side=side: found[1].split("|")[side], wording))
    return len(wordings)


def count_fillers() -> int:
    """Count the distinct phrases in the banks."""
    phrases: set[str] = set()
    for topic in TOPICS:
        for field in fields(Topic):
            if field.name not in ("label", "kind", "preposition", "aspects"):
                phrases.update(side for group in options(getattr(topic, field.name)) for side in group)
        for aspect in topic.aspects:
            for field in fields(Aspect):
                if field.name != "determiners":
                    phrases.update(side for group in options(getattr(aspect, field.name)) for side in group)
    for name, bank in vars(common).items():
        if name.isupper() and not isinstance(bank, frozenset):
            for line in bank.values() if isinstance(bank, dict) else [bank]:
                phrases.update(side for group in options(line) for side in group)
    return len(phrases)


def summarise(split: dict[str, list[tuple]]) -> str:
    """Describe the corpus in a few lines."""
    rows = [row for part in split.values() for row in part]
    lengths = [len(row[0].split()) for row in rows]
    words = Counter(word.strip(".,:;").lower() for row in rows for word in row[0].split())
    lines = [f"{name}: {len(part)} sentences" for name, part in split.items()]
    lines.append(f"bytes: {sum(len(render(part)) for part in split.values())}")
    lines.append(f"words per sentence: mean {statistics.mean(lengths):.2f}, from {min(lengths)} to {max(lengths)}")
    lines.append(f"vocabulary: {len(words)} lower-cased words")
    lines.append(f"frames: {count_frames()} templates from {len(load_frames())} families")
    lines.append(f"opening actions: {len({lead for topic in TOPICS for lead in items(topic.leads)})}")
    lines.append(f"fillers: {count_fillers()} phrases")
    shares: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        for name, value in zip(COLUMNS[1:], row[1:], strict=True):
            shares[name][value] += 1
    for name, counts in shares.items():
        ordered = sorted(counts.items(), key=lambda pair: str(pair[0]))
        lines.append(f"{name}: " + ", ".join(f"{value} {count / len(rows):.3f}" for value, count in ordered))
    for first, second in itertools.combinations(range(1, len(COLUMNS)), 2):
        value = cramers_v([(row[first], row[second]) for row in rows])
        lines.append(f"Cramer's V {COLUMNS[first]} x {COLUMNS[second]}: {value:.4f}")
    return "\n".join(lines) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Compose the labelled corpus that ships with the library.")
    parser.add_argument("--output", type=Path, default=Path("data"), help="folder for the three files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random generator")
    parser.add_argument("--check", action="store_true", help="compare with the files there instead of writing")
    options_given = parser.parse_args(arguments)
    split = compose(options_given.seed)
    contents = {options_given.output / name: render(rows) for name, rows in split.items()}
    if options_given.check:
        stale = [path for path, content in contents.items() if not path.is_file() or path.read_bytes() != content]
        for path in stale:
            sys.stdout.write(f"{path} differs from what would be written\n")
        return 1 if stale else 0
    options_given.output.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        write_atomically(path, content)
    sys.stdout.write(summarise(split))
    return 0


if __name__ == "__main__":
    sys.exit(main())
