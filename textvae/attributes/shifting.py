"""Moving sentences along attributes: latent arithmetic, and a closed loop that checks what it writes."""

# N texts, M attributes, D latent dimensions, C candidates
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..latent.decoding import Decoding
from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts
from ..text.word_diff import pair_similarity, patch, word_similarity
from .attribute import Attribute
from .target import Target

LONGEST_SPAN = 3  # words that one local rewrite replaces
WORD = 0.1  # nats of log-odds that a longer span must gain for each word
FURTHER = (1.5, 3.0)  # strengths that candidates are written at, times the one that is asked for
BEAMS = 4  # whole sentences decoded from each moved latent, beside the greedy one
TEMPERATURE = 1.0  # of the candidates beside the likeliest one
ROUNDS = 2  # local rewrites on top of each other, for each attribute
# What weighs: all pairs of words kept; a nat per word more, and less, than the source has; a nat of log-odds missing.
CONTENT, FLUENCY, LIKELIER, SURENESS = 14.0, 6.0, 1.2, 3.0


@dataclass(frozen=True)
class Shifted:
    """One sentence moved along attributes, and how far to trust it.

    Attributes:
        source: The sentence.
        text: What was written.
        strengths: Strength of each attribute in the latent it was written from, by name; 0 where words were kept.
        before: Score of each attribute by name: -1 is typical of its negative class, +1 of its positive one.
        after: The same for the text.
        probability: That the text has the attribute that is least sure of those asked for.
        similarity: Of the words in their order, 0 to 1, as in `word_similarity`.
        nats: -log p(text) in nats per sentence, of the decoder without a latent; for a model trained without latent
            dropout, given the text's own latent.
        reached: Whether each attribute is there with the certainty asked for, or as surely as is typical of its class.
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
    candidates: int = 1,
    certainty: float = 0.9,
    seed: int | None = 0,
) -> list[Shifted]:
    """Write each text with attributes moved, and say how far to trust it.

    With more than one candidate the loop is closed: what is written is read again. Candidates are whole sentences
    decoded from moved latents, what those change applied to the source, and the source with a few words written anew
    by the decoder at a moved latent, those words whose loss moves the scores most. The best has the attributes with
    the certainty asked for, and then keeps the most pairs of words and is the likeliest.

    Args:
        vae: The model.
        texts: N texts.
        attribute: Fitted on this model; or several, which are then moved together.
        strength: 1 sets the attribute to what is typical of its positive class, -1 of its negative one, 0.5 goes half
            the way, 2 goes on by the distance of the classes; one for each attribute.
        keep: Attributes that stay as they are.
        candidates: 1 decodes the moved latent and no more. Above, whole sentences (by beam search at several strengths)
            and, in each of up to two rounds, about so many local rewrites (likeliest and sampled) are decoded and read
            again, and the best is returned, the text itself if it already has the attribute. Leave the strength at 1 or
            -1 then and ask for more by `certainty`: the candidates are already written at 1.5 and 3 times the strength.
        certainty: Probability that a candidate shall have of its least sure attribute, above 0 and below 1: more of it
            changes more words.
        seed: Seed of the candidates; None draws fresh.

    Returns:
        N results; `text` of each is what was written.

    Raises:
        ValueError: An attribute was fitted on another model, or the numbers do not fit.
    """
    attributes = [attribute] if isinstance(attribute, Attribute) else list(attribute)
    given = [strength] * len(attributes) if isinstance(strength, Real) else strength
    strengths = [float(each) for each in given]  # type: ignore[union-attr]
    if not attributes or len(strengths) != len(attributes):
        raise ValueError(f"{len(attributes)} attributes need as many strengths, got {len(strengths)}")
    if not 0 < certainty < 1:
        raise ValueError(f"certainty must be above 0 and below 1, got {certainty}")
    if candidates < 1:
        raise ValueError(f"candidates must be at least 1, got {candidates}")
    for each in [*attributes, *keep]:
        each.check(vae)
    names = [each.name for each in [*attributes, *keep]]
    if len(set(names)) < len(names):
        raise ValueError(f"two of the attributes have the same name, of {', '.join(names)}: fit one with another name")
    target = Target([*attributes, *keep], [*strengths, *[0.0] * len(keep)], certainty)
    texts = gate_texts(texts)
    latents = vae.encode(texts)
    scores_NM = target.scores(latents)
    pools = [_Pool(*facts) for facts in zip(texts, latents, scores_NM, strict=True)]
    if candidates == 1 or not any(strengths):
        _judge(vae, pools, [{text: 1.0} for text in vae.decode(target.move(latents))], target)
        return [pool.result(target) for pool in pools]
    _judge(vae, pools, [{text: 0.0} for text in texts], target)
    asked = [pool for pool in pools if pool.best.missing > 0]  # the others have what is asked for and stay as they are
    if asked:
        found = _whole(vae, [pool.source for pool in asked], np.stack([pool.latent for pool in asked]), target)
        _judge(vae, asked, found, target)
    for turn in range(ROUNDS * np.count_nonzero(strengths)):
        going = [pool for pool in asked if turn == 0 or pool.best.missing > 0]
        if going:
            starts = [pool.source if turn == 0 else pool.best.text for pool in going]
            found = _local(vae, starts, target, candidates, None if seed is None else seed + turn)
            _judge(vae, going, found, target)
    return [pool.result(target) for pool in pools]


@dataclass(frozen=True)
class _Candidate:
    text: str
    further: float
    scores: Array
    log_odds: float  # of the least sure attribute
    missing: float
    similarity: float
    nats: float
    worth: float


class _Pool:
    """The candidates of one text, of which the best is kept."""

    def __init__(self, source: str, latent: Array, scores: Array):
        self.source, self.latent, self.scores = source, latent, scores
        self.seen: set[str] = set()
        self.usual = 0.0  # nats per word of the source, once it is judged
        self.best = _Candidate("", 0.0, scores, -np.inf, np.inf, 0.0, np.inf, -np.inf)

    def result(self, target: Target) -> Shifted:
        names = [attribute.name for attribute in target.attributes]
        best = self.best
        before, after = (dict(zip(names, map(float, s), strict=True)) for s in (self.scores, best.scores))
        probability = float(1 / (1 + np.exp(-best.log_odds)))
        strengths = {name: best.further * strength for name, strength in zip(names, target.strengths, strict=True)}
        return Shifted(
            self.source, best.text, strengths, before, after, probability, best.similarity, best.nats,
            best.missing == 0,
        )  # fmt: skip


Found = list[dict[str, float]]  # for each text its candidates, and how many times the strengths they were written at


def _judge(vae: TextVAE, pools: Sequence[_Pool], found: Found, target: Target) -> None:
    """Read the candidates again and keep the best of each pool."""
    owners = [
        (pool, text, further)
        for pool, texts in zip(pools, found, strict=True)
        for text, further in texts.items()
        if text not in pool.seen
    ]
    if not owners:
        return
    texts = [text for _, text, _ in owners]
    reading = vae.read(texts)
    latents = reading.meaning.mean.numpy()
    unseen = vae.model.config.latent_dropout > 0  # the decoder then is a language model
    nats = vae.nats(reading, np.zeros_like(latents) if unseen else latents)
    scores, odds_NM = target.scores(latents), target.read(reading)
    facts = zip(owners, latents, scores, odds_NM.min(1), target.missing(odds_NM), nats, strict=True)
    for (pool, text, further), latent, score, odds, missing, nat in facts:
        pool.seen.add(text)
        similarity = word_similarity(pool.source, text)
        drift = float(target.drift(latent[None], pool.latent)[0])
        per_word = float(nat) / (len(text.split()) + 1)
        if text == pool.source:
            pool.usual = per_word
        more = per_word - pool.usual
        fluency = -more * (FLUENCY if more > 0 else LIKELIER)
        worth = CONTENT * pair_similarity(pool.source, text) + fluency - SURENESS * missing - drift
        if worth > pool.best.worth:
            pool.best = _Candidate(text, further, score, float(odds), float(missing), similarity, float(nat), worth)


def _whole(vae: TextVAE, texts: Sequence[str], latents: Array, target: Target) -> Found:
    """Return the sentences decoded from the moved latents, and what they change applied to the source."""
    found: Found = [{} for _ in texts]
    rebuilt = vae.decode(latents)
    for further in FURTHER:
        moved = target.move(latents, further)
        beams = vae.write(moved, Decoding(num_beams=BEAMS, candidates=BEAMS))
        for i, greedy in enumerate(vae.decode(moved)):
            for text in (greedy, *beams[i * BEAMS : (i + 1) * BEAMS]):
                for candidate in (patch(texts[i], rebuilt[i], text), text):
                    if candidate:
                        found[i].setdefault(candidate, further)
    return found


def _local(vae: TextVAE, texts: Sequence[str], target: Target, candidates: int, seed: int | None) -> Found:
    """Return the texts with a few words written anew."""
    latents = vae.encode(texts)
    spans = _spans(vae, texts, target, max(1, candidates // (2 * len(FURTHER))))
    found: Found = [{} for _ in texts]
    for further in FURTHER:
        moved = target.move(latents, further)
        rows = [(i, span) for i, chosen in enumerate(spans) for span in chosen]
        prefixes = [" ".join(texts[i].split()[: span[0]]) for i, span in rows]
        points = moved[[i for i, _ in rows]]
        for temperature in (0.0, TEMPERATURE):
            written = vae.decode(points, prefixes=prefixes, temperature=temperature, seed=seed)
            for (i, span), prefix, text in zip(rows, prefixes, written, strict=True):
                for candidate in _joined(texts[i].split(), span, text.split()[len(prefix.split()) :]):
                    found[i].setdefault(candidate, further)
    return found


def _joined(words: list[str], span: tuple[int, int], fill: list[str]) -> Iterator[str]:
    """Yield the text with a span replaced by the first words of a fill, none to one more than it had."""
    for length in range(min(len(fill), span[1] - span[0] + 1) + 1):
        if text := " ".join(words[: span[0]] + fill[:length] + words[span[1] :]):
            yield text


def _spans(vae: TextVAE, texts: Sequence[str], target: Target, most: int) -> list[list[tuple[int, int]]]:
    """Return the spans of words of each text whose loss moves its scores most, per text at most `most`."""
    everything = []
    for text in texts:
        n = min(len(text.split()), vae.model.config.max_length)  # beyond it nothing is read
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
        gains = -missing[start : start + len(spans)] - WORD * lengths
        start += len(spans)
        chosen.append([spans[k] for k in np.argsort(-gains, kind="stable")[:most]])
    return chosen
