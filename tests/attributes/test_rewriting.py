"""Rewrites: their scores against oracles, their filters and ranks, the files, and the writability of attributes."""

import csv
import dataclasses
import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from textvae import Attribute, TextVAE, shift
from textvae.attributes import rewrite, with_writability, writability
from textvae.attributes.rewriting import COLUMNS, Rewriter
from textvae.cli import main
from textvae.latent.naturalness import Naturalness
from textvae.latent.priors import StandardNormal
from textvae.latent.statistics import LatentStatistics
from textvae.text.word_diff import word_overlap

MODEL = Path(__file__).parents[2] / "tests/data/version_0_1_0/small"
TEXTS = ["the waiter was rude.", "the screen is dim.", "the soup was cold and the bread was fresh."]


@pytest.fixture(scope="module", autouse=True)
def few_contexts():
    """Predictions are averaged over fewer texts than in use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.latent.naturalness.CONTEXTS", 32)
        yield


@pytest.fixture(scope="module")
def vae():
    return TextVAE.from_pretrained(MODEL, "cpu")


@pytest.fixture(scope="module")
def natural(vae):
    return Naturalness(vae)


@pytest.fixture(scope="module")
def attribute(vae):
    good = [f"the {thing} was {how}." for thing in ("staff", "food", "room") for how in ("great", "friendly", "lovely")]
    bad = [f"the {thing} was {how}." for thing in ("staff", "food", "room") for how in ("awful", "rude", "dreadful")]
    return Attribute.fit(vae, good, bad, name="praise", probe="means")


def test_word_overlap_is_bleu_with_smoothing():
    assert word_overlap("a b c d", "a b c d") == 1.0
    assert word_overlap("a b", "c d") == 0.0 and word_overlap("", "a") == 0.0 and word_overlap("", "") == 1.0
    # precisions 3/4, (2+1)/(3+1), (1+1)/(2+1), (0+1)/(1+1)
    assert word_overlap("a b c d", "a b c x") == pytest.approx((3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    assert word_overlap("a b c d", "a b") == pytest.approx(np.exp(1 - 4 / 2))  # the brevity penalty alone
    bleu = pytest.importorskip("sacrebleu").metrics.BLEU(
        smooth_method="add-k", smooth_value=1, tokenize="none", effective_order=True
    )
    source, text = "the food here was not very good", "the food was not good at all today"
    assert word_overlap(source, text) == pytest.approx(bleu.sentence_score(text, [source]).score / 100, rel=1e-6)


def test_naturalness_is_slor(vae, natural):
    text = TEXTS[0]
    (ids,) = vae.decoder_rows([text])
    with torch.no_grad():
        logits = vae.model.decode(torch.zeros(1, vae.dim), torch.tensor([ids]))[0, :-1].float()
    likely = logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]].sum().item()
    assert np.exp(natural.unigrams).sum() == pytest.approx(1, abs=1e-3)
    expected = (likely - natural.unigrams[ids[1:]].sum()) / (len(ids) - 1)
    assert natural([text])[0] == pytest.approx(expected, rel=0.02)
    assert natural([]).shape == (0,)


def test_texts_are_more_natural_than_their_words_in_another_order(natural):
    words = [text.split() for text in TEXTS]
    shuffled = [" ".join(random.Random(1).sample(each, len(each))) for each in words]
    assert (natural(TEXTS) > natural(shuffled) + 1).all()


def test_scores_are_what_they_say(vae, natural, attribute):
    found = rewrite(vae, TEXTS, attribute, 1.0, n=4)
    assert [each.source for each in found] == [text for text in TEXTS for _ in range(4)]
    for each in found:
        latents = vae.encode([each.source, each.text])
        assert each.similarity == pytest.approx(float(vae.similarity(latents[0], latents[1])), abs=1e-3)
        assert each.overlap == word_overlap(each.source, each.text)
        assert each.naturalness == pytest.approx(natural([each.text])[0], abs=0.05)
        odds = attribute.read(vae.read([each.text]))[0]
        assert each.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-2)
        less = min(0.0, each.naturalness - float(natural([each.source])[0]))
        expected = each.similarity * (1 - each.overlap) * np.exp(less) * each.probability
        assert each.score == pytest.approx(expected, rel=1e-2)


def test_the_best_come_first_and_none_is_beyond_a_bound(vae):
    everything = rewrite(vae, TEXTS, n=12)
    for source in TEXTS:
        scores = [each.score for each in everything if each.source == source]
        assert len(scores) == 12 and scores == sorted(scores, reverse=True)
    similarity, overlap, naturalness = (
        float(np.median([getattr(each, name) for each in everything]))
        for name in ("similarity", "overlap", "naturalness")
    )
    bounds = {"min_similarity": similarity, "max_overlap": overlap, "min_naturalness": naturalness}
    kept = rewrite(vae, TEXTS, n=12, **bounds)
    expected = [
        each
        for each in everything
        if each.similarity >= similarity and each.overlap <= overlap and each.naturalness >= naturalness
    ]
    assert kept == expected and 0 < len(kept) < len(everything)


def test_dedupe_leaves_each_text_once_and_the_source_out(vae):
    everything = rewrite(vae, TEXTS[:1], n=30, spread=0.3)
    kept = rewrite(vae, TEXTS[:1], n=30, spread=0.3, dedupe=True)
    texts = [each.text for each in kept]
    assert len(set(texts)) == len(texts) and TEXTS[0] not in texts
    assert set(texts) == {each.text for each in everything} - {TEXTS[0]}
    assert len(texts) < len(everything)


def test_without_attributes_it_varies_and_without_spread_it_shifts(vae, attribute):
    varied = {each.text for each in rewrite(vae, TEXTS[:1], n=5, seed=3)}
    assert varied == set(vae.vary(TEXTS[0], 5, seed=3))
    (found,) = rewrite(vae, TEXTS[:1], attribute, -1.0, n=1, spread=0)
    assert found.text == shift(vae, TEXTS[:1], attribute, -1.0, candidates=1)[0].text


def test_results_depend_on_the_seed_and_not_on_the_other_texts(vae):
    first = rewrite(vae, TEXTS, n=3, seed=1)
    assert first == rewrite(vae, TEXTS, n=3, seed=1)
    assert [e.text for e in first] != [e.text for e in rewrite(vae, TEXTS, n=3, seed=2)]
    assert [e.text for e in rewrite(vae, TEXTS[1:2], n=3, seed=1)] == [e.text for e in first[3:6]]


def test_texts_are_rewritten_block_by_block(small_vae, sentences, monkeypatch):
    monkeypatch.setattr("textvae.attributes.rewriting.AT_ONCE", 3)
    parts = list(Rewriter(small_vae, n=2).blocks(sentences))
    assert [len(part) for part in parts] == [6, 6, 4]
    assert rewrite(small_vae, []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"spread": -1.0}, "spread must not be negative, got -1.0"),
        ({"min_probability": 0.5}, "min_probability bounds the probability of attributes"),
        ({"strength": [1.0]}, "0 attributes need as many strengths, got 1"),
    ],
)
def test_wrong_numbers_are_refused(small_vae, sentences, options, message):
    with pytest.raises(ValueError, match=message):
        rewrite(small_vae, sentences, **options)


def test_an_attribute_of_another_model_is_refused(small_vae, attribute, sentences):
    with pytest.raises(ValueError, match="was fitted on the model"):
        rewrite(small_vae, sentences, attribute)


def read(path):
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path).to_pylist()
    content = path.read_bytes().decode()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in content.split("\n")[:-1]]
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter="," if path.suffix == ".csv" else "\t")
    return [{k: v if COLUMNS[k] is str else float(v) if v else None for k, v in row.items()} for row in rows]


@pytest.fixture
def files(small_vae, sentences, tmp_path):
    small_vae.save_pretrained(tmp_path / "run")
    small_vae.path = None
    Attribute.fit(small_vae, sentences[:4], sentences[4:], name="a").save(tmp_path / "attribute")
    (tmp_path / "texts.txt").write_text("\n".join(sentences))
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_verb_writes_what_the_function_returns(small_vae, sentences, files, suffix):
    output = files / f"out{suffix}"
    assert main(["rewrite", str(files / "run"), str(files / "texts.txt"), "-n", "2", "-o", str(output)]) == 0
    expected = [dataclasses.asdict(each) for each in rewrite(small_vae, sentences, n=2)]
    found = read(output)
    assert [(row["source"], row["text"], row["probability"]) for row in found] == [
        (row["source"], row["text"], None) for row in expected
    ]
    for name in ("similarity", "overlap", "naturalness", "score"):
        np.testing.assert_allclose([r[name] for r in found], [r[name] for r in expected], atol=1e-3)


def test_the_verb_says_how_many_rewrites_repeat_others(files, capsys):
    command = ["rewrite", str(files / "run"), str(files / "texts.txt"), "-n", "5", "--spread", "0.01"]
    assert main(command) == 0
    said = capsys.readouterr()
    pairs = [tuple(line.split("\t")[:2]) for line in said.out.splitlines()]
    repeated = len(pairs) - len({pair for pair in pairs if pair[0] != pair[1]})
    assert repeated > 0 and f"{repeated} rewrites equal their text or another of its rewrites: --dedupe" in said.err
    assert main([*command, "--dedupe"]) == 0
    assert "--dedupe" not in capsys.readouterr().err


def test_the_verb_prints_lines_or_records(files, sentences, capsys):
    command = ["rewrite", str(files / "run"), str(files / "texts.txt"), "-n", "1", "--limit", "2", "--quiet"]
    command += ["--attribute", f"{files / 'attribute'}=-1"]
    assert main(command) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == sentences[:2] and {len(line) for line in lines} == {6}
    assert main([*command, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["text"] for record in records] == [line[1] for line in lines]
    assert all(set(record) == set(COLUMNS) for record in records)


def test_a_file_of_unknown_format_is_refused_before_the_model_is_loaded(files, capsys):
    for name in ("out.xls", "out"):
        assert main(["rewrite", str(files / "run"), str(files / "texts.txt"), "-o", str(files / name)]) == 3
        assert ": choose " in capsys.readouterr().err


def test_writability_is_the_share_of_natural_outputs(vae, natural, attribute, tmp_path):
    texts = [f"the {thing} was {how}." for thing in ("staff", "food", "room") for how in ("great", "awful", "rude")]
    share = writability(vae, attribute, texts)
    high = attribute.log_odds(vae.encode(texts)) > 0
    outputs = [
        shift(vae, [text], attribute, -1.0 if up else 1.0, candidates=1)[0].text
        for text, up in zip(texts, high, strict=True)
    ]
    expected = (natural(outputs) > np.percentile(natural(texts), 5)).mean()
    assert share == pytest.approx(expected, abs=1.01 / len(texts))  # bf16 may move a text across the bound
    noise = np.random.default_rng(0).standard_normal(vae.dim).astype(np.float32)
    wild = with_writability(vae, dataclasses.replace(attribute, direction=attribute.direction + 20 * noise), texts)
    assert wild.writability < share and wild.writability < 0.5
    assert wild.summary().endswith(": it tells texts apart, but does not write natural ones")
    wild.save(tmp_path / "wild")
    assert Attribute.load(tmp_path / "wild").writability == wild.writability
    attribute.save(tmp_path / "plain")
    assert "writability" not in json.loads((tmp_path / "plain/attribute.json").read_text())
    with pytest.raises(ValueError, match="writability needs texts to shift, got none"):
        writability(vae, attribute, [])


def test_the_verb_stores_the_writability_of_an_attribute(files, sentences, capsys):
    (files / "good.txt").write_text("\n".join(sentences[:4]))
    (files / "bad.txt").write_text("\n".join(sentences[4:]))
    command = ["attribute", str(files / "run"), "--positive", str(files / "good.txt"), "--negative"]
    command += [str(files / "bad.txt"), "-o", str(files / "fitted"), "--writability", "--json"]
    assert main(command) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["writability"] == Attribute.load(files / "fitted").writability


def test_texts_without_a_rewrite_are_counted(files, capsys):
    command = ["rewrite", str(files / "run"), str(files / "texts.txt"), "-n", "1", "--limit", "2"]
    assert main([*command, "--min-similarity", "1.1"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "2 texts have no rewrite within the bounds" in err
    assert main(command) == 0
    assert "within the bounds" not in capsys.readouterr().err


def test_the_spread_of_moved_rewrites_is_in_units_of_the_corpus_deviation(vae, attribute, monkeypatch):
    def written(spread):
        return [each.text for each in rewrite(vae, TEXTS[:1], attribute, 1.0, n=4, spread=spread)]

    monkeypatch.setattr(vae, "prior", StandardNormal(vae.dim))
    plain, wide = written(0.5), written(1.0)
    zeros, twos, none = np.zeros(vae.dim), np.full(vae.dim, 2.0), np.zeros(0)
    monkeypatch.setattr(vae, "prior", vae.prior.with_statistics(LatentStatistics(zeros, twos, none, none)))
    assert written(0.5) == wide != plain
