"""The scikit-learn transformer, inside what scikit-learn makes of it."""

from __future__ import annotations

import pickle
import random
import tempfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from textvae.integrations.sklearn import TextVAEVectorizer

TEXTS = [
    f"{thing} was {how} {when}"
    for thing in ("the room", "the soup")
    for how in ("clean", "cold", "great")
    for when in ("today", "last night", "again", "at noon")
]
LABELS = np.repeat([0, 1], 12)
STEPS = {"size": "tiny", "epochs": 1}


@pytest.fixture
def fitted(small_vae):
    return TextVAEVectorizer(small_vae).fit([])


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda texts: np.array(texts, dtype=object)])
def test_the_vectors_are_the_posterior_means(fitted, small_vae, kind):
    vectors = fitted.transform(kind(TEXTS))
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, small_vae.encode(TEXTS))
    assert fitted.transform([]).shape == (0, 32)
    assert fitted.vae_ is small_vae


def test_latents_become_texts_again(fitted, small_vae):
    assert fitted.inverse_transform(fitted.transform(TEXTS[:3])) == small_vae.reconstruct(TEXTS[:3])


def test_a_column_of_a_table_is_taken_and_a_table_is_not(fitted):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": TEXTS, "more": TEXTS}, index=range(5, 29))
    vectors = clone(fitted).set_output(transform="pandas").fit(table.text).transform(table.text)
    assert list(vectors.columns) == list(fitted.get_feature_names_out()) == [f"latent{dim}" for dim in range(32)]
    np.testing.assert_array_equal(vectors.to_numpy(), fitted.transform(TEXTS))
    assert list(vectors.index) == list(table.index)
    with pytest.raises(ValueError, match=r"one column of texts, got shape \(24, 2\)"):
        fitted.transform(table)


def test_a_pipeline_classifies_and_is_cross_validated(run):
    pipeline = make_pipeline(TextVAEVectorizer(run), LogisticRegression())
    assert pipeline.fit(TEXTS, LABELS).score(TEXTS, LABELS) == 1
    assert list(pipeline[:-1].get_feature_names_out())[:2] == ["latent0", "latent1"]
    assert cross_val_score(pipeline, TEXTS, LABELS, cv=3, error_score="raise").mean() > 0.7


@pytest.mark.parametrize("as_text", [True, False])
def test_a_search_varies_parameters_of_both_steps(run, as_text):
    pipeline = make_pipeline(TextVAEVectorizer(str(run) if as_text else run), LogisticRegression())
    grid = {"textvaevectorizer__batch_size": [1, 64], "logisticregression__C": [0.1, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_allclose(scores[:, 0], scores[:, 1])  # the batch size changes nothing


def test_a_search_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pipeline = make_pipeline(TextVAEVectorizer(**STEPS), LogisticRegression())
    grid = {"textvaevectorizer__latent_dim": [3, 5], "textvaevectorizer__epochs": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    best = search.best_estimator_[0]
    assert best.vae_.dim == search.best_params_["textvaevectorizer__latent_dim"] == best.transform(TEXTS).shape[1]
    assert not list(tmp_path.iterdir())  # no run is left behind
    assert best.vae_.path is None


def test_the_same_seed_trains_the_same_model_and_leaves_the_global_generators(capsys):
    states = [torch.get_rng_state(), np.random.get_state()[1], random.getstate()]  # noqa: NPY002
    first, same, other = (TextVAEVectorizer(**STEPS, seed=seed).fit(TEXTS).vae_.fingerprint for seed in (0, 0, 1))
    assert first == same != other
    after = [torch.get_rng_state(), np.random.get_state()[1], random.getstate()]  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(states[:2], after[:2], strict=True)) and states[2] == after[2]
    assert capsys.readouterr().out == ""


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted, run):
    copied = clone(fitted)
    assert copied.model is not fitted.model  # copied, like every parameter
    np.testing.assert_array_equal(copied.fit([]).transform(TEXTS), fitted.transform(TEXTS))
    whole = {"model": run, "size": "small", "latent_dim": 7, "epochs": 2.0, "seed": 3, "batch_size": 9}
    assert clone(TextVAEVectorizer(**whole)).get_params() == whole


@pytest.mark.parametrize("by_folder", [True, False])
def test_a_pickled_vectorizer_needs_no_folder(fitted, run, tmp_path, by_folder):
    vectorizer = TextVAEVectorizer(run).fit([]) if by_folder else fitted
    expected = vectorizer.transform(TEXTS)
    joblib.dump(vectorizer, tmp_path / "vectorizer.joblib")
    kept = [pickle.loads(pickle.dumps(vectorizer)), joblib.load(tmp_path / "vectorizer.joblib")]
    run.rename(tmp_path / "moved")
    for loaded in kept:
        np.testing.assert_array_equal(loaded.transform(TEXTS), expected)
        assert loaded.inverse_transform(expected[:1]) == vectorizer.inverse_transform(expected[:1])


@pytest.mark.parametrize(
    "use",
    [
        lambda vectorizer: vectorizer.transform(TEXTS),
        lambda vectorizer: vectorizer.inverse_transform(np.zeros((1, 32))),
        lambda vectorizer: vectorizer.get_feature_names_out(),
    ],
)
def test_before_fit_nothing_works(use, small_vae):
    with pytest.raises(NotFittedError):
        use(TextVAEVectorizer(small_vae))


@pytest.mark.parametrize(
    ("parameters", "texts", "error", "message"),
    [
        ({"model": 3}, TEXTS, TypeError, "model must be a run folder or a TextVAE, got 3"),
        ({"model": "nowhere"}, TEXTS, FileNotFoundError, "there is no run at nowhere"),
        ({}, [], ValueError, "a corpus needs at least 2 sentences, got 0"),
        ({}, "a text", TypeError, "expected a list of strings, got a str"),
        ({}, ["a", None], TypeError, "text 1 is None, a missing value, not a string"),
        ({}, np.array([["a"], ["b"]]), ValueError, r"expected one column of texts, got shape \(2, 1\)"),
        ({"epochs": 0}, TEXTS, ValueError, "epochs must be above 0"),
        ({"latent_dim": 0}, TEXTS, ValueError, "latent-dim must be at least 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(parameters, texts, error, message):
    with pytest.raises(error, match=message):
        TextVAEVectorizer(**parameters).fit(texts)


def test_scikit_learn_is_told_that_it_takes_strings(fitted):
    tags = get_tags(fitted)
    assert tags.input_tags.string and tags.input_tags.one_d_array and not tags.input_tags.two_d_array
    assert tags.estimator_type is None and not tags.target_tags.required
