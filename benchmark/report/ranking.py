"""Which of two values is better? Every ranking, quartile and statistic of a report goes by the costs that are made here."""

from __future__ import annotations

import numpy as np

from benchmark.measures import Measure

BEST = 10
"""How many of the best runs are marked by black circles (Rosca et al. 2017, figure 2)."""


def costs(values: np.ndarray, measure: Measure, reference: float) -> np.ndarray:
    """Smaller is better, whatever the metric's goal.

    Args:
        values: (n,); NaN where a run has none.
        measure: the metric.
        reference: what held-out real images score, which `match` metrics are compared with.

    Returns:
        (n,): the negated values of a metric to maximize, the distances to the reference of one to match, the values of one to
        minimize; infinity for a run without a value, which ranks worst, and for all runs where there is nothing to match.
    """
    values = np.asarray(values, float)
    cost = {"maximize": -values, "minimize": values, "match": np.abs(values - reference)}[measure.goal]
    return np.where(np.isnan(cost), np.inf, cost)


def value_of(cost: float, measure: Measure) -> float:
    """The value of a cost; of a `match` metric the distance to the reference, for there are two such values."""
    return -cost if measure.goal == "maximize" else cost


def scale_of(measure: Measure) -> str:
    """What `value_of` gives, for an axis."""
    return f"distance to real images in {measure.unit}" if measure.goal == "match" else measure.unit


def best_first(values: np.ndarray, measure: Measure, reference: float) -> np.ndarray:
    """The positions of values (n,) from the best to the worst; equals stay in their order, runs without a value come last."""
    return np.argsort(costs(values, measure, reference), kind="stable")


def ranked_quartiles(
    values: np.ndarray, without: int, measure: Measure, reference: float
) -> tuple[float | None, float | None, float | None]:
    """Lower quartile, median and upper quartile of a sweep in which `without` runs have no value and rank worst.

    Interpolated linearly between neighbours in rank, as numpy does; None where a neighbour is a run without a value, or where
    there is nothing to match.
    """
    if measure.goal == "match" and np.isnan(reference):
        return None, None, None
    ordered = [float(values[position]) for position in best_first(values, measure, reference)]
    ranked: list[float | None] = [*ordered, *[None] * without]
    if not ranked:
        return None, None, None
    quartiles = []
    for share in (0.25, 0.5, 0.75):
        position = share * (len(ranked) - 1)
        low, part = int(position), position % 1
        a, b = ranked[low], ranked[min(low + 1, len(ranked) - 1)]
        quartiles.append(a if part == 0 or a is None else None if b is None else a + (b - a) * part)
    if measure.goal == "maximize":  # rank 1 is the largest value
        quartiles.reverse()
    return quartiles[0], quartiles[1], quartiles[2]
