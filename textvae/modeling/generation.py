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
    guidance: float = 1,
    prefixes_BP: Tensor | None = None,
) -> Tensor:
    """Return what the decoder writes: the likeliest token each time, or samples at a temperature above 0.

    The likeliest tokens are those that `generate` takes, and samples have its distribution. It carries every row until
    the last one ends; here a row that has ended leaves the batch and the cache.

    Args:
        decoder: Any decoder.
        latents_BD: Shape (B, D), or packed with wording slots.
        config: Gives the special tokens.
        max_length: Longest text in tokens, BOS and EOS included.
        temperature: Of the sampling, which draws from torch's global generator.
        top_k: Sample among this many likeliest tokens; 0 for all.
        top_p: Sample among the likeliest tokens whose probabilities sum to this.
        guidance: Weight of the latent beside the language model that the decoder is without one.
        prefixes_BP: Token ids that the texts begin with, BOS first, shape (B, P), padded on the right.

    Returns:
        Token ids BOS ... EOS, shape (B, U), padded on the right.
    """
    warpers = sampling_warpers(temperature, top_k, top_p)
    written_BU = latents_BD.new_full((len(latents_BD), max_length), config.pad_token_id, dtype=torch.long)
    written_BU[:, 0] = config.bos_token_id
    rows = torch.arange(len(latents_BD), device=latents_BD.device)
    # With guidance every row is read twice, the second time with no latent.
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
        if temperature:
            tokens = torch.multinomial(warpers(None, logits_BV).softmax(-1), 1).squeeze(1)  # type: ignore[arg-type]
        else:
            tokens = logits_BV.argmax(-1)
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
            cache.reorder_cache(kept)
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
