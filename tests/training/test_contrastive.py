"""The contrastive term: partners, the loss, and what it does to the latents."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_training import CORPUS, JUDGEMENTS, QUICK, SUBJECTS, VERBS, Crash, crash_at

from textvae import TrainConfig, train
from textvae.cli import main
from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.objectives.contrastive import contrastive_nats
from textvae.storage.atomic import sha256
from textvae.training.dataset import Partners

OPTIONS = QUICK | {"contrastive": 1.0, "noise_drop": 0.1, "max_steps": 8, "eval_steps": 4}
GROUPS = [s for s in SUBJECTS for _ in VERBS for _ in JUDGEMENTS]  # of sentences about one thing


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.integers(0, 3))
def test_a_partner_is_another_text_of_the_group_where_there_is_one(groups, epoch):
    partners = Partners(groups, seed=0)
    partners.set_epoch(epoch)
    found = [partners[i] for i in range(len(groups))]
    assert sorted(partner for partner, _ in found) == list(range(len(groups)))
    for i, (partner, number) in enumerate(found):
        assert groups[partner] == groups[i]
        assert (partner == i) == (groups.count(groups[i]) == 1)
        assert [number == other for _, other in found] == [groups[i] == group for group in groups]


def test_partners_change_with_the_epoch_and_come_back_with_it():
    partners = Partners(["a"] * 50, seed=0)
    first = partners.partners.tolist()
    partners.set_epoch(1)
    assert partners.partners.tolist() != first
    partners.set_epoch(0)
    assert partners.partners.tolist() == first


def test_the_loss_is_the_cross_entropy_of_the_right_view():
    a, b = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    cosines = np.array([[1, 0.5**0.5], [0, 0.5**0.5]]) / 0.05
    rows = np.log(np.exp(cosines).sum(1)) - np.diag(cosines)
    columns = np.log(np.exp(cosines).sum(0)) - np.diag(cosines)
    assert contrastive_nats(a, b).item() == pytest.approx((rows.mean() + columns.mean()) / 2, rel=1e-5)


def test_views_that_are_all_alike_cost_the_logarithm_of_their_number_and_fellows_nothing():
    same = torch.ones(6, 3)
    assert contrastive_nats(same, same).item() == pytest.approx(math.log(6))
    assert contrastive_nats(same, same, torch.arange(6)).item() == pytest.approx(math.log(6))
    assert contrastive_nats(same, same, torch.zeros(6)).item() == pytest.approx(0)


def test_the_loss_is_not_rounded_to_bf16():
    a = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    b = a + 0.01 * torch.randn(8, 16, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrastive_nats(a, b), contrastive_nats(a.clone(), b.clone()).detach())
        rounded = contrastive_nats(a, b)
    assert torch.equal(rounded, contrastive_nats(a, b))


def test_equal_sentences_are_no_wrong_views_of_each_other(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "textvae.training.train.Partners", lambda groups, seed: seen.append(Partners(groups, seed)) or seen[0]
    )
    train([*CORPUS, *CORPUS], tmp_path / "run", TrainConfig(**OPTIONS | {"max_steps": 1}), valid=CORPUS[:9])
    (partners,) = seen
    assert all(partners[i] == (i + 384 if i < 384 else i - 384, i % 384) for i in range(768))


def test_a_batch_needs_the_other_views():
    model = TextVAEModel(TextVAEConfig.preset("tiny", vocab_size=300))
    ids = torch.tensor([[0, 5, 1], [0, 6, 1]])
    with pytest.raises(ValueError, match="contrastive needs another view of each text"):
        model(ids, terms={"contrastive": 1.0})
    plain, contrasted = (
        model.eval()(ids, **options, generator=torch.Generator().manual_seed(0)).loss
        for options in ({}, {"partner_ids": ids, "partner_mask": torch.ones_like(ids), "terms": {"contrastive": 1.0}})
    )
    means = model.encode(ids).mean
    assert contrasted.item() - plain.item() == pytest.approx(contrastive_nats(means, means).item(), abs=1e-3)


def test_groups_draw_their_texts_together(tmp_path):
    def spread(vae):
        """Return how far texts of a group are apart, over how far any are, by cosines."""
        latents = vae.encode(CORPUS)
        latents /= np.linalg.norm(latents, axis=1, keepdims=True)
        fellows = np.array(GROUPS)[:, None] == np.array(GROUPS)
        distances = 1 - latents @ latents.T
        return distances[fellows].mean() / distances[~fellows].mean()

    options = QUICK | {"max_steps": 15, "eval_steps": 15}
    plain = train(CORPUS, tmp_path / "plain", TrainConfig(**options))
    drawn = train(CORPUS, tmp_path / "drawn", TrainConfig(**options, contrastive=3.0), groups=GROUPS)
    assert spread(drawn) < spread(plain) / 2


def test_an_interrupted_run_with_partners_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    config = TrainConfig(**OPTIONS | {"max_steps": 24, "eval_steps": 6})  # 14 of the steps are the first epoch
    epochs = []
    with monkeypatch.context() as patch:
        draw = Partners.set_epoch
        patch.setattr(Partners, "set_epoch", lambda self, epoch: [epochs.append(epoch), draw(self, epoch)])
        train(CORPUS, tmp_path / "whole", config, groups=GROUPS)
    assert epochs == [0, 0, 1]  # when they are made, and at the beginning of each
    with monkeypatch.context() as patch:
        crash_at(patch, 22)
        with pytest.raises(Crash):
            train(CORPUS, tmp_path / "broken", config, groups=GROUPS)
    with pytest.raises(ValueError, match="it was started with other groups"):
        train(CORPUS, tmp_path / "broken", config, resume=True)
    train(CORPUS, tmp_path / "broken", config, groups=GROUPS, resume=True)
    assert sha256(tmp_path / "broken/model.safetensors") == sha256(tmp_path / "whole/model.safetensors")


def test_groups_need_the_term_and_one_for_each_sentence(tmp_path):
    with pytest.raises(ValueError, match="set contrastive above 0"):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK), groups=GROUPS)
    with pytest.raises(ValueError, match="384 sentences need as many groups, got 383"):
        train(CORPUS, tmp_path / "run", TrainConfig(**OPTIONS), groups=GROUPS[1:])
    with pytest.raises(ValueError, match="two views of a sentence are the same without noise"):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, contrastive=1.0))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="--contrastive has no effect on --keep-encoder without --residual"):
        TrainConfig(encoder="folder", keep_encoder=True, contrastive=1.0)


def test_the_command_line_takes_a_column_of_groups(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("corpus.csv").write_text(
        "\n".join(["text,of", *(f"{t},{g}" for t, g in zip(CORPUS, GROUPS, strict=True))]) + "\n"
    )
    command = "train corpus.csv -o run --size tiny --vocab-size 300 --max-steps 2 --precision fp32".split()
    command += ["--noise-drop", "0.1", "--group", "of"]
    assert main(command) == 2
    assert "--group is for the contrastive term: set --contrastive above 0" in capsys.readouterr().err
    assert main([*command, "--contrastive", "0.5"]) == 0
    assert main([*command[:-2], "--contrastive", "0.5", "--resume"]) == 3
    assert "it was started with other groups: give the same --group" in capsys.readouterr().err
    Path("holes.jsonl").write_text('{"text": "one", "of": 1}\n{"text": "two"}\n{"text": "three", "of": null}\n')
    assert main("train holes.jsonl -o other --contrastive 1 --group of".split()) == 3
    assert "2 of 3 texts have no group: leave them out of the corpus" in capsys.readouterr().err
