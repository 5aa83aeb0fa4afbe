"""Token noise: corrupt the encoder's input (denoising) or the decoder's (word dropout)."""

# B sentences, T tokens
from __future__ import annotations

import torch
from torch import Tensor


def drop_tokens(input_ids: Tensor, attention_mask: Tensor, rate: float, pad_id: int) -> tuple[Tensor, Tensor]:
    """Delete each inner token with probability `rate` and close the gap (Shen et al. 2020, DAAE).

    The first and the last token of a row (its BOS and EOS) stay.

    Args:
        input_ids: Token ids, shape (B, T), padded on the right.
        attention_mask: 1 for tokens, 0 for padding, shape (B, T).
        rate: Probability in [0, 1).
        pad_id: Id written into freed positions.

    Returns:
        New ids and mask, both (B, T).
    """
    if rate <= 0:
        return input_ids, attention_mask
    dropped_BT = (torch.rand(input_ids.shape, device=input_ids.device) < rate) & inner_tokens(attention_mask)
    kept_BT = attention_mask.bool() & ~dropped_BT
    order_BT = torch.sort((~kept_BT).to(torch.uint8), dim=1, stable=True).indices
    mask_BT = kept_BT.gather(1, order_BT)
    ids_BT = input_ids.gather(1, order_BT).masked_fill(~mask_BT, pad_id)
    return ids_BT, mask_BT.to(attention_mask.dtype)


def mask_tokens(input_ids: Tensor, attention_mask: Tensor, rate: float, mask_id: int) -> Tensor:
    """Replace each inner token by `mask_id` with probability `rate`.

    On decoder inputs this is word dropout (Bowman et al. 2016, sec. 3.1). Shape (B, T).
    """
    if rate <= 0:
        return input_ids
    hit_BT = (torch.rand(input_ids.shape, device=input_ids.device) < rate) & inner_tokens(attention_mask)
    return input_ids.masked_fill(hit_BT, mask_id)


def inner_tokens(attention_mask: Tensor) -> Tensor:
    """Return booleans (B, T): True for tokens that are neither padding nor the first or last token of their row."""
    T = attention_mask.shape[1]
    places_T = torch.arange(T, device=attention_mask.device)
    last_B1 = attention_mask.sum(1, keepdim=True) - 1
    return (places_T > 0) & (places_T < last_B1)
