"""Compute the statistics of a sweep: quartiles, best of k, agreement of metrics, noise of seeds, beside what chance alone gives.

A *run* is one training of one *configuration* with one seed. Its *cost* is a metric turned so that smaller is better, in the
metric's unit; inf for a run that diverged or failed, which so ranks worst, tied with the others without a value.

The seeds of a configuration are no independent draws from the space that is searched: runs of one configuration resemble each
other. All intervals therefore resample configurations, each with all its seeds, and never single runs, which would count a
configuration once per seed and give intervals that are too narrow (Davison & Hinkley, Bootstrap Methods and their Application,
1997, section 3.8; Field & Welsh, Bootstrapping clustered data, JRSS B 2007). They are percentile intervals (Efron &
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), whose coverage falls short of 95 % for few configurations.

Functions that draw take a `numpy.random.Generator` named `source`; the same source gives the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, fdtri
from scipy.stats import mannwhitneyu

QUARTILES = (0.25, 0.5, 0.75)
ENDS = (0.025, 0.975)
"""The shares of resamples below the ends of a 95 % interval."""

_CELLS = 2**19
"""Resamples × runs that are held at once: 4 MB an array, about ten arrays."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The runs of one model by one metric.

    Raises:
        ValueError: no run, arrays that are not of one length, or a cost that is NaN or -inf.
    """

    costs: np.ndarray
    """(n,) float64, smaller is better; inf where a run has no value."""
    configuration: np.ndarray
    """(n,) integers or strings: the configuration that each run is of."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "costs", _costs(self.costs))
        object.__setattr__(self, "configuration", _labels(self.configuration, len(self.costs), "configuration"))


@dataclass(frozen=True)
class Interval:
    """A 95 % interval in the unit of its estimate.

    An end is inf where it lies among runs without a value; both are NaN where there is no interval.
    """

    low: float
    high: float


def quantiles(costs: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """Compute the costs below which the given shares of the runs lie, linear between neighbours in rank.

    Definition 7 of Hyndman & Fan (1996), numpy's default; but where numpy says NaN between a number and inf, this says inf.

    Args:
        costs: (n,) costs, inf allowed.
        shares: (m,) in [0, 1].

    Returns:
        (m,) costs. A position between two ranks is inf as soon as the upper of them is.

    Raises:
        ValueError: no cost, one that is NaN or -inf, or a share outside [0, 1].
    """
    wanted = np.asarray(shares, dtype=np.float64)
    if not np.all((wanted >= 0) & (wanted <= 1)):  # so written, NaN is refused too
        raise ValueError(f"shares are between 0 and 1, not {shares!r}")
    return _one_sample(costs).quantiles(wanted)[0]


def quartile_intervals(sweep: Sweep, source: np.random.Generator, resamples: int = 1000) -> tuple[Interval, Interval, Interval]:
    """Compute 95 % intervals of the three quartiles of the costs, by the percentile bootstrap over configurations.

    Returns:
        Those of the lower quartile, the median and the upper quartile; NaN with a single configuration, for there is
        nothing to resample.
    """
    codes, clusters = _codes(sweep.configuration)
    blocks = _bootstrap(clusters, source, resamples, len(codes))
    draws = np.concatenate([_resampled(sweep.costs, codes, counts).quantiles(np.array(QUARTILES)) for counts in blocks])
    lower, median, upper = _intervals(draws, clusters)
    return lower, median, upper


def best_of_k(costs: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """Compute the expected smallest cost among k runs drawn at random, without replacement, of those that were made.

    E = Σ_j C(n - j, k - 1) / C(n, k) · (j-th smallest cost), the mean over all subsets of k runs: exact, and an unbiased
    estimate of the expectation for k new runs (Tang et al., Showing Your Work Doesn't Always Work, ACL 2020).

    Args:
        costs: (n,) costs, inf allowed.
        ks: (m,) numbers of runs, each from 1 to n.

    Returns:
        (m,) costs that fall in k: the mean cost for k = 1, the smallest for k = n; inf wherever all k runs may be without
        a value.

    Raises:
        ValueError: a k outside 1 … n, no cost, or one that is NaN or -inf.
    """
    sample = _one_sample(costs)
    return sample.best_of(_draws(ks, len(sample.costs)))[0]


def best_of_k_intervals(sweep: Sweep, ks: Sequence[int], source: np.random.Generator, resamples: int = 1000) -> list[Interval]:
    """Compute 95 % intervals of `best_of_k`, pointwise, by the percentile bootstrap over configurations.

    Near k = n they are too narrow, and their lower ends too high: no resample holds a run better than the best that was
    seen. Where configurations differ in their number of runs so do resamples; one of fewer than k runs gives its smallest cost.

    Returns:
        One interval for each k; NaN with a single configuration.

    Raises:
        ValueError: a k outside 1 … n.
    """
    wanted = _draws(ks, len(sweep.costs))
    codes, clusters = _codes(sweep.configuration)
    blocks = _bootstrap(clusters, source, resamples, len(codes))
    draws = np.concatenate([_resampled(sweep.costs, codes, counts).best_of(wanted) for counts in blocks])
    return _intervals(draws, clusters)


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Compute Spearman's rank correlation of two metrics' costs of the same runs: in [-1, 1], 1 where they order the runs alike.

    Ties have their average rank, and so have the runs without a value, as the worst.

    Returns:
        NaN where there are fewer than three runs or all are equal by one of the metrics.

    Raises:
        ValueError: different lengths, no cost, or one that is NaN or -inf.
    """
    a, b = _pair(a, b)
    return float(_correlations(np.ones((1, len(a))), a, b)[0])


def rank_correlation_interval(
    a: ArrayLike, b: ArrayLike, configuration: ArrayLike, source: np.random.Generator, resamples: int = 1000
) -> Interval:
    """A 95 % interval of `rank_correlation`, by the percentile bootstrap over configurations.

    Resamples in which the correlation is undefined, say of one configuration only, are left out.

    Args:
        a: (n,) costs of the runs by one metric.
        b: (n,) costs of the same runs by another.
        configuration: (n,) the configuration that each run is of.
        source: what to draw from.
        resamples: how often.

    Returns:
        NaN with a single configuration, and where no resample has a correlation.

    Raises:
        ValueError: different lengths, no cost, or one that is NaN or -inf.
    """
    a, b = _pair(a, b)
    codes, clusters = _codes(_labels(configuration, len(a), "configuration"))
    blocks = _bootstrap(clusters, source, resamples, len(codes))
    draws = np.concatenate([_correlations(_weights(counts, codes), a, b) for counts in blocks])
    return _intervals(draws[:, None], clusters)[0]


@dataclass(frozen=True)
class Disagreement:
    """How many runs one metric puts into the better half and another into the worse."""

    share: float
    """Of the runs, in [0, 1]."""
    expected: float
    """The share if the metrics had nothing to do with each other: 0.25 for an even number of runs without ties."""
    n: int
    """Runs."""


def disagreement(a: ArrayLike, b: ArrayLike) -> Disagreement:
    """Compute the share of runs strictly better than the median by metric a and strictly worse than the median by metric b.

    One direction, as in Rosca et al. (arXiv:1706.04987): "in the top half by one and in the bottom half by the other". For an
    even number of runs without ties `disagreement(b, a)` is the same. For an odd number the runs at the medians are in no half,
    and the two may differ by one run; with ties at a median, by more.

    Args:
        a: (n,) finite costs of the runs by one metric.
        b: (n,) finite costs of the same runs by another.

    Raises:
        ValueError: different lengths, no cost, or one that is not finite.
    """
    a, b = _pair(a, b)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("disagreement compares runs that have a value by both metrics: a cost is inf")
    better, worse = a < np.median(a), b > np.median(b)
    n = len(a)
    return Disagreement(float(np.mean(better & worse)), float(better.sum() * worse.sum()) / n**2, n)


@dataclass(frozen=True)
class VarianceExplained:
    """How much of the order of the configurations goes with one hyperparameter."""

    share: float
    """η² of the ranks, in [0, 1]; NaN where it is undefined."""
    chance: float
    """The expectation of the share if the hyperparameter had no effect: (levels - 1) / (n - 1)."""
    p_value: float
    """Of Kruskal & Wallis' test of no effect; NaN where the share is."""
    n: int
    """Configurations."""
    levels: int
    """Different values of the hyperparameter."""


def variance_explained(sweep: Sweep, levels: ArrayLike) -> VarianceExplained:
    """Compute the share of the variance of the configurations' ranks that lies between the levels of one hyperparameter.

    The unit is the configuration, for seeds are no replicates of a hyperparameter's effect: runs are ranked (ties have their
    average rank, runs without a value are the worst), a configuration has the mean rank of its runs, and configurations are
    ranked by that. η² = sum of squares between levels / total = H / (n - 1) with H of Kruskal & Wallis (JASA 1952), corrected
    for ties. η² grows with the number of levels even without effect: hold it against `chance`. The p-value is from χ² with
    levels - 1 degrees of freedom, rough where a level has fewer than five configurations.

    Args:
        sweep: the runs.
        levels: (n,) strings or numbers: the hyperparameter's value in each run.

    Returns:
        The share and the p-value are NaN with one level, with as many levels as configurations, and where all rank alike.

    Raises:
        ValueError: not one level a run, or a configuration with two levels.
    """
    codes, n = _codes(sweep.configuration)
    level_of_run, count = _codes(_labels(levels, len(codes), "levels"))
    level = np.zeros(n, dtype=np.intp)
    level[codes] = level_of_run
    if np.any(level[codes] != level_of_run):
        raise ValueError("a configuration has one level of a hyperparameter, not two")
    ranks = _ranks(np.bincount(codes, _ranks(sweep.costs)) / np.bincount(codes))
    deviation = ranks - ranks.mean()
    total = np.sum(deviation**2)
    chance = (count - 1) / (n - 1) if n > 1 else math.nan
    if count in (1, n) or total == 0:
        return VarianceExplained(math.nan, chance, math.nan, n, count)
    share = np.sum(np.bincount(level, deviation) ** 2 / np.bincount(level)) / total
    return VarianceExplained(float(share), chance, float(chdtrc(count - 1, share * (n - 1))), n, count)


@dataclass(frozen=True)
class SeedNoise:
    """How far runs of one configuration differ, and how far configurations do."""

    seed_sd: float
    """Standard deviation between seeds of one configuration, in the metric's unit."""
    sweep_sd: float
    """Standard deviation between configurations beyond what seeds make, in the metric's unit; 0 where there is none."""
    share_of_seeds: float
    """seed_sd² / (seed_sd² + sweep_sd²), in [0, 1]: 1 less the intraclass correlation; NaN where all costs are equal."""
    interval: Interval
    """Of that share, 95 %."""
    configurations: int
    """With at least two runs that have a value."""
    runs: int
    """Theirs, with a value."""


def seed_noise(sweep: Sweep) -> SeedNoise | None:
    """Estimate the variance between seeds and between configurations: one-way random effects, from the mean squares.

    seed² = MS_within; sweep² = max(0, (MS_between - MS_within) / n₀) with n₀ = (N - Σ n_i² / N) / (g - 1) runs a configuration
    (Searle, Casella & McCulloch, Variance Components, 1992, section 3.6). Runs without a value are left out, so that
    configurations that fail now and then look calmer than they are. The interval of the share is that of the F distribution
    (Searle et al., section 3.6e; exact for normal costs and equal numbers of seeds).

    Returns:
        None where fewer than two configurations have two runs with a value.
    """
    finite = np.isfinite(sweep.costs)
    codes, _ = _codes(sweep.configuration[finite])
    several = np.bincount(codes)[codes] >= 2
    costs, (codes, groups) = sweep.costs[finite][several], _codes(codes[several])
    if groups < 2:
        return None
    sizes, n = np.bincount(codes), len(costs)
    means = np.bincount(codes, costs) / sizes
    within = float(np.sum((costs - means[codes]) ** 2)) / (n - groups)
    between = float(np.sum(sizes * (means - costs.mean()) ** 2)) / (groups - 1)
    runs_each = (n - float(np.sum(sizes**2)) / n) / (groups - 1)
    beyond = max(0.0, (between - within) / runs_each)
    share = within / (within + beyond) if within + beyond > 0 else math.nan
    interval = _share_interval(between, within, groups - 1, n - groups, runs_each)
    return SeedNoise(math.sqrt(within), math.sqrt(beyond), share, interval, groups, n)


def _share_interval(between: float, within: float, df_between: int, df_within: int, runs_each: float) -> Interval:
    """The 95 % interval of the seeds' share of the variance, from two mean squares and their degrees of freedom."""
    if within == 0:
        return Interval(0.0, 0.0) if between > 0 else Interval(math.nan, math.nan)
    low, high = (
        min(1.0, runs_each / (between / within / float(fdtri(df_between, df_within, share)) + runs_each - 1)) for share in ENDS
    )
    return Interval(low, high)


@dataclass(frozen=True)
class Improvement:
    """How often one model's runs beat another's."""

    probability: float
    """In [0, 1]; 0.5 where neither is better."""
    interval: Interval


def probability_of_improvement(a: Sweep, b: Sweep, source: np.random.Generator, resamples: int = 1000) -> Improvement:
    """Compute how likely a random run of a has a smaller cost than a random run of b; ties, failures too, count half.

    Mann & Whitney's U / (n m), as in Agarwal et al. (arXiv:2108.13264). The interval is the percentile bootstrap's; the
    configurations of both sweeps are resampled, each on its own.

    Returns:
        The interval is NaN where one of the sweeps has a single configuration.
    """
    (a_codes, a_clusters), (b_codes, b_clusters) = _codes(a.configuration), _codes(b.configuration)
    draws = []
    for size in _blocks(resamples, max(len(a_codes), len(b_codes))):
        a_weights = _weights(_draw(a_clusters, source, size), a_codes)
        b_weights = _weights(_draw(b_clusters, source, size), b_codes)
        draws.append(_wins(a_weights, a.costs, b_weights, b.costs))
    probability = _wins(np.ones((1, len(a_codes))), a.costs, np.ones((1, len(b_codes))), b.costs)
    interval = _intervals(np.concatenate(draws)[:, None], min(a_clusters, b_clusters))[0]
    return Improvement(float(probability[0]), interval)


@dataclass(frozen=True)
class EqualBudget:
    """What a smaller search would have found, in the metric's unit."""

    quartile_1: float
    median: float
    quartile_3: float
    best: float
    """Like the quartiles, the median over searches; inf where half of them have runs without a value there."""
    best_interval: Interval
    """95 % of the searches have a best within it."""


def at_equal_budget(sweep: Sweep, configurations: int, source: np.random.Generator, draws: int = 1000) -> EqualBudget:
    """Estimate the quartiles and the best of a search over fewer configurations, so that sweeps of different sizes compare.

    Medians over random subsets of the configurations, without replacement, each configuration with all its seeds: a mean would
    be infinite for a single subset without values. The interval is the spread of the subsets' bests, and shrinks to nothing as
    the subsets come to be the whole sweep.

    Args:
        sweep: the runs.
        configurations: the number of configurations of the smaller search.
        source: what to draw from.
        draws: the number of subsets.

    Raises:
        ValueError: fewer than one configuration, or more than there are.
    """
    codes, clusters = _codes(sweep.configuration)
    if not 1 <= configurations <= clusters:
        raise ValueError(f"a subset has 1 to {clusters} configurations, not {configurations}")
    summaries = []
    for size in _blocks(draws, len(codes)):
        chosen = np.tile(np.arange(clusters) < configurations, (size, 1)).astype(np.intp)
        sample = _resampled(sweep.costs, codes, source.permuted(chosen, axis=1))
        summaries.append(np.column_stack([sample.quantiles(np.array(QUARTILES)), sample.costs[sample.starts]]))
    subsets = np.concatenate(summaries)
    quartile_1, median, quartile_3, best = (float(quantiles(column, [0.5])[0]) for column in subsets.T)
    low, high = quantiles(subsets[:, 3], ENDS)
    return EqualBudget(quartile_1, median, quartile_3, best, Interval(float(low), float(high)))


def difference(a: Sweep, b: Sweep) -> float:
    """Test by Mann & Whitney whether the configurations of two sweeps differ: the two-sided p-value.

    The unit is the configuration, which counts with the mean rank of its runs among all runs of both. Exact where a sweep has at
    most eight configurations and none are tied, else normal with a correction for ties. Two against two configurations never give
    less than a third.

    Returns:
        NaN where a sweep has a single configuration, which says nothing about others.
    """
    ranks = _ranks(np.concatenate([a.costs, b.costs]))
    means = []
    for sweep, sweep_ranks in ((a, ranks[: len(a.costs)]), (b, ranks[len(a.costs) :])):
        codes, clusters = _codes(sweep.configuration)
        if clusters < 2:
            return math.nan
        means.append(np.bincount(codes, sweep_ranks) / np.bincount(codes))
    return float(mannwhitneyu(*means).pvalue)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Correct p-values (n,) for the number of tests by Holm; NaN, a test that was not made, stays and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    corrected, made = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * (len(made) - np.arange(len(made)))))
    return corrected


# Checks of what comes in


def _costs(costs: ArrayLike) -> np.ndarray:
    values = np.asarray(costs, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"costs are one number a run, for one run or more, not of shape {values.shape}")
    if np.any(np.isnan(values) | (values == -np.inf)):
        raise ValueError("a cost is a number, or inf where a run has no value; one is NaN or -inf")
    return values


def _labels(labels: ArrayLike, n: int, name: str) -> np.ndarray:
    values = np.asarray(labels)
    if values.shape != (n,):
        raise ValueError(f"{name} names one thing a run, {n} in all, not of shape {values.shape}")
    return values


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = _costs(a), _costs(b)
    if len(first) != len(second):
        raise ValueError(f"the costs are of the same runs: {len(first)} and {len(second)} are different numbers of them")
    return first, second


def _draws(ks: Sequence[int], n: int) -> np.ndarray:
    wanted = np.asarray(ks, dtype=np.intp)
    if np.any((wanted < 1) | (wanted > n)):
        raise ValueError(f"k is from 1 to the number of runs, {n}, not {list(ks)}")
    return wanted


# Samples and resamples. A resample is told by how often it holds each configuration: the runs are sorted once, never again.


@dataclass(frozen=True, eq=False)
class _SortedSamples:
    """Some samples of runs, one behind the other, each in ascending order of cost."""

    costs: np.ndarray
    """(all runs of all samples,)."""
    sizes: np.ndarray
    """(samples,) the number of runs of each."""

    @property
    def starts(self) -> np.ndarray:
        """(samples,) where in `costs` each begins."""
        return np.cumsum(self.sizes) - self.sizes

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """(samples, shares); see `quantiles`."""
        position = shares * (self.sizes[:, None] - 1)
        rank = np.floor(position).astype(np.intp)
        weight = position - rank
        low = self.costs[self.starts[:, None] + rank]
        high = self.costs[self.starts[:, None] + np.minimum(rank + 1, self.sizes[:, None] - 1)]
        with np.errstate(invalid="ignore"):  # inf - inf, which is not what is taken
            between = np.where(np.isinf(high), np.inf, low + (high - low) * weight)
        return np.where(weight > 0, between, low)

    def best_of(self, ks: np.ndarray) -> np.ndarray:
        """(samples, ks); see `best_of_k`. A k above a sample's size counts as its size."""
        means_of_best = np.empty((len(self.sizes), len(ks)))
        for size in np.unique(self.sizes):  # one where all configurations have equally many runs
            rows = np.flatnonzero(self.sizes == size)
            costs = self.costs[self.starts[rows][:, None] + np.arange(size)]
            k, missing = np.minimum(ks, size), np.isinf(costs)
            means = np.where(missing, 0.0, costs) @ _weights_of_smallest(size, k)  # 0, for inf times a weight of 0 is NaN
            means_of_best[rows] = np.where(k <= missing.sum(axis=1, keepdims=True), np.inf, means)
        return means_of_best


def _weights_of_smallest(n: int, ks: np.ndarray) -> np.ndarray:
    """(n, ks): the probability C(n - 1 - j, k - 1) / C(n, k) that the run of rank j, from 0, is the smallest of k out of n.

    From each to the next by their ratio, for the binomials themselves overflow; it is exactly 0 where they end.
    """
    left = n - np.arange(n - 1)[:, None]
    return np.cumprod(np.concatenate([ks[None] / n, (left - ks) / (left - 1)]), axis=0)


def _one_sample(costs: ArrayLike) -> _SortedSamples:
    values = np.sort(_costs(costs))
    return _SortedSamples(values, np.array([len(values)]))


def _codes(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels as numbers from 0, and how many different there are."""
    different, codes = np.unique(labels, return_inverse=True)
    return codes, len(different)


def _blocks(resamples: int, runs: int) -> Iterator[int]:
    """The numbers of resamples to make at once."""
    most = max(1, _CELLS // runs)
    for done in range(0, resamples, most):
        yield min(most, resamples - done)


def _draw(clusters: int, source: np.random.Generator, size: int) -> np.ndarray:
    """(size, clusters): how often each cluster is in each resample, of as many draws with replacement as there are clusters."""
    drawn = source.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)


def _bootstrap(clusters: int, source: np.random.Generator, resamples: int, runs: int) -> Iterator[np.ndarray]:
    for size in _blocks(resamples, runs):
        yield _draw(clusters, source, size)


def _resampled(costs: np.ndarray, codes: np.ndarray, counts: np.ndarray) -> _SortedSamples:
    """The samples that hold each configuration as often as (samples, configurations) `counts` say."""
    order = np.argsort(costs)
    times = np.take(counts, codes[order], axis=1)
    return _SortedSamples(np.repeat(np.tile(costs[order], len(counts)), times.ravel()), times.sum(axis=1))


def _weights(counts: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(resamples, runs): how often each run is in each resample. Float, which is exact here and multiplies faster."""
    return np.take(counts.astype(np.float64), codes, axis=1)


def _intervals(draws: np.ndarray, clusters: int) -> list[Interval]:
    """Percentile intervals of the columns of (resamples, statistics), without the resamples where a statistic is undefined."""
    columns = [column[~np.isnan(column)] for column in draws.T]
    if clusters < 2:
        return [Interval(math.nan, math.nan) for _ in columns]
    ends: list[Any] = [quantiles(column, ENDS).tolist() if len(column) else (math.nan, math.nan) for column in columns]
    return [Interval(low, high) for low, high in ends]


# Ranks in resamples


def _standing(weights: np.ndarray, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(resamples, points): how many of the values are below each point, equal ones counted half."""
    order = np.argsort(values)
    counts = np.zeros((len(weights), len(values) + 1))
    np.cumsum(np.take(weights, order, axis=1), axis=1, out=counts[:, 1:])
    below, up_to = (np.searchsorted(values[order], points, side=side) for side in ("left", "right"))
    return (np.take(counts, below, axis=1) + np.take(counts, up_to, axis=1)) / 2


def _ranks(values: np.ndarray) -> np.ndarray:
    """(n,) average ranks, from 1."""
    return _standing(np.ones((1, len(values))), values, values)[0] + 0.5


def _correlations(weights: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(resamples,) rank correlations; NaN where undefined. Sums of half integers are exact, so a constant has variance 0."""
    sizes = weights.sum(axis=1)
    x, y = (_standing(weights, values, values) - sizes[:, None] / 2 for values in (a, b))
    covariance, *variances = (np.einsum("ij,ij,ij->i", weights, left, right) for left, right in ((x, y), (x, x), (y, y)))
    scale = np.sqrt(variances[0] * variances[1])
    defined = (scale > 0) & (sizes >= 3)
    return np.where(defined, covariance / np.where(defined, scale, 1), np.nan)


def _wins(a_weights: np.ndarray, a: np.ndarray, b_weights: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(resamples,) the probability that a run of a is below one of b, ties counted half."""
    pairs = a_weights.sum(axis=1) * b_weights.sum(axis=1)
    return np.einsum("ij,ij->i", _standing(a_weights, a, b), b_weights) / pairs
