"""Take the measurements of a generator, and find out which of them a finished run lacks."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator

import torch

from benchmark.errors import Diverged, UserError, is_disk_full
from benchmark.evaluation.measurements import Measurement, Scope, Subject
from benchmark.evaluation.samplers import evaluation_copy, reconstruction_copy, reference_sampler, restart_draws, sampler_of
from benchmark.evaluation.study_metrics import measurements_of
from benchmark.files import write_atomically
from benchmark.model.gan_module import GANModule
from benchmark.records.rows import Missing, Row, make_rows, protocol_id
from metrics.rounding import full_precision
from metrics.values import Value


def evaluate(subject: Subject, iteration: int, measurements: Iterable[Measurement] | None = None) -> Iterator[list[Row]]:
    """Take measurements of a generator, one after the other; one that raises gives rows that say so, and the others go on.

    Draws from streams of their own: the same for every model and run.

    Args:
        subject: the generator.
        iteration: of its training.
        measurements: by default all of the study.

    Yields:
        The rows of one measurement.

    Raises:
        Diverged: if the samples are not finite.
    """
    for measurement in measurements_of(subject.scope.evaluation) if measurements is None else measurements:
        if measurement.taken(subject.scope):
            yield _rows(measurement, subject, iteration)


def _rows(measurement: Measurement, subject: Subject, iteration: int) -> list[Row]:
    protocol, reason = measurement.protocol(subject.scope), measurement.unavailable(subject.scope)
    missing: Missing = "unavailable"
    values: list[Value] = []
    if not reason:
        try:
            values = _values(measurement, subject)
            reason = measurement.without_value
        except Diverged:
            raise
        except Exception as error:  # a metric's failure is a result like a run's
            if is_disk_full(error):
                raise
            missing, reason = "failed", f"measuring it failed: {type(error).__name__}: {error}"
            if subject.folder is not None:
                write_atomically(subject.folder / "error.txt", traceback.format_exc())
    return make_rows(iteration, values, protocol, measurement.metrics, missing, reason)


def _values(measurement: Measurement, subject: Subject) -> list[Value]:
    if subject.autoencoder is not None:
        restart_draws(subject.autoencoder)  # or a stochastic encoder's codes would depend on what was measured before
    with full_precision():
        return [_plain(value, measurement) for value in measurement.values(subject)]


def _plain(value: Value, measurement: Measurement) -> Value:
    """Turn a tensor's or numpy's numbers into Python's, as rows hold them.

    Raises:
        TypeError, ValueError: for what is no number, and for a metric that the measurement does not announce.
    """
    if value.metric.partition("/")[0] not in measurement.metrics:
        raise ValueError(f"it gives {value.metric!r}, and its catalogue has {', '.join(measurement.metrics)}")
    low, high = (None if bound is None else float(bound) for bound in (value.low, value.high))
    return Value(value.metric, float(value.value), low, high, None if value.n is None else int(value.n))


def lacking(rows: Iterable[Row], scope: Scope, iteration: int) -> list[Measurement]:
    """List the measurements that a finished run has no row of by today's protocol, or only that of a failure."""
    there = {(row.metric, row.protocol_id) for row in rows if row.iteration == iteration and row.missing != "failed"}

    def is_lacking(measurement: Measurement) -> bool:
        today = protocol_id(measurement.protocol(scope))
        return any((metric, today) not in there for metric in measurement.metrics)

    return [
        measurement for measurement in measurements_of(scope.evaluation) if measurement.taken(scope) and is_lacking(measurement)
    ]


def protocols_id(scope: Scope) -> str:
    """Hash today's protocols of all measurements that apply: the rows of a run that notes this hash need not be read."""
    taken = [measurement for measurement in measurements_of(scope.evaluation) if measurement.taken(scope)]
    hashes = {
        measurement.again(metric): protocol_id(measurement.protocol(scope))
        for measurement in taken
        for metric in measurement.metrics
    }
    return protocol_id(hashes)


def unavailable(scope: Scope) -> dict[str, str]:
    """List the metrics that cannot be measured of such a run, those of a measurement in one text, and why.

    Raises:
        UserError: if a metric of the user's fails to say by which protocol it would be measured.
    """
    reasons = {}
    for measurement in measurements_of(scope.evaluation):
        names = ", ".join(measurement.metrics)
        try:
            if measurement.taken(scope):
                protocol_id(measurement.protocol(scope))
                reasons[names] = measurement.unavailable(scope)
        except Exception as error:  # in code of the user's
            raise UserError(f"metric {names}: its protocol cannot be written down: {type(error).__name__}: {error}") from error
    return {names: reason for names, reason in reasons.items() if reason}


def subject_of(module: GANModule, scope: Scope, device: torch.device) -> Subject:
    """Prepare a model to be measured: one copy with the batch-norm statistics of samples, one with those of reconstructions."""
    draws = scope.evaluation.batch_norm_draws
    autoencoder = reconstruction_copy(module, scope.dataset["train"][:draws]) if scope.autoencoding else None
    return Subject(scope, sampler_of(evaluation_copy(module, draws)), device, autoencoder)


def reference_subject(name: str, scope: Scope, device: torch.device) -> Subject:
    """Prepare a sanity row to be measured: "real" draws training images, "noise" uniform noise."""
    return Subject(scope, reference_sampler(name, scope.dataset, device), device)
