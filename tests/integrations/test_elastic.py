"""The file for the bulk interface of Elasticsearch and OpenSearch; no server has read it."""

import json

import numpy as np
import pytest
from stubs import DIM, TEXTS, StubVAE

from textvae import LatentIndex
from textvae.integrations.elastic import mapping_of, write_bulk


@pytest.mark.parametrize("metric", ["cosine", "wasserstein"])
def test_each_text_is_an_action_and_a_source(tmp_path, metric):
    vae = StubVAE()
    index = LatentIndex.build(
        vae, TEXTS, metric=metric, metadata=[{"n": n} for n in range(60)], ids=[f"é{n}" for n in range(60)]
    )
    assert write_bulk(index, tmp_path / "bulk.ndjson", "reviews", batch_size=7) == 60
    lines = [json.loads(line) for line in (tmp_path / "bulk.ndjson").read_text(encoding="utf-8").splitlines()]
    assert [line["index"] for line in lines[::2]] == [{"_index": "reviews", "_id": f"é{n}"} for n in range(60)]
    sources = lines[1::2]
    assert sources[3]["metadata"] == {"n": 3} and "n = 3" in sources[3]["terms"] and sources[3]["numbers"] == {"n": 3}
    mapping = json.loads((tmp_path / "reviews.mapping.json").read_text())
    dims = mapping["mappings"]["properties"]["vector"]["dims"]
    assert dims == (2 * DIM if metric == "wasserstein" else DIM) == len(sources[0]["vector"])
    expected = vae.encode(TEXTS[3:4])[0]
    found = np.array(sources[3]["vector"][:DIM])
    np.testing.assert_allclose(found, expected / (np.linalg.norm(expected) if metric == "cosine" else 1), rtol=1e-5)


def test_opensearch_has_vectors_of_its_own_type():
    body = mapping_of("l2", 8, "opensearch")
    assert body["settings"] == {"index.knn": True}
    assert body["mappings"]["properties"]["vector"]["dimension"] == 8


def test_a_zero_vector_is_refused(tmp_path):
    class Zero(StubVAE):
        def vector(self, text):
            return np.zeros(DIM)

    with pytest.raises(ValueError, match="a zero vector"):
        write_bulk(LatentIndex.build(Zero(), ["a"]), tmp_path / "bulk.ndjson", "reviews")
    assert not list(tmp_path.iterdir())
