"""What is said about a folder that is taken for something else."""

import json

import pytest

from textvae.storage.folders import open_folder


def config(**fields):
    return {"config.json": json.dumps(fields)}


KINDS = {
    "an index": ({"index.json": "{}"}, "an index of textvae: textvae search {path} finds texts in it"),
    "an attribute": ({"attribute.json": "{}"}, "an attribute of textvae: textvae shift takes it as --attribute {path}"),
    "a run": (
        config(model_type="textvae"),
        "a run of textvae: textvae sample {path} writes texts with it, textvae index {path} CORPUS -o INDEX an index",
    ),
    "a build": ({"build.json": "{}"}, "an unfinished index: build it with textvae index --resume"),
    "a sentence encoder": (
        {"modules.json": "[]"} | config(model_type="bert"),
        "a sentence-transformers model: textvae train --encoder {path} begins a run with it",
    ),
    "an encoder": (
        config(model_type="bert", architectures=["BertModel"]),
        "a transformers model (bert): textvae train --encoder {path} begins a run with it",
    ),
    "a language model": (
        config(model_type="llama", architectures=["LlamaForCausalLM"]),
        "a transformers model (llama): textvae train --decoder {path} begins a run with it",
    ),
    "damaged": ({"config.json": "{"}, "a transformers model (of an unknown type): textvae train --encoder {path}"),
    "nothing": ({}, "an empty folder"),
    "files": (dict.fromkeys("abcde", ""), "a folder of other files (a, b, c and 2 more)"),
    "runs": ({"x/config.json": "{}", "b/config.json": "{}"}, "a folder of models: choose one, such as {path}/b"),
}


@pytest.mark.parametrize(("files", "kind"), KINDS.values(), ids=KINDS)
def test_a_folder_of_another_kind_is_named(tmp_path, files, kind):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError) as error:
        open_folder(tmp_path, "thing", "thing.json")
    assert f"{tmp_path} is not a thing folder: it has no thing.json; it is {kind.format(path=tmp_path)}" in str(
        error.value
    )
