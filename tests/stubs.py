"""A model for tests of the index that needs no network, and what numpy says about its vectors."""

import hashlib

import numpy as np
import torch

from textvae.latent.reading import Reading
from textvae.modeling.gaussian import DiagonalGaussian

DIM = 16
TEXTS = [f"sentence number {n}" for n in range(60)]


class StubVAE:
    """Deterministic vectors of uneven length, so that cosine and inner product order texts differently."""

    def __init__(self, path=None, fingerprint="a1b2c3", dim=DIM):
        self.path, self.fingerprint, self.dim = path, fingerprint, dim
        self.batch_sizes = []
        self.encoded = []

    def encode(self, texts, /, *, batch_size=64):
        assert isinstance(texts, list)
        self.batch_sizes.append(batch_size)
        self.encoded += texts
        return np.array([self.vector(text) for text in texts], np.float32).reshape(len(texts), self.dim)

    def posterior(self, texts, /, *, batch_size=64):
        means = self.encode(texts, batch_size=batch_size)
        log_stds = [np.log(random_for("sigma" + text).uniform(0.01, 20, self.dim)) for text in texts]
        spreads = np.array(log_stds, np.float32).reshape(means.shape)
        return DiagonalGaussian(torch.from_numpy(means), torch.from_numpy(spreads))

    def vector(self, text):
        noise = random_for(text)
        return noise.normal(size=self.dim) * noise.uniform(0.1, 10)


def reading_of(ids, means):
    """What a model without slots reads: token ids of each text, and means (N, D) with deviations of 1."""
    means = torch.from_numpy(np.asarray(means, np.float32))
    nothing = DiagonalGaussian(torch.zeros(len(ids), 0, 1), torch.zeros(len(ids), 0, 1))
    return Reading(ids, DiagonalGaussian(means, torch.zeros_like(means)), nothing, torch.zeros(len(ids), 0))


def random_for(text):
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return np.random.default_rng(seed)


def ranking(hits):
    return [hit.id for hit in hits]


def brute_force(vae, texts, queries, metric):
    """Return the scores (N, texts) of queries, which are points, by the definition of the metric."""
    posterior = vae.posterior(list(texts))
    means, stds = posterior.mean.double().numpy(), posterior.std.double().numpy()
    queries = np.asarray(queries, np.float64)
    if metric == "cosine":
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(means, axis=1)
        return queries @ means.T / lengths
    squares = np.square(queries[:, None] - means[None]).sum(-1)
    return -np.sqrt(squares + (np.square(stds).sum(-1) if metric == "wasserstein" else 0))
