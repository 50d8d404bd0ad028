"""Compute the boxes of box plots, once for screen and paper."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.report.numbers.statistics import QUARTILES


class FiveNumbers(NamedTuple):
    """A box and its whiskers, from below, in the metric's unit."""

    low: float
    quartile_1: float
    median: float
    quartile_3: float
    high: float


def five_numbers(values: np.ndarray) -> FiveNumbers:
    """Compute the quartiles, and the last values within 1.5 box heights of the box (Tukey, Exploratory Data Analysis, 1977).

    A whisker never ends inside of the box: where no value lies within 1.5 box heights beyond a quartile, it has no length.

    Args:
        values: (n,) finite, of at least one run; not sorted.
    """
    first, middle, third = (float(value) for value in np.quantile(values, QUARTILES))
    reach = 1.5 * (third - first)
    near = values[(values >= first - reach) & (values <= third + reach)]
    return FiveNumbers(min(first, float(near.min())), first, middle, third, max(third, float(near.max())))
