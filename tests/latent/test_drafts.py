"""Texts from meanings alone: the guard against repetition, drafts and their choice, vectors from elsewhere."""

import numpy as np
import pytest
import torch
from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from textvae import Decoding, TextVAE
from textvae.latent.decoding import GUARD, GUARD_OF_COVERAGE
from textvae.latent.drafts import Drafts, choose, closeness, same_words
from textvae.latent.latents import on_sphere
from textvae.latent.naturalness import Naturalness
from textvae.modeling import TextVAEConfig
from textvae.modeling.sampling import discourage_repetition


@pytest.fixture(scope="module")
def split_vae(sentences):
    """An untrained model with wording slots."""
    split = {"latent_dim": 24, "slot_dim": 16, "unit_mean": True}
    return TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24, **split))


# The guard against repetition


@pytest.mark.parametrize("options", [{"repetition_penalty": 1.4}, {"no_repeat_ngram_size": 2}])
def test_the_guard_is_that_of_generate(small_vae, options):
    latents = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    written = small_vae.model.write(torch.tensor(latents), Decoding(**options))
    generated = small_vae.model.generate(torch.tensor(latents), do_sample=False, **options)
    assert written.tolist() == generated[:, : written.shape[1]].tolist()
    assert written.tolist() != small_vae.model.write(torch.tensor(latents)).tolist()


@pytest.mark.parametrize("length", [1, 2, 5, 9])
@pytest.mark.parametrize("ngram_size", range(5))
def test_logits_are_changed_as_by_the_processors_of_generate(ngram_size, length):
    torch.manual_seed(length)
    logits, written = torch.randn(20, 6), torch.randint(0, 6, (20, length))
    expected = RepetitionPenaltyLogitsProcessor(1.3)(written, logits)
    if ngram_size:
        expected = NoRepeatNGramLogitsProcessor(ngram_size)(written, expected)
    discourage_repetition(logits, written, 1.3, ngram_size)
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)


def test_no_text_repeats_a_forbidden_pair_of_tokens(small_vae):
    latents = torch.randn(6, 32)
    for row in small_vae.model.write(latents, Decoding(no_repeat_ngram_size=2, temperature=1.0)).tolist():
        tokens = [token for token in row if token != small_vae.model.config.pad_token_id]
        pairs = list(zip(tokens, tokens[1:], strict=False))
        assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("coverage", [True, False])
def test_texts_from_meanings_alone_are_guarded_unless_said_otherwise(
    coverage, split_vae, small_vae, sentences, monkeypatch
):
    monkeypatch.setattr(split_vae.model.config.decoder, "coverage", coverage)
    meanings = split_vae.encode(sentences)
    guard = dict(
        zip(("repetition_penalty", "no_repeat_ngram_size"), GUARD_OF_COVERAGE if coverage else GUARD, strict=True)
    )
    off = {"repetition_penalty": 1, "no_repeat_ngram_size": 0}
    plain = split_vae.decode(meanings, **off)
    assert split_vae.decode(meanings) == split_vae.decode(meanings, **guard) != plain
    assert split_vae.decode(meanings, num_beams=2) == split_vae.decode(meanings, num_beams=2, **guard)
    whole = split_vae.read(sentences).mean
    assert split_vae.decode(whole.opened()) == split_vae.decode(whole.opened(), **guard)
    assert split_vae.decode(whole) == split_vae.decode(whole, **off) == split_vae.reconstruct(sentences)
    flat = small_vae.encode(sentences)
    assert small_vae.decode(flat) == small_vae.decode(flat, **off) != small_vae.decode(flat, **guard)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetition_penalty": 0}, "repetition_penalty must be above 0, got 0"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size must not be negative, got -1"),
    ],
)
def test_an_impossible_guard_is_refused(small_vae, options, message):
    with pytest.raises(ValueError, match=message):
        small_vae.decode(np.zeros((1, 32)), **options)


# Vectors from elsewhere


def test_any_kind_of_vector_is_decoded(split_vae, sentences):
    meanings = split_vae.encode(sentences[:2])
    expected = split_vae.decode(meanings)
    tensor = torch.tensor(meanings)
    for vectors in (
        meanings.astype(np.float64) * 1e-9,
        meanings * np.float32(1e25),
        meanings.tolist(),
        tensor.double().requires_grad_(),
        list(tensor),
        tuple(meanings),
    ):
        assert split_vae.decode(vectors) == expected
    assert split_vae.decode(tensor.bfloat16()[0]) == split_vae.decode(tensor.bfloat16().float().numpy()[0])
    assert len(split_vae.decode(np.zeros(24))) == len(split_vae.decode(meanings[0] - meanings[0])) == 1


def test_only_a_zero_vector_does_not_get_the_length_of_a_mean():
    points = np.array([[3.0, 4.0, 7.0], [3e-30, 4e-30, 7.0], [0.0, 0.0, 7.0]], np.float32)
    scaled = on_sphere(points, 2)
    np.testing.assert_allclose(scaled[:2], [[0.6 * 2**0.5, 0.8 * 2**0.5, 7]] * 2, rtol=1e-6)
    assert scaled[2].tolist() == [0, 0, 7]
    assert points[0].tolist() == [3, 4, 7]


# Drafts


def test_each_place_has_its_best_draft_that_is_not_taken():
    drafts = ["a b", "c d", "A b!", "e", "c d", "a b"]
    scores = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 1.0])
    assert choose(drafts, scores, 3) == ["c d", "A b!", "c d"]  # the last place has no other draft
    assert choose(drafts, scores, 3, ["C, d"]) == ["a b", "e", "c d"]
    assert [Drafts(drafts, scores, 2).best(i) for i in range(3)] == ["c d", "A b!", "c d"]
    assert same_words("A b!") == same_words(" a  B") != same_words("ab")
    assert same_words("!") != same_words("?")


def test_closeness_is_the_cosine_or_minus_the_distance(split_vae):
    a, b = np.random.default_rng(0).normal(size=(2, 3, 24)).astype(np.float32)
    cosines = np.diag(split_vae.similarity(a, b).numpy())
    np.testing.assert_allclose(closeness(a, b, True), cosines, atol=1e-6)
    np.testing.assert_allclose(closeness(a, b[0], False), -np.sqrt(np.square(a - b[0]).mean(1)), rtol=1e-5)
    assert closeness(a, np.zeros(24), True).tolist() == [0, 0, 0]


def test_a_blend_is_the_draft_nearest_to_the_centroid(split_vae, sentences):
    middle = np.average(split_vae.encode(sentences[:3]), 0, [2, 1, 1])
    drafts = split_vae.decode(np.repeat(middle[None], 8, 0), temperature=0.5, seed=3)
    tried = [*split_vae.decode(middle), *drafts]
    cosines = split_vae.similarity(split_vae.encode(tried), middle)[:, 0]
    assert split_vae.blend(sentences[:3], [2, 1, 1], seed=3) == tried[int(cosines.argmax())]
    assert split_vae.blend(sentences[:3], [2, 1, 1], drafts=1) == tried[0]


def test_without_a_seed_a_blend_is_the_nearest_of_a_beam_search(split_vae, sentences):
    middle = np.average(split_vae.encode(sentences[:3]), 0, [2, 1, 1])[None]
    for drafts, given in ((8, {}), (2, {"drafts": 2})):
        expected = split_vae.decode(middle, num_beams=drafts, candidates=drafts)
        assert [split_vae.blend(sentences[:3], [2, 1, 1], **given)] == expected
    assert split_vae.blend(sentences[:3], drafts=2, refinements=1)


@pytest.mark.parametrize("seed", [None, 0])
def test_a_path_repeats_no_text_where_another_draft_is_left(split_vae, sentences, seed):
    path = split_vae.interpolate(sentences[0], sentences[1], 6, drafts=6, seed=seed)
    assert len({same_words(text) for text in path}) == 6
    assert split_vae.interpolate(sentences[0], sentences[1], 6, drafts=6, seed=seed) == path


def test_variations_repeat_neither_the_sentence_nor_each_other(split_vae, sentences):
    written = split_vae.vary(sentences[0], 4, drafts=6, temperature=1.0, seed=0)
    assert len({same_words(text) for text in [sentences[0], *written]}) == 5
    assert split_vae.vary(sentences[0], 4, drafts=6, temperature=1.0, seed=0) == written
    with pytest.raises(ValueError, match="drafts must be at least 1, got 0"):
        split_vae.vary(sentences[0], 1, drafts=0)


def test_where_the_sentence_comes_back_variations_are_drawn_from_further_away(split_vae, sentences, monkeypatch):
    calls = []

    def decode(latents, **options):
        calls.append(len(latents))
        return [sentences[0]] * len(latents) if len(calls) == 1 else [f"{i} words" for i in range(len(latents))]

    monkeypatch.setattr(split_vae, "decode", decode)
    assert len(set(split_vae.vary(sentences[0], 3, seed=0)) - {sentences[0]}) == 3
    assert calls == [12, 12]
    assert split_vae.vary(sentences[0], 3, wording=0.5, seed=0) and len(calls) == 3  # a dial that was set is kept


def test_texts_that_come_one_by_one_are_those_that_come_together(split_vae, small_vae, sentences, monkeypatch):
    options = {"wording": None, "temperature": 0, "distinct": True, "exact": 0, "seed": 3}
    for vae, n, spread, drafts in ((split_vae, 12, 1, None), (split_vae, 3, 0, 2), (small_vae, 40, 2, 1)):
        expected = vae.vary(sentences[0], n, spread=spread, drafts=drafts, seed=3)
        assert list(vae.iter_vary(sentences[0], n, spread=spread, drafts=drafts, **options)) == expected
    path = {"at": None, "method": "slerp", "exact": None, "drafts": 1, "seed": 0}
    expected = split_vae.interpolate(*sentences[:2], 12, drafts=1)
    written, calls, decode = split_vae.iter_interpolate(*sentences[:2], 12, **path), [], split_vae.decode
    monkeypatch.setattr(split_vae, "decode", lambda *given, **options: calls.append(0) or decode(*given, **options))
    assert [next(written), next(written)] == expected[:2]
    assert len(calls) == 2  # the ends, and the first text between
    assert list(written) == expected[2:]


def test_variations_are_the_nearest_of_their_drafts(split_vae, sentences):
    source = split_vae.encode(sentences[0])
    options = {"temperature": 1.0, "seed": 0}
    every = split_vae.vary(sentences[0], 12, drafts=1, **options)
    scores = split_vae.similarity(split_vae.encode(every), source)[:, 0].numpy()
    chosen = split_vae.vary(sentences[0], 3, drafts=4, distinct=False, **options)
    assert chosen == [every[4 * i + int(scores[4 * i : 4 * i + 4].argmax())] for i in range(3)]


def test_samples_are_the_most_natural_of_their_drafts(sentences):
    split = {"latent_dim": 24, "slot_dim": 16, "unit_mean": True, "latent_dropout": 0.1}
    vae = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24, **split))
    vae.fit_prior(sentences)
    every = vae.sample(12, drafts=1, temperature=1.0, seed=0)
    scores = Naturalness(vae, contexts=every)(every).reshape(3, 4)
    assert vae.sample(3, temperature=1.0, seed=0) == [every[4 * i + int(scores[i].argmax())] for i in range(3)]
    with pytest.raises(ValueError, match="n times drafts must be at most 100,000"):
        vae.sample(50_000)


def test_models_without_slots_or_latent_dropout_write_one_draft(split_vae, small_vae):
    for vae in (split_vae, small_vae):
        assert vae.sample(3, seed=0) == vae.sample(3, drafts=1, seed=0)
    with pytest.raises(ValueError, match="drafts must be at least 1, got 0"):
        small_vae.sample(3, drafts=0)


def test_the_points_between_two_ends_repeat_nothing(split_vae, sentences):
    path = split_vae.interpolate(sentences[0], sentences[1], 5, drafts=12)
    assert len({same_words(text) for text in path}) == 5
    ends = split_vae.reconstruct(sentences[:2], exact=50)
    assert [path[0], path[-1]] == ends
    plain = split_vae.interpolate(sentences[0], sentences[1], 5, drafts=1, exact=0)
    assert [plain[0], plain[-1]] == split_vae.reconstruct(sentences[:2])
