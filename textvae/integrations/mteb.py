"""MTEBEncoder: a run as an encoder for `mteb.evaluate`."""

# N texts, D latent dimensions
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..latent.embeddings import Vectors, cosines, pairwise_cosines
from ..latent.geometry import Array
from ..latent.vae import TextVAE
from ..text.cleaning import gate_texts


class MTEBEncoder:
    """A TextVAE with the methods of mteb's `EncoderProtocol`; queries and documents are encoded in the same way.

    Args:
        model: Run folder, org/name on the hub, or TextVAE.
        revision: Branch, tag or commit on the hub; for a TextVAE, the revision in its results, by default its
            fingerprint.
        device: Device to load the model on; by default the GPU if there is one.
        name: Name of the model in mteb's results, organisation/model; by default textvae/ and the folder's name.

    Raises:
        ValueError: The name is not organisation/model.

    Examples:
        >>> mteb.evaluate(MTEBEncoder("runs/hotels"), mteb.get_task("STSBenchmark"))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | TextVAE,
        revision: str | None = None,
        *,
        device: str | None = None,
        name: str | None = None,
    ):
        loaded = isinstance(model, TextVAE)
        self.vae = model if isinstance(model, TextVAE) else TextVAE.from_pretrained(model, device, revision=revision)
        self.revision = revision if loaded and revision else self.vae.fingerprint
        self.name = name or f"textvae/{self.vae.path.name if self.vae.path else 'model'}"
        if not re.fullmatch("[^/]+/[^/]+", self.name):
            raise ValueError(f"mteb files results under organisation/model, got the name {self.name!r}")

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: object = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: object = None,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        **_: Any,
    ) -> Array:
        """Return the posterior mean of each text, shape (N, D), float32.

        Args:
            inputs: Batches from an mteb data loader, each with a list of texts under "text".
            task_metadata: Ignored: the model has no prompts.
            hf_split: Ignored.
            hf_subset: Ignored.
            prompt_type: Ignored.
            batch_size: Texts encoded at once.
            show_progress_bar: Show a progress bar on stderr if it is a terminal.

        Raises:
            ValueError: A batch has no texts, as in tasks on images or audio.
        """
        texts: list[str] = []
        for batch in inputs:
            if "text" not in batch:
                raise ValueError(f"a text model cannot encode {', '.join(batch) or 'nothing'}: choose a task of texts")
            texts += gate_texts(batch["text"])
        return self.vae.encode(texts, batch_size=batch_size, show_progress_bar=show_progress_bar)

    def similarity(self, embeddings1: Vectors, embeddings2: Vectors) -> torch.Tensor:
        """Return all cosines between N and M embeddings, shape (N, M)."""
        return cosines(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Vectors, embeddings2: Vectors) -> torch.Tensor:
        """Return the cosines of N pairs of embeddings, shape (N,)."""
        return pairwise_cosines(embeddings1, embeddings2)

    @property
    def mteb_model_meta(self) -> Any:
        """Metadata for mteb's results: name, revision, size and similarity.

        Raises:
            ImportError: mteb is not installed.
        """
        try:
            from mteb.models.model_meta import ModelMeta, ScoringFunction
        except ImportError as error:
            raise ImportError("mteb's metadata need mteb: pip install 'mteb>=2'") from error
        config = self.vae.model.config
        return ModelMeta.create_empty(
            {
                "name": self.name,
                "revision": self.revision,
                "n_parameters": self.vae.model.num_parameters(),
                "embed_dim": self.vae.dim,
                "max_tokens": float(config.encoder_max_length or config.max_length),
                "similarity_fn_name": ScoringFunction.COSINE,
                "framework": ["PyTorch"],
                "use_instructions": False,
                "modalities": ["text"],
            }
        )
