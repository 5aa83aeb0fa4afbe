"""The options of a training run: one dataclass, from which the flags, the help and `training.json` are derived.

Only the standard library is imported here, so that `textvae train --help` stays instant.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .schedules import Schedule

LEARNING_RATES = {"gru": 2e-3, "transformer": 1e-3}
PRETRAINED_LEARNING_RATE = 2e-4
FINE_TUNING_LEARNING_RATE = 5e-4
WARMUP = 0.3
OF_THE_MODEL = (
    "size", "decoder", "encoder", "latent_dim", "vocab_size", "lowercase", "max_length", "bn_gamma", "dropout",
    "keep_encoder", "residual", "lora_rank", "slot_dim", "slot_tokens",
)  # fmt: skip
RETIRED = ("bow", "noise_shuffle", "tensorboard")  # options of older runs
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of a training run.

    Attributes:
        from_: Run folder whose weights and tokenizers training starts from; it also decides the size and the decoder.
        size: Width, depth and latent of the parts trained from scratch.
        decoder: "gru", "transformer", a registered decoder's name, or the folder or hub id of a pretrained causal LM.
        encoder: Folder or hub id of a pretrained encoder; by default a small Transformer from scratch.
        keep_encoder: Freeze the pretrained encoder: mu is its own embedding, so similarities stay the same.
        residual: Largest length of a learnt vector added to the embedding of --keep-encoder, as a share of its length,
            so that texts of similar meaning can be distinguished. Works best with --beta 0.001 --free-bits 0.
        lora_rank: Rank of the low-rank adapters (LoRA) that a pretrained --decoder learns while its own weights stay as
            they are; 0 trains all of them (pip install 'textvae[peft]').
        latent_dim: Latent dimensions; by default the size's, with --keep-encoder or --teacher the width of their
            embeddings.
        slot_dim: Numbers of a wording slot: a small latent for each stretch of --slot-tokens, beside the latent that
            similarity compares; 0 for none. Works best with --beta 0.001 --free-bits 0.5.
        slot_tokens: Tokens per slot.
        teacher: Folder or hub id of a sentence encoder whose similarities mu learns
            (pip install 'textvae[sentence-transformers]').
        vocab_size: Largest vocabulary of a tokenizer trained on the corpus; by default the size's.
        lowercase: Lower-case every text before the tokenizer that is trained on the corpus.
        max_length: Longest text in tokens; longer texts are cut.
        epochs: Passes over the corpus.
        max_steps: Stop after this many steps instead.
        batch_tokens: Tokens in a batch; small batches learn faster per minute on a CPU.
        gradient_accumulation_steps: Batches of each process whose gradients make one step: N of one process are those
            of N processes with one each.
        learning_rate: Peak learning rate; by default 2e-3 for gru, 1e-3 for transformer, 2e-4 with pretrained parts;
            5e-4 with --from, whatever its parts.
        lr_warmup: Steps of linear learning rate warm-up; a cosine to 5% follows.
        weight_decay: Decoupled weight decay.
        max_grad_norm: Gradients are scaled down to this norm.
        beta: Final weight of the KL.
        schedule: How the KL weight rises to beta; by default linear, with --from constant.
        warmup: Share of training with a KL weight of 0, the autoencoder warm-up; by default 0.3,
            0 with --from or a constant schedule.
        ramp: Share of training over which the KL weight rises after the warm-up.
        reset_decoder: Reinitialise the decoder after the warm-up.
        free_bits: KL floor of each latent dimension, in nats.
        mmd: Weight of the squared MMD between the latents of a batch and N(0, I) (InfoVAE), in nats.
        contrastive: Weight of the contrastive loss (InfoNCE on cosines of mu, in nats), which pulls two views of a
            sentence together: the sentence with other noise, or one of its --group.
        distillation: Weight of 1 - the cosine between mu and the embedding of --teacher, in nats.
        from_teacher: Share of the sentences that are decoded from the embedding of --teacher instead of mu.
        open_all: Share of the sentences whose slots are all dropped, so that the decoder learns to write from mu alone.
        open_some: In the other sentences each slot is dropped with a probability drawn uniformly from 0 to this.
        bn_gamma: Scale of a batch normalisation of mu (BN-VAE); by default none.
        dropout: Dropout of a decoder trained from scratch.
        word_dropout: Share of the decoder's input words that are hidden.
        latent_dropout: Share of the sentences decoded without their latent, so that the decoder is a language model
            too; guidance mixes the two.
        noise_drop: Share of the encoder's input tokens that are deleted.
        noise_mask: Share of the encoder's input tokens that are masked.
        seed: Random seed.
        precision: "bf16" autocast, "fp32", or "auto": bf16 where the processor has it.
        logging_steps: Steps between two lines of progress.
        eval_steps: Steps between two validations; by default ten in a run.
        save_steps: Steps between two checkpoints; by default at every validation.
        keep_checkpoints: Checkpoints kept, the newest ones.
        report_to: Where to log beside metrics.jsonl: comma-separated names of the transformers Trainer's integrations,
            such as tensorboard,wandb,mlflow. Each needs its package (pip install 'textvae[tensorboard]').
    """

    from_: str | None = None
    size: Literal["tiny", "small", "base"] = "small"
    decoder: str = "gru"
    encoder: str | None = None
    keep_encoder: bool = False
    residual: float = 0.0
    lora_rank: int = 0
    latent_dim: int | None = None
    slot_dim: int = 0
    slot_tokens: int = 4
    teacher: str | None = None
    vocab_size: int | None = None
    lowercase: bool = False
    max_length: int = 64
    epochs: float = 3.0
    max_steps: int | None = None
    batch_tokens: int = 1024
    gradient_accumulation_steps: int = 1
    learning_rate: float | None = None
    lr_warmup: int = 50
    weight_decay: float = 0.01
    max_grad_norm: float = 5.0
    beta: float = 1.0
    schedule: Schedule | None = None
    warmup: float | None = None
    ramp: float = 0.3
    reset_decoder: bool = False
    free_bits: float = 0.75
    mmd: float = 0.0
    contrastive: float = 0.0
    distillation: float = 20.0
    from_teacher: float = 0.0
    open_all: float = 0.25
    open_some: float = 0.5
    bn_gamma: float | None = None
    dropout: float = 0.0
    word_dropout: float = 0.0
    latent_dropout: float = 0.1
    noise_drop: float = 0.0
    noise_mask: float = 0.0
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    logging_steps: int = 50
    eval_steps: int | None = None
    save_steps: int | None = None
    keep_checkpoints: int = 2
    report_to: str | None = None

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            _require(_is_of(value, kind), name, f"must be {_described(kind)}", repr(value))
            _require(not isinstance(value, float) or math.isfinite(value), name, "must be finite", value)
        if self.from_ is not None:
            for option in dataclasses.fields(self):
                value = getattr(self, option.name)
                fixed = option.name in OF_THE_MODEL
                _require(not fixed or value == option.default, option.name, "comes with the model of --from", value)
            _require(not self.reset_decoder, "reset_decoder", "would discard the weights of --from", True)
        for name in "epochs batch_tokens logging_steps keep_checkpoints max_grad_norm".split():
            _require(getattr(self, name) > 0, name, "must be above 0", getattr(self, name))
        if self.learning_rate is not None:
            _require(self.learning_rate > 0, "learning_rate", "must be above 0", self.learning_rate)
        for name in "latent_dim vocab_size max_steps gradient_accumulation_steps eval_steps save_steps".split():
            value = getattr(self, name)
            _require(value is None or value >= 1, name, "must be at least 1", value)
        for name in "slot_dim beta free_bits mmd contrastive distillation weight_decay lr_warmup seed".split():
            _require(getattr(self, name) >= 0, name, "must not be negative", getattr(self, name))
        _require(
            not self.keep_encoder or self.encoder is not None,
            "keep_encoder",
            "needs an --encoder to keep",
            self.encoder,
        )
        _require(self.residual >= 0, "residual", "must not be negative", self.residual)
        _require(not self.residual or self.keep_encoder, "residual", "goes with --keep-encoder", self.residual)
        _require(
            not self.contrastive or not self.keep_encoder or self.residual > 0,
            "contrastive",
            "has no effect on --keep-encoder without --residual",
            self.contrastive,
        )
        _require(
            self.teacher is None or not self.keep_encoder,
            "teacher",
            "has no effect on --keep-encoder, whose embeddings do not change",
            self.teacher,
        )
        _require(
            not self.from_teacher or self.teacher is not None, "from_teacher", "needs a --teacher", self.from_teacher
        )
        _require(self.slot_tokens >= 1, "slot_tokens", "must be at least 1", self.slot_tokens)
        _require(self.lora_rank >= 0, "lora_rank", "must not be negative", self.lora_rank)
        _require(
            not self.lora_rank or not from_scratch(self.decoder),
            "lora_rank",
            "is for a pretrained --decoder",
            self.lora_rank,
        )
        for name, share in (("warmup", self.kl_warmup), ("ramp", self.ramp)):
            _require(0 <= share <= 1, name, "must be a share in [0, 1]", share)
        rises = self.kl_schedule == "linear"
        whole = self.kl_warmup + self.ramp
        _require(
            not rises or whole <= 1,
            "ramp",
            "and --warmup together must be at most 1, or the KL weight never reaches --beta",
            whole,
        )
        _require(
            not self.reset_decoder or from_scratch(self.decoder),
            "reset_decoder",
            "would discard the pretrained weights of --decoder",
            self.decoder,
        )
        _require(
            not self.lowercase or from_scratch(self.decoder),
            "lowercase",
            "does not apply to the pretrained tokenizer of --decoder",
            self.decoder,
        )
        _require(
            not self.dropout or from_scratch(self.decoder),
            "dropout",
            "is for a decoder trained from scratch, not for a pretrained --decoder",
            self.dropout,
        )
        for name in ("dropout", "word_dropout", "latent_dropout", "noise_drop", "noise_mask"):
            _require(0 <= getattr(self, name) < 1, name, "must be a share in [0, 1)", getattr(self, name))
        for name in ("from_teacher", "open_all", "open_some"):
            _require(0 <= getattr(self, name) <= 1, name, "must be a share in [0, 1]", getattr(self, name))
        _require(self.max_length >= 3, "max_length", "must be at least 3", self.max_length)

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate, or the default for this encoder and decoder."""
        if self.learning_rate is not None:
            return self.learning_rate
        if self.from_ is not None:
            return FINE_TUNING_LEARNING_RATE
        if self.encoder is not None and not self.keep_encoder:
            return PRETRAINED_LEARNING_RATE
        other = LEARNING_RATES["transformer"] if from_scratch(self.decoder) else PRETRAINED_LEARNING_RATE
        return LEARNING_RATES.get(self.decoder, other)

    @property
    def kl_schedule(self) -> Schedule:
        """The KL schedule, or the default: constant with --from, so that the latents of that model are kept."""
        return self.schedule or ("linear" if self.from_ is None else "constant")

    @property
    def kl_warmup(self) -> float:
        """The share of training that is autoencoder warm-up, or the default one."""
        if self.warmup is not None:
            return self.warmup
        return WARMUP if self.from_ is None and self.kl_schedule != "constant" else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> TrainConfig:
        """Return options from plain values, those of older versions included.

        Unknown names are refused with the nearest known one.
        """
        options = without_retired(options)
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ValueError(f"unknown training option {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        return cls(**options)


def from_scratch(decoder: str) -> bool:
    """Return whether --decoder names a decoder that is trained from scratch, and no pretrained one."""
    if decoder in LEARNING_RATES:
        return True
    from ..modeling.config import FROM_SCRATCH  # slow to import, but a pretrained decoder needs it anyway

    return decoder in FROM_SCRATCH


def without_retired(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the retired ones of older versions translated, or dropped with a warning."""
    kept = {name: value for name, value in options.items() if name not in RETIRED}
    if options.get("tensorboard"):
        kept.setdefault("report_to", "tensorboard")
    for name, value in retired_in_use(options).items():
        logger.warning("ignoring the retired training option %s=%s", name, value)
        kept.pop(name, None)
    return kept


def retired_in_use(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the retired options that were in use in an older run."""
    used = {name: options[name] for name in ("bow", "noise_shuffle") if options.get(name)}
    return used | ({"schedule": "logistic"} if options.get("schedule") == "logistic" else {})


def _is_of(value: object, kind: Any) -> bool:
    """Return whether a value is of an annotated kind; an integer is a float too, a truth value no number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_args(kind):
        return any(_is_of(value, each) for each in get_args(kind))
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    return " or ".join(map(_described, get_args(kind))) or names[kind]


def _require(condition: bool, name: str, rule: str, value: object) -> None:
    if not condition:
        raise ValueError(f"--{name.rstrip('_').replace('_', '-')} {rule}, got {value}")
