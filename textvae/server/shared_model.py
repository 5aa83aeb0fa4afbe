"""A model that many requests use at a time: what they ask of the network runs in one thread, in batches."""

# N texts, D latent dimensions, P packed numbers, S slots, W numbers of a slot
from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..latent.decoding import rows_at_once
from ..latent.exact import STEPS
from ..latent.geometry import Array
from ..latent.latents import DIMENSIONS, Latents
from ..latent.reading import Reading
from ..latent.vae import TextVAE
from ..modeling.gaussian import DiagonalGaussian
from ..modeling.sampling import Decoding
from ..modeling.slots import ABSENT, GIVEN
from ..storage.errors import require
from ..text.cleaning import gate_texts
from .batcher import TICKET, Batcher, Job

BATCH = 64  # texts that the network encodes together, the default of `encode`
TURN, EXACT_TURN = 256, 16  # texts that one request has in the thread before others have their turn
T = TypeVar("T")


class SharedModel(TextVAE):
    """A `TextVAE` whose `encode` and deterministic `decode` are batched over the requests of all threads.

    Everything else that runs the network takes its turn in the same thread. Results are those of the model itself,
    up to the rounding of matrix products of another size.

    Args:
        vae: The model, whose weights are shared.
        batcher: Its thread.
    """

    def __init__(self, vae: TextVAE, batcher: Batcher):
        self.__dict__.update(vae.__dict__)
        self.fingerprint: str = vae.fingerprint  # type: ignore[misc]
        self.batcher = batcher

    def means(self, texts: Sequence[str], batch_size: int, advance: Callable[[int], object]) -> torch.Tensor:
        """Return posterior means, as `TextVAE.means` does."""
        found = [mean for future in self.encoding(texts) for mean, _ in future.result()]
        return torch.from_numpy(np.stack(found) if found else np.zeros((0, self.dim), np.float32))

    def encoding(self, texts: Sequence[str]) -> list[Future[list[tuple[Array, int]]]]:
        """Return futures of the mean (D,) and the number of tokens of each text, in their order."""
        gated = gate_texts(texts)
        parts = [gated[start : start + TURN] for start in range(0, len(gated), TURN)]
        return [self._submit(Job("encode", "encode", part, self._encode)) for part in parts]

    def _encode(self, texts: Sequence[str]) -> list[tuple[Array, int]]:
        rows = self.encoder_rows(texts)
        means = self.backend.means(self, rows, BATCH, None).numpy()
        return list(zip(means, map(len, rows), strict=True))

    def read(self, texts: Sequence[str], /, *, batch_size: int = BATCH) -> Reading:
        """Return token ids and the whole posterior, as `TextVAE.read` does."""
        read: Reading = self._submit(Job("encode", "read", gate_texts(texts), super().read)).result()
        used = int((read.states == GIVEN).sum(1).max()) if len(read) and read.states.shape[1] else 0
        slots = DiagonalGaussian(read.slots.mean[:, :used], read.slots.log_std[:, :used])
        return Reading(read.ids, read.meaning, slots, read.states[:, :used])  # without the padding of other requests

    def write(
        self,
        latents: Array,
        options: Decoding,
        begun: Sequence[Sequence[int]] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """Return all candidates of N latents, as `TextVAE.write` does."""
        count = max(options.candidates, options.num_beams) * (1 if options.guidance == 1 else 2)
        size = rows_at_once(options.batch_size, count, self.model.config.decoder.vocab_size)  # as `TextVAE.write` does
        parts = [slice(start, start + size) for start in range(0, len(latents), size)]
        if options.temperature or begun is not None or self.batcher.inside:
            each = super().write

            def turn(part: slice) -> list[str]:
                beginnings = None if begun is None else begun[part]
                return self.alone(lambda: each(latents[part], options, beginnings, generator))

            return [text for part in parts for text in turn(part)]
        jobs = [Job("decode", options, list(latents[part]), lambda rows: self._write(rows, options)) for part in parts]
        return [text for future in map(self._submit, jobs) for texts in future.result() for text in texts]

    def _write(self, rows: Sequence[Array], options: Decoding) -> list[list[str]]:
        if not rows:
            return []
        written, each = super().write(self._padded(rows), options), options.candidates
        return [written[i * each : (i + 1) * each] for i in range(len(rows))]

    def _padded(self, rows: Sequence[Array]) -> Array:
        """Return packed latents of different numbers of slots as one array (N, P)."""
        if len({len(row) for row in rows}) == 1:
            return np.stack(rows)
        D, W = self.dim, self.model.config.slot_dim
        most = (max(map(len, rows)) - D) // (W + 1)
        wide = np.zeros((len(rows), D + most * (W + 1)), np.float32)
        wide[:, D + most * W :] = ABSENT
        for i, row in enumerate(rows):
            S = (len(row) - D) // (W + 1)
            wide[i, : D + S * W] = row[: D + S * W]
            wide[i, D + most * W : D + most * W + S] = row[D + S * W :]
        return wide

    # Turns of their own

    def posterior(self, texts: Sequence[str], /, *, batch_size: int = BATCH) -> DiagonalGaussian:
        """Return q(m|x) of each text, as `TextVAE.posterior` does."""
        return self.alone(lambda: super(SharedModel, self).posterior(texts, batch_size=batch_size))

    def exact(self, texts: Sequence[str] | Reading, /, *, steps: int = STEPS) -> Latents:
        """Return latents that give the texts back, as `TextVAE.exact` does."""
        read = texts if isinstance(texts, Reading) else self.read(texts)
        parts = [read[start : start + EXACT_TURN] for start in range(0, len(read), EXACT_TURN)] or [read]
        each = partial(super().exact, steps=steps)
        found = [self.alone(partial(each, part)) for part in parts]
        return Latents(*(np.concatenate([getattr(each, name) for each in found]) for name in DIMENSIONS))

    def nats(self, texts: Sequence[str] | Reading, latents: ArrayLike | Latents, /, *, batch_size: int = 64) -> Array:
        """Return -log p(x|z) of each text, as `TextVAE.nats` does."""
        points = latents if isinstance(latents, Latents) else self._latents(latents)
        require(len(texts) == len(points), f"{len(texts)} texts need as many latents, got {len(points)}")
        parts = [slice(start, start + TURN) for start in range(0, len(texts), TURN)]
        each = partial(super().nats, batch_size=batch_size)
        found = [self.alone(partial(each, texts[part], points[part])) for part in parts]
        return np.concatenate([np.empty(0, np.float32), *found])

    def alone(self, function: Callable[[], T]) -> T:
        """Run a function that uses the network in its thread, as `TextVAE.alone` says."""
        return function() if self.batcher.inside else self.batcher.call(function)

    def _submit(self, job: Job) -> Future[Any]:
        job.ticket = TICKET.get()
        if job.ticket is not None:
            job.ticket.check()
        if self.batcher.inside:
            job.future.set_result(job.run(job.rows))
            return job.future
        return self.batcher.submit(job)
