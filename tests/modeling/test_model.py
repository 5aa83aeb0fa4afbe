import json
from itertools import pairwise

import pytest
import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from overfitting import learn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, BertConfig, GPT2Config

from textvae import TextVAE
from textvae.modeling import LatentDecoder, TextVAEConfig, TextVAEModel, sampling
from textvae.modeling.config import GRUDecoderConfig
from textvae.modeling.decoders import causal_lm
from textvae.modeling.likelihood import IGNORED, reconstruction_nats
from textvae.modeling.objectives.elbo import free_bits
from textvae.modeling.sampling import Decoding, draw
from textvae.text.tokenizers import pad

BOS, EOS, PAD, VOCABULARY, MAX_LENGTH = 0, 1, 2, 90, 20


def config(kind, **fields):
    if kind in ("gru", "transformer"):
        chosen = {"max_length": MAX_LENGTH} | fields
        return TextVAEConfig.preset("tiny", vocab_size=VOCABULARY, decoder=kind, **chosen)
    tiny = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    decoders = {
        "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32, **dropout),
        "two-layer gru": GRUDecoderConfig(
            vocab_size=VOCABULARY, hidden_size=12, gru_hidden_size=16, num_hidden_layers=2
        ),
    }
    encoder = BertConfig(
        **tiny, intermediate_size=32, pad_token_id=PAD, hidden_dropout_prob=0, attention_probs_dropout_prob=0
    )
    shape = {"latent_dim": 8, "prefix_length": 2, "pooling": "mean", "max_length": MAX_LENGTH}
    return TextVAEConfig(encoder=encoder, decoder=decoders[kind], **(shape | fields))


def build(kind, **fields):
    torch.manual_seed(0)
    return TextVAEModel(config(kind, **fields)).eval()


KINDS = ["gru", "transformer", "gpt2", "two-layer gru"]


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return build(request.param)


def batch(lengths=(9, 3, 14, 2, 6)):
    """Return rows BOS ... EOS of random ids, padded, and their mask."""
    rows = [[BOS, *torch.randint(4, VOCABULARY, (n - 2,)).tolist(), EOS] for n in lengths]
    return pad(rows, PAD)


# The configuration


@pytest.mark.parametrize(
    ("build_config", "message"),
    [
        (lambda: config("gru", latent_dimm=4), "unknown TextVAEConfig field 'latent_dimm': did you mean 'latent_dim'?"),
        (lambda: config("gru", zzz=4), "unknown TextVAEConfig field 'zzz'$"),
        (lambda: GRUDecoderConfig(hiden_size=4), "unknown GRUDecoderConfig field 'hiden_size': did you mean 'hidden_s"),
        (
            lambda: TextVAEConfig(decoder={"model_type": "textvae-gru", "hiden_size": 4}),
            "unknown GRUDecoderConfig field 'hiden_size'",
        ),
        (lambda: TextVAEConfig(encoder={"hidden_size": 4}), "the encoder of a TextVAEConfig needs a 'model_type'"),
        (lambda: config("gru", latent_dim=0), "TextVAEConfig.latent_dim must be at least 1, got 0"),
        (lambda: config("gpt2", max_length=31), "max_length must be at most 30, got 31: the decoder has 32 positions"),
        (
            lambda: config("gru", max_length=513),
            "max_length must be at most 512, got 513: the encoder has 512 positions",
        ),
        (lambda: TextVAEConfig.preset("huge", vocab_size=9), "unknown size 'huge': use one of tiny, small, base"),
        (lambda: TextVAEConfig.preset("tiny", vocab_size=9, decoder="lstm"), "unknown decoder 'lstm': use one of gru"),
    ],
)
def test_a_config_that_makes_no_model_is_refused(build_config, message):
    with pytest.raises(ValueError, match=message):
        build_config()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent_dim": "32"}, "'latent_dim' expected int, got str"),
        ({"latent_dim": 3.5}, "'latent_dim' expected int, got float"),
        ({"pooling": "max"}, "'pooling' expected one of"),
        ({"batch_norm_gamma": "0.6"}, "batch_norm_gamma"),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_an_ill_typed_field_is_refused(fields, message, from_file, tmp_path):
    if from_file:
        config("gru").save_pretrained(tmp_path)
        edit_json(tmp_path / "config.json", fields)
    with pytest.raises(StrictDataclassFieldValidationError, match=message):
        TextVAEConfig.from_pretrained(tmp_path) if from_file else config("gru", **fields)


def test_an_ill_typed_field_of_the_decoder_is_refused():
    with pytest.raises(StrictDataclassFieldValidationError, match="'hidden_size' expected int, got str"):
        TextVAEConfig(decoder={"model_type": "textvae-gru", "hidden_size": "12"})


def test_a_misspelt_field_of_a_file_is_refused(tmp_path):
    config("gru").save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", {"max_lenght": 5})
    with pytest.raises(ValueError, match="unknown TextVAEConfig field 'max_lenght': did you mean 'max_length'?"):
        TextVAEConfig.from_pretrained(tmp_path)


def edit_json(path, fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_comes_back_from_its_file(kind, tmp_path):
    original = config(kind, batch_norm_gamma=0.5)
    original.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    ours = {"_name_or_path", "architectures", "transformers_version", "dtype"}
    assert type(loaded) is TextVAEConfig and type(loaded.decoder) is type(original.decoder)
    for left, right in ((loaded, original), (loaded.decoder, original.decoder), (loaded.encoder, original.encoder)):
        left, right = left.to_dict(), right.to_dict()
        plain = {key for key in right if key not in {*ours, "encoder", "decoder"}}
        assert {key: left[key] for key in plain} == {key: right[key] for key in plain}


# The encoder


@pytest.mark.parametrize("fields", [{}, {"pooling": "attention", "pooling_queries": 3, "pooling_width": 5}])
@pytest.mark.parametrize("kind", ["gpt2", "gru"])
def test_neither_padding_nor_neighbours_change_a_posterior(kind, fields):
    model = build(kind, **fields)
    ids, mask = batch()
    together = model.encode(ids, mask)
    for i, n in enumerate(mask.sum(1).tolist()):
        alone = model.encode(ids[i : i + 1, :n])
        torch.testing.assert_close(together[i : i + 1].mean, alone.mean, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together[i : i + 1].log_std, alone.log_std, rtol=1e-5, atol=1e-5)


def kept(**fields):
    shape = {"latent_dim": 16, "pooling_queries": 3, "pooling_width": 5, "keep_encoder": True}
    return build("gpt2", **(shape | fields))


@pytest.mark.parametrize("residual", [0.0, 0.3])
def test_a_kept_encoder_gives_its_own_embedding_and_little_else(residual):
    model = kept(residual=residual)
    ids, mask = batch()
    states = model.encoder.backbone(ids, mask).last_hidden_state
    embedding = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    embedding = 4 * embedding / embedding.norm(dim=-1, keepdim=True)  # 16 dimensions: as long as a draw of N(0, I)
    away = (model.encode(ids, mask).mean - embedding).norm(dim=-1)
    if residual:
        assert (away > 0.1).all() and (away < 4 * residual).all()
    else:
        assert away.max() < 1e-5


def test_the_residual_reads_the_words_and_what_the_encoder_makes_of_them():
    model, (ids, mask) = kept(residual=0.3), batch()
    read = []
    model.encoder.pooling.register_forward_hook(lambda _, given, __: read.append(given[0]))
    model.encode(ids, mask)
    states = model.encoder.backbone(ids, mask, output_hidden_states=True).hidden_states
    torch.testing.assert_close(read[0], torch.cat([states[0], states[-1]], -1))


def test_a_kept_encoder_stays_as_it_is():
    model = kept(residual=0.3)
    model.encoder.backbone.config.hidden_dropout_prob = 0.5
    for module in model.encoder.backbone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    ids, mask = batch()
    still = model.encode(ids, mask).mean
    model.train()
    torch.testing.assert_close(model.encode(ids, mask).mean, still)
    model(ids, mask, labels=ids).loss.backward()
    learns = {name for name, parameter in model.encoder.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith("backbone") for name in learns)
    assert {"mean.weight", "log_std.weight"} <= learns


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent_dim": 8}, "latent_dim must be 16, the width of the kept encoder, got 8"),
        ({"residual": -0.1}, "residual is a length of at least 0"),
        ({"keep_encoder": False, "residual": 0.1}, "goes with keep_encoder, got 0.1"),
        ({"batch_norm_gamma": 0.5}, "choose TextVAEConfig.keep_encoder or batch_norm_gamma"),
        ({"encoder_max_length": 513}, "encoder_max_length must be at most 512, got 513"),
    ],
)
def test_what_does_not_go_with_a_kept_encoder(fields, message):
    with pytest.raises(ValueError, match=message):
        kept(**fields)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_every_token_reaches_the_posterior(pooling):
    model = build("gpt2", pooling=pooling)
    ids, mask = batch([10])
    for place in range(10):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % VOCABULARY
        assert not torch.allclose(model.encode(changed, mask).mean, model.encode(ids, mask).mean, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.3, 1.5])
def test_batch_norm_fixes_the_spread_of_the_means_and_so_bounds_the_kl(gamma):
    model = build("gpt2", batch_norm_gamma=gamma).train()
    ids, mask = batch(list(range(3, 19)) * 4)
    posterior = model.encode(ids, mask)
    torch.testing.assert_close(posterior.mean.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    torch.testing.assert_close(posterior.mean.std(0, correction=0), torch.full((8,), gamma), rtol=1e-2, atol=0)
    assert (posterior.kl().mean(0) > 0.99 * gamma**2 / 2).all()  # Zhu et al. 2020, eq. 5
    assert build("gpt2").encoder.gamma is None


def test_a_row_alone_is_normalised_as_in_inference():
    model = build("gpt2", batch_norm_gamma=0.6)
    ids, mask = batch(list(range(3, 19)) * 4)
    model.train().encode(ids, mask)
    before = model.encoder.batch_norm.running_mean.clone()
    alone = model.encode(ids[:1], mask[:1]).mean
    torch.testing.assert_close(model.encoder.batch_norm.running_mean, before)
    torch.testing.assert_close(model.eval().encode(ids[:1], mask[:1]).mean, alone)


# The loss


def test_the_loss_is_the_mean_reconstruction_plus_beta_times_the_kl(model):
    ids, mask = batch()
    output = model(ids, mask, beta=0.3)
    torch.testing.assert_close(output.loss, output.reconstruction.mean() + 0.3 * output.kl.mean())
    torch.testing.assert_close(output.kl, output.posterior.kl().sum(1))
    assert output.reconstruction.shape == output.kl.shape == (5,)
    floored = model(ids, mask, beta=0.3, free_bits=4.0)
    expected = floored.reconstruction.mean() + 0.3 * free_bits(floored.posterior.kl(), 4.0)
    torch.testing.assert_close(floored.loss, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plain", [True, False], ids=["from states", "from logits"])
def test_the_nats_of_a_decoder_are_those_of_its_logits(kind, plain, monkeypatch):
    if not plain:
        monkeypatch.setattr(LatentDecoder, "head", lambda self: None)
        monkeypatch.setattr(causal_lm, "PLAIN_HEADS", set())
    model = build(kind)
    ids, mask = batch()
    labels = ids.masked_fill(mask == 0, IGNORED)
    latents = torch.randn(len(ids), model.config.latent_dim)
    total, nats = model.decoder.nats(ids, latents, labels)
    expected = reconstruction_nats(model.decode(latents, ids), labels)
    torch.testing.assert_close(nats, expected.detach())
    ours, theirs = (torch.autograd.grad(loss, list(model.decoder.parameters())) for loss in (total, expected.sum()))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_language_model_with_more_than_a_product_as_head_is_scored_by_its_logits():
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    capped = AutoConfig.for_model(
        "gemma2", vocab_size=VOCABULARY, head_dim=8, num_key_value_heads=2, final_logit_softcapping=0.5, **shape
    )
    model = TextVAEModel(TextVAEConfig(encoder=config("gpt2").encoder, decoder=capped, latent_dim=8, max_length=20))
    ids, _ = batch((6, 6))
    latents = torch.randn(2, 8)
    assert model.decoder.head() is None
    torch.testing.assert_close(model.nats(latents, ids), reconstruction_nats(model.decode(latents, ids), ids).detach())


@pytest.mark.parametrize("kind", ["transformer", "gpt2"])
def test_at_first_a_latent_from_the_prior_weighs_as_much_as_a_word(kind):
    half = build(kind).decoder
    words = half.get_input_embeddings().weight.std()
    latents = torch.randn(500, half.addition.in_features)
    for injection in (half.addition, half.prefix):
        moved = injection(latents) - injection(torch.zeros(1, latents.shape[1]))  # without the learnt bias
        assert 0.8 * words < moved.std() < 1.25 * words


def test_padding_does_not_change_the_loss(model):
    ids, mask = batch()
    wider_ids, wider_mask = torch.nn.functional.pad(ids, (0, 4), value=PAD), torch.nn.functional.pad(mask, (0, 4))
    tight, wide = (
        model(*arguments, generator=torch.Generator().manual_seed(1))
        for arguments in ((ids, mask), (wider_ids, wider_mask))
    )
    torch.testing.assert_close(tight.reconstruction, wide.reconstruction, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(tight.loss, wide.loss, rtol=1e-5, atol=1e-4)


def test_a_batch_costs_what_its_sentences_cost_alone(model):
    ids, mask = batch()
    output = model(ids, mask, generator=torch.Generator().manual_seed(1))
    latents = output.posterior.sample(generator=torch.Generator().manual_seed(1))
    for i, n in enumerate(mask.sum(1).tolist()):
        row = ids[i : i + 1, :n]
        alone = reconstruction_nats(model.decode(latents[i : i + 1], row), row)
        torch.testing.assert_close(output.reconstruction[i : i + 1], alone, rtol=1e-5, atol=1e-4)


def test_labels_and_decoder_inputs_may_differ_from_the_encoder_inputs(model):
    ids, mask = batch()
    targets, target_mask = batch([4, 8, 3, 7, 2])
    labels = targets.masked_fill(target_mask == 0, IGNORED)
    plain = model(ids, mask, labels, generator=torch.Generator().manual_seed(1))
    hidden = model(ids, mask, labels, torch.full_like(targets, 3), generator=torch.Generator().manual_seed(1))
    assert plain.reconstruction.shape == hidden.reconstruction.shape == (5,)
    assert not torch.allclose(plain.reconstruction, hidden.reconstruction)
    assert torch.equal(plain.kl, hidden.kl)


def test_gradients_reach_every_parameter(model):
    model.zero_grad()
    model(*batch(), beta=1.0).loss.backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    model.zero_grad()
    # A bias of attention keys cancels in the softmax, and the scores' bias in the pooling's.
    assert [name for name in unreached if not name.endswith(("key.bias", "score.bias"))] == []


# The decoder


def test_no_position_sees_a_later_token(model):
    ids, _ = batch([12, 12])
    latents = torch.randn(2, model.config.latent_dim)
    for place in (1, 5, 11):
        changed = ids.clone()
        changed[:, place:] = (changed[:, place:] + 7) % VOCABULARY
        before, after = model.decode(latents, ids), model.decode(latents, changed)
        torch.testing.assert_close(before[:, :place], after[:, :place], rtol=1e-5, atol=1e-5)
        assert (before[:, place] - after[:, place]).abs().max() > 1e-3


def test_the_latent_changes_the_logits_at_every_position(model):
    ids, _ = batch([12])
    one, other = (model.decode(torch.randn(1, model.config.latent_dim), ids) for _ in range(2))
    assert ((one - other).abs().amax(-1) > 1e-4).all()


def test_every_latent_dimension_reaches_the_logits(model):
    ids, _ = batch([6])
    latents = torch.randn(1, model.config.latent_dim, requires_grad=True)
    model.decode(latents, ids).square().sum().backward()
    assert (latents.grad.abs() > 0).all()
    model.zero_grad()


def test_resetting_the_decoder_redraws_it_and_nothing_else():
    model = build("gru")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    model.reset_decoder(5)
    assert torch.equal(torch.get_rng_state(), state)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert {"decoder.embedding.weight", "decoder.initial.weight", "decoder.gru.weight_hh_l0"} <= changed
    once = model.state_dict()["decoder.initial.weight"].clone()
    model.reset_decoder(5)
    assert torch.equal(model.state_dict()["decoder.initial.weight"], once)


# Saving


def test_a_saved_model_is_the_same_bit_for_bit(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is TextVAEModel and not loaded.training
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    ids, mask = batch()
    assert torch.equal(model.encode(ids, mask).mean, loaded.encode(ids, mask).mean)
    latents = model.encode(ids, mask).mean
    assert torch.equal(model.decode(latents, ids), loaded.decode(latents, ids))
    assert torch.equal(model.generate(latents), loaded.generate(latents))


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_input_and_output_embeddings_stay_tied(kind, tmp_path):
    build(kind).save_pretrained(tmp_path)
    decoder = TextVAEModel.from_pretrained(tmp_path).decoder
    output = decoder.output if kind == "gru" else decoder.lm.lm_head
    assert output.weight is decoder.get_input_embeddings().weight


# A model that has learnt eight sentences


@pytest.fixture(scope="module", params=["gru", "transformer"])
def trained(request, sentences):
    """A model trained to know the sentences by heart, with a plain loop."""
    chosen = TextVAEConfig.preset("tiny", vocab_size=320, decoder=request.param, max_length=32)

    def known(vae):
        return vae.reconstruct(sentences) == sentences

    return learn(TextVAE.from_texts(sentences, chosen), sentences, 200, until=known, beta=0.02)


@pytest.fixture(scope="module")
def latents(trained, sentences):
    """Latents whose texts differ in length: those of the sentences, and some beside them."""
    means = torch.tensor(trained.encode(sentences))
    return torch.cat([means, (means[:4] + means[4:]) / 2])


def trim(rows):
    """Return lists of ids without padding."""
    return [[token for token in row if token != PAD] for row in rows.tolist()]


def test_eight_sentences_are_overfitted_and_come_back(trained, sentences):
    assert trained.reconstruct(sentences) == sentences
    assert trained.reconstruct(sentences[::-1], batch_size=3) == sentences[::-1]


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"num_beams": 3, "num_return_sequences": 2}])
def test_the_cache_changes_no_token(trained, latents, options):
    cached = trained.model.generate(latents, use_cache=True, **options)
    assert torch.equal(cached, trained.model.generate(latents, use_cache=False, **options))


def test_greedy_generation_takes_the_likeliest_token_each_time(trained, latents):
    ids = trained.model.generate(latents)
    logits = trained.model.decode(latents, ids)
    for row, predicted in zip(trim(ids), logits.argmax(-1).tolist(), strict=True):
        assert row[1:] == predicted[: len(row) - 1]


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_a_batch_is_written_as_one_at_a_time(trained, latents, options):
    together = trim(trained.model.generate(latents, **options))
    assert together == [trim(trained.model.generate(latents[i : i + 1], **options))[0] for i in range(len(latents))]


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({"num_beams": 4}, 1),
        ({"num_beams": 4, "num_return_sequences": 3}, 3),
        ({"do_sample": True, "temperature": 1.5, "top_k": 20}, 1),
        ({"do_sample": True, "top_p": 0.9, "num_return_sequences": 2}, 2),
        ({"max_length": 5}, 1),
    ],
)
def test_what_is_written_begins_ends_and_is_padded_right(trained, latents, options, each):
    ids = trained.model.generate(latents, **options)
    assert len(ids) == each * len(latents)
    assert ids.shape[1] <= options.get("max_length", trained.model.config.max_length)
    for row in ids.tolist():
        end = row.index(EOS) if EOS in row else len(row)
        assert row[0] == BOS and BOS not in row[1:]
        assert all(token == PAD for token in row[end + 1 :]) and PAD not in row[:end]


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_sampling_from_the_likeliest_token_alone_is_greedy(trained, latents, options):
    greedy = trim(trained.model.generate(latents))
    sampled = trim(trained.model.generate(latents, do_sample=True, num_return_sequences=2, **options))
    assert sampled == [row for row in greedy for _ in range(2)]


def test_sampling_follows_the_global_seed(trained, latents):
    def sample(seed):
        torch.manual_seed(seed)
        return trim(trained.model.generate(latents, do_sample=True, temperature=2.0, top_k=0))

    assert sample(1) == sample(1) != sample(2)


def test_writing_is_greedy_generation_without_the_rows_that_have_ended(trained, latents, monkeypatch):
    rows_read, forward = [], trained.model.decoder.forward
    monkeypatch.setattr(
        trained.model.decoder, "forward", lambda **inputs: rows_read.append(len(inputs["latents"])) or forward(**inputs)
    )
    written = trained.model.write(latents)
    assert rows_read[0] == len(latents) > rows_read[-1]
    assert sum(rows_read) == sum(len(row) - 1 for row in trim(written))
    assert torch.equal(written, trained.model.generate(latents))
    assert torch.equal(
        trained.model.write(latents, Decoding(max_length=5)), trained.model.generate(latents, max_length=5)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_decoder_writes_what_it_generates(kind):
    model = build(kind)
    latents = 3 * torch.randn(9, model.config.latent_dim)
    assert torch.equal(model.write(latents), model.generate(latents))


@pytest.mark.parametrize("options", [{}, {"temperature": 2.0}, {"top_k": 7}, {"top_p": 0.8, "temperature": 1.5}])
def test_writing_samples_what_generation_samples(trained, latents, options, monkeypatch):
    by_torch = lambda shares, generator: torch.multinomial(shares, 1, generator=generator).squeeze(1)  # noqa: E731
    monkeypatch.setattr(sampling, "draw", by_torch)  # of the same distribution, from other random numbers
    for latent in latents[:4].split(1):
        torch.manual_seed(3)
        written = trained.model.write(latent, Decoding(**({"temperature": 1.0} | options)))
        torch.manual_seed(3)
        generated = trained.model.generate(latent, do_sample=True, **({"top_k": 0} | options))
        assert torch.equal(written, generated)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guidance", [0.0, 0.5, 2.0])
def test_guidance_weighs_the_latent_against_writing_without_one(kind, guidance):
    model = build(kind, latent_dropout=0.1)
    latents = 3 * torch.randn(9, model.config.latent_dim)
    written = model.write(latents, Decoding(guidance=guidance, max_length=8))
    with torch.no_grad():
        seen, blind = (model.decode(z, written).log_softmax(-1) for z in (latents, torch.zeros_like(latents)))
    for row, mixed in zip(trim(written), blind + guidance * (seen - blind), strict=True):
        assert row[1:] == mixed.argmax(-1).tolist()[: len(row) - 1]
    if guidance == 0:
        assert len({tuple(row) for row in trim(written)}) == 1


def test_guidance_of_1_is_the_decoder_itself_and_costs_nothing(trained, latents, monkeypatch):
    plain = trained.model.write(latents)
    rows_read, forward = [], trained.model.decoder.forward
    monkeypatch.setattr(
        trained.model.decoder, "forward", lambda **inputs: rows_read.append(len(inputs["latents"])) or forward(**inputs)
    )
    assert torch.equal(trained.model.write(latents, Decoding(guidance=1)), plain)
    once = sum(rows_read)
    monkeypatch.setattr(trained.model.config, "latent_dropout", 0.1)
    nearly = trained.model.write(latents, Decoding(guidance=1 + 1e-6))
    assert trim(nearly) == trim(plain)
    assert sum(rows_read) == 3 * once


@pytest.mark.parametrize("kind", KINDS)
def test_latent_dropout_hides_the_latent_from_the_decoder_alone_and_in_training_alone(kind):
    model = build(kind, latent_dropout=0.25)
    ids, mask = batch([6] * 400)
    blind = model.nats(torch.zeros(400, model.config.latent_dim), ids)
    measured, trained = model(ids, mask), model.train()(ids, mask)
    torch.testing.assert_close(trained.kl, measured.kl)
    same = [torch.isclose(output.reconstruction, blind, rtol=1e-5).float().mean() for output in (measured, trained)]
    assert same[0] < 0.05
    assert 0.15 < same[1] < 0.35


def test_guidance_of_a_model_that_never_wrote_without_a_latent_is_refused():
    model = build("gru")
    with pytest.raises(ValueError, match="guidance must be 1 for a model trained without latent dropout, got 0.5"):
        model.write(torch.zeros(1, model.config.latent_dim), Decoding(guidance=0.5))
    with pytest.raises(ValueError, match=r"latent_dropout must be in \[0, 1\), got 1"):
        build("gru", latent_dropout=1)


def test_more_beams_never_find_a_less_likely_best_text(trained, latents):
    def score(options):
        ids = trained.model.generate(latents, length_penalty=0.0, **options)
        labels = ids.masked_fill(ids == PAD, IGNORED)
        return -reconstruction_nats(trained.model.decode(latents, ids), labels).sum().item()

    scores = [score({"num_beams": n}) for n in (1, 2, 6)]
    assert all(worse <= better + 1e-3 for worse, better in pairwise(scores))


def test_a_language_model_that_chose_its_attention_can_be_the_decoder():
    lm = AutoModelForCausalLM.from_config(config("gpt2").decoder, attn_implementation="sdpa")
    with_lm = config("gpt2")
    with_lm.decoder = lm.config
    assert with_lm.decoder._attn_implementation == "sdpa"
    model = TextVAEModel(with_lm, lm=lm)
    assert model.generate(torch.zeros(2, with_lm.latent_dim), max_length=5).shape[0] == 2


def test_tokens_are_drawn_by_their_probabilities_and_impossible_ones_never():
    shares = torch.tensor([0.0, 0.1, 0.2, 0.0, 0.7, 0.0])
    drawn = draw(shares.repeat(20_000, 1), torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=6) / len(drawn)
    torch.testing.assert_close(counts, shares, atol=0.015, rtol=0)
    assert counts[shares == 0].sum() == 0


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_the_extreme_numbers_draw_possible_tokens(number, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size, number))
    shares = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.3, 0.7], [0.0, 1 + 2**-22, 0.0]])
    assert (shares.gather(1, draw(shares).unsqueeze(1)) > 0).all()
