"""The training loop of the English model, one for CPUs and GPUs.

The token ids of the corpus lie on the device as one row, so that a batch is a gather. All noise of a step comes from
the seed and the step's number, so that a checkpoint needs no random state: on a CPU and with a budget of steps, a run
that was killed and resumed has the weights of an uninterrupted one, bit for bit. With a budget of minutes the learning
rate follows the time spent.
"""

# B sentences, T tokens, E dimensions of the teacher
from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from textvae.modeling import TextVAEConfig, TextVAEModel
from textvae.modeling.config import Preset, decoder_config, transformer_encoder
from textvae.modeling.likelihood import IGNORED
from textvae.modeling.objectives.distillation import cosine_distance
from textvae.modeling.precision import has_bf16
from textvae.storage.folders import atomic_folder, check_manifest, recover_folder
from textvae.text.cleaning import NORMALIZATION
from textvae.text.token_budget import TokenBudgetSampler
from textvae.training.noise import drop_tokens, mask_tokens

CHECK_EVERY = 200  # steps between two looks at whether the loss is finite, each of which makes a GPU wait
LAST_LEARNING_RATE = 0.02  # share of the peak
MUON_WIDTH = 32  # least width of a matrix that Muon trains


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides a training run, but for the corpus and the budget.

    Attributes:
        hidden_size: Width of the token embeddings and of the encoder.
        num_layers: Of the encoder, and of a Transformer decoder.
        num_heads: Of their attention.
        gru_hidden_size: Width of the decoder's recurrent state.
        coverage: Whether a GRU reads the sum of the embeddings written so far.
        decoder: "gru" or "transformer".
        vocab_size: Of the byte-level BPE.
        latent_dim: D, of the meaning; of all of z where there are no slots.
        unit_mean: Whether the meaning has length sqrt(D).
        slot_dim: W; 0 for one flat latent.
        slot_tokens: Tokens that share a slot.
        max_length: Longest text in tokens.
        batch_tokens: Tokens of a batch.
        learning_rate: Peak.
        muon: Whether matrices are trained by Muon instead of AdamW.
        warmup_steps: Steps of linear warm-up.
        hold: Share of the budget after which the learning rate begins to fall.
        weight_decay: Decoupled weight decay.
        max_grad_norm: Gradients are scaled down to this norm.
        average: Steps over which the weights that are measured and kept are averaged.
        beta: Weight of the KL.
        free_bits: Floor of the KL of each dimension, in nats.
        distillation: Weight of 1 - cosine to the teacher.
        encoder_first: Share of the budget in which the encoder alone is trained, by distillation, before all is.
        decoder_only: Whether the encoder, and the token embeddings it shares, stay as they are.
        from_teacher: Share of sentences written from the teacher's embedding in place of the encoder's meaning.
        open_all: Share of sentences written from the meaning alone.
        open_some: Largest probability with which a slot of the others is opened.
        sampled_words: Words of the vocabulary from which the likelihood is estimated, beside those of the batch; 0 for
            all.
        mask: Share of the encoder's input tokens that are masked.
        drop: Share of them that are deleted.
        latent_dropout: Share of sentences written without any latent.
        tie: Whether both halves share their token embeddings.
        warm_start: Whether token embeddings start from the teacher's.
        seed: Seed of everything random.
    """

    hidden_size: int = 256
    num_layers: int = 2
    num_heads: int = 4
    gru_hidden_size: int = 512
    coverage: bool = False
    decoder: str = "gru"
    vocab_size: int = 8192
    latent_dim: int = 384
    unit_mean: bool = True
    slot_dim: int = 64
    slot_tokens: int = 4
    max_length: int = 64
    batch_tokens: int = 1536
    learning_rate: float = 1e-3
    muon: bool = False
    warmup_steps: int = 200
    hold: float = 0.4
    weight_decay: float = 0.01
    max_grad_norm: float = 5.0
    average: int = 300
    beta: float = 0.001
    free_bits: float = 0.5
    distillation: float = 20.0
    encoder_first: float = 0.0
    decoder_only: bool = False
    from_teacher: float = 0.0
    open_all: float = 0.25
    open_some: float = 0.5
    sampled_words: int = 0
    mask: float = 0.1
    drop: float = 0.0
    latent_dropout: float = 0.0
    tie: bool = False
    warm_start: bool = False
    seed: int = 0

    def config(self, vocab_size: int) -> TextVAEConfig:
        """Return the network's configuration for a tokenizer of V tokens."""
        preset = Preset(
            self.hidden_size, self.num_layers, self.num_heads, self.latent_dim, 8, self.gru_hidden_size, 4, vocab_size
        )
        decoder: Any = decoder_config(preset, vocab_size, self.decoder)
        if self.decoder == "gru":
            decoder.coverage = self.coverage
        return TextVAEConfig(
            encoder=transformer_encoder(preset, vocab_size),
            decoder=decoder,
            latent_dim=self.latent_dim,
            unit_mean=self.unit_mean,
            tie_word_embeddings=self.tie,
            slot_dim=self.slot_dim,
            slot_tokens=self.slot_tokens,
            prefix_length=4,
            latent_dropout=self.latent_dropout,
            max_length=self.max_length,
            text_normalization=NORMALIZATION,
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a run is: a number of steps, or minutes of processor time (on a GPU of the clock)."""

    steps: int | None = None
    minutes: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the budget that is used."""
        return step / self.steps if self.steps else seconds / (60 * (self.minutes or math.inf))


class Tokens:
    """A corpus on a device: the ids of all sentences in one row, and the teacher's embeddings of the first of them.

    Args:
        rows: Token ids of each sentence, BOS ... EOS; or what `flatten` makes of them.
        device: Where they shall lie.
        pad_id: Padding.
        teacher: Unit embeddings of the first sentences, shape (n, E), float16; the others' are unknown.
        multiple: Batches are padded to a multiple of so many tokens, for fewer shapes.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]] | dict[str, np.ndarray],
        device: torch.device,
        pad_id: int,
        teacher: np.ndarray | None = None,
        multiple: int = 1,
    ):
        flat = rows if isinstance(rows, dict) else flatten(rows)
        self.lengths = flat["lengths"]
        self.digest = hashlib.sha256(flat["ids"].tobytes() + self.lengths.tobytes()).hexdigest()
        self.flat = torch.from_numpy(flat["ids"]).to(device)
        self.starts = torch.from_numpy(np.concatenate([[0], self.lengths.cumsum()[:-1]])).to(device)
        self.counts = torch.from_numpy(self.lengths).to(device)
        self.pad_id, self.multiple = pad_id, multiple
        self.teacher = None if teacher is None else torch.from_numpy(teacher).to(device)

    def batch(self, chosen: np.ndarray) -> dict[str, Tensor]:
        """Return ids and mask (B, T), labels and, if there is a teacher, its embeddings (B, E)."""
        rows_B = torch.from_numpy(chosen)
        if self.flat.is_cuda:  # from other memory than pinned one a copy may wait for what the GPU has to do
            rows_B = rows_B.pin_memory()
        rows_B = rows_B.to(self.flat.device, non_blocking=True)
        width = -(-int(self.lengths[chosen].max()) // self.multiple) * self.multiple
        places_T = torch.arange(width, device=self.flat.device)
        mask_BT = places_T < self.counts[rows_B, None]
        places_BT = (self.starts[rows_B, None] + places_T).clamp(max=len(self.flat) - 1)
        ids_BT = self.flat[places_BT].long().masked_fill(~mask_BT, self.pad_id)
        batch = {"input_ids": ids_BT, "attention_mask": mask_BT.long()}
        batch["labels"] = ids_BT.masked_fill(~mask_BT, IGNORED)
        if self.teacher is not None:
            known_B1 = (rows_B < len(self.teacher)).unsqueeze(1)
            embeddings_BE = self.teacher[rows_B.clamp(max=len(self.teacher) - 1)].float()
            batch["teacher"] = torch.where(known_B1, embeddings_BE, torch.nan)
        return batch


def flatten(rows: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Return rows of token ids as one row of ids, int32, and the lengths of its parts, int64."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return {"ids": np.fromiter(itertools.chain.from_iterable(rows), np.int32, lengths.sum()), "lengths": lengths}


class Loop:
    """A training run in a folder: the weights, their moving average, the optimiser, and how far it is.

    Args:
        recipe: How to train.
        model: Freshly initialised; a checkpoint in the folder takes its place.
        tokens: The corpus, on the model's device.
        folder: Where checkpoints and metrics go.
        budget: When to stop.
    """

    def __init__(self, recipe: Recipe, model: TextVAEModel, tokens: Tokens, folder: Path, budget: Budget):
        self.recipe, self.model, self.tokens, self.folder, self.budget = recipe, model, tokens, folder, budget
        model.encoder.requires_grad_(not recipe.decoder_only)
        self.averaged = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.optimizers = _optimizers(recipe, model)
        self.sampler = TokenBudgetSampler(tokens.lengths, recipe.batch_tokens, recipe.seed)
        self.step, self.tokens_seen, self.seconds = 0, 0, 0.0
        self.whole_from: int | None = None  # the step since which the whole network is trained
        self.recent: list[Tensor] = []
        self._resume()

    @property
    def progress(self) -> float:
        """Share of the budget that is used."""
        return self.budget.progress(self.step, self.seconds)

    def run(self, report: Callable[[Loop], None], every: float, save_every: float) -> None:
        """Train to the end of the budget; report and save after so many seconds each, and at the end.

        Raises:
            FloatingPointError: The loss is not finite; the last checkpoint is kept.
        """
        reported = saved = self.seconds
        clock, began = self._clock(), self.seconds
        for chosen in self._batches():
            if self.progress >= 1:
                break
            self._train_step(np.asarray(chosen))
            if self.step % CHECK_EVERY == 0 or self.tokens.flat.device.type == "cpu":
                self.seconds = began + self._clock() - clock
            if self.step % CHECK_EVERY == 0:
                self.check_finite()
            if self.seconds - saved > save_every:
                self.check_finite()
                self.save()
                saved = self.seconds
            if self.seconds - reported > every:
                self.check_finite()
                paused = self._clock()
                report(self)
                began -= self._clock() - paused  # what is measured on the way is no training time
                reported = self.seconds
        self.check_finite()
        self.save()
        report(self)

    def _clock(self) -> float:
        return time.process_time() if self.tokens.flat.device.type == "cpu" else time.monotonic()

    def _batches(self) -> Iterator[np.ndarray]:
        epoch, done = divmod(self.step, len(self.sampler))
        while True:
            self.sampler.set_epoch(epoch)
            for i, chosen in enumerate(self.sampler):
                if i >= done:
                    yield np.asarray(chosen)
            epoch, done = epoch + 1, 0

    def _train_step(self, chosen: np.ndarray) -> None:
        recipe, model = self.recipe, self.model
        torch.manual_seed((recipe.seed << 40) + self.step)
        batch = self.tokens.batch(chosen)
        ids, mask = drop_tokens(batch["input_ids"], batch["attention_mask"], recipe.drop, self.tokens.pad_id)
        mask_id: Any = model.config.mask_token_id
        batch |= {"input_ids": mask_tokens(ids, mask, recipe.mask, mask_id), "attention_mask": mask}
        if self.whole_from is None and self.progress >= recipe.encoder_first:
            self.whole_from = self.step
        rate = self._learning_rate()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
        device = self.tokens.flat.device
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            if self.whole_from is None:
                loss, seen = self._distilled(batch)
            else:
                output = model(
                    **batch,
                    beta=recipe.beta,
                    free_bits=recipe.free_bits,
                    terms={"distillation": recipe.distillation} if "teacher" in batch else {},
                    from_teacher=recipe.from_teacher,
                    open_all=recipe.open_all,
                    open_some=recipe.open_some,
                    sampled_words=recipe.sampled_words,
                )
                loss, seen = output.loss, (output.reconstruction.mean(), output.kl.mean().detach())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        weight = 1 / min(self._steps_of_phase() + 1, recipe.average)
        torch._foreach_lerp_(list(self.averaged.values()), [p.detach() for p in model.parameters()], weight)
        self.recent.append(torch.stack([loss.detach(), *seen]))
        self.step += 1
        self.tokens_seen += int(self.tokens.lengths[chosen].sum())

    def _distilled(self, batch: dict[str, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the encoder's distillation loss, with zeros for reconstruction and KL, which it does without."""
        if "teacher" not in batch:
            raise ValueError("encoder_first needs a teacher: give --teacher")
        posterior = self.model.encode(batch["input_ids"], batch["attention_mask"])
        known_B = batch["teacher"].isfinite().all(-1)
        loss = cosine_distance(posterior.mean, batch["teacher"]).sum() / known_B.sum().clamp(min=1)
        return self.recipe.distillation * loss, (loss.new_zeros(()), loss.new_zeros(()))

    def _steps_of_phase(self) -> int:
        """Return the steps since what is trained changed: warm-up and averages begin anew there."""
        return self.step - (self.whole_from or 0)

    def _learning_rate(self) -> float:
        warm = min(1.0, (self._steps_of_phase() + 1) / self.recipe.warmup_steps)
        fallen = max(0.0, self.progress - self.recipe.hold) / (1 - self.recipe.hold)
        return self.recipe.learning_rate * warm * max(LAST_LEARNING_RATE, 1 - fallen)

    def take_recent(self) -> dict[str, float]:
        """Return loss, reconstruction and KL, averaged over the steps since the last call."""
        if not self.recent:
            return {}
        loss, reconstruction, kl = torch.stack(self.recent).mean(0).tolist()
        self.recent = []
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def check_finite(self) -> None:
        """Stop at a loss that is not finite."""
        if self.recent and not torch.stack(self.recent[-CHECK_EVERY:]).isfinite().all():
            raise FloatingPointError(f"the loss is not finite at step {self.step}: lower learning_rate and start again")

    def averaged_model(self) -> TextVAEModel:
        """Return a copy of the model with the averaged weights."""
        model = TextVAEModel(self.model.config)
        model.load_state_dict(self.averaged, strict=False)  # tied weights have one name among the parameters
        model.tie_weights()
        return model.to(self.model.device).eval()

    # Checkpoints

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        tensors = {f"model.{name}": value.detach() for name, value in self.model.named_parameters()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.items()}
        for i, optimizer in enumerate(self.optimizers):
            for number, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        counts: dict[str, Any] = {"step": self.step, "tokens": self.tokens_seen, "seconds": self.seconds}
        counts |= {"whole_from": self.whole_from, "corpus": self.tokens.digest}
        with atomic_folder(self.folder / "checkpoint", "state.json") as staged:
            save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, staged / "state.safetensors")
            (staged / "state.json").write_text(json.dumps(counts | {"recipe": dataclasses.asdict(self.recipe)}))

    def _resume(self) -> None:
        folder = self.folder / "checkpoint"
        recover_folder(folder)
        if not folder.exists():
            return
        check_manifest(folder)
        counts = json.loads((folder / "state.json").read_text())
        if Recipe(**counts["recipe"]) != self.recipe:
            raise ValueError(f"{folder} is of another recipe: give that one, or another folder")
        if counts.get("corpus", self.tokens.digest) != self.tokens.digest:
            raise ValueError(f"{folder} was trained on other sentences: give those, or another folder")
        tensors = load_file(folder / "state.safetensors", device=str(self.tokens.flat.device))
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                value.copy_(tensors[f"model.{name}"])
                self.averaged[name].copy_(tensors[f"averaged.{name}"])
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(f"optimizer.{i}."):
                    number, field = name.split(".", 3)[2:]
                    state.setdefault(int(number), {})[field] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.step, self.tokens_seen, self.seconds = counts["step"], counts["tokens"], counts["seconds"]
        self.whole_from = counts.get("whole_from")


def _optimizers(recipe: Recipe, model: TextVAEModel) -> list[torch.optim.Optimizer]:
    """Return AdamW, or Muon for the matrices between layers and AdamW for all else; each group has its share of lr."""
    named = dict(model.named_parameters())
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    wide = {n for n, p in named.items() if p.ndim == 2 and min(p.shape) >= MUON_WIDTH and id(p) not in embeddings}
    inner = wide if recipe.muon else set()
    decayed = [p for n, p in named.items() if n not in inner and p.ndim >= 2]
    others = [p for n, p in named.items() if n not in inner and p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay, "scale": 1.0},
        {"params": others, "weight_decay": 0.0, "scale": 1.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
    ]
    if inner:
        matrices = [{"params": [named[n] for n in sorted(inner)], "scale": 1.0}]
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",  # so that one learning rate serves both
            )
        )
    return optimizers
