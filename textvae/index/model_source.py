"""The model of an index: passed by the user, or loaded from the folder recorded in the index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..latent.exported import ExportedEncoder
    from ..latent.vae import TextVAE


class ModelSource:
    """The model of an index, loaded at first use.

    Attributes:
        fingerprint: Fingerprint of the model, to detect another one.
    """

    def __init__(
        self, fingerprint: str, vae: TextVAE | None = None, folders: Sequence[Path] = (), backend: str = "auto"
    ):
        """Wrap a model, or the folders to look for it in, most likely first, and the backend to encode with."""
        self.fingerprint, self._vae, self._folders, self.backend = fingerprint, vae, folders, backend
        self._encoder: ExportedEncoder | None = None

    @property
    def path(self) -> Path | None:
        """The folder of the model, None if the model was never saved; it may have moved since."""
        if self._vae is not None and self._vae.path is not None:
            return Path(self._vae.path).resolve()
        return next(iter([*self._found(), *self._folders]), None)

    def give(self, vae: TextVAE) -> None:
        """Set the model.

        Raises:
            ValueError: The fingerprint differs.
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
            vae = TextVAE.from_pretrained(folder, backend=self.backend)
            if vae.fingerprint == self.fingerprint:
                break
        self.give(vae)
        return vae

    def encoder(self) -> TextVAE | ExportedEncoder:
        """Return what encodes texts: the model, or its export in the user's cache, which spares the import of torch.

        Raises:
            FileNotFoundError: As in `get`.
            ValueError: As in `get`.
        """
        if self._vae is None and self._encoder is None:
            from ..latent.exported import find_encoder

            exports = (find_encoder(folder, self.backend) for folder in self._found())
            self._encoder = next((each for each in exports if each and each.fingerprint == self.fingerprint), None)
        return self._encoder if self._vae is None and self._encoder is not None and self._encoder.usable else self.get()

    def _found(self) -> list[Path]:
        return [folder for folder in self._folders if folder.exists()]
