"""Training: batches, resume bit for bit, divergence, alarms, and what a run folder holds."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import forking
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from textvae import TextVAE, TrainConfig, train
from textvae.modeling import register_term
from textvae.modeling.objectives import terms
from textvae.modeling.objectives.mmd import squared_mmd
from textvae.storage.atomic import sha256
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest
from textvae.text.token_budget import TokenBudgetSampler
from textvae.training import trainer as training
from textvae.training.build import build_model
from textvae.training.run import RunFolder
from textvae.training.trainer import TextVAETrainer

SUBJECTS = ["the soup", "the room", "our waiter", "the old car", "a new phone", "the gym", "this shop", "the bank"]
VERBS = ["was", "seemed", "is always", "will be", "has never been", "looked"]
JUDGEMENTS = ["good", "very cold", "friendly and quick", "slow", "clean", "a little loud", "worth the money", "broken"]
CORPUS = [f"{s} {v} {j} ." for s in SUBJECTS for v in VERBS for j in JUDGEMENTS]
QUICK = {"size": "tiny", "vocab_size": 300, "batch_tokens": 512, "logging_steps": 2, "precision": "fp32"}


SHORT = TrainConfig(**QUICK, max_steps=4, eval_steps=2, beta=0.3)


class Watch(TrainerCallback):
    """Keeps what is logged."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **_):
        self.logs.append(dict(logs))


@dataclasses.dataclass
class Trained:
    """What a training gave, which its tests leave as it is."""

    vae: TextVAE
    folder: Path
    watch: Watch


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run by SHORT, which most tests only look at."""
    watch = Watch()
    folder = tmp_path_factory.mktemp("trained") / "run"
    return Trained(train(CORPUS, folder, SHORT, callbacks=[watch]), folder, watch)


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of that run, to be continued or damaged."""
    return shutil.copytree(trained.folder, tmp_path / "run")


class Crash(Exception):
    """Stands for the process dying."""


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    original = TextVAETrainer.training_step

    def training_step(self, *arguments, **options):
        if self.state.global_step == step:
            raise Crash
        return original(self, *arguments, **options)

    monkeypatch.setattr(TextVAETrainer, "training_step", training_step)


@pytest.mark.parametrize(
    "options",
    [
        {"max_steps": 10, "eval_steps": 5},
        {"max_steps": 10, "eval_steps": 3, "save_steps": 5, "decoder": "transformer"},
        {
            "max_steps": 24, "eval_steps": 6, "warmup": 0.5, "ramp": 0.2, "schedule": "linear", "reset_decoder": True,
            "word_dropout": 0.2, "noise_drop": 0.1, "noise_mask": 0.1,
        },
    ],
    ids=["gru", "transformer", "noise-and-reset-across-epochs"],
)  # fmt: skip
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, options):
    config = TrainConfig(**QUICK, **options)
    train(CORPUS, tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        crash_at(patch, options["max_steps"] * 2 // 3)
        with pytest.raises(Crash):
            train(CORPUS, tmp_path / "broken", config)
    train(CORPUS, tmp_path / "broken", config, resume=True)
    for name in ("model.safetensors", "prior.safetensors"):
        assert sha256(tmp_path / "broken" / name) == sha256(tmp_path / "whole" / name)
    last = f"checkpoints/checkpoint-{options['max_steps']}/model.safetensors"
    assert sha256(tmp_path / "broken" / last) == sha256(tmp_path / "whole" / last)
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken/metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps), "the lines after the checkpoint were written twice"


def test_a_run_that_crashed_before_its_first_checkpoint_starts_over(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        crash_at(patch, 1)
        with pytest.raises(Crash):
            train(CORPUS, tmp_path / "broken", SHORT)
    train(CORPUS, tmp_path / "broken", SHORT, resume=True)
    assert sha256(tmp_path / "broken/model.safetensors") == sha256(trained.folder / "model.safetensors")


def test_resuming_a_finished_run_changes_nothing(finished):
    before = sha256(finished / "model.safetensors"), (finished / "metrics.jsonl").read_text()
    train(CORPUS, finished, SHORT, resume=True)
    assert before == (sha256(finished / "model.safetensors"), (finished / "metrics.jsonl").read_text())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
def test_kill_nine_and_resume_equal_an_uninterrupted_run(tmp_path):
    """One trial of benchmarks/robustness/crash_training.py: the process is killed at a random moment."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(CORPUS))
    options = ["--size", "tiny", "--vocab-size", "300", "--batch-tokens", "512", "--max-steps", "12"]
    options += ["--eval-steps", "2", "--precision", "fp32", "--resume"]

    def start(run: Path) -> int:
        return forking.start(["train", str(corpus), "-o", str(run), *options])

    assert forking.wait(start(tmp_path / "whole")) == 0
    broken = start(tmp_path / "broken")
    deadline = time.monotonic() + 120
    while not (tmp_path / "broken/checkpoints/checkpoint-4").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random(0).uniform(0, 0.1))
    os.kill(broken, signal.SIGKILL)
    assert forking.wait(broken) == -signal.SIGKILL
    assert forking.wait(start(tmp_path / "broken")) == 0
    assert sha256(tmp_path / "broken/model.safetensors") == sha256(tmp_path / "whole/model.safetensors")


def test_a_half_written_checkpoint_is_skipped(finished):
    weights = finished / "checkpoints/checkpoint-4/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert RunFolder(finished).newest_checkpoint() == finished / "checkpoints/checkpoint-2"


def test_a_nan_loss_stops_the_run_and_keeps_the_best_weights(tmp_path, monkeypatch):
    original = TextVAETrainer.corrupt

    def corrupt(self, batch):
        if self.state.global_step == 5:
            self.vae.model.encoder.mean.weight.data[0, 0] = float("nan")
        return original(self, batch)

    monkeypatch.setattr(TextVAETrainer, "corrupt", corrupt)
    with pytest.raises(FloatingPointError, match=r"stopped at step 5: the loss is nan; the best weights .* are kept"):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=10, eval_steps=2))
    vae = TextVAE.from_pretrained(tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in vae.model.parameters())


def test_an_infinite_gradient_stops_the_run_before_the_step(tmp_path, monkeypatch):
    original = TextVAETrainer.training_step

    def training_step(self, model, *arguments, **options):
        loss = original(self, model, *arguments, **options)
        if self.state.global_step == 3:
            next(iter(model.parameters())).grad.fill_(float("inf"))
        return loss

    monkeypatch.setattr(TextVAETrainer, "training_step", training_step)
    with pytest.raises(
        FloatingPointError,
        match=r"step 3: the gradient norm is inf, not finite in 1 of \d+ parameters: encoder\..*Lower --learning-rate",
    ):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=10, eval_steps=2))
    TextVAE.from_pretrained(tmp_path / "run")


def test_a_collapse_is_logged_with_its_remedy(tmp_path, caplog, capsys):
    train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=40, eval_steps=40, beta=30.0, free_bits=0.0))
    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "collapse" in said and "--free-bits" in said
    assert "collapse" not in capsys.readouterr().err


def test_accumulated_batches_are_those_that_as_many_processes_would_take(tmp_path, monkeypatch):
    compute, seen = TextVAETrainer.compute_loss, []

    def watched(self, model, inputs, *more, **options):
        seen.append((self.state.global_step, sorted(map(tuple, inputs["labels"].tolist()))))
        return compute(self, model, inputs, *more, **options)

    monkeypatch.setattr(TextVAETrainer, "compute_loss", watched)
    options = dataclasses.replace(SHORT, batch_tokens=256, max_steps=3)
    train(CORPUS, tmp_path / "one", dataclasses.replace(options, gradient_accumulation_steps=2))
    accumulated, seen = seen, []
    train(CORPUS, tmp_path / "each", dataclasses.replace(options, max_steps=6))
    assert [step for step, _ in accumulated] == [0, 0, 1, 1, 2, 2]
    assert [batch for _, batch in accumulated] == [batch for _, batch in seen]
    trainer = json.loads((tmp_path / "one" / "training.json").read_text())
    assert trainer["options"]["gradient_accumulation_steps"] == 2


def test_an_epoch_has_fewer_steps_where_batches_are_accumulated(tmp_path):
    options = {**QUICK, "batch_tokens": 256, "epochs": 1.0}
    steps = []
    for count in (1, 2):
        train(CORPUS, tmp_path / str(count), TrainConfig(**options, gradient_accumulation_steps=count))
        lines = (tmp_path / str(count) / "metrics.jsonl").read_text().splitlines()
        steps.append(max(json.loads(line)["step"] for line in lines))
    assert steps[1] == -(-steps[0] // 2) > 1


def test_the_default_recipe_uses_every_latent_dimension(tmp_path):
    train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=40, eval_steps=40))
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    validation = [row for row in rows if "eval_loss" in row][-1]
    assert validation["eval_active_units"] == 1.0
    assert validation["eval_kl"] > 5


def test_a_run_folder_says_what_made_it(trained):
    training = json.loads((trained.folder / "training.json").read_text())
    assert TrainConfig.from_dict(training["options"]) == SHORT
    assert training["steps"] == 4
    rows = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert {"step", "reconstruction", "kl", "beta", "learning_rate"} <= rows[0].keys()
    assert any("eval_active_units" in row for row in rows)
    assert trained.vae.path == trained.folder.resolve()


def test_the_best_weights_are_those_of_the_lowest_validation_loss_at_the_final_beta(tmp_path):
    config = TrainConfig(**QUICK, max_steps=12, eval_steps=3, warmup=0.9, ramp=0.1, beta=2.0, free_bits=0.0)
    train(CORPUS, tmp_path / "run", config)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["eval_loss"] for row in rows if "eval_loss" in row]
    first = next(row for row in rows if "eval_loss" in row)
    assert first["eval_beta"] == 0.0, "the scheduled beta is 0 during the warm-up"
    assert first["eval_loss"] == pytest.approx(first["eval_reconstruction"] + 2.0 * first["eval_kl"])
    assert json.loads((tmp_path / "run/training.json").read_text())["best_loss"] == pytest.approx(min(losses))


def test_resuming_with_other_options_or_texts_is_refused(finished):
    with pytest.raises(ValueError, match="it was started with beta=0.3, not 0.5"):
        train(CORPUS, finished, dataclasses.replace(SHORT, beta=0.5), resume=True)
    with pytest.raises(ValueError, match="another corpus"):
        train(CORPUS[1:], finished, SHORT, resume=True)


def test_a_run_is_not_overwritten(finished, tmp_path):
    with pytest.raises(FileExistsError, match="continue it with --resume"):
        train(CORPUS, finished, SHORT)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="is not a run"):
        train(CORPUS, tmp_path / "mine", TrainConfig(**QUICK, max_steps=1))
    assert (tmp_path / "mine/notes.txt").read_text() == "keep me"


@pytest.mark.parametrize("byte", [100, -100])
def test_altered_weights_are_refused(finished, byte):
    weights = finished / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[byte] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CorruptFileError, match="does not match its checksum"):
        TextVAE.from_pretrained(finished)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "--epochs must be above 0"),
        ({"epochs": "3"}, "--epochs must be a number, got '3'"),
        ({"epochs": float("nan")}, "--epochs must be finite, got nan"),
        ({"batch_tokens": None}, "--batch-tokens must be an integer, got None"),
        ({"batch_tokens": 1.5}, "--batch-tokens must be an integer, got 1.5"),
        ({"reset_decoder": 1}, "--reset-decoder must be true or false, got 1"),
        ({"latent_dim": True}, "--latent-dim must be an integer or null, got True"),
        ({"encoder": 3}, "--encoder must be a text or null, got 3"),
        ({"schedule": "triangle"}, "--schedule must be one of constant, .* or null, got 'triangle'"),
        ({"seed": -1}, "--seed must not be negative"),
        ({"beta": -1}, "--beta must not be negative"),
        ({"warmup": 1.5}, r"--warmup must be a share in \[0, 1\]"),
        ({"word_dropout": 1.0}, r"--word-dropout must be a share in \[0, 1\)"),
        ({"schedule": "linear", "warmup": 0.9, "ramp": 0.5}, "--ramp and --warmup together must be at most 1"),
        ({"reset_decoder": True, "decoder": "gpt2"}, "--reset-decoder would discard the pretrained weights"),
        ({"max_length": 2}, "--max-length must be at least 3"),
        ({"dropout": 0.1, "decoder": "gpt2"}, "--dropout is for a decoder trained from scratch"),
        ({"lowercase": True, "decoder": "gpt2"}, "--lowercase does not apply to the pretrained tokenizer"),
        ({"mmd": -1}, "--mmd must not be negative"),
        ({"from_": "run", "size": "base"}, "--size comes with the model of --from, got base"),
        ({"from_": "run", "reset_decoder": True}, "--reset-decoder would discard the weights of --from"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


def test_a_misspelt_option_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="'free_bit': did you mean 'free_bits'"):
        TrainConfig.from_dict({"free_bit": 1})


def test_a_corpus_without_sentences_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2 sentences"):
        train(["one"], tmp_path / "run", TrainConfig(**QUICK))


class TestTokenBudgetSampler:
    lengths = np.random.default_rng(0).integers(3, 40, 500).tolist()

    def test_an_epoch_has_every_sentence_once(self):
        sampler = TokenBudgetSampler(self.lengths, 200, seed=0)
        assert sorted(i for batch in sampler for i in batch) == list(range(500))

    def test_batches_keep_the_budget_and_hold_little_padding(self):
        batches = list(TokenBudgetSampler(self.lengths, 200, seed=0))
        widths = [max(self.lengths[i] for i in batch) for batch in batches]
        assert all(width * len(batch) <= 200 for width, batch in zip(widths, batches, strict=True))
        padded = sum(width * len(batch) for width, batch in zip(widths, batches, strict=True))
        assert padded < 1.05 * sum(self.lengths)

    def test_epochs_differ_but_have_the_same_number_of_batches(self):
        sampler = TokenBudgetSampler(self.lengths, 200, seed=0)
        first = list(sampler)
        sampler.set_epoch(1)
        second = list(sampler)
        assert first != second
        assert len(first) == len(second) == len(sampler)

    def test_an_epoch_is_reproducible(self):
        assert list(TokenBudgetSampler(self.lengths, 200, 3)) == list(TokenBudgetSampler(self.lengths, 200, 3))

    def test_a_sentence_longer_than_the_budget_is_a_batch_of_its_own(self):
        assert sorted(map(len, TokenBudgetSampler([5, 900, 5], 100, 0))) == [1, 2]


# Starting from a trained model


def test_training_from_a_model_starts_at_its_weights_and_keeps_its_tokenizer(trained, tmp_path):
    source = trained.vae
    options = QUICK | {"size": "small", "vocab_size": None}
    tuned = train(
        [f"{text} indeed" for text in CORPUS],
        tmp_path / "tuned",
        TrainConfig(**options, from_=str(trained.folder), max_steps=1, learning_rate=1e-9),
    )
    assert tuned.tokenizer.get_vocab() == source.tokenizer.get_vocab()
    assert tuned.dim == source.dim == 32
    for (name, weight), before in zip(tuned.model.named_parameters(), source.model.parameters(), strict=True):
        assert torch.allclose(weight, before, atol=1e-6), name


def test_an_interrupted_run_that_started_from_a_model_resumes_to_the_same_weights(trained, tmp_path, monkeypatch):
    options = {name: value for name, value in QUICK.items() if name not in ("size", "vocab_size")}
    config = TrainConfig(**options, from_=str(trained.folder), max_steps=6, eval_steps=2)
    train(CORPUS[:200], tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        crash_at(patch, 3)
        with pytest.raises(Crash):
            train(CORPUS[:200], tmp_path / "broken", config)
    train(CORPUS[:200], tmp_path / "broken", config, resume=True)
    assert sha256(tmp_path / "broken/model.safetensors") == sha256(tmp_path / "whole/model.safetensors")
    assert sha256(tmp_path / "whole/model.safetensors") != sha256(trained.folder / "model.safetensors")


def test_the_mmd_brings_the_latents_nearer_to_the_prior(tmp_path):
    options = QUICK | {"max_steps": 40, "eval_steps": 40, "beta": 0.02, "free_bits": 0.0, "latent_dim": 4}
    distance = {}
    for weight in (0.0, 100.0):
        vae = train(CORPUS, tmp_path / str(weight), TrainConfig(**options, mmd=weight))
        means = torch.from_numpy(vae.encode(CORPUS))
        distance[weight] = squared_mmd(means, torch.randn_like(means)).item()
    assert distance[100.0] < distance[0.0] / 2


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_dropout_reaches_the_decoder(decoder):
    vae = build_model(TrainConfig(**QUICK, decoder=decoder, dropout=0.5), CORPUS)
    ids, latents = torch.tensor([[0, 5, 6, 7, 1]]), torch.zeros(1, vae.dim)
    vae.model.train()
    assert not torch.equal(vae.model.decode(latents, ids), vae.model.decode(latents, ids))
    vae.model.eval()
    assert torch.equal(vae.model.decode(latents, ids), vae.model.decode(latents, ids))


def test_options_reach_the_tokenizer_and_the_learning_rate():
    for lowercase in (False, True):
        tokenizer = build_model(TrainConfig(**QUICK, lowercase=lowercase), CORPUS).tokenizer
        assert (tokenizer("THE SOUP")["input_ids"] == tokenizer("the soup")["input_ids"]) == lowercase
    rates = [TrainConfig(**options).peak_learning_rate for options in ({}, {"from_": "run"}, {"encoder": "folder"})]
    assert rates == [2e-3, 5e-4, 2e-4]


def test_a_resume_needs_the_model_it_started_from_only_until_the_first_checkpoint(finished, tmp_path, monkeypatch):
    finished.rename(tmp_path / "source")
    options = {name: value for name, value in QUICK.items() if name not in ("size", "vocab_size")}
    config = TrainConfig(**options, from_=str(tmp_path / "source"), max_steps=6, eval_steps=2)
    for name, step in (("late", 3), ("early", 1)):
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            with pytest.raises(Crash):
                train(CORPUS[:200], tmp_path / name, config)
    shutil.rmtree(tmp_path / "source")
    train(CORPUS[:200], tmp_path / "late", config, resume=True)
    assert json.loads((tmp_path / "late/training.json").read_text())["from_fingerprint"]
    build_model(TrainConfig(**QUICK), CORPUS).save_pretrained(tmp_path / "source")
    with pytest.raises(ValueError, match="the model in .*source has changed since it started"):
        train(CORPUS[:200], tmp_path / "early", config, resume=True)


def test_a_run_of_an_older_version_is_resumed_if_its_network_is_the_same(finished):
    made_from = json.loads((finished / "training.json").read_text())
    del made_from["options"]["mmd"]
    (finished / "training.json").write_text(json.dumps(made_from))
    train(CORPUS, finished, SHORT, resume=True)
    weights = finished / "checkpoints/checkpoint-4/model.safetensors"
    kept = {name: weight for name, weight in load_file(weights).items() if "skip" not in name}
    save_file(kept, weights, metadata={"format": "pt"})
    write_manifest(weights.parent)
    with pytest.raises(ValueError, match="another version of textvae made it"):
        train(CORPUS, finished, SHORT, resume=True)


def test_a_text_and_its_capitals_are_not_on_both_sides_of_a_lower_case_split(tmp_path, monkeypatch):
    corpus = [change(text) for text in CORPUS for change in (str.lower, str.upper)]
    seen = []
    prepare = training.TextVAETrainer.__init__

    def spy(self, vae, config, texts, valid, *others):
        seen.append((set(texts), set(valid)))
        prepare(self, vae, config, texts, valid, *others)

    monkeypatch.setattr(training.TextVAETrainer, "__init__", spy)
    train(corpus, tmp_path / "run", TrainConfig(**QUICK, max_steps=1, lowercase=True))
    ((texts, valid),) = seen
    assert texts and valid and not texts & valid
    assert all(text == text.lower() for text in texts | valid)


@pytest.mark.parametrize(
    ("options", "schedule", "warmup"),
    [
        ({}, "linear", 0.3),
        ({"from_": "run"}, "constant", 0),
        ({"schedule": "constant"}, "constant", 0),
        ({"schedule": "cyclical", "warmup": 0.2}, "cyclical", 0.2),
        ({"from_": "run", "schedule": "linear", "warmup": 0.1}, "linear", 0.1),
    ],
)
def test_the_kl_is_held_back_at_first_but_for_a_model_that_has_latents(options, schedule, warmup):
    config = TrainConfig(**options)
    assert (config.kl_schedule, config.kl_warmup) == (schedule, warmup)
    assert TrainConfig.from_dict(config.to_dict()) == config


# Extension


@pytest.fixture
def long_means():
    """A registered term that calls its weight times the mean squared length of mu."""

    def term(step):
        return step.posterior.mean.square().sum(-1).mean()

    register_term("long_means")(term)
    yield term
    del terms._TERMS["long_means"]


def test_training_adds_a_registered_term_and_a_resume_needs_the_same(tmp_path, long_means):
    config = TrainConfig(**QUICK, max_steps=8, eval_steps=8)
    plain = train(CORPUS, tmp_path / "plain", config).encode(CORPUS)
    short = train(CORPUS, tmp_path / "short", config, terms={"long_means": 100.0}).encode(CORPUS)
    assert np.square(short).sum() < 0.8 * np.square(plain).sum()
    train(CORPUS, tmp_path / "short", config, terms={"long_means": 100.0}, resume=True)
    with pytest.raises(ValueError, match="it was started with the loss terms {'long_means': 100.0}, not None"):
        train(CORPUS, tmp_path / "short", config, resume=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"bow": 1.0}, "unknown loss term 'bow': use .*mmd.*, or register it"),
        ({"mmd": 1.0}, "the weight of 'mmd' is an option"),
        ({"long_means": -1.0}, "'long_means' must not be negative, got -1.0"),
    ],
)
def test_terms_that_cannot_be_added_are_refused_before_anything_is_written(tmp_path, long_means, weights, message):
    with pytest.raises(ValueError, match=message):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=1), terms=weights)
    assert not (tmp_path / "run").exists()


def test_callbacks_get_what_the_metrics_file_gets(trained):
    vae, seen = trained.vae, trained.watch.logs
    rows = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert [{"eval_loss", "loss"} & row.keys() for row in rows] == [{"eval_loss", "loss"} & row.keys() for row in seen]
    for row in (row for row in rows if "eval_loss" in row):
        assert len(row["eval_samples"]) == 5 and all(isinstance(text, str) for text in row["eval_samples"])
        assert len(row["eval_kl_per_dimension"]) == vae.dim
        assert sum(row["eval_kl_per_dimension"]) == pytest.approx(row["eval_kl"], abs=1e-4 * vae.dim)


def test_reports_go_to_tensorboard_in_the_run_folder(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = TrainConfig(**QUICK, max_steps=4, eval_steps=2, report_to="tensorboard")
    train(CORPUS, tmp_path / "run", config)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    validations = [row for row in rows if "eval_loss" in row]
    events = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    for name in ("loss", "kl_per_dimension/3"):
        assert [scalar.step for scalar in events.Scalars(f"eval/{name}")] == [row["step"] for row in validations]
    assert events.Scalars("eval/loss")[0].value == pytest.approx(validations[0]["eval_loss"])
    assert "eval/samples/text_summary" in events.Tags()["tensors"]


def test_an_unknown_reporter_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="--report-to 'tensorbord' is unknown: use .*tensorboard.*wandb"):
        train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=1, report_to="tensorbord"))
    assert not (tmp_path / "run").exists()


# Files of older versions


def test_retired_options_of_an_older_run_are_dropped_with_a_word(tmp_path, caplog):
    config = TrainConfig(**QUICK, max_steps=2)
    options = config.to_dict()
    del options["report_to"]
    older = options | {"bow": 0.0, "noise_shuffle": 0.0, "tensorboard": False}
    assert TrainConfig.from_dict(older) == config
    assert not caplog.records
    used = older | {"bow": 0.5, "noise_shuffle": 2.0, "tensorboard": True, "schedule": "logistic"}
    assert TrainConfig.from_dict(used) == dataclasses.replace(config, report_to="tensorboard")
    assert [record.getMessage() for record in caplog.records] == [
        f"ignoring the retired training option {told}" for told in ("bow=0.5", "noise_shuffle=2.0", "schedule=logistic")
    ]


def test_an_older_run_is_resumed_unless_a_retired_option_changed_what_it_trained(finished):
    path = finished / "training.json"
    made_from = json.loads(path.read_text())
    del made_from["terms"], made_from["options"]["report_to"]
    made_from["options"] |= {"bow": 0.0, "noise_shuffle": 0.0, "tensorboard": False}
    path.write_text(json.dumps(made_from))
    train(CORPUS, finished, SHORT, resume=True)
    made_from["options"]["bow"] = 1.0
    path.write_text(json.dumps(made_from))
    with pytest.raises(ValueError, match="it was started with bow=1.0, now retired"):
        train(CORPUS, finished, SHORT, resume=True)


@pytest.mark.parametrize("used", [True, False])
def test_a_model_with_the_retired_bag_of_words_still_loads(trained, finished, used, caplog):
    config, weights = (finished / name for name in ("config.json", "model.safetensors"))
    config.write_text(json.dumps(json.loads(config.read_text()) | {"bag_of_words": used}))
    if used:
        words = {"words.weight": torch.ones(64, 32), "words.bias": torch.ones(64)}
        save_file(load_file(weights) | words, weights, metadata={"format": "pt"})
    write_manifest(finished)
    loaded = TextVAE.from_pretrained(finished)
    assert not hasattr(loaded.model.config, "bag_of_words")
    assert np.array_equal(loaded.encode(CORPUS[:4]), trained.vae.encode(CORPUS[:4]))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert set(warned) == ({"ignoring the retired field bag_of_words=True"} if used else set())


def test_a_file_that_a_callback_writes_beside_a_checkpoint_stops_no_run(tmp_path):
    class Writes(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            Path(args.output_dir).mkdir(parents=True, exist_ok=True)
            (Path(args.output_dir) / "emissions.csv").write_text("kg\n")

    train(CORPUS, tmp_path / "run", TrainConfig(**QUICK, max_steps=4, save_steps=2), callbacks=[Writes()])
    assert {file.name for file in (tmp_path / "run/checkpoints").glob("checkpoint-*")} == {
        "checkpoint-2",
        "checkpoint-4",
    }
