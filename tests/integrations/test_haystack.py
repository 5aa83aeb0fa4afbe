"""The document store of Haystack, by Haystack's own tests and in a pipeline."""

import os

import pytest
from stubs import StubVAE

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
pytest.importorskip("haystack")

from haystack import Document, Pipeline  # noqa: E402
from haystack.errors import FilterError  # noqa: E402
from haystack.testing.document_store import DocumentStoreBaseTests  # noqa: E402
from haystack.utils.filters import document_matches_filter  # noqa: E402

from textvae import LatentIndex  # noqa: E402
from textvae.integrations.haystack import TextVAEDocumentStore, TextVAERetriever, where_of  # noqa: E402


class TestByHaystack(DocumentStoreBaseTests):
    @pytest.fixture
    def document_store(self):
        return TextVAEDocumentStore(LatentIndex.build(StubVAE(), []))

    def test_write_documents(self, document_store):
        assert document_store.write_documents([Document(content="a"), Document(content="b")]) == 2


FILTERS = [
    {"field": "meta.n", "operator": ">=", "value": 4},
    {"field": "meta.topic", "operator": "==", "value": None},
    {"field": "topic", "operator": "!=", "value": None},
    {"field": "meta.n", "operator": "in", "value": [1, 2]},
    {"operator": "NOT", "conditions": [{"field": "meta.n", "operator": "not in", "value": [1, 2]}]},
    {
        "operator": "OR",
        "conditions": [
            {"field": "meta.topic", "operator": "==", "value": "it's"},
            {"field": "meta.n", "operator": "<", "value": 1},
        ],
    },
]


def test_a_pipeline_finds_what_the_index_finds(small_vae, sentences, tmp_path):
    documents = [
        Document(content=text, meta={"n": n, "topic": "it's" if n % 2 else None}) for n, text in enumerate(sentences)
    ]
    small_vae.save_pretrained(tmp_path / "run")
    store = TextVAEDocumentStore(LatentIndex.build(small_vae, []))
    store.write_documents(documents)
    store.index.save(tmp_path / "index")
    pipeline = Pipeline()
    pipeline.add_component("retriever", TextVAERetriever(TextVAEDocumentStore(tmp_path / "index"), top_k=8))
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["textvae.integrations.haystack"])
    small_vae.path = None
    for filters in [None, *FILTERS]:
        found = again.run({"retriever": {"query": sentences[1], "filters": filters}})["retriever"]["documents"]
        expected = [each for each in documents if not filters or document_matches_filter(filters, each)]
        assert {each.id for each in found} == {each.id for each in expected} and expected
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert found[0].meta["topic"] == "it's"


def test_a_filter_without_counterpart_is_refused():
    for wrong in ({"field": "n", "operator": ">", "value": [1]}, {"field": "n", "operator": "near", "value": 1}, {}):
        with pytest.raises(FilterError, match="has no counterpart here"):
            where_of(wrong)
    with pytest.raises(ValueError, match="give TextVAEDocumentStore its folder"):
        TextVAEDocumentStore(LatentIndex.build(StubVAE(), [])).to_dict()
