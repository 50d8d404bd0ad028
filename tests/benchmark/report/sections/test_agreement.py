"""Do the metrics agree? From the golden records on disk: by hand and by scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from tests import golden

# The costs of the golden records' runs by the critic: its values with the other sign, inf where a run was lost.
ALPHAGAN = [1, 3, 2, 2, 5, 7, 4, 8]
DCGAN = [1.5, 2.5, 3, 5, 6, math.inf]
AGE = [3, 5, math.inf, math.inf, 7]
USERS = [10, 10, 10, 10]
MODES = [0.5, 3, 1, 1.5, 2, 4, 2.5, 3.5]
"""Of the α-GAN, by mode_kl."""


def row(rows):
    (one,) = rows.itertuples()
    return one


def test_agreement_of_two_metrics(table):
    rows = row(table("agreement", metric="critic", other="mode_kl", model="alphagan"))
    assert rows.n == 8
    # The better half by the critic, costs below 3.5, are the runs with 1 3 2 2; of these one has modes above 2.25: 3.
    assert rows.disagreement == 1 / 8
    assert rows.expected == 4 * 4 / 8**2
    # Ranks 1 4 2.5 2.5 6 7 5 8 and 1 6 2 3 4 8 5 7; sums of squares 41.5 (a tie) and 42; of differences 10.5
    assert rows.spearman == pytest.approx((41.5 + 42 - 10.5) / 2 / math.sqrt(41.5 * 42))
    assert rows.spearman == pytest.approx(stats.spearmanr(ALPHAGAN, MODES).statistic)
    assert np.isnan(rows.low)


def test_agreement_over_all_models_is_of_the_runs_with_both_values(table):
    rows = row(table("agreement", metric="critic", other="mode_kl", model=""))
    critic = [*ALPHAGAN, 1.5, 2.5, 3, 5, 6, 3, 5, 7, *USERS]
    modes = [*MODES, 1, 1, 2, 2, 3, 4, 5, 6, 6.5, 6.5, 6.5, 6.5]
    assert rows.n == 20
    assert rows.spearman == pytest.approx(stats.spearmanr(critic, modes).statistic)
    assert rows.low < rows.spearman < rows.high
    diversity = row(table("agreement", metric="critic", other="sample_diversity", model=golden.OWN))
    assert diversity.n == 3  # one of four could not be measured
    assert np.isnan(diversity.spearman)  # all equal by the critic
