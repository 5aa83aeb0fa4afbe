"""Columns of other libraries are texts in every public method; their tables are refused by name."""

import datasets
import numpy as np
import pandas
import pyarrow
import pytest

from textvae import Attribute, LatentIndex, evaluate, shift, train
from textvae.evaluation.surprise import novelty
from textvae.integrations.langchain import TextVAEEmbeddings
from textvae.integrations.mteb import MTEBEncoder
from textvae.latent.vae import TextVAE
from textvae.modeling import TextVAEConfig

TEXTS = ["the room was clean", "the soup was cold", "the staff was kind"]
COLUMNS = {
    "Series": pandas.Series(TEXTS, index=[7, 8, 9]),
    "Series of objects": pandas.Series(TEXTS, dtype=object),
    "categories": pandas.Series(TEXTS, dtype="category"),
    "array": np.array(TEXTS),
    "array of objects": np.array(TEXTS, object),
    "pyarrow": pyarrow.array(TEXTS),
    "chunks": pyarrow.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "data set": datasets.Dataset.from_dict({"text": TEXTS})["text"],
    "tuple": tuple(TEXTS),
}
TABLES = {
    "DataFrame": pandas.DataFrame({"text": TEXTS, "n": range(3)}),
    "Table": pyarrow.table({"text": TEXTS, "n": range(3)}),
    "Dataset": datasets.Dataset.from_dict({"text": TEXTS, "n": [0, 1, 2]}),
}


@pytest.fixture(scope="module")
def vae():
    return TextVAE.from_texts(TEXTS, TextVAEConfig.preset("tiny", vocab_size=300))


@pytest.fixture(scope="module")
def index(vae):
    return LatentIndex.build(vae, TEXTS)


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_texts(vae, index, column):
    expected = vae.encode(TEXTS)
    np.testing.assert_array_equal(vae.encode(column), expected)
    np.testing.assert_array_equal(vae.posterior(column).mean.numpy(), expected)
    assert vae.read(column).ids == vae.read(TEXTS).ids
    assert vae.reconstruct(column) == vae.reconstruct(TEXTS)
    assert vae.decode(expected, prefixes=column) == vae.decode(expected, prefixes=TEXTS)
    np.testing.assert_array_equal(vae.nats(column, expected), vae.nats(TEXTS, expected))
    assert vae.blend(column) == vae.blend(TEXTS)
    assert [[hit.id for hit in hits] for hits in index.search(column, k=1)] == [[0], [1], [2]]
    assert index.neighbours(column, k=1)[1].tolist() == [[0], [1], [2]]
    assert LatentIndex.build(vae, column, ids=column).texts == TEXTS
    assert TextVAEEmbeddings(vae).embed_documents(column) == expected.tolist()
    np.testing.assert_array_equal(MTEBEncoder(vae, name="a/b").encode([{"text": column}]), expected)


CALLS = {
    "encode": lambda vae, texts: vae.encode(texts),
    "posterior": lambda vae, texts: vae.posterior(texts),
    "read": lambda vae, texts: vae.read(texts),
    "reconstruct": lambda vae, texts: vae.reconstruct(texts),
    "log_likelihood": lambda vae, texts: vae.log_likelihood(texts),
    "nats": lambda vae, texts: vae.nats(texts, np.zeros((3, vae.dim))),
    "decode": lambda vae, texts: vae.decode(np.zeros((3, vae.dim)), prefixes=texts),
    "fit_prior": lambda vae, texts: vae.fit_prior(texts),
    "blend": lambda vae, texts: vae.blend(texts),
    "from_texts": lambda vae, texts: TextVAE.from_texts(texts, vae.model.config),
    "train": lambda vae, texts: train(texts, "nowhere"),
    "evaluate": lambda vae, texts: evaluate(vae, texts),
    "novelty": lambda vae, texts: novelty(vae, texts),
    "fit": lambda vae, texts: Attribute.fit(vae, texts, TEXTS),
    "fit_labels": lambda vae, texts: Attribute.fit_labels(vae, texts, ["a", "b", "a"]),
    "search": lambda vae, texts: LatentIndex.build(vae, TEXTS).search(texts),
    "neighbours": lambda vae, texts: LatentIndex.build(vae, TEXTS).neighbours(texts),
    "shift": lambda vae, texts: shift(vae, texts, Attribute.from_dimension(vae, 0, name="a"), 1.0),
    "embed_documents": lambda vae, texts: TextVAEEmbeddings(vae).embed_documents(texts),
    "mteb": lambda vae, texts: MTEBEncoder(vae, name="a/b").encode([{"text": texts}]),
}
STORING = {
    "build": lambda vae, texts: LatentIndex.build(vae, texts),
    "add": lambda vae, texts: LatentIndex.build(vae, TEXTS).add(texts),
    "update": lambda vae, texts: LatentIndex.build(vae, TEXTS).update([0, 1, 2], texts),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("call", CALLS | STORING)
def test_a_table_is_refused_by_name(vae, tmp_path, monkeypatch, call, kind):
    monkeypatch.chdir(tmp_path)
    if call in STORING and kind == "Dataset":
        pytest.skip("its items are mappings, which an index takes")
    said = rf"one column, got a {kind} with the columns text, n: pass the column, such as df\['text'\]$"
    with pytest.raises(TypeError, match=said):
        (CALLS | STORING)[call](vae, TABLES[kind])


@pytest.mark.parametrize("call", [*CALLS, *STORING])
@pytest.mark.parametrize("wrong, what", [(None, "None"), (float("nan"), "NaN"), (b"a", "a bytes"), (4, "an int")])
def test_what_is_no_text_is_named_by_its_position(vae, tmp_path, monkeypatch, call, wrong, what):
    monkeypatch.chdir(tmp_path)
    name = "the text of item 1" if call in STORING else "text 1"
    with pytest.raises(TypeError, match=f"^{name} is {what}[^\n]*, not a string"):
        (CALLS | STORING)[call](vae, [TEXTS[0], wrong, TEXTS[2]])


def test_a_data_set_builds_an_index_with_its_columns_as_metadata(vae):
    assert LatentIndex.build(vae, TABLES["Dataset"]).get(2) == ("the staff was kind", {"n": 2})


def test_metadata_and_ids_that_are_tables_are_refused(vae):
    with pytest.raises(TypeError, match=r"one dictionary a text, got a DataFrame: df.to_dict\('records'\)"):
        LatentIndex.build(vae, TEXTS, metadata=TABLES["DataFrame"])
    with pytest.raises(TypeError, match="ids are one column, got a DataFrame"):
        LatentIndex.build(vae, TEXTS, ids=TABLES["DataFrame"])


@pytest.mark.parametrize("id", [1.5, np.float64(1.0), True, None, "1"])
def test_an_id_that_is_no_whole_number_is_refused(index, id):
    with pytest.raises(TypeError, match="the ids of this index are"):
        index.get(id)
    assert index.get(np.int64(1))[0] == TEXTS[1]


def test_one_query_for_langchain_is_one_text(vae):
    with pytest.raises(TypeError, match="^the query is a list, not a string"):
        TextVAEEmbeddings(vae).embed_query(TEXTS)
    with pytest.raises(TypeError, match="^expected a list of strings, got a str$"):
        TextVAEEmbeddings(vae).embed_documents("one text")


def test_the_index_stores_the_text_as_it_is_and_encodes_it_normalised(vae):
    given = " the\u00a0room was\nclean "
    index = LatentIndex.build(vae, [given])
    assert index.texts == [given]
    assert index.search("the room was clean", k=1)[0].score == pytest.approx(1)
