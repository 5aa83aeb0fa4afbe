"""The embeddings of LangChain."""

from __future__ import annotations

import asyncio
import importlib
import sys

import numpy as np
import pytest


def test_without_langchain_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "langchain_core"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    monkeypatch.delitem(sys.modules, "textvae.integrations.langchain", raising=False)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("textvae.integrations.langchain")
    assert str(caught.value) == "LangChain's embeddings need langchain-core: pip install 'textvae[langchain]'"


def test_documents_and_queries_are_latents(small_vae, run, sentences):
    pytest.importorskip("langchain_core")
    from langchain_core.embeddings import Embeddings

    from textvae.integrations.langchain import TextVAEEmbeddings

    for model in (small_vae, run, str(run)):
        embeddings = TextVAEEmbeddings(model)
        assert isinstance(embeddings, Embeddings)
        documents = embeddings.embed_documents(sentences)
        assert isinstance(documents, list) and isinstance(documents[0][0], float)
        np.testing.assert_array_equal(np.float32(documents), small_vae.encode(sentences))
        np.testing.assert_array_equal(np.float32(embeddings.embed_query("a room")), small_vae.encode("a room"))
        assert embeddings.embed_documents([]) == []
        assert asyncio.run(embeddings.aembed_query("a room")) == embeddings.embed_query("a room")


def test_a_vector_store_finds_the_text_itself(small_vae, sentences):
    stores = pytest.importorskip("langchain_core.vectorstores")
    from textvae.integrations.langchain import TextVAEEmbeddings

    store = stores.InMemoryVectorStore.from_texts(sentences, TextVAEEmbeddings(small_vae))
    assert [store.similarity_search(text, k=1)[0].page_content for text in sentences] == sentences
