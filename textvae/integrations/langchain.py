"""TextVAEEmbeddings: a LangChain embedding model that uses a run."""

# N texts, D latent dimensions
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..latent.vae import TextVAE
from ..text.cleaning import as_string, gate_texts

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise ImportError("LangChain's embeddings need langchain-core: pip install 'textvae[langchain]'") from error


class TextVAEEmbeddings(Embeddings):
    """LangChain embeddings; documents and queries are encoded in the same way.

    Args:
        model: Run folder or TextVAE.
        batch_size: Texts encoded at once.

    Examples:
        >>> embeddings = TextVAEEmbeddings("runs/hotels")  # doctest: +SKIP
        >>> len(embeddings.embed_query("a quiet room"))  # doctest: +SKIP
        32
    """

    def __init__(self, model: str | Path | TextVAE, *, batch_size: int = 64):
        self.vae = model if isinstance(model, TextVAE) else TextVAE.from_pretrained(model)
        self.batch_size = batch_size

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the posterior means of N texts: N lists of D numbers; [] gives []."""
        return self.vae.encode(gate_texts(texts), batch_size=self.batch_size).tolist()

    def embed_query(self, text: str) -> list[float]:
        """Return the posterior mean of one text, D numbers."""
        return self.vae.encode(as_string(text, "the query")).tolist()
