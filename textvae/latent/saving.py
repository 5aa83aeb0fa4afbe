"""Writing a run folder: the files of the model are replaced together, all others are kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ..modeling import TextVAEModel
from ..modeling.quiet import quiet_transformers
from ..storage.atomic import followed, read_json, write_json
from ..storage.folders import atomic_folder, check_replaceable
from ..storage.locks import only_writer
from ..storage.versions import Versions
from .hub import PLAIN_FILES

CONFIG = "config.json"
OF_TRAINING = {"metrics.jsonl", "training.json"}
OWN = tuple(sorted({name.split("/")[0] for name in PLAIN_FILES} - OF_TRAINING))  # what a model replaces in its folder


@contextmanager
def replaced_run(path: str | Path, versions: Versions) -> Iterator[Path]:
    """Yield an empty folder, whose files then replace those of the model in a run folder; locks the run folder.

    Args:
        path: The run folder; it need not exist.
        versions: Versions of folders that the model has seen; the new one is added.

    Raises:
        ValueError: Another handle has saved the folder since.
        FileExistsError: It holds something else.
        BlockingIOError: Another process or thread is writing it.
    """
    path = followed(Path(path))
    with only_writer(path):
        check_replaceable(path, CONFIG)
        versions.check(path)
        with atomic_folder(path, CONFIG, own=OWN, lock=False) as folder:
            yield folder
        versions.note(path)


def save_network(model: TextVAEModel, folder: Path, dtype: str) -> None:
    """Write the configuration and the weights, "float32" or rounded to "bfloat16"."""
    stored = model if dtype == "float32" else copy.deepcopy(model).to(torch.bfloat16)  # type: ignore[arg-type]
    with quiet_transformers():
        stored.save_pretrained(folder)
    if dtype == "bfloat16":  # the stored type, not that of the computation
        write_json(folder / CONFIG, read_json(folder / CONFIG) | {"dtype": "float32"})


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the files of a tokenizer; its chat template is left out, as in downloads, since nothing here uses it."""
    plain = copy.copy(tokenizer)
    plain.chat_template = None
    plain.save_pretrained(folder)
