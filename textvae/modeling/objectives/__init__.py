"""The terms of the training objective, in nats per sentence; one module each."""
