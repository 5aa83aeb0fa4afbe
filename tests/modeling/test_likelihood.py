import math

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from textvae.modeling import likelihood as cross_entropy
from textvae.modeling.likelihood import IGNORED, linear_cross_entropy, sampled_cross_entropy

HIDDEN, VOCABULARY = 12, 57


def layer(tokens, ignored=()):
    torch.manual_seed(tokens)
    states = torch.randn(tokens, HIDDEN, requires_grad=True)
    weight = torch.randn(VOCABULARY, HIDDEN, requires_grad=True)
    targets = torch.randint(0, VOCABULARY, (tokens,))
    targets[list(ignored)] = IGNORED
    return states, weight, targets


@pytest.fixture(params=[1, 2**8, 2**20], ids=["many chunks", "some chunks", "one chunk"])
def chunks(request, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", request.param)
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS_ACCELERATOR", request.param)


@pytest.fixture(params=[True, False], ids=["as on a CPU", "as on a GPU"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(cross_entropy, "_has_large_cache", lambda device: request.param)


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 300])
@pytest.mark.parametrize("ignored", [(), (0,), (0, -1)])
def test_value_and_gradients_are_those_of_torch(chunks, tokens, ignored):
    states, weight, targets = layer(tokens, ignored[:tokens])
    total, nats = linear_cross_entropy(states, weight, targets)
    gradients = torch.autograd.grad(3 * total, [states, weight])
    expected = F.cross_entropy(states @ weight.t(), targets, ignore_index=IGNORED, reduction="none")
    torch.testing.assert_close(nats, expected.detach())
    torch.testing.assert_close(total, expected.sum())
    for ours, theirs in zip(gradients, torch.autograd.grad(3 * expected.sum(), [states, weight]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)


def test_a_token_that_is_not_scored_costs_exactly_nothing():
    states, weight, targets = layer(5, range(5))
    total, nats = linear_cross_entropy(states, weight, targets)
    assert total == 0 and nats.eq(0).all()
    assert all(gradient.eq(0).all() for gradient in torch.autograd.grad(total, [states, weight]))


def test_huge_logits_do_not_overflow():
    states, weight, targets = layer(9)
    total, _ = linear_cross_entropy(states * 1e4, weight, targets)
    assert total.isfinite()
    torch.testing.assert_close(total, F.cross_entropy(1e4 * states @ weight.t(), targets, reduction="sum"))


def test_under_autocast_the_value_is_float32_and_the_gradients_are_of_their_parameters():
    states, weight, targets = layer(200)
    with torch.autocast("cpu", torch.bfloat16):
        total, nats = linear_cross_entropy(states, weight, targets)
    exact, _ = linear_cross_entropy(states, weight, targets)
    assert total.dtype == nats.dtype == torch.float32
    assert 0 < abs(total / exact - 1) < 0.01  # bf16 was used, and is near
    for rounded, gradient in zip(
        torch.autograd.grad(total, [states, weight]), torch.autograd.grad(exact, [states, weight]), strict=True
    ):
        assert rounded.dtype == torch.float32
        assert (rounded - gradient).norm() < 0.02 * gradient.norm()


def test_a_token_that_is_nearly_certain_has_a_gradient_in_bf16(way):
    weight = torch.zeros(VOCABULARY, 1, requires_grad=True)
    with torch.no_grad():
        weight[0] = 12.0
    states, target = torch.ones(1, 1), torch.tensor([0])
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = linear_cross_entropy(states, weight, target)
    (gradient,) = torch.autograd.grad(total, weight)
    expected = -56 / (56 + math.exp(12))  # 1 less than the share of the target
    assert gradient[0].item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
def test_without_gradients_none_are_made(block):
    states, weight, targets = layer(100)
    with block(), FlopCounterMode(display=False) as counter:
        total, nats = linear_cross_entropy(states, weight, targets)
    assert counter.get_total_flops() == 2 * states.numel() * len(weight)  # the logits and nothing else
    assert not total.requires_grad and not nats.requires_grad
    torch.testing.assert_close(nats.sum(), total)


# From a sample of the classes


@pytest.mark.parametrize("words", [VOCABULARY, 3 * VOCABULARY])
def test_a_sample_of_all_classes_is_no_estimate(words):
    states, weight, targets = layer(40, (0, 7))
    for one, other in zip(
        sampled_cross_entropy(states, weight, targets, words),
        linear_cross_entropy(states, weight, targets),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_sum_over_the_classes_is_estimated_without_bias():
    states, weight, targets = layer(3)
    own = torch.isin(torch.arange(VOCABULARY), targets)
    logits = states @ weight.t()
    generator = torch.Generator().manual_seed(0)
    estimates = torch.stack([sampled_cross_entropy(states, weight, targets, 20, generator)[1] for _ in range(4000)])
    sums = (estimates + logits.gather(1, targets[:, None]).squeeze(1)).exp()  # nats = log of the sum - logit
    exact = logits.exp().sum(1)
    torch.testing.assert_close(sums.mean(0), exact, rtol=0.05, atol=0)
    assert (sums.std(0) > 0.02 * exact).all() and own.sum() <= 3


def test_a_sample_costs_the_product_with_its_classes_alone():
    states, weight, targets = layer(300)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        sampled_cross_entropy(states, weight, targets[:1].expand(300), 10)
    assert counter.get_total_flops() <= 2 * states.numel() * 11
