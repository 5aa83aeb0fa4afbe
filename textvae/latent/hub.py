"""Runs on the Hugging Face hub: fetched as plain files of known names, and uploaded."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Weights, JSON and vocabularies: data only, no code.
PLAIN_FILES = [
    "config.json",
    "generation_config.json",
    "manifest.json",
    "metrics.jsonl",
    "training.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "prior.safetensors",
    "familiarity.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    *(f"*_{module}/config.json" for module in ("Pooling", "Dense", "Normalize")),
    "*_Dense/model.safetensors",
    *(
        folder + name
        for folder in ("", "encoder_tokenizer/")
        for name in (
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "vocab.txt",
            "merges.txt",
            "tokenizer.model",
            "spiece.model",
            "sentencepiece.bpe.model",
        )
    ),
]


def is_hub_name(name: str | Path) -> bool:
    """Return whether a name is org/name on the hub, and not a local file or folder."""
    return bool(HUB_NAME.fullmatch(str(name))) and not Path(name).exists()


def local_folder(name: str | Path, revision: str | None = None, cache_dir: str | Path | None = None) -> Path:
    """Return the folder of a run, fetched from the hub if it is not local.

    Args:
        name: A folder, or org/name on the hub; a `Path` is always a folder.
        revision: Branch, tag or commit on the hub; by default its main branch.
        cache_dir: Folder for fetched files; by default the hub's cache.

    Raises:
        FileNotFoundError: There is no such model, or it is not in the cache and the hub cannot be reached.
        OSError: The hub refused it.
    """
    if not isinstance(name, str) or not is_hub_name(name):
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    missing = f"there is no run at {name}, no such folder, and"
    try:
        fetched = snapshot_download(name, revision=revision, cache_dir=cache_dir, allow_patterns=PLAIN_FILES)
    except GatedRepoError as error:
        raise OSError(f"the hub gives {name} to those with access only: ask for it on its page, then log in") from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"{name} on the hub has no revision {revision!r}: give a branch, tag or commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{missing} the hub has no such model: check the name, or log in with `hf auth login` if it is private"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        raise FileNotFoundError(
            f"{missing} the hub cannot be reached, nor does its cache hold the model: check the name, fetch it once "
            "with a connection and without HF_HUB_OFFLINE, or copy the folder here"
        ) from error
    except HfHubHTTPError as error:
        raise OSError(f"the hub did not give {name}: {_first_line(error)}") from error
    return Path(fetched)


def upload(name: str, save: Callable[[Path], None], *, private: bool | None, message: str) -> str:
    """Write a run to the hub in one commit, in which old files of a run are deleted, and return its address.

    Args:
        name: org/name; it is created if needed.
        save: Writes the run to a folder.
        private: Whether a new model is private; None is the default of the organisation.
        message: Commit message.

    Raises:
        ValueError: The name is not org/name.
        OSError: The hub refused it.
    """
    if not HUB_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a model on the hub: give org/name")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi()
    with tempfile.TemporaryDirectory(prefix="textvae-") as folder:
        save(Path(folder) / "run")
        try:
            address = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name, folder_path=Path(folder) / "run", commit_message=message, delete_patterns=PLAIN_FILES
            )
        except (HfHubHTTPError, OfflineModeIsEnabled, ConnectionError) as error:
            raise OSError(
                f"{name} could not be written to the hub ({_first_line(error)}): log in with `hf auth login`, and "
                "check the connection and your access"
            ) from error
    return str(address)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
