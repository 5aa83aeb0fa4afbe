"""The embeddings and the vector store of LlamaIndex, in its own VectorStoreIndex."""

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, StorageContext, VectorStoreIndex  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from textvae import LatentIndex  # noqa: E402
from textvae.integrations.llama_index import TextVAEEmbedding, TextVAEVectorStore, where_of  # noqa: E402


@pytest.fixture
def store(small_vae):
    return TextVAEVectorStore(LatentIndex.build(small_vae, []))


@pytest.fixture
def filled(small_vae, store, sentences):
    documents = [
        Document(text=text, doc_id=f"doc {n}", metadata={"n": n, "tags": ["even"] if n % 2 == 0 else []})
        for n, text in enumerate(sentences)
    ]
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=TextVAEEmbedding(small_vae))


def numbers(nodes):
    return [node.metadata["n"] for node in nodes]


def test_a_retriever_finds_what_the_index_finds(filled, store, sentences):
    found = filled.as_retriever(similarity_top_k=3).retrieve(sentences[2])
    hits = store.client.search(sentences[2], 3)
    assert numbers(found) == [hit.metadata["n"] for hit in hits]
    assert [node.score for node in found] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    assert found[0].text == sentences[2] and found[0].node.ref_doc_id == "doc 2"


def test_filters_are_conditions_of_the_index(filled, sentences):
    def chosen(*filters, condition=FilterCondition.AND):
        retriever = filled.as_retriever(
            similarity_top_k=8, filters=MetadataFilters(filters=list(filters), condition=condition)
        )
        return sorted(numbers(retriever.retrieve(sentences[0])))

    def has(value, operator, key="n"):
        return MetadataFilter(key=key, value=value, operator=operator)

    assert chosen(has(3, FilterOperator.EQ)) == [3]
    assert chosen(has(3, FilterOperator.NE), has(6, FilterOperator.LT)) == [0, 1, 2, 4, 5]
    assert chosen(has([1, 5], FilterOperator.IN), has(7, FilterOperator.GTE), condition=FilterCondition.OR) == [1, 5, 7]
    assert chosen(has([1, 5], FilterOperator.NIN), has("even", FilterOperator.CONTAINS, "tags")) == [0, 2, 4, 6]
    assert chosen(has(["odd", "even"], FilterOperator.ANY, "tags")) == [0, 2, 4, 6]
    assert chosen(has(["odd", "even"], FilterOperator.ALL, "tags")) == []
    assert chosen(has(2, FilterOperator.LTE), condition=FilterCondition.NOT) == [3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match="'is_empty' .* has no counterpart here"):
        chosen(has(None, FilterOperator.IS_EMPTY))
    assert where_of(MetadataFilters(filters=[])) is None


def test_documents_are_deleted_with_their_nodes(filled, store, sentences):
    filled.delete_ref_doc("doc 3")
    assert len(store.client) == 7 and sentences[3] not in store.client.texts
    some = MetadataFilters(filters=[MetadataFilter(key="n", value=5, operator=FilterOperator.GT)])
    nodes = store.get_nodes(filters=some)
    assert sorted(numbers(nodes)) == [6, 7]
    store.delete_nodes([nodes[0].node_id, store.client.ids[0], "unknown"], some)
    assert len(store.client) == 6
    store.clear()
    assert len(store.client) == 0


def test_other_modes_and_missing_embeddings_are_refused(store):
    with pytest.raises(ValueError, match="searches by latents only, got the mode 'mmr'"):
        store.query(VectorStoreQuery(query_embedding=[0.0], mode=VectorStoreQueryMode.MMR))
    with pytest.raises(ValueError, match="give the index TextVAEEmbedding"):
        store.query(VectorStoreQuery(query_str="a"))
