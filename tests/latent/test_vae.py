import copy
import doctest
import json
import math
import shutil

import numpy as np
import pytest
import torch
from conftest import flip_a_bit
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, BertModel

from textvae import Attribute, TextVAE, evaluate
from textvae.latent import geometry
from textvae.modeling import TextVAEConfig
from textvae.modeling.gaussian import DiagonalGaussian
from textvae.modeling.likelihood import reconstruction_nats
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest

ODD_TEXTS = [
    "",
    " ",
    "nul\0inside",
    "a fox \U0001f98a",
    "مرحبا بالعالم",
    "שלום",
    "half an emoji \ud83d",
    "x" * 1_000_000,
]


# Text to latents


def test_a_string_gives_one_vector_and_a_list_one_row_each(small_vae, sentences):
    one, several, none = small_vae.encode(sentences[0]), small_vae.encode(sentences), small_vae.encode([])
    assert one.shape == (32,) and several.shape == (8, 32) and none.shape == (0, 32)
    assert one.dtype == several.dtype == none.dtype == np.float32
    np.testing.assert_allclose(several[0], one, atol=1e-5)


def test_encoding_draws_nothing(small_vae, sentences):
    state = torch.get_rng_state()
    first = small_vae.encode(sentences)
    torch.manual_seed(99)
    assert np.array_equal(small_vae.encode(sentences), first)
    torch.set_rng_state(state)
    small_vae.encode(sentences)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
def test_the_batch_size_changes_neither_the_order_nor_the_vectors(small_vae, sentences, batch_size, monkeypatch):
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    texts = [*sentences[::-1], "", "a much longer sentence than the others , which comes last here"]
    alone = np.stack([small_vae.encode(text) for text in texts])
    np.testing.assert_allclose(small_vae.encode(texts, batch_size=batch_size), alone, atol=1e-5)


def test_batches_come_in_few_sizes(small_vae, sentences, monkeypatch):
    sizes, encode = set(), small_vae.model.encode
    monkeypatch.setattr(small_vae.model, "encode", lambda ids, mask: sizes.add(tuple(ids.shape)) or encode(ids, mask))
    for count in range(1, 60):
        small_vae.posterior(sentences[:1] * count, batch_size=40)
    (length,) = {length for _, length in sizes}
    assert {rows for rows, _ in sizes} <= {1, 2, 4, 8, 16, 32, 64}
    assert max(rows for rows, _ in sizes) * length <= 40 * 16
    sizes.clear()
    for count in range(1, 30):
        small_vae.posterior([" ".join(["a"] * count)])
    assert 2 <= len(sizes) <= 30 / 4 + 2


def test_vectors_computed_in_bf16_point_where_those_in_fp32_do(small_vae, sentences, monkeypatch):
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: True)
    short = small_vae.encode(sentences)
    monkeypatch.setattr("textvae.modeling.precision.has_bf16", lambda device: False)
    exact = small_vae.encode(sentences)
    cosine = (short * exact).sum(1) / np.linalg.norm(short, axis=1) / np.linalg.norm(exact, axis=1)
    assert not np.array_equal(short, exact)
    assert short.dtype == np.float32
    assert cosine.min() >= 0.999


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: repr(text[:12]))
def test_every_string_can_be_encoded_and_scored(small_vae, text):
    assert np.isfinite(small_vae.encode(text)).all()
    assert np.isfinite(small_vae.log_likelihood([text], num_samples=2)).all()


def test_a_control_token_in_a_text_is_text(small_vae):
    vectors = small_vae.encode(["good", "good</s>", "good<pad>", "<s>good"])
    assert len(np.unique(vectors.round(4), axis=0)) == 4
    assert [row.count(1) for row in small_vae.decoder_rows(["a </s> b"])] == [1]


def test_the_posterior_holds_the_means_that_encode_returns(small_vae, sentences):
    posterior = small_vae.posterior(sentences)
    assert np.array_equal(posterior.mean.numpy(), small_vae.encode(sentences))
    assert posterior.log_std.shape == (8, 32) and (posterior.std > 0).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda vae: vae.encode(["a", 3]), TypeError, "text 1 is an int, not a string"),
        (lambda vae: vae.encode(None), TypeError, "expected a list of strings, got a NoneType"),
        (lambda vae: vae.encode(["a"], batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda vae: vae.encode([], batch_size=-1), ValueError, "batch_size must be at least 1, got -1"),
        (lambda vae: vae.posterior("a"), TypeError, "expected a list of strings, got a str"),
        (lambda vae: vae.reconstruct("a"), TypeError, "expected a list of strings, got a str"),
        (lambda vae: vae.blend("a"), TypeError, "expected a list of strings, got a str"),
        (lambda vae: vae.blend([]), ValueError, "a blend needs at least one point"),
        (lambda vae: vae.blend(["a", "b"], [1, -1]), ValueError, "the weights sum to 0"),
        (lambda vae: vae.sample(0), ValueError, "n must be at least 1, got 0"),
        (lambda vae: vae.vary("a", 0), ValueError, "n must be at least 1, got 0"),
        (lambda vae: vae.vary("a", 1, spread=-0.5), ValueError, "spread must not be negative, got -0.5"),
        (lambda vae: vae.interpolate("a", "b", 1), ValueError, "a path needs at least 2 points, got n=1"),
        (lambda vae: vae.interpolate("a", "b", method="x"), ValueError, "unknown interpolation method 'x'"),
        (lambda vae: vae.traverse("a", 32, [0]), ValueError, r"dim must be in 0..31, got 32"),
        (lambda vae: vae.traverse("a", -1, [0]), ValueError, r"dim must be in 0..31, got -1"),
        (lambda vae: vae.log_likelihood(["a"], num_samples=0), ValueError, "num_samples must be at least 1, got 0"),
        (lambda vae: vae.log_likelihood(["a"], batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda vae: vae.log_likelihood("a"), TypeError, "expected a list of strings, got a str"),
        (lambda vae: evaluate(vae, []), ValueError, "evaluation needs at least 2 texts, got none"),
        (lambda vae: evaluate(vae, ["one"]), ValueError, "evaluation needs at least 2 texts, got 1"),
    ],
)
def test_what_cannot_be_done_is_refused(small_vae, call, error, message):
    with pytest.raises(error, match=message):
        call(small_vae)


# Latents to text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must be at least 0, got -1"),
        ({"temperature": math.nan}, "temperature must be at least 0, got nan"),
        ({"top_p": 0}, r"top_p must be in \(0, 1\], got 0"),
        ({"top_p": 1.5}, r"top_p must be in \(0, 1\], got 1.5"),
        ({"top_k": -1}, "top_k must be at least 0, got -1"),
        ({"num_beams": 0}, "num_beams must be at least 1, got 0"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"refinements": -1}, "refinements must not be negative, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"max_length": 1}, "max_length must be at least 2 tokens, got 1"),
        ({"temperature": 1, "num_beams": 2}, r"choose sampling \(temperature\) or beams \(num_beams\), not both"),
        ({"guidance": -0.5}, "guidance must not be negative, got -0.5"),
        ({"guidance": 0.5, "num_beams": 2}, r"choose guidance or beams \(num_beams\), not both"),
        ({"candidates": 3}, r"3 candidates need sampling \(temperature above 0\) or num_beams=3"),
        ({"candidates": 3, "num_beams": 2}, "3 candidates need sampling"),
    ],
)
def test_an_impossible_way_to_decode_is_refused(small_vae, options, message):
    with pytest.raises(ValueError, match=message):
        small_vae.decode(np.zeros((1, 32)), **options)


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (np.zeros((2, 31)), r"latents have shape \(2, 31\), the model needs \(N, 32\)"),
        (np.zeros(31), r"latents have shape \(31,\)"),
        (np.full((1, 32), np.nan), "latents hold a NaN or an infinity"),
        (np.full((1, 32), np.inf), "latents hold a NaN or an infinity"),
    ],
)
def test_what_is_no_latent_is_refused(small_vae, latents, message):
    with pytest.raises(ValueError, match=message):
        small_vae.decode(latents)


def test_no_latents_give_no_texts(small_vae):
    assert small_vae.decode(np.empty((0, 32))) == small_vae.reconstruct([]) == small_vae.traverse("a", 0, []) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda vae, seed: vae.sample(6, seed=seed),
        lambda vae, seed: vae.sample(6, temperature=1.0, top_p=0.9, seed=seed),
        lambda vae, seed: vae.vary("the soup was hot", 4, spread=2.0, temperature=1.0, seed=seed),
        lambda vae, seed: vae.decode(np.zeros((4, 32)), temperature=1.0, top_k=50, seed=seed),
        lambda vae, seed: vae.decode(np.zeros((2, 32)), temperature=1.0, candidates=3, seed=seed),
        lambda vae, seed: vae.decode(np.zeros((2, 32)), temperature=1.0, candidates=2, refinements=2, seed=seed),
        lambda vae, seed: vae.log_likelihood(["a", "b"], num_samples=3, seed=seed).tolist(),
    ],
    ids=["sample", "sample hot", "vary", "decode", "candidates", "refinements", "log_likelihood"],
)
def test_a_seed_decides_the_result_and_leaves_the_global_state(small_vae, write):
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert write(small_vae, 7) == write(small_vae, 7) != write(small_vae, 8)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


def test_without_a_seed_every_draw_is_fresh(small_vae):
    draws = {tuple(small_vae.sample(4, temperature=1.0)) for _ in range(3)}
    assert len(draws) == 3


def test_the_batch_size_does_not_change_what_is_written(small_vae):
    latents = np.random.default_rng(0).normal(size=(5, 32))
    assert small_vae.decode(latents, batch_size=2) == small_vae.decode(latents)


def test_a_text_stays_within_the_length_asked_for(small_vae):
    latents = np.random.default_rng(0).normal(size=(5, 32))
    long, short = small_vae.decode(latents), small_vae.decode(latents, max_length=4)
    assert all(a.startswith(b) and len(b) < len(a) for a, b in zip(long, short, strict=True))


def test_a_text_longer_than_the_decoder_has_positions_for_is_refused(small_vae, sentences):
    transformer = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, decoder="transformer"))
    longest = transformer.model.config.longest_text
    latents = np.zeros((1, transformer.dim))
    assert transformer.decode(latents, max_length=longest)
    with pytest.raises(ValueError, match=f"max_length must be at most {longest}, .*, got {longest + 1}"):
        transformer.decode(latents, max_length=longest + 1)
    assert small_vae.model.config.longest_text is None  # a GRU goes on for ever


def test_the_candidate_whose_mean_is_nearest_wins(small_vae, sentences):
    latents = small_vae.encode(sentences[:2])
    options = {"temperature": 1.5, "seed": 3}
    sampled = small_vae.decode(np.repeat(latents, 4, 0), **options)  # the same draws, one by one
    greedy = small_vae.decode(latents)
    written = [text for i, first in enumerate(greedy) for text in (first, *sampled[4 * i : 4 * i + 4])]
    distances = np.linalg.norm(small_vae.encode(written) - np.repeat(latents, 5, 0), axis=1).reshape(2, 5)
    expected = [written[5 * i + int(j)] for i, j in enumerate(distances.argmin(1))]
    assert small_vae.decode(latents, candidates=4, **options) == expected
    assert set(distances.argmin(1)) != {0}


def test_the_best_of_several_beams_is_the_best_by_distance(small_vae, sentences):
    latents = small_vae.encode(sentences[:2])
    one, several = small_vae.decode(latents, num_beams=3), small_vae.decode(latents, num_beams=3, candidates=3)
    distance = [np.linalg.norm(small_vae.encode(texts) - latents, axis=1) for texts in (one, several)]
    assert (distance[1] <= distance[0] + 1e-6).all()


@pytest.fixture
def echo(small_vae, monkeypatch):
    """A model whose texts are numbers: it reads a number as 0.8 of itself and writes the nearest whole one."""
    aims = []

    def write(points, options, **_):
        aims.append(points[:, 0].tolist())
        return points[:, :1].round().long()

    def encode(texts, **options):
        means = np.zeros((len(texts), small_vae.dim), np.float32)
        means[:, 0] = [0.8 * int(text) for text in texts]
        return means

    monkeypatch.setattr(small_vae.model, "write", write)
    monkeypatch.setattr(small_vae, "encode", encode)
    monkeypatch.setattr("textvae.latent.codec.to_texts", lambda tokenizer, ids: [str(row[0]) for row in ids])
    small_vae.aims = aims
    return small_vae


def test_a_refinement_aims_beyond_what_was_missed(echo):
    latents = np.zeros((2, echo.dim), np.float32)
    latents[:, 0] = 10, 0
    assert echo.decode(latents, refinements=4) == ["12", "0"]  # reads as 9.6; 13 would be 10.4, as near but later
    first, *others = echo.aims
    assert first == [10, 0]
    assert np.allclose(others, [[10.6], [10.96], [11.32], [11.68]])  # 0.3 of the miss each time; 0 has arrived


def test_the_nearest_text_of_all_rounds_is_returned(echo):
    latents = np.zeros((1, echo.dim), np.float32)
    latents[:, 0] = 10
    rounds = [echo.decode(latents, refinements=n)[0] for n in range(12)]
    misses = [abs(0.8 * int(text) - 10) for text in rounds]
    assert misses == sorted(misses, reverse=True)
    assert misses[0] == 2 and misses[-1] < 0.5


def test_refined_texts_are_no_farther_than_plain_ones(small_vae, sentences):
    latents = small_vae.encode(sentences)
    plain, refined = small_vae.reconstruct(sentences), small_vae.reconstruct(sentences, refinements=3)
    of_plain, of_refined = (np.linalg.norm(small_vae.encode(texts) - latents, axis=1) for texts in (plain, refined))
    assert (of_refined <= of_plain + 1e-5).all()
    assert refined != plain
    prefixes = ["the soup"] * len(sentences)
    assert all(text.startswith("the soup") for text in small_vae.decode(latents, prefixes=prefixes, refinements=2))


# Moving: the methods against the latents that they stand for


@pytest.mark.parametrize("method", ["slerp", "linear"])
def test_an_interpolation_ends_in_the_reconstructions(small_vae, sentences, method):
    path = small_vae.interpolate(sentences[0], sentences[3], 4, method=method)
    assert len(path) == 4
    assert [path[0], path[-1]] == small_vae.reconstruct([sentences[0], sentences[3]])


def test_a_traversal_sets_one_dimension(watched, sentences):
    vae, decoded = watched
    assert len(vae.traverse(sentences[0], 5, [-2, 0.5, 3])) == 3
    expected = np.repeat(vae.encode(sentences[0])[None], 3, 0)
    expected[:, 5] = [-2, 0.5, 3]
    np.testing.assert_allclose(decoded[0], expected, atol=1e-6)


def test_an_analogy_adds_the_difference(watched, sentences):
    vae, decoded = watched
    a, b, c = vae.encode(sentences[:3])
    vae.analogy(*sentences[:3], scale=1.5)
    np.testing.assert_allclose(decoded[0], [c + 1.5 * (b - a)], atol=1e-5)


def test_an_analogy_of_nothing_is_the_reconstruction(small_vae, sentences):
    a, c = sentences[:2]
    assert [small_vae.analogy(a, a, c), small_vae.analogy(a, c, c, scale=0)] == small_vae.reconstruct([c, c])


@pytest.mark.parametrize("weights", [None, [2, 1, 1]])
def test_a_blend_decodes_the_weighted_mean(watched, sentences, weights):
    vae, decoded = watched
    vae.blend(sentences[:3], weights)
    np.testing.assert_allclose(decoded[0], [np.average(vae.encode(sentences[:3]), 0, weights)], atol=1e-5)


def test_variations_without_spread_are_the_reconstruction(small_vae, sentences):
    assert small_vae.vary(sentences[0], 3, spread=0) == small_vae.reconstruct(sentences[:1]) * 3


def test_variations_lie_around_the_sentence_as_wide_as_asked(watched, sentences):
    vae, decoded = watched
    posterior = vae.posterior(sentences[:1])
    vae.vary(sentences[0], 800, spread=2.0, seed=0)
    width = np.sqrt(posterior.std.numpy() ** 2 + 1.0)
    z_scores = (decoded[0] - posterior.mean.numpy()) / width
    assert np.abs(z_scores.mean(0)).max() < 5 / math.sqrt(800)
    np.testing.assert_allclose(z_scores.std(0), 1, atol=0.15)


def test_samples_come_from_the_prior(watched):
    vae, decoded = watched
    vae.sample(400, seed=0)
    assert abs(decoded[0].mean()) < 0.03 and abs(decoded[0].std() - 1) < 0.03


# Likelihood


def test_one_importance_sample_is_the_direct_estimate(small_vae, sentences):
    texts, posterior = sentences[:3], small_vae.posterior(sentences[:3])
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(4)).tolist()
    for i, text in enumerate(texts):
        one = posterior[i : i + 1]
        latents = one.sample(generator=torch.Generator().manual_seed(seeds[i]))
        ids = torch.tensor(small_vae.decoder_rows([text]))
        with torch.no_grad():
            likelihood = -reconstruction_nats(small_vae.model.decode(latents, ids), ids)
        expected = likelihood + DiagonalGaussian.standard(32).log_prob(latents) - one.log_prob(latents)
        # bf16 arithmetic, where the processor has it, costs a fraction of a nat.
        estimate = small_vae.log_likelihood(texts, num_samples=1, seed=4)[i]
        assert estimate == pytest.approx(expected.item(), rel=5e-3)


def test_more_importance_samples_tighten_the_bound_on_average(small_vae, sentences):
    few, many = (
        np.mean([small_vae.log_likelihood(sentences[:3], num_samples=k, seed=seed).mean() for seed in range(200 // k)])
        for k in (2, 50)
    )
    assert few < many - 0.5


def test_the_likelihood_does_not_depend_on_the_batch(small_vae, sentences):
    whole = small_vae.log_likelihood(sentences[:3], num_samples=10)
    parts = small_vae.log_likelihood(sentences[:3], num_samples=10, batch_size=3)
    np.testing.assert_allclose(parts, whole, rtol=1e-3)
    assert small_vae.log_likelihood([]).shape == (0,)


def test_the_reconstruction_does_not_depend_on_the_batch(small_vae, sentences):
    latents = small_vae.encode(sentences)
    whole = small_vae.nats(sentences, latents)
    np.testing.assert_allclose(small_vae.nats(sentences, latents, batch_size=3), whole, rtol=1e-3)
    alone = [small_vae.nats([text], latent[None])[0] for text, latent in zip(sentences, latents, strict=True)]
    np.testing.assert_allclose(whole, alone, rtol=1e-2)  # of a batch, bf16 rounds other sums
    assert not np.allclose(small_vae.nats(sentences, latents + 1), whole)
    with pytest.raises(ValueError, match="2 texts need as many latents, got 1"):
        small_vae.nats(sentences[:2], latents[:1])


# Making, saving and loading


def test_from_texts_leaves_its_config_and_the_global_state_alone(sentences):
    config, state = TextVAEConfig.preset("tiny", vocab_size=320), torch.get_rng_state()
    vae = TextVAE.from_texts(sentences[:2], config)
    assert torch.equal(torch.get_rng_state(), state)
    assert config.encoder.vocab_size == config.decoder.vocab_size == 320
    assert vae.model.config.decoder.vocab_size == len(vae.tokenizer) < 320


def test_the_seed_decides_the_weights(small_vae, other_vae, sentences):
    again = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24))
    assert again.fingerprint == small_vae.fingerprint != other_vae.fingerprint
    assert len(small_vae.fingerprint) == 16 and int(small_vae.fingerprint, 16)


@pytest.mark.parametrize(
    "name", ["encoder.mean.bias", "encoder.backbone.embeddings.LayerNorm.weight", "decoder.gru.bias_hh_l0"]
)
def test_the_fingerprint_covers_every_weight(sentences, small_vae, name):
    changed = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320, max_length=24))
    with torch.no_grad():
        changed.model.get_parameter(name)[-1] += 1e-3
    assert changed.fingerprint != small_vae.fingerprint


def test_a_saved_model_is_the_same(small_vae, run, sentences):
    loaded = TextVAE.from_pretrained(run, device="cpu")
    assert loaded.fingerprint == small_vae.fingerprint and loaded.dim == 32 and loaded.path == run.resolve()
    assert np.array_equal(loaded.encode(sentences), small_vae.encode(sentences))
    assert loaded.sample(4, temperature=1.0, seed=0) == small_vae.sample(4, temperature=1.0, seed=0)
    assert not loaded.model.training


def test_saving_again_replaces_the_run(run, other_vae):
    other_vae.save_pretrained(run)
    assert TextVAE.from_pretrained(run).fingerprint == other_vae.fingerprint
    assert {f.name for f in run.parent.iterdir()} == {"run"}


def test_a_run_holds_no_pickle(run):
    assert {f.suffix for f in run.rglob("*") if f.is_file()} == {".json", ".safetensors"}


def rewrite_manifest(run):
    (run / "manifest.json").unlink()
    write_manifest(run)


def poison(run):
    weights = load_file(run / "model.safetensors")
    weights["encoder.mean.weight"][3, 4] = math.nan
    save_file(weights, run / "model.safetensors", metadata={"format": "pt"})
    rewrite_manifest(run)


def truncate(run):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def save_bert(run):
    shutil.rmtree(run)
    tiny = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(**tiny, intermediate_size=8)).save_pretrained(run)


def keep_the_config_only(run):
    for file in run.iterdir():
        if file.name != "config.json":
            file.unlink()


def save_an_attribute(run):
    shutil.rmtree(run)
    ones = np.ones(2, np.float32)
    Attribute(name="x", weights=ones, midpoint=ones, direction=ones, word_weights=ones, fingerprint="0" * 16).save(run)


def replace_by_a_file(run):
    shutil.rmtree(run)
    run.write_text("not a folder")


def add_field(run):
    config = json.loads((run / "config.json").read_text()) | {"latent_dimm": 4}
    (run / "config.json").write_text(json.dumps(config))
    rewrite_manifest(run)


def spoil_config(run):
    (run / "config.json").write_text("{")
    rewrite_manifest(run)


DAMAGE = {
    "gone": (shutil.rmtree, FileNotFoundError, "there is no run at"),
    "a file": (replace_by_a_file, ValueError, "is a file, not a run folder"),
    "empty": (lambda run: [f.unlink() for f in run.iterdir()], ValueError, "not a run folder: it has no config.json"),
    "an attribute": (save_an_attribute, ValueError, "is not a run folder: it has no config.json"),
    "another model": (save_bert, ValueError, "holds a model of another kind, not a run of textvae"),
    "untrained": (keep_the_config_only, ValueError, "holds no trained model yet: finish its training with --resume"),
    "misspelt": (add_field, ValueError, "unknown TextVAEConfig field 'latent_dimm'"),
    "no JSON": (spoil_config, CorruptFileError, "config.json is not valid JSON"),
    "truncated": (truncate, CorruptFileError, "model.safetensors does not match its checksum"),
    "flipped": (lambda run: flip_a_bit(run / "model.safetensors"), CorruptFileError, "does not match its checksum"),
    "no weights": (lambda run: (run / "model.safetensors").unlink(), CorruptFileError, "model.safetensors is missing"),
    "NaN": (poison, CorruptFileError, "holds weights that are not finite"),
    "truncated, no manifest": (
        lambda run: [truncate(run), (run / "manifest.json").unlink()],
        CorruptFileError,
        "the weights in .* are damaged",
    ),
}


@pytest.mark.parametrize(("damage", "error", "message"), DAMAGE.values(), ids=DAMAGE)
def test_what_is_no_whole_run_is_refused(run, damage, error, message):
    damage(run)
    with pytest.raises(error, match=message):
        TextVAE.from_pretrained(run)


def test_running_statistics_that_are_not_finite_are_refused(sentences, tmp_path):
    config = TextVAEConfig.preset("tiny", vocab_size=320, batch_norm_gamma=0.5)
    vae = TextVAE.from_texts(sentences, config)
    vae.model.encoder.batch_norm.running_mean[0] = math.inf
    vae.save_pretrained(tmp_path / "run")
    with pytest.raises(CorruptFileError, match="holds weights that are not finite"):
        TextVAE.from_pretrained(tmp_path / "run")


@pytest.mark.parametrize(("part", "answer"), [
    ("encoder", lambda vae, texts: vae.encode(texts)), ("encoder", lambda vae, texts: vae.read(texts)),
    ("decoder", lambda vae, texts: vae.nats(texts, np.zeros((len(texts), vae.dim)))),
    ("decoder", lambda vae, texts: vae.log_likelihood(texts, num_samples=2)),
])  # fmt: skip
def test_weights_too_large_to_compute_with_are_damage(sentences, part, answer):
    """They are finite themselves, and loading tries two tokens only."""
    vae = TextVAE.from_texts(sentences, TextVAEConfig.preset("tiny", vocab_size=320))
    with torch.no_grad():
        for weight in getattr(vae.model, part).parameters():
            weight.fill_(3e38)
    with pytest.raises(CorruptFileError, match="that are not finite: its weights are damaged"):
        answer(vae, ["the soup was cold", "a"])


def test_texts_begin_with_their_prefixes(small_vae, sentences):
    latents = small_vae.encode(sentences)
    prefixes = ["the soup", "", "I", "the room was", "a", "b", "", "zzz"]
    for temperature in (0.0, 1.0):
        written = small_vae.decode(latents, prefixes=prefixes, temperature=temperature, seed=1)
        assert all(text.startswith(prefix) for text, prefix in zip(written, prefixes, strict=True))
    free = small_vae.decode(latents)
    assert small_vae.decode(latents, prefixes=[""] * 8) == free
    assert small_vae.decode(latents, prefixes=prefixes)[1] == free[1]  # it has no prefix, whatever the others have
    several = small_vae.decode(latents, prefixes=prefixes, temperature=1, candidates=2, seed=0)
    assert all(text.startswith(prefix) for text, prefix in zip(several, prefixes, strict=True))
    with pytest.raises(ValueError, match="8 latents need as many prefixes, got 1"):
        small_vae.decode(latents, prefixes=["a"])
    with pytest.raises(ValueError, match="choose prefixes or beams"):
        small_vae.decode(latents, prefixes=prefixes, num_beams=2)


def test_the_examples_run(small_vae):
    from textvae.latent import vae as text_vae

    assert doctest.testmod(text_vae, extraglobs={"TextVAEConfig": TextVAEConfig}).failed == 0


def test_weights_saved_in_bfloat16_take_half_the_space_and_load_as_float32(small_vae, tmp_path):
    small_vae = copy.copy(small_vae)
    small_vae.save_pretrained(tmp_path / "whole")
    small_vae.save_pretrained(tmp_path / "half", dtype="bfloat16")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.52 * sizes[1]
    loaded = TextVAE.from_pretrained(tmp_path / "half").model.state_dict()
    for name, weight in small_vae.model.state_dict().items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], weight.to(torch.bfloat16).float()), name
    assert json.loads((tmp_path / "half/config.json").read_text())["dtype"] == "float32"
    model = AutoModel.from_pretrained(tmp_path / "half")
    assert model.generate(torch.zeros(2, small_vae.dim)).shape[0] == 2
    with pytest.raises(ValueError, match="dtype must be"):
        small_vae.save_pretrained(tmp_path / "third", dtype="int8")
    assert not (tmp_path / "third").exists()
    assert small_vae.path == (tmp_path / "whole").resolve()  # the rounded weights are another model's


def test_a_run_that_lacks_a_weight_is_refused(small_vae, tmp_path):
    small_vae.save_pretrained(tmp_path / "run")
    weights = load_file(tmp_path / "run/model.safetensors")
    del weights["decoder.skip.weight"]
    save_file(weights, tmp_path / "run/model.safetensors", metadata={"format": "pt"})
    write_manifest(tmp_path / "run")
    with pytest.raises(CorruptFileError, match="lacks the weights decoder.skip.weight"):
        TextVAE.from_pretrained(tmp_path / "run")


@pytest.mark.parametrize(("latent_dropout", "expected"), [(0.0, 1), (0.1, 0.8)])
def test_samples_are_guided_if_the_model_can_write_without_a_latent(small_vae, monkeypatch, latent_dropout, expected):
    asked = []
    monkeypatch.setattr(small_vae.model.config, "latent_dropout", latent_dropout)
    monkeypatch.setattr(TextVAE, "decode", lambda self, latents, **options: asked.append(options["guidance"]))
    small_vae.sample(2, seed=0)
    small_vae.sample(2, seed=0, guidance=0.3)
    assert asked == [expected, 0.3]


def test_positions_between_two_texts_are_those_of_the_path(small_vae, sentences):
    start, end = small_vae.encode(sentences[:2])
    for method in ("slerp", "linear"):
        points = geometry.between(start, end, np.linspace(0, 1, 5), method)
        assert np.allclose(points, geometry.path(start, end, 5, method), atol=1e-5)
        at = small_vae.interpolate(*sentences[:2], at=[0.25, 0.75], method=method)
        assert at == small_vae.decode(points[[1, 3]])
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        small_vae.interpolate(*sentences[:2], at=[1.5])
