"""Every statistic by hand on a few numbers, and against scipy, brute force or a formula on many.

Tolerances of 1e-12 are for sums in another order: some thousands of roundings of 1e-16 each.
"""

from fractions import Fraction
from itertools import combinations, product
from math import comb, inf, isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from benchmark.report.numbers import statistics
from benchmark.report.numbers.statistics import (
    Disagreement,
    Interval,
    Sweep,
    at_equal_budget,
    best_of_k,
    best_of_k_intervals,
    difference,
    disagreement,
    holm,
    probability_of_improvement,
    quantiles,
    quartile_intervals,
    rank_correlation,
    rank_correlation_interval,
    seed_noise,
    variance_explained,
)


def source(seed=0):
    return np.random.default_rng(seed)


def single(costs):
    """A sweep with one seed a configuration."""
    return Sweep(np.array(costs, dtype=float), np.arange(len(costs)))


def undefined(interval):
    return isnan(interval.low) and isnan(interval.high)


def all_resamples(configuration):
    """The runs of every possible resample of the configurations; all are equally likely, so that no Monte Carlo is in this."""
    clusters = [np.flatnonzero(configuration == one) for one in np.unique(configuration)]
    return [np.concatenate(drawn) for drawn in product(clusters, repeat=len(clusters))]


def assert_is_interval_of(interval, values, resamples):
    """The ends lie where a share of 0.025 and 0.975 of all resamples does, up to the Monte-Carlo error of that share.

    Values are those of all possible resamples. Of r random ones a share p has the standard error √(p (1 - p) / r); beyond 4.5 of
    them are one in 150,000 seeds, and the seed is fixed. Interpolation between two resamples adds one rank.
    """
    error = 4.5 * sqrt(0.025 * 0.975 / resamples) + 1 / resamples
    for end, share in ((interval.low, 0.025), (interval.high, 0.975)):
        assert np.mean(values < end - 1e-12) <= share + error
        assert np.mean(values <= end + 1e-12) >= share - error


# The sweep


@pytest.mark.parametrize("costs", [[1.0, nan], [-inf, 1.0], [], [[1.0], [2.0]]])
def test_costs_that_are_none_are_refused(costs):
    n = len(costs)
    with pytest.raises(ValueError, match="cost"):
        Sweep(np.array(costs), np.arange(n))
    with pytest.raises(ValueError, match="cost"):
        quantiles(costs, [0.5])
    with pytest.raises(ValueError, match="cost"):
        best_of_k(costs, [1])
    for first, second in ((costs, np.ones(n)), (np.ones(n), costs)):
        for function in (rank_correlation, disagreement, lambda a, b: rank_correlation_interval(a, b, np.arange(n), source())):
            with pytest.raises(ValueError, match="cost"):
                function(first, second)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="configuration names one thing a run, 3 in all"):
        Sweep(np.ones(3), np.arange(2))
    with pytest.raises(ValueError, match="levels names"):
        variance_explained(single([1, 2, 3]), np.array(["a", "b"]))
    with pytest.raises(ValueError, match="3 and 2 are different"):
        rank_correlation([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="configuration names"):
        rank_correlation_interval([1, 2, 3], [1, 2, 4], [0, 1], source())


def test_intervals_are_those_of_the_source_and_blocks_hold_all_resamples(monkeypatch):
    sweep = Sweep(source(1).random(60), np.repeat(np.arange(20), 3))
    other = Sweep(source(2).random(40), np.repeat(np.arange(20), 2))

    def everything(seed):
        return (
            quartile_intervals(sweep, source(seed)),
            best_of_k_intervals(sweep, [1, 3], source(seed)),
            rank_correlation_interval(sweep.costs, sweep.costs**2 + source(3).random(60), sweep.configuration, source(seed)),
            probability_of_improvement(sweep, other, source(seed)),
            at_equal_budget(sweep, 5, source(seed)),
        )

    whole = everything(7)
    assert everything(7) == whole
    assert all(one != other for one, other in zip(everything(8), whole, strict=True))
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - that it stays untouched is the point
    monkeypatch.setattr(statistics, "_CELLS", 60 * 128)  # blocks of 128 with a rest: the same draws in the same order
    blocks = everything(7)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert blocks[0] == whole[0]
    assert blocks[2] == whole[2]
    for block, one in zip(blocks[1], whole[1], strict=True):  # a matrix product may round otherwise for another shape
        assert (block.low, block.high) == pytest.approx((one.low, one.high), rel=1e-12)


def test_blocks_are_as_many_resamples_as_asked(monkeypatch):
    monkeypatch.setattr(statistics, "_CELLS", 3000)
    assert list(statistics._blocks(1000, 10)) == [300, 300, 300, 100]
    assert list(statistics._blocks(2, 4000)) == [1, 1]  # more runs than cells: still one at a time


# Quartiles


def test_quantiles_by_hand():
    assert quantiles([4, 1, 3, 2], [0, 0.25, 0.5, 0.75, 1]).tolist() == [1, 1.75, 2.5, 3.25, 4]
    assert quantiles([3], [0, 0.3, 1]).tolist() == [3, 3, 3]


def test_quantiles_agree_with_numpy():
    costs, shares = source().normal(size=101), np.linspace(0, 1, 38)
    np.testing.assert_allclose(quantiles(costs, shares), np.quantile(costs, shares), rtol=1e-12, atol=1e-15)


def test_a_quantile_is_inf_as_soon_as_it_touches_a_run_without_value(recwarn):
    costs = [inf, 1, 2, 3, inf]  # ranks 0 … 4: quartiles at ranks 1, 2, 3
    assert quantiles(costs, [0.25, 0.5, 0.75, 1]).tolist() == [2, 3, inf, inf]  # the median touches inf with weight 0
    assert quantiles(costs, [0.51]).tolist() == [inf]
    assert quantiles([inf, inf], [0, 0.4, 1]).tolist() == [inf] * 3
    assert not recwarn


@pytest.mark.parametrize("share", [-0.1, 1.1, nan])
def test_shares_outside_0_to_1_are_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantiles([1, 2], [share])


def test_quartile_intervals_agree_with_all_possible_resamples_of_unequal_clusters():
    configuration = np.array(["a", "b", "b", "c", "d", "d", "d", "e"])
    costs = np.array([0.3, 1.2, 2.9, 0.1, 1.7, 4.4, 0.9, inf])
    order = source().permutation(8)  # nothing may depend on runs of a configuration standing together
    intervals = quartile_intervals(Sweep(costs[order], configuration[order]), source(), resamples=20_000)
    for share, interval in zip((0.25, 0.5, 0.75), intervals, strict=True):
        values = np.array([quantiles(costs[runs], [share])[0] for runs in all_resamples(configuration)])
        assert_is_interval_of(interval, values, 20_000)
    assert intervals[2].high == inf > intervals[2].low


def test_quartile_intervals_agree_with_scipys_bootstrap():
    """With one seed a configuration it is the usual bootstrap.

    Both are random: an end at the share p of our resamples is at p ± √2 · √(p (1 - p) / r) of scipy's. 4.5 of these are allowed.
    """
    costs, r = source(4).gamma(2.0, size=80), 4000
    error = 4.5 * sqrt(2) * sqrt(0.025 * 0.975 / r)
    for share, interval in zip((0.25, 0.5, 0.75), quartile_intervals(single(costs), source(), resamples=r), strict=True):
        theirs = stats.bootstrap(
            (costs,),
            lambda x, axis, share=share: np.quantile(x, share, axis=axis),
            n_resamples=r,
            method="percentile",
            rng=source(1),
        ).bootstrap_distribution
        for end, middle in ((interval.low, 0.025), (interval.high, 0.975)):
            assert np.quantile(theirs, middle - error) <= end <= np.quantile(theirs, middle + error)


def test_quartile_intervals_cover_the_median_of_many_sweeps():
    """Of 300 sweeps of 40 exponential costs 95 % are to cover log 2; the standard error of that share is 1.3 %."""
    draw, covered = source(5), 0
    for _ in range(300):
        _, median, _ = quartile_intervals(single(draw.exponential(size=40)), draw, resamples=300)
        covered += median.low <= np.log(2) <= median.high
    assert 0.91 <= covered / 300 <= 0.99  # ± 3 standard errors


def test_intervals_over_configurations_are_wider_than_over_runs_when_seeds_agree():
    """The known mistake: 4 configurations × 25 seeds that nearly agree are four things that are known, not a hundred."""
    configuration = np.repeat(np.arange(4), 25)
    costs = configuration + 0.01 * source().random(100)
    right = quartile_intervals(Sweep(costs, configuration), source())[1]
    wrong = quartile_intervals(single(costs), source())[1]
    assert right.high - right.low > 1.9  # up to all four being drawn from the lower or the upper ends
    assert wrong.high - wrong.low < 1.1
    a, b = costs, np.array([0, 2, 1, 3])[configuration] + 0.01 * source(1).random(100)
    right = rank_correlation_interval(a, b, configuration, source())
    wrong = rank_correlation_interval(a, b, np.arange(100), source())
    assert right.high - right.low > 3 * (wrong.high - wrong.low)
    right = best_of_k_intervals(Sweep(costs, configuration), [1], source())[0]
    assert right.high - right.low > 1.5  # of the mean: ± 2 · √(1.25 / 4)
    right = probability_of_improvement(Sweep(costs, configuration), Sweep(costs, configuration), source()).interval
    wrong = probability_of_improvement(single(costs), single(costs), source()).interval
    assert right.high - right.low > 3 * (wrong.high - wrong.low)


def test_a_single_configuration_has_no_interval():
    sweep, other = Sweep(np.array([1.0, 2, 3]), np.array(["a"] * 3)), single([1, 2, 3])
    assert all(map(undefined, quartile_intervals(sweep, source())))
    assert list(map(undefined, best_of_k_intervals(sweep, [1, 2], source()))) == [True, True]
    assert undefined(rank_correlation_interval(sweep.costs, [1, 3, 2], sweep.configuration, source()))
    assert undefined(probability_of_improvement(sweep, other, source()).interval)
    assert undefined(probability_of_improvement(other, sweep, source()).interval)
    assert not undefined(probability_of_improvement(other, other, source()).interval)


# The best of k


@pytest.mark.parametrize("costs", [[5, 1, 4, 2, 2, 9], [5, 1, inf, 2, inf, 9, 0], [inf, inf], [3]])
def test_best_of_k_is_the_mean_over_all_subsets(costs):
    ks = list(range(1, len(costs) + 1))
    expected = [np.mean([min(subset) for subset in combinations(costs, k)]) for k in ks]
    np.testing.assert_allclose(best_of_k(costs, ks), expected, rtol=1e-12)


def test_best_of_k_by_hand():
    # of three: the mean 7/3; pairs (1, 2), (1, 4), (2, 4) have the best 1, 1, 2; all three 1. The order of ks is kept.
    np.testing.assert_allclose(best_of_k([4, 1, 2], [3, 1, 2]), [1, 7 / 3, 4 / 3], rtol=1e-15)
    assert best_of_k([1, inf, 0, inf], [1, 2, 3, 4]).tolist() == [inf, inf, 0.25, 0]  # two may be without a value, three not


def test_best_of_k_is_exact_for_many_runs():
    n, ks = 2500, [1, 2, 50, 1250, 2499, 2500]
    costs = source().permutation(n) + 1.0
    # the smallest of k of the numbers 1 … n is (n + 1) / (k + 1) on average
    np.testing.assert_allclose(best_of_k(costs, ks), [(n + 1) / (k + 1) for k in ks], rtol=1e-12)
    weights = statistics._weights_of_smallest(n, np.array([50]))[:, 0]
    exact = [float(Fraction(comb(n - 1 - j, 49), comb(n, 50))) for j in (0, 10, 300)]
    np.testing.assert_allclose(weights[[0, 10, 300]], exact, rtol=1e-12)
    assert not weights[n - 49 :].any()


@pytest.mark.parametrize("k", [0, 4, -1])
def test_more_or_fewer_runs_than_there_are_are_refused(k):
    with pytest.raises(ValueError, match="from 1 to the number of runs, 3"):
        best_of_k([1, 2, 3], [1, k])
    with pytest.raises(ValueError, match="from 1 to the number of runs, 3"):
        best_of_k_intervals(single([1, 2, 3]), [k], source())


def test_best_of_k_intervals_agree_with_all_possible_resamples_of_unequal_clusters():
    configuration = np.array([0, 1, 1, 2, 3, 3, 3, 4])  # resamples have 5 to 15 runs
    costs = np.array([0.3, 1.2, 2.9, 0.1, 1.7, 4.4, 0.9, inf])
    for k, interval in zip((2, 4, 7), best_of_k_intervals(Sweep(costs, configuration), [2, 4, 7], source(), 20_000), strict=True):
        values = np.array([best_of_k(costs[runs], [min(k, len(runs))])[0] for runs in all_resamples(configuration)])
        assert_is_interval_of(interval, values, 20_000)


def test_the_interval_of_the_best_of_one_is_that_of_the_mean():
    """The mean of 400 is normal, up to a skewness of 2 / √400: its interval is ± 1.96 standard errors.

    The ends, at the 2.5 % of r = 4000 resamples, have a Monte-Carlo error of √(0.025 · 0.975 / r) / φ(1.96) = 0.042 standard
    errors; the skewness moves them by 0.1 · (1.96² - 1) / 6 = 0.05. Hence 4.5 · 0.042 + 0.05 = 0.24.
    """
    costs = source(6).exponential(size=400)
    (interval,) = best_of_k_intervals(single(costs), [1], source(), resamples=4000)
    ends = (np.array([interval.low, interval.high]) - costs.mean()) / (costs.std() / 20)
    np.testing.assert_allclose(ends, [NormalDist().inv_cdf(0.025), NormalDist().inv_cdf(0.975)], atol=0.24)


# Correlation of metrics


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3, 4], [1, 10, 100, 1000]) == 1
    assert rank_correlation([1, 2, 3, inf], [3, 2, 1, 0]) == -1
    assert rank_correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6, rel=1e-12)  # 1 - 6 · 4 / (4 · 15)


def test_rank_correlation_agrees_with_scipy_with_ties_and_runs_without_value():
    a, b = source(1).integers(6, size=50).astype(float), source(2).integers(9, size=50) + source(1).integers(6, size=50) * 1.0
    a[:5], b[3:9] = inf, inf
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [inf, inf, inf])])
def test_a_correlation_that_is_undefined_is_nan(recwarn, a, b):
    assert isnan(rank_correlation(a, b))
    assert undefined(rank_correlation_interval(a, b, np.arange(len(a)), source()))
    assert not recwarn


def test_the_interval_of_a_correlation_agrees_with_all_possible_resamples():
    configuration = np.array(["c", "b", "b", "a", "d", "a", "d", "d", "e"])
    a = np.array([3.0, 1, 2, 7, 2, 9, inf, 4, inf])
    b = np.array([2.0, 3, 1, 9, 5, 2, inf, inf, 8])
    values = np.array([rank_correlation(a[runs], b[runs]) for runs in all_resamples(configuration)])
    assert 0 < np.isnan(values).mean() < 0.01  # five times "e" and the like, which are left out
    interval = rank_correlation_interval(a, b, configuration, source(), resamples=20_000)
    assert_is_interval_of(interval, values[~np.isnan(values)], 20_000)


def test_correlations_in_resamples_are_scipys_of_the_repeated_runs():
    a, b = source(1).integers(5, size=12) * 1.0, source(2).random(12)
    times = source(3).integers(4, size=(20, 12))
    expected = [stats.spearmanr(np.repeat(a, row), np.repeat(b, row)).statistic for row in times]
    np.testing.assert_allclose(statistics._correlations(times.astype(float), a, b), expected, rtol=1e-12, atol=1e-15)


# Disagreement


def test_disagreement_by_hand():
    assert disagreement([1, 2, 3, 4], [1, 2, 3, 4]) == Disagreement(0, 0.25, 4)
    assert disagreement([1, 2, 3, 4], [4, 3, 2, 1]) == Disagreement(0.5, 0.25, 4)
    assert disagreement([1, 2, 3, 4], [1, 3, 2, 4]) == Disagreement(0.25, 0.25, 4)
    # five runs: the third is the median of a, the second that of b; the first is better by a and worse by b
    assert disagreement([1, 2, 3, 4, 5], [8, 5, 9, 1, 2]) == Disagreement(1 / 5, 4 / 25, 5)
    assert disagreement([8, 5, 9, 1, 2], [1, 2, 3, 4, 5]) == Disagreement(2 / 5, 4 / 25, 5)
    # ties at the median 1 of b: only the last run is strictly worse, and none strictly better
    assert disagreement([4, 3, 2, 1], [1, 1, 1, 2]) == Disagreement(0.25, 0.5 * 0.25, 4)
    assert disagreement([1, 1, 1, 2], [4, 3, 2, 1]) == Disagreement(0, 0, 4)


def test_disagreement_of_an_even_number_without_ties_is_the_same_both_ways_and_as_expected_by_chance():
    shares = []
    for seed in range(200):
        a, b = source(seed).random((2, 40))
        assert disagreement(a, b) == disagreement(b, a)
        assert disagreement(a, b).expected == 0.25
        shares.append(disagreement(a, b).share)
    # hypergeometric: of 20 better by a, those worse by b have the variance 20 · ½ · ½ · 20 / 39
    assert np.mean(shares) == pytest.approx(0.25, abs=4 * sqrt(20 / 4 * 20 / 39) / 40 / sqrt(200))


def test_disagreement_wants_values():
    for a, b in (([1, inf], [1, 2]), ([1, 2], [inf, 2])):
        with pytest.raises(ValueError, match="is inf"):
            disagreement(a, b)


# Variance explained


def test_variance_explained_by_hand():
    # ranks 1 2 | 3 4 about 2.5: total 2.25 + .25 + .25 + 2.25 = 5, between 2 · (1 + 1) = 4; H = 3 · 0.8 = 2.4
    explained = variance_explained(single([0.1, 0.2, 0.3, inf]), np.array(["x", "x", "y", "y"]))
    assert (explained.share, explained.chance, explained.n, explained.levels) == (pytest.approx(0.8, rel=1e-12), 1 / 3, 4, 2)
    assert explained.p_value == pytest.approx(stats.chi2.sf(2.4, 1), rel=1e-12)


def test_variance_explained_agrees_with_kruskal_with_ties_and_runs_without_value():
    costs, levels = source(1).integers(12, size=60) * 1.0, source(2).choice(["1e-4", "2e-4", "5e-4", "1e-3"], size=60)
    costs[levels == "1e-3"] += 4
    costs[::9] = inf
    explained = variance_explained(single(costs), levels)
    ranked = stats.rankdata(costs)
    theirs = stats.kruskal(*(ranked[levels == level] for level in np.unique(levels)))
    assert explained.share == pytest.approx(theirs.statistic / 59, rel=1e-12)
    assert explained.p_value == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (explained.chance, explained.n, explained.levels) == (3 / 59, 60, 4)


def test_the_unit_of_variance_explained_is_the_configuration():
    configuration = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    costs = np.array([1, 9, 2, 3, 10, inf, 5, 6, 7, 8.0])
    # ranks of runs 1 8 | 2 3 | 9 10 | 4 5 6 7, mean ranks 4.5, 2.5, 9.5, 5.5 (sums 9, 5, 19, 22); ranks of configurations 2 1 4 3
    levels = np.array(["x", "x", "x", "y"])
    explained = variance_explained(Sweep(costs, configuration), levels[configuration])
    expected = stats.kruskal([2, 1, 4], [3])
    assert explained.share == pytest.approx(expected.statistic / 3, rel=1e-12)
    assert explained.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert explained.n == 4
    order = source().permutation(10)
    assert variance_explained(Sweep(costs[order], configuration[order]), levels[configuration][order]) == explained
    # seeds are no evidence: every run five times over changes nothing
    repeated = Sweep(np.tile(costs, 5), np.tile(configuration, 5))
    assert variance_explained(repeated, np.tile(levels[configuration], 5)) == explained


def test_variance_explained_without_effect_is_what_chance_gives():
    """Over all 20 ways to give two levels to 6 configurations, three each, the mean is exactly the expectation."""
    shares = []
    for better in combinations(range(6), 3):
        explained = variance_explained(single(range(6)), np.isin(np.arange(6), better))
        shares.append(explained.share)
    assert np.mean(shares) == pytest.approx(1 / 5, rel=1e-12)
    assert explained.chance == 1 / 5


@pytest.mark.parametrize(
    ("costs", "levels", "chance"),
    [([1, 2, 3], "aaa", 0), ([1, 2, 3], "abc", 1), ([2, 2, 2], "aab", 0.5), ([inf, inf, inf], "aab", 0.5)],
)
def test_variance_explained_is_nan_where_it_is_undefined(recwarn, costs, levels, chance):
    explained = variance_explained(single(costs), np.array(list(levels)))
    assert isnan(explained.share)
    assert isnan(explained.p_value)
    assert (explained.chance, explained.n, explained.levels) == (chance, 3, len(set(levels)))
    assert not recwarn


def test_variance_explained_of_one_configuration_is_nan():
    explained = variance_explained(single([1]), np.array(["a"]))
    assert isnan(explained.share)
    assert isnan(explained.chance)


def test_a_configuration_with_two_levels_is_refused():
    with pytest.raises(ValueError, match="one level"):
        variance_explained(Sweep(np.array([1.0, 2, 3]), np.array([0, 0, 1])), np.array(["a", "b", "b"]))


# Noise of seeds


def test_seed_noise_by_hand():
    # means 2 and 8; within: 2 · 1 + 2 · 1 over 2 degrees of freedom = 2; between: 2 · (9 + 9) / 1 = 36; (36 - 2) / 2 = 17
    noise = seed_noise(Sweep(np.array([1.0, 7, 3, 9]), np.array(["a", "b", "a", "b"])))
    assert (noise.seed_sd, noise.sweep_sd) == (pytest.approx(sqrt(2), rel=1e-12), pytest.approx(sqrt(17), rel=1e-12))
    assert noise.share_of_seeds == pytest.approx(2 / 19, rel=1e-12)
    assert (noise.configurations, noise.runs) == (2, 4)


def test_seed_noise_with_unequal_seeds_agrees_with_scipys_mean_squares():
    sizes = np.array([2, 3, 5, 2, 4])
    configuration = np.repeat(np.arange(5), sizes)
    groups = [source(one).normal(2 * one, 0.7, size=size) for one, size in enumerate(sizes)]
    noise = seed_noise(Sweep(np.concatenate(groups), configuration))
    within = sum(np.var(group, ddof=1) * (len(group) - 1) for group in groups) / (16 - 5)
    between = stats.f_oneway(*groups).statistic * within  # F = MS between / MS within
    runs_each = (16 - (4 + 9 + 25 + 4 + 16) / 16) / 4
    assert noise.seed_sd == pytest.approx(sqrt(within), rel=1e-12)
    assert noise.sweep_sd == pytest.approx(sqrt((between - within) / runs_each), rel=1e-12)
    assert (noise.configurations, noise.runs) == (5, 16)


def test_seed_noise_leaves_out_runs_without_value_and_configurations_with_one_seed():
    noise = seed_noise(Sweep(np.array([1.0, 3, 7, 9, inf, 5, inf, 100]), np.array([4, 4, 2, 2, 2, 3, 3, 7])))
    assert noise == seed_noise(Sweep(np.array([1.0, 3, 7, 9]), np.array([0, 0, 1, 1])))
    assert seed_noise(Sweep(np.array([1.0, 3, 7, inf]), np.array([0, 0, 1, 1]))) is None
    assert seed_noise(single([1, 2, 3])) is None
    assert seed_noise(single([inf, inf])) is None


def test_seed_noise_between_configurations_is_never_negative():
    noise = seed_noise(Sweep(np.array([1.0, 3, 1, 3]), np.array([0, 0, 1, 1])))  # equal means: less than seeds alone make
    assert (noise.seed_sd, noise.sweep_sd, noise.share_of_seeds) == (pytest.approx(sqrt(2), rel=1e-12), 0, 1)
    assert isnan(seed_noise(Sweep(np.full(4, 2.0), np.array([0, 0, 1, 1]))).share_of_seeds)


def test_seed_noise_finds_the_standard_deviations_of_a_simulation():
    """400 configurations × 5 seeds: relative standard errors of 1.8 % and, from √(2 / 399) / 2 · (9 + 0.8) / 9, 3.9 %."""
    costs = 3 * np.repeat(source(1).normal(size=400), 5) + 2 * source(2).normal(size=2000)
    noise = seed_noise(Sweep(costs, np.repeat(np.arange(400), 5)))
    assert noise.seed_sd == pytest.approx(2, rel=4 * 0.018)
    assert noise.sweep_sd == pytest.approx(3, rel=4 * 0.039)


# One model against another


def test_probability_of_improvement_by_hand():
    def probability(a, b):
        return probability_of_improvement(single(a), single(b), source(), resamples=10).probability

    assert probability([1, 2], [3, 4, 5]) == 1
    assert probability([3, 4, 5], [1, 2]) == 0
    assert probability([1, 4], [2, 3]) == 0.5
    assert probability([1, 2, inf], [2, inf]) == (2 + 1.5 + 0.5) / 6  # of pairs: 1 beats both, 2 ties and beats, inf ties once


def test_probability_of_improvement_agrees_with_mann_whitney():
    a, b = source(1).integers(20, size=70) * 1.0, source(2).integers(25, size=40) * 1.0
    a[:6], b[:5] = inf, inf
    u = stats.mannwhitneyu(b, a).statistic  # scipy counts the pairs in which the first is larger
    improvement = probability_of_improvement(single(a), single(b), source()).probability
    assert improvement == pytest.approx(u / (70 * 40), rel=1e-12)


def test_the_interval_of_an_improvement_agrees_with_all_possible_resamples_of_both():
    a, of_a = np.array([1.0, 2, 5, 3, inf, 4]), np.array([0, 0, 1, 2, 2, 3])
    b, of_b = np.array([2.0, 6, 3, 7, 1]), np.array(["x", "x", "y", "z", "x"])
    beats = (a[:, None] < b) + 0.5 * (a[:, None] == b)
    values = np.array([beats[np.ix_(one, two)].mean() for one in all_resamples(of_a) for two in all_resamples(of_b)])
    improvement = probability_of_improvement(Sweep(a, of_a), Sweep(b, of_b), source(), resamples=20_000)
    assert_is_interval_of(improvement.interval, values, 20_000)
    assert improvement.probability == pytest.approx(beats.mean(), rel=1e-12)


# An equal budget


def test_an_equal_budget_agrees_with_all_subsets():
    """Medians of 20,000 draws: the share of subsets below one is a half, up to 4.5 standard errors of a share of draws."""
    configuration = np.array(["a", "b", "b", "c", "d", "d", "e", "a"])
    costs = np.array([0.3, 1.2, 2.9, 0.1, 1.7, 4.4, 0.9, 2.2])
    subsets = [costs[np.isin(configuration, chosen)] for chosen in combinations("abcde", 2)]
    budget = at_equal_budget(Sweep(costs, configuration), 2, source(), draws=20_000)
    error = 4.5 * 0.5 / sqrt(20_000)
    for middle, statistic in (
        (budget.quartile_1, lambda sample: np.quantile(sample, 0.25)),
        (budget.median, np.median),
        (budget.quartile_3, lambda sample: np.quantile(sample, 0.75)),
        (budget.best, np.min),
    ):
        values = np.array([statistic(subset) for subset in subsets])
        assert np.mean(values < middle - 1e-12) <= 0.5 + error
        assert np.mean(values <= middle + 1e-12) >= 0.5 - error
    assert budget.best_interval == Interval(0.1, 1.2)  # the best of a pair: 0.1 in 4 of 10, 1.2 of "b" and "d" in one


def test_the_whole_budget_is_the_whole_sweep():
    sweep = Sweep(source(1).random(30), np.repeat(np.arange(10), 3))
    budget = at_equal_budget(sweep, 10, source(), draws=7)
    expected = np.quantile(sweep.costs, [0.25, 0.5, 0.75])
    np.testing.assert_allclose([budget.quartile_1, budget.median, budget.quartile_3], expected, rtol=1e-12)
    assert budget.best == pytest.approx(sweep.costs.min(), rel=1e-12)
    assert budget.best_interval == Interval(sweep.costs.min(), sweep.costs.min())


def test_a_median_over_searches_is_inf_where_half_of_them_are():
    budget = at_equal_budget(single([1, 2, inf, 3]), 3, source(), draws=200)
    # Subsets 1 2 3 | 1 2 inf | 1 3 inf | 2 3 inf: three in four have an upper quartile between a number and inf.
    assert budget.quartile_3 == inf
    assert 2 <= budget.median <= 3  # of 2, 2, 3, 3
    assert budget.best == 1  # of 1, 1, 1, 2
    budget = at_equal_budget(single([inf, 2, 3]), 1, source(), draws=200)
    assert budget.best == 3  # of 2, 3 and inf: a mean would be inf
    assert budget.best_interval == Interval(2, inf)
    assert at_equal_budget(single([inf, inf, 2]), 1, source(), draws=200).best == inf  # two in three


@pytest.mark.parametrize("configurations", [0, 3])
def test_a_budget_beyond_the_sweep_is_refused(configurations):
    with pytest.raises(ValueError, match="1 to 2 configurations"):
        at_equal_budget(Sweep(np.ones(4), np.array([0, 0, 1, 1])), configurations, source())


def test_a_large_sweep_is_handled_in_blocks():
    """Some blocks: the last must not be lost, nor any be drawn alike."""
    costs = source(1).random(2500)
    _, median, _ = quartile_intervals(single(costs), source(), resamples=1000)
    # the order statistics at n / 2 ± 1.96 √n / 2, within 4.5 Monte-Carlo errors of 0.042 standard errors each
    ends = np.searchsorted(np.sort(costs), [median.low, median.high])
    np.testing.assert_allclose((ends - 1250) / 25, [-1.96, 1.96], atol=4.5 * 0.085 + 1 / 25)


# Tests


def test_a_difference_is_mann_whitneys_with_one_seed_a_configuration():
    draw = source(1)
    for a, b in (
        (draw.normal(size=7), draw.normal(0.8, size=8)),  # exact
        (draw.normal(size=30), draw.normal(0.8, size=25)),
        (np.array([1, 2, 2, inf, inf]), np.array([2, 3, inf, 5.0])),  # ties, lost runs among them
    ):
        ranks = stats.rankdata(np.concatenate([a, b]))
        expected = stats.mannwhitneyu(ranks[: len(a)], ranks[len(a) :]).pvalue
        assert difference(single(a), single(b)) == difference(single(b), single(a)) == pytest.approx(expected, rel=1e-12)


def test_a_difference_by_hand():
    # Of the C(4, 2) = 6 orders of two and two one is the most extreme at either end; of three and three 2 of 20.
    assert difference(single([1, 2]), single([3, 4])) == pytest.approx(2 / 6)
    assert difference(single([1, 2, 3]), single([4, 5, inf])) == pytest.approx(2 / 20)
    assert difference(single([1, 4]), single([2, 3])) == 1
    assert difference(single([inf, inf]), single([inf, inf])) == 1


def test_the_unit_of_a_difference_is_the_configuration():
    # Ranks 1 6 | 2 3 and 4 5 | 7 8, so mean ranks 3.5 and 2.5, below 4.5 and 7.5; mean costs would be 5 and 2.5, 4.5 and inf.
    a = Sweep(np.array([1.0, 2, 9, 3]), np.array(["x", "y", "x", "y"]))
    b = Sweep(np.array([4, 5, 10, inf]), np.array([0, 0, 1, 1]))
    assert difference(a, b) == pytest.approx(2 / 6)
    for number in (5, 50):  # more seeds of the same are no evidence
        more = Sweep(np.tile(a.costs, number), np.tile(a.configuration, number))
        assert difference(more, b) == pytest.approx(2 / 6)
    alone = Sweep(np.array([1.0, 2, 3]), np.zeros(3))
    assert isnan(difference(alone, b))
    assert isnan(difference(b, alone))


def test_holms_correction_by_hand():
    # 0.01 · 3, 0.03 · 2, and 0.04 · 1, which is no less than the one before; the test that was not made does not count
    assert holm([0.01, 0.04, nan, 0.03]) == pytest.approx([0.03, 0.06, nan, 0.06], nan_ok=True)
    assert holm([0.02, 0.02]).tolist() == [0.04, 0.04]
    assert holm([0.5, 0.9, 0.4]).tolist() == [1, 1, 1]
    assert holm([0.3]).tolist() == [0.3]
    assert np.isnan(holm([nan])).all()
    assert not len(holm([]))


def test_the_interval_of_the_seeds_share_by_hand():
    # Mean squares 36 and 2 with 1 and 2 degrees of freedom and two seeds each: F = 18, and the share is 2 / (F / F_p + 1).
    spread = seed_noise(Sweep(np.array([1.0, 7, 3, 9]), np.array(["a", "b", "a", "b"]))).interval
    ends = [2 / (18 / stats.f.ppf(share, 1, 2) + 1) for share in (0.025, 0.975)]
    assert ends[1] > 1  # a share is at most 1
    assert (spread.low, spread.high) == (pytest.approx(ends[0], rel=1e-9), 1)
    # 20 configurations of three: both ends within
    costs = 2 * np.repeat(source(1).normal(size=20), 3) + source(2).normal(size=60)
    noise = seed_noise(Sweep(costs, np.repeat(np.arange(20), 3)))
    f = stats.f_oneway(*costs.reshape(20, 3)).statistic
    ends = [3 / (f / stats.f.ppf(share, 19, 40) + 2) for share in (0.025, 0.975)]
    assert (noise.interval.low, noise.interval.high) == pytest.approx(ends, rel=1e-9)
    assert noise.interval.low < noise.share_of_seeds < noise.interval.high < 1


@pytest.mark.parametrize("sweep_sd", [0.5, 2.0])
def test_the_interval_of_the_seeds_share_covers_it(sweep_sd):
    """It is exact for normal costs: of 1,000 each end misses 2.5 %, with a standard error of 0.5 %."""
    draw, share = source(3), 1 / (1 + sweep_sd**2)
    configuration, above, below = np.repeat(np.arange(6), 3), 0, 0
    for _ in range(1000):
        costs = np.repeat(sweep_sd * draw.normal(size=6), 3) + draw.normal(size=18)
        interval = seed_noise(Sweep(costs, configuration)).interval
        above, below = above + (interval.low > share), below + (interval.high < share)
    assert 0.01 <= above / 1000 <= 0.04
    assert 0.01 <= below / 1000 <= 0.04


def test_without_any_noise_the_seeds_have_no_share_and_of_equal_costs_nothing_is_said():
    assert seed_noise(Sweep(np.array([1.0, 1, 2, 2]), np.array([0, 0, 1, 1]))).interval == Interval(0, 0)
    assert undefined(seed_noise(Sweep(np.full(4, 2.0), np.array([0, 0, 1, 1]))).interval)
    equal_means = seed_noise(Sweep(np.array([1.0, 3, 1, 3]), np.array([0, 0, 1, 1])))
    assert equal_means.interval.high == 1
