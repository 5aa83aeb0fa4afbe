"""Elasticsearch and OpenSearch: a file for their bulk interface, and the mapping of the index that takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from ..index.distances import Metric, width
from ..index.searching import SearchableIndex
from ..storage.atomic import atomic_path, write_json
from .facets import facets_of

Flavour = Literal["elasticsearch", "opensearch"]
SIMILARITY = {  # of inner products of vectors of length 1, and of Euclidean distances
    "elasticsearch": {True: "dot_product", False: "l2_norm"},
    "opensearch": {True: "innerproduct", False: "l2"},
}


def mapping_of(metric: Metric, dim: int, flavour: Flavour = "elasticsearch") -> dict[str, Any]:
    """Return the body that creates an index for the file of `write_bulk`.

    Conditions are `term` queries on `terms` ("topic = 'food'") and `range` queries on `numbers.KEY` and `dates.KEY`.

    Args:
        metric: The metric of the index.
        dim: Its latent dimensions D.
        flavour: OpenSearch has another type of vectors.
    """
    inner_product, dims = metric == "cosine", width(metric, dim)
    similarity = SIMILARITY[flavour][inner_product]
    if flavour == "opensearch":
        method = {"name": "hnsw", "engine": "lucene", "space_type": similarity}
        vector: dict[str, Any] = {"type": "knn_vector", "dimension": dims, "method": method}
    else:
        vector = {"type": "dense_vector", "dims": dims, "index": True, "similarity": similarity}
    properties = {
        "text": {"type": "text"},
        "metadata": {"type": "object", "enabled": False},
        "terms": {"type": "keyword"},
        "numbers": {"type": "object", "dynamic": True},
        "dates": {"type": "object", "dynamic": True},
        "vector": vector,
    }
    settings = {"settings": {"index.knn": True}} if flavour == "opensearch" else {}
    return {**settings, "mappings": {"dynamic": False, "properties": properties}}


def write_bulk(
    index: SearchableIndex, path: str | Path, name: str, *, flavour: Flavour = "elasticsearch", batch_size: int = 512
) -> int:
    """Write an index as NDJSON for `_bulk`, the mapping beside it as NAME.mapping.json, and return the number of texts.

    The format follows the documentation of both; it has not been tried against a server.

    Args:
        index: The index.
        path: The file, written whole or not at all; split it at an even line for requests of a server's size.
        name: Name of the index there.
        flavour: Whose mapping.
        batch_size: Texts in memory at once.

    Raises:
        ValueError: The index has a zero vector, which these engines refuse under "cosine".
    """
    path, count = Path(path), 0
    with atomic_path(path) as staged, open(staged, "w", encoding="utf-8") as file:
        for block in index.blocks(batch_size):
            if index.metric == "cosine" and not block.vectors.any(axis=1).all():
                raise ValueError("a text has a zero vector, which has no cosine there: remove it, or use the metric l2")
            for id, text, metadata, vector in zip(*block, strict=True):
                facets = facets_of(metadata)
                source = {"text": text, "metadata": metadata, "terms": facets.terms, "vector": vector.tolist()}
                source |= {"numbers": facets.numbers, "dates": facets.dates}
                action = {"index": {"_index": name, "_id": str(id)}}
                file.write(f"{json.dumps(action)}\n{json.dumps(source, ensure_ascii=False)}\n")
            count += len(block.ids)
    write_json(path.with_name(f"{name}.mapping.json"), mapping_of(index.metric, index.dim, flavour))
    return count
