"""The folder of a training run: its layout, its checkpoints, and the best weights so far."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..latent.familiarity import CALIBRATION, Calibration
from ..latent.priors import Prior
from ..latent.stored import PRIOR
from ..latent.vae import TextVAE
from ..modeling.quiet import quiet_transformers
from ..storage.atomic import atomic_path, followed, read_json, staged_beside, staged_name, write_json
from ..storage.errors import CorruptFileError
from ..storage.folders import atomic_folder, atomic_replacement, check_manifest, publish_folder, recover_folder

logger = logging.getLogger(__name__)

CHECKPOINTS, METRICS, TRAINING = "checkpoints", "metrics.jsonl", "training.json"
WEIGHTS = "weights"  # in the name of the folder where they are written
TEACHER = "teacher"  # folder of its embeddings, beside the checkpoints


class RunFolder:
    """A run on disk: options and corpus digests, checkpoints, metrics and the best weights; for its only writer.

    Args:
        path: The folder; it need not exist yet. A symbolic link is followed.
    """

    def __init__(self, path: str | Path):
        self.path = followed(Path(path))
        self.checkpoints = self.path / CHECKPOINTS
        self.staged_checkpoints = self.checkpoints / ".staged"
        self.metrics = self.path / METRICS
        self.teacher = self.checkpoints / TEACHER
        recover_folder(self.path)

    @property
    def started(self) -> bool:
        """Whether a run began here."""
        return (self.path / TRAINING).exists()

    @property
    def has_weights(self) -> bool:
        """Whether weights were saved, at the first validation."""
        return (self.path / "model.safetensors").exists()

    def start(self, vae: TextVAE, made_from: dict[str, Any]) -> None:
        """Write the files that exist before the first step: configuration, tokenizers, options and corpus digests."""
        with atomic_folder(self.path, TRAINING, lock=False) as folder:
            vae.model.config.save_pretrained(folder)
            vae.save_tokenizers(folder)
            write_json(folder / TRAINING, made_from)

    def made_from(self) -> dict[str, Any]:
        """Return the options and digests with which the run began."""
        return read_json(self.path / TRAINING)

    def newest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint whose files match its manifest, or None."""
        for path in sorted(self.checkpoints.glob("checkpoint-*"), key=step_of, reverse=True):
            try:
                check_manifest(path)
            except CorruptFileError as error:
                logger.warning("skipping a checkpoint: %s", error)
                continue
            if (path / "manifest.json").exists():
                return path
        return None

    def publish_checkpoint(self, keep: int) -> None:
        """Move the checkpoint that was just written to its place, and delete all but the newest ones."""
        written = max(self.staged_checkpoints.glob("checkpoint-*"), key=step_of)  # callbacks may write beside it
        publish_folder(written, self.checkpoints / written.name)
        for old in sorted(self.checkpoints.glob("checkpoint-*"), key=step_of)[:-keep]:
            shutil.rmtree(old)

    def drop_staged_checkpoints(self) -> None:
        """Delete an incomplete checkpoint that a crash left."""
        if self.staged_checkpoints.is_symlink():
            self.staged_checkpoints.unlink()
        shutil.rmtree(self.staged_checkpoints, ignore_errors=True)

    def save_weights(self, model: PreTrainedModel) -> None:
        """Replace the run's weights, each file at once."""
        for abandoned in staged_beside(self.path / WEIGHTS):
            shutil.rmtree(abandoned, ignore_errors=True)
        staged = staged_name(self.path / WEIGHTS)
        staged.mkdir()
        try:
            with quiet_transformers():
                model.save_pretrained(staged)
            for file in sorted(staged.iterdir()):
                with atomic_replacement(self.path, file.name) as path:
                    file.replace(path)
        finally:  # what was written of them would keep a full disk full
            shutil.rmtree(staged, ignore_errors=True)

    def save_prior(self, prior: Prior) -> None:
        """Write the prior that was fitted to the latents."""
        with atomic_replacement(self.path, PRIOR) as staged:
            prior.save(staged)

    def save_calibration(self, calibration: Calibration) -> None:
        """Write what familiarity is compared with."""
        with atomic_replacement(self.path, CALIBRATION) as staged:
            calibration.save(staged)

    def keep_metrics_until(self, step: int) -> None:
        """Drop the lines after a step, which a resumed run writes again, and a line that a crash truncated."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except json.JSONDecodeError:
                break
        with atomic_path(self.metrics) as staged:
            staged.write_text("".join(kept), encoding="utf-8")

    def finish(self, made_from: dict[str, Any]) -> None:
        """Write the result into training.json and delete the cached texts: a run is shared without its corpus."""
        with atomic_replacement(self.path, TRAINING) as staged:
            staged.write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")
        for tokens in self.checkpoints.glob("*.arrow"):
            tokens.unlink()
        shutil.rmtree(self.teacher, ignore_errors=True)
        self.drop_staged_checkpoints()


def step_of(checkpoint: Path | None) -> int:
    """Return the step of a checkpoint's folder; 0 for None."""
    return int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0
