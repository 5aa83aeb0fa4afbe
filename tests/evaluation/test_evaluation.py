"""Evaluation: reports, variety, fluency, geometry, disentanglement."""

from __future__ import annotations

import doctest
import json
import math

import numpy as np
import pytest
import torch

from textvae import TextVAE, evaluate
from textvae.evaluation import EvalReport, disentanglement, mutual_information
from textvae.evaluation import latent_shape as geometry_module
from textvae.evaluation import text_scores as texts_module
from textvae.evaluation.disentanglement import dci, mutual_information_gap, z_diff, z_min_var
from textvae.evaluation.fluency import OutsideLM, SentenceLM, word_perplexity
from textvae.evaluation.latent_shape import measure_geometry, neighbours, smoothness
from textvae.evaluation.report import disentanglement_scores
from textvae.evaluation.text_scores import bleu, distinct, duplicates, edit_distance, self_bleu
from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.modeling.objectives.mmd import squared_mmd
from textvae.text.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def report(small_vae, sentences):
    return evaluate(small_vae, sentences, num_samples=4, n_prior=20)


def test_a_report_is_finite_and_comes_back_from_json(report):
    measured = {key: value for key, value in report.to_dict().items() if value is not None}
    numbers = {key: value for key, value in measured.items() if not isinstance(value, list)}
    assert all(math.isfinite(value) for value in numbers.values() if not isinstance(value, str))
    assert EvalReport(**json.loads(json.dumps(report.to_dict()))) == report
    assert [line.split()[0] for line in str(report).splitlines()] == list(numbers)


def test_a_report_holds_what_its_names_say(report, small_vae, sentences):
    posterior = small_vae.posterior(sentences)
    nll = -small_vae.log_likelihood(sentences, num_samples=4)
    words = sum(len(text.split()) + 1 for text in sentences)
    samples = small_vae.sample(20, seed=0)
    assert report.texts == 8 and report.num_samples == 4 and report.prior_samples == 20
    assert report.nll == pytest.approx(nll.mean(), rel=1e-4)
    assert report.word_perplexity == pytest.approx(math.exp(nll.sum() / words), rel=1e-3)
    assert report.kl == pytest.approx(posterior.kl().sum(1).mean().item(), rel=1e-5)
    assert report.active_fraction == (posterior.mean.numpy().var(0) > 0.01).mean()
    assert report.mutual_information <= report.mutual_information_cap == pytest.approx(math.log(8))
    assert report.exact_match == 0  # nothing was learnt
    assert report.duplicates == pytest.approx(1 - len(set(samples)) / 20)


def test_a_report_scores_the_factors_it_is_given(report, small_vae, sentences):
    pytest.importorskip("sklearn")
    texts, factors = sentences * 4, np.array([[i % 2, i % 4] for i in range(32)])
    scored = evaluate(small_vae, texts, num_samples=1, n_prior=2, n_paths=1, factors=factors)
    expected = mutual_information_gap(small_vae.encode(texts), factors)
    assert (scored.mig, scored.mig_std) == (expected.mean, expected.std)
    assert scored.dci_informativeness == dci(small_vae.encode(texts), factors).informativeness
    assert scored.z_min_var == z_min_var(small_vae.encode(texts), factors).mean
    assert report.mig is None and "mig" not in str(report)


def test_a_lower_case_model_is_held_to_lower_case(sentences, monkeypatch):
    tokenizer = train_tokenizer(sentences, 320, lowercase=True)
    config = TextVAEConfig.preset("tiny", vocab_size=len(tokenizer), max_length=24)
    vae = TextVAE(TextVAEModel(config), tokenizer)
    lower = [text.lower() for text in sentences]
    monkeypatch.setattr(TextVAE, "decode", lambda self, latents, **_: [lower[i % 8] for i in range(len(latents))])
    report = evaluate(vae, [text.upper() for text in sentences], num_samples=1, n_prior=4)
    assert report.exact_match == 1 and report.edit_distance == 0


def test_evaluation_is_deterministic(report, small_vae, sentences):
    assert evaluate(small_vae, sentences, num_samples=4, n_prior=20) == report


@pytest.mark.parametrize(
    ("posterior", "expected"),
    [
        (DiagonalGaussian(torch.arange(16.0)[:, None] * 100, torch.zeros(16, 1)), math.log(16)),  # all told apart
        (DiagonalGaussian(torch.zeros(16, 3), torch.zeros(16, 3)), 0.0),  # all alike
        (DiagonalGaussian((torch.arange(16.0) // 4)[:, None] * 100, torch.zeros(16, 1)), math.log(4)),  # four groups
    ],
)
def test_mutual_information_counts_what_the_latent_tells_apart(posterior, expected):
    assert mutual_information(posterior) == pytest.approx(expected, abs=1e-4)


def test_mutual_information_never_exceeds_the_logarithm_of_the_texts():
    for seed in range(20):
        posterior = DiagonalGaussian(torch.randn(30, 4) * seed, torch.randn(30, 4))
        assert mutual_information(posterior, seed=seed) <= math.log(30) + 1e-4


def test_bleu_is_100_for_the_references_themselves():
    pytest.importorskip("sacrebleu")
    texts = ["the soup was hot and fresh .", "our waiter never smiled at us ."]
    assert bleu(texts, texts) == pytest.approx(100)
    assert bleu(["a b c d e", "f g h i j"], texts) < 5


def test_without_sacrebleu_there_is_no_bleu(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
    assert bleu(["a"], ["a"]) is None


@pytest.mark.parametrize("module", [texts_module, geometry_module, disentanglement])
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted


# Variety


def test_self_bleu_tells_copies_from_different_texts():
    pytest.importorskip("sacrebleu")
    assert self_bleu(["the soup was hot and fresh ."] * 5) == pytest.approx(100)
    assert self_bleu(["a b c d", "e f g h", "i j k l"]) < 5


@pytest.mark.parametrize(("texts", "expected"), [(["a", "b", "a", "a"], 0.5), (["a"], 0.0), (["a", "b"], 0.0)])
def test_duplicates_are_the_repeats_of_earlier_texts(texts, expected):
    assert duplicates(texts) == expected


def test_distinct_counts_ngrams_within_texts_only():
    assert distinct(["a b", "b c"], 2) == 1.0  # "b b" spans two texts
    assert distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct([""], 1) == 0.0


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("", "", 0), ("a", "", 1), ("a b c", "a b c", 0), ("a b c", "b c", 1 / 3), ("a b", "b a", 1), ("a", "b c d", 1)],
)
def test_the_edit_distance_is_levenshteins(a, b, expected):
    assert edit_distance(a, b) == edit_distance(b, a) == pytest.approx(expected)


# Fluency


def test_a_sentence_lm_learns_what_it_was_trained_on(small_vae, sentences):
    lm = SentenceLM(small_vae.tokenizer, size="tiny")
    before = lm.nats(sentences)
    assert lm.nats([]).shape == (0,)
    lm.fit(sentences * 40, epochs=12)
    assert (lm.nats(sentences) < before / 2).all()
    one, same = (SentenceLM(small_vae.tokenizer, size="tiny").fit(sentences * 9, epochs=2) for _ in range(2))
    assert np.array_equal(one.nats(sentences), same.nats(sentences))


def test_a_probability_over_all_short_texts_sums_to_one(small_vae):
    """The LM over every token after BOS: the nats of one-token texts and of the end are those of one softmax."""
    lm = SentenceLM(small_vae.tokenizer, size="tiny")
    labels = torch.tensor([[0, token] for token in range(len(small_vae.tokenizer))])
    _, nats = lm.decoder.nats(labels, torch.zeros(len(labels), 1), labels)
    assert nats.neg().exp().sum().item() == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="module")
def outside(small_vae, tmp_path_factory):
    """The folder of an untrained GPT-2 with the small model's tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lm")
    config = GPT2Config(vocab_size=len(small_vae.tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=512)
    GPT2LMHeadModel(config).save_pretrained(folder)
    small_vae.tokenizer.save_pretrained(folder)
    return str(folder)


def test_an_outside_lm_scores_texts_as_its_own_loss_does(outside, sentences, monkeypatch):
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    lm = OutsideLM(outside)
    nats = lm.nats(sentences)
    for text, value in zip(sentences, nats, strict=True):
        ids = torch.tensor([[lm.start, *lm.tokenizer(text, add_special_tokens=False)["input_ids"], lm.end]])
        with torch.no_grad():
            mean = lm.model(ids, labels=ids).loss.item()
        assert value == pytest.approx(mean * (ids.shape[1] - 1), rel=1e-4)


def test_an_outside_lm_reads_no_further_than_its_context(outside):
    lm = OutsideLM(outside)
    longest, longer = lm.nats(["soup " * 600, "soup " * 900])
    assert longest == longer
    assert lm.nats([]).shape == (0,)


def test_a_judge_leaves_the_global_generator_alone(small_vae):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    SentenceLM(small_vae.tokenizer, size="tiny", seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_fluency_is_measured_with_an_outside_lm(outside, small_vae, sentences):
    report = evaluate(small_vae, sentences, num_samples=2, n_prior=8, n_paths=3, lm=outside, reverse=True)
    assert report.text_perplexity == pytest.approx(word_perplexity(OutsideLM(outside).nats(sentences), sentences))
    assert report.sample_ppl_ratio == pytest.approx(report.sample_perplexity / report.text_perplexity)
    assert report.reverse_perplexity > 1 and report.interpolation_ratio > 0


def test_what_the_model_cuts_counts_no_words(small_vae, sentences):
    words = " ".join(sentences * 20).split()
    long = [" ".join(words[start:]) for start in range(4)]
    few = {"num_samples": 2, "n_prior": 4, "n_paths": 2}
    report, longer = (evaluate(small_vae, texts, **few) for texts in (long, [f"{text} and so on" for text in long]))
    assert report.nll == longer.nll and report.word_perplexity == longer.word_perplexity


def test_word_perplexity_counts_words_and_ends():
    assert word_perplexity(np.array([5 * math.log(7)]), ["one two three four"]) == pytest.approx(7)


# Geometry


def test_the_prior_itself_fits_the_prior():
    draws = torch.randn(4000, 6, generator=torch.Generator().manual_seed(3))
    measured = measure_geometry(DiagonalGaussian(draws, torch.full_like(draws, -9)))
    assert measured["dim_means"] == pytest.approx(draws.mean(0).tolist(), abs=1e-4)
    assert measured["dim_variances"] == pytest.approx(draws.var(0).tolist(), abs=1e-3)
    assert measured["largest_mean"] < 0.1 and 0.9 < measured["smallest_variance"] <= measured["largest_variance"] < 1.1
    assert abs(measured["mmd"]) < 0.01 and measured["effective_dims"] == pytest.approx(6, rel=0.01)


@pytest.mark.parametrize("move", [lambda z: z + 1, lambda z: z / 3, lambda z: z.abs()])
def test_what_is_off_the_prior_shows(move):
    draws = torch.randn(2000, 6, generator=torch.Generator().manual_seed(3))
    moved = measure_geometry(DiagonalGaussian(move(draws), torch.full_like(draws, -9)))
    assert moved["mmd"] > 0.05
    assert moved["largest_mean"] > 0.5 or moved["largest_variance"] < 0.5


def test_effective_dims_counts_the_directions_that_vary():
    draws = torch.randn(2000, 1) * torch.ones(1, 8)
    assert measure_geometry(DiagonalGaussian(draws, torch.zeros_like(draws)))["effective_dims"] == pytest.approx(1)


def test_the_mmd_of_halves_of_one_sample_is_unbiased():
    values = []
    for seed in range(30):
        a, b = torch.randn(2, 100, 3, generator=torch.Generator().manual_seed(seed))
        values.append(squared_mmd(a, b).item())
    assert abs(np.mean(values)) < 3 * np.std(values) / 30**0.5
    assert min(values) < 0


def test_a_detour_makes_a_path_less_smooth():
    assert smoothness(["a b", "x y", "a b", "a c"]) == pytest.approx(0.5 / 2.5)
    assert smoothness(["a", "a"]) == 1


def test_neighbours_are_pairs_of_different_texts():
    pairs = neighbours(3, 500, seed=0)
    assert (pairs[:, 0] != pairs[:, 1]).all() and set(pairs.ravel().tolist()) == {0, 1, 2}


# Disentanglement

SIZE = 3000


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).integers([2, 3, 4], size=(SIZE, 3))


def aligned(factors):
    """One dimension for each factor, and one of noise."""
    noise = np.random.default_rng(1).normal(size=(SIZE, 4))
    return np.hstack([factors, np.zeros((SIZE, 1))]) * 10 + noise


def rotated(factors):
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    return aligned(factors) @ turn


def noise(factors):
    return np.random.default_rng(3).normal(size=(SIZE, 4))


@pytest.mark.parametrize(("latents", "low", "high"), [(aligned, 0.9, 1), (rotated, 0, 0.6), (noise, 0, 0.05)])
def test_mig_is_high_where_one_dimension_holds_each_factor(factors, latents, low, high):
    score = mutual_information_gap(latents(factors), factors)
    assert low <= score.mean <= high and score.std < 0.1
    assert mutual_information_gap(latents(factors), factors) == score


def test_information_is_that_of_a_table():
    latents = np.array([[0.0], [0.0], [1.0], [1.0]])
    values, entropies = disentanglement.information(latents, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    np.testing.assert_allclose(values, [[math.log(2), 0]], atol=1e-12)
    np.testing.assert_allclose(entropies, math.log(2))


def test_dci_tells_aligned_from_rotated_and_noise(factors):
    pytest.importorskip("sklearn")
    good, turned, empty = (dci(make(factors), factors) for make in (aligned, rotated, noise))
    assert good.disentanglement > 0.85 and good.completeness > 0.85 and good.informativeness > 0.99
    assert turned.disentanglement < 0.7 and turned.informativeness > 0.9
    assert empty.informativeness < 0.5


@pytest.mark.parametrize("measure", [z_diff, z_min_var])
def test_votes_find_the_shared_factor(factors, measure):
    pytest.importorskip("sklearn")
    assert measure(aligned(factors), factors).mean > 0.95
    assert measure(noise(factors), factors).mean < 0.55


def test_texts_whose_factor_is_unknown_are_left_out_for_that_factor(factors):
    """Latents that would spoil the scores belong to texts whose factors are unknown."""
    pytest.importorskip("sklearn")
    latents, known = aligned(factors), factors.copy()
    spoiled = np.arange(len(factors)) % 3 == 0
    latents[spoiled], known[spoiled] = noise(factors)[spoiled], -1
    assert mutual_information_gap(latents, known).mean > 0.8
    assert mutual_information_gap(latents, factors).mean < 0.6
    assert dci(latents, known).informativeness > 0.99
    assert z_diff(latents, known).mean > 0.95 and z_min_var(latents, known).mean > 0.95
    latents[spoiled] *= 1e4  # a single one would drown a batch
    assert z_diff(latents, known).mean > 0.95


def test_factors_that_tell_nothing_are_refused(factors):
    latents = aligned(factors)
    for column in (np.full(SIZE, -1), np.zeros(SIZE, int), np.where(np.arange(SIZE) < 5, 2, -1)):
        with pytest.raises(ValueError, match="factor 1 has fewer than 2 different known values"):
            mutual_information_gap(latents, np.stack([factors[:, 0], column], 1))
    with pytest.raises(ValueError, match="factors must be integers, got <U4: convert values with `codes`"):
        mutual_information_gap(latents, np.full((SIZE, 1), "past"))


def test_one_factor_is_scored_without_the_votes_that_need_two(factors):
    pytest.importorskip("sklearn")
    scores = disentanglement_scores(aligned(factors), factors[:, :1])
    assert scores["mig"] > 0.9 and scores["dci_informativeness"] > 0.99 and "z_diff" not in scores


@pytest.mark.parametrize("measure", [mutual_information_gap, z_min_var])
@pytest.mark.parametrize("latents", [np.zeros((3, 2)), np.zeros(4), np.full((4, 2), np.nan)])
def test_latents_that_do_not_fit_the_factors_are_refused(measure, latents):
    with pytest.raises(ValueError, match="latents"):
        measure(latents, np.zeros((4, 1), int))


def test_the_samples_have_the_guidance_asked_for(small_vae, sentences):
    with pytest.raises(ValueError, match="guidance must be 1 for a model trained without latent dropout, got 0.5"):
        evaluate(small_vae, sentences, num_samples=1, n_prior=2, n_paths=1, guidance=0.5)
