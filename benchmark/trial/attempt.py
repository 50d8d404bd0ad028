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
    """One attempt at a run: what training and evaluation share."""

    folder: Path
    run: Run
    dataset: Dataset
    device: torch.device
    watcher: Watcher
    records: RecordFile
    seconds: dict[str, float]
    """Spent so far, earlier attempts included, by what on: training, critic_in_training, evaluation."""
    execution: str = ""
    """How iterations were executed, if it has trained: see `Training.end`."""

    @property
    def scope(self) -> Scope:
        return scope_of(self.run, self.dataset, self.device.type)

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def record(self, subject: Subject, iteration: int, measurements: Iterable[Measurement] | None = None) -> None:
        """Take measurements, by default all, and write each down at once; those of an earlier attempt are not taken again.

        Raises:
            Stopped: if the watcher asks for it in between.
        """
        missing = self.lacking(iteration)
        asked_for = missing if measurements is None else [measurement for measurement in measurements if measurement in missing]
        for rows in evaluate(subject, iteration, asked_for):
            self.append_missing(rows)
            if self.watcher.stopping():
                raise Stopped

    def lacking(self, iteration: int) -> list[Measurement]:
        """List the measurements of a generator after so many iterations that are not among the records."""
        return lacking(self.records.read(), self.scope, iteration)

    def append_missing(self, rows: Iterable[Row]) -> None:
        """Write rows down, but for those that are there already."""
        values = {(row.iteration, row.metric, row.protocol_id): row.value for row in self.records.read()}

        def is_there(row: Row) -> bool:  # a value may come where there was only a reason for having none
            key = (row.iteration, row.metric, row.protocol_id)
            return key in values and (values[key] is not None or row.value is None)

        self.records.append(row for row in rows if not is_there(row))

    @contextmanager
    def timed(self, activity: str) -> Iterator[None]:
        """Add the seconds of a block to those of an activity."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[activity] = self.seconds.get(activity, 0.0) + time.monotonic() - start


def scope_of(run: Run, dataset: Dataset, device: str) -> Scope:
    """Say what is known of a run before anything of it is computed."""
    autoencoding = not run.is_reference and all(hasattr(import_model(run.path), name) for name in ("encode", "reconstruct"))
    return Scope(dataset, run.settings, run.model if run.is_reference else "", autoencoding, device)
