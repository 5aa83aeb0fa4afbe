"""What a server serves: a model, its indexes and its attributes."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..attributes.attribute import Attribute
from ..latent.naturalness import Naturalness
from ..latent.vae import TextVAE
from ..modeling.sentence_encoder import SentenceEncoder
from .batcher import Batcher, Measure
from .errors import ApiError
from .limits import NAME, Limits
from .maps import IndexMap
from .served_index import ServedIndex
from .shared_model import SharedModel
from .work import Workers

FOLDER = "attributes"  # inside the run, where posted attributes are kept


class Workspace:
    """A model that requests share, with its indexes and attributes by name.

    Args:
        vae: The model.
        name: What clients call it.
        indexes: Index folders by name.
        attributes: Attribute folders by name.
        writable: Whether items and attributes may be written.
        folder: Where posted attributes are kept, and read from at the start; by default `attributes` inside the run.
        limits: What requests may ask for.
        measure: Called with the kind and the rows of each batch.
        batching: False runs one request at a time, to measure what batching gains.

    Raises:
        ValueError: A name is not plain, or an index or attribute is of another model.
    """

    def __init__(
        self,
        vae: TextVAE,
        name: str = "textvae",
        *,
        indexes: Mapping[str, Path] | None = None,
        attributes: Mapping[str, Path] | None = None,
        writable: bool = False,
        folder: Path | None = None,
        limits: Limits | None = None,
        measure: Measure | None = None,
        batching: bool = True,
    ):
        for given in (*(indexes or {}), *(attributes or {})):
            if not re.fullmatch(NAME, given):
                raise ValueError(f"{given!r} is no name: use letters, digits, dots, hyphens and underscores")
        self.name, self.writable, self.limits = name, writable, limits or Limits()
        self.created = int(time.time())
        self.folder = folder if folder is not None else None if vae.path is None else Path(vae.path) / FOLDER
        self.batcher = Batcher(measure=measure, batching=batching)
        self.workers = Workers(self.limits.threads)
        self.vae = SharedModel(vae, self.batcher)
        self.writes = not isinstance(vae.model, SentenceEncoder)
        self.indexes = {name: ServedIndex(path, self.vae) for name, path in (indexes or {}).items()}
        self.maps = {name: IndexMap(served) for name, served in self.indexes.items()}
        self.attributes = {name: _named(name, path) for name, path in (attributes or {}).items()}
        for attribute in self.attributes.values():
            attribute.check(vae)
        if self.folder is not None and self.folder.is_dir():
            self._load_kept(self.folder)
        self._naturalness: Naturalness | None = None
        self._fitting = threading.Lock()

    def _load_kept(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if (path / "attribute.json").is_file() and re.fullmatch(NAME, path.name):
                attribute = _named(path.name, path)
                if attribute.fingerprint == self.vae.fingerprint:
                    self.attributes.setdefault(path.name, attribute)

    def naturalness(self) -> Naturalness:
        """Return the scorer of naturalness, made at the first use."""

        def made() -> Naturalness:
            self._naturalness = self._naturalness or Naturalness(self.vae)
            return self._naturalness

        return self._naturalness or self.batcher.call(made)

    def index(self, name: str) -> ServedIndex:
        """Return an index.

        Raises:
            ApiError: 404, there is none of this name.
        """
        if name not in self.indexes:
            raise ApiError(404, f"there is no index {name!r}: {_those(self.indexes)}", param="name", code="no_index")
        return self.indexes[name]

    def map(self, name: str) -> IndexMap:
        """Return the map of an index.

        Raises:
            ApiError: 404, there is no index of this name.
        """
        self.index(name)
        return self.maps[name]

    def attribute(self, name: str) -> Attribute:
        """Return an attribute.

        Raises:
            ApiError: 404, there is none of this name.
        """
        if name not in self.attributes:
            there = _those(self.attributes)
            raise ApiError(404, f"there is no attribute {name!r}: {there}", param="attributes", code="no_attribute")
        return self.attributes[name]

    def check_writable(self) -> None:
        """Raise ApiError 403 unless writes are allowed."""
        if not self.writable:
            raise ApiError(403, "this server is read-only: start it with --writable", code="read_only")

    def fit_attribute(self, name: str, positive: Sequence[str], negative: Sequence[str]) -> Attribute:
        """Fit an attribute to examples and keep it on disk.

        Raises:
            ApiError: 403 read-only, or 409 for a name that is taken or too many attributes.
        """
        self.check_writable()
        if self.folder is None:
            raise ApiError(403, "the model has no folder to keep attributes in", code="read_only")
        with self._fitting:
            if name in self.attributes:
                raise ApiError(409, f"there is an attribute {name!r}: choose another name", param="name", code="exists")
            if len(self.attributes) >= self.limits.attributes:
                raise ApiError(409, f"there are {len(self.attributes)} attributes, the most", code="too_many")
            fitted = Attribute.fit(self.vae, positive, negative, name=name)
            fitted = dataclasses.replace(fitted, positive=name, negative=f"not {name}")  # for people who read its ends
            fitted.save(self.folder / name)
            self.attributes[name] = fitted
        return fitted

    def check_size(self, texts: Sequence[str], each: int = 1) -> None:
        """Raise ApiError 413 or 422 if texts are too many characters or tokens, or too many are to be written.

        Args:
            texts: The texts of a request.
            each: Texts to write for each.
        """
        limits, longest = self.limits, self.vae.model.config.max_length
        characters = sum(map(len, texts))
        if characters > limits.characters:
            raise ApiError(
                413, f"the texts have {characters:,} characters, at most {limits.characters:,}", code="too_long"
            )
        tokens = sum(min(len(text.encode()) + 2, longest) for text in texts)  # a token is a byte or more
        if tokens > limits.tokens:
            raise ApiError(
                413,
                f"the texts may have {tokens:,} tokens, at most {limits.tokens:,}: send fewer texts",
                code="too_long",
            )
        if len(texts) * each > limits.written:
            raise ApiError(
                422,
                f"{len(texts)} texts with {each} each are over {limits.written:,}: ask for fewer",
                code="too_many",
            )

    def close(self) -> None:
        """Finish what runs, and write what waits."""
        for drawn in self.maps.values():
            drawn.close()
        self.workers.close()
        for served in self.indexes.values():
            served.close()
        self.batcher.close()

    def facts(self) -> dict[str, Any]:
        """Return what GET /v1/info tells about the model."""
        config = self.vae.model.config
        return {
            "model": self.name,
            "latent_dim": self.vae.dim,
            "split": config.slot_dim > 0,
            "writes": self.writes,
            "max_length": config.max_length,
            "writable": self.writable,
        }


def _named(name: str, path: Path) -> Attribute:
    """Return an attribute under the name that clients use."""
    return dataclasses.replace(Attribute.load(path), name=name)


def _those(names: Mapping[str, Any]) -> str:
    return f"there are {', '.join(sorted(names)[:10])}" if names else "there are none"
