"""What a sweep tells beyond its quartiles, from the golden records on disk to the tables beside the page: by hand, by scipy."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.report.numbers.analysis import best_of_k_table, headlines
from benchmark.report.numbers.summary import summarize
from benchmark.report.sections.statistic_sections import analyses, not_shown
from metrics.catalogue import MEASURES
from tests import golden
from tests.benchmark.report.pretended import PretendedRun, at_end, compared, write_runs, write_study

# The costs of the golden records' runs by the critic: its values with the other sign, inf where a run was lost.
ALPHAGAN = [1, 3, 2, 2, 5, 7, 4, 8]
DCGAN = [1.5, 2.5, 3, 5, 6, math.inf]
AGE = [3, 5, math.inf, math.inf, 7]
USERS = [10, 10, 10, 10]
MODES = [0.5, 3, 1, 1.5, 2, 4, 2.5, 3.5]
"""Of the α-GAN, by mode_kl."""


@pytest.fixture(scope="module")
def table(golden_report):
    def read(name, **chosen):
        found = pd.read_csv(golden_report / f"{name}.csv").fillna({"model": ""})  # of all models
        return found[
            np.logical_and.reduce([found[key] == value for key, value in {"setting": "colormnist-mini", **chosen}.items()])
        ]

    return read


def row(found):
    (one,) = found.itertuples()
    return one


def test_the_best_of_k(table):
    found = table("best_of_k", metric="critic", model="alphagan").set_index("k")
    assert found.index.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.value[1] == -4  # the mean of all
    # Costs 1 2 2 3 4 5 7 8: of 28 pairs 7 have the first as their better one, 6 the second, and so on.
    assert found.value[2] == pytest.approx(-(7 * 1 + 6 * 2 + 5 * 2 + 4 * 3 + 3 * 4 + 2 * 5 + 1 * 7) / 28)  # -2.5
    assert found.value[8] == -1
    for k in found.index:
        assert found.value[k] == pytest.approx(-np.mean([min(drawn) for drawn in combinations(ALPHAGAN, int(k))]))
        assert found.low[k] <= found.value[k] <= found.high[k]


def test_the_best_of_k_where_runs_were_lost(table):
    found = table("best_of_k", metric="critic", model="dcgan").set_index("k")
    assert np.isnan(found.value[1])  # the one run may be the lost one
    assert found.value[2] == pytest.approx(-(5 * 1.5 + 4 * 2.5 + 3 * 3 + 2 * 5 + 1 * 6) / 15)
    assert found.value[6] == -1.5
    ages = table("best_of_k", metric="critic", model="age").set_index("k")
    assert ages.index.tolist() == [1, 2, 3, 4, 5]  # the run that is missing is none that was drawn
    assert ages.value.isna().tolist() == [True, True, False, False, False]


def test_the_best_of_k_of_a_metric_to_match_is_a_distance(table):
    found = table("best_of_k", metric="sample_diversity", model="alphagan").set_index("k")
    distances = [0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375]
    assert found.value[1] == pytest.approx(np.mean(distances))
    assert found.value[8] == 0
    assert (found.low.to_numpy() <= found.high.to_numpy()).all()


def test_equal_budgets(table):
    found = table("equal_budget", setting="cifar10", metric="critic").set_index("model")
    assert found.configurations.unique().tolist() == [2]
    assert found["of"].to_dict() == {"alphagan": 4, "dcgan": 3, "age": 2, golden.OWN: 2}
    whole = found.loc[golden.OWN]  # both configurations are drawn every time: -3 and -5
    assert whole[["quartile_1", "median", "quartile_3", "best"]].tolist() == [-4.5, -4, -3.5, -3]
    assert found[["low", "high"]].isna().all(axis=1).to_dict() == {
        "alphagan": False, "dcgan": False, "age": True, golden.OWN: True,  # of the smallest sweeps there is one subset
    }  # fmt: skip
    ages = found.loc["age"]  # -1, and one that failed, with which nothing is interpolated
    assert ages[["quartile_1", "median", "quartile_3", "best"]].tolist() == pytest.approx([math.nan] * 3 + [-1], nan_ok=True)
    for model, costs in (("alphagan", [1, 2, 3, 4]), ("dcgan", [2, 4, 6])):
        pairs = list(combinations(costs, 2))
        error = 4.5 * 0.5 / 1000**0.5  # of the share of 1,000 draws that lies below a value
        for name, share in (("quartile_1", 0.75), ("median", 0.5), ("quartile_3", 0.25), ("best", 0)):
            each = np.quantile(pairs, share, axis=1)
            assert np.mean(each < -found[name][model]) <= 0.5 + error  # it is the median of the draws'
            assert np.mean(each <= -found[name][model]) >= 0.5 - error
        best = [min(pair) for pair in pairs]
        assert (found.low[model], found.high[model]) == (-max(best), -min(best))


def test_equal_budgets_take_as_many_seeds_of_each_configuration(table):
    found = table("equal_budget", metric="critic").set_index("model")
    # Of AGE's third configuration one seed is missing, so the first seed of every configuration counts.
    assert (found.configurations.unique().tolist(), found.seeds.unique().tolist()) == ([2], [1])
    assert found["of"].to_dict() == {"alphagan": 4, "dcgan": 3, "age": 3, golden.OWN: 2}
    # DCGAN: -1.5, -3 and -6, without the seeds of -2.5 and -5 and the lost one. Pairs have the bests -1.5, -1.5 and -3, and the
    # medians -2.25, -3.75 and -4.5.
    assert found.loc["dcgan", ["median", "best", "low", "high"]].tolist() == [-3.75, -1.5, -3, -1.5]
    # AGE: -3, one that failed and -7. Of three pairs one has no run that was lost.
    assert np.isnan(found["median"]["age"])
    assert found.best["age"] == -3


def test_equal_budgets_are_shown_where_only_seeds_differ(tmp_path):
    def runs(model, seeds, status="done"):
        return [
            PretendedRun(model, status, [at_end("critic", -rate - seed)], hyperparameters={"rate": rate}, seed=seed)
            for rate in (1, 10)
            for seed in range(seeds)
        ]

    _, _, main = compared(write_runs(tmp_path / "seeds", [*runs("alphagan", 1), *runs("dcgan", 3)]))
    found = analyses(main)["equal_budget"].set_index("model")
    assert found[["configurations", "seeds", "of"]].to_numpy().tolist() == [[2, 1, 2]] * 2
    assert found["median"].tolist() == [-5.5, -5.5]  # of -1 and -10, of both: the other seeds are none of the budget
    assert found[["low", "high"]].isna().all(axis=None)
    _, _, main = compared(write_runs(tmp_path / "alike", [*runs("alphagan", 3), *runs("dcgan", 3)]))
    assert analyses(main)["equal_budget"].empty


def test_probabilities_of_improvement(table):
    found = table("improvement", metric="critic").set_index(["model", "than"])
    # Of 6 runs of DCGAN so many are worse than the α-GAN's with cost 1 2 2 3 4 5 7 8, ties half: 6 5 5 3.5 3 2.5 1 1
    assert found.value["alphagan", "dcgan"] == (6 + 5 + 5 + 3.5 + 3 + 2.5 + 1 + 1) / (8 * 6) == 0.5625
    assert found.value["dcgan", "alphagan"] == 1 - 0.5625
    assert found.value["age", golden.OWN] == 3 / 5  # the two that were lost are worse than everything
    assert found.loc[("alphagan", golden.OWN), ["value", "low", "high"]].tolist() == [1, 1, 1]
    sweeps = {"alphagan": ALPHAGAN, "dcgan": DCGAN, "age": AGE, golden.OWN: USERS}
    assert len(found) == 12
    for (model, than), one in found.iterrows():
        a, b = (np.nan_to_num(np.array(sweeps[name], float), posinf=1e9) for name in (model, than))
        assert one.value == pytest.approx(1 - stats.mannwhitneyu(a, b).statistic / len(a) / len(b))
        assert one.low <= one.value <= one.high


def test_p_values_of_all_pairs_are_corrected_together(table):
    """By scipy, of the configurations' mean ranks among the runs of both; Holm's correction for six pairs by its definition."""
    found = table("improvement", metric="critic").set_index(["model", "than"])
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
            assert found.p_value[pair] == pytest.approx(expected[model, than])
            assert found.p_holm[pair] == pytest.approx(corrected[model, than])


def test_agreement_of_two_metrics(table):
    found = row(table("agreement", metric="critic", other="mode_kl", model="alphagan"))
    assert found.n == 8
    # The better half by the critic, costs below 3.5, are the runs with 1 3 2 2; of these one has modes above 2.25: 3.
    assert found.disagreement == 1 / 8
    assert found.expected == 4 * 4 / 8**2
    # Ranks 1 4 2.5 2.5 6 7 5 8 and 1 6 2 3 4 8 5 7; sums of squares 41.5 (a tie) and 42; of differences 10.5
    assert found.spearman == pytest.approx((41.5 + 42 - 10.5) / 2 / math.sqrt(41.5 * 42))
    assert found.spearman == pytest.approx(stats.spearmanr(ALPHAGAN, MODES).statistic)
    assert np.isnan(found.low)


def test_agreement_over_all_models_is_of_the_runs_with_both_values(table):
    found = row(table("agreement", metric="critic", other="mode_kl", model=""))
    critic = [*ALPHAGAN, 1.5, 2.5, 3, 5, 6, 3, 5, 7, *USERS]
    modes = [*MODES, 1, 1, 2, 2, 3, 4, 5, 6, 6.5, 6.5, 6.5, 6.5]
    assert found.n == 20
    assert found.spearman == pytest.approx(stats.spearmanr(critic, modes).statistic)
    assert found.low < found.spearman < found.high
    diversity = row(table("agreement", metric="critic", other="sample_diversity", model=golden.OWN))
    assert diversity.n == 3  # one of four could not be measured
    assert np.isnan(diversity.spearman)  # all equal by the critic


def test_which_hyperparameter_matters(table):
    found = table("hyperparameters", metric="critic", model="alphagan").set_index("hyperparameter")
    # Mean ranks of the configurations 2.5 2.5 6.5 6.5, so their ranks 1.5 1.5 3.5 3.5: all lies between the learning rates.
    assert found.share.to_dict() == {"learning_rate": 1, "latent_size": 0}
    assert found.chance.tolist() == [1 / 3, 1 / 3]
    assert found.configurations.tolist() == [4, 4]
    test = stats.kruskal([1.5, 1.5], [3.5, 3.5])
    assert found.share["learning_rate"] == pytest.approx(test.statistic / 3)
    assert found.p_value["learning_rate"] == pytest.approx(test.pvalue)
    assert found.p_holm.to_dict() == pytest.approx({"learning_rate": 2 * test.pvalue, "latent_size": 1})  # the smaller of two
    users = table("hyperparameters", metric="critic", model=golden.OWN)
    assert users.hyperparameter.tolist() == ["layers"]  # a list and None; what does not vary is not in it


def test_seeds_and_sweep(table):
    found = table("seeds", metric="critic").set_index("model")
    assert set(found.index) == {"alphagan", "dcgan", golden.OWN}  # of AGE one configuration has two values
    # Means -2 -2 -6 -6. Within: (1 + 1) + 0 + (1 + 1) + (4 + 4) over 8 - 4. Between: 2 · 4 · 2² over 4 - 1. Two runs each.
    one = found.loc["alphagan"]
    assert one.seed_sd == pytest.approx(math.sqrt(3))
    assert one.sweep_sd == pytest.approx(math.sqrt((32 / 3 - 3) / 2))
    assert one.share_of_seeds == pytest.approx(3 / (3 + 23 / 6))
    assert one.measurement_sd == pytest.approx(0.25 / 1.96)
    assert (one.configurations, one.runs) == (4, 8)
    # -1.5 -2.5 | -3 -5; the third has one seed left. Within: (0.5 + 2) / 2. Between: 2 · (1 + 1) / 1.
    one = found.loc["dcgan"]
    assert (one.configurations, one.runs) == (2, 4)
    assert one.share_of_seeds == pytest.approx(1.25 / (1.25 + (4 - 1.25) / 2))
    constant = found.loc[golden.OWN]
    assert (constant.seed_sd, constant.sweep_sd) == (0, 0)
    assert np.isnan(constant.share_of_seeds)
    assert table("seeds", setting="cifar10").empty


def test_bootstraps_are_the_same_every_time_and_other_ones_elsewhere(golden_report):
    """A stream is a function of what it is for, not of the order in which things are computed."""
    _, _, main = compared(golden.FOLDER / "digits", golden.FOLDER / "pictures")
    _, _, turned = compared(golden.FOLDER / "pictures", golden.FOLDER / "digits")
    keys = ["setting", "metric", "model", "than"]
    one, other = (analyses(found)["improvement"].sort_values(keys).reset_index(drop=True) for found in (main, turned))
    pd.testing.assert_frame_equal(one, other)


def test_another_study_moves_no_interval_of_the_first(tmp_path):
    """Though it gives the first study's setting another label."""
    one = golden.FOLDER / "digits"
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -rate)], hyperparameters={"rate": rate}) for rate in (1, 2)]
    other = write_runs(tmp_path / "other", runs, settings={"width": 1}, fingerprint="d" * 64)
    alone, beside = compared(one), compared(one, other)
    (label,), labels = alone[0].settings, beside[0].settings
    assert labels == ["colormnist-mini, width 0.25", "colormnist-mini, width 1"]
    first, second = (
        analyses(main) | {"summary": summarize(tables, [some for those in found.values() for some in those])}
        for tables, found, main in (alone, beside)
    )
    for name, rows in first.items():
        those = second[name]
        assert set(those.setting) == {*labels} if name in ("summary", "best_of_k") else {*those.setting} <= {*labels}
        same = those[those.setting == labels[0]].assign(setting=label).reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), same, check_dtype=False)


# What may be lacking


def test_a_model_that_lost_every_run_loses_against_all(tmp_path):
    runs = [("dcgan", "done", -1.0), ("dcgan", "done", -2.0), ("age", "failed", None), ("age", "diverged", None)]
    _, _, main = compared(write_study(tmp_path / "lost", [*runs, ("age", "missing", None)]))
    found = analyses(main)
    best = found["best_of_k"].query("model == 'age'")
    assert best.k.tolist() == [1, 2]  # the one to come was not drawn
    assert best.value.isna().all()
    assert found["improvement"].set_index("model").value.to_dict() == {"dcgan": 1, "age": 0}


def test_budgets_are_the_same_for_all_models_and_each_sweeps_size_is_among_them(tmp_path):
    sizes = {"alphagan": 60, "dcgan": 37, "age": 8}
    runs = [
        PretendedRun(model, rows=[at_end("critic", -number)], hyperparameters={"rate": number})
        for model, size in sizes.items()
        for number in range(size)
    ]
    _, _, main = compared(write_runs(tmp_path / "sizes", runs))
    found = best_of_k_table(main["critic"])
    budgets = {model: rows.k.tolist() for model, rows in found.groupby("model")}
    assert 37 not in {round(60 ** (step / 29)) for step in range(30)}  # else it would be there by chance
    for model, size in sizes.items():
        assert set(sizes.values()) & {*range(size + 1)} <= set(budgets[model])
        assert budgets[model] == [k for k in budgets["alphagan"] if k <= size]
    assert len(budgets["alphagan"]) <= 33
    # The best of 37 among 0 … 59: the smallest of k of n numbers from 0 is (n - k) / (k + 1) on average.
    assert found.query("model == 'alphagan' and k == 37").value.item() == pytest.approx(-23 / 38)


def test_one_run_gives_no_interval_and_no_comparison(tmp_path):
    tables, _, main = compared(write_study(tmp_path / "one", [("dcgan", "done", -1.0)]))
    found = analyses(main)
    assert {name: len(rows) for name, rows in found.items()} == {
        "best_of_k": 1, "equal_budget": 0, "improvement": 0, "agreement": 0, "hyperparameters": 0, "seeds": 0,
    }  # fmt: skip
    only = found["best_of_k"].iloc[0]
    assert (only.k, only.value) == (1, -1)
    assert np.isnan([only.low, only.high]).all()
    assert "one seed" in not_shown(tables)[0]


def test_one_configuration_with_many_seeds(tmp_path):
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -seed)], seed=seed) for seed in range(1, 6)]
    tables, _, main = compared(write_runs(tmp_path / "seeds", runs))
    found = analyses(main)
    assert found["seeds"].empty  # nothing to hold them against
    assert found["best_of_k"].low.isna().all()  # no other configuration to draw
    assert found["best_of_k"].value.tolist() == pytest.approx([-3, -2, -1.5, -1.2, -1])
    assert not_shown(tables) == []


def test_without_anything_to_match_a_metric_is_no_headline(tmp_path):
    runs = [PretendedRun("dcgan", rows=[at_end("sample_diversity", value)]) for value in (0.25, 0.5)]
    runs.append(PretendedRun("real", rows=[at_end("sample_diversity", None)]))
    _, found, main = compared(write_runs(tmp_path / "blind", runs))
    assert math.isnan(found["sample_diversity"][0].reference)
    assert headlines(main) == []
    assert all(rows.empty for rows in analyses(main).values())
    assert MEASURES["sample_diversity"].headline


def test_sanity_rows_are_in_no_statistic(tmp_path):
    _, _, main = compared(write_study(tmp_path / "sane", [("real", "done", -0.1), ("noise", "done", -8.0)]))
    assert all(rows.empty for rows in analyses(main).values())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_huge_and_tiny_values_are_told_apart_like_others(tmp_path, size):
    values = {"dcgan": (-1, -2, -4), "age": (-3, -5, -6)}
    runs = [
        PretendedRun(model, rows=[at_end("critic", value * size)], hyperparameters={"rate": number})
        for model, those in values.items()
        for number, value in enumerate(those)
    ]
    _, _, main = compared(write_runs(tmp_path / "size", runs))
    found = analyses(main)
    assert found["improvement"].value.tolist() == pytest.approx([8 / 9, 1 / 9])
    best = found["best_of_k"].query("model == 'dcgan'").value / size
    assert best.tolist() == pytest.approx([-7 / 3, -4 / 3, -1])


def test_no_two_runs_need_the_same_hyperparameters(tmp_path):
    """Lists, None, truth values and words; names that only some runs know."""
    cells = [
        {"layers": [1, 2]},
        {"layers": None, "late": True},
        {"layers": [1, 2], "late": False, "note": "$x"},
        {"layers": "deep"},
    ]
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -number)], hyperparameters=cell) for number, cell in enumerate(cells)]
    runs.append(PretendedRun("dcgan", "failed", hyperparameters={"layers": {"a": [1]}}))
    _, _, main = compared(write_runs(tmp_path / "cells", runs))
    found = analyses(main)["hyperparameters"].set_index("hyperparameter")
    assert found.levels.to_dict() == {"layers": 4, "late": 3, "note": 2}
