"""The vector store of LangChain, by LangChain's own tests and ours."""

import pytest
from stubs import StubVAE

pytest.importorskip("langchain_core")

from textvae import LatentIndex  # noqa: E402
from textvae.integrations.langchain import TextVAEEmbeddings, TextVAEVectorStore  # noqa: E402

try:
    from langchain_tests.integration_tests import VectorStoreIntegrationTests
except ImportError:
    VectorStoreIntegrationTests = None

if VectorStoreIntegrationTests is not None:

    @pytest.mark.asyncio
    class TestByLangchain(VectorStoreIntegrationTests):
        @pytest.fixture
        def vectorstore(self):
            return TextVAEVectorStore(LatentIndex.build(StubVAE(), []))


def test_a_retriever_filters_and_scores_as_the_index_does(small_vae, sentences):
    metadata = [{"n": n, "topic": "food" if n < 4 else None} for n in range(8)]
    embeddings = TextVAEEmbeddings(small_vae)
    store = TextVAEVectorStore.from_texts(sentences, embeddings, metadata, ids=[f"k{n}" for n in range(8)])
    hits = store.index.search(sentences[1], 3, where="topic = 'food' and n != 0")
    found = store.similarity_search_with_score(sentences[1], 3, filter="topic = 'food' and n != 0")
    assert [(each.id, each.page_content, each.metadata, score) for each, score in found] == [
        (hit.id, hit.text, hit.metadata, hit.score) for hit in hits
    ]
    retriever = store.as_retriever(search_kwargs={"k": 8, "filter": {"topic": None}})
    assert {each.id for each in retriever.invoke("anything")} == {"k4", "k5", "k6", "k7"}
    assert store.embeddings.embed_query("a") == embeddings.embed_query("a")
    relevant = store.similarity_search_with_relevance_scores(sentences[2], 1)
    assert relevant[0][0].id == "k2" and relevant[0][1] == pytest.approx(1)


def test_an_index_that_numbers_its_texts_can_be_searched_and_emptied(small_vae, sentences):
    store = TextVAEVectorStore(LatentIndex.build(small_vae, sentences))
    assert [each.page_content for each in store.get_by_ids(["3", "x", "99"])] == [sentences[3]]
    store.delete(["3", "x"])
    assert len(store.index) == 7
