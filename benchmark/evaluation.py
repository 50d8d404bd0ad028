"""How good is a generator? The rows of all measurements that apply to it, and which of them a finished run lacks."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from benchmark.gan_module import GANModule
from benchmark.generators import evaluation_copy, reconstruction_copy, reference_sampler, sampler_of
from benchmark.measurements import MEASUREMENTS, Measurement, Scope, Subject
from benchmark.records import Row


def evaluate(subject: Subject, iteration: int, measurements: Iterable[Measurement] = MEASUREMENTS) -> list[Row]:
    """Take measurements of a generator. Draws from streams of their own: the same for every model and run."""
    rows = []
    for measurement in measurements:
        if not measurement.applies(subject.scope):
            continue
        protocol = measurement.protocol(subject.scope)
        if reason := measurement.not_available(subject.scope):
            absent = {**protocol, "not_available": reason}
            rows += [Row(iteration, metric, None, protocol=absent) for metric in measurement.metrics]
            continue
        found = list(measurement.values(subject))
        rows += [Row(iteration, value.metric, *value[1:], protocol=protocol) for value in found]
        without = {**protocol, "not_available": "the network that was given lacks what it takes"}
        rows += [
            Row(iteration, name, None, protocol=without) for name in measurement.metrics if name not in {v.metric for v in found}
        ]
    return rows


def lacking(rows: Iterable[Row], scope: Scope, iteration: int) -> list[Measurement]:
    """The measurements that can be had and that a finished run has no row of by today's protocol."""
    there = {(row.metric, row.protocol_id) for row in rows if row.iteration == iteration}
    return [
        measurement
        for measurement in MEASUREMENTS
        if measurement.applies(scope)
        and not measurement.not_available(scope)
        and any(
            (name, Row(0, name, None, protocol=measurement.protocol(scope)).protocol_id) not in there
            for name in measurement.metrics
        )
    ]


def subject_of(module: GANModule, scope: Scope, device: torch.device) -> Subject:
    """A model as it is measured: copies of it, calibrated for samples and for reconstructions."""
    how = scope.how
    twin = reconstruction_copy(module, scope.dataset["train"][: how.calibration]) if scope.autoencoding else None
    return Subject(scope, sampler_of(evaluation_copy(module, how.calibration)), device, twin)


def reference_subject(name: str, scope: Scope, device: torch.device) -> Subject:
    """A sanity row as it is measured."""
    return Subject(scope, reference_sampler(name, scope.dataset, device), device)
