"""Moving sentences along attributes: latent arithmetic, and a closed loop that re-encodes its candidates."""

# N texts, M attributes, D latent dimensions, C candidates
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .._progress import Progress
from ..latent.decoding import Decoding
from ..latent.geometry import Array
from ..latent.latents import Latents
from ..latent.vae import TextVAE
from ..modeling.sampling import MOST_CANDIDATES
from ..storage.errors import check_range
from ..text.cleaning import gate_texts
from ..text.word_diff import patch, single_changes, word_similarity
from .attribute import Attribute
from .judging import Pool, Weights, judge
from .slot_shifting import Found, fills, openings, ranked_slots, voted_slots
from .target import Target

AT_ONCE = 64  # texts whose candidates are in memory together
LONGEST_SPAN = 3  # words that one local rewrite replaces
SPAN_PENALTY_NATS = 0.1  # log-odds that each word of a span costs when spans are ranked
STRENGTH_MULTIPLIERS = (1.5, 3.0)  # of the requested strength, at which candidates are decoded
BEAMS = 4  # whole sentences decoded from each moved latent, beside the greedy one
WORDS_SHARE = 8  # one word of so many candidates is tried at each span
ROUNDS = 2  # successive local rewrites, for each attribute
LANGUAGE_MODEL_DROPOUT = 0.1  # latent dropout from which a decoder with slots is a language model without its latent
AIM = 2.0  # strength multiplier of the meaning given which other decoders with slots judge likelihood
TOWARDS_AIM = Weights(kept=8.0, less_likely=18.0, missing=14.0, most_likelier=1.0)  # of those candidates


@dataclass(frozen=True)
class Shifted:
    """One sentence moved along attributes, with scores, probability and similarity.

    Attributes:
        source: The sentence.
        text: The rewritten sentence.
        strengths: Strength of each attribute at which `text` was decoded, by name; 0 if it is the source itself.
        before: Score of each attribute by name: -1 is typical of its negative class, +1 of its positive one.
        after: The same for the text.
        probability: The lowest probability of the requested attributes.
        similarity: Of the words in their order, 0 to 1, as in `word_similarity`.
        nats: -log p(text) in nats per sentence, of the decoder without a latent; for a model trained without latent
            dropout, given the text's own latent, and with wording slots and a dropout below 0.1, the moved meaning.
        reached: Whether each attribute has the required certainty, or the typical log-odds of its class.
    """

    source: str
    text: str
    strengths: dict[str, float]
    before: dict[str, float]
    after: dict[str, float]
    probability: float
    similarity: float
    nats: float
    reached: bool

    def summary(self) -> str:
        """Return the scores and the rest as one line."""
        scores = ", ".join(f"{name} {self.before[name]:+.2f} to {self.after[name]:+.2f}" for name in self.before)
        strengths = ", ".join(f"{strength:+g}" for strength in self.strengths.values())
        return (
            f"{scores}, probability {self.probability:.0%}, words {self.similarity:.0%} the same, "
            f"{self.nats:.1f} nats, strength {strengths}, target {'reached' if self.reached else 'not reached'}"
        )


def shift(
    vae: TextVAE,
    texts: Sequence[str],
    attribute: Attribute | Sequence[Attribute],
    strength: float | Sequence[float] = 1.0,
    *,
    keep: Sequence[Attribute] = (),
    candidates: int = 16,
    certainty: float = 0.9,
    seed: int | None = 0,
) -> list[Shifted]:
    """Rewrite each text with attributes moved, and report scores and probabilities.

    With more than one candidate the loop is closed: candidates are re-encoded and scored. They are whole sentences
    decoded from moved latents, the changes of those applied to the source, and the source with a few words replaced by
    the decoder at a moved latent, namely the words whose deletion changes the scores most. The best candidate has the
    attributes with the required certainty, keeps most pairs of words, and is likely under the decoder.

    In a model with wording slots, whole sentences are tried only where a few words were not enough (after both rounds,
    or after the first if the decoder was often trained without a latent): the meaning moves, and of each text's exact
    latent those slots are opened whose opening brings it nearest to the target: one, two, up to four, then all, until a
    candidate reaches it. The other slots keep their words. Each change of a draft is tried alone too.

    Args:
        vae: The model.
        texts: N texts.
        attribute: Fitted on this model; or several, which are then moved together.
        strength: 1 sets the typical score of the positive class, -1 that of the negative class, 0.5 moves half of the
            way, 2 beyond it by the distance of the classes; one for each attribute.
        keep: Attributes whose scores are held constant.
        candidates: 1 only decodes the moved latent, with those slots open whose words vote for the old value, which is
            fastest and seldom reaches the target. Above 1, whole sentences (beam search at several strengths) and, in
            each of up to two rounds, local rewrites (by likelier words, and greedy), at about half as many places, are
            re-encoded, and the best one is returned; a text that already has the attribute is returned unchanged. Keep
            the strength at 1 or -1 then and raise `certainty`: candidates are decoded at 1.5 and 3 times the strength
            anyway. With wording slots it is about the number of fills each time that slots are opened.
        certainty: Probability required of every attribute, above 0 and below 1; higher values change more words.
        seed: Seed of the candidates; None for a random one.

    Returns:
        N results; `text` of each is the rewritten sentence.

    Raises:
        ValueError: An attribute was fitted on another model, or the numbers do not fit.
    """
    target = Target.of(vae, attribute, strength, keep, certainty)
    if len(target.attributes) == len(keep):
        raise ValueError("shift needs an attribute to move along, got none")
    check_range("candidates", candidates, 1, MOST_CANDIDATES)
    texts, done = gate_texts(texts), []
    with Progress("shifted", len(texts), counts_inner=False) as progress:
        for start in range(0, len(texts), AT_ONCE):
            pools = close_loop(vae, texts[start : start + AT_ONCE], target, candidates, seed)
            done += [_shifted(pool, target) for pool in pools]
            progress.advance(len(pools))
    return done


def close_loop(
    vae: TextVAE, texts: Sequence[str], target: Target, candidates: int, seed: int | None, thorough: bool = False
) -> list[Pool]:
    """Return each text with its judged candidates, most of them if it is thorough; with one it is only decoded."""
    latents = vae.encode(texts)
    scores_NM = target.scores(latents)
    contexts, weights = _contexts(vae, latents, target)
    pools = [Pool(*facts, weights, thorough) for facts in zip(texts, latents, scores_NM, contexts, strict=True)]
    has_slots = vae.model.config.slot_dim > 0
    if not any(target.strengths) or candidates == 1:
        moved = _moved(vae, texts, target) if has_slots else target.move(latents)
        judge(vae, pools, [{text: 1.0} for text in vae.decode(moved)], target)
        return pools
    judge(vae, pools, [{text: 0.0} for text in texts], target)
    asked = [pool for pool in pools if pool.best.missing > 0]  # the others already reach the target
    if not has_slots and asked:
        found = _whole(vae, [pool.source for pool in asked], np.stack([pool.latent for pool in asked]), target)
        judge(vae, asked, found, target)
    rounds = ROUNDS * np.count_nonzero(target.strengths)
    opening = 0 if _is_language_model(vae) else rounds - 1  # each as measured on the kind of decoder
    for turn in range(rounds):
        going = [pool for pool in asked if turn == 0 or pool.best.missing > 0]
        if going:
            starts = [pool.source if turn == 0 else pool.best.text for pool in going]
            judge(vae, going, _local(vae, starts, target, candidates), target)
        if has_slots and turn == opening:
            _open_slots(vae, [pool for pool in asked if pool.best.missing > 0], target, candidates, seed)
    return pools


def _contexts(vae: TextVAE, latents: Array, target: Target) -> tuple[Sequence[Array | None], Weights]:
    """Return the latent given which each text's candidates are likely or not, None for their own, and the weights.

    A decoder that was often trained without its latent is a language model, given zeros. One with wording slots that
    was not has learnt to write from a meaning alone, and is given the moved one.
    """
    if not _is_language_model(vae):
        return list(target.move(latents, AIM)), TOWARDS_AIM
    return list(np.zeros_like(latents)) if vae.model.config.latent_dropout > 0 else [None] * len(latents), Weights()


def _is_language_model(vae: TextVAE) -> bool:
    """Return whether the decoder says how likely texts are without their meaning, or has no slots to open."""
    config = vae.model.config
    return not config.slot_dim or config.latent_dropout >= LANGUAGE_MODEL_DROPOUT


def _moved(vae: TextVAE, texts: Sequence[str], target: Target) -> Latents:
    """Return exact latents with the meaning moved, and the slots open whose words vote for the old value."""
    exact = vae.exact(texts)
    if not any(target.strengths):
        return exact
    config = vae.model.config
    opened = voted_slots(vae.read(texts), target, config.slot_stride or config.slot_tokens)
    return exact.moved(target.move(exact.meaning)).opened(opened)


def _shifted(pool: Pool, target: Target) -> Shifted:
    names = [attribute.name for attribute in target.attributes]
    best = pool.best
    before, after = (dict(zip(names, map(float, s), strict=True)) for s in (pool.scores, best.scores))
    probability = float(1 / (1 + np.exp(-best.odds.min())))
    strengths = {name: best.further * strength for name, strength in zip(names, target.strengths, strict=True)}
    similarity = word_similarity(pool.source, best.text)
    return Shifted(
        pool.source, best.text, strengths, before, after, probability, similarity, best.nats, best.missing == 0
    )


def _open_slots(vae: TextVAE, pools: Sequence[Pool], target: Target, candidates: int, seed: int | None) -> None:
    """Open more and more of each text's slots, those first that carry the old value, until it reaches the target."""
    if not pools:
        return
    latents = vae.exact([pool.source for pool in pools])
    order = ranked_slots(vae, latents, target)
    samples = max(1, candidates // (2 * len(STRENGTH_MULTIPLIERS)))
    for opened in openings(latents, order):
        going = [i for i, pool in enumerate(pools) if pool.best.missing > 0]
        if not going:
            return
        found = fills(vae, latents[going], opened[going], target, STRENGTH_MULTIPLIERS, samples, seed)
        for i, drafts in zip(going, found, strict=True):
            for draft, further in list(drafts.items()):
                for text in single_changes(pools[i].source, draft):
                    if text:
                        drafts.setdefault(text, further)
        judge(vae, [pools[i] for i in going], found, target)


def _whole(vae: TextVAE, texts: Sequence[str], latents: Array, target: Target) -> Found:
    """Return the sentences decoded from the moved latents, and the source with their changes applied."""
    found: Found = [{} for _ in texts]
    rebuilt = vae.decode(latents)
    for further in STRENGTH_MULTIPLIERS:
        moved = target.move(latents, further)
        beams = vae.write(moved, Decoding(num_beams=BEAMS, candidates=BEAMS))
        for i, greedy in enumerate(vae.decode(moved)):
            for text in (greedy, *beams[i * BEAMS : (i + 1) * BEAMS]):
                for candidate in (patch(texts[i], rebuilt[i], text), text):
                    if candidate:
                        found[i].setdefault(candidate, further)
    return found


def _local(vae: TextVAE, texts: Sequence[str], target: Target, candidates: int) -> Found:
    """Return the texts with a few words replaced by the decoder: by one that the move makes likelier, or greedily."""
    latents = vae.encode(texts)
    spans = _spans(vae, texts, target, max(1, candidates // (2 * len(STRENGTH_MULTIPLIERS))))
    words = [text.split() for text in texts]
    places = sorted({(i, start) for i, chosen in enumerate(spans) for start, _ in chosen})  # where new words begin
    prefixes = [" ".join(words[i][:start]) for i, start in places]
    owners = [i for i, _ in places]
    found: Found = [{} for _ in texts]
    for further in STRENGTH_MULTIPLIERS:
        moved = target.move(latents, further)[owners]
        likelier = vae.next_words(moved, prefixes, max(1, candidates // WORDS_SHARE), latents[owners])
        written = vae.decode(moved, prefixes=prefixes)
        after = [text.split()[len(prefix.split()) :] for text, prefix in zip(written, prefixes, strict=True)]
        new = dict(zip(places, zip(after, likelier, strict=True), strict=True))
        for i, chosen in enumerate(spans):
            for start, end in chosen:
                for candidate in _joined(words[i], (start, end), *new[i, start]):
                    found[i].setdefault(candidate, further)
    return found


def _joined(words: list[str], span: tuple[int, int], fill: list[str], single: list[str]) -> Iterator[str]:
    """Yield the text with a span replaced by each single word, or by up to one more words of a fill than it has.

    Single words are put before the span too.
    """
    start, end = span
    fills = [fill[:length] for length in range(min(len(fill), end - start + 1) + 1)]
    for before in [*fills, *([word] for word in single)]:
        if text := " ".join(words[:start] + before + words[end:]):
            yield text
    if end == start + 1:
        for word in single:
            yield " ".join([*words[:start], word, *words[start:]])


def _spans(vae: TextVAE, texts: Sequence[str], target: Target, most: int) -> list[list[tuple[int, int]]]:
    """Return the spans of words of each text whose deletion changes its scores most, at most `most` for each."""
    everything = []
    for text in texts:
        n = min(len(text.split()), vae.model.config.max_length)  # the model reads no further
        everything.append([(i, j) for i in range(n) for j in range(i + 1, min(n, i + LONGEST_SPAN) + 1)])
    without = [
        " ".join(words[:i] + words[j:])
        for words, spans in zip((text.split() for text in texts), everything, strict=True)
        for i, j in spans
    ]
    missing = target.missing(target.read(vae.read(without)))
    chosen, start = [], 0
    for spans in everything:
        lengths = np.array([j - i for i, j in spans])
        gains = -missing[start : start + len(spans)] - SPAN_PENALTY_NATS * lengths
        start += len(spans)
        chosen.append([spans[k] for k in np.argsort(-gains, kind="stable")[:most]])
    return chosen
