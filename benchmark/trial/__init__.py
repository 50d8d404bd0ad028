"""One attempt at a run: train, evaluate, record."""
