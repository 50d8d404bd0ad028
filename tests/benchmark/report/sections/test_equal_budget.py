"""Sweeps at equal budget, from the golden records on disk: by hand and by all subsets."""

import math
from itertools import combinations

import numpy as np
import pytest

from benchmark.report.sections.equal_budget import EqualBudget
from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    write_runs,
)


def test_equal_budgets(table):
    rows = table("equal_budget", setting="cifar10", metric="critic").set_index("model")
    assert rows.configurations.unique().tolist() == [2]
    assert rows["of"].to_dict() == {"alphagan": 4, "dcgan": 3, "age": 2, golden.OWN: 2}
    whole = rows.loc[golden.OWN]  # both configurations are drawn every time: -3 and -5
    assert whole[["quartile_1", "median", "quartile_3", "best"]].tolist() == [-4.5, -4, -3.5, -3]
    assert rows[["low", "high"]].isna().all(axis=1).to_dict() == {
        "alphagan": False, "dcgan": False, "age": True, golden.OWN: True,  # of the smallest sweeps there is one subset
    }  # fmt: skip
    ages = rows.loc["age"]  # -1, and one that failed, with which nothing is interpolated
    assert ages[["quartile_1", "median", "quartile_3", "best"]].tolist() == pytest.approx([math.nan] * 3 + [-1], nan_ok=True)
    for model, costs in (("alphagan", [1, 2, 3, 4]), ("dcgan", [2, 4, 6])):
        pairs = list(combinations(costs, 2))
        error = 4.5 * 0.5 / 1000**0.5  # of the share of 1,000 draws that lies below a value
        for name, share in (("quartile_1", 0.75), ("median", 0.5), ("quartile_3", 0.25), ("best", 0)):
            each = np.quantile(pairs, share, axis=1)
            assert np.mean(each < -rows[name][model]) <= 0.5 + error  # it is the median of the draws'
            assert np.mean(each <= -rows[name][model]) >= 0.5 - error
        best = [min(pair) for pair in pairs]
        assert (rows.low[model], rows.high[model]) == (-max(best), -min(best))


def test_equal_budgets_take_as_many_seeds_of_each_configuration(table):
    rows = table("equal_budget", metric="critic").set_index("model")
    # Of AGE's third configuration one seed is missing, so the first seed of every configuration counts.
    assert (rows.configurations.unique().tolist(), rows.seeds.unique().tolist()) == ([2], [1])
    assert rows["of"].to_dict() == {"alphagan": 4, "dcgan": 3, "age": 3, golden.OWN: 2}
    # DCGAN: -1.5, -3 and -6, without the seeds of -2.5 and -5 and the lost one. Pairs have the bests -1.5, -1.5 and -3, and the
    # medians -2.25, -3.75 and -4.5.
    assert rows.loc["dcgan", ["median", "best", "low", "high"]].tolist() == [-3.75, -1.5, -3, -1.5]
    # AGE: -3, one that failed and -7. Of three pairs one has no run that was lost.
    assert np.isnan(rows["median"]["age"])
    assert rows.best["age"] == -3


def test_equal_budgets_are_shown_where_only_seeds_differ(tmp_path):
    def runs(model, seeds, status="done"):
        return [
            PretendedRun(model, status, [at_end("critic", -rate - seed)], hyperparameters={"rate": rate}, seed=seed)
            for rate in (1, 10)
            for seed in range(seeds)
        ]

    results = results_of(write_runs(tmp_path / "seeds", [*runs("alphagan", 1), *runs("dcgan", 3)]))
    rows = EqualBudget().table(results).set_index("model")
    assert rows[["configurations", "seeds", "of"]].to_numpy().tolist() == [[2, 1, 2]] * 2
    assert rows["median"].tolist() == [-5.5, -5.5]  # of -1 and -10, of both: the other seeds are none of the budget
    assert rows[["low", "high"]].isna().all(axis=None)
    results = results_of(write_runs(tmp_path / "alike", [*runs("alphagan", 3), *runs("dcgan", 3)]))
    assert EqualBudget().table(results).empty
