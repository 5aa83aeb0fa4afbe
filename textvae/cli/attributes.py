"""Verbs of attributes: learn a direction of the latent space, and move texts along it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..artifacts import open_folder
from .errors import UsageError
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Device,
    Output,
    Printing,
    Reading,
    Source,
    Text,
    blocks,
    can_write_folder,
    sentences,
)

ABOUT = "attribute.json"


def attribute(
    run: Path,
    /,
    *,
    positive: Source,
    negative: Source,
    output: Output,
    name: str | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Learn an attribute from texts that have it and texts that lack it.

    Args:
        run: Run folder.
        positive: File of texts that have the attribute; ten already work.
        negative: File of texts that lack it or have its opposite.
        output: Attribute folder to write.
        name: What it is called; by default the folder's name.
        reading: How the texts are read.
        device: Where the model runs.
        printing: What is printed.
    """
    can_write_folder(output, "attribute", ABOUT)
    high, low = (list(reading.texts(source, printing)) for source in (positive, negative))
    vae = device.load(run)
    from ..attributes import Attribute

    fitted = Attribute.fit(vae, high, low, name=name or output.resolve().name)
    fitted.save(output)
    record = {"output": str(output), "name": fitted.name, "accuracy": fitted.accuracy, "interval": fitted.interval}
    printing.result(record, fitted.summary())


def shift(
    run: Path,
    text: Text | None = None,
    /,
    *,
    attribute: Path,
    strength: float = 1.0,
    input: Source | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Rewrite a sentence along an attribute.

    Args:
        run: Run folder.
        text: The sentence, or - for those of standard input.
        attribute: Attribute folder that `textvae attribute` wrote.
        strength: How far: 1 adds the difference of the class means, -1 takes it away, 0 only reconstructs.
        input: File of sentences, instead of one.
        reading: How the file is read.
        device: Where the model runs.
        printing: What is printed.
    """
    if (text is None) == (input is None):
        raise UsageError("shift takes either a sentence or --input. See textvae shift --help")
    if not (attribute / ABOUT).exists():
        open_folder(attribute, "attribute", ABOUT)  # says what is wrong, before torch takes its seconds
    sources: Iterable[str] = sentences(text) if text is not None else reading.texts(str(input), printing)
    vae = device.load(run)
    from ..attributes import Attribute

    direction = Attribute.load(attribute)
    for block in blocks(sources):
        for source, shifted in zip(block, vae.shift(block, direction, strength), strict=True):
            record = {"source": source, "attribute": direction.name, "strength": strength, "text": shifted}
            printing.result(record, shifted)
