"""Which of two values is better, and how runs rank by it."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmark.report.numbers.ranking import best_first, costs, quartiles, value_of
from benchmark.report.sections.scores import sentence
from metrics.catalogue import METRICS, MetricInfo

MATCH = MetricInfo("diversity", "Diversity", "match", "")
OTHER = {"steps": 200}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [(METRICS["critic"], [3.0, 2.0, -1.0]), (METRICS["mode_kl"], [-1.0, 2.0, 3.0]), (MATCH, [2.0, 3.0, -1.0])],
)
def test_the_best_follow_the_goal(metric, expected):
    values = np.array([2.0, -1.0, 3.0])
    assert values[best_first(values, metric, 1.8)].tolist() == expected


def test_quartiles_against_numpy():
    values = np.random.default_rng(0).normal(size=23)
    for metric in (METRICS["critic"], METRICS["mode_kl"]):
        assert quartiles(costs(values, metric, 0.0), metric) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))


def test_quartiles_of_a_match_metric_are_of_the_distances_to_the_reference():
    # distances 1, 3 and 0.5; between 0.5 and 1, 1, between 1 and 3
    assert quartiles(costs(np.array([1.0, 5.0, 2.5]), MATCH, 2.0), MATCH) == (0.75, 1.0, 2.0)
    # values on both sides do not average to perfection
    assert quartiles(costs(np.array([1.0, 3.0]), MATCH, 2.0), MATCH) == (1.0, 1.0, 1.0)


def test_without_real_images_nothing_is_nearest_to_them():
    values = np.array([0.3, 0.1])
    assert np.isinf(costs(values, MATCH, math.nan)).all()
    assert quartiles(costs(values, MATCH, math.nan), MATCH) == (None, None, None)
    rows = pd.DataFrame({"model": ["dcgan", "age"], "median": [0.3, 0.1], "n": [2, 2], "without_value": [0, 0]})
    assert sentence(rows, MATCH).startswith("No ranking")


def test_equals_stay_in_their_order_and_runs_without_a_value_come_last():
    values = np.array([np.nan, 1.0, 2.0, 1.0, np.nan])
    assert best_first(values, METRICS["mode_kl"], 0).tolist() == [1, 3, 2, 0, 4]
    assert best_first(values, METRICS["critic"], 0).tolist() == [2, 1, 3, 0, 4]


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e300])
def test_huge_and_tiny_values_are_ranked_like_others(size):
    values = np.array([2.0, -1.0, 3.0]) * size
    for metric in (METRICS["critic"], METRICS["mode_kl"], MATCH):
        assert best_first(values, metric, 1.8 * size).tolist() == best_first(values / size, metric, 1.8).tolist()
        assert value_of(float(costs(values, metric, 0.0)[0]), metric) == 2 * size
