"""The expected best of k runs, from the golden records on disk: by hand and by all subsets."""

import math
from itertools import combinations

import numpy as np
import pytest

from benchmark.report.sections.best_of_k import BestOfK
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    shown,
    write_runs,
)

# The costs of the golden records' runs by the critic: its values with the other sign, inf where a run was lost.
ALPHAGAN = [1, 3, 2, 2, 5, 7, 4, 8]
DCGAN = [1.5, 2.5, 3, 5, 6, math.inf]
AGE = [3, 5, math.inf, math.inf, 7]
USERS = [10, 10, 10, 10]
MODES = [0.5, 3, 1, 1.5, 2, 4, 2.5, 3.5]
"""Of the α-GAN, by mode_kl."""


def test_the_best_of_k(table):
    rows = table("best_of_k", metric="critic", model="alphagan").set_index("k")
    assert rows.index.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert rows.value[1] == -4  # the mean of all
    # Costs 1 2 2 3 4 5 7 8: of 28 pairs 7 have the first as their better one, 6 the second, and so on.
    assert rows.value[2] == pytest.approx(-(7 * 1 + 6 * 2 + 5 * 2 + 4 * 3 + 3 * 4 + 2 * 5 + 1 * 7) / 28)  # -2.5
    assert rows.value[8] == -1
    for k in rows.index:
        assert rows.value[k] == pytest.approx(-np.mean([min(drawn) for drawn in combinations(ALPHAGAN, int(k))]))
        assert rows.low[k] <= rows.value[k] <= rows.high[k]


def test_the_best_of_k_where_runs_were_lost(table):
    rows = table("best_of_k", metric="critic", model="dcgan").set_index("k")
    assert np.isnan(rows.value[1])  # the one run may be the lost one
    assert rows.value[2] == pytest.approx(-(5 * 1.5 + 4 * 2.5 + 3 * 3 + 2 * 5 + 1 * 6) / 15)
    assert rows.value[6] == -1.5
    ages = table("best_of_k", metric="critic", model="age").set_index("k")
    assert ages.index.tolist() == [1, 2, 3, 4, 5]  # the run that is missing is none that was drawn
    assert ages.value.isna().tolist() == [True, True, False, False, False]


def test_the_best_of_k_of_a_metric_to_match_is_a_distance(table):
    rows = table("best_of_k", metric="sample_diversity", model="alphagan").set_index("k")
    distances = [0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375]
    assert rows.value[1] == pytest.approx(np.mean(distances))
    assert rows.value[8] == 0
    assert (rows.low.to_numpy() <= rows.high.to_numpy()).all()


def test_budgets_are_the_same_for_all_models_and_each_sweeps_size_is_among_them(tmp_path):
    sizes = {"alphagan": 60, "dcgan": 37, "age": 8}
    runs = [
        PretendedRun(model, rows=[at_end("critic", -number)], hyperparameters={"rate": number})
        for model, size in sizes.items()
        for number in range(size)
    ]
    results = results_of(write_runs(tmp_path / "sizes", runs))
    computed = BestOfK().table(results)
    budgets = {model: rows.k.tolist() for model, rows in computed.groupby("model")}
    assert 37 not in {round(60 ** (step / 29)) for step in range(30)}  # else it would be there by chance
    for model, size in sizes.items():
        assert set(sizes.values()) & {*range(size + 1)} <= set(budgets[model])
        assert budgets[model] == [k for k in budgets["alphagan"] if k <= size]
    assert len(budgets["alphagan"]) <= 33
    # The best of 37 among 0 … 59: the smallest of k of n numbers from 0 is (n - k) / (k + 1) on average.
    assert computed.query("model == 'alphagan' and k == 37").value.item() == pytest.approx(-23 / 38)


def test_of_several_that_are_expected_to_do_best_all_are_named(tmp_path, undrawn):
    values = {"dcgan": (-1, -2), "age": (-1, -2), "alphagan": (-3, -4)}
    runs = [
        PretendedRun(model, rows=[at_end("critic", value)], hyperparameters={"rate": number})
        for model, numbers in values.items()
        for number, value in enumerate(numbers)
    ]
    words = shown(BestOfK, results_of(write_runs(tmp_path / "study", runs)), tmp_path / "a")[0].plots[0].sentence
    assert "with 1 run DCGAN and AGE are expected to do best, with 2 still." in words.replace("AGE and DCGAN", "DCGAN and AGE")
