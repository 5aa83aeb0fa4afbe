"""Seeded calls: the same in any thread and any order, with the global generators left alone, and in forked children."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from textvae import Attribute, TextVAE, TrainConfig, shift, train
from textvae.evaluation.fluency import SentenceLM
from textvae.modeling import TextVAEConfig
from textvae.modeling.randomness import generator_of, global_randomness_kept, seeded
from textvae.modeling.sampling import Decoding

TINY = TextVAEConfig.preset("tiny", vocab_size=300)
CALLS = {
    "sample": lambda vae, seed: vae.sample(3, temperature=1.0, seed=seed),
    "sample top_p": lambda vae, seed: vae.sample(3, temperature=0.7, top_p=0.9, seed=seed),
    "decode": lambda vae, seed: vae.decode(np.ones((2, vae.dim)), temperature=1.0, candidates=4, seed=seed),
    "prefixes": lambda vae, seed: vae.decode(np.ones((1, vae.dim)), temperature=1.0, prefixes=["the"], seed=seed),
    "vary": lambda vae, seed: vae.vary("the room was cold", 3, temperature=1.0, seed=seed),
    "likelihood": lambda vae, seed: vae.log_likelihood(["the room", "soup"], num_samples=4, seed=seed).tolist(),
    "prior": lambda vae, seed: vae.prior.sample(3, seed).tolist(),
    "weights": lambda vae, seed: TextVAE.from_texts(["a b"], TINY, seed=seed).fingerprint,
    "judge": lambda vae, seed: judged(SentenceLM(vae.tokenizer, "tiny", dropout=0.1, seed=seed)),
}


def judged(judge):
    return judge.fit(["a b", "c"], 2).nats(["a b"]).tolist()


def global_states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_seeded_call_is_the_same_in_any_thread(small_vae, call):
    alone = [call(small_vae, seed) for seed in range(4)]
    assert len({str(each) for each in alone}) > 1  # the seed matters
    before = global_states()
    jobs = [seed for _ in range(3) for seed in range(4)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda seed: call(small_vae, seed), jobs))
    expected = [alone[seed] for seed in jobs]
    if call is CALLS["judge"]:  # trained weights: the last bits of a sum depend on where its numbers lie in memory
        np.testing.assert_allclose(together, expected, rtol=1e-4)
    else:
        assert together == expected
    assert global_states() == before


def test_shift_is_the_same_in_any_thread(small_vae, sentences):
    attribute = Attribute.fit(small_vae, sentences[:4], sentences[4:], seed=3)

    def job(seed):
        return shift(small_vae, sentences[:2], attribute, candidates=4, seed=seed)

    alone, before = [job(seed) for seed in range(3)], global_states()
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(job, range(3))) == alone
    assert global_states() == before


def test_a_seed_gives_what_the_seeded_global_generator_gives(small_vae):
    latents, options = np.ones((4, small_vae.dim), np.float32), Decoding(temperature=1.0)
    with seeded(5):
        expected = small_vae.write(latents, options)
    assert small_vae.decode(latents, temperature=1.0, seed=5) == expected
    own = generator_of(5, torch.device("cpu"))
    with seeded(5):
        assert torch.equal(torch.rand(9), torch.rand(9, generator=own))
    assert generator_of(None, torch.device("cpu")) is None


def test_training_leaves_the_global_generators_alone(tmp_path, sentences):
    before = global_states()
    options = {"size": "tiny", "vocab_size": 300, "max_steps": 2, "batch_tokens": 128, "noise_drop": 0.1}
    train(sentences * 3, tmp_path / "run", TrainConfig(**options), valid=sentences)
    assert global_states() == before


def test_an_error_restores_the_global_generators():
    before = global_states()
    for block in (global_randomness_kept(), seeded(1)):
        with pytest.raises(KeyError), block:
            torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
            raise KeyError
        assert global_states()[0] == before[0]
    torch.rand(1)
    assert global_states() != before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("work", ["encode", "decode", "index"])
def test_a_forked_child_computes(small_vae, work):
    from textvae import LatentIndex

    texts = [f"the room number {i} was cold and the bread was fresh" for i in range(300)]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        index = LatentIndex.build(small_vae, texts)
        jobs = {
            "encode": lambda: small_vae.encode(texts),
            "decode": lambda: small_vae.sample(20, seed=1, temperature=1.0),
            "index": lambda: index.neighbours(np.ones((300, small_vae.dim)), k=5),
        }
        jobs[work]()
        child = os.fork()
        if child == 0:
            try:
                jobs[work]()
                os._exit(0 if torch.get_num_threads() == 1 else 3)
            finally:
                os._exit(7)
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.05)
        if ended == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert ended != (0, 0), "the child hangs"
        assert os.waitstatus_to_exitcode(ended[1]) == 0
        assert torch.get_num_threads() == 2  # the parent goes on as before
    finally:
        torch.set_num_threads(threads)
