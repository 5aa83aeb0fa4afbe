"""The training of the English model: its corpus, its loop, and what a kill at any moment leaves."""

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from textvae import TextVAE
from textvae.storage.atomic import sha256
from textvae.text.corpus import read_corpus
from textvae.text.tokenizers import train_tokenizer, wrap

ROOT = Path(__file__).parents[2]
STEPS, KILLS = 36, 10


@pytest.fixture(scope="module")
def scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        import english_corpus
        import english_loop
        import english_measure
        import train_english
    return {m.__name__: m for m in (english_corpus, english_loop, english_measure, train_english)}


@pytest.fixture(scope="module")
def texts():
    return list(read_corpus(ROOT / "data" / "valid.tsv", column="text"))[:400]


def loop_in(scripts, folder, texts, steps=STEPS, **changes):
    """Return a loop of a small recipe, seeded as the script does it."""
    english_loop = scripts["english_loop"]
    options = {
        "hidden_size": 32, "num_heads": 2, "gru_hidden_size": 32, "vocab_size": 320, "latent_dim": 16, "slot_dim": 8,
        "batch_tokens": 256, "warmup_steps": 5, "average": 10, "drop": 0.05, "latent_dropout": 0.1, "tie": True,
        "encoder_first": 0.2,
    }  # fmt: skip
    recipe = english_loop.Recipe(**(options | changes))
    tokenizer = train_tokenizer(texts, recipe.vocab_size)
    config = recipe.config(len(tokenizer))
    torch.manual_seed(recipe.seed)
    model = english_loop.TextVAEModel(config)
    model.set_attn_implementation("eager")
    teacher = np.random.default_rng(0).standard_normal((len(texts) // 2, 16)).astype(np.float16)
    tokens = english_loop.Tokens(wrap(tokenizer, texts, config), torch.device("cpu"), config.pad_token_id, teacher)
    return english_loop.Loop(recipe, model.train(), tokens, folder, english_loop.Budget(steps=steps)), tokenizer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
def test_killed_ten_times_and_resumed_it_ends_with_the_weights_of_an_uninterrupted_run(scripts, texts, tmp_path):
    """A child is forked for each attempt, so that no kill waits for imports; each second one hits a save."""
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()

    def child(name: str) -> int:
        if pid := os.fork():
            return pid
        code = 1
        try:
            loop, _ = loop_in(scripts, tmp_path / name, texts)
            for _ in range(2):
                loop.run(lambda loop: None, every=1e9, save_every=0.0)  # a save after every step
            code = 0
        finally:
            os._exit(code)

    state = tmp_path / "broken" / "checkpoint" / "state.json"

    def saved_step() -> int:
        while True:
            try:
                return json.loads(state.read_text())["step"] if state.exists() else 0
            except FileNotFoundError:  # the writer is between its two renames
                continue

    assert os.waitpid(child("whole"), 0)[1] == 0
    resumed_from, generator = 0, random.Random(0)
    for kill in range(KILLS):
        resumed_from = max(resumed_from, saved_step())
        pid = child("broken")
        goal = (kill + 1) * (STEPS // (KILLS + 2))
        in_save = kill % 2 == 1  # each second kill waits until a save is under way
        while saved_step() < goal or (in_save and not any((tmp_path / "broken").glob(".staged-*"))):
            assert not os.waitpid(pid, os.WNOHANG)[0], "a resumed run ended before it could be killed"
            time.sleep(0.001)  # a save takes longer
        if not in_save:
            time.sleep(generator.random() * 0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert os.waitpid(child("broken"), 0)[1] == 0
    assert resumed_from > 0
    whole, broken = (tmp_path / name / "checkpoint" for name in ("whole", "broken"))
    assert sha256(whole / "state.safetensors") == sha256(broken / "state.safetensors")


def test_a_checkpoint_of_another_recipe_or_corpus_is_refused(scripts, texts, tmp_path):
    loop_in(scripts, tmp_path, texts)[0].save()
    with pytest.raises(ValueError, match="is of another recipe"):
        loop_in(scripts, tmp_path, texts, slot_dim=4)
    with pytest.raises(ValueError, match="was trained on other sentences"):
        loop_in(scripts, tmp_path, texts[:-1])


@pytest.mark.parametrize(("every", "save_every"), [(1e9, 1e9), (1e9, 0.0), (0.0, 1e9)])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(scripts, texts, tmp_path, every, save_every):
    loop, _ = loop_in(scripts, tmp_path, texts, steps=12)
    loop.save()
    before = sha256(tmp_path / "checkpoint" / "state.safetensors")
    with torch.no_grad():
        loop.model.decoder.embedding.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite at step"):
        loop.run(lambda loop: pytest.fail("reported"), every=every, save_every=save_every)
    assert sha256(tmp_path / "checkpoint" / "state.safetensors") == before


def test_the_reported_model_has_the_averaged_weights_and_loads_as_a_run(scripts, texts, tmp_path):
    loop, tokenizer = loop_in(scripts, tmp_path, texts, steps=30)
    reports = []
    loop.run(lambda loop: reports.append(loop.take_recent()), every=1e9, save_every=1e9)
    assert loop.step == 30 and loop.progress == 1
    assert all(np.isfinite(list(reports[-1].values())))
    scripts["train_english"].save_run(loop.averaged_model(), tokenizer, tmp_path / "model")
    loaded = TextVAE.from_pretrained(tmp_path / "model", "cpu")
    for name, value in loaded.model.named_parameters():
        assert torch.equal(value, loop.averaged[name]), name
    assert not torch.equal(loop.averaged["decoder.gru.bias_hh_l0"], loop.model.decoder.gru.bias_hh_l0)


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_muon_trains_the_matrices_between_layers(scripts, texts, tmp_path, decoder):
    loop, _ = loop_in(scripts, tmp_path, texts, steps=8, muon=True, decoder=decoder)
    named = {id(p): name for name, p in loop.model.named_parameters()}
    inner = {named[id(p)] for group in loop.optimizers[1].param_groups for p in group["params"]}
    assert inner and not any(word in name for name in inner for word in ("embed", "wte", "wpe"))
    everything = [named[id(p)] for o in loop.optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(everything) == sorted(named.values())
    loop.run(lambda loop: None, every=1e9, save_every=1e9)


def test_the_encoder_alone_is_trained_first(scripts, texts, tmp_path):
    options = {"steps": 60, "encoder_first": 0.5, "tie": False, "weight_decay": 0.0}
    loop, _ = loop_in(scripts, tmp_path, texts, **options)
    loop.tokens.teacher.fill_(0.25)  # one direction for all texts
    before = {name: value.detach().clone() for name, value in loop.model.named_parameters()}
    losses = []
    for i, chosen in enumerate(loop._batches()):
        if i == 30:
            break
        loop._train_step(chosen)
        losses.append(loop.recent[-1][0].item())
    changed = {name for name, value in loop.model.named_parameters() if not torch.equal(value, before[name])}
    assert "encoder.mean.weight" in changed
    assert not any(name.startswith(("decoder", "encoder.slots", "encoder.log_std")) for name in changed)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert loop.whole_from is None
    loop._train_step(next(loop._batches()))
    assert loop.whole_from == 30
    assert not torch.equal(loop.model.decoder.gru.bias_hh_l0, before["decoder.gru.bias_hh_l0"])
    for name, value in loop.model.named_parameters():  # the average begins anew with the whole network
        assert torch.equal(loop.averaged[name], value), name
    loop.save()
    assert loop_in(scripts, tmp_path, texts, **options)[0].whole_from == 30


def test_the_decoder_alone_is_trained_on(scripts, texts, tmp_path):
    loop, _ = loop_in(scripts, tmp_path, texts, encoder_first=0.0, decoder_only=True, coverage=True)
    before = {name: value.detach().clone() for name, value in loop.model.named_parameters()}
    for chosen in itertools.islice(loop._batches(), 5):
        loop._train_step(np.asarray(chosen))
    moved = {name for name, value in loop.model.named_parameters() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)
    assert "decoder.covered.weight" in moved
    loop.save()
    resumed, _ = loop_in(scripts, tmp_path, texts, encoder_first=0.0, decoder_only=True, coverage=True)
    assert all(torch.equal(v, dict(loop.model.named_parameters())[n]) for n, v in resumed.model.named_parameters())


def test_a_batch_is_the_sentences_with_the_teacher_where_it_is_known(scripts, texts, tmp_path):
    loop, _ = loop_in(scripts, tmp_path, texts)
    batch = loop.tokens.batch(np.array([3, 350, 7]))
    for row, i in enumerate((3, 350, 7)):
        length = int(loop.tokens.lengths[i])
        start = int(loop.tokens.starts[i])
        assert batch["labels"][row, :length].tolist() == loop.tokens.flat[start : start + length].tolist()
        assert (batch["labels"][row, length:] == -100).all() and (batch["attention_mask"][row, length:] == 0).all()
    assert batch["teacher"].isfinite().all(1).tolist() == [True, False, True]


def test_what_is_written_back_is_scored_against_the_sentences(scripts, texts, tmp_path, monkeypatch):
    measure = scripts["english_measure"]
    for module in (
        "textvae.modeling.precision",
        "english_measure",
    ):  # an untrained model's ties in bf16
        monkeypatch.setattr(sys.modules[module], "has_bf16", lambda device: False)
    assert measure.bleu(texts, texts) == pytest.approx(100)
    assert measure.exact(["a", "b"], ["a", "c"]) == 0.5
    assert measure.repeating(["it was was cold", "the cat and the cat", "one of the many", "a b a", ""]) == 2 / 5
    loop, tokenizer = loop_in(scripts, tmp_path, texts)
    model = loop.averaged_model()
    texts = [text for text in texts if len(tokenizer(text)["input_ids"]) < 60][:20]
    rows = wrap(tokenizer, texts, model.config)
    written = measure.write_back(model, tokenizer, rows)
    assert written.sources == texts
    vae = TextVAE(model, tokenizer)
    assert written.back == vae.reconstruct(texts)
    assert written.alone == vae.decode(vae.encode(texts), repetition_penalty=1, no_repeat_ngram_size=0)
    assert 0 < written.loss[0] < 20
    scores = written.scores(lambda texts: np.array([[1.0, len(text) == 0] for text in texts]))
    assert scores["bleu"] == measure.bleu(written.back, texts)
    assert scores["cosine_alone"] == 1
    assert "bleu_15_24" in scores
    few = [i for i, text in enumerate(texts) if len(text.split()) < 15][:2]
    short = measure.Written(*([part[i] for i in few] for part in [texts] * 4), loss=(1.0, 2.0))
    assert short.scores()["exact"] == 1 and "bleu_15_24" not in short.scores()


# The corpus


@pytest.mark.parametrize(
    ("options", "message"),
    [(["slots=3"], "unknown option"), (["tie=True"], "tie must be like false, got 'True'"), (["seed=x"], "like 0")],
)
def test_options_of_a_recipe_that_are_not_understood_are_refused(scripts, options, message):
    train_english = scripts["train_english"]
    base = scripts["english_loop"].Recipe()
    assert train_english.read_recipe(["tie=true", "beta=0.5", "hidden_size=64"], base).hidden_size == 64
    with pytest.raises(SystemExit, match=message):
        train_english.read_recipe(options, base)


def test_held_out_captions_are_of_other_pictures(scripts, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "letters.txt").write_text("\n".join(f"A letter to {'z' * i}." for i in range(1, 600)))
    (tmp_path / "multi30k").mkdir()
    for part in ("train", "valid", "test"):
        lines = [f"{i}\tThe {part} shows {'q' * (i + 1)} and {c}." for i in range(120) for c in "abcde"]
        (tmp_path / "multi30k" / f"{part}.tsv").write_text("\n".join(lines))
    corpus = scripts["english_corpus"].read_mixture(tmp_path)
    captions = [text for text in corpus.train if text.startswith("The")]
    assert captions and all("train" in text for text in captions)
    assert len(corpus.dev["multi30k"]) == len(corpus.test["multi30k"]) == 120  # one of each picture
    assert all("valid" in text for text in corpus.dev["multi30k"])
    assert all("test" in text for text in corpus.test["multi30k"])


def test_every_source_is_held_out_of_and_no_sentence_is_in_two_parts(scripts, tmp_path):
    corpus = scripts["english_corpus"]
    folder = tmp_path / "data" / "corpus"
    folder.mkdir(parents=True)
    for name in ("counsel_chat", "letters"):
        lines = [f"The {name} said that number {'x' * i} was fine." for i in range(1, 900)]
        (folder / f"{name}.txt").write_text("\n".join([*lines, lines[0].upper(), "too short"]))
    mixture = corpus.read_mixture(tmp_path / "data")
    assert {name: len(part) for name, part in mixture.dev.items()} == {"counsel_chat": 200, "letters": 200}
    parts = [mixture.train, *mixture.dev.values(), *mixture.test.values()]
    everything = [text for part in parts for text in part]
    assert len(everything) == len({text.lower() for text in everything}) == 899 + 400
    assert len(mixture.train) == 499 and not any("counsel_chat" in text for text in mixture.train)
    corpus.write_pack(mixture, tmp_path / "pack")
    packed = corpus.read_corpus(tmp_path / "pack")
    assert sorted(packed.train) == sorted(mixture.train)
    assert (packed.dev, packed.test) == (mixture.dev, mixture.test)


def test_tokenised_sources_get_the_punctuation_and_capitals_that_people_write(scripts):
    corpus = scripts["english_corpus"]
    assert corpus.joined("i did n't like it , sorry !") == "i didn't like it, sorry!"
    assert corpus._capitals("i think i'm fine, i.e. well") == "I think I'm fine, i.e. well"


# The teacher


def test_a_packed_teacher_has_nearly_its_weights(scripts, tmp_path):
    from safetensors.numpy import load_file, save_file

    corpus = scripts["english_corpus"]
    weights = {"matrix": np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32), "bias": np.ones(3)}
    (tmp_path / "teacher").mkdir()
    save_file(weights, tmp_path / "teacher" / "model.safetensors")
    (tmp_path / "teacher" / "config.json").write_text("{}")
    corpus.pack_teacher(tmp_path / "teacher", tmp_path / "packed")
    whole = corpus.unpack_teacher(tmp_path / "packed", tmp_path / "whole")
    loaded = load_file(whole / "model.safetensors")
    assert sorted(loaded) == ["bias", "matrix"] and (whole / "config.json").exists()
    np.testing.assert_allclose(loaded["matrix"], weights["matrix"], atol=0.02)
    np.testing.assert_array_equal(loaded["bias"], weights["bias"])
