"""The encoder that mteb takes, against a copy of mteb's protocol (version 2.26)."""

import inspect
import sys
import types
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytest
import torch

from textvae.integrations.mteb import MTEBEncoder


@runtime_checkable
class EncoderProtocol(Protocol):
    def __init__(self, model_name: str, revision: str | None, *, device: str | None = None, **kwargs: Any) -> None: ...
    def encode(
        self, inputs, *, task_metadata, hf_split: str, hf_subset: str, prompt_type=None, **kwargs: Any
    ) -> np.ndarray: ...
    def similarity(self, embeddings1, embeddings2): ...
    def similarity_pairwise(self, embeddings1, embeddings2): ...
    @property
    def mteb_model_meta(self): ...


class ScoringFunction(Enum):
    COSINE = "cosine"


class ModelMeta(types.SimpleNamespace):
    @classmethod
    def create_empty(cls, overwrites):
        return cls(**overwrites)


@pytest.fixture
def mteb(monkeypatch):
    """A stand-in for the modules of mteb."""
    meta = types.ModuleType("mteb.models.model_meta")
    meta.ModelMeta, meta.ScoringFunction = ModelMeta, ScoringFunction
    for name, module in (("mteb", types.ModuleType("mteb")), ("mteb.models", types.ModuleType("mteb.models"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "mteb.models.model_meta", meta)


def loader(texts, size):
    """Batches as mteb's loaders give them."""
    return torch.utils.data.DataLoader([{"text": text, "id": str(n)} for n, text in enumerate(texts)], batch_size=size)


CALL = {"task_metadata": object(), "hf_split": "test", "hf_subset": "default", "prompt_type": "query"}


def test_batches_give_what_encode_gives_in_their_order(small_vae, sentences):
    encoder = MTEBEncoder(small_vae)
    found = encoder.encode(loader(sentences, 3), **CALL, batch_size=5, show_progress_bar=False, precision="float32")
    np.testing.assert_allclose(found, small_vae.encode(sentences), atol=1e-5)
    assert encoder.encode(loader(sentences, 3), **CALL).shape == (8, 32)


def test_it_has_the_methods_of_the_protocol(mteb, small_vae):
    encoder = MTEBEncoder(small_vae)
    assert isinstance(encoder, EncoderProtocol)
    for name in ("encode", "similarity", "similarity_pairwise"):
        asked = inspect.signature(getattr(EncoderProtocol, name)).parameters
        ours = inspect.signature(getattr(MTEBEncoder, name)).parameters
        positional = [n for n, p in asked.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert list(ours)[: len(positional)] == positional
        keywords = {n for n, p in asked.items() if p.kind is p.KEYWORD_ONLY}
        assert keywords <= set(ours)
        takes_more = any(p.kind is p.VAR_KEYWORD for p in ours.values())
        assert takes_more == any(p.kind is p.VAR_KEYWORD for p in asked.values())


def test_similarities_are_cosines(small_vae, sentences):
    encoder = MTEBEncoder(small_vae)
    a, b = small_vae.encode(sentences[:4]), small_vae.encode(sentences[4:])
    whole = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(encoder.similarity(a, b), whole, atol=1e-5)
    np.testing.assert_allclose(encoder.similarity_pairwise(torch.tensor(a), b), np.diag(whole), atol=1e-5)
    with pytest.raises(ValueError, match=r"vectors of shapes \(4, 32\) and \(3, 32\) cannot be paired"):
        encoder.similarity_pairwise(a, b[:3])


def test_a_run_is_loaded_and_filed_by_its_folder_and_weights(mteb, run, small_vae):
    meta = MTEBEncoder(run).mteb_model_meta
    assert (meta.name, meta.revision) == ("textvae/run", small_vae.fingerprint)
    assert (meta.embed_dim, meta.n_parameters) == (32, small_vae.model.num_parameters())
    assert meta.similarity_fn_name is ScoringFunction.COSINE and meta.max_tokens == 24
    named = MTEBEncoder(small_vae, "v1", name="org/hotels").mteb_model_meta
    assert (named.name, named.revision) == ("org/hotels", "v1")


def test_mistakes_are_told(small_vae, monkeypatch):
    with pytest.raises(ValueError, match="organisation/model, got the name 'hotels'"):
        MTEBEncoder(small_vae, name="hotels")
    with pytest.raises(ValueError, match="a text model cannot encode image: choose a task of texts"):
        MTEBEncoder(small_vae).encode([{"image": []}], **CALL)
    monkeypatch.setitem(sys.modules, "mteb.models.model_meta", None)
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(ImportError, match="pip install 'mteb>=2'"):
        _ = MTEBEncoder(small_vae).mteb_model_meta


@pytest.mark.slow
def test_mteb_evaluates_a_task_of_its_own_kind(small_vae, sentences, tmp_path):
    mteb = pytest.importorskip("mteb")
    datasets = pytest.importorskip("datasets")
    from mteb.abstasks import AbsTaskSTS
    from mteb.cache import ResultCache

    pairs = {"sentence1": sentences, "sentence2": sentences[::-1], "score": [float(n) for n in range(8)]}

    class Task(AbsTaskSTS):
        metadata = mteb.get_task("STS12").metadata.model_copy(update={"name": "Own", "eval_splits": ["test"]})
        min_score, max_score = 0, 7

        def load_data(self, **_):
            self.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_dict(pairs)})
            self.data_loaded = True

    done = mteb.evaluate(MTEBEncoder(small_vae), Task(), cache=ResultCache(tmp_path))
    (scores,) = done.task_results[0].scores["test"]
    a, b = small_vae.encode(sentences), small_vae.encode(sentences[::-1])
    cosines = np.diag(small_vae.similarity(a, b).numpy())
    assert scores["cosine_pearson"] == pytest.approx(np.corrcoef(cosines, pairs["score"])[0, 1], abs=1e-4)
