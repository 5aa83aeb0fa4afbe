"""Runs on the hub: fetched from a prepared cache as plain files, uploaded through a stand-in for its client."""

import copy
import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from textvae import TextVAE
from textvae.cli import main
from textvae.latent.hub import PLAIN_FILES, is_hub_name, local_folder

COMMIT, OLDER = "a" * 40, "b" * 40


@pytest.fixture
def cache(run, other_vae, tmp_path):
    """A cache with two commits of org/name, the older one a tag."""
    model = tmp_path / "cache" / "models--org--name"
    shutil.copytree(run, model / "snapshots" / COMMIT)
    TextVAE(other_vae.model, other_vae.tokenizer).save_pretrained(model / "snapshots" / OLDER)
    (model / "refs").mkdir()
    (model / "refs/main").write_text(COMMIT)
    (model / "refs/v1").write_text(OLDER)
    return tmp_path / "cache"


@pytest.fixture
def home(cache, monkeypatch):
    """The same cache where the hub's client looks by itself."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def test_a_name_on_the_hub_loads_the_model_of_its_revision(small_vae, other_vae, sentences, cache):
    loaded = TextVAE.from_pretrained("org/name", cache_dir=cache)
    assert np.array_equal(loaded.encode(sentences), small_vae.encode(sentences))
    older = TextVAE.from_pretrained("org/name", "cpu", revision="v1", cache_dir=cache)
    assert older.fingerprint == other_vae.fingerprint != loaded.fingerprint


def test_a_folder_comes_before_a_name_on_the_hub(cache, other_vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TextVAE(other_vae.model, other_vae.tokenizer).save_pretrained("org/name")
    assert TextVAE.from_pretrained("org/name", cache_dir=cache).fingerprint == other_vae.fingerprint
    assert not is_hub_name("org/name")


@pytest.mark.parametrize(
    "name", ["hotels", "a/b/c", "/org/name", "../name", "./name", "org/", "org/.name", "a b/c", ""]
)
def test_other_names_are_folders(name, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: pytest.fail("fetched"))
    assert local_folder(name) == Path(name)


def test_a_path_is_never_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no run at org/name: textvae train"):
        TextVAE.from_pretrained(Path("org/name"))


def test_what_is_fetched_are_weights_json_and_vocabularies(monkeypatch, cache):
    asked = {}
    fetch = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.update(options) or fetch(name, **options)
    )
    folder = local_folder("org/name", None, cache)
    assert asked["allow_patterns"] == PLAIN_FILES
    kinds = {Path(pattern).suffix for pattern in PLAIN_FILES}
    assert kinds == {".json", ".jsonl", ".safetensors", ".txt", ".model"}
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert all(any(Path(name).match(pattern) for pattern in PLAIN_FILES) for name in names)


def test_code_beside_a_model_does_not_run(cache, tmp_path):
    snapshot = cache / "models--org--name/snapshots" / COMMIT
    (snapshot / "manifest.json").unlink()
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    for name in ("modeling_textvae.py", "configuration_textvae.py", "tokenization.py"):
        (snapshot / name).write_text(code)
    config = json.loads((snapshot / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_textvae.Model", "AutoConfig": "configuration_textvae.Config"}
    (snapshot / "config.json").write_text(json.dumps(config))
    settings = json.loads((snapshot / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": ["tokenization.Tokenizer", "tokenization.Tokenizer"]}
    (snapshot / "tokenizer_config.json").write_text(json.dumps(settings))
    try:
        TextVAE.from_pretrained("org/name", cache_dir=cache)
    except ValueError:
        pass  # refused is as well
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "revision"), [("org/other", None), ("org/name", "v9")])
def test_without_a_connection_one_line_says_what_to_do(cache, name, revision):
    with pytest.raises(
        FileNotFoundError, match=f"there is no run at {name}, no such folder, and the hub cannot"
    ) as error:
        TextVAE.from_pretrained(name, revision=revision, cache_dir=cache)
    said = str(error.value)
    assert "fetch it once with a connection and without HF_HUB_OFFLINE, or copy the folder here" in said
    assert "\n" not in said


def http_error(status, kind=HfHubHTTPError):
    import httpx

    request = httpx.Request("GET", "https://example.org")
    return kind(f"{status} refused\nand more", response=httpx.Response(status, request=request))


REFUSALS = {
    "RepositoryNotFoundError": (404, FileNotFoundError, "the hub has no such model: check the name, or log in"),
    "GatedRepoError": (403, OSError, "gives org/none to those with access only"),
    "RevisionNotFoundError": (404, FileNotFoundError, "org/none on the hub has no revision 'v3'"),
    "HfHubHTTPError": (500, OSError, "the hub did not give org/none: 500 refused"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_each_refusal_of_the_hub_is_one_line(monkeypatch, kind):
    status, error, message = REFUSALS[kind]
    refusal = http_error(status, getattr(huggingface_hub.errors, kind))

    def refuse(*_, **__):
        raise refusal

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(error, match=message) as raised:
        TextVAE.from_pretrained("org/none", revision="v3")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "org/name", "-n", "2", "--seed", "0"],
        ["encode", "org/name", "texts.txt"],
        ["index", "org/name", "texts.txt", "-o", "index"],
        ["attribute", "org/name", "--dim", "3", "-o", "attribute"],
        ["info", "org/name"],
        ["plot", "org/name", "texts.txt", "-o", "pictures"],
        ["train", "texts.txt", "-o", "run2", "--from", "org/name", "--max-steps", "1", "--eval-steps", "1"],
    ],
    ids=lambda command: command[0],
)
def test_the_command_line_takes_a_name_on_the_hub(home, sentences, tmp_path, monkeypatch, capsys, command):
    if command[0] == "plot":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(sentences * 4))
    before = sorted(home.rglob("*"))
    assert main([*command, "--json"]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("{")
    assert sorted(home.rglob("*")) == before  # nothing is written into the cache


def test_an_index_finds_its_model_in_the_cache_again(home, sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(sentences))
    assert main(["index", "org/name", "texts.txt", "-o", "index"]) == 0
    assert main(["search", "index", sentences[3], "-k", "1"]) == 0
    assert sentences[3] in capsys.readouterr().out
    assert main(["search", "index", sentences[3], "-k", "1", "--model", "org/name"]) == 0


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["sample", "org/none"], 3, "there is no run at org/none, no such folder, and the hub cannot be reached"),
        (
            ["plot", "org/name"],
            2,
            "a run on the hub is not a local folder: choose where to write",
        ),
    ],
)
def test_mistakes_about_the_hub_are_one_line(home, capsys, tmp_path, monkeypatch, command, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(command) == code
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


# Uploading


class Hub:
    """A stand-in for HfApi that keeps what it is given."""

    def __init__(self, folder, refuse=None):
        self.folder, self.refuse, self.calls = folder, refuse, []

    def create_repo(self, repo_id, *, private=None, exist_ok=False):
        if self.refuse:
            raise self.refuse
        self.calls.append((repo_id, private, exist_ok))
        return f"https://example.org/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, commit_message, delete_patterns):
        self.calls.append((repo_id, commit_message, delete_patterns))
        shutil.copytree(folder_path, self.folder)


def test_what_is_pushed_loads_as_the_same_model(small_vae, sentences, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    talkative = copy.copy(small_vae.tokenizer)
    talkative.chat_template = "{{ messages }}"  # transformers would write it to a file of its own
    vae = TextVAE(small_vae.model, talkative, path=tmp_path / "mine")
    vae.fit_prior(sentences, 1)
    assert vae.push_to_hub("org/new", private=True, commit_message="first") == "https://example.org/org/new"
    assert hub.calls == [("org/new", True, True), ("org/new", "first", PLAIN_FILES)]
    assert vae.path == tmp_path / "mine"
    loaded = TextVAE.from_pretrained(tmp_path / "hub")
    assert loaded.fingerprint == small_vae.fingerprint
    assert np.array_equal(loaded.prior.means, vae.prior.means)
    names = {file.relative_to(tmp_path / "hub").as_posix() for file in (tmp_path / "hub").rglob("*") if file.is_file()}
    assert all(any(Path(name).match(pattern) for pattern in PLAIN_FILES) for name in names)  # all are fetched again


@pytest.mark.parametrize("refusal", [http_error(401), OfflineModeIsEnabled("offline mode"), ConnectionError("down")])
def test_a_refused_upload_says_what_to_do(small_vae, tmp_path, monkeypatch, refusal):
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(tmp_path / "hub", refusal))
    with pytest.raises(
        OSError, match="org/new could not be written to the hub .*: log in with `hf auth login`"
    ) as error:
        TextVAE(small_vae.model, small_vae.tokenizer).push_to_hub("org/new")
    assert "\n" not in str(error.value) and not (tmp_path / "hub").exists()


def test_a_name_without_organisation_is_refused(small_vae):
    with pytest.raises(ValueError, match="'hotels' is not the name of a model on the hub: give org/name"):
        small_vae.push_to_hub("hotels")
