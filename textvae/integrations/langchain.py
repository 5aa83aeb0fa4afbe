"""LangChain: embeddings of a run, and a vector store of an index, local or outside."""

# N texts, D latent dimensions
from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..index.latent_index import LatentIndex
from ..index.searching import Hit
from ..latent.vae import TextVAE
from ..text.cleaning import as_string, gate_texts
from .stores import Index, equalities, known_ids

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
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


class TextVAEVectorStore(VectorStore):
    """LangChain vector store over a `LatentIndex` or `RemoteIndex` whose ids are texts, or that is empty.

    `filter` is a condition such as "topic = 'food' and stars >= 4", or a dictionary of keys and their values. Scores
    are those of the index: larger is closer.

    Args:
        index: The index; save it after changes.

    Examples:
        >>> store = TextVAEVectorStore(LatentIndex.load("runs/index"))  # doctest: +SKIP
        >>> store.as_retriever(search_kwargs={"k": 3}).invoke("a quiet room")  # doctest: +SKIP
    """

    def __init__(self, index: Index):
        self.index = index

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of the index's model."""
        return TextVAEEmbeddings(self.index.vae)

    @classmethod
    def from_texts(  # type: ignore[override]
        cls,
        texts: list[str],
        embedding: TextVAEEmbeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
    ) -> TextVAEVectorStore:
        """Build an index of texts in memory; `embedding` is that of a run."""
        store = cls(LatentIndex.build(embedding.vae, []))
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(  # type: ignore[override]
        self,
        texts: Iterable[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Add texts, or replace those of known ids, and return the ids; without ids, they are UUIDs."""
        given = list(texts)
        names = [id or str(uuid.uuid4()) for id in ids or [None] * len(given)]
        self.index.upsert(names, given, None if metadatas is None else list(metadatas))
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Remove texts by id, all of them without ids; unknown ids are ignored."""
        self.index.remove(self.index.ids if ids is None else known_ids(self.index, ids))
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return documents by id; unknown ids are left out."""
        return [_document(Hit(id, 0.0, *self.index.get(id))) for id in known_ids(self.index, ids)]

    def similarity_search(  # type: ignore[override]
        self, query: str, k: int = 4, *, filter: str | Mapping[str, Any] | None = None
    ) -> list[Document]:
        """Return the k nearest documents."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(  # type: ignore[override]
        self, query: str, k: int = 4, *, filter: str | Mapping[str, Any] | None = None
    ) -> list[tuple[Document, float]]:
        """Return the k nearest documents with their scores."""
        return self._search(as_string(query, "the query"), k, filter)

    def similarity_search_by_vector(  # type: ignore[override]
        self, embedding: list[float], k: int = 4, *, filter: str | Mapping[str, Any] | None = None
    ) -> list[Document]:
        """Return the documents nearest to a latent."""
        return [document for document, _ in self._search(embedding, k, filter)]

    def _search(self, query: Any, k: int, wanted: str | Mapping[str, Any] | None) -> list[tuple[Document, float]]:
        hits = self.index.search(query, k, where=equalities(wanted))
        return [(_document(hit), hit.score) for hit in hits]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self.index.metric == "cosine":
            return lambda score: (1 + score) / 2
        return lambda score: 1 / (1 - score)  # of negated distances


def _document(hit: Hit) -> Document:
    return Document(id=str(hit.id), page_content=hit.text, metadata=hit.metadata)
