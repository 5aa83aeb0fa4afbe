"""The model of an index: given, or found in the folder it had when the index was saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..latent.vae import TextVAE


class ModelSource:
    """A model that is loaded at first use.

    Attributes:
        fingerprint: What tells the model from others.
    """

    def __init__(self, fingerprint: str, vae: TextVAE | None = None, folders: Sequence[Path] = ()):
        """Hold a model, or the folders where it may be, the likeliest first."""
        self.fingerprint, self._vae, self._folders = fingerprint, vae, folders

    @property
    def path(self) -> Path | None:
        """The folder of the model, None if the model was never saved; it may have moved since."""
        if self._vae is not None and self._vae.path is not None:
            return Path(self._vae.path).resolve()
        return next(iter([*self._found(), *self._folders]), None)

    def give(self, vae: TextVAE) -> None:
        """Use this model.

        Raises:
            ValueError: It is another one.
        """
        if vae.fingerprint != self.fingerprint:
            raise ValueError(
                f"the index was built with the model {self.path} (fingerprint {self.fingerprint}), not with "
                f"{vae.path} (fingerprint {vae.fingerprint}): rebuild it or load that model"
            )
        self._vae = vae

    def get(self) -> TextVAE:
        """Return the model.

        Raises:
            FileNotFoundError: Its folder is gone.
            ValueError: The folder now holds another model.
        """
        if self._vae is not None:
            return self._vae
        found = self._found()
        if not found:
            where = f"its folder {self._folders[0]} is gone" if self._folders else "it was never saved"
            raise FileNotFoundError(f"the index needs its model but {where}: pass vae= (--model on the command line)")
        from ..latent.vae import TextVAE

        for folder in found:
            vae = TextVAE.from_pretrained(folder)
            if vae.fingerprint == self.fingerprint:
                break
        self.give(vae)
        return vae

    def _found(self) -> list[Path]:
        return [folder for folder in self._folders if folder.exists()]
