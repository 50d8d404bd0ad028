"""What a sweep tells beyond its quartiles, as tidy tables: the figures and the CSV files are made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import in_order, title
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import value_of
from benchmark.report.numbers.statistics import (
    Interval,
    Sweep,
    at_equal_budget,
    best_of_k,
    best_of_k_intervals,
    difference,
    disagreement,
    holm,
    probability_of_improvement,
    rank_correlation,
    rank_correlation_interval,
    seed_noise,
    variance_explained,
)
from benchmark.report.numbers.summary import source
from metrics.catalogue import MEASURES

POINTS = 30
"""Budgets on a best-of-k curve, at most."""


def headlines(main: Mapping[str, Sequence[Comparison]]) -> list[Comparison]:
    """The main comparisons of the headline metrics, metric by metric."""
    headline = [measure.metric for measure in MEASURES.values() if measure.headline]
    return [some for metric in headline for some in main.get(metric, []) if some.models and some.is_ranked]


def best_of_k_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """The expected best value of k runs, for k up to all: setting, metric, model, k, value, low, high (95 %)."""
    return pd.DataFrame(
        [row for some in those for row in _best_of_k(some)],
        columns=["setting", "metric", "model", "k", "value", "low", "high"],
    )


def _best_of_k(some: Comparison) -> Iterator[dict[str, Any]]:
    sweeps = {model: some.sweep(model) for model in some.models}
    sizes = [len(sweep.costs) for sweep in sweeps.values()]
    # Each sweep's end, and the same budgets for all models before it.
    budgets = sorted({*sizes, *np.geomspace(1, max(sizes), POINTS).round().astype(int).tolist()})
    for model, sweep in sweeps.items():
        ks = [k for k in budgets if k <= len(sweep.costs)]
        intervals = best_of_k_intervals(sweep, ks, _source("best of k", some, model))
        for k, cost, interval in zip(ks, best_of_k(sweep.costs, ks), intervals, strict=True):
            value, low, high = _values(some, cost, interval)
            where = {"setting": some.setting, "metric": some.measure.metric, "model": model}
            yield {**where, "k": k, "value": value, "low": low, "high": high}


def equal_budget_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """Quartiles and best of random subsets of the smallest sweep's size, where sweeps differ in configurations or in seeds.

    Returns:
        setting, metric, model, configurations (of the smallest sweep), seeds (of each, as many as every configuration has), of
        (its own configurations), quartile_1, median, quartile_3, best (medians over the subsets), low, high (95 % of the subsets'
        bests, empty for the smallest sweep, of which there is one subset); of a metric to match, all are distances.
    """
    rows = [row for some in those for row in _equal_budget(some)]
    columns = ["setting", "metric", "model", "configurations", "seeds", "of"]
    return pd.DataFrame(rows, columns=[*columns, "quartile_1", "median", "quartile_3", "best", "low", "high"])


def _equal_budget(some: Comparison) -> Iterator[dict[str, Any]]:
    seeds = {model: some.of(model).groupby("configuration").size() for model in some.models}
    fewest, each = min(map(len, seeds.values())), min(int(mine.min()) for mine in seeds.values())
    if all(len(mine) == fewest and (mine == each).all() for mine in seeds.values()):
        return
    for model in some.models:
        runs = some.of(model).groupby("configuration", sort=False).head(each)  # the first seeds of each
        sweep = Sweep(runs.cost.to_numpy(float), runs.configuration.to_numpy())
        found = at_equal_budget(sweep, fewest, _source("equal budget", some, model))
        quartiles = sorted(value_of(cost, some.measure) for cost in (found.quartile_1, found.median, found.quartile_3))
        best, low, high = _values(some, found.best, found.best_interval)
        if fewest == len(seeds[model]):
            low = high = float("nan")
        yield {
            "setting": some.setting,
            "metric": some.measure.metric,
            "model": model,
            "configurations": fewest,
            "seeds": each,
            "of": len(seeds[model]),
            **dict(zip(("quartile_1", "median", "quartile_3"), map(_finite, quartiles), strict=True)),
            "best": best,
            "low": low,
            "high": high,
        }


def improvement_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """How often a random run of a model is better than one of another.

    Returns:
        setting, metric, model, than, value, low, high (95 %), p_value (`statistics.difference`) and p_holm, corrected for the
        number of pairs of the metric.
    """
    columns = ["setting", "metric", "model", "than", "value", "low", "high", "p_value", "p_holm"]
    return pd.DataFrame([row for some in those for row in _improvement(some)], columns=columns)


def _improvement(some: Comparison) -> Iterator[dict[str, Any]]:
    sweeps = {model: some.sweep(model) for model in some.models}
    pairs = list(itertools.combinations(some.models, 2))
    p_values = [difference(sweeps[model], sweeps[other]) for model, other in pairs]
    for (model, other), p_value, p_holm in zip(pairs, p_values, holm(p_values), strict=True):
        found = probability_of_improvement(sweeps[model], sweeps[other], _source("improvement", some, model, other))
        interval, shared = found.interval, {"setting": some.setting, "metric": some.measure.metric}
        tests = {"p_value": p_value, "p_holm": p_holm}
        yield (
            shared
            | {"model": model, "than": other, "value": found.probability, "low": interval.low, "high": interval.high}
            | tests
        )
        ends = {"low": 1 - interval.high, "high": 1 - interval.low}
        yield shared | {"model": other, "than": model, "value": 1 - found.probability} | ends | tests


def agreement_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """How far pairs of metrics agree about the runs that both have a value of.

    Returns:
        setting, metric, other, model ("" for the runs of all models), n, spearman, low, high (95 %, of all models only),
        disagreement (share of runs in the better half by `metric` and in the worse half by `other`), expected (that share if they
        had nothing to do with each other).
    """
    rows = []
    for one, other in itertools.combinations(those, 2):
        if one.setting != other.setting:
            continue
        both = _paired_costs(one, other)
        for model in ["", *in_order(both.model)]:
            mine = both if not model else both[both.model == model]
            if len(mine) < 3:
                continue
            split = disagreement(mine.a.to_numpy(), mine.b.to_numpy())
            interval = _correlation_interval(mine, one, other) if not model else Interval(np.nan, np.nan)
            rows.append(
                {"setting": one.setting, "metric": one.measure.metric, "other": other.measure.metric, "model": model}
                | {"n": len(mine), "spearman": rank_correlation(mine.a.to_numpy(), mine.b.to_numpy())}
                | {"low": interval.low, "high": interval.high, "disagreement": split.share, "expected": split.expected}
            )
    columns = ["setting", "metric", "other", "model", "n", "spearman", "low", "high", "disagreement", "expected"]
    return pd.DataFrame(rows, columns=columns)


def _paired_costs(one: Comparison, other: Comparison) -> pd.DataFrame:
    left = one.measured[["run", "model", "configuration", "cost"]].rename(columns={"cost": "a"})
    return left.merge(other.measured[["run", "cost"]].rename(columns={"cost": "b"}), on="run")


def _correlation_interval(both: pd.DataFrame, one: Comparison, other: Comparison) -> Interval:
    draws = _source("agreement", one, other.measure.metric)
    return rank_correlation_interval(both.a.to_numpy(), both.b.to_numpy(), both.configuration.to_numpy(), draws)


def hyperparameter_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """How much of the order of a model's configurations goes with each hyperparameter that its sweep varies.

    Returns:
        setting, metric, model, hyperparameter, share (of the ranks' variance), chance (what it would be without any effect),
        p_value and p_holm (corrected for the number of the model's hyperparameters), configurations, levels.
    """
    rows = [row for some in those for model in some.models for row in _hyperparameters(some, model)]
    columns = ["setting", "metric", "model", "hyperparameter", "share", "chance", "p_value", "p_holm", "configurations", "levels"]
    return pd.DataFrame(rows, columns=columns)


def _hyperparameters(some: Comparison, model: str) -> Iterator[dict[str, Any]]:
    sweep, values = some.sweep(model), swept(some, model)
    found = {name: variance_explained(sweep, values[name].map(repr).to_numpy(str)) for name in values}
    for (name, explained), p_holm in zip(found.items(), holm([one.p_value for one in found.values()]), strict=True):
        yield {
            "setting": some.setting,
            "metric": some.measure.metric,
            "model": model,
            "hyperparameter": name,
            "share": explained.share,
            "chance": explained.chance,
            "p_value": explained.p_value,
            "p_holm": p_holm,
            "configurations": explained.n,
            "levels": explained.levels,
        }


def swept(some: Comparison, model: str) -> pd.DataFrame:
    """The hyperparameters that differ between a model's runs, a row for each run that counts, in their order."""
    values = pd.DataFrame([*some.of(model).hyperparameters])
    return values[[name for name in values if values[name].map(repr).nunique() > 1]]


def seed_table(those: Sequence[Comparison]) -> pd.DataFrame:
    """Three sources of spread, never taken for each other: seeds, configurations, and the measuring of one run.

    Returns:
        setting, metric, model, seed_sd, sweep_sd (beyond what seeds make), measurement_sd, share_of_seeds, low, high (95 % of the
        share), configurations, runs.
    """
    rows = []
    for some in those:
        for model in some.models:
            found = seed_noise(some.sweep(model))
            if found is None:
                continue
            mine = some.of(model)
            rows.append(
                {"setting": some.setting, "metric": some.measure.metric, "model": model, "seed_sd": found.seed_sd}
                | {"sweep_sd": found.sweep_sd, "measurement_sd": ((mine.high - mine.low) / 2 / 1.96).median()}
                | {"share_of_seeds": found.share_of_seeds, "low": found.interval.low, "high": found.interval.high}
                | {"configurations": found.configurations, "runs": found.runs}
            )
    columns = [
        "setting",
        "metric",
        "model",
        "seed_sd",
        "sweep_sd",
        "measurement_sd",
        "share_of_seeds",
        "low",
        "high",
        "configurations",
        "runs",
    ]
    return pd.DataFrame(rows, columns=columns)


def _source(what: str, some: Comparison, *more: str) -> np.random.Generator:
    return source(what, some.measure.metric, some.protocol_id, *more)


def _values(some: Comparison, cost: float, interval: Interval) -> tuple[float, float, float]:
    """A cost and its interval in the metric's unit, the interval's ends in order; NaN for what lies among lost runs."""
    value, *ends = (_finite(value_of(float(one), some.measure)) for one in (cost, interval.low, interval.high))
    low, high = ends if some.measure.goal != "maximize" else ends[::-1]
    return value, low, high


def _finite(value: float) -> float:
    return value if np.isfinite(value) else float("nan")


def describe(model: str) -> str:
    """A model in an analysis' table; the runs of all models have an empty name."""
    return title(model) if model else "all models"
