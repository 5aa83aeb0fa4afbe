"""The training loop: a transformers Trainer with token-budget batches, the annealed objective and its validation."""

# B sentences, T tokens, D latent dimensions
from __future__ import annotations

import errno
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ..latent.collapse import active_units, diagnose_collapse
from ..latent.vae import TextVAE
from ..modeling.likelihood import IGNORED
from ..modeling.objectives.terms import check_terms
from ..modeling.precision import default_device, has_bf16, prefer_attention
from ..modeling.quiet import quiet_transformers
from ..text.token_budget import TokenBudgetSampler
from ..text.tokenizers import pad, to_texts
from . import noise
from .callbacks import (
    DecoderReset,
    EpochSeed,
    FinalValidation,
    MetricsLog,
    Progress,
    PublishCheckpoint,
)
from .config import TrainConfig
from .dataset import Example, Partners, Sentences
from .environment import Ranks
from .gradients import clip_gradients
from .run import RunFolder
from .schedules import kl_weight

logger = logging.getLogger("textvae")

OBJECTIVE = ("free_bits", "from_teacher", "open_all", "open_some")
TERMS = ("distillation", "mmd", "contrastive")  # loss terms whose weights are training options
VALIDATIONS_PER_RUN = 10
MIN_LEARNING_RATE = 0.05
PRIOR_SAMPLES = 64
LOGGED_SAMPLES = 5
UNWRITTEN = re.compile(r"unexpected pos \d+ vs|failed writing|file write failed")  # torch.save on a full disk
ALONE = Ranks()


class TextVAETrainer(Trainer):
    """The transformers Trainer with token-budget batches, the annealed objective, validation and atomic saves."""

    def __init__(
        self,
        vae: TextVAE,
        config: TrainConfig,
        texts: Sequence[str],
        valid: Sequence[str],
        run: RunFolder,
        partners: Partners | None = None,
        teacher: np.ndarray | None = None,
        terms: Mapping[str, float] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        ranks: Ranks = ALONE,
    ):
        self.vae, self.config, self.run, self.ranks = vae, config, run, ranks
        self.terms = {name: getattr(config, name) for name in TERMS} | dict(terms or {})
        self.sentences = Sentences(vae, texts, run.checkpoints / "train", partners, teacher)
        self.valid_dataset = Sentences(vae, valid, run.checkpoints / "valid")
        self.sampler = TokenBudgetSampler(
            self.sentences.lengths, config.batch_tokens, config.seed, ranks.rank, ranks.count
        )
        per_epoch = math.ceil(len(self.sampler) / config.gradient_accumulation_steps)
        steps = config.max_steps or math.ceil(config.epochs * per_epoch)
        eval_steps = config.eval_steps or max(1, steps // VALIDATIONS_PER_RUN)
        device = default_device()
        arguments = TrainingArguments(
            output_dir=str(run.staged_checkpoints),
            max_steps=steps,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            learning_rate=config.peak_learning_rate,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": MIN_LEARNING_RATE},
            warmup_steps=min(config.lr_warmup, steps // 10),
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            adam_beta2=0.98,
            optim="adamw_torch_fused",
            bf16=config.precision == "bf16" or (config.precision == "auto" and has_bf16(device)),
            use_cpu=device.type == "cpu",
            logging_strategy="steps",
            logging_steps=config.logging_steps,
            logging_nan_inf_filter=False,  # the filter would hide the NaN at which the run must stop
            eval_strategy="steps",
            eval_steps=eval_steps,
            save_strategy="steps",
            save_steps=config.save_steps or eval_steps,
            metric_for_best_model="eval_loss",
            greater_is_better=False,
            remove_unused_columns=False,
            disable_tqdm=True,
            report_to=[],
            run_name=run.path.name,
            seed=config.seed,
        )
        prefer_attention(vae.model, device)
        super().__init__(vae.model, arguments, train_dataset=self.sentences, eval_dataset=self.valid_dataset)
        self.remove_callback(PrinterCallback)
        self.add_callback(EpochSeed(self.sampler, partners))
        self.add_callback(FinalValidation())
        if ranks.first:
            self.add_callback(MetricsLog(run.metrics))
            self.add_callback(Progress())
        self.add_callback(PublishCheckpoint(run, self._check_finite, config.keep_checkpoints, ranks))
        if config.reset_decoder:
            self.add_callback(DecoderReset(round(config.kl_warmup * steps), config.seed))
        for callback in callbacks:
            self.add_callback(callback)
        self.running: list[Tensor] = []
        self.unchecked: list[tuple[str, Tensor]] = []  # losses and gradient norms

    # Batches

    def get_train_dataloader(self) -> DataLoader:
        """Return the loader of token-budget batches; it does not use the global random state."""
        return DataLoader(
            self.sentences,
            batch_sampler=self.sampler,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.config.seed),
        )

    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return encoder ids and mask, decoder labels and those of the partners: without noise, padded, (B, T)."""
        input_ids, attention_mask = pad([example.encoder for example in examples], self.vae.encoder_pad_id)
        ids, mask = pad([example.decoder for example in examples], self.vae.model.config.pad_token_id)
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": ids.masked_fill(mask == 0, IGNORED),
        }
        partners = [example.partner for example in examples if example.partner is not None]
        if partners:
            batch["partner_ids"], batch["partner_mask"] = pad(partners, self.vae.encoder_pad_id)
            batch["groups"] = torch.tensor([example.group for example in examples])
        embeddings = [example.teacher for example in examples if example.teacher is not None]
        if embeddings:
            batch["teacher"] = torch.from_numpy(np.stack(embeddings)).float()
        return batch

    def corrupt(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the configured noise to the inputs of encoder and decoder; the targets do not change."""
        config, model_config = self.config, self.vae.model.config
        batch = dict(batch)
        batch["input_ids"], batch["attention_mask"] = self._with_noise(batch["input_ids"], batch["attention_mask"])
        if "partner_ids" in batch:
            batch["partner_ids"], batch["partner_mask"] = self._with_noise(batch["partner_ids"], batch["partner_mask"])
        labels = batch["labels"]
        decoder_ids = labels.masked_fill(labels == IGNORED, model_config.pad_token_id)
        hidden_id = model_config.mask_token_id if model_config.mask_token_id is not None else model_config.bos_token_id
        decoder_ids = noise.mask_tokens(decoder_ids, (labels != IGNORED).long(), config.word_dropout, hidden_id)
        return batch | {"decoder_input_ids": decoder_ids}

    def _with_noise(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        ids, mask = noise.drop_tokens(ids, mask, config.noise_drop, self.vae.encoder_pad_id)
        encoder_mask_id = self.vae.encoder_tokenizer.mask_token_id
        if config.noise_mask and encoder_mask_id is None:
            raise ValueError("the encoder's tokenizer has no mask token: set --noise-mask 0")
        return noise.mask_tokens(ids, mask, config.noise_mask, encoder_mask_id or 0), mask

    # The objective

    @property
    def kl_weight(self) -> float:
        """The scheduled KL weight at this step, in [0, 1]."""
        progress = self.state.global_step / self.args.max_steps
        config = self.config
        return kl_weight(progress, config.kl_schedule, warmup=config.kl_warmup, ramp=config.ramp)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the annealed objective of one corrupted batch; a loss that is not finite stops the run."""
        beta = self.config.beta * self.kl_weight
        config = self.config
        options = {name: getattr(config, name) for name in OBJECTIVE}
        terms = self.terms if "teacher" in inputs else self.terms | {"distillation": 0.0}
        output = model(**self.corrupt(inputs), beta=beta, terms=terms, **options)
        self.unchecked.append(("loss", output.loss.detach()))
        self._check_finite(at_once=self.args.device.type == "cpu")
        self.running.append(torch.stack([output.reconstruction, output.kl]).detach().float())
        return (output.loss, output) if return_outputs else output.loss

    def _clip_grad_norm(self, model: Any) -> Any:
        if self.args.device.type != "cpu":
            norm = super()._clip_grad_norm(model)
            self.unchecked.append(("gradient norm", torch.as_tensor(norm)))
            return norm
        try:
            return clip_gradients(model, self.args.max_grad_norm)
        except FloatingPointError as error:
            raise FloatingPointError(self._not_finite(str(error))) from None

    def _check_finite(self, at_once: bool = True) -> None:
        """Raise if a loss or gradient is not finite: at once on a CPU, else before anything is logged or saved.

        Each check synchronises with an accelerator.
        """
        if not at_once or not self.unchecked:
            return
        names, values = zip(*self.unchecked, strict=True)
        self.unchecked = []
        for name, value in zip(names, torch.stack([v.float().reshape(()) for v in values]).tolist(), strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(self._not_finite(f"the {name} is {value}"))

    def _not_finite(self, symptom: str) -> str:
        best = f"the best weights so far are kept in {self.run.path}"
        kept = best if self.run.has_weights else "no weights were saved yet"
        tries = "Lower --learning-rate, or set --precision fp32"
        if self.state.global_step == 0:  # no step was taken that a learning rate could have made too long
            tries = "Set --precision fp32, or --latent-dropout 0, or try another pretrained --decoder or --encoder"
        return f"training stopped at step {self.state.global_step}: {symptom}; {kept}. {tries}"

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add reconstruction, KL and beta, averaged since the last line, to the Trainer's logs."""
        self._check_finite()
        if self.running and "eval_loss" not in logs:
            reconstruction, kl = torch.cat(self.running, 1).mean(1).tolist()
            self.running = []
            beta = self.config.beta * self.kl_weight
            logs = {"reconstruction": reconstruction, "kl": kl, "beta": beta} | logs
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            with quiet_transformers():
                super()._save_checkpoint(model, trial)
        except RuntimeError as error:  # of torch, which does not say why a file could not be written
            if not UNWRITTEN.search(str(error)):
                raise
            advice = "the checkpoint could not be written: free some space, then --resume"
            raise OSError(errno.ENOSPC, advice, str(self.run.checkpoints)) from error

    # Validation

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure the validation set without noise, at the final beta; save the weights if they are the best yet."""
        self._check_finite()
        self.vae.model.eval()
        generator = torch.Generator(self.args.device).manual_seed(self.config.seed)
        parts, means, kls = [], [], []
        for batch in self._valid_batches():
            with self.compute_loss_context_manager():
                output = self.vae.model(**batch, generator=generator)
            parts.append(torch.stack([output.reconstruction.float(), output.kl.float()]))
            means.append(output.posterior.mean)
            kls.append(output.posterior.kl().float())
        reconstruction, kl = torch.cat(parts, 1).mean(1).tolist()
        active = active_units(torch.cat(means)).float().mean().item()
        samples = self._samples()
        repeated = 1 - len({tuple(row) for row in samples}) / PRIOR_SAMPLES
        self.vae.model.train()
        metrics = {
            "eval_loss": reconstruction + self.config.beta * kl,
            "eval_reconstruction": reconstruction,
            "eval_kl": kl,
            "eval_active_units": active,
            "eval_repeated_samples": repeated,
        }
        if not all(map(math.isfinite, metrics.values())):
            raise FloatingPointError(self._not_finite("the validation loss is not finite"))
        details: dict[str, Any] = {
            "eval_beta": self.config.beta * self.kl_weight,
            "eval_samples": to_texts(self.vae.tokenizer, samples[:LOGGED_SAMPLES]),
            "eval_kl_per_dimension": [round(nats, 4) for nats in torch.cat(kls).mean(0).tolist()],
        }
        self.log(metrics | details)
        alarm = diagnose_collapse(kl, active, repeated)
        if alarm and self.kl_weight >= 1:
            logger.warning(alarm)
        better = self.state.best_metric is None or metrics["eval_loss"] < self.state.best_metric
        if better and self.ranks.first:
            self.run.save_weights(self.vae.model)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _valid_batches(self) -> Iterator[dict[str, Tensor]]:
        sampler = TokenBudgetSampler(self.valid_dataset.lengths, 4 * self.config.batch_tokens, self.config.seed)
        for chosen in sampler:
            batch = self.collate([self.valid_dataset[i] for i in chosen])
            yield {name: value.to(self.args.device) for name, value in batch.items()}

    def _samples(self) -> list[list[int]]:
        """Return the token ids of texts decoded from draws of N(0, I)."""
        latents = torch.randn(PRIOR_SAMPLES, self.vae.dim, generator=torch.Generator().manual_seed(self.config.seed))
        return self.vae.model.write(latents).tolist()


def check_extra_terms(terms: Mapping[str, float]) -> None:
    """Raise ValueError unless the terms are registered and none of them has a training option."""
    for name in TERMS:
        if name in terms:
            raise ValueError(f"the weight of {name!r} is an option: give TrainConfig({name}={terms[name]})")
    check_terms(terms)
