"""Boxes of box plots against matplotlib's own, which draws them when nobody else has computed them."""

import numpy as np
import pytest
from matplotlib.cbook import boxplot_stats

from benchmark.report.numbers.boxes import five_numbers


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_those_of_matplotlib(seed):
    source = np.random.default_rng(seed)
    values = source.standard_t(2, size=seed + 1)  # many outliers
    (expected,) = boxplot_stats(values, whis=1.5)
    box = five_numbers(values)
    assert box == pytest.approx([expected[name] for name in ("whislo", "q1", "med", "q3", "whishi")], rel=1e-15)


def test_by_hand():
    # Ranks 1, 2 and 3 of 0 … 4; whiskers reach 1.5 · 2 from the box: to -7 and 1, and end at the last values within.
    assert five_numbers(np.array([-30.0, -4, -3, -2, -1])) == (-4, -4, -3, -2, -1)
    assert five_numbers(np.array([7.0])) == (7, 7, 7, 7, 7)


def test_a_whisker_never_ends_inside_of_its_box():
    # The upper quartile 2.5 is interpolated to an outlier; the last value within 6.25 lies below it.
    assert five_numbers(np.array([0.0, 0, 0, 10])) == (0, 0, 0, 2.5, 2.5)
