"""How good is a generator? The rows of all measurements that apply to it, and which of them a finished run lacks."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator

import torch

from benchmark.errors import Diverged, is_disk_full
from benchmark.evaluation.measurements import MEASUREMENTS, Measurement, Scope, Subject
from benchmark.evaluation.samplers import evaluation_copy, reconstruction_copy, reference_sampler, restart_draws, sampler_of
from benchmark.files import write_atomically
from benchmark.model.gan_module import GANModule
from benchmark.records.rows import Row, protocol_id
from metrics.rounding import full_precision
from metrics.values import Value

FAILED = "measuring it failed: "
"""How the reason begins for a value that is missing because of an error: it is tried again."""


def evaluate(subject: Subject, iteration: int, measurements: Iterable[Measurement] = MEASUREMENTS) -> Iterator[list[Row]]:
    """Take measurements of a generator, one after the other; one that raises gives rows that say so, and the others go on.

    Draws from streams of their own: the same for every model and run.

    Raises:
        Diverged: if the samples are not finite.
    """
    for measurement in measurements:
        if measurement.taken(subject.scope):
            yield _rows(measurement, subject, iteration)


def _rows(measurement: Measurement, subject: Subject, iteration: int) -> list[Row]:
    protocol = measurement.protocol(subject.scope)
    reason, found = measurement.not_available(subject.scope), list[Value]()
    if not reason:
        try:
            if subject.autoencoder is not None:
                restart_draws(subject.autoencoder)  # or a stochastic encoder's codes would depend on what was measured before
            with full_precision():
                found = list(measurement.values(subject))
            reason = "the network that was given lacks the layers for it"
        except Diverged:
            raise
        except Exception as error:  # a metric's failure is a result like a run's
            if is_disk_full(error):
                raise
            reason = f"{FAILED}{type(error).__name__}: {error}"
            if subject.folder is not None:
                write_atomically(subject.folder / "error.txt", traceback.format_exc())
    without = set(measurement.metrics) - {value.metric for value in found}
    return [
        *(Row(iteration, value.metric, *value[1:], protocol=protocol) for value in found),
        *(
            Row(iteration, name, None, protocol={**protocol, "not_available": reason})
            for name in measurement.metrics
            if name in without
        ),
    ]


def lacking(rows: Iterable[Row], scope: Scope, iteration: int) -> list[Measurement]:
    """The measurements that a finished run has no row of by today's protocol, or only that of a failure."""
    there = {
        (row.metric, row.protocol_id)
        for row in rows
        if row.iteration == iteration and not str(row.protocol.get("not_available", "")).startswith(FAILED)
    }

    def is_lacking(measurement: Measurement) -> bool:
        today = protocol_id(measurement.protocol(scope))
        return any((metric, today) not in there for metric in measurement.metrics)

    return [measurement for measurement in MEASUREMENTS if measurement.taken(scope) and is_lacking(measurement)]


def measured_by(scope: Scope) -> str:
    """A hash of today's protocols of all measurements that apply: the rows of a run that notes it need not be read."""
    taken = [some for some in MEASUREMENTS if some.taken(scope)]
    return protocol_id({some.again(metric): protocol_id(some.protocol(scope)) for some in taken for metric in some.metrics})


def not_available(scope: Scope) -> dict[str, str]:
    """Metrics that cannot be had for such a run, and why."""
    found = {}
    for measurement in MEASUREMENTS:
        if measurement.taken(scope) and (reason := measurement.not_available(scope)):
            found[", ".join(measurement.metrics)] = reason
    return found


def subject_of(module: GANModule, scope: Scope, device: torch.device) -> Subject:
    """A model as it is measured: copies of it, calibrated for samples and for reconstructions."""
    how = scope.how
    twin = reconstruction_copy(module, scope.dataset["train"][: how.batch_norm_draws]) if scope.autoencoding else None
    return Subject(scope, sampler_of(evaluation_copy(module, how.batch_norm_draws)), device, twin)


def reference_subject(name: str, scope: Scope, device: torch.device) -> Subject:
    """A sanity row as it is measured."""
    return Subject(scope, reference_sampler(name, scope.dataset, device), device)
