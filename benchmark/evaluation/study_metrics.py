"""Find the measurements of a study: the built-in ones, and those that its user brings by dotted path."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import asdict
from functools import cache
from typing import Any

from benchmark.errors import UserError
from benchmark.evaluation.measurements import BUILT_IN, Measurement
from benchmark.imports import import_class
from benchmark.settings import Evaluation
from metrics.catalogue import METRICS, MetricInfo


def measurements_of(evaluation: Evaluation) -> tuple[Measurement, ...]:
    """List the measurements of a study: all for the first evaluation, then all for the second. The same objects at every call.

    Raises:
        UserError: if one of the user's cannot be imported, or does not describe its metrics.
    """
    return _measurements(tuple(evaluation.metrics))


@cache
def _measurements(paths: tuple[str, ...]) -> tuple[Measurement, ...]:
    kinds = (*BUILT_IN, *_import_all(paths))
    return tuple(kind(second) for second in (False, True) for kind in kinds)


def catalogue_of(evaluation: Evaluation) -> dict[str, MetricInfo]:
    """List how the metrics of a study are read, by name: ours, then its user's.

    Raises:
        UserError: as `measurements_of`.
    """
    return METRICS | {metric.name: metric for kind in _import_all(tuple(evaluation.metrics)) for metric in kind.catalogue}


def described(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Describe the user's metrics of a study for study.json, where the report reads how they are read: {name: {title, …}}.

    Raises:
        UserError: as `measurements_of`.
    """
    own = [metric for name, metric in catalogue_of(evaluation).items() if name not in METRICS]
    return {metric.name: {key: value for key, value in asdict(metric).items() if key != "name"} for metric in own}


def _import_all(paths: tuple[str, ...]) -> list[type[Measurement]]:
    kinds = [_import_measurement(path) for path in dict.fromkeys(paths)]
    names = Counter(name for kind in kinds for name in kind.metrics)
    for path, kind in zip(dict.fromkeys(paths), kinds, strict=True):
        for name in kind.metrics:
            if names[name] > 1:
                raise UserError(f"metric {path!r}: the name {name!r} is taken by another metric of this study")
    return kinds


def _import_measurement(path: str) -> type[Measurement]:
    base: type[Measurement] = Measurement  # type: ignore[type-abstract]
    kind = import_class(path, base, "metric", "benchmark.evaluation.measurements.Measurement")
    if inspect.isabstract(kind):
        raise UserError(f"metric {path!r} lacks the methods {', '.join(sorted(kind.__abstractmethods__))}")
    if not (kind.catalogue and all(isinstance(metric, MetricInfo) for metric in kind.catalogue)):
        raise UserError(f"metric {path!r}: its `catalogue` must be a tuple of metrics.catalogue.MetricInfo, one a metric")
    for metric in kind.catalogue:
        if metric.problem:
            raise UserError(f"metric {path!r}: {metric.problem}")
    return kind
