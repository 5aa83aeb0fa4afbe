"""`train`: from a corpus to the best model of a run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from transformers import TrainerCallback, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from ..latent.familiarity import FEWEST_TEXTS
from ..latent.hub import local_folder
from ..latent.vae import TextVAE
from ..modeling.config_file import read_config
from ..modeling.precision import default_device
from ..modeling.randomness import global_randomness_kept
from ..modeling.weights import load_network
from ..storage.errors import CorruptFileError
from ..storage.locks import only_writer
from ..text.cleaning import NORMALIZATION, gate_texts, normalised
from ..text.corpus import split_validation
from ..text.tokenizers import load_run_tokenizer
from .build import build_model, rebuild_model
from .callbacks import reporting_callbacks
from .config import TrainConfig, retired_in_use
from .dataset import Partners
from .distillation import TeacherCache, leading_directions
from .environment import Ranks, processes
from .run import RunFolder, step_of
from .trainer import TextVAETrainer, check_extra_terms

logger = logging.getLogger("textvae")
SOURCE = "from_fingerprint"  # in training.json, of the model that training started from
PRIOR_TEXTS = 10_000  # to whose latents the prior is fitted
CALIBRATION_TEXTS = 500  # held-out texts that familiarity is calibrated on
MOST_SLOT_BETA = 0.1  # above it the KL takes the wording out of the slots


def train(
    corpus: Sequence[str],
    output: str | Path,
    config: TrainConfig | None = None,
    *,
    valid: Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    terms: Mapping[str, float] | None = None,
) -> TextVAE:
    """Train a text VAE on a corpus and return the best one by validation ELBO at the final beta.

    It runs in one process, whatever variables MPI or another job have set, or in those that torchrun launches: each
    takes its share of the batches, of `batch_tokens` each, and the first one alone writes and logs. It is the only
    writer of `output` until it ends. The global random generators are left as they were; trainings in several threads
    take turns.

    Args:
        corpus: Sentences.
        output: The run folder to write.
        config: Options; by default `TrainConfig()`.
        valid: Validation sentences; by default 5% of the corpus, 2,000 at most.
        groups: Group of each sentence, such as the picture it describes; the contrastive term pulls members of a group
            together. By default equal sentences are a group, and two views of a sentence differ by noise.
        resume: Continue the run in `output` from its newest whole checkpoint, bit for bit on a CPU; a run that has
            no checkpoint yet starts over.
        callbacks: Callbacks of the transformers Trainer. At a validation their `on_log` gets what metrics.jsonl gets,
            with "eval_samples", five texts decoded from N(0, I), and "eval_kl_per_dimension", nats.
        terms: Weights of further loss terms by the names under which `textvae.modeling.register_term` registered them.

    Raises:
        FileExistsError: `output` holds a run and `resume` is False.
        BlockingIOError: Another process or thread is writing `output`.
        FloatingPointError: The loss or a gradient became NaN or infinite; the best weights so far are in `output`.
        ValueError: The corpus or the options cannot be trained with, or a resumed run had other ones.
    """
    config = config or TrainConfig()
    terms = dict(terms or {})
    check_extra_terms(terms)
    with processes() as ranks, global_randomness_kept():
        with only_writer(Path(output)) if ranks.first else nullcontext():
            return _train(corpus, output, config, valid, groups, resume, callbacks, terms, ranks)


def _train(
    corpus: Sequence[str],
    output: str | Path,
    config: TrainConfig,
    valid: Sequence[str] | None,
    groups: Sequence[Hashable] | None,
    resume: bool,
    callbacks: Sequence[TrainerCallback],
    terms: Mapping[str, float],
    ranks: Ranks,
) -> TextVAE:
    with ranks.in_turn():  # the first process writes the run, the teacher's embeddings and the token cache
        run = RunFolder(output)
        resume = resume or not ranks.first  # the others find the run that the first one has begun
        if ranks.first:
            callbacks = [*callbacks, *reporting_callbacks(config.report_to, run.path)]
        data = _read_data(corpus, valid, groups, config, terms, _text_normalization(run, config))
        set_seed(config.seed)
        checkpoint = run.newest_checkpoint() if resume else None
        teacher = _teacher(config, run)
        made_from = data.made_from(config) | {"terms": dict(terms) or None, "processes": ranks.count}
        vae = _model(run, config, data.texts, made_from, resume, checkpoint, teacher.dim if teacher else None)
        if vae.model.config.slot_dim and config.beta > MOST_SLOT_BETA:
            logger.warning("at --beta %g slots lose the wording: give --beta 0.001 --free-bits 0.5", config.beta)
        embeddings = None if teacher is None else _projected(teacher.embed(data.texts), vae.dim)
        trainer = TextVAETrainer(
            vae, config, data.texts, data.held_out, run, data.partners(config), embeddings, terms, callbacks, ranks
        )
    if not ranks.first:
        set_seed(config.seed + ranks.rank)  # for noise and latents of its own
    if ranks.first:
        run.keep_metrics_until(step_of(checkpoint))
    _run_steps(trainer, checkpoint)
    trainer.sentences.close()
    trainer.valid_dataset.close()
    ranks.wait()  # nobody reads the token cache any more
    with ranks.in_turn():
        if not ranks.first:
            return TextVAE.from_pretrained(run.path)
        run.finish(made_from | {"steps": trainer.state.global_step, "best_loss": trainer.state.best_metric})
        return _finished(run, data, config.seed)


class _Data(NamedTuple):
    texts: list[str]
    held_out: list[str]
    groups: Sequence[Hashable] | None

    def made_from(self, config: TrainConfig) -> dict[str, Any]:
        """Return the options and digests that must match when the run is resumed."""
        return {
            "options": config.to_dict(),
            "sentences": len(self.texts),
            "corpus_sha256": _digest(self.texts, self.held_out),
            "groups_sha256": None if self.groups is None else _digest([str(group) for group in self.groups]),
        }

    def partners(self, config: TrainConfig) -> Partners | None:
        """Return the other views of the texts, where a term needs them."""
        if self.groups is None and not config.contrastive:
            return None
        return Partners(self.texts if self.groups is None else self.groups, config.seed)


def _text_normalization(run: RunFolder, config: TrainConfig) -> int:
    """Return the version with which the run's model reads texts: that of the model it starts from, or the newest."""
    if not run.started and config.from_ is None:
        return NORMALIZATION
    folder = run.path if run.started else local_folder(config.from_ or "")
    known = (folder / "config.json").exists()
    return read_config(folder).text_normalization if known else NORMALIZATION


def _read_data(
    corpus: Sequence[str],
    valid: Sequence[str] | None,
    groups: Sequence[Hashable] | None,
    config: TrainConfig,
    terms: Mapping[str, float],
    normalization: int,
) -> _Data:
    """Return the cleaned texts to train on and to validate with."""
    given = gate_texts(corpus), gate_texts([] if valid is None else valid)
    texts, held_out = ([normalised(text, normalization) for text in part] for part in given)
    if config.lowercase:  # before the split, so that no text differs from a held-out one in its case alone
        texts, held_out = ([text.lower() for text in part] for part in (texts, held_out))
    if groups is not None and len(groups) != len(texts):
        raise ValueError(f"{len(texts):,} sentences need as many groups, got {len(groups):,}")
    if groups is not None and not config.contrastive and not terms:
        raise ValueError("groups are for the contrastive term: set contrastive above 0")
    noisy = config.noise_drop or config.noise_mask
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
    return _Data(texts, held_out, groups)


def _teacher(config: TrainConfig, run: RunFolder) -> TeacherCache | None:
    """Return the teacher's embeddings of a run, if it has a teacher."""
    if config.teacher is None or not (config.distillation or config.from_teacher):
        return None
    teacher = TeacherCache(run.teacher, config.teacher, default_device().type)
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


def _model(
    run: RunFolder,
    config: TrainConfig,
    texts: Sequence[str],
    made_from: dict[str, Any],
    resume: bool,
    checkpoint: Path | None,
    teacher_dim: int | None,
) -> TextVAE:
    """Return the model that training starts from or resumes; write the folder of a new run."""
    if run.started:
        if not resume:
            raise FileExistsError(
                f"{run.path} already holds a run: continue it with --resume, or choose another folder"
            )
        return _resumed(run, config, texts, made_from, checkpoint, teacher_dim)
    if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
        raise FileExistsError(f"{run.path} exists and is not a run: choose another folder")
    vae = build_model(config, texts, teacher_dim=teacher_dim)
    if config.from_ is not None:
        made_from[SOURCE] = vae.fingerprint
    run.start(vae, made_from)
    return vae


def _resumed(
    run: RunFolder,
    config: TrainConfig,
    texts: Sequence[str],
    made_from: dict[str, Any],
    checkpoint: Path | None,
    teacher_dim: int | None,
) -> TextVAE:
    before = run.made_from()
    if retired := retired_in_use(before.get("options", {})):
        told = ", ".join(f"{name}={value}" for name, value in retired.items())
        raise ValueError(f"cannot resume {run.path}: it was started with {told}, now retired; train in another folder")
    before.setdefault("processes", 1)  # older versions trained in one
    options = TrainConfig.from_dict(before.get("options", {}))  # options that the file lacks had their defaults
    before["options"] = options.to_dict()
    for key, value in made_from.items():
        if before.get(key) != value:
            raise ValueError(f"cannot resume {run.path}: {_difference(key, before.get(key), value)}")
    if checkpoint is not None:
        try:
            load_network(checkpoint)
        except CorruptFileError as error:
            told = f"another version of textvae made it, or it is damaged ({error}); train in another folder"
            raise CorruptFileError(f"cannot resume {run.path}: {told}") from error
        made_from |= {SOURCE: before[SOURCE]} if SOURCE in before else {}
        return rebuild_model(run.path)
    vae = build_model(config, texts, load_run_tokenizer(run.path), teacher_dim)
    if config.from_ is not None:
        made_from[SOURCE] = vae.fingerprint
        if before.get(SOURCE) != vae.fingerprint:
            raise ValueError(f"cannot resume {run.path}: the model in {config.from_} has changed since it started")
    return vae


def _difference(key: str, before: Any, now: Any) -> str:
    if key == "options" and isinstance(before, dict):
        name = next(name for name in now if before.get(name) != now[name])
        return f"it was started with {name.rstrip('_')}={before.get(name)}, not {now[name]}"
    if key == "terms":
        return f"it was started with the loss terms {before}, not {now}"
    if key == "processes":
        return f"it was started with {before} processes, not {now}: launch as many"
    return (
        "it was started with other groups: give the same --group"
        if key == "groups_sha256"
        else "it was started on another corpus"
    )


def _run_steps(trainer: TextVAETrainer, checkpoint: Path | None) -> None:
    """Train from a checkpoint, or from the start; for a finished run, only load its state."""
    if checkpoint is None or step_of(checkpoint) < trainer.args.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    else:
        trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))


def _finished(run: RunFolder, data: _Data, seed: int) -> TextVAE:
    """Return the best model, with a prior fitted to the latents of some texts and familiarity calibrated on others."""
    best = TextVAE.from_pretrained(run.path)
    texts, held_out = (
        [part[i] for i in np.random.default_rng(seed).permutation(len(part))[:most]]
        for part, most in ((data.texts, PRIOR_TEXTS), (data.held_out, CALIBRATION_TEXTS))
    )
    if len(texts) > 1:
        run.save_prior(best.fit_prior(texts))
    if len(held_out) >= FEWEST_TEXTS:
        run.save_calibration(best.calibrate(held_out))
    best.versions.note(run.path)
    return best


def _digest(*corpora: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for corpus in corpora:
        for text in corpus:
            digest.update(text.encode() + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()
