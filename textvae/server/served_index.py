"""An index that a server searches and changes: a write is answered once it is on disk, and many share one save."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ..index import LatentIndex
from ..latent.vae import TextVAE
from .batcher import harmless
from .errors import ApiError

logger = logging.getLogger("textvae")
Change = Callable[[LatentIndex], list[Any]]  # applies a change and returns its ids


class ServedIndex:
    """An index, and a thread that writes it.

    Changes that wait are applied together and saved once. If the save fails, the saved version is loaded again and
    all of them fail.

    Args:
        path: The folder.
        vae: The model that built it.
    """

    def __init__(self, path: Path, vae: TextVAE):
        self.path, self._vae = path, vae
        self.index = LatentIndex.load(path, vae)
        self.ids: list[Any] = []
        self.fields: list[str] = []
        self._note()
        self._waiting: deque[tuple[Change, Future[list[Any]]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def change(self, change: Change) -> Future[list[Any]]:
        """Queue a change; the future has its ids once it is on disk."""
        future: Future[list[Any]] = Future()
        with self._changed:
            if self._closed:
                raise ApiError(409, "the server is stopping: send the change again later", code="stopping")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="textvae-writer", daemon=True)
                self._thread.start()
            self._waiting.append((change, future))
            self._changed.notify()
        return future

    def item_id(self, id: int | str) -> Any:
        """Return an id of the index's own type: a number, or a string if the index was built with ids.

        Raises:
            ApiError: 404, it has no such id.
        """
        numbers = self.index.named is False
        try:
            return int(id) if numbers else str(id)
        except ValueError:
            raise ApiError(404, f"the ids of this index are numbers, got {id!r}", param="id", code="no_id") from None

    def close(self) -> None:
        """Write the changes that wait."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _note(self) -> None:
        self.ids, self.fields = self.index.ids, self.index.metadata_keys

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                group = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not group:
                return
            self._write(group)

    def _write(self, group: list[tuple[Change, Future[list[Any]]]]) -> None:
        applied = []
        for change, future in group:
            try:
                applied.append((future, change(self.index)))
            except BaseException as error:
                future.set_exception(harmless(error))
        if not applied:
            return
        try:
            self.index.save(self.path)
        except BaseException as error:
            logger.error("the index %s could not be saved: %s", self.path, error)
            self.index = LatentIndex.load(self.path, self._vae)
            failure = _refusal(error)
            for future, _ in applied:
                future.set_exception(failure)
            return
        finally:
            self._note()
        for future, ids in applied:
            future.set_result(ids)


def _refusal(error: BaseException) -> Exception:
    if isinstance(error, BlockingIOError | ValueError):
        return ApiError(409, "another process has written this index: send the change again", code="conflict")
    if isinstance(error, OSError):
        return ApiError(507, f"the index could not be saved ({error.strerror}): nothing was changed", code="not_saved")
    return harmless(error)
