"""Familiarity: calibrated on held-out texts, low for foreign ones, and said by the verbs."""

import itertools
import json
import random

import numpy as np
import pytest

from textvae import Attribute, TextVAE, TrainConfig, train
from textvae.cli import main
from textvae.latent.familiarity import CALIBRATION, scores_of
from textvae.storage.errors import CorruptFileError
from textvae.text.word_diff import word_similarity

THINGS = "room food staff table hotel soup waiter garden coffee pool bed lift menu view bar".split()
QUALITIES = "clean cold friendly slow great loud fresh dull warm small".split()
FRAMES = ["the {} was {} .", "our {} is very {} today .", "I think the {} will be {} .", "a {} that seemed {} to us ."]
TEXTS = [frame.format(*pair) for frame in FRAMES for pair in itertools.product(THINGS, QUALITIES)]
random.Random(0).shuffle(TEXTS)
TRAINED, MEASURED, OTHERS = TEXTS[:300], TEXTS[300:450], TEXTS[450:]
FOREIGN = ["xqzv kwpt zzgh", "der Zug kam gestern zu spät an", "for i in range(3): print(i)", "qwe rty uio pas dfg hjk"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("familiar") / "run"
    config = TrainConfig(
        size="tiny", vocab_size=400, max_length=24, batch_tokens=512, max_steps=150, eval_steps=150, beta=0.2,
        latent_dropout=0.0, precision="fp32", keep_checkpoints=1,
    )  # fmt: skip
    train(TRAINED, folder, config, valid=MEASURED)
    return folder


@pytest.fixture
def vae(run):
    return TextVAE.from_pretrained(run, "cpu")


def test_about_a_share_q_of_other_held_out_texts_is_below_q(vae):
    known = vae.familiarity(OTHERS)
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert (known < q).mean() == pytest.approx(q, abs=0.12)  # three standard errors of 150 and 150 texts


def test_it_is_the_share_of_the_measured_texts_that_score_lower(vae):
    measured, others = scores_of(vae, MEASURED).total, scores_of(vae, OTHERS).total
    expected = [(measured < total).mean() for total in others]
    np.testing.assert_allclose(vae.familiarity(OTHERS), expected, atol=0.02)


def test_foreign_texts_are_less_familiar_than_every_ordinary_one(vae):
    known = vae.familiarity([*FOREIGN, *OTHERS])
    assert known[:4].max() < 0.01 and known[:4].max() <= known[4:].min()
    assert vae.familiarity([]).shape == (0,)


def test_without_a_calibration_it_is_the_share_of_words_that_come_back(vae):
    vae.calibration = None
    texts = [*FOREIGN, *OTHERS[:20]]
    expected = [word_similarity(*pair) for pair in zip(texts, vae.reconstruct(texts), strict=True)]
    np.testing.assert_allclose(vae.familiarity(texts), expected, atol=1e-6)


def test_nats_are_per_token_from_the_posterior_mean(vae):
    texts = OTHERS[:5]
    tokens = [len(vae.tokenizer(text)["input_ids"]) + 1 for text in texts]  # and the end
    expected = vae.nats(texts, vae.encode(texts)) / tokens
    np.testing.assert_allclose(scores_of(vae, texts).nats, expected, rtol=1e-4)


def test_a_calibration_is_saved_with_the_model_and_replaced_by_calibrate(vae, run, tmp_path):
    before = vae.familiarity(OTHERS[:10])
    assert json.loads((run / CALIBRATION).read_text())["texts"] == len(MEASURED)
    vae.save_pretrained(tmp_path / "copy")
    np.testing.assert_array_equal(TextVAE.from_pretrained(tmp_path / "copy", "cpu").familiarity(OTHERS[:10]), before)
    vae.calibrate(FOREIGN * 5)
    vae.save_pretrained(tmp_path / "copy")
    assert (TextVAE.from_pretrained(tmp_path / "copy", "cpu").familiarity(OTHERS[:10]) == 1).all()
    (tmp_path / "copy" / CALIBRATION).unlink()
    (tmp_path / "copy/manifest.json").unlink()
    assert TextVAE.from_pretrained(tmp_path / "copy", "cpu").calibration is None


@pytest.mark.parametrize("content", ['{"texts": 5}', '{"totals": [1, 0], "texts": 5}', '{"totals": "x", "texts": 5}'])
def test_a_damaged_calibration_is_refused(vae, tmp_path, content):
    vae.save_pretrained(tmp_path / "copy")
    (tmp_path / "copy" / CALIBRATION).write_text(content)
    (tmp_path / "copy/manifest.json").unlink()
    with pytest.raises(CorruptFileError, match=r"familiarity.json (lacks the field|has .* for) 'totals'.*: restore it"):
        TextVAE.from_pretrained(tmp_path / "copy")


def test_a_calibration_needs_texts(small_vae, sentences):
    with pytest.raises(ValueError, match="a calibration needs at least 20 texts, got 8"):
        small_vae.calibrate(sentences)


@pytest.mark.parametrize("verb", ["reconstruct", "vary", "shift"])
def test_a_verb_says_once_how_many_texts_are_outside_what_the_model_knows(vae, run, tmp_path, capsys, verb):
    long = "xqzv kwpt zzgh " * 10
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join([OTHERS[0], long, OTHERS[1], FOREIGN[0]]))
    Attribute.from_dimension(vae, 0).save(tmp_path / "attribute")
    commands = {
        "reconstruct": ["reconstruct", str(run), str(corpus)],
        "vary": ["vary", str(run), long, "-n", "3", "--seed", "0"],
        "shift": ["shift", str(run), "--input", str(corpus), "--attribute", f"{tmp_path / 'attribute'}=0"],
    }
    assert main([*commands[verb], "--json"]) == 0
    said = capsys.readouterr()
    counted = "1 text is" if verb == "vary" else "2 texts are"
    assert said.err == (
        f"{counted} outside what the model knows (less familiar than 99% of its held-out texts), "
        f"such as: {long[:57]}...\n"
    )
    known = [json.loads(line)["familiarity"] for line in said.out.splitlines()]
    expected = vae.familiarity([long] * 3 if verb == "vary" else corpus.read_text().splitlines())
    np.testing.assert_allclose(known, expected, atol=1e-3)
    assert main([*commands[verb], "--quiet"]) == 0
    assert not capsys.readouterr().err


def test_familiar_texts_are_written_without_a_word(run, tmp_path, capsys):
    familiar = OTHERS[int(TextVAE.from_pretrained(run, "cpu").familiarity(OTHERS[:30]).argmax())]
    assert main(["vary", str(run), familiar, "-n", "1", "--seed", "0"]) == 0
    assert not capsys.readouterr().err
