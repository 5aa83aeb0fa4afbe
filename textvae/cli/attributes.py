"""Verbs of attributes: learn a direction of the latent space, and move texts along it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..storage.folders import open_folder
from .errors import UsageError
from .familiarity import Familiarity, Tally
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Seed,
    Source,
    Text,
    at_least,
    blocks,
    can_write_folder,
    sentences,
)

if TYPE_CHECKING:
    from ..attributes.attribute import Attribute
    from ..latent.vae import TextVAE

ABOUT = "attribute.json"
WAYS = "give --positive and --negative, or a corpus and --label, or --dim. See textvae attribute --help"


def attribute(
    run: Run,
    corpus: Source | None = None,
    /,
    *,
    output: Output,
    positive: Source | None = None,
    negative: Source | None = None,
    label: str | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    dim: int | None = None,
    unlabelled: Source | None = None,
    encoder: str | None = None,
    name: str | None = None,
    probe: Literal["means", "lda", "logistic"] | None = None,
    dims: Annotated[bool, Parameter(negative=())] = False,
    writability: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Learn an attribute from texts that have it and texts that lack it.

    Args:
        corpus: File of texts with a labelled column, instead of --positive and --negative.
        output: Attribute folder to write.
        positive: File of texts that have the attribute; ten are enough to start.
        negative: File of texts that lack it or have its opposite.
        label: Column of the corpus with a class, or with a number: values above the median are positive.
        class_: Positive class of --label; all others are negative. Needed if there are more than two.
        dim: Use this latent dimension as the attribute, without examples.
        unlabelled: File of texts without a label, best thousands, about half of which have the attribute. They are
            pseudo-labelled and used for training, which helps if there are few examples.
        encoder: Folder or hub id of the sentence encoder that labels --unlabelled from the examples; by default the
            model's own, which helps only if it is pretrained and kept.
        name: Name of the attribute; by default the folder's name.
        probe: How the score is fitted; by default the probe with the highest cross-validated accuracy.
        dims: Also print each latent dimension's mutual information with the attribute, highest first.
        writability: Also shift up to 200 of the examples to the other class, and store which share of the outputs is as
            natural as 95% of the examples are.
    """
    ways = [positive is not None or negative is not None, corpus is not None or label is not None, dim is not None]
    whole = (positive is None) == (negative is None) and (corpus is None) == (label is None)
    if sum(ways) != 1 or not whole:
        raise UsageError(f"attribute needs one kind of examples: {WAYS}")
    if dim is not None and (dims or probe or writability or unlabelled is not None or encoder is not None):
        raise UsageError(
            "--dims, --probe, --writability, --unlabelled and --encoder need examples, --dim has none. "
            "See textvae attribute --help"
        )
    if encoder is not None and unlabelled is None:
        raise UsageError("--encoder labels the texts of --unlabelled: give those too. See textvae attribute --help")
    if class_ is not None and label is None:
        raise UsageError("--class names a class of --label. See textvae attribute --help")
    can_write_folder(output, "attribute", ABOUT)
    name = name or output.resolve().name
    if dim is not None:
        vae = device.load(run)
        from ..attributes.attribute import Attribute

        _write(Attribute.from_dimension(vae, dim, name=name), output, printing)
        return
    if label is not None:
        rows = list(reading.rows(str(corpus), printing, [label]))
        texts, labels = [str(row["text"]) for row in rows], _labels([row[label] for row in rows], class_)
    else:
        sides = [list(reading.texts(str(source), printing)) for source in (positive, negative)]
        texts = sides[0] + sides[1]
    others = None if unlabelled is None else list(reading.texts(str(unlabelled), printing))
    vae = device.load(run)
    from ..attributes.attribute import Attribute
    from ..attributes.labels import split_labels

    if label is not None:
        fitted = Attribute.fit_labels(
            vae, texts, labels, positive=class_, unlabelled=others, encoder=encoder, name=name, probe=probe
        )
        high = split_labels(labels, class_)[0]
    else:
        fitted = Attribute.fit(vae, *sides, unlabelled=others, encoder=encoder, name=name, probe=probe)
        high = [True] * len(sides[0]) + [False] * len(sides[1])
    if writability:
        from ..attributes.writable import with_writability

        fitted = with_writability(vae, fitted, texts)
    _write(fitted, output, printing)
    if dims:
        _print_dimensions(vae, texts, high, printing)


def _write(fitted: Attribute, output: Path, printing: Printing) -> None:
    fitted.save(output)
    record = {"output": str(output)} | {
        key: getattr(fitted, key)
        for key in ("name", "probe", "accuracy", "interval", "threshold", "examples", "unlabelled")
    }
    if fitted.writability is not None:
        record["writability"] = fitted.writability
    printing.result(record, fitted.summary())


def _labels(values: Sequence[object], class_: str | None) -> list[str] | list[float]:
    """Return numbers if no class is given and all values are numbers, else class names."""
    missing = sum(value is None or value == "" for value in values)
    if missing:
        raise ValueError(f"{missing:,} of {len(values):,} texts have no label: leave them out of the corpus")
    if class_ is None:
        try:
            return [float(str(value)) for value in values]
        except ValueError:
            pass
    return [str(value) for value in values]


def _print_dimensions(vae: TextVAE, texts: Sequence[str], high: Sequence[bool], printing: Printing) -> None:
    from ..latent.information import dimensions

    for related in dimensions(vae.encode(texts), high):
        record = dataclasses.asdict(related)
        line = f"dimension {related.dim}\t{related.information:.3f} nats\tcorrelation {related.correlation:+.2f}"
        printing.result(record, line)


def shift(
    run: Run,
    text: Text | None = None,
    /,
    *,
    attribute: Sequence[str],
    strength: float = 1.0,
    keep: Sequence[Path] = (),
    candidates: int = 16,
    certainty: float = 0.9,
    explain: Annotated[bool, Parameter(negative=())] = False,
    seed: Seed = 0,
    input: Source | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Rewrite a sentence along one or more attributes.

    A line on stderr says how many texts did not reach the target; --json has `reached` and `probability` of each.

    Args:
        text: The sentence, or - for those of standard input.
        attribute: Attribute folder that `textvae attribute` wrote, or FOLDER=STRENGTH; once for each attribute.
        strength: Strength of attributes given without one: 1 sets the typical score of the positive class, -1 that of
            the negative class, 0 only reconstructs.
        keep: Attribute folder whose score is held constant.
        candidates: Local rewrites of each sentence in each of up to two rounds, beside whole sentences. They are
            re-encoded, and the one is printed that has the attributes and keeps most other words. In a model with
            wording slots, fills of the slots each time that one more is opened. 1 is plain latent arithmetic, the
            fastest, which seldom reaches the target.
        certainty: Probability required of every attribute for a candidate to count as shifted, or that of a typical
            text of its class if it is lower; higher values change more words.
        explain: Also print scores before and after, probability, words kept, nats and whether the target was reached.
        seed: Seed of the candidates.
        input: File of sentences, instead of one.
    """
    if (text is None) == (input is None):
        raise UsageError("shift takes either a sentence or --input. See textvae shift --help")
    at_least(1, "--candidates", candidates)
    asked = asked_of(attribute, strength, keep)
    sources: Iterable[str] = sentences(text) if text is not None else reading.texts(str(input), printing)
    vae = device.load(run)
    from ..attributes.attribute import Attribute
    from ..attributes.shifting import shift as shifted

    moved = [Attribute.load(folder) for folder, _ in asked]
    kept = [Attribute.load(folder) for folder in keep]
    strengths = [size for _, size in asked]
    said = {a.name: size for a, size in zip(moved, strengths, strict=True)}
    familiarity = Familiarity(vae, printing)
    short = Tally()
    for block in blocks(sources):
        results = shifted(
            vae, block, moved, strengths, keep=kept, candidates=candidates, certainty=certainty, seed=seed
        )
        for each, known in zip(results, familiarity.of(block), strict=True):
            record = {"source": each.source, "attributes": said, "text": each.text, "familiarity": known}
            record |= {"reached": each.reached, "probability": each.probability}
            if not each.reached:
                short.add(each.text)
            if explain:
                record |= dataclasses.asdict(each)
            printing.result(record, f"{each.text}\t{each.summary()}" if explain else each.text)
    short.say(printing, "short of the target (--explain says by how much)")
    familiarity.say()


def asked_of(attribute: Sequence[str], strength: float, keep: Sequence[Path] = ()) -> list[tuple[Path, float]]:
    """Return the folders and strengths of --attribute, after a check that all folders are attributes."""
    asked = [_folder_and_strength(each, strength) for each in attribute]
    for folder in [*(folder for folder, _ in asked), *keep]:
        if not (folder / ABOUT).exists():
            open_folder(folder, "attribute", ABOUT)  # raises the error before torch is imported, which takes seconds
    return asked


def _folder_and_strength(said: str, strength: float) -> tuple[Path, float]:
    """Return a folder and a strength from FOLDER=STRENGTH; a folder that is there may have "=" in its name."""
    folder, equals, number = said.rpartition("=")
    if (Path(said) / ABOUT).exists():
        return Path(said), strength
    try:
        return (Path(folder), float(number)) if equals else (Path(said), strength)
    except ValueError:
        return Path(said), strength
