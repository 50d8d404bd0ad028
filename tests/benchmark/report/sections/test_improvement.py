"""Is one model better than another? From the golden records on disk: by hand and by scipy."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.report.sections.improvement import Improvement
from metrics.catalogue import METRICS
from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    shown,
    write_runs,
    write_study,
)

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


def test_probabilities_of_improvement(table):
    rows = table("improvement", metric="critic").set_index(["model", "than"])
    # Of 6 runs of DCGAN so many are worse than the α-GAN's with cost 1 2 2 3 4 5 7 8, ties half: 6 5 5 3.5 3 2.5 1 1
    assert rows.value["alphagan", "dcgan"] == (6 + 5 + 5 + 3.5 + 3 + 2.5 + 1 + 1) / (8 * 6) == 0.5625
    assert rows.value["dcgan", "alphagan"] == 1 - 0.5625
    assert rows.value["age", golden.OWN] == 3 / 5  # the two that were lost are worse than everything
    assert rows.loc[("alphagan", golden.OWN), ["value", "low", "high"]].tolist() == [1, 1, 1]
    sweeps = {"alphagan": ALPHAGAN, "dcgan": DCGAN, "age": AGE, golden.OWN: USERS}
    assert len(rows) == 12
    for (model, than), one in rows.iterrows():
        a, b = (np.nan_to_num(np.array(sweeps[name], float), posinf=1e9) for name in (model, than))
        assert one.value == pytest.approx(1 - stats.mannwhitneyu(a, b).statistic / len(a) / len(b))
        assert one.low <= one.value <= one.high


def test_p_values_of_all_pairs_are_corrected_together(table):
    """By scipy, of the configurations' mean ranks among the runs of both; Holm's correction for six pairs by its definition."""
    rows = table("improvement", metric="critic").set_index(["model", "than"])
    configurations = {  # costs of each
        "alphagan": [(1, 3), (2, 2), (5, 7), (4, 8)],
        "dcgan": [(1.5, 2.5), (3, 5), (6, math.inf)],
        "age": [(3, 5), (math.inf, math.inf), (7,)],
        golden.OWN: [(10, 10), (10, 10)],
    }
    expected = {}
    for model, than in combinations(configurations, 2):
        each = [*configurations[model], *configurations[than]]
        ranks = iter(stats.rankdata([cost for costs in each for cost in costs]))
        means = [np.mean([next(ranks) for _ in costs]) for costs in each]
        split = len(configurations[model])
        expected[model, than] = stats.mannwhitneyu(means[:split], means[split:]).pvalue
    corrected, least = {}, 0
    for number, pair in enumerate(sorted(expected, key=expected.get)):
        least = corrected[pair] = min(1, max(least, (6 - number) * expected[pair]))
    assert len(expected) == 6
    for model, than in expected:
        for pair in ((model, than), (than, model)):
            assert rows.p_value[pair] == pytest.approx(expected[model, than])
            assert rows.p_holm[pair] == pytest.approx(corrected[model, than])


def test_bootstraps_are_the_same_every_time_and_other_ones_elsewhere():
    """A stream is a function of what it is for, not of the order in which things are computed."""
    keys = ["setting", "metric", "model", "than"]
    folders = [golden.FOLDER / "digits", golden.FOLDER / "pictures"]
    first, turned = (
        Improvement().table(results_of(*order)).sort_values(keys).reset_index(drop=True) for order in (folders, folders[::-1])
    )
    pd.testing.assert_frame_equal(first, turned)


def test_pairs_can_be_told_apart_by_the_corrected_p_value(tmp_path, undrawn):
    def study(name, size, *models):
        runs = [
            PretendedRun(model, rows=[at_end("critic", -100 * place - number)], hyperparameters={"rate": number})
            for place, model in enumerate(models)
            for number in range(size)
        ]
        return write_runs(tmp_path / name, runs)

    # Four and four that do not overlap have p = 2 / 70 = 0.029, which is no longer below 0.05 times two or three.
    words = shown(Improvement, results_of(study("two", 4, "dcgan", "age")), tmp_path / "a")[0].plots[0].sentence
    title = METRICS["critic"].title
    told = "pairs of models can be told apart (p < 0.05 after Holm's correction)"
    assert words == f"{title}: 1 of 1 {told}: DCGAN over AGE (100%)."
    words = shown(Improvement, results_of(study("three", 4, "dcgan", "age", "alphagan")), tmp_path / "b")[0].plots[0].sentence
    assert words == f"{title}: 0 of 3 {told}."
    words = shown(Improvement, results_of(study("one", 1, "dcgan", "age")), tmp_path / "c")[0].plots[0].sentence
    assert words == f"{title}: a single configuration of a model says nothing about others, so no pair was tested."


def test_a_pair_of_models_that_are_equally_good_stands_once(tmp_path, undrawn):
    runs = [(model, "done", value) for model in ("alphagan", "dcgan", "age") for value in (-1.0, -2.0)] + [
        ("mine.Worse", "done", -3.0)
    ]
    results = results_of(write_study(tmp_path / "tied", runs))
    (section,) = shown(Improvement, results, tmp_path / "figures")
    (table,) = section.tables
    pairs = [frozenset(row[1:3]) for row in table.rows]
    assert len(pairs) == len(set(pairs)) == 6
    assert [row[3] for row in table.rows] == [0.5, 0.5, 1, 0.5, 1, 1]
