"""TextVAE: sampling, priors and familiarity, on top of `Variation`."""

# N texts, D latent dimensions
from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import torch

from ..modeling.precision import default_device
from ..modeling.sentence_encoder import is_sentence_encoder
from ..storage.errors import check_range, require
from .backends import EncoderBackend, check_backend
from .drafts import SAMPLE_DRAFTS, choose
from .familiarity import Calibration, familiarity, measure
from .geometry import Array
from .hub import local_folder
from .loading import encoder_tokenizers, load_encoder
from .naturalness import CONTEXTS, Naturalness
from .priors import Prior, StandardNormal, prior_class
from .reading import Reading
from .statistics import LatentStatistics
from .variation import MOST_TEXTS, Variation

logger = logging.getLogger("textvae")
SAMPLE_GUIDANCE = 0.8  # measured in results/prior.json


class TextVAE(Variation):
    """A text variational autoencoder with its tokenizers.

    Examples:
        >>> config = TextVAEConfig.preset("tiny", vocab_size=300)
        >>> vae = TextVAE.from_texts(["the food was good", "the room was cold"], config)
        >>> vae.encode("the food was cold").shape
        (32,)
    """

    @classmethod
    def from_encoder(
        cls,
        path: str | Path,
        device: str | torch.device | None = None,
        *,
        backend: str = "auto",
        precision: str = "fp32",
    ) -> Self:
        """Load a plain sentence encoder, to embed, index and search before anything is trained.

        `encode` gives the encoder's own embeddings, with its pooling and normalisation. There is no decoder: what
        would write a text, or score one, raises ValueError. `from_pretrained` loads what `save_pretrained` writes, and
        any folder of sentence-transformers; save a plain encoder, so that an index of it finds it again.

        Args:
            path: Folder or hub id of an encoder of sentence-transformers, or of a plain transformers encoder, whose
                states are then averaged over the tokens.
            device: Where to put it; by default a GPU or MPS if there is one, else the CPU.
            backend: What computes the embeddings, as in `from_pretrained`.
            precision: "fp32" or "int8", as there.

        Raises:
            FileNotFoundError: There is no such folder or model, or the hub cannot be reached.
            ValueError: It holds no encoder, or one with modules that are unknown here.

        Examples:
            >>> TextVAE.from_encoder("sentence-transformers/all-MiniLM-L6-v2").dim  # doctest: +SKIP
            384
        """
        check_backend(backend, precision)
        folder = local_folder(path)
        model, tokenizers = load_encoder(folder), encoder_tokenizers(folder)
        model.to(torch.device(device) if device else default_device())  # type: ignore[arg-type]
        loaded = cls(model, *tokenizers, path=folder.resolve() if is_sentence_encoder(folder) else None)
        loaded.backend = EncoderBackend(backend, precision, model, folder)
        return loaded

    # Sampling

    def sample(
        self,
        n: int,
        *,
        temperature: float = 0,
        top_p: float = 1,
        guidance: float | None = None,
        seed: int | None = None,
        batch_size: int = 256,
        prior: Literal["fitted", "standard"] = "fitted",
        drafts: int | None = None,
    ) -> list[str]:
        """Write n texts from latents drawn from the prior.

        Variety comes from the latents; a temperature above 0 also samples the tokens.

        Args:
            n: Number of texts; with the drafts of all, 100,000 at most.
            temperature: Sampling temperature of the decoder.
            top_p: Sample among the likeliest tokens whose probabilities sum to this.
            guidance: Weight of the latent, as in `decode`; by default 0.8 for a model trained with latent dropout,
                else 1.
            seed: Seed of the draw.
            batch_size: Latents decoded together.
            prior: "fitted" draws from the prior that training or `fit_prior` fitted to the latents of its texts, if
                there is one; "standard" from N(0, I).
            drafts: Texts written for each one returned, each from a latent of its own: the one that the decoder finds
                most natural (`Naturalness`) and that is not among those before. By default 4 for a model with wording
                slots that was trained with latent dropout, else 1.
        """
        each = self.sample_drafts if drafts is None else drafts
        require(each >= 1, f"drafts must be at least 1, got {drafts}")
        check_range("n" if each == 1 else "n times drafts", n * each, 1, MOST_TEXTS)
        latents = self.draw(n * each, seed, prior)
        weight = self.sample_guidance if guidance is None else guidance
        written = self.decode(
            latents, temperature=temperature, top_p=top_p, guidance=weight, seed=seed, batch_size=batch_size
        )
        return written if each == 1 else choose(written, Naturalness(self, contexts=written[:CONTEXTS])(written), n)

    def draw(self, n: int, seed: int | None = None, prior: Literal["fitted", "standard"] = "fitted") -> Array:
        """Return the latents that `sample` writes from, shape (n, D)."""
        check_range("n", n, 1, MOST_TEXTS)
        require(prior in ("fitted", "standard"), f"prior must be 'fitted' or 'standard', got {prior!r}")
        return (self.prior if prior == "fitted" else StandardNormal(self.dim)).sample(n, seed)

    @property
    def sample_guidance(self) -> float:
        """Weight of the latent that `sample` takes by default."""
        return SAMPLE_GUIDANCE if self.model.config.latent_dropout else 1

    @property
    def sample_drafts(self) -> int:
        """Drafts of each text that `sample` writes by default."""
        return SAMPLE_DRAFTS if self.model.config.slot_dim and self.model.config.latent_dropout else 1

    def fit_prior(
        self,
        texts: Sequence[str],
        components: int | None = None,
        *,
        kind: str | None = None,
        seed: int = 0,
        steps: int | None = None,
    ) -> Prior:
        """Fit the prior that `sample` draws from to the latents of texts; `save_pretrained` keeps it.

        Mean and deviation of these latents are kept with it, as `latent_statistics`.

        Args:
            texts: Texts like those of the training; a few thousand are enough.
            components: Gaussians of the mixture, by default one for every 8 * D texts, at least 1 and at most 20; or
                exemplars, by default 8,192 or all.
            kind: Name of a registered prior: "mixture" of a few Gaussians; "exemplar", the posteriors of some of the
                texts; "flow", a network that takes minutes to train; "standard" for N(0, I); or one of
                `register_prior`. By default exemplars for a model with wording slots, whose meanings a few Gaussians
                fit badly, else a mixture.
            seed: Seed of the fit.
            steps: Training steps of a flow; by default 1,500.
        """
        read = self.read(texts) if self.model.config.slot_dim else self.posterior(texts)
        posterior = read.meaning if isinstance(read, Reading) else read
        if kind is None:
            kind = "exemplar" if self.model.config.slot_dim else "mixture"
        logger.info("fitting the prior (%s) to the latents of %s texts", kind, f"{len(posterior.mean):,}")
        options = {} if steps is None else {"steps": steps}
        fitted = prior_class(kind).fit(posterior, components, seed, **options)
        self.prior = fitted.with_statistics(LatentStatistics.measure(read))
        return self.prior

    def familiarity(self, texts: Sequence[str]) -> Array:
        """Return how familiar each text is to the model, in [0, 1].

        It is the share of held-out training texts that score lower, so that 1% of such texts are below 0.01. The score
        is the share of the words that come back from the posterior mean by greedy decoding, minus the nats per token
        of the text from there (from the meaning alone in a model with wording slots). Training measures the held-out
        texts, `calibrate` others; a model without either, such as an older run, gives the share of the words that come
        back, which is not calibrated.

        Args:
            texts: N texts.

        Returns:
            Shape (N,), float32; below 0.01 (0.25 where it is not calibrated) the verbs of the command line warn.

        Examples:
            >>> vae.familiarity(["the room was cold .", "xq zzv kw"]).shape  # doctest: +SKIP
            (2,)
        """
        return familiarity(self, texts)

    def calibrate(self, texts: Sequence[str]) -> Calibration:
        """Measure what `familiarity` compares with on texts that the model was not trained on; saved with the model.

        Args:
            texts: At least 20 texts, better several hundred, such as users will give.

        Raises:
            ValueError: There are fewer.
        """
        self.calibration = measure(self, texts)
        return self.calibration
