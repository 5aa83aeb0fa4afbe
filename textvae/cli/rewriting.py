"""The verb that writes many variations of many texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..storage.row_files import TABLES, save_records
from .attributes import asked_of
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Count,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Seed,
    Source,
    at_least,
    blocks,
    can_write_file,
)

if TYPE_CHECKING:
    from ..attributes.rewriting import Rewritten


def rewrite(
    run: Run,
    texts: Source,
    /,
    *,
    n: Count = 20,
    attribute: Sequence[str] = (),
    strength: float = 1.0,
    spread: float = 1.0,
    temperature: float = 0.0,
    min_similarity: float | None = None,
    max_overlap: float | None = None,
    min_naturalness: float | None = None,
    min_probability: float | None = None,
    dedupe: Annotated[bool, Parameter(negative=())] = False,
    seed: Seed = 0,
    output: Output | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write many variations of many texts, scored, filtered and ranked.

    Prints source, rewrite, similarity, overlap, naturalness and, with attributes, their probability, separated by tabs.
    Of each text the rewrite with the largest similarity * (1 - overlap) * probability comes first, those that are less
    natural than the text ranked lower by exp(the difference).

    Args:
        texts: File of texts, a data set on the hub, or - for standard input.
        n: Variations of each text, before they are filtered.
        attribute: Attribute folder that `textvae attribute` wrote, or FOLDER=STRENGTH, to move every variation along;
            once for each attribute.
        strength: Strength of attributes given without one, as in `textvae shift`.
        spread: Width of the draw around a text's latent, as in `textvae vary`.
        temperature: Temperature of the tokens; at 0 all variety comes from the latents.
        min_similarity: Smallest cosine of the latents of text and rewrite.
        max_overlap: Largest BLEU of the rewrite against its text, 0 to 1.
        min_naturalness: Smallest naturalness (SLOR, Kann et al. 2018): nats per token by which the decoder without a
            latent finds the rewrite likelier than its tokens alone.
        min_probability: Smallest probability of the attributes.
        dedupe: Leave out a rewrite that equals its text or another rewrite of it.
        seed: Seed of the draws, the same for every text.
        output: Write a csv, tsv, jsonl or parquet file instead, by the ending of its name.
    """
    at_least(1, "n", n)
    can_write_file(output, TABLES)
    if output and not output.suffix:
        raise ValueError(f"{output} has no ending, which is its format: choose one of {', '.join(TABLES)}")
    asked = asked_of(attribute, strength)
    corpus = reading.texts(texts, printing)
    vae = device.load(run)
    from ..attributes.attribute import Attribute
    from ..attributes.rewriting import COLUMNS, Filters, Rewriter

    filters = Filters(
        min_similarity=min_similarity,
        max_overlap=max_overlap,
        min_naturalness=min_naturalness,
        min_probability=min_probability,
        dedupe=dedupe,
    )
    rewriter = Rewriter(
        vae,
        [Attribute.load(folder) for folder, _ in asked],
        [size for _, size in asked],
        n=n,
        spread=spread,
        temperature=temperature,
        filters=filters,
        seed=seed,
    )
    without = 0  # texts of which no rewrite is within the bounds
    repeated = 0  # rewrites that equal their text or another one of it

    def found() -> Iterator[list[Rewritten]]:
        nonlocal without, repeated
        for block in blocks(corpus):
            kept: set[str] = set()
            for part in rewriter.blocks(block):
                kept |= {each.source for each in part}
                repeated += len(part) - len({(each.source, each.text) for each in part if each.text != each.source})
                yield part
            without += sum(text not in kept for text in block)

    if output:
        count = save_records(output, ([dataclasses.asdict(each) for each in part] for part in found()), COLUMNS)
        printing.result({"output": str(output), "rewrites": count}, f"wrote {count:,} rewrites to {output}")
    else:
        for part in found():
            for each in part:
                printing.result(dataclasses.asdict(each), _line(each))
    if repeated:
        printing.note(f"{repeated:,} rewrites equal their text or another of its rewrites: --dedupe leaves them out")
    if without:
        printing.note(f"{without:,} texts have no rewrite within the bounds")


def _line(each: Rewritten) -> str:
    numbers = [each.similarity, each.overlap, each.naturalness, each.probability]
    texts = [text.replace("\t", " ") for text in (each.source, each.text)]
    return "\t".join([*texts, *(f"{number:.3f}" for number in numbers if number is not None)])
