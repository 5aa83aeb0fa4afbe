"""Learning the similarities of a teacher: its embeddings on disk, and training with them."""

import numpy as np
import pytest
import torch
from test_training import CORPUS, QUICK, Crash, crash_at

from textvae import TextVAE, TrainConfig, train
from textvae.modeling.objectives.distillation import cosine_distance
from textvae.storage.atomic import sha256
from textvae.training.distillation import TeacherCache, leading_directions


class Teacher:
    """Stands for a sentence encoder: an embedding is decided by the text."""

    def __init__(self):
        self.asked = []

    def encode(self, texts, **options):
        self.asked += texts
        counts = np.array([[text.count(letter) for letter in "aeiot"] for text in texts], np.float32)
        vectors = counts - 2 + np.array([[0.1 * len(text)] for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def state_dict(self):
        return {"weight": torch.ones(2)}

    def get_embedding_dimension(self):
        return 5


@pytest.fixture
def teacher(monkeypatch):
    encoder = Teacher()
    monkeypatch.setattr("textvae.training.distillation.load_sentence_encoder", lambda *_: encoder)
    monkeypatch.setattr("textvae.training.distillation.BLOCK", 4)
    return encoder


def test_embeddings_of_the_teacher_are_computed_once(teacher, tmp_path):
    texts = [f"sentence {'e' * i}" for i in range(10)]
    first = TeacherCache(tmp_path, "any").embed(texts)
    assert first.dtype == np.float16 and first.shape == (10, 5)
    np.testing.assert_allclose(first.astype(np.float32), teacher.encode(texts), atol=1e-3)
    teacher.asked.clear()
    np.testing.assert_array_equal(TeacherCache(tmp_path, "any").embed(texts), first)
    assert not teacher.asked
    longer = TeacherCache(tmp_path, "any").embed([*texts[:8], "new"])
    assert teacher.asked == ["new"] and len(longer) == 9


def test_what_is_known_ends_at_the_first_block_that_is_missing(teacher, tmp_path):
    texts = [f"sentence {'e' * i}" for i in range(12)]
    cache = TeacherCache(tmp_path, "any")
    assert cache.known(texts).shape == (0, 5)
    next(cache.blocks(texts))
    assert len(cache.known(texts)) == 4
    cache.embed(texts[8:])
    assert len(cache.known(texts)) == 4
    assert cache.embed([]).shape == (0, 5)


def test_leading_directions_keep_the_most_of_the_inner_products():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((500, 3)) @ generator.standard_normal((3, 8))
    directions = leading_directions(vectors, 3)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    projected = vectors @ directions
    np.testing.assert_allclose(projected @ projected.T, vectors @ vectors.T, rtol=1e-3, atol=1e-2)


def test_the_cosine_distance_ignores_rows_that_are_not_known():
    means = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    teacher = torch.tensor([[0.0, 3.0], [0.0, 0.5], [float("nan"), 1.0]])
    torch.testing.assert_close(cosine_distance(means, teacher), torch.tensor([1.0, 0.0, 0.0]))


def similarities(vectors):
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]


def test_a_model_learns_the_similarities_of_its_teacher(teacher, tmp_path):
    options = QUICK | {"max_steps": 60, "eval_steps": 60, "beta": 0.001, "slot_dim": 8, "from_teacher": 0.3}
    vae = train(CORPUS, tmp_path / "run", TrainConfig(**options, teacher="any", distillation=100.0))
    config = vae.model.config
    assert (config.latent_dim, config.unit_mean, config.slot_dim, config.slot_stride) == (5, True, 8, None)
    learnt = np.corrcoef(similarities(vae.encode(CORPUS)), similarities(teacher.encode(CORPUS)))[0, 1]
    assert learnt > 0.8
    assert not list((tmp_path / "run").rglob("*.npy"))  # embeddings tell much of the texts
    assert TextVAE.from_pretrained(tmp_path / "run").reconstruct(CORPUS[:4])


def test_an_interrupted_run_with_a_teacher_equals_an_uninterrupted_one(teacher, tmp_path, monkeypatch):
    options = QUICK | {"max_steps": 8, "eval_steps": 4, "slot_dim": 8, "latent_dim": 3}
    config = TrainConfig(**options, teacher="any")
    train(CORPUS, tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        crash_at(patch, 6)
        with pytest.raises(Crash):
            train(CORPUS, tmp_path / "broken", config)
    train(CORPUS, tmp_path / "broken", config, resume=True)
    assert sha256(tmp_path / "broken/model.safetensors") == sha256(tmp_path / "whole/model.safetensors")


@pytest.mark.parametrize(("beta", "told"), [(1.0, True), (0.001, False)])
def test_a_weight_of_the_kl_that_empties_the_slots_is_told(tmp_path, caplog, beta, told):
    train(CORPUS, tmp_path / "run", TrainConfig(**QUICK | {"max_steps": 1, "slot_dim": 8, "beta": beta}))
    assert ("slots lose the wording" in caplog.text) == told


def test_a_latent_wider_than_the_teacher_is_refused(teacher, tmp_path):
    with pytest.raises(ValueError, match="--latent-dim must be at most 5, the width of the teacher, got 6"):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=1, teacher="any", latent_dim=6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "any", "encoder": "any", "keep_encoder": True}, "--teacher has no effect on --keep-encoder"),
        ({"from_teacher": 0.5}, "--from-teacher needs a --teacher"),
        ({"open_all": 1.5}, r"--open-all must be a share in \[0, 1\]"),
        ({"slot_tokens": 0}, "--slot-tokens must be at least 1"),
        ({"slot_dim": -1}, "--slot-dim must not be negative"),
        ({"from_": "run", "slot_dim": 8}, "--slot-dim comes with the model of --from"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)
