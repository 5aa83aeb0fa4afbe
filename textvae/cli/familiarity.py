"""The note of a verb about texts that are outside what its model knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .options import Printing

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

SHOWN = 60  # characters of the text that is quoted


class Tally:
    """The number of texts of a kind and the first of them, for one line on stderr at the end of a verb."""

    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, text: str) -> None:
        """Count a text."""
        self.first = self.first if self.count else " ".join(text.split())
        self.count += 1

    def say(self, printing: Printing, what: str) -> None:
        """Print how many texts are `what`, and the first, shortened."""
        if not self.count:
            return
        first = self.first if len(self.first) <= SHOWN else self.first[: SHOWN - 3] + "..."
        texts = "1 text is" if self.count == 1 else f"{self.count:,} texts are"
        printing.note(f"{texts} {what}, such as: {first}")


class Familiarity:
    """The familiarity of the texts of a verb, and one line on stderr at its end if some of them are unfamiliar.

    Args:
        vae: The model.
        printing: With --quiet and without --json nothing is measured.
    """

    def __init__(self, vae: TextVAE, printing: Printing):
        self.vae, self.printing = vae, printing
        self.outside = Tally()

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
        for place in outside:
            self.outside.add(texts[place])
        return [round(number, 4) for number in known.tolist()]

    def say(self) -> None:
        """Print the line."""
        from ..latent.familiarity import UNFAMILIAR, UNFAMILIAR_ROUND_TRIP

        why = (
            f"less familiar than {1 - UNFAMILIAR:.0%} of its held-out texts"
            if self.vae.calibration is not None
            else f"fewer than {UNFAMILIAR_ROUND_TRIP:.0%} of the words come back"
        )
        self.outside.say(self.printing, f"outside what the model knows ({why})")
