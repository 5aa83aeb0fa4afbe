"""A plain sentence encoder embeds, indexes and searches; it writes nothing, and says so."""

import json
import os
import re

import numpy as np
import pytest
import torch
from served import served
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, BertConfig, BertModel

from textvae import LatentIndex, TextVAE
from textvae.cli import main
from textvae.modeling.sentence_encoder import POOLING_FLAGS
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import write_manifest
from textvae.text.tokenizers import train_tokenizer

WIDTH = 24
REFUSAL = "this model has no trained decoder: train one with textvae train CORPUS -o RUN --encoder .* --keep-encoder"


@pytest.fixture(scope="module")
def plain(tmp_path_factory, sentences):
    """The folder of an untrained BERT with its tokenizer."""
    folder = tmp_path_factory.mktemp("plain")
    tokenizer = train_tokenizer(sentences, 300)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=2, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def laid_out(plain, folder, modes=("mean",), normalised=True, dense=0, **settings):
    """Return the folder of the encoder as sentence-transformers lays it out."""
    import shutil

    from safetensors.torch import save_file

    shutil.copytree(plain, folder)
    kinds = ["Transformer", "Pooling", *["Dense"] * bool(dense), *["Normalize"] * normalised]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40} | settings))
    (folder / "1_Pooling").mkdir()
    flags = {flag: mode in modes for mode, flag in POOLING_FLAGS.items()}
    (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": WIDTH} | flags))
    if dense:
        about = {"in_features": WIDTH * len(modes), "out_features": dense, "bias": True}
        about["activation_function"] = "torch.nn.modules.activation.Tanh"
        (folder / "2_Dense").mkdir()
        (folder / "2_Dense/config.json").write_text(json.dumps(about))
        weights = {"linear.weight": torch.randn(dense, WIDTH * len(modes)), "linear.bias": torch.randn(dense)}
        save_file(weights, folder / "2_Dense/model.safetensors")
    if normalised:
        (folder / modules[-1]["path"]).mkdir()
    return folder


def texts(sentences):
    return [*sentences, "a much longer sentence , " * 60, "é 🦊", "x", ""]


LAYOUTS = [
    {},
    {"normalised": False},
    {"modes": ("cls",)},
    {"modes": ("max", "mean_sqrt_len_tokens")},
    {"modes": ("weightedmean",)},
    {"modes": ("lasttoken",)},
    {"modes": ("cls", "mean"), "dense": 5},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_embeddings_are_those_of_sentence_transformers_also_after_saving(plain, sentences, tmp_path, layout):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = laid_out(plain, tmp_path / "encoder", **layout)
    expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts(sentences))
    vae = TextVAE.from_encoder(folder)
    embeddings = vae.encode(texts(sentences))
    assert vae.dim == expected.shape[1]
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    vae.save_pretrained(tmp_path / "saved")
    loaded = TextVAE.from_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.encode(texts(sentences)), embeddings)
    assert loaded.fingerprint == vae.fingerprint
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.encode(texts(sentences)), expected, atol=1e-5)


def test_a_plain_encoder_is_averaged_over_its_tokens(plain, sentences, tmp_path):
    vae, bert = TextVAE.from_encoder(plain), AutoModel.from_pretrained(plain).eval()
    ids = torch.tensor(vae.encoder_rows(sentences[:1]))
    with torch.no_grad():
        expected = bert(ids).last_hidden_state.mean(1)
    np.testing.assert_allclose(vae.encode(sentences[:1]), expected, atol=1e-5)
    assert vae.path is None  # an index would not find it again
    vae.save_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(TextVAE.from_pretrained(tmp_path / "saved").encode(sentences), vae.encode(sentences))


def test_an_index_of_it_is_searched_without_naming_the_model_again(plain, sentences, tmp_path, capsys):
    folder = laid_out(plain, tmp_path / "encoder")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(sentences))
    assert main(["index", str(folder), str(corpus), "-o", str(tmp_path / "index")]) == 0
    capsys.readouterr()
    assert main(["search", str(tmp_path / "index"), sentences[3], "-k", "1"]) == 0
    assert capsys.readouterr().out == f"1.0000\t{sentences[3]}\n"
    vectors = TextVAE.from_encoder(folder).encode(sentences)
    scores, ids = LatentIndex.load(tmp_path / "index").neighbours(sentences[0], k=8)
    cosines = vectors @ vectors[0]
    assert ids[0].tolist() == np.argsort(-cosines, kind="stable").tolist()
    np.testing.assert_allclose(scores[0], np.sort(cosines)[::-1], atol=1e-5)


def test_encoders_that_pool_otherwise_are_told_apart(plain, tmp_path):
    first, second = (laid_out(plain, tmp_path / mode, modes=(mode,)) for mode in ("mean", "cls"))
    assert TextVAE.from_encoder(first).fingerprint != TextVAE.from_encoder(second).fingerprint


WRITERS = {
    "decode": lambda vae, texts: vae.decode(vae.encode(texts)),
    "beams": lambda vae, texts: vae.decode(vae.encode(texts), num_beams=2),
    "sample": lambda vae, texts: vae.sample(2, seed=0),
    "reconstruct": lambda vae, texts: vae.reconstruct(texts),
    "vary": lambda vae, texts: vae.vary(texts[0], 2, seed=0),
    "nats": lambda vae, texts: vae.nats(texts, vae.encode(texts)),
    "log_likelihood": lambda vae, texts: vae.log_likelihood(texts, num_samples=2),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_needs_a_decoder_is_refused_with_the_command_that_trains_one(plain, sentences, writer):
    with pytest.raises(ValueError, match=REFUSAL):
        WRITERS[writer](TextVAE.from_encoder(plain), sentences)


def test_the_command_line_refuses_in_one_line(plain, tmp_path, capsys):
    folder = laid_out(plain, tmp_path / "encoder")
    assert main(["sample", str(folder), "-n", "1"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


REFUSED = {
    "an unknown module": ({"modules.json": ["Pooling", "WordWeights"]}, "has a module .*WordWeights, which is unknown"),
    "no pooling": ({"modules.json": ["Normalize"]}, "lists no pooling"),
    "a prompt": ({"config_sentence_transformers.json": {"default_prompt_name": "query"}}, "puts a prompt before"),
    "lower case": ({"sentence_bert_config.json": {"do_lower_case": True}}, "lower-cases each text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_encoder_that_would_embed_otherwise_is_refused(plain, tmp_path, case):
    folder = laid_out(plain, tmp_path / "encoder")
    files, message = REFUSED[case]
    for name, content in files.items():
        if name == "modules.json":
            kinds = ["Transformer", *content]
            content = [
                {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"x.{kind}"}
                for i, kind in enumerate(kinds)
            ]
        (folder / name).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        TextVAE.from_encoder(folder)


def test_a_folder_without_an_encoder_is_refused(tmp_path, sentences):
    with pytest.raises(FileNotFoundError, match="there is no encoder at"):
        TextVAE.from_encoder(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no encoder that could be loaded"):
        TextVAE.from_encoder(tmp_path)


def edited(folder, name, change):
    """Change a JSON file of a folder."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


DAMAGED = {
    "a length that is a text": ("sentence_bert_config.json", {"max_seq_length": "40"}, "'max_seq_length'"),
    "a pooling of numbers": ("1_Pooling/config.json", {"pooling_mode": [5]}, "'pooling_mode'"),
    "an activation that is a number": ("2_Dense/config.json", {"activation_function": 5}, "'activation_function'"),
    "a layer of another width": ("2_Dense/config.json", {"in_features": 5}, "not those of the config.json"),
    "too many layers": ("config.json", {"num_hidden_layers": 10**6}, "'num_hidden_layers'"),
    "layers without weights": ("config.json", {"intermediate_size": 2**23}, "a larger network than the weights"),
    "heads that do not divide": ("config.json", {"num_attention_heads": 7}, "do not fit|could be loaded"),
    "an unsteady norm": ("config.json", {"layer_norm_eps": -1e9}, "not finite"),
    "a length of the tokenizer": ("tokenizer_config.json", {"model_max_length": "x"}, "tokenizer_config.json"),
    "a padding token beyond": ("tokenizer_config.json", {"pad_token": "no such token"}, "special tokens"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_encoder_is_refused_with_the_name_of_its_folder(plain, tmp_path, case):
    folder = laid_out(plain, tmp_path / "encoder", dense=5)
    name, fields, message = DAMAGED[case]
    edited(folder, name, lambda content: content.update(fields))
    with pytest.raises(ValueError, match=message) as caught:
        TextVAE.from_pretrained(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_files_of_modules_are_listed_and_there(plain, tmp_path):
    folder = laid_out(plain, tmp_path / "encoder", dense=5)
    TextVAE.from_encoder(folder).save_pretrained(tmp_path / "saved")
    manifest = json.loads((tmp_path / "saved/manifest.json").read_text())
    del manifest["2_Dense/model.safetensors"]
    (tmp_path / "saved/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptFileError, match="2_Dense/model.safetensors cannot be used"):
        TextVAE.from_pretrained(tmp_path / "saved")
    (folder / "1_Pooling/config.json").unlink()
    with pytest.raises(CorruptFileError, match="1_Pooling/config.json cannot be used: it is missing"):
        TextVAE.from_encoder(folder)


def test_a_tokenizer_with_a_slow_pattern_is_refused(plain, tmp_path):
    folder = laid_out(plain, tmp_path / "encoder")
    rule = {"type": "Replace", "content": "x", "pattern": {"Regex": "(a+)+$"}}
    edited(folder, "tokenizer.json", lambda content: content.update(normalizer=rule))
    with pytest.raises(CorruptFileError, match="may take forever"):
        TextVAE.from_encoder(folder)


@pytest.mark.parametrize("name", ["added_tokens.json", "chat_template.jinja", "special_tokens_map.json"])
@pytest.mark.parametrize("kind", ["FIFO", "link"])
def test_a_file_that_is_none_is_not_opened(plain, tmp_path, name, kind):
    folder = laid_out(plain, tmp_path / "encoder")
    (tmp_path / "secret").write_text('{"cls_token": "x"}')
    if kind == "link":
        (folder / name).symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(folder / name)
    with pytest.raises(CorruptFileError, match=f"{name} is a (symbolic link|device or pipe)"):
        TextVAE.from_encoder(folder)


@pytest.mark.parametrize("name", ["added_tokens.json", "special_tokens_map.json", "vocab.txt", "adapter_config.json"])
def test_a_file_that_the_manifest_does_not_list_is_refused_where_transformers_would_read_it(plain, tmp_path, name):
    TextVAE.from_encoder(laid_out(plain, tmp_path / "encoder")).save_pretrained(tmp_path / "saved")
    (tmp_path / "saved/notes.md").write_text("mine")
    TextVAE.from_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / name).write_text("{}")
    with pytest.raises(CorruptFileError, match=f"{name} cannot be used: manifest.json does not list it"):
        TextVAE.from_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("listed", [True, False])
def test_an_adapter_of_another_model_is_refused(plain, tmp_path, listed):
    folder = laid_out(plain, tmp_path / "encoder")
    about = {"peft_type": "LORA", "base_model_name_or_path": "somebody/else", "r": 2}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    if listed:
        write_manifest(folder)
    with pytest.raises(ValueError, match="holds an adapter"):
        TextVAE.from_encoder(folder)


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean"])
def test_a_text_without_tokens_has_a_finite_embedding(plain, tmp_path, mode):
    folder = laid_out(plain, tmp_path / "encoder", modes=(mode,))
    edited(folder, "tokenizer.json", lambda content: content.update(post_processor=None))
    vae = TextVAE.from_encoder(folder)
    assert np.isfinite(vae.encode(["", "x", ""])).all()
    np.testing.assert_array_equal(vae.encode(""), np.zeros(WIDTH))


def test_a_plain_encoder_is_served(plain, http):
    pytest.importorskip("fastapi")
    from textvae.server.workspace import Workspace

    vae = TextVAE.from_encoder(plain)
    with served(Workspace(vae, "plain")) as url:
        assert http.get(f"{url}/v1/info").json()["writes"] is False
        answer = http.post(f"{url}/v1/embeddings", json={"input": ["a dog barks"], "model": "plain"}).json()
        assert np.allclose(answer["data"][0]["embedding"], vae.encode(["a dog barks"])[0], atol=1e-5)
        for route, body in {"sample": {"n": 1}, "reconstruct": {"texts": ["a"]}, "score": {"texts": ["a"]}}.items():
            refusal = http.post(f"{url}/v1/{route}", json=body)
            assert refusal.status_code == 422
            assert re.search(REFUSAL, refusal.json()["error"]["message"])
