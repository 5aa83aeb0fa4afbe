"""Models that split their latent into a meaning and wording slots."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from overfitting import learn
from torch.distributions import Normal, kl_divergence

from textvae import TextVAE, TrainConfig, train
from textvae.latent.latents import Latents
from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.likelihood import IGNORED
from textvae.modeling.sampling import Decoding
from textvae.modeling.slots import ABSENT, GIVEN, OPEN, SlotReader, SplitLatents, open_at_random
from textvae.storage.errors import CorruptFileError
from textvae.text.tokenizers import train_tokenizer
from textvae.training.build import build_model

EPS = 1e-5


def config(decoder="gru", **fields):
    chosen = {"latent_dim": 24, "unit_mean": True, "slot_dim": 16, "max_length": 24}
    made = TextVAEConfig.preset("tiny", vocab_size=320, decoder=decoder.removeprefix("covering "), **(chosen | fields))
    if decoder == "covering gru":
        made.decoder.coverage = True
    return made


@pytest.fixture(scope="module", params=["gru", "transformer"])
def overfitted(request, sentences):
    """A model that has learnt eight sentences, each a quarter of the time from its meaning alone."""

    def known(vae):
        latents = vae.read(sentences).mean
        opened = latents.opened(np.arange(latents.states.shape[1]) == 1)
        return all(vae.decode(z) == sentences for z in (latents, latents.meaning, opened))

    options = {"free_bits": 0.5, "open_all": 0.25, "open_some": 0.5}
    return learn(TextVAE.from_texts(sentences, config(request.param)), sentences, 300, until=known, **options)


@pytest.fixture(scope="module")
def split_vae(sentences):
    return TextVAE.from_texts(sentences, config())


# The network


def test_eight_sentences_come_back_from_all_of_z_and_from_the_meaning_alone(overfitted, sentences):
    reading = overfitted.read(sentences)
    assert overfitted.reconstruct(sentences) == sentences
    assert overfitted.decode(reading.mean) == sentences
    assert overfitted.decode(overfitted.encode(sentences)) == sentences


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_a_decoder_that_always_has_slots_learns_to_read_them(decoder, sentences):
    vae = learn(TextVAE.from_texts(sentences, config(decoder)), sentences, 80)
    latents = vae.read(sentences).mean
    swapped = Latents(latents.meaning, np.roll(latents.slots, 1, axis=0), np.roll(latents.states, 1, axis=0))
    given, alone, others = (vae.nats(sentences, z).mean() for z in (latents, latents.meaning, swapped))
    assert given < alone - 1 and given < others - 1


@pytest.mark.parametrize(("stride", "first"), [(None, 0), (None, 5), (6.0, 0)])
def test_each_decoder_position_reads_the_place_that_is_its_own(stride, first):
    reader = SlotReader(config(slot_stride=stride), 8, 0)
    reader.reset_parameters(0.1)
    torch.nn.init.zeros_(reader.before.weight)
    latents = SplitLatents(torch.zeros(1, 24), torch.zeros(1, 3, 16), torch.full((1, 3), GIVEN))
    slots = reader.unpacked(latents)
    slots = dataclasses.replace(slots, before=torch.eye(13)[None])  # what is read is then the weight of each place
    read = reader.by_place(slots, 6, first)[0]
    positions = torch.arange(first, first + 6)
    expected = ((positions + 0.5) * 4 / (stride or 4) - 0.5).round()
    assert (read[:, :12].argmax(-1) - expected).abs().max() <= (0 if stride is None else 1)
    assert stride or (read.argmax(-1) < 12).all()


def test_an_open_slot_is_filled_and_the_given_ones_stay(overfitted, sentences):
    latents = overfitted.read(sentences).mean
    opened = np.zeros(latents.states.shape, bool)
    opened[:, 1] = True
    assert overfitted.decode(latents.opened(opened)) == sentences


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_padding_changes_neither_the_latents_nor_the_likelihood(decoder, sentences):
    vae = TextVAE.from_texts(sentences, config(decoder))
    together = vae.read(sentences, batch_size=64)
    alone = [vae.read([text]) for text in sentences]
    nats = vae.nats(sentences, together.mean)
    for i, reading in enumerate(alone):
        used = reading.states.shape[1]
        torch.testing.assert_close(together.meaning.mean[i], reading.meaning.mean[0], atol=EPS, rtol=1e-4)
        torch.testing.assert_close(together.slots.mean[i, :used], reading.slots.mean[0], atol=EPS, rtol=1e-4)
        assert (together.states[i, used:] == ABSENT).all()
        assert nats[i] == pytest.approx(float(vae.nats([sentences[i]], reading.mean)[0]), rel=1e-4)


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_cached_steps_and_generate_give_what_the_whole_text_gives(decoder, sentences):
    vae = TextVAE.from_texts(sentences, config(decoder))
    if decoder == "gru":
        torch.nn.init.normal_(vae.model.decoder.covered.weight, std=0.3)
    reading = vae.read(sentences[:3])
    packed = torch.tensor(reading.mean.pack())
    ids = torch.tensor([row[:9] for row in reading.ids])
    decoder_module = vae.model.decoder
    whole = decoder_module(input_ids=ids, latents=packed).logits
    first = decoder_module(input_ids=ids[:, :4], latents=packed, use_cache=True)
    rest = decoder_module(input_ids=ids[:, 4:], latents=packed, past_key_values=first.past_key_values, use_cache=True)
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], 1), whole, atol=1e-4, rtol=1e-4)
    generated = vae.model.generate(packed, max_length=12, do_sample=False)
    written = vae.model.write(packed, Decoding(max_length=12))
    assert written.tolist() == generated[:, : written.shape[1]].tolist()
    assert len(vae.decode(reading.mean, num_beams=3)) == 3


def test_a_decoder_that_covers_starts_without_and_then_reads_what_it_has_written(sentences, tmp_path):
    vae = TextVAE.from_texts(sentences, config())
    decoder = vae.model.decoder
    assert not decoder.covered.weight.any()
    latents = torch.tensor(vae.encode(sentences[:1]))
    ids = torch.tensor([vae.read(sentences[:1]).ids[0][:5]])
    before = decoder(input_ids=ids, latents=latents).logits
    torch.nn.init.normal_(decoder.covered.weight, std=0.3)
    after = decoder(input_ids=ids, latents=latents).logits
    assert not torch.allclose(before[:, -1], after[:, -1])
    vae.save_pretrained(tmp_path / "run")
    again = TextVAE.from_pretrained(tmp_path / "run")
    assert again.model.config.decoder.coverage
    torch.testing.assert_close(again.model.decoder(input_ids=ids, latents=latents).logits, after)


def test_the_beams_that_are_kept_keep_what_they_have_written(sentences):
    vae = TextVAE.from_texts(sentences, config())
    torch.nn.init.normal_(vae.model.decoder.covered.weight, std=0.3)
    packed = torch.tensor(vae.read(sentences[:2]).mean.pack())
    ids, chosen = torch.tensor([[0, 7, 8], [0, 9, 11]]), torch.tensor([1, 1])
    state = vae.model.decoder(input_ids=ids, latents=packed, use_cache=True).past_key_values
    state.reorder_cache(chosen)
    newest = torch.tensor([[12], [13]])
    step = vae.model.decoder(input_ids=newest, latents=packed[chosen], past_key_values=state, use_cache=True)
    whole = vae.model.decoder(input_ids=torch.cat([ids[chosen], newest], 1), latents=packed[chosen])
    torch.testing.assert_close(step.logits[:, -1], whole.logits[:, -1], atol=1e-4, rtol=1e-4)


def test_the_encoder_s_fused_attention_sees_no_padding(sentences):
    model = TextVAEModel(config()).eval()
    ids = torch.randint(4, 300, (2, 9))
    padded = torch.nn.functional.pad(ids, (0, 4), value=2)
    plain = model.read(ids)
    model.set_attn_implementation("sdpa")
    fused = model.read(padded, (padded != 2).long())
    torch.testing.assert_close(fused.meaning.mean, plain.meaning.mean, atol=EPS, rtol=1e-4)
    torch.testing.assert_close(fused.slots.mean[:, :2], plain.slots.mean, atol=EPS, rtol=1e-4)


def test_a_slot_reads_its_own_stretch_of_four_tokens():
    model = TextVAEModel(config()).eval()
    ids = torch.randint(4, 300, (1, 13))
    backbone = model.encoder.backbone
    seen = []
    model.encoder.slots.inner.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    model.read(ids)
    states = backbone(input_ids=ids, output_hidden_states=True)
    both = torch.cat([states.hidden_states[0], states.last_hidden_state], -1)[:, 1:]
    expected = model.encoder.slots.norm(both)[0, 4:8].flatten()
    torch.testing.assert_close(seen[0][0, 1], expected, atol=EPS, rtol=1e-4)
    assert model.read(ids).states.shape == (1, 3)  # 12 tokens behind the BOS


def test_means_are_as_long_as_a_draw_from_the_prior(split_vae, sentences):
    np.testing.assert_allclose(np.linalg.norm(split_vae.encode(sentences), axis=1), math.sqrt(24), rtol=1e-5)


def test_the_kl_is_that_of_the_given_slots_and_the_meaning(sentences):
    vae = TextVAE.from_texts(sentences, config())
    reading = vae.read(sentences)
    width = max(map(len, reading.ids))
    ids = torch.tensor([row + [2] * (width - len(row)) for row in reading.ids])
    meaning, slots, states = vae.model.read(ids, (ids != 2).long())
    expected = kl_divergence(Normal(meaning.mean, meaning.std), Normal(0, 1)).sum(-1)
    of_slots = kl_divergence(Normal(slots.mean, slots.std), Normal(0, 1)).sum(-1)
    expected = expected + (of_slots * (states == GIVEN)).sum(-1)
    output = vae.model(ids, (ids != 2).long())
    torch.testing.assert_close(output.kl, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(reading.flat().kl().sum(-1), expected, atol=1e-3, rtol=1e-2)  # read in bf16 where it is
    torch.testing.assert_close(output.loss, (output.reconstruction + output.kl).mean(), atol=1e-3, rtol=1e-4)


def test_a_floor_under_the_kl_counts_once_for_each_given_slot_s_dimension(sentences):
    vae = TextVAE.from_texts(sentences, config())
    reading = vae.read(sentences)
    width = max(map(len, reading.ids))
    ids = torch.tensor([row + [2] * (width - len(row)) for row in reading.ids])
    generator = torch.Generator()
    options = {"beta": 0.5, "free_bits": 100.0}
    output = vae.model(ids, (ids != 2).long(), **options, generator=generator.manual_seed(0))
    slots_each = (reading.states == GIVEN).sum() / len(sentences)
    expected = output.reconstruction.mean() + 0.5 * 100.0 * (24 + 16 * slots_each)
    torch.testing.assert_close(output.loss, expected, rtol=1e-4, atol=1e-3)


def test_distillation_is_the_cosine_to_the_teacher_where_it_is_known(split_vae, sentences):
    model = split_vae.model
    ids = torch.tensor([row[:8] for row in split_vae.read(sentences[:3]).ids])
    teacher = torch.randn(3, 24)
    teacher[1] = torch.nan
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    without = model(ids, generator=draws[0]).loss
    with_ = model(ids, teacher=teacher, terms={"distillation": 3.0}, generator=draws[1]).loss
    cosines = torch.nn.functional.cosine_similarity(model.encode(ids).mean, teacher)
    torch.testing.assert_close(with_ - without, 3.0 * (1 - cosines)[[0, 2]].mean(), atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="give teacher"):
        model(ids, terms={"distillation": 1.0})


def test_the_decoder_may_read_the_teacher_s_embedding_in_place_of_the_meaning(sentences):
    vae = TextVAE.from_texts(sentences, config())
    ids = torch.tensor([row[:8] for row in vae.read(sentences[:3]).ids])
    teacher = torch.randn(3, 24)
    teacher[1] = torch.nan
    seen = []
    vae.model.decoder.condition.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    vae.model.train()
    vae.model(ids, teacher=teacher, from_teacher=1.0)
    expected = math.sqrt(24) * torch.nn.functional.normalize(teacher, dim=-1)
    torch.testing.assert_close(seen[0][[0, 2]], expected[[0, 2]])
    assert seen[0][1].isfinite().all()


def test_slots_are_opened_as_often_as_asked():
    states = torch.full((4000, 6), GIVEN)
    states[:, 4:] = ABSENT
    opened = open_at_random(states, whole=0.25, most=0.5, generator=torch.Generator().manual_seed(0))
    gone = (opened == ABSENT).all(1)
    assert gone.float().mean() == pytest.approx(0.25, abs=0.03)
    assert (opened[~gone][:, :4] == OPEN).float().mean() == pytest.approx(0.25, abs=0.03)
    assert (opened[:, 4:] == ABSENT).all()
    assert torch.equal(open_at_random(states, 0.0, 0.0), states)


def test_what_stands_in_open_and_absent_slots_is_not_read(split_vae, sentences):
    reading = split_vae.read(sentences[:2])
    states = reading.states.clone()
    states[:, 0], states[:, -1] = OPEN, ABSENT
    noise = torch.randn_like(reading.slots.mean) * (states != GIVEN).unsqueeze(-1)
    ids = torch.tensor([row[:8] for row in reading.ids])
    clean, noisy = (
        split_vae.model.decode(SplitLatents(reading.meaning.mean, slots, states).pack(), ids)
        for slots in (reading.slots.mean, reading.slots.mean + noise)
    )
    torch.testing.assert_close(clean, noisy)


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_shared_token_embeddings_are_one_tensor_also_when_they_are_loaded(decoder, sentences, tmp_path):
    vae = TextVAE.from_texts(sentences, config(decoder, tie_word_embeddings=True))
    vae.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run")
    for model in (vae.model, loaded.model):
        reads = model.encoder.backbone.get_input_embeddings().weight
        assert reads is model.decoder.get_output_embeddings().weight
    np.testing.assert_array_equal(vae.encode(sentences), loaded.encode(sentences))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slot_dim": -1}, "slot_dim must not be negative"),
        ({"slot_tokens": 0}, "slot_tokens must be at least 1"),
        ({"slot_stride": 0}, "slot_stride be above 0"),
        ({"tie_word_embeddings": True, "keep_encoder": True, "latent_dim": 128}, "keep_encoder or tie_word_embeddings"),
        ({"unit_mean": True, "batch_norm_gamma": 0.6}, "unit_mean or batch_norm_gamma"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        config(**fields)


# TextVAE


def test_a_saved_model_gives_the_same_latents_and_texts(overfitted, sentences, tmp_path):
    overfitted.save_pretrained(tmp_path / "run")
    loaded = TextVAE.from_pretrained(tmp_path / "run")
    before, after = overfitted.read(sentences), loaded.read(sentences)
    assert torch.equal(before.meaning.mean, after.meaning.mean)
    assert torch.equal(before.slots.log_std, after.slots.log_std)
    assert loaded.reconstruct(sentences) == overfitted.reconstruct(sentences)


def test_encode_gives_the_meaning_one_row_a_text(split_vae, sentences):
    assert split_vae.encode(sentences).shape == (8, 24)
    assert split_vae.encode("a").shape == (24,)
    assert split_vae.encode([]).shape == (0, 24)
    reading = split_vae.read(sentences)
    np.testing.assert_array_equal(split_vae.encode(sentences), reading.mean.meaning)
    assert split_vae.reconstruct([]) == []
    assert reading.states.shape[1] == max(math.ceil((len(row) - 1) / 4) for row in reading.ids)


def test_texts_that_are_cut_have_the_most_slots_and_no_more(split_vae):
    reading = split_vae.read(["word " * 100, "a"])
    assert reading.states.shape[1] == split_vae.model.config.max_slots == 6
    assert split_vae.decode(reading.mean)


def test_variations_keep_the_share_of_the_wording_that_is_asked_for(overfitted, sentences):
    assert overfitted.vary(sentences[0], 3, spread=0, wording=1) == [sentences[0]] * 3
    assert overfitted.vary(sentences[0], 2, spread=0, wording=0) == overfitted.decode(
        np.repeat(overfitted.encode(sentences[:1]), 2, 0)
    )
    with pytest.raises(ValueError, match=r"wording must be a share in \[0, 1\]"):
        overfitted.vary(sentences[0], 1, wording=1.5)


def test_variations_of_a_model_without_slots_have_no_wording_to_keep(small_vae, sentences):
    with pytest.raises(ValueError, match="needs a model with wording slots"):
        small_vae.vary(sentences[0], 1, wording=0.5)


def test_interpolations_have_their_ends_from_all_of_z(overfitted, sentences):
    path = overfitted.interpolate(sentences[0], sentences[1], 4)
    assert len(path) == 4
    assert (path[0], path[-1]) == (sentences[0], sentences[1])


def test_centroids_get_the_length_of_a_mean_again(overfitted, sentences):
    means = overfitted.encode(sentences)
    assert overfitted.decode(0.1 * means) == overfitted.decode(means)


def test_the_likelihood_of_a_text_does_not_depend_on_those_beside_it(overfitted, sentences):
    short, long = sorted(sentences, key=len)[0], sorted(sentences, key=len)[-1]
    alone = overfitted.log_likelihood([short], num_samples=4)[0]
    assert overfitted.log_likelihood([short, long], num_samples=4)[0] == pytest.approx(alone, rel=2e-2)


def test_the_bound_rises_towards_the_likelihood_with_more_samples(overfitted, sentences):
    few, many = (overfitted.log_likelihood(sentences, num_samples=k).mean() for k in (1, 64))
    assert few < many < 0


def test_samples_and_their_guidance_need_no_slots(sentences):
    vae = TextVAE.from_texts(sentences, config(latent_dropout=0.1))
    vae.fit_prior(sentences)
    assert len(vae.sample(3, seed=0)) == 3
    assert len(vae.decode(vae.read(sentences).mean, guidance=0.5)) == 8


def test_unseen_latents_are_blank(split_vae, sentences):
    packed = torch.tensor(split_vae.read(sentences).mean.pack())
    blank = SplitLatents.unpack(split_vae.model.decoder.blank(packed), 24, 16)
    assert not blank.meaning.any() and (blank.states == ABSENT).all()


# Latents as arrays


def test_latents_are_saved_and_loaded_to_the_bit(split_vae, sentences, tmp_path):
    latents = split_vae.read(sentences).mean.opened(None)
    latents.save(tmp_path / "latents.safetensors")
    loaded = Latents.load(tmp_path / "latents.safetensors")
    for name in ("meaning", "slots", "states"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(latents, name))
    assert (loaded.states[loaded.states != ABSENT] == OPEN).all()


def test_a_file_with_something_else_holds_no_latents(tmp_path):
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(CorruptFileError, match="holds no latents"):
        Latents.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4), (2, 3, 5), (2, 2)), "give as many texts and slots in each"),
        (((1, 4), (2, 3, 5), (2, 3)), "give as many texts and slots in each"),
        (((2, 4), (2, 3), (2, 3)), "slots of latents need 3 axes"),
    ],
)
def test_latents_whose_shapes_do_not_fit_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        Latents(*(np.zeros(shape) for shape in shapes))


def test_latents_that_are_not_finite_or_of_unknown_states_are_refused():
    with pytest.raises(ValueError, match="meaning of latents hold a NaN"):
        Latents(np.full((1, 4), np.nan), np.zeros((1, 1, 2)), np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"must be 1 \(given\), 0 \(open\) or -1"):
        Latents(np.zeros((1, 4)), np.zeros((1, 1, 2)), np.full((1, 1), 2))


def test_latents_of_another_model_are_refused(split_vae, small_vae, sentences):
    with pytest.raises(ValueError, match="meanings of 24 and slots of 16 numbers, the model needs 32 and 0"):
        small_vae.decode(split_vae.read(sentences).mean)


def test_padded_labels_are_scored_as_unpadded_ones(split_vae, sentences):
    reading = split_vae.read(sentences[:1])
    labels = torch.tensor(reading.ids)
    padded = torch.nn.functional.pad(labels, (0, 5), value=IGNORED)
    packed = torch.tensor(reading.mean.pack())
    torch.testing.assert_close(split_vae.model.nats(packed, labels), split_vae.model.nats(packed, padded))


# Pretrained halves


def test_a_kept_encoder_and_a_language_model_take_slots_whatever_their_tokenizers(sentences, tmp_path):
    from transformers import AutoModelForCausalLM, BertConfig, BertModel, LlamaConfig

    encoder, lm = tmp_path / "encoder", tmp_path / "lm"
    train_tokenizer(sentences, 400).save_pretrained(encoder)
    tokenizer = train_tokenizer(sentences[:2], 280)  # of more and smaller tokens
    tokenizer.save_pretrained(lm)
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(
        BertConfig(vocab_size=400, pad_token_id=2, hidden_size=16, intermediate_size=32, **shape)
    ).save_pretrained(encoder)
    llama = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, **shape)
    AutoModelForCausalLM.from_config(llama).save_pretrained(lm)
    config = TrainConfig(
        size="tiny", encoder=str(encoder), keep_encoder=True, decoder=str(lm), slot_dim=8, max_length=32,
        batch_tokens=256, max_steps=40, eval_steps=40, learning_rate=5e-3, beta=0.001, precision="fp32",
    )  # fmt: skip
    vae = train(sentences * 8, tmp_path / "run", config, valid=sentences)
    stride = vae.model.config.slot_stride
    assert (
        4
        < stride
        == pytest.approx(
            4 * sum(map(len, vae.decoder_rows(sentences))) / sum(map(len, vae.encoder_rows(sentences))), rel=0.1
        )
    )
    assert vae.model.config.max_slots == math.ceil(31 / stride)
    kept = BertModel.from_pretrained(encoder, add_pooling_layer=False).state_dict()
    assert all(torch.equal(vae.model.encoder.backbone.state_dict()[name], value) for name, value in kept.items())
    reading = vae.read(sentences)
    assert reading.slots.mean[reading.states == GIVEN].std() > 0
    with_slots = vae.nats(sentences, reading.mean).mean()
    assert with_slots < vae.nats(sentences, reading.mean.meaning).mean() - 1  # they are read
    assert len(vae.reconstruct(sentences)) == len(vae.decode(vae.encode(sentences))) == 8
    learnt = build_model(TrainConfig(size="tiny", encoder=str(encoder), slot_dim=8, max_length=32), sentences)
    assert learnt.read(sentences).slots.mean.isfinite().all() and learnt.encode(sentences).shape == (8, 32)
