"""Hold what one attempt at a run works with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.data.datasets import Dataset
from benchmark.evaluation.evaluate import evaluate, lacking
from benchmark.evaluation.measurements import Measurement, Scope, Subject
from benchmark.model.registry import import_model
from benchmark.model.train import Stopped, Watcher
from benchmark.records.rows import RecordFile, Row
from benchmark.records.run_folder import CHECKPOINT
from benchmark.studies.run import Run


@dataclass
class Attempt:
    """What the parts of an attempt share."""

    folder: Path
    run: Run
    dataset: Dataset
    device: torch.device
    watcher: Watcher
    records: RecordFile
    seconds: dict[str, float]
    execution: str = ""
    """How iterations were executed, where it trained: captured, or eagerly and why."""

    @property
    def scope(self) -> Scope:
        return scope_of(self.run, self.dataset, self.device.type)

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def record(self, subject: Subject, iteration: int, measurements: Iterable[Measurement]) -> None:
        """Take measurements and write each down at once; those that an earlier attempt took are not taken again."""
        missing = lacking(self.records.read(), self.scope, iteration)
        for rows in evaluate(subject, iteration, [measurement for measurement in measurements if measurement in missing]):
            self.append_missing(rows)
            if self.watcher.stopping():
                raise Stopped

    def append_missing(self, rows: Iterable[Row]) -> None:
        """Write rows down but for those that are there."""
        there = {(row.iteration, row.metric, row.protocol_id): row.value for row in self.records.read()}

        def is_there(row: Row) -> bool:  # a value may come where there was only a reason for having none
            key = (row.iteration, row.metric, row.protocol_id)
            return key in there and (there[key] is not None or row.value is None)

        self.records.append(row for row in rows if not is_there(row))


def _lacking(attempt: Attempt) -> list[Measurement]:
    return lacking(attempt.records.read(), attempt.scope, attempt.run.settings.iterations)


def scope_of(run: Run, dataset: Dataset, device: str) -> Scope:
    """What is known of a run before anything of it is computed."""
    autoencoding = not run.is_reference and all(hasattr(import_model(run.path), name) for name in ("encode", "reconstruct"))
    return Scope(dataset, run.settings, run.model if run.is_reference else "", autoencoding, device)


@contextmanager
def _timed(seconds: dict[str, float], key: str) -> Iterator[None]:
    """Add the seconds of a block to a table."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds[key] = seconds.get(key, 0.0) + time.monotonic() - start
