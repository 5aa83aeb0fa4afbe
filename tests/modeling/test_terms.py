"""Loss terms: each one adds its weight times its value, and draws in the order given."""

import pytest
import torch

from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.objectives import Step, register_term, terms
from textvae.modeling.objectives.contrastive import contrastive_nats
from textvae.modeling.objectives.distillation import cosine_distance
from textvae.modeling.objectives.mmd import squared_mmd

TEXTS, LENGTH, DIM = 6, 9, 32
# Measured before the terms had a registry: total losses, in nats per sentence, of `batch` with all terms and options.
FROZEN = {
    ("gru", 0): 98.990,
    ("gru", 8): 107.344,
    ("transformer", 0): 117.305,
    ("transformer", 8): 123.924,
}


def model(**fields):
    torch.manual_seed(1)
    config = TextVAEConfig.preset("tiny", vocab_size=300, latent_dropout=0.2, **fields)
    config.encoder.hidden_dropout_prob = 0.1
    if config.decoder.model_type == "textvae-gru":
        config.decoder.coverage = False  # as in the version that the frozen losses are of
    return TextVAEModel(config).train()


def batch():
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 300, (TEXTS, LENGTH), generator=generator)
    ids[:, 0] = 0
    mask = torch.ones_like(ids)
    mask[2, 6:], ids[2, 6:] = 0, 2
    teacher = torch.randn(TEXTS, DIM, generator=generator)
    teacher[1] = torch.nan
    partners = {"partner_ids": ids.flip(0), "partner_mask": mask.flip(0), "groups": torch.tensor([0, 1, 2, 2, 4, 5])}
    return {"input_ids": ids, "attention_mask": mask, "teacher": teacher} | partners


def output(network, weights, **options):
    torch.manual_seed(5)
    return network(**batch(), terms=weights, generator=torch.Generator().manual_seed(7), **options)


@pytest.mark.parametrize(("decoder", "slot_dim"), FROZEN)
def test_the_loss_of_a_seeded_batch_is_what_it_was(decoder, slot_dim):
    weights = {"distillation": 20.0, "mmd": 2.0, "contrastive": 1.5}
    options = {"from_teacher": 0.4, "open_all": 0.3, "open_some": 0.5, "free_bits": 0.5, "beta": 0.3}
    loss = output(model(decoder=decoder, slot_dim=slot_dim), weights, **options).loss
    assert loss.item() == pytest.approx(FROZEN[decoder, slot_dim], rel=1e-4)


def test_the_terms_are_their_formulas_times_their_weights():
    network, given = model().eval(), batch()
    generator = torch.Generator().manual_seed(7)
    posterior = network.encode(given["input_ids"], given["attention_mask"])
    latents = posterior.sample(generator=generator)
    prior = torch.empty_like(latents).normal_(generator=generator)
    others = network.encode(given["partner_ids"], given["partner_mask"]).mean
    expected = {
        "mmd": squared_mmd(latents, prior),
        "contrastive": contrastive_nats(posterior.mean, others, given["groups"]),
        "distillation": cosine_distance(posterior.mean, given["teacher"])[given["teacher"].isfinite().all(-1)].mean(),
    }
    plain = output(network, None).loss
    for name, value in expected.items():
        torch.testing.assert_close(output(network, {name: 3.0}).loss - plain, 3 * value, atol=1e-3, rtol=1e-3)


def test_texts_without_an_embedding_do_not_weaken_the_distillation_of_others():
    network, given = model().eval(), batch()
    plain = output(network, None).loss
    known = output(network, {"distillation": 3.0}).loss - plain
    given["teacher"] = torch.cat([given["teacher"], torch.full_like(given["teacher"], torch.nan)])
    for name in ("input_ids", "attention_mask", "labels", "partner_ids", "partner_mask", "groups"):
        if name in given:
            given[name] = torch.cat([given[name], given[name]])
    torch.manual_seed(5)
    half = network(**given, terms={"distillation": 3.0}, generator=torch.Generator().manual_seed(7)).loss
    torch.manual_seed(5)
    none = network(**given, generator=torch.Generator().manual_seed(7)).loss
    torch.testing.assert_close(half - none, known, atol=1e-3, rtol=1e-3)


def test_a_term_of_weight_0_is_not_evaluated_and_draws_nothing():
    network = model().eval()
    generator = torch.Generator().manual_seed(7)
    network(**batch(), terms={"mmd": 0.0, "contrastive": 0.0}, generator=generator)
    drawn = torch.Generator().manual_seed(7)
    network(**batch(), generator=drawn)
    assert torch.equal(generator.get_state(), drawn.get_state())


def test_one_text_has_no_discrepancy():
    network, given = model().eval(), batch()
    one = {"input_ids": given["input_ids"][:1]}
    losses = [network(**one, terms=w, generator=torch.Generator().manual_seed(0)).loss for w in ({}, {"mmd": 9.0})]
    assert losses[0] == losses[1]


def test_a_registered_term_gets_the_step_and_its_gradient_reaches_the_model(monkeypatch):
    monkeypatch.setattr(terms, "_TERMS", dict(terms._TERMS))
    seen = []

    @register_term("spread")
    def spread(step):
        seen.append(step)
        return step.posterior.std.sum(-1).mean()

    network = model(slot_dim=8).eval()
    loss = output(network, {"spread": 2.0}).loss
    (step,) = seen
    assert isinstance(step, Step) and step.model is network
    assert step.latents.shape == step.posterior.mean.shape == step.partner_means.shape == (TEXTS, DIM)
    assert step.slots.mean.shape[:2] == step.states.shape
    torch.testing.assert_close(loss - output(network, None).loss, 2 * spread(step), atol=1e-3, rtol=1e-3)
    gradient = torch.autograd.grad(2 * spread(step), network.encoder.parameters(), allow_unused=True)
    assert any(part is not None and part.abs().sum() > 0 for part in gradient)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"cosine": 1.0}, "unknown loss term 'cosine': use contrastive, distillation, mmd"),
        ({"mmd": -1.0}, "the weight of the loss term 'mmd' must not be negative, got -1.0"),
        ({"mmd": float("nan")}, "must not be negative, got nan"),
    ],
)
def test_unknown_terms_and_negative_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        output(model(), weights)
