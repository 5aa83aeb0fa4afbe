"""The clients that people have, unmodified: openai, LangChain, httpx."""

from __future__ import annotations

import asyncio
import base64

import numpy as np
import pytest

openai = pytest.importorskip("openai")
TEXTS = ["the soup was hot .", "our waiter never smiled .", ""]


@pytest.fixture
def client(reading_server):
    with openai.OpenAI(base_url=f"{reading_server}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_embeddings_are_those_of_encode(client, server_vae, encoding):
    given = {} if encoding is None else {"encoding_format": encoding}
    answer = client.embeddings.create(input=TEXTS, model="tiny", **given)
    vectors = [each.embedding for each in answer.data]
    if encoding == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    assert np.allclose(vectors, server_vae.encode(TEXTS), atol=1e-5)
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert answer.model == "tiny"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, server_vae.encoder_rows(TEXTS)))


def test_one_text_is_a_list_of_one(client, server_vae):
    (found,) = client.embeddings.create(input="the soup was hot .", model="tiny").data
    assert np.allclose(found.embedding, server_vae.encode("the soup was hot ."), atol=1e-5)


def test_dimensions_are_the_first_numbers(client, server_vae):
    (found,) = client.embeddings.create(input=["a"], model="tiny", dimensions=3).data
    assert np.allclose(found.embedding, server_vae.encode(["a"])[0, :3], atol=1e-5)
    with pytest.raises(openai.UnprocessableEntityError, match="dimensions is 4096, the model has 32"):
        client.embeddings.create(input=["a"], model="tiny", dimensions=4096)


def test_the_async_client_asks_many_things_at_a_time(reading_server, server_vae):
    texts = [f"text number {i}" for i in range(24)]

    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{reading_server}/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(client.embeddings.create(input=[text], model="tiny") for text in texts))

    answers = asyncio.run(ask())
    assert np.allclose([each.data[0].embedding for each in answers], server_vae.encode(texts), atol=1e-5)


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-9': this server has 'tiny'") as caught:
        client.embeddings.create(input="a", model="gpt-9")
    assert caught.value.param == "model"
    assert caught.value.code == "model_not_found"
    assert caught.value.type == "not_found_error"


@pytest.mark.parametrize("ids", [[1, 2, 3], [[1, 2, 3]]])
def test_token_ids_are_refused_with_the_remedy(client, ids):
    with pytest.raises(openai.UnprocessableEntityError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(input=ids, model="tiny")


def test_langchain_as_it_comes_is_told_the_remedy(reading_server, monkeypatch):
    """By default it sends the token ids of another tokenizer, here one that needs no download."""
    langchain, tiktoken = pytest.importorskip("langchain_openai"), pytest.importorskip("tiktoken")
    ids = {bytes([i]): i for i in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=r"[\s\S]", mergeable_ranks=ids, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: encoding)
    embeddings = langchain.OpenAIEmbeddings(model="tiny", base_url=f"{reading_server}/v1", api_key="unused")
    for ask in (lambda: embeddings.embed_documents(TEXTS[:2]), lambda: embeddings.embed_query(TEXTS[0])):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            ask()
        message = caught.value.body["message"]
        assert "give texts; in LangChain set check_embedding_ctx_length=False" in message and "\n" not in message


def test_langchain_embeds(reading_server, server_vae):
    langchain = pytest.importorskip("langchain_openai")
    embeddings = langchain.OpenAIEmbeddings(
        model="tiny", base_url=f"{reading_server}/v1", api_key="unused", check_embedding_ctx_length=False
    )
    assert np.allclose(embeddings.embed_documents(TEXTS[:2]), server_vae.encode(TEXTS[:2]), atol=1e-5)
    assert np.allclose(embeddings.embed_query(TEXTS[0]), server_vae.encode(TEXTS[0]), atol=1e-5)
    assert np.allclose(asyncio.run(embeddings.aembed_query(TEXTS[0])), server_vae.encode(TEXTS[0]), atol=1e-5)
