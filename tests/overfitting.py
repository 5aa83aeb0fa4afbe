"""A few sentences learnt by heart, for tests of what a trained model does."""

import torch

from textvae.text.tokenizers import pad

EVERY = 20  # steps after which a model may know enough


def learn(vae, texts, steps, learning_rate=3e-3, until=lambda vae: False, every=EVERY, **options):
    """Train a model on one batch of texts, the same at each step, until it knows enough, and return it.

    Args:
        vae: The model, which is changed.
        texts: The sentences.
        steps: How many steps at most.
        learning_rate: Of AdamW.
        until: Whether the model knows enough; asked before the first step and after each `every` steps.
        every: See there.
        options: Of the model's forward pass, such as open_all.
    """
    ids, mask = pad(vae.decoder_rows(texts), vae.model.config.pad_token_id)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(vae.model.parameters(), learning_rate, fused=True)
    for step in range(steps):
        vae.model.eval()
        if step % every == 0 and until(vae):
            break
        loss = vae.model.train()(ids, mask, **{"beta": 1e-3} | options).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.model.parameters(), 1.0)
        optimizer.step()
    optimizer.zero_grad()
    vae.model.eval()
    return vae
