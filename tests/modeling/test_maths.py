import doctest
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.distributions import Independent, Normal, kl_divergence

from textvae.latent import collapse, geometry
from textvae.latent.collapse import active_units, diagnose_collapse
from textvae.latent.geometry import barycentre, path, unit
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.modeling.likelihood import IGNORED, importance_weighted_bound, reconstruction_nats
from textvae.modeling.objectives.elbo import free_bits, negative_elbo
from textvae.training import noise, schedules
from textvae.training.schedules import SCHEDULES, kl_weight

BOS, EOS, PAD, MASK = 0, 1, 2, 3


@pytest.mark.parametrize("module", [geometry, collapse, schedules])
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0


# Gaussians


@pytest.fixture
def gaussian():
    return DiagonalGaussian(torch.randn(7, 5) * 2, torch.randn(7, 5))


def test_the_kl_is_that_of_torch(gaussian):
    expected = kl_divergence(Normal(gaussian.mean, gaussian.std), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian.kl(), expected)


def test_the_kl_of_the_prior_is_zero():
    assert DiagonalGaussian.standard(3, 4).kl().eq(0).all()


def test_the_log_density_is_that_of_torch(gaussian):
    latents = torch.randn(11, 7, 5)
    expected = Independent(Normal(gaussian.mean, gaussian.std), 1).log_prob(latents)
    torch.testing.assert_close(gaussian.log_prob(latents), expected)


def test_gradients_of_a_sample_reach_mean_and_log_std(gaussian):
    gaussian.mean.requires_grad_()
    gaussian.log_std.requires_grad_()
    latents = gaussian.sample()
    latents.sum().backward()
    # z = mean + std * noise, so dz/dmean is 1 and dz/dlog_std is z - mean.
    torch.testing.assert_close(gaussian.mean.grad, torch.ones(7, 5))
    torch.testing.assert_close(gaussian.log_std.grad, (latents - gaussian.mean).detach())


def test_samples_have_the_moments_of_the_gaussian(gaussian):
    many = DiagonalGaussian(gaussian.mean.expand(20_000, 7, 5), gaussian.log_std.expand(20_000, 7, 5)).sample()
    assert ((many.mean(0) - gaussian.mean).abs() < 5 * gaussian.std / math.sqrt(20_000)).all()
    torch.testing.assert_close(many.std(0), gaussian.std, rtol=0.03, atol=0)


def test_a_generator_decides_the_sample_and_the_global_state_stays(gaussian):
    before = torch.get_rng_state()
    first, second = (gaussian.sample(generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_are_selected_from_mean_and_log_std_alike(gaussian):
    assert len(gaussian) == 7 and gaussian.dim == 5
    chosen = gaussian[torch.tensor([4, 1])]
    assert torch.equal(chosen.mean, gaussian.mean[[4, 1]]) and torch.equal(chosen.log_std, gaussian.log_std[[4, 1]])


# The objective


def test_free_bits_of_zero_are_the_plain_kl():
    kl = torch.rand(6, 4)
    torch.testing.assert_close(free_bits(kl, 0.0), kl.sum(1).mean())


def test_a_dimension_below_the_floor_costs_the_floor_and_has_no_gradient():
    kl = torch.tensor([[0.1, 2.0, 0.3], [0.3, 4.0, 0.9]], requires_grad=True)  # means 0.2, 3.0, 0.6
    cost = free_bits(kl, 0.5)
    cost.backward()
    assert cost.item() == pytest.approx(0.5 + 3.0 + 0.6)
    assert kl.grad.tolist() == [[0, 0.5, 0.5], [0, 0.5, 0.5]]


@given(floor=st.floats(0, 3), larger=st.floats(0, 3), seed=st.integers(0, 99))
def test_a_higher_floor_never_costs_less(floor, larger, seed):
    kl = torch.rand(5, 4, generator=torch.Generator().manual_seed(seed))
    low, high = sorted((floor, larger))
    assert free_bits(kl, low) <= free_bits(kl, high) + 1e-5


def test_the_reconstruction_is_the_log_probability_of_the_next_tokens():
    logits, ids = torch.randn(3, 6, 9), torch.randint(0, 9, (3, 6))
    log_probabilities = torch.distributions.Categorical(logits=logits[:, :-1]).log_prob(ids[:, 1:])
    torch.testing.assert_close(reconstruction_nats(logits, ids), -log_probabilities.sum(1))


def test_a_padded_batch_costs_what_its_rows_cost_unpadded():
    lengths, vocabulary = [6, 2, 4, 3], 9
    logits, labels = torch.randn(4, 6, vocabulary), torch.randint(0, vocabulary, (4, 6))
    alone = [reconstruction_nats(logits[i : i + 1, :n], labels[i : i + 1, :n]) for i, n in enumerate(lengths)]
    for i, n in enumerate(lengths):
        labels[i, n:] = IGNORED
    torch.testing.assert_close(reconstruction_nats(logits, labels), torch.cat(alone))


@pytest.mark.parametrize(("beta", "floor"), [(1.0, 0.0), (0.1, 0.0), (0.5, 0.4), (0.0, 0.4)])
def test_the_negative_elbo_is_the_mean_reconstruction_plus_beta_times_the_kl(beta, floor):
    reconstruction, kl = torch.rand(6) * 30, torch.rand(6, 4)
    per_dimension = np.maximum(kl.numpy().mean(0), floor) if floor else kl.numpy().mean(0)
    expected = reconstruction.numpy().mean() + beta * per_dimension.sum()
    assert negative_elbo(reconstruction, kl, beta=beta, floor=floor).item() == pytest.approx(expected, rel=1e-6)


class ToyVAE:
    """One latent dimension and one token of three: small enough to integrate log p(x) numerically."""

    prior = DiagonalGaussian.standard(1)
    posterior = DiagonalGaussian(torch.tensor([0.4]), torch.tensor([-0.5]))
    weights, bias, token = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.1, 0.3, -0.2]), 0
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]

    def log_likelihood(self, latents):
        """Return log p(x|z) of latents (..., 1)."""
        rows = (latents * self.weights + self.bias).reshape(-1, 1, 3).expand(-1, 2, 3)
        labels = torch.tensor([[1, self.token]]).expand(len(rows), 2)
        return -reconstruction_nats(rows, labels).view(latents.shape[:-1])

    def integrate(self, log_density, values):
        return (torch.exp(log_density) * values).sum().item() * (self.grid[1] - self.grid[0]).item()

    def evidence(self):
        return math.log(self.integrate(self.prior.log_prob(self.grid), self.log_likelihood(self.grid).exp()))

    def elbo(self):
        expected = self.integrate(self.posterior.log_prob(self.grid), self.log_likelihood(self.grid))
        return expected - self.posterior.kl().item()

    def bounds(self, k, repeats, seed=0):
        """Return `repeats` independent bounds of K samples each."""
        posterior = DiagonalGaussian(
            self.posterior.mean.expand(k, repeats, 1), self.posterior.log_std.expand(k, repeats, 1)
        )
        latents = posterior.sample(generator=torch.Generator().manual_seed(seed))
        return importance_weighted_bound(
            self.log_likelihood(latents), self.prior.log_prob(latents), posterior.log_prob(latents)
        )


def test_the_importance_weighted_bound_of_one_sample_is_the_elbo_on_average():
    toy = ToyVAE()
    assert toy.elbo() < toy.evidence() - 0.05  # else the test could not tell the two apart
    assert toy.bounds(1, 100_000).mean().item() == pytest.approx(toy.elbo(), abs=0.01)


def test_the_importance_weighted_bound_of_many_samples_is_the_evidence():
    toy = ToyVAE()
    assert toy.bounds(100_000, 1).item() == pytest.approx(toy.evidence(), abs=0.01)


def test_the_importance_weighted_bound_rises_with_the_samples_and_stays_below_the_evidence():
    toy = ToyVAE()
    bounds = [toy.bounds(k, 200_000 // k).mean().item() for k in (1, 2, 5, 25)]
    assert all(b - a > 0.002 for a, b in itertools.pairwise(bounds))
    assert bounds[-1] < toy.evidence() + 0.002


def test_active_units_are_those_whose_mean_varies():
    means = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * [1.0, 0.2, 0.05, 0.0]
    assert active_units(torch.tensor(means)).tolist() == (means.var(0) > 0.01).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ((0.2, 1.0, 0.0), "posterior collapse: the KL is 0.20 nats"),
        ((5.0, 0.1, 0.0), "partial collapse: only 10% of the latent dimensions are active"),
        ((5.0, 1.0, 0.9), "90% of the prior samples repeat each other"),
    ],
)
def test_a_collapse_is_named_with_its_remedy(measured, message):
    diagnosis = diagnose_collapse(*measured)
    assert diagnosis.startswith(message) and "--free-bits" in diagnosis and "\n" not in diagnosis


@pytest.mark.parametrize("measured", [(12.0, 1.0, 0.0), (0.5, 0.25, 0.5)])
def test_a_latent_that_is_used_is_not_called_collapsed(measured):
    assert diagnose_collapse(*measured) is None


# Schedules

shares = st.floats(0, 1)


@given(progress=shares, warmup=shares, ramp=shares, schedule=st.sampled_from(SCHEDULES))
def test_kl_weights_lie_between_0_and_1_and_are_0_in_the_warmup(progress, warmup, ramp, schedule):
    weight = kl_weight(progress, schedule, warmup=warmup, ramp=ramp)
    assert 0 <= weight <= 1
    assert weight == 0 or progress >= warmup


@given(a=shares, b=shares, warmup=shares, ramp=shares, schedule=st.sampled_from(["constant", "linear"]))
def test_all_schedules_but_the_cyclical_only_rise(a, b, warmup, ramp, schedule):
    early, late = (kl_weight(p, schedule, warmup=warmup, ramp=ramp) for p in sorted((a, b)))
    assert early <= late


@pytest.mark.parametrize("warmup", [0.0, 0.3])
@pytest.mark.parametrize(("schedule", "start"), [("constant", 1), ("linear", 0), ("cyclical", 0)])
def test_schedules_start_after_the_warmup_and_end_at_1(schedule, start, warmup):
    assert kl_weight(warmup, schedule, warmup=warmup) == start
    assert kl_weight(1.0, schedule, warmup=warmup) == pytest.approx(1)


def test_a_ramp_is_half_way_up_in_its_middle_and_done_at_its_end():
    assert kl_weight(0.4, "linear", warmup=0.2, ramp=0.4) == pytest.approx(0.5)
    assert kl_weight(0.6, "linear", warmup=0.2, ramp=0.4) == pytest.approx(1)
    assert kl_weight(0.0, "linear", ramp=0.0) == 1


def test_the_cyclical_schedule_restarts_four_times_and_rests_half_of_each_cycle():
    weights = [kl_weight(step / 64, "cyclical") for step in range(64)]
    cycle = [rise / 8 for rise in range(8)] + [1.0] * 8
    assert weights == cycle * 4


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="unknown KL schedule 'cosine': use one of constant, linear, cyclical"):
        kl_weight(0.5, "cosine")


# Noise


def batch(lengths):
    """Return ids that are all different within a row, but for BOS, EOS and padding, and the mask."""
    width = max(lengths)
    ids = [[BOS, *range(10, 8 + n), EOS, *[PAD] * (width - n)] for n in lengths]
    return torch.tensor(ids), torch.tensor([[1] * n + [0] * (width - n) for n in lengths])


batches = st.lists(st.integers(2, 12), min_size=1, max_size=6).map(batch)
seeds = st.integers(0, 2**31)


@given(batch=batches, rate=st.floats(0.05, 0.95), seed=seeds)
def test_dropped_tokens_leave_no_gap_and_the_rest_keeps_its_order(batch, rate, seed):
    torch.manual_seed(seed)
    ids, mask = batch
    shorter, shorter_mask = noise.drop_tokens(ids, mask, rate, PAD)
    for row, new, kept in zip(ids.tolist(), shorter.tolist(), shorter_mask.sum(1).tolist(), strict=True):
        assert new[:kept] == [token for token in row if token in new[:kept]]
        assert new[0] == BOS and new[kept - 1] == EOS
        assert new[kept:] == [PAD] * (len(row) - kept)
    assert torch.equal(shorter_mask, (shorter != PAD).to(mask.dtype))


@given(batch=batches, rate=st.floats(0.05, 0.95), seed=seeds)
def test_masked_tokens_are_inner_ones_and_the_others_stay(batch, rate, seed):
    torch.manual_seed(seed)
    ids, mask = batch
    masked = noise.mask_tokens(ids, mask, rate, MASK)
    hit = masked != ids
    assert (masked[hit] == MASK).all()
    assert not hit[(ids == BOS) | (ids == EOS) | (ids == PAD)].any()


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda ids, mask: noise.drop_tokens(ids, mask, 0.0, PAD)[0],
        lambda ids, mask: noise.mask_tokens(ids, mask, 0.0, MASK),
    ],
    ids=["drop", "mask"],
)
def test_a_rate_of_zero_changes_nothing_and_draws_nothing(corrupt):
    ids, mask = batch([5, 9, 2])
    state = torch.get_rng_state()
    assert torch.equal(corrupt(ids, mask), ids)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_noise_hits_the_share_of_inner_tokens_that_was_asked_for(rate):
    ids, mask = batch([52, 27] * 400)
    inner = int((ids > 9).sum())
    margin = 5 * math.sqrt(rate * (1 - rate) / inner)
    dropped = 1 - int((noise.drop_tokens(ids, mask, rate, PAD)[0] > 9).sum()) / inner
    masked = int((noise.mask_tokens(ids, mask, rate, MASK) == MASK).sum()) / inner
    assert dropped == pytest.approx(rate, abs=margin) and masked == pytest.approx(rate, abs=margin)


@pytest.mark.parametrize("corrupt", [
    lambda ids, mask: noise.drop_tokens(ids, mask, 0.5, PAD),
    lambda ids, mask: noise.mask_tokens(ids, mask, 0.5, MASK),
], ids=["drop", "mask"])  # fmt: skip
def test_noise_leaves_its_input_alone(corrupt):
    ids, mask = batch([5, 9, 2])
    corrupt(ids, mask)
    assert all(map(torch.equal, (ids, mask), batch([5, 9, 2])))


# Geometry

METHODS = ["slerp", "linear"]
components = st.floats(-100, 100, width=32)
vectors = arrays.arrays(np.float32, 6, elements=components)


@given(start=vectors, end=vectors, n=st.integers(2, 9), method=st.sampled_from(METHODS))
def test_a_path_starts_and_ends_bit_for_bit_where_asked(start, end, n, method):
    points = path(start, end, n, method)
    assert points.shape == (n, 6) and points.dtype == np.float32 and np.isfinite(points).all()
    assert points[0].tobytes() == start.tobytes() and points[-1].tobytes() == end.tobytes()


@given(start=vectors, end=vectors, n=st.integers(3, 9))
def test_slerp_between_equal_norms_keeps_the_norm(start, end, n):
    assume(min(np.linalg.norm(start), np.linalg.norm(end)) > 0.1)
    start, end = unit(start) * 7, unit(end) * 7
    assume(abs(start @ end) < 49 * 0.999)  # near-opposite points have no stable arc
    np.testing.assert_allclose(np.linalg.norm(path(start, end, n), axis=1), 7, rtol=1e-3)


@pytest.mark.parametrize("angle", [0.05, 2.0, 3.0])
def test_slerp_walks_the_circle_at_a_steady_pace(angle):
    angles = np.linspace(0, angle, 6)
    points = path([3.0, 0.0], [3 * math.cos(angle), 3 * math.sin(angle)], 6)
    np.testing.assert_allclose(points, 3 * np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-4)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [-1.0, -2.0]),
    ],
)
def test_where_no_arc_is_defined_slerp_walks_the_chord(start, end):
    np.testing.assert_allclose(path(start, end, 5), path(start, end, 5, "linear"), atol=1e-6)


@given(start=vectors, end=vectors)
def test_the_middle_of_a_linear_path_is_the_mean(start, end):
    np.testing.assert_allclose(path(start, end, 3, "linear")[1], (start + end) / 2, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("n", "method", "message"),
    [(1, "slerp", "a path needs at least 2 points, got n=1"), (3, "spline", "unknown interpolation method 'spline'")],
)
def test_a_path_that_cannot_be_walked_is_refused(n, method, message):
    with pytest.raises(ValueError, match=message):
        path([1.0], [2.0], n, method)


@pytest.mark.parametrize("weights", [None, [1, 1, 1], [2, 1, 1], [-1, 1, 2], [0, 0, 3]])
def test_a_barycentre_is_the_weighted_mean(weights):
    points = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(barycentre(points, weights), np.average(points, 0, weights), rtol=1e-5)


@pytest.mark.parametrize(
    ("points", "weights", "message"),
    [
        (np.empty((0, 4)), None, r"at least one point, got an array of shape \(0, 4\)"),
        (np.ones(4), None, r"at least one point, got an array of shape \(4,\)"),
        (np.ones((3, 4)), [1, 2], "3 texts need 3 weights, got 2"),
        (np.ones((3, 4)), [1, -1, 0], "the weights sum to 0: give weights with a sum other than 0"),
        (np.ones((3, 4)), [1, math.nan, 0], "the weights sum to nan"),
    ],
)
def test_weights_that_define_no_barycentre_are_refused(points, weights, message):
    with pytest.raises(ValueError, match=message):
        barycentre(points, weights)


@given(vector=vectors)
def test_a_unit_vector_has_length_1_and_the_same_direction(vector):
    norm = np.linalg.norm(vector)
    assume(norm > 1e-3)
    np.testing.assert_allclose(unit(vector) * norm, vector, rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(unit(vector)) == pytest.approx(1, rel=1e-5)


def test_a_direction_of_length_0_is_refused():
    with pytest.raises(ValueError, match="the direction has length 0"):
        unit([0.0, 0.0])
