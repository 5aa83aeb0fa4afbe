"""What happens around the steps of a training run: epochs, resets, the metrics file, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from .batches import Partners, TokenBudgetSampler

if TYPE_CHECKING:
    from .training import TextVAETrainer


class EpochSeed(TrainerCallback):
    """Tell the sampler and the partners which epoch begins, also after a resume in the middle of one."""

    def __init__(self, sampler: TokenBudgetSampler, partners: Partners | None):
        self.sampler, self.partners = sampler, partners

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the epoch from the number of steps done."""
        epoch = state.global_step // len(self.sampler)
        self.sampler.set_epoch(epoch)
        if self.partners is not None:
            self.partners.set_epoch(epoch)


class FinalValidation(TrainerCallback):
    """Validate at the last step too, wherever the validation interval falls."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a validation at the end."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True


class DecoderReset(TrainerCallback):
    """Draw the decoder anew, and forget its moments, when the warm-up ends."""

    def __init__(self, trainer: TextVAETrainer, step: int):
        self.trainer, self.step = trainer, step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Reset at the chosen step; a run resumed at that very step resets there too."""
        if state.global_step == self.step:
            model = self.trainer.vae.model
            model.reset_decoder(self.trainer.config.seed)
            moments: Any = self.trainer.optimizer
            for parameter in model.decoder.parameters():
                moments.state.pop(parameter, None)


class MetricsLog(TrainerCallback):
    """Append every logged line to metrics.jsonl."""

    def __init__(self, path: Path):
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Write one line and flush it."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, "epoch": state.epoch} | (logs or {})) + "\n")


class Progress(TrainerCallback):
    """Say on stderr how far the run is, how fast it goes and when it will be done."""

    def __init__(self) -> None:
        self.started = 0.0
        self.first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self.started, self.first_step = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Print one line."""
        logs = logs or {}
        if "reconstruction" in logs:
            rate = (state.global_step - self.first_step) / max(time.monotonic() - self.started, 1e-9)
            left = (state.max_steps - state.global_step) / rate if rate else 0
            say(
                f"step {state.global_step:,}/{state.max_steps:,}  reconstruction {logs['reconstruction']:.2f}  "
                f"kl {logs['kl']:.2f}  beta {logs['beta']:.3f}  {rate:.1f} steps/s  {_clock(left)} left"
            )
        elif "eval_loss" in logs:
            say(
                f"validation at step {state.global_step:,}: reconstruction {logs['eval_reconstruction']:.2f}  "
                f"kl {logs['eval_kl']:.2f}  active units {logs['eval_active_units']:.0%}"
            )


def say(message: str) -> None:
    """Write one line to stderr, where progress goes."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def tensorboard(output: Path) -> TrainerCallback:
    """Return the callback that writes TensorBoard files into the run folder."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("TensorBoard files need tensorboard: pip install 'textvae[tensorboard]'") from error
    from transformers.integrations import TensorBoardCallback

    return TensorBoardCallback(SummaryWriter(str(output / "tensorboard")))
