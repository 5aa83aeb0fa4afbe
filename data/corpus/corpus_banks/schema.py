"""The shapes that the topic banks are written in.

Banks are kept as ``;``-separated lines, because the corpus needs thousands of short phrases and
one phrase per Python literal would bury the English in punctuation.  The marks are:

* ``*verb``: conjugate this verb (its forms stand in ``verbs.py``); only the first one in a phrase
  takes ``will`` in the future tense, and adverbs written before it stay before it;
* ``a / b``: a negative phrase and its positive counterpart;
* ``+noun``: a plural noun phrase;
* ``phrase #``: says how often or how long, so takes no further time phrase; of a lead: done once, so no habit;
* ``{I} {me} {my}``: the speaker, singular or plural; ``{its}``: agrees with the subject;
* ``{at}`` and ``{E}``: the place or product, with or without its preposition.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aspect:
    """One thing that reviews of a topic talk about, and what can truly be said of it.

    Attributes:
        determiners: Words that may open the noun phrase, separated by ``|``.
        plain: Noun phrases in everyday words (technical depth 0).
        technical: Noun phrases with one technical noun or figure (depth 1).
        expert: Noun phrases with expert detail (depth 2).
        adjectives: Pairs of adjectives, used after "be".
        verbs: Pairs of verb phrases.
        comparatives: Pairs of comparatives, used before "than".
        neutral: Verb phrases that describe without praise or blame.
        preposition: Replaces the preposition of the topic after this aspect.
    """

    determiners: str
    plain: str
    technical: str
    expert: str
    adjectives: str
    verbs: str
    comparatives: str
    neutral: str
    preposition: str = ""


@dataclass(frozen=True)
class Topic:
    """Everything that the corpus can say about one topic.

    Attributes:
        label: The word in the topic column.
        kind: ``place``, ``product`` or ``service``; picks the reputation cues that make sense.
        entities: Nouns for the place or product as a whole.
        makers: Nouns for whoever makes or runs it; empty where the place itself has the name.
        preposition: Joins an aspect to the entity ("the soup at this diner").
        leads: First-person actions that open a longer sentence.
        outcomes: Pairs of clauses that say what the speaker did about it.
        references: Phrases that fit after both "than" and "the same as".
        past: Time phrases for the past.
        present: Time phrases for the present.
        future: Time phrases for the future.
        aspects: The aspects.
    """

    label: str
    kind: str
    entities: str
    makers: str
    preposition: str
    leads: str
    outcomes: str
    references: str
    past: str
    present: str
    future: str
    aspects: tuple[Aspect, ...]
