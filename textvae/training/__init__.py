"""Training: options, the trainer, callbacks, data sets and teachers."""
