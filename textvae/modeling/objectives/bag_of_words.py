"""Words predicted from the latent alone."""

# B sentences, T target tokens, V vocabulary
from __future__ import annotations

from torch import Tensor

from ..likelihood import IGNORED


def bag_of_words_nats(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the nats of each text's tokens when all are drawn from one distribution, whatever their order.

    The auxiliary loss of Zhao et al. 2017, eq. 6: the decoder's own history cannot lower it, so z must hold the words.

    Args:
        logits: Scores of the vocabulary for each text, shape (B, V).
        labels: Token ids, BOS first, shape (B, T); -100 marks positions that are not scored.

    Returns:
        Nats per text, shape (B,), float32.
    """
    targets_BT = labels[:, 1:]
    nats_BT = -logits.float().log_softmax(-1).gather(1, targets_BT.clamp(min=0))
    return nats_BT.masked_fill(targets_BT == IGNORED, 0).sum(-1)
