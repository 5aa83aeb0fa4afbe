import numpy as np
import pytest
from stubs import DIM, TEXTS, StubVAE, ranking

from textvae.index import LatentIndex
from textvae.index.distances import METRICS, closeness, comparable


@pytest.fixture
def vae():
    return StubVAE()


@pytest.fixture
def index(vae):
    return LatentIndex.build(vae, TEXTS, metric="wasserstein")


def gaussians(vae, texts):
    posterior = vae.posterior(texts)
    return np.concatenate([posterior.mean.numpy(), posterior.std.numpy()], 1)


def wasserstein(a, b):
    """The 2-Wasserstein distance of Gaussians by its formula for covariance matrices."""
    mean_a, mean_b, cov_a, cov_b = a[:DIM], b[:DIM], np.diag(a[DIM:] ** 2), np.diag(b[DIM:] ** 2)
    cross = np.sqrt(np.sqrt(cov_b) @ cov_a @ np.sqrt(cov_b))  # diagonal, so the root is that of the numbers
    return np.sqrt(np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * cross))


@pytest.mark.parametrize("texts", [True, False])
def test_texts_are_compared_by_the_wasserstein_distance_of_their_posteriors(vae, index, texts):
    queries = [f"query {n}" for n in range(9)]
    stored, asked = gaussians(vae, TEXTS).astype(np.float64), gaussians(vae, queries).astype(np.float64)
    scores = -np.array([[wasserstein(a, b) for b in stored] for a in asked])
    for hits, row in zip(index.search(queries if texts else asked, k=7), scores, strict=True):
        assert ranking(hits) == np.argsort(-row)[:7].tolist()
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(row)[::-1][:7], rtol=1e-4)


def test_the_spread_decides_between_texts_of_one_mean():
    class Equal(StubVAE):
        def vector(self, text):
            return np.ones(self.dim)

    index = LatentIndex.build(Equal(), TEXTS, metric="wasserstein")
    assert [ranking(hits)[0] for hits in index.search(TEXTS, k=1)] == list(range(60))


def test_latents_are_points_without_spread(vae, index):
    points = vae.encode(TEXTS[:5])
    wide = np.concatenate([points, np.zeros_like(points)], 1)
    assert index.search(points) == index.search(wide)
    assert index.search(points[0]) == index.search(wide[0])


def test_the_dimension_of_the_index_is_that_of_the_latent_space(vae, index, tmp_path):
    index.save(tmp_path / "index")
    loaded = LatentIndex.load(tmp_path / "index", vae)
    assert index.dim == loaded.dim == DIM and loaded.metric == "wasserstein"
    assert loaded.search(TEXTS[7], k=3) == index.search(TEXTS[7], k=3)
    assert loaded.add(["fresh"]) == [60] and loaded.search("fresh", k=1)[0].id == 60


def test_other_widths_and_negative_spreads_are_refused(index):
    with pytest.raises(
        ValueError, match=r"vectors have 17 dimensions, the index has 16 \(32 with standard deviations\)"
    ):
        index.search(np.zeros(17))
    with pytest.raises(ValueError, match=r"standard deviations \(the second half of each vector\) are negative"):
        index.search(np.full(2 * DIM, -1.0))
    with pytest.raises(ValueError, match="vectors have 32 dimensions, the index has 16$"):
        LatentIndex.build(StubVAE(), TEXTS, metric="l2").search(np.zeros(2 * DIM))


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_comparable_is_a_copy_of_the_same_width(metric):
    given = np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    before = given.copy()
    vectors = comparable(given, metric, DIM)
    assert vectors.dtype == np.float32 and vectors.shape == (5, 2 * DIM if metric == "wasserstein" else DIM)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("metric", METRICS)
def test_a_closer_score_is_larger(metric):
    near, far = (0.9, 0.1) if metric == "cosine" else (0.1, 0.9)
    assert closeness(near, metric) > closeness(far, metric)
    assert str(closeness(-1e-9, "l2")) == "0.0"


def test_a_real_model_gives_its_posterior(small_vae):
    texts = ["the food was fine", "the soup was cold", "a long walk"]
    index = LatentIndex.build(small_vae, texts, metric="wasserstein")
    posterior = small_vae.posterior(texts)
    expected = np.concatenate([posterior.mean.numpy(), posterior.std.numpy()], 1)
    np.testing.assert_allclose(index._vectors.index.reconstruct_n(0, 3), expected, rtol=1e-6)
    assert [ranking(hits)[0] for hits in index.search(texts, k=1)] == [0, 1, 2]
