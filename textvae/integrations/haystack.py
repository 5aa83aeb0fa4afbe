"""Haystack: a document store of an index, local or outside, and its retriever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..index.latent_index import LatentIndex
from .stores import Index, known_ids, name_of, value_of

try:
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy
    from haystack.errors import FilterError
    from haystack.utils.filters import document_matches_filter
except ImportError as error:
    raise ImportError("Haystack needs haystack-ai: pip install 'textvae[haystack]'") from error

WHOLE = "_document"  # the metadata key of what a document has beside content and meta
SIGNS = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
MEMBERSHIPS = {"in": "in", "not in": "not in"}


class TextVAEDocumentStore:
    """Haystack document store over a `LatentIndex` or `RemoteIndex` whose ids are texts, or that is empty.

    The index embeds contents by its own model; embeddings of documents are kept and not compared. Documents without
    content are embedded as the empty text.

    Args:
        index: The index, or the folder of a saved one; pipelines are written with the folder.
    """

    def __init__(self, index: Index | str | Path):
        self._folder = str(index) if isinstance(index, str | Path) else None
        self.index: Index = LatentIndex.load(index) if isinstance(index, str | Path) else index

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline writes.

        Raises:
            ValueError: The store was made of an index in memory.
        """
        if self._folder is None:
            raise ValueError("only a store of a saved index can be written: give TextVAEDocumentStore its folder")
        return default_to_dict(self, index=self._folder)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TextVAEDocumentStore:
        """Return the store of what `to_dict` returned."""
        return default_from_dict(cls, data)

    def count_documents(self) -> int:
        """Return the number of documents."""
        return len(self.index)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the documents that Haystack's own rules say match; all are read."""
        if filters and "operator" not in filters and "conditions" not in filters:
            raise FilterError("a filter has 'operator' and 'conditions', or 'field', 'operator' and 'value'")
        every = [_document(id, *self.index.get(id)) for id in self.index.ids]
        return [document for document in every if not filters or document_matches_filter(filters, document)]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents and return how many were written; NONE fails as FAIL does."""
        if not isinstance(documents, list) or not all(isinstance(each, Document) for each in documents):
            raise ValueError("write_documents takes a list of Documents")
        there = set(known_ids(self.index, [each.id for each in documents]))
        if there and policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
            raise DuplicateDocumentError(f"the index has the id {min(there)!r} already")
        written = {each.id: each for each in documents if policy != DuplicatePolicy.SKIP or each.id not in there}
        texts = [each.content or "" for each in written.values()]
        self.index.upsert(list(written), texts, [_metadata(each) for each in written.values()])
        return len(written)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Remove documents; unknown ids are ignored."""
        self.index.remove(known_ids(self.index, document_ids))

    def search(self, query: str, top_k: int = 10, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the nearest documents, with scores of the index: larger is closer.

        Raises:
            FilterError: The filter has no counterpart in `textvae.index.filters`.
        """
        hits = self.index.search(query, top_k, where=where_of(filters) if filters else None)
        return [_document(hit.id, hit.text, hit.metadata, hit.score) for hit in hits]


@component
class TextVAERetriever:
    """Haystack retriever of a `TextVAEDocumentStore`; it takes the query as a text.

    A pipeline with it is loaded by `Pipeline.load(..., allowed_modules=["textvae.integrations.haystack"])`.

    Args:
        document_store: The store.
        filters: Filters of every query.
        top_k: Documents of a query.
    """

    def __init__(self, document_store: TextVAEDocumentStore, filters: dict[str, Any] | None = None, top_k: int = 10):
        self.document_store, self.filters, self.top_k = document_store, filters, top_k

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline writes."""
        return default_to_dict(
            self, document_store=self.document_store.to_dict(), filters=self.filters, top_k=self.top_k
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TextVAERetriever:
        """Return the retriever of what `to_dict` returned."""
        options = data["init_parameters"]
        store = TextVAEDocumentStore.from_dict(options["document_store"])
        return cls(store, options["filters"], options["top_k"])

    @component.output_types(documents=list[Document])
    def run(self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None) -> dict[str, Any]:
        """Return the documents nearest to a query."""
        return {"documents": self.document_store.search(query, top_k or self.top_k, filters or self.filters)}


def where_of(filters: dict[str, Any]) -> str:
    """Return a filter of Haystack as a condition of `textvae.index.filters`.

    Raises:
        FilterError: It has no counterpart.
    """
    try:
        if "field" not in filters:
            word, parts = filters["operator"].lower(), [f"({where_of(part)})" for part in filters["conditions"]]
            return f"not ({' and '.join(parts)})" if word == "not" else f" {word} ".join(parts)
        name, sign, value = name_of(filters["field"].removeprefix("meta.")), filters["operator"], filters["value"]
        if value is None and sign in ("==", "!="):
            return f"{name} is {'' if sign == '==' else 'not '}null"
        if sign in MEMBERSHIPS:
            return f"{name} {MEMBERSHIPS[sign]} ({', '.join(map(value_of, value))})"
        return f"{name} {SIGNS[sign]} {value_of(value)}"
    except (KeyError, TypeError, AttributeError) as error:
        raise FilterError(f"the filter {filters!r} has no counterpart here: {error}") from error


def _metadata(document: Document) -> dict[str, Any]:
    rest = {key: value for key, value in document.to_dict(flatten=False).items() if value is not None}
    for key in ("id", "content", "meta", "score"):
        rest.pop(key, None)
    kept = rest | ({} if document.content is not None else {"content": None})
    return document.meta | ({WHOLE: json.dumps(kept)} if kept else {})


def _document(id: str, text: str, metadata: dict[str, Any], score: float | None = None) -> Document:
    rest = json.loads(metadata.get(WHOLE, "{}"))
    meta = {key: value for key, value in metadata.items() if key != WHOLE}
    return Document.from_dict({"id": id, "content": text, "meta": meta, **rest, "score": score})
