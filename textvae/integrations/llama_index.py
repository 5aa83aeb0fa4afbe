"""LlamaIndex: embeddings of a run, and a vector store of an index, local or outside."""

from __future__ import annotations

from typing import Any

from ..latent.vae import TextVAE
from .stores import Index, ids_where, known_ids, name_of, value_of

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.schema import BaseNode, MetadataMode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    raise ImportError("LlamaIndex needs llama-index-core: pip install 'textvae[llama-index]'") from error

SIGNS = {
    FilterOperator.EQ: "=", FilterOperator.NE: "!=", FilterOperator.LT: "<", FilterOperator.LTE: "<=",
    FilterOperator.GT: ">", FilterOperator.GTE: ">=", FilterOperator.CONTAINS: "contains",
    FilterOperator.TEXT_MATCH: "contains",
}  # fmt: skip
MEMBERSHIPS = {FilterOperator.IN: "in", FilterOperator.NIN: "not in"}
LISTS = {FilterOperator.ANY: " or ", FilterOperator.ALL: " and "}


class TextVAEEmbedding(BaseEmbedding):
    """LlamaIndex embeddings; texts and queries are encoded in the same way.

    Args:
        vae: The model.
    """

    _vae: TextVAE = PrivateAttr()

    def __init__(self, vae: TextVAE, **_: Any):
        super().__init__(model_name="textvae")
        self._vae = vae

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vae.encode(text).tolist()

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._vae.encode(texts).tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class TextVAEVectorStore(BasePydanticVectorStore):
    """LlamaIndex vector store over a `LatentIndex` or `RemoteIndex` whose ids are texts, or that is empty.

    The index embeds the texts of nodes by its own model; queries are latents of `TextVAEEmbedding`.

    Args:
        index: The index; save it after changes.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    _index: Index = PrivateAttr()

    def __init__(self, index: Index):
        super().__init__(stores_text=True)
        self._index = index

    @property
    def client(self) -> Index:
        """The index."""
        return self._index

    def add(self, nodes: list[BaseNode], **_: Any) -> list[str]:  # type: ignore[override]
        """Add nodes, or replace those of known ids, and return the ids."""
        texts = [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]
        metadata = [node_to_metadata_dict(node, remove_text=True) for node in nodes]
        self._index.upsert([node.node_id for node in nodes], texts, metadata)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Remove the nodes of a document."""
        self._index.remove(ids_where(self._index, f"ref_doc_id = {value_of(ref_doc_id)}"))

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any) -> None:
        """Remove nodes by id, by a filter, or by both."""
        meeting = set(ids_where(self._index, where_of(filters)))
        wanted = meeting if node_ids is None else meeting.intersection(known_ids(self._index, node_ids))
        self._index.remove(wanted)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return nodes by id, by a filter, or by both."""
        meeting = ids_where(self._index, where_of(filters))
        wanted = meeting if node_ids is None else [id for id in known_ids(self._index, node_ids) if id in set(meeting)]
        return [_node(*self._index.get(id)) for id in wanted]

    def clear(self) -> None:
        """Remove all nodes."""
        self._index.remove(self._index.ids)

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """Return the nearest nodes.

        Raises:
            ValueError: The query has another mode than the default, no embedding, or a filter that cannot be said.
        """
        if query.mode != VectorStoreQueryMode.DEFAULT:
            raise ValueError(f"this store searches by latents only, got the mode {query.mode.value!r}")
        if query.query_embedding is None:
            raise ValueError("the query has no embedding: give the index TextVAEEmbedding as embed_model")
        where = where_of(query.filters)
        hits = self._index.search(query.query_embedding, query.similarity_top_k, where=where)
        return VectorStoreQueryResult(
            nodes=[_node(hit.text, hit.metadata) for hit in hits],
            similarities=[hit.score for hit in hits],
            ids=[str(hit.id) for hit in hits],
        )


def where_of(filters: MetadataFilters | None) -> str | None:
    """Return filters as a condition of `textvae.index.filters`.

    Raises:
        ValueError: An operator has no counterpart.
    """
    if filters is None:
        return None
    parts = [
        f"({where_of(each)})" if isinstance(each, MetadataFilters) else _comparison(each)
        for each in filters.filters
        if not isinstance(each, MetadataFilters) or each.filters
    ]
    if not parts:
        return None
    word = filters.condition.value if filters.condition else "and"
    return f"not ({' and '.join(parts)})" if word == "not" else f" {word} ".join(parts)


def _comparison(each: MetadataFilter) -> str:
    name, value = name_of(each.key), each.value
    if each.operator in SIGNS and not isinstance(value, list) and value is not None:
        return f"{name} {SIGNS[each.operator]} {value_of(value)}"
    if each.operator in MEMBERSHIPS and isinstance(value, list) and value:
        return f"{name} {MEMBERSHIPS[each.operator]} ({', '.join(map(value_of, value))})"
    if each.operator in LISTS and isinstance(value, list) and value:
        return f"({LISTS[each.operator].join(f'{name} contains {value_of(one)}' for one in value)})"
    raise ValueError(f"the filter {each.operator.value!r} with {value!r} on {each.key!r} has no counterpart here")


def _node(text: str, metadata: dict[str, Any]) -> BaseNode:
    node = metadata_dict_to_node(metadata)
    node.set_content(text)
    return node
