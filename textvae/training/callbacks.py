"""Callbacks of a training run: epoch seeds, decoder reset, checkpoints, the metrics file, progress in the log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from .._progress import clock
from ..storage.atomic import open_no_link
from ..text.token_budget import TokenBudgetSampler
from .dataset import Partners
from .environment import Ranks
from .run import RunFolder

logger = logging.getLogger("textvae")
TEXT_INTEGRATIONS = ("tensorboard", "wandb", "comet_ml", "trackio")  # integrations that log texts beside numbers


class EpochSeed(TrainerCallback):
    """Set the epoch of the sampler and of the partners, also after a resume in the middle of one."""

    def __init__(self, sampler: TokenBudgetSampler, partners: Partners | None):
        self.sampler, self.partners = sampler, partners

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the epoch from the number of steps done."""
        epoch = state.global_step // len(self.sampler)
        self.sampler.set_epoch(epoch)
        if self.partners is not None:
            self.partners.set_epoch(epoch)


class FinalValidation(TrainerCallback):
    """Validate at the last step too, whatever the validation interval."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a validation at the end."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True


class DecoderReset(TrainerCallback):
    """Reinitialise the decoder and its optimizer state when the warm-up ends."""

    def __init__(self, step: int, seed: int):
        self.step, self.seed = step, seed

    def on_step_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any
    ) -> None:
        """Reset at the chosen step; a run resumed at that very step resets there too."""
        if state.global_step == self.step:
            model.reset_decoder(self.seed)
            for parameter in model.decoder.parameters():
                optimizer.state.pop(parameter, None)


class PublishCheckpoint(TrainerCallback):
    """Move each checkpoint to its place once it is complete and the losses before it are checked to be finite.

    Args:
        run: The run folder, in whose staging folder the Trainer writes.
        check: Raises if a loss was not finite.
        keep: Number of newest checkpoints to keep.
        ranks: The processes, each of which writes the state of its random generators.
    """

    def __init__(self, run: RunFolder, check: Callable[[], None], keep: int, ranks: Ranks):
        self.run, self.check, self.keep, self.ranks = run, check, keep, ranks

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Delete an incomplete checkpoint that a crash left."""
        if self.ranks.first:
            self.run.drop_staged_checkpoints()
        self.ranks.wait()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Publish the checkpoint that was just written."""
        self.check()
        self.ranks.wait()
        if self.ranks.first:
            self.run.publish_checkpoint(self.keep)
        self.ranks.wait()


class MetricsLog(TrainerCallback):
    """Append every logged line to metrics.jsonl."""

    def __init__(self, path: Path):
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Write one line and flush it."""
        with open(self.path, "a", encoding="utf-8", opener=open_no_link) as file:
            file.write(json.dumps({"step": state.global_step, "epoch": state.epoch} | (logs or {})) + "\n")


class Progress(TrainerCallback):
    """Log step, losses, steps per second and the remaining time."""

    def __init__(self) -> None:
        self.started = 0.0
        self.first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self.started, self.first_step = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Log one line."""
        logs = logs or {}
        if "reconstruction" in logs:
            rate = (state.global_step - self.first_step) / max(time.monotonic() - self.started, 1e-9)
            left = (state.max_steps - state.global_step) / rate if rate else 0
            logger.info(
                f"step {state.global_step:,}/{state.max_steps:,}  reconstruction {logs['reconstruction']:.2f}  "
                f"kl {logs['kl']:.2f}  beta {logs['beta']:.3f}  {rate:.1f} steps/s  {clock(left)} left"
            )
        elif "eval_loss" in logs:
            logger.info(
                f"validation at step {state.global_step:,}: reconstruction {logs['eval_reconstruction']:.2f}  "
                f"kl {logs['eval_kl']:.2f}  active units {logs['eval_active_units']:.0%}"
            )


def reporting_callbacks(report_to: str | None, output: Path) -> list[TrainerCallback]:
    """Return the transformers callbacks that log a run elsewhere; TensorBoard files go into the run folder.

    Args:
        report_to: Comma-separated names of transformers' integrations, or None.
        output: The run folder.

    Raises:
        ValueError: transformers has no such integration.
        ImportError: The package of one is not installed.
    """
    return [_reporting_callback(name.strip(), output) for name in (report_to or "").split(",") if name.strip()]


def _reporting_callback(name: str, output: Path) -> TrainerCallback:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    if name not in INTEGRATION_TO_CALLBACK:
        raise ValueError(f"--report-to {name!r} is unknown: use {', '.join(sorted(INTEGRATION_TO_CALLBACK))}")
    integration: Any = INTEGRATION_TO_CALLBACK[name]

    class Reporter(integration):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
            super().on_log(args, state, control, logs=_reported(logs or {}, name in TEXT_INTEGRATIONS), **others)

    try:
        callback = Reporter()
    except RuntimeError as error:
        package = "textvae[tensorboard]" if name == "tensorboard" else name
        raise ImportError(f"--report-to {name} needs its package: pip install '{package}'") from error
    if name == "tensorboard":
        callback.logging_dir = str(output / "tensorboard")
    return callback


def _reported(logs: dict[str, Any], texts: bool) -> dict[str, Any]:
    """Return logs without lists: one scalar for each number; texts joined, or left out unless `texts`."""
    reported: dict[str, Any] = {}
    for name, value in logs.items():
        if not isinstance(value, list):
            reported[name] = value
        elif all(isinstance(each, str) for each in value):
            reported |= {name: "\n\n".join(value)} if texts else {}
        else:
            reported |= {f"{name}/{i}": each for i, each in enumerate(value)}
    return reported
