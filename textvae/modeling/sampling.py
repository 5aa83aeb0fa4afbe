"""Autoregressive decoding of texts from latents; finished texts leave the batch."""

# B latents, D latent dimensions, U written tokens, V vocabulary
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ..storage.errors import check_range, require
from .config import TextVAEConfig
from .decoders.base import LatentDecoder

MOST_CANDIDATES = 1000  # of one latent, which are decoded together; also beams
MOST_REFINEMENTS = 1000
LEAST_TEMPERATURE = 1e-6
MOST_TOKENS = 16_384  # of a written text


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Decoding options, from the public methods to the sampler; `TextVAE.decode` explains each.

    Raises:
        ValueError: An option is out of range, or two options exclude each other.
    """

    temperature: float = 0
    top_k: int = 0
    top_p: float = 1
    num_beams: int = 1
    candidates: int = 1
    refinements: int = 0
    guidance: float = 1
    repetition_penalty: float = 1
    no_repeat_ngram_size: int = 0
    max_length: int | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        require(self.temperature >= 0, f"temperature must be at least 0, got {self.temperature}")
        tiny = 0 < self.temperature < LEAST_TEMPERATURE  # the probabilities would not be finite
        require(not tiny, f"temperature must be 0 or at least {LEAST_TEMPERATURE}, got {self.temperature}")
        require(0 < self.top_p <= 1, f"top_p must be in (0, 1], got {self.top_p}")
        require(self.top_k >= 0, f"top_k must be at least 0, got {self.top_k}")
        require(self.batch_size >= 1, f"batch_size must be at least 1, got {self.batch_size}")
        for name in ("num_beams", "candidates"):
            check_range(name, getattr(self, name), 1, MOST_CANDIDATES)
        require(self.refinements >= 0, f"refinements must not be negative, got {self.refinements}")
        check_range("refinements", self.refinements, 0, MOST_REFINEMENTS)
        require(self.guidance >= 0, f"guidance must not be negative, got {self.guidance}")
        require(self.guidance == 1 or self.num_beams == 1, "choose guidance or beams (num_beams), not both")
        penalty, size = self.repetition_penalty, self.no_repeat_ngram_size
        require(penalty > 0, f"repetition_penalty must be above 0, got {penalty}")
        require(size >= 0, f"no_repeat_ngram_size must not be negative, got {size}")
        longest = f"max_length must be at most {MOST_TOKENS:,} tokens, got {self.max_length}"
        require(self.max_length is None or self.max_length <= MOST_TOKENS, longest)
        short = self.max_length is not None and self.max_length < 2
        require(not short, f"max_length must be at least 2 tokens, got {self.max_length}")
        both = self.temperature and self.num_beams > 1
        require(not both, "choose sampling (temperature) or beams (num_beams), not both")
        require(
            bool(self.temperature) or self.candidates <= self.num_beams,
            f"{self.candidates} candidates need sampling (temperature above 0) or num_beams={self.candidates}",
        )


@torch.inference_mode()
def write(
    decoder: LatentDecoder,
    latents_BD: Tensor,
    config: TextVAEConfig,
    options: Decoding,
    prefixes_BP: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Decode latents: greedily at temperature 0, else by sampling.

    Equivalent to transformers' `generate`, but finished rows are removed from the batch and the cache, while `generate`
    computes all rows until the last one ends.

    Args:
        decoder: Any decoder.
        latents_BD: Shape (B, D), or packed with wording slots.
        config: Gives the special tokens and the longest text.
        options: Temperature, top_k, top_p, guidance, max_length and the two against repetition count.
        prefixes_BP: Token ids that the texts begin with, BOS first, shape (B, P), padded on the right.
        generator: Source of the samples, on the device of the latents; default: torch's global one.

    Returns:
        Token ids BOS ... EOS, shape (B, U), padded on the right.
    """
    guidance, max_length = options.guidance, options.max_length or config.max_length
    warpers = sampling_warpers(options)
    written_BU = latents_BD.new_full((len(latents_BD), max_length), config.pad_token_id, dtype=torch.long)
    written_BU[:, 0] = config.bos_token_id
    rows = torch.arange(len(latents_BD), device=latents_BD.device)
    # Guidance evaluates every row twice, with and without its latent.
    seen_BD = latents_BD if guidance == 1 else torch.cat([latents_BD, decoder.blank(latents_BD)])
    cache = None
    for position in range(1, max_length):
        newest_B1 = written_BU[rows, position - 1 : position]
        output = decoder(
            input_ids=newest_B1 if guidance == 1 else newest_B1.repeat(2, 1),
            latents=seen_BD,
            past_key_values=cache,
            use_cache=True,
        )
        logits_BV = output.logits[:, -1].float()
        if guidance != 1:
            with_latent_BV, without_BV = logits_BV.log_softmax(-1).chunk(2)
            logits_BV = without_BV + guidance * (with_latent_BV - without_BV)  # Ho & Salimans 2022, eq. 6
        if options.repetition_penalty != 1 or options.no_repeat_ngram_size:
            discourage_repetition(
                logits_BV, written_BU[rows, :position], options.repetition_penalty, options.no_repeat_ngram_size
            )
        if options.temperature:
            shares_BV = warpers(None, logits_BV).softmax(-1)  # type: ignore[arg-type]
            tokens = draw(shares_BV, generator)
        else:
            tokens = _likeliest(logits_BV)
        if prefixes_BP is not None and position < prefixes_BP.shape[1]:
            given_B = prefixes_BP[rows, position]
            tokens = torch.where(given_B == config.pad_token_id, tokens, given_B)
        written_BU[rows, position] = tokens
        going = (tokens != config.eos_token_id).nonzero().squeeze(1)
        if not len(going):
            return written_BU[:, : position + 1]
        cache = output.past_key_values
        if len(going) < len(rows):
            kept = going if guidance == 1 else torch.cat([going, going + len(rows)])
            rows = rows[going]
            seen_BD = seen_BD[kept]
            if cache is not None:
                cache.reorder_cache(kept)
    return written_BU


def discourage_repetition(logits_BV: Tensor, written_BU: Tensor, penalty: float, ngram_size: int) -> None:
    """Do in place to logits what transformers' processors of `generate` do, each of which copies them several times.

    Args:
        logits_BV: Scores of the next token, shape (B, V); changed.
        written_BU: Token ids so far, shape (B, U).
        penalty: `repetition_penalty`: scores of written tokens are divided by it where positive, else multiplied.
        ngram_size: `no_repeat_ngram_size`: tokens that would repeat so many are ruled out; 0 for none.
    """
    if penalty != 1:
        found_BU = logits_BV.gather(1, written_BU)
        logits_BV.scatter_(1, written_BU, torch.where(found_BU < 0, found_BU * penalty, found_BU / penalty))
    length = written_BU.shape[1]
    if 0 < ngram_size <= length:
        windows_BWN = written_BU.unfold(1, ngram_size, 1)
        begun_B1N = written_BU[:, length + 1 - ngram_size :].unsqueeze(1)
        rows, places = (windows_BWN[..., :-1] == begun_B1N).all(-1).nonzero(as_tuple=True)
        logits_BV[rows, windows_BWN[rows, places, -1]] = -torch.inf


def draw(shares_BV: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw a token of each row, shape (B,), with probabilities (B, V).

    On a CPU by one number a row and the cumulative sum, at a small part of the time of torch.multinomial.
    """
    if shares_BV.device.type != "cpu":
        return torch.multinomial(shares_BV, 1, generator=generator).squeeze(1)
    sums_BV = shares_BV.cumsum(-1)
    # torch.rand is at most 1 - 2^-24, so that the product stays below the last sum, and the drawn token is possible
    drawn_B1 = sums_BV[:, -1:] * torch.rand(len(sums_BV), 1, generator=generator)
    return torch.searchsorted(sums_BV, drawn_B1, right=True).squeeze(1)


def _likeliest(logits_BV: Tensor) -> Tensor:
    """Return the argmax of each row, shape (B,), by numpy on a CPU, where torch's takes ten times as long."""
    if logits_BV.device.type == "cpu":
        return torch.from_numpy(logits_BV.numpy().argmax(-1))
    return logits_BV.argmax(-1)


def sampling_warpers(options: Decoding) -> LogitsProcessorList:
    """Return the logits processors that transformers' `generate` applies for sampling."""
    warpers = LogitsProcessorList()
    if options.temperature and options.temperature != 1:
        warpers.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        warpers.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        warpers.append(TopPLogitsWarper(options.top_p))
    return warpers
