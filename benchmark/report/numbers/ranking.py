"""Rank runs: turn values into costs, of which the smaller is better; every quartile and statistic of a report goes by them."""

from __future__ import annotations

import numpy as np

from benchmark.report.numbers.statistics import QUARTILES, Interval, quantiles
from metrics.catalogue import MetricInfo

BEST = 10
"""How many of the best runs are marked by black circles (Rosca et al. 2017, figure 2)."""


def costs(values: np.ndarray, metric: MetricInfo, reference: float) -> np.ndarray:
    """Turn values into costs, of which the smaller is better, whatever the metric's goal.

    Args:
        values: (n,); NaN where a run has none.
        metric: the metric.
        reference: what held-out real images score, which `match` metrics are compared with.

    Returns:
        (n,): the negated values of a metric to maximize, the distances to the reference of one to match, the values of one to
        minimize; infinity for a run without a value, which ranks worst, and for all runs where there is nothing to match.
    """
    values = np.asarray(values, float)
    cost = {"maximize": -values, "minimize": values, "match": np.abs(values - reference)}[metric.goal]
    return np.where(np.isnan(cost), np.inf, cost)


def value_of(cost: float, metric: MetricInfo) -> float:
    """Turn a cost back into a value; of a `match` metric the distance to the reference, for there are two such values."""
    return -cost + 0.0 if metric.goal == "maximize" else cost  # no negative zero


def in_unit(cost: float, interval: Interval, metric: MetricInfo) -> tuple[float, float, float]:
    """Turn a cost and its interval into values: (value, low, high), low <= high; NaN for what lies among lost runs."""
    value, *ends = (or_nan(value_of(float(number), metric)) for number in (cost, interval.low, interval.high))
    low, high = ends if metric.goal != "maximize" else ends[::-1]
    return value, low, high


def scale_of(metric: MetricInfo) -> str:
    """Name what `value_of` returns, for an axis."""
    return f"distance to real images in {metric.unit}" if metric.goal == "match" else metric.unit


def best_first(values: np.ndarray, metric: MetricInfo, reference: float) -> np.ndarray:
    """Order values (n,) from the best to the worst: their positions; equals stay in order, runs without a value come last."""
    return np.argsort(costs(values, metric, reference), kind="stable")


def quartiles(cost: np.ndarray, metric: MetricInfo) -> tuple[float | None, float | None, float | None]:
    """Compute the lower quartile, median and upper quartile of the runs with these costs (n,), in the metric's unit.

    Of a metric to match, of the distances to the reference: values on both sides of it would average to perfection. Interpolated
    linearly between neighbours in rank, as numpy does; None where a neighbour is a run without a value.
    """
    if not len(cost):
        return None, None, None
    first, middle, third = sorted(value_of(float(quantile), metric) for quantile in quantiles(cost, QUARTILES))
    return _or_none(first), _or_none(middle), _or_none(third)


def or_nan(value: float) -> float:
    """Replace infinity, which is no value, by NaN."""
    return value if np.isfinite(value) else float("nan")


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
