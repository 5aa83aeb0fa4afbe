"""A run has one trainer: a second is refused at once, and variables of other jobs make nobody wait."""

import os

import pytest
from transformers import TrainerCallback

from textvae import TextVAE, TrainConfig, train
from textvae.storage.locks import only_writer
from textvae.training.environment import NAMES, single_process

QUICK = {"size": "tiny", "vocab_size": 300, "batch_tokens": 256, "max_steps": 4, "eval_steps": 2}


class Meanwhile(TrainerCallback):
    """Calls something after the second step."""

    def __init__(self, call):
        self.call = call

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 2:
            self.call()


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_training_is_refused_and_leaves_the_first_alone(tmp_path, sentences, resume):
    run, config, refused = tmp_path / "run", TrainConfig(**QUICK), []

    def meanwhile():
        before = sorted(run.rglob("*"))
        with pytest.raises(BlockingIOError, match="is writing .*run: wait until it has finished") as error:
            train(sentences * 3, run, config, valid=sentences, resume=resume)
        assert sorted(run.rglob("*")) == before
        refused.append(str(error.value))
        with pytest.raises(BlockingIOError):
            TextVAE.from_texts(sentences, TextVAE.from_pretrained(run).model.config).save_pretrained(run)

    train(sentences * 3, run, config, valid=sentences, callbacks=[Meanwhile(meanwhile)])
    assert len(refused) == 1
    steps = [line for line in (run / "metrics.jsonl").read_text().splitlines() if "eval_loss" in line]
    assert len(steps) == 2


def test_a_trained_model_can_be_saved_into_its_run(tmp_path, sentences):
    vae = train(sentences * 3, tmp_path / "run", TrainConfig(**QUICK), valid=sentences)
    vae.fit_prior(sentences * 3)
    vae.save_pretrained(tmp_path / "run")
    assert {"training.json", "metrics.jsonl", "checkpoints"} <= {file.name for file in (tmp_path / "run").iterdir()}
    resumed = train(sentences * 3, tmp_path / "run", TrainConfig(**QUICK), valid=sentences, resume=True)
    assert resumed.fingerprint == vae.fingerprint


def test_a_run_behind_a_link_is_the_run(tmp_path, sentences):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "run", target_is_directory=True)
    with only_writer(tmp_path / "far" / "run"), pytest.raises(BlockingIOError):
        train(sentences * 3, tmp_path / "link", TrainConfig(**QUICK), valid=sentences)
    train(sentences * 3, tmp_path / "link", TrainConfig(**QUICK), valid=sentences)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "run" / "model.safetensors").exists()


LEFT = [
    {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
    {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
    {"PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALRANKID": "0"},
]


@pytest.mark.parametrize("left", LEFT, ids=["torchrun", "OpenMPI", "MPICH"])
def test_variables_of_other_jobs_are_hidden_named_and_put_back(monkeypatch, caplog, left):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    with single_process():
        assert not NAMES & set(os.environ)
        assert os.environ.get("MASTER_ADDR") == left.get("MASTER_ADDR")
    assert left.items() <= dict(os.environ).items()
    size = next(f"{name}={value}" for name, value in left.items() if name.endswith("SIZE"))
    assert f"training runs in one process: {size} is ignored" in caplog.text


def test_training_waits_for_no_other_process(tmp_path, sentences, monkeypatch):
    for name, value in LEFT[0].items():
        monkeypatch.setenv(name, value)
    train(sentences * 3, tmp_path / "run", TrainConfig(**QUICK), valid=sentences)
    assert (tmp_path / "run" / "model.safetensors").exists()
