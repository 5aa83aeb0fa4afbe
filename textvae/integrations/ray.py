"""A corpus encoded by the actors of Ray Data, into the shards that `textvae encode --shard` writes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._progress import Progress
from ..index.rows import Item
from ..index.shards import Encoded, encode_shard, shards_of, share
from ..storage.errors import CorruptFileError
from ..storage.shard_files import Shard
from .engines import needs

try:
    import ray
    from ray import data
except ImportError as error:
    raise needs("ray", "ray", "encode --engine ray") from error

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

SHARDS_EACH = 4  # shards for each worker, so that one that is late or lost leaves little behind
TOLD = (CorruptFileError, ValueError, OSError)  # errors of a worker that this process raises again, as one line
Corpus = tuple[Iterator[Item], Iterator[Any] | None]  # rows, and their ids or None to number them


def encode_with_ray(
    load: Callable[[], TextVAE],
    read: Callable[[], Corpus],
    folder: Path,
    *,
    workers: int | None = None,
    gpu: bool = False,
    batch_size: int = 64,
) -> Encoded:
    """Encode a corpus in an actor pool of Ray Data; shards that are there already are kept.

    Workers read the corpus and write the parts themselves, so that no text goes through this process. A part is whole
    or absent: a worker that dies is started again and goes on with the parts that are missing. A cluster is the one of
    RAY_ADDRESS, or is started on this machine; every machine of it must see the model, the corpus and the folder.

    Args:
        load: Returns the model; pickled, called once by each worker.
        read: Returns the corpus from its first row; pickled, called for each shard.
        folder: The folder of the shards.
        workers: Number of workers, each with one core; by default as many as the cluster has cores, or GPUs.
        gpu: Whether a worker takes a GPU.
        batch_size: Texts that the model encodes at once.

    Returns:
        How many texts were encoded, and how many were there already.

    Raises:
        ValueError: The folder holds the shards of another model or corpus.
        CorruptFileError: A part is damaged.
        ConnectionError: The cluster cannot be reached.
    """
    with _cluster(workers) as cores:
        count = workers or int(cores.get("GPU" if gpu else "CPU", 1))
        total = shards_of(folder) or SHARDS_EACH * count
        numbers = data.from_items([{"shard": number} for number in range(1, total + 1)], override_num_blocks=total)
        encoded = numbers.map_batches(
            _Worker,
            fn_constructor_args=(load, read, str(folder.resolve()), total, batch_size),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=count),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        written, unchanged = 0, 0
        with Progress("encoded") as progress:
            for row in encoded.iter_rows():
                if row["error"]:
                    kind = {each.__name__: each for each in TOLD}.get(row["kind"], OSError)
                    raise kind(row["error"])
                written, unchanged = written + row["written"], unchanged + row["unchanged"]
                progress.advance(row["written"] + row["unchanged"])
    return Encoded(written, unchanged)


class _Worker:
    """An actor that holds the model and encodes one shard at a time."""

    def __init__(
        self, load: Callable[[], TextVAE], read: Callable[[], Corpus], folder: str, total: int, batch_size: int
    ):
        self.vae, self.read, self.folder, self.total, self.batch_size = load(), read, Path(folder), total, batch_size

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Encode the shard of a batch and return what was done, or the error."""
        shard = Shard(int(batch["shard"][0]), self.total)
        done, kind, told = Encoded(0, 0), "", ""
        try:
            rows, ids = share(*self.read(), shard)
            done = encode_shard(self.vae, rows, ids, self.folder, shard, batch_size=self.batch_size)
        except TOLD as error:
            kind, told = type(error).__name__, str(error)
        return {name: [value] for name, value in {**done._asdict(), "kind": kind, "error": told}.items()}


@contextmanager
def _cluster(workers: int | None) -> Iterator[dict[str, float]]:
    """Yield the resources of the cluster that is there, or of one on this machine for the block."""
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
        local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
    logger, settings = logging.getLogger("ray.data"), data.DataContext.get_current()
    level, bars = logger.level, settings.enable_progress_bars
    logger.setLevel(logging.ERROR)
    settings.enable_progress_bars = False
    try:
        yield ray.cluster_resources()
    finally:
        logger.setLevel(level)
        settings.enable_progress_bars = bars
        if ours:
            ray.shutdown()
