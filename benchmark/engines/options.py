"""Say where and how many attempts run at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Working:
    """How a command is to do its work: where, how many runs at once, and when a run is given up."""

    engine: str
    workers: int | None
    device: str
    runs_per_gpu: int | None
    """None to find it out."""
    run_memory: float | None
    run_timeout: float | None
    retries: int
    storage: str | None
    checkpoints: bool
    tensorboard: bool
