"""Training: a transformers Trainer with token-budget batches, the annealed objective and saves that survive a crash."""

# B sentences, T tokens, D latent dimensions
from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import (
    Trainer,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

from . import noise
from .artifacts import (
    CorruptFileError,
    atomic_folder,
    atomic_path,
    atomic_replacement,
    check_manifest,
    publish_folder,
    read_json,
    recover_folder,
    write_json,
)
from .assembly import build_model, rebuild_model
from .batches import Example, Partners, Sentences, TokenBudgetSampler
from .callbacks import DecoderReset, EpochSeed, FinalValidation, MetricsLog, Progress, say, tensorboard
from .cross_entropy import IGNORED
from .data import split_validation
from .distillation import TeacherCache, leading_directions
from .gate import gate_texts
from .modeling import TextVAEModel
from .objective import active_units, diagnose_collapse
from .precision import has_bf16, prefer_attention
from .schedules import kl_weight
from .text_vae import PRIOR, TextVAE
from .tokenization import load_tokenizer, pad
from .train_config import TrainConfig

logger = logging.getLogger(__name__)

CHECKPOINTS, METRICS, TRAINING = "checkpoints", "metrics.jsonl", "training.json"
TEACHER = "teacher"  # folder of its embeddings, beside the checkpoints
OBJECTIVE = ("free_bits", "mmd", "bow", "contrastive", "from_teacher", "open_all", "open_some")
SOURCE = "from_fingerprint"  # in training.json, of the model that training started from
VALIDATIONS_PER_RUN = 10
MIN_LEARNING_RATE = 0.05
PRIOR_SAMPLES = 64
PRIOR_TEXTS = 10_000  # to whose latents the prior is fitted


def train(
    corpus: Sequence[str],
    output: str | Path,
    config: TrainConfig | None = None,
    *,
    valid: Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
    resume: bool = False,
) -> TextVAE:
    """Train a text VAE on a corpus and return the best one by validation ELBO at the final beta.

    Args:
        corpus: Sentences.
        output: The run folder to write.
        config: Options; by default `TrainConfig()`.
        valid: Validation sentences; by default 5% of the corpus, 2,000 at most.
        groups: Group of each sentence, such as the picture it describes: what the contrastive term draws together. By
            default equal sentences are one, and two views of it differ by noise.
        resume: Continue the run in `output` from its newest whole checkpoint, bit for bit on a CPU; a run that has
            no checkpoint yet starts over.

    Raises:
        FileExistsError: `output` holds a run and `resume` is False.
        FloatingPointError: The loss or a gradient became NaN or infinite; the best weights so far are in `output`.
        ValueError: The corpus or the options cannot be trained with, or a resumed run had other ones.
    """
    config = config or TrainConfig()
    output = Path(output)
    texts, held_out = gate_texts(corpus), gate_texts([] if valid is None else valid)
    if config.lowercase:  # before the split, so that no text differs from a held-out one in its case alone
        texts, held_out = ([text.lower() for text in part] for part in (texts, held_out))
    if groups is not None and len(groups) != len(texts):
        raise ValueError(f"{len(texts):,} sentences need as many groups, got {len(groups):,}")
    if groups is not None and not config.contrastive:
        raise ValueError("groups are for the contrastive term: set contrastive above 0")
    noisy = config.noise_drop or config.noise_mask or config.noise_shuffle
    if config.contrastive and groups is None and not noisy:
        raise ValueError("two views of a sentence are the same without noise: set --noise-drop 0.1, or give groups")
    if valid is None:
        everything = texts
        texts, held_out = split_validation(everything, seed=config.seed)
        if groups is not None:
            left_out = set(held_out)
            groups = [group for text, group in zip(everything, groups, strict=True) if text not in left_out]
    if not texts or not held_out:
        raise ValueError(f"training needs sentences, got {len(texts)} to train on and {len(held_out)} to validate with")
    set_seed(config.seed)
    recover_folder(output)
    made_from = {"options": config.to_dict(), "sentences": len(texts), "corpus_sha256": _digest(texts, held_out)}
    made_from["groups_sha256"] = None if groups is None else _digest([str(group) for group in groups])
    partners = Partners(texts if groups is None else groups, config.seed) if config.contrastive else None
    checkpoint = newest_checkpoint(output / CHECKPOINTS) if resume else None
    teacher = _teacher(config, output)
    vae = _prepare_run(output, config, texts, made_from, resume, checkpoint, teacher.dim if teacher else None)
    embeddings = None if teacher is None else _projected(teacher.embed(texts), vae.dim)
    trainer = TextVAETrainer(vae, config, texts, held_out, output, partners, embeddings)
    _keep_metrics_until(output / METRICS, _step_of(checkpoint))
    if checkpoint is None or _step_of(checkpoint) < trainer.args.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    else:
        trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    made_from["steps"] = trainer.state.global_step
    made_from["best_loss"] = trainer.state.best_metric
    with atomic_replacement(output, TRAINING) as staged:
        staged.write_text(json.dumps(made_from, indent=2) + "\n")
    for tokens in (output / CHECKPOINTS).glob("*.arrow"):  # a run is shared without the texts it was made from
        tokens.unlink()
    shutil.rmtree(output / CHECKPOINTS / TEACHER, ignore_errors=True)
    best = TextVAE.from_pretrained(output)
    chosen = np.random.default_rng(config.seed).permutation(len(texts))[:PRIOR_TEXTS]
    if len(texts) > 1:
        prior = best.fit_prior([texts[i] for i in chosen])
        with atomic_replacement(output, PRIOR) as staged:
            prior.save(staged)
    return best


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint whose manifest holds, or None."""
    for path in sorted(folder.glob("checkpoint-*"), key=_step_of, reverse=True):
        try:
            check_manifest(path)
        except CorruptFileError as error:
            logger.warning("skipping a checkpoint: %s", error)
            continue
        if (path / "manifest.json").exists():
            return path
    return None


class TextVAETrainer(Trainer):
    """The training loop: transformers' own, with our batches, objective, validation and saves."""

    def __init__(
        self,
        vae: TextVAE,
        config: TrainConfig,
        texts: Sequence[str],
        valid: Sequence[str],
        output: Path,
        partners: Partners | None = None,
        teacher: np.ndarray | None = None,
    ):
        self.vae, self.config, self.output = vae, config, output
        self.sentences = Sentences(vae, texts, output / CHECKPOINTS / "train", partners, teacher)
        self.valid_dataset = Sentences(vae, valid, output / CHECKPOINTS / "valid")
        self.sampler = TokenBudgetSampler(self.sentences.lengths, config.batch_tokens, config.seed)
        steps = config.max_steps or math.ceil(config.epochs * len(self.sampler))
        eval_steps = config.eval_steps or max(1, steps // VALIDATIONS_PER_RUN)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        arguments = TrainingArguments(
            output_dir=str(output / CHECKPOINTS),
            max_steps=steps,
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
            logging_nan_inf_filter=False,  # it hides the NaN that the run must stop at
            eval_strategy="steps",
            eval_steps=eval_steps,
            save_strategy="steps",
            save_steps=config.save_steps or eval_steps,
            metric_for_best_model="eval_loss",
            greater_is_better=False,
            remove_unused_columns=False,
            disable_tqdm=True,
            report_to=[],
            seed=config.seed,
        )
        prefer_attention(vae.model, device)
        super().__init__(vae.model, arguments, train_dataset=self.sentences, eval_dataset=self.valid_dataset)
        self.remove_callback(PrinterCallback)
        self.add_callback(EpochSeed(self.sampler, partners))
        self.add_callback(FinalValidation())
        self.add_callback(MetricsLog(output / METRICS))
        self.add_callback(Progress())
        if config.reset_decoder:
            self.add_callback(DecoderReset(self, round(config.kl_warmup * steps)))
        if config.tensorboard:
            self.add_callback(tensorboard(output))
        self.running: list[Tensor] = []
        self.unchecked: list[tuple[str, Tensor]] = []  # losses and gradient norms

    # Batches

    def get_train_dataloader(self) -> DataLoader:
        """Return the loader of token-budget batches; it shares nothing with the global random state."""
        return DataLoader(
            self.sentences,
            batch_sampler=self.sampler,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.config.seed),
        )

    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return encoder ids and mask and decoder labels, all clean and padded, (B, T), and those of the partners."""
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
        """Add the noise that training asks for to what encoder and decoder read; the targets stay."""
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
        ids = noise.mask_tokens(ids, mask, config.noise_mask, encoder_mask_id or 0)
        return noise.shuffle_tokens(ids, mask, config.noise_shuffle), mask

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
        options["distillation"] = config.distillation if "teacher" in inputs else 0.0
        output = model(**self.corrupt(inputs), beta=beta, **options)
        self.unchecked.append(("loss", output.loss.detach()))
        self._check_finite(at_once=self.args.device.type == "cpu")
        self.running.append(torch.stack([output.reconstruction, output.kl]).detach().float())
        return (output.loss, output) if return_outputs else output.loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        self.unchecked.append(("gradient norm", torch.as_tensor(norm)))
        self._check_finite(at_once=self.args.device.type == "cpu")
        return norm

    def _check_finite(self, at_once: bool = True) -> None:
        """Stop at a loss or gradient that is not finite: at once on a CPU, else before anything is logged or saved.

        Each look makes an accelerator wait.
        """
        if not at_once or not self.unchecked:
            return
        names, values = zip(*self.unchecked, strict=True)
        self.unchecked = []
        for name, value in zip(names, torch.stack([v.float().reshape(()) for v in values]).tolist(), strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(self._not_finite(f"the {name} is {value}"))

    def _not_finite(self, symptom: str) -> str:
        kept = f"the best weights so far are kept in {self.output}" if self._has_best() else "no weights were saved yet"
        return (
            f"training stopped at step {self.state.global_step}: {symptom}; {kept}. "
            "Lower --learning-rate, or set --precision fp32"
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add reconstruction, KL and beta, averaged since the last line, to what the Trainer logs."""
        self._check_finite()
        if self.running and "eval_loss" not in logs:
            reconstruction, kl = torch.cat(self.running, 1).mean(1).tolist()
            self.running = []
            beta = self.config.beta * self.kl_weight
            logs = {"reconstruction": reconstruction, "kl": kl, "beta": beta} | logs
        super().log(logs, start_time)

    # Validation

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure the validation set without noise, at the final beta; save the weights if they are the best yet."""
        self._check_finite()
        self.vae.model.eval()
        generator = torch.Generator(self.args.device).manual_seed(self.config.seed)
        parts, means = [], []
        for batch in self._valid_batches():
            with self.compute_loss_context_manager():
                output = self.vae.model(**batch, generator=generator)
            parts.append(torch.stack([output.reconstruction.float(), output.kl.float()]))
            means.append(output.posterior.mean)
        reconstruction, kl = torch.cat(parts, 1).mean(1).tolist()
        active = active_units(torch.cat(means)).float().mean().item()
        repeated = self._repeated_samples()
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
        self.log(metrics | {"eval_beta": self.config.beta * self.kl_weight})
        alarm = diagnose_collapse(kl, active, repeated)
        if alarm and self.kl_weight >= 1:
            say(alarm)
        if self.state.best_metric is None or metrics["eval_loss"] < self.state.best_metric:
            self._save_best()
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _valid_batches(self) -> Iterator[dict[str, Tensor]]:
        sampler = TokenBudgetSampler(self.valid_dataset.lengths, 4 * self.config.batch_tokens, self.config.seed)
        for chosen in sampler:
            batch = self.collate([self.valid_dataset[i] for i in chosen])
            yield {name: value.to(self.args.device) for name, value in batch.items()}

    def _repeated_samples(self) -> float:
        latents = torch.randn(PRIOR_SAMPLES, self.vae.dim, generator=torch.Generator().manual_seed(self.config.seed))
        ids = self.vae.model.write(latents)
        return 1 - len({tuple(row) for row in ids.tolist()}) / PRIOR_SAMPLES

    # Saves

    def _has_best(self) -> bool:
        return (self.output / "model.safetensors").exists()

    def _save_best(self) -> None:
        staged = self.output / ".staged-weights"
        shutil.rmtree(staged, ignore_errors=True)
        self.vae.model.save_pretrained(staged)
        for file in sorted(staged.iterdir()):
            with atomic_replacement(self.output, file.name) as path:
                shutil.move(file, path)
        shutil.rmtree(staged)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.output / CHECKPOINTS / ".staged")

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._check_finite()
        staged = Path(self._get_output_dir(trial))
        shutil.rmtree(staged, ignore_errors=True)
        super()._save_checkpoint(model, trial)
        (written,) = staged.iterdir()
        publish_folder(written, self.output / CHECKPOINTS / written.name)
        shutil.rmtree(staged)
        kept = sorted((self.output / CHECKPOINTS).glob("checkpoint-*"), key=_step_of)
        for old in kept[: -self.config.keep_checkpoints]:
            shutil.rmtree(old)


def _teacher(config: TrainConfig, output: Path) -> TeacherCache | None:
    """Return the teacher's embeddings of a run, if it has a teacher."""
    if config.teacher is None or not (config.distillation or config.from_teacher):
        return None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = TeacherCache(output / CHECKPOINTS / TEACHER, config.teacher, device)
    if config.latent_dim is not None and config.latent_dim > teacher.dim:
        raise ValueError(
            f"--latent-dim must be at most {teacher.dim}, the width of the teacher, got {config.latent_dim}"
        )
    return teacher


def _projected(embeddings: np.ndarray, dim: int) -> np.ndarray:
    """Return embeddings of `dim` numbers that keep the most of the teacher's similarities."""
    if embeddings.shape[1] < dim:  # of a model that training starts from
        raise ValueError(f"the teacher's embeddings have {embeddings.shape[1]} numbers, the model needs at least {dim}")
    return embeddings if embeddings.shape[1] == dim else embeddings @ leading_directions(embeddings, dim)


def _prepare_run(
    output: Path,
    config: TrainConfig,
    texts: Sequence[str],
    made_from: dict,
    resume: bool,
    checkpoint: Path | None,
    teacher_dim: int | None,
) -> TextVAE:
    if (output / TRAINING).exists():
        if not resume:
            raise FileExistsError(f"{output} already holds a run: continue it with --resume, or choose another folder")
        before = read_json(output / TRAINING)
        options = TrainConfig.from_dict(before.get("options", {}))  # those it does not know were at their defaults
        before["options"] = options.to_dict()
        for key, value in made_from.items():
            if before.get(key) != value:
                raise ValueError(f"cannot resume {output}: {_difference(key, before.get(key), value)}")
        if checkpoint is not None:
            loaded: Any = TextVAEModel.from_pretrained(checkpoint, output_loading_info=True)
            if loaded[1]["missing_keys"]:
                raise ValueError(f"cannot resume {output}: another version of textvae made it; train in another folder")
            made_from |= {SOURCE: before[SOURCE]} if SOURCE in before else {}
            return rebuild_model(output)
        vae = build_model(config, texts, load_tokenizer(output), teacher_dim)
        if config.from_ is not None:
            made_from[SOURCE] = vae.fingerprint
            if before.get(SOURCE) != vae.fingerprint:
                raise ValueError(f"cannot resume {output}: the model in {config.from_} has changed since it started")
        return vae
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} exists and is not a run: choose another folder")
    vae = build_model(config, texts, teacher_dim=teacher_dim)
    if config.from_ is not None:
        made_from[SOURCE] = vae.fingerprint
    with atomic_folder(output, TRAINING) as folder:
        vae.model.config.save_pretrained(folder)
        vae.save_tokenizers(folder)
        write_json(folder / TRAINING, made_from)
    return vae


def _difference(key: str, before: Any, now: Any) -> str:
    if key == "options" and isinstance(before, dict):
        name = next(name for name in now if before.get(name) != now[name])
        return f"it was started with {name.rstrip('_')}={before.get(name)}, not {now[name]}"
    return (
        "it was started with other groups: give --group as then"
        if key == "groups_sha256"
        else "it was started on another corpus"
    )


def _digest(*corpora: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for corpus in corpora:
        for text in corpus:
            digest.update(text.encode() + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()


def _step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0


def _keep_metrics_until(path: Path, step: int) -> None:
    """Drop the lines that the resumed run will write again, and a line that a crash cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            break
    with atomic_path(path) as staged:
        staged.write_text("".join(kept), encoding="utf-8")
