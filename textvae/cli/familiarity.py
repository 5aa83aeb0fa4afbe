"""The note of a verb about texts that are outside what its model knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .options import Printing

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

SHOWN = 60  # characters of the text that is quoted


class Familiarity:
    """The familiarity of the texts of a verb, and one line on stderr at its end if some of them are unfamiliar.

    Args:
        vae: The model.
        printing: With --quiet and without --json nothing is measured.
    """

    def __init__(self, vae: TextVAE, printing: Printing):
        self.vae, self.printing = vae, printing
        self.count, self.first = 0, ""

    def of(self, texts: Sequence[str], written: Sequence[str] | None = None) -> list[float | None]:
        """Return the familiarity of each text, rounded; None where nothing asks for it.

        Args:
            texts: N texts.
            written: What greedy decoding of their posterior means writes, if it is known.
        """
        from ..latent.familiarity import familiarity, is_unfamiliar

        if self.printing.quiet and not self.printing.json:
            return [None] * len(texts)
        known = familiarity(self.vae, texts, written)
        outside = is_unfamiliar(self.vae.calibration is not None, known).nonzero()[0].tolist()
        if outside and not self.count:
            self.first = texts[outside[0]]
        self.count += len(outside)
        return [round(number, 4) for number in known.tolist()]

    def say(self) -> None:
        """Print the line."""
        if not self.count:
            return
        from ..latent.familiarity import UNFAMILIAR, UNFAMILIAR_ROUND_TRIP

        shown = " ".join(self.first.split())
        shown = shown if len(shown) <= SHOWN else shown[: SHOWN - 3] + "..."
        why = (
            f"less familiar than {1 - UNFAMILIAR:.0%} of its held-out texts"
            if self.vae.calibration is not None
            else f"fewer than {UNFAMILIAR_ROUND_TRIP:.0%} of the words come back"
        )
        texts = "1 text is" if self.count == 1 else f"{self.count:,} texts are"
        self.printing.note(f"{texts} outside what the model knows ({why}), such as: {shown}")
