"""What the English model is judged by in training: held-out loss, reconstructions, texts from the meaning alone."""

# B sentences, E dimensions of the teacher
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch
from english_loop import Tokens
from scipy.stats import spearmanr
from torch import Tensor

from textvae.evaluation.fluency import OutsideLM
from textvae.modeling import TextVAEModel
from textvae.modeling.precision import has_bf16
from textvae.modeling.slots import SplitLatents
from textvae.text.tokenizers import to_texts

LENGTHS = ((1, 8), (9, 14), (15, 24))  # words
BATCH = 128

Embed = Callable[[Sequence[str]], Any]


@dataclass
class Written:
    """What a model wrote of held-out sentences.

    Attributes:
        sources: The sentences.
        back: Their greedy reconstructions from the posterior mean.
        drawn: Reconstructions from draws of the posterior.
        alone: Texts from the mean of the meaning alone.
        loss: Nats a token given a draw of all of z, and given the meaning's alone.
    """

    sources: list[str]
    back: list[str]
    drawn: list[str]
    alone: list[str]
    loss: tuple[float, float]

    def scores(self, embed: Embed | None = None) -> dict[str, float]:
        """Return losses, BLEU, the share that is exact, by length too, and the teacher's cosine of texts from m."""
        values = {"loss": self.loss[0], "loss_alone": self.loss[1]}
        values |= {"bleu": bleu(self.back, self.sources), "exact": exact(self.back, self.sources)}
        values |= {"bleu_drawn": bleu(self.drawn, self.sources), "bleu_alone": bleu(self.alone, self.sources)}
        values |= {"repeating_alone": repeating(self.alone), "repeating_real": repeating(self.sources)}
        for least, most in LENGTHS:
            chosen = [i for i, s in enumerate(self.sources) if least <= len(s.split()) <= most]
            if not chosen:
                continue
            back, sources = [self.back[i] for i in chosen], [self.sources[i] for i in chosen]
            values[f"bleu_{least}_{most}"], values[f"exact_{least}_{most}"] = bleu(back, sources), exact(back, sources)
        if embed is not None:
            values["cosine_alone"] = float((embed(self.alone) * embed(self.sources)).sum(-1).mean())
        return values


@torch.inference_mode()
def write_back(model: TextVAEModel, tokenizer: Any, rows: Sequence[Sequence[int]], seed: int = 0) -> Written:
    """Let a model write sentences, given as token ids, from their latents."""
    tokens = Tokens(rows, model.device, model.config.pad_token_id)
    order = np.argsort(tokens.lengths, kind="stable")
    generator = torch.Generator(model.device).manual_seed(seed)
    texts: dict[str, list[str]] = {name: [""] * len(rows) for name in ("sources", "back", "drawn", "alone")}
    nats = np.zeros(2)
    device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
        for start in range(0, len(rows), BATCH):
            chosen = order[start : start + BATCH]
            batch = tokens.batch(chosen)
            meaning, slots, states = model.read(batch["input_ids"], batch["attention_mask"])
            mean = drawn = meaning.mean
            sampled = meaning.sample(generator=generator)
            if slots is not None and states is not None:
                mean = SplitLatents(mean, slots.mean, states).pack()
                drawn = SplitLatents(sampled, slots.sample(generator=generator), states).pack()
            else:
                drawn = sampled
            nats += [model.nats(z, batch["labels"]).sum().item() for z in (drawn, sampled)]
            written = {"back": mean, "drawn": drawn, "alone": meaning.mean}
            outputs: dict[str, Tensor] = {name: model.write(z) for name, z in written.items()}
            outputs["sources"] = batch["input_ids"]
            for name, ids in outputs.items():
                for i, text in zip(chosen.tolist(), to_texts(tokenizer, ids.tolist()), strict=True):
                    texts[name][i] = text
    scored = tokens.lengths.sum() - len(rows)  # the BOS is given
    return Written(**texts, loss=(nats[0] / scored, nats[1] / scored))


@torch.inference_mode()
def means(model: TextVAEModel, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the means of the meaning, shape (N, D), in float32 arithmetic."""
    tokens = Tokens(rows, model.device, model.config.pad_token_id)
    result = np.zeros((len(rows), model.config.latent_dim), np.float32)
    order = np.argsort(tokens.lengths, kind="stable")
    for start in range(0, len(rows), BATCH):
        chosen = order[start : start + BATCH]
        batch = tokens.batch(chosen)
        result[chosen] = model.encode(batch["input_ids"], batch["attention_mask"]).mean.cpu().numpy()
    return result


def sts(embed: Embed, path: Path) -> float:
    """Return Spearman's correlation, in hundredths, of cosines between embeddings with human similarity."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    scores, first, second = zip(*((float(line[0]), line[1], line[2]) for line in lines if len(line) == 3), strict=True)
    a, b = (np.asarray(embed(list(texts)), np.float32) for texts in (first, second))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return 100 * float(spearmanr(cosines, scores).statistic)


class Naturalness:
    """How natural texts read beside real ones, by their SLOR under a causal LM (Kann et al. 2018).

    SLOR is (log p_LM - log p_unigram) / tokens, in float32, the end of the text counted as a token. Scores are
    compared with those of real texts.

    Args:
        lm: Folder or hub id of the LM.
        real: Real texts, to whose scores others are compared; at least 20.
        counted: Texts whose tokens, with those of `real`, give the unigram distribution.
    """

    def __init__(self, lm: str, real: Sequence[str], counted: Sequence[str]):
        self.lm = OutsideLM(lm, exact=True)
        counts = np.ones(len(self.lm.tokenizer))
        for row in self._ids([*counted, *real]):
            np.add.at(counts, row, 1)
        self.log_unigram = np.log(counts / counts.sum())
        self.real = self.slor(real)

    def slor(self, texts: Sequence[str]) -> np.ndarray:
        """Return the score of each text, shape (N,)."""
        rows = self._ids(texts)
        unigram = np.array([self.log_unigram[row].sum() for row in rows])
        return (-self.lm.nats(texts) - unigram) / np.array(list(map(len, rows)))

    def __call__(self, texts: Sequence[str]) -> dict[str, float]:
        """Return the shares above the 5th percentile of real texts (valid), and above their median (natural)."""
        scores = self.slor(texts)
        return {
            "valid": float((scores > np.quantile(self.real, 0.05)).mean()),
            "natural": float((scores > np.median(self.real)).mean()),
        }

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids = self.lm.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [[*row, self.lm.end] for row in ids]


def bleu(written: Sequence[str], sources: Sequence[str]) -> float:
    """Return the corpus BLEU of sacrebleu."""
    return sacrebleu.corpus_bleu(list(written), [list(sources)]).score


def repeating(texts: Sequence[str]) -> float:
    """Return the share of texts in which a word follows itself or a pair of words comes twice.

    A language model finds loops likely, so its scores do not show them.
    """

    def repeats(text: str) -> bool:
        words = text.lower().split()
        pairs = list(zip(words, words[1:], strict=False))
        return len(set(pairs)) < len(pairs) or any(a == b for a, b in pairs)

    return sum(map(repeats, texts)) / max(1, len(texts))


def exact(written: Sequence[str], sources: Sequence[str]) -> float:
    """Return the share that came back word for word."""
    return sum(a == b for a, b in zip(written, sources, strict=True)) / max(1, len(sources))
