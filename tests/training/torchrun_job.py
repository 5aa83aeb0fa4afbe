"""What the processes of a test run: a training, whose result each of them prints. Arguments: folder, steps, resume."""

import json
import logging
import os
import sys

from textvae import TrainConfig, train
from textvae.training import trainer

FOLDER, STEPS, RESUME = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
TEXTS = [f"sentence {n} {' '.join(['word'] * (n % 7))} ." for n in range(101)]
seen = []
collate = trainer.TextVAETrainer.collate


def watched(self, examples):
    seen.append(sorted(tuple(example.decoder) for example in examples))
    return collate(self, examples)


logging.basicConfig(level=logging.INFO)
config = TrainConfig(
    size="tiny", vocab_size=300, max_steps=STEPS, batch_tokens=128, precision="fp32", eval_steps=4, save_steps=4,
    logging_steps=2,
)  # fmt: skip
trainer.TextVAETrainer.collate = watched
vae = train(TEXTS, FOLDER, config, valid=TEXTS[:10], resume=RESUME)
facts = {"rank": int(os.environ.get("RANK", "0")), "fingerprint": vae.fingerprint, "seen": seen}
with open(f"{FOLDER}.{facts['rank']}.json", "w") as file:
    json.dump(facts, file)
