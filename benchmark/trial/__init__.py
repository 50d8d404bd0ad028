"""Make one attempt at a run: train, evaluate, record."""
