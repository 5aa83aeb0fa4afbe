"""Writing texts from latents, one token at a time; texts that have ended cost nothing more."""

# B latents, D latent dimensions, U written tokens, V vocabulary
from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from ..configuration import TextVAEConfig
from .decoder import LatentDecoder


@torch.inference_mode()
def write(
    decoder: LatentDecoder,
    latents_BD: Tensor,
    config: TextVAEConfig,
    *,
    max_length: int,
    temperature: float = 0,
    top_k: int = 0,
    top_p: float = 1,
) -> Tensor:
    """Return what the decoder writes: the likeliest token each time, or samples at a temperature above 0.

    The likeliest tokens are those that `generate` takes, and samples have its distribution. It carries every row until
    the last one ends; here a row that has ended leaves the batch and the cache.

    Args:
        decoder: Any decoder.
        latents_BD: Shape (B, D).
        config: Gives the special tokens.
        max_length: Longest text in tokens, BOS and EOS included.
        temperature: Of the sampling, which draws from torch's global generator.
        top_k: Sample among this many likeliest tokens; 0 for all.
        top_p: Sample among the likeliest tokens whose probabilities sum to this.

    Returns:
        Token ids BOS ... EOS, shape (B, U), padded on the right.
    """
    warpers = sampling_warpers(temperature, top_k, top_p)
    written_BU = latents_BD.new_full((len(latents_BD), max_length), config.pad_token_id, dtype=torch.long)
    written_BU[:, 0] = config.bos_token_id
    rows = torch.arange(len(latents_BD), device=latents_BD.device)
    cache = None
    for position in range(1, max_length):
        output = decoder(
            input_ids=written_BU[rows, position - 1 : position],
            latents=latents_BD[rows],
            past_key_values=cache,
            use_cache=True,
        )
        logits_BV = output.logits[:, -1].float()
        if temperature:
            tokens = torch.multinomial(warpers(None, logits_BV).softmax(-1), 1).squeeze(1)  # type: ignore[arg-type]
        else:
            tokens = logits_BV.argmax(-1)
        written_BU[rows, position] = tokens
        going = (tokens != config.eos_token_id).nonzero().squeeze(1)
        if not len(going):
            return written_BU[:, : position + 1]
        cache = output.past_key_values
        if len(going) < len(rows):
            rows = rows[going]
            cache.reorder_cache(going)
    return written_BU


def sampling_warpers(temperature: float, top_k: int, top_p: float) -> LogitsProcessorList:
    """Return what transformers' `generate` does to the logits before it samples."""
    warpers = LogitsProcessorList()
    if temperature and temperature != 1:
        warpers.append(TemperatureLogitsWarper(temperature))
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return warpers
