"""Sections on what a sweep tells beyond its quartiles, each sentence from the numbers of its table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.model.registry import title
from benchmark.report.drawing import statistic_figures
from benchmark.report.numbers import analysis, ranking
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.summary import missing_as_none
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Plot, Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from metrics.catalogue import MEASURES

SURE = 0.05
"""The p-value below which something is said to be more than chance."""

PANELS = 12
"""Hyperparameters in a figure, at most: those that explain most beyond chance."""


def statistic_sections(
    main: Mapping[str, Sequence[Comparison]], tables: Mapping[str, pd.DataFrame], folder: FigureFolder
) -> Iterator[Section]:
    """All of them that the records allow.

    Args:
        main: the comparisons by the main protocols.
        tables: those of `analyses`.
        folder: where figures go.
    """
    those = analysis.headlines(main)
    everyone = those[0].everyone if those else ()
    for section in (
        _best_again(those),
        _best_of_k(tables["best_of_k"], everyone, folder),
        _equal_budget(tables["equal_budget"], everyone, folder),
        _improvement(tables["improvement"], folder),
        _agreement(tables["agreement"], folder),
        _hyperparameters(those, tables["hyperparameters"], folder),
        _seeds(those, tables["seeds"], folder),
    ):
        if section is not None:
            yield section


def analyses(main: Mapping[str, Sequence[Comparison]]) -> dict[str, pd.DataFrame]:
    """Tidy tables by their names, as they are written beside the page."""
    those = analysis.headlines(main)
    return {
        "best_of_k": analysis.best_of_k_table(those),
        "equal_budget": analysis.equal_budget_table(those),
        "improvement": analysis.improvement_table(those),
        "agreement": analysis.agreement_table(those),
        "hyperparameters": analysis.hyperparameter_table(those),
        "seeds": analysis.seed_table(those),
    }


def _name(metric: str, setting: str, table: pd.DataFrame) -> str:
    """What a row is about, with the setting where there are several."""
    return MEASURES[metric].title + (f" ({setting})" if table.setting.nunique() > 1 else "")


def _readable(table: pd.DataFrame, columns: Mapping[str, str], note: str) -> Table:
    """A table of the analysis in the words of the page."""
    shown = missing_as_none(table)
    for column in ("model", "than"):
        if column in shown:
            shown[column] = [analysis.describe(model) for model in shown[column]]
    for column in ("metric", "other"):
        if column in shown:
            shown[column] = [MEASURES[metric].title for metric in shown[column]]
    several = {"setting": "setting"} if table.setting.nunique() > 1 else {}
    chosen = {**several, **columns}
    return Table(list(chosen.values()), shown[list(chosen)].to_numpy().tolist(), note)


def _best_again(those: Sequence[Comparison]) -> Section | None:
    """What is left of the best runs when they are measured again."""
    rows = []
    for some in those:
        for model in some.models:
            best = some.best(model, BEST)
            again = best.dropna(subset="second")
            if len(again):
                first = best.iloc[0]
                costs = [again.cost.mean(), ranking.costs(again.second.to_numpy(float), some.measure, some.reference).mean()]
                means = [ranking.value_of(float(cost), some.measure) for cost in costs]
                rows.append(
                    [some.measure.title, some.setting, title(model), first.run, first.value, first.second, len(again), *means]
                )
    if not rows:
        return None
    columns = [
        "metric",
        "setting",
        "model",
        "best run",
        "its value",
        "measured again",
        "best runs",
        "their mean",
        "measured again",
    ]
    text = (
        "The best of many runs are chosen by the evaluation that the figures show. A score that was chosen for being high is "
        "partly luck of that evaluation's samples and of its critic; so each run is measured a second time, on other samples "
        f"and by a critic of another seed, and this is what the best run, and the best {BEST} of a model at most, score then. "
        "Of a metric to match, means are of distances to real images."
    )
    table = Table(columns, rows)
    return Section("best-again", "The best runs, chosen by one evaluation and reported by another", text, (), [table])


def _best_of_k(table: pd.DataFrame, everyone: Sequence[str], folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = [
        f"{_name(metric, setting, table)}: {_who_leads(rows, MEASURES[metric].goal)}"
        for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False)
    ]
    plot = folder.plot(
        "best_of_k",
        statistic_figures.best_of_k(table, everyone),
        " ".join(words),
        "The expected best of k runs drawn without replacement from those that were made; k ends at their number. Bands: 95 % "
        "bootstrap over configurations, each with its seeds; near the right end too narrow, for no draw is better than the "
        "best seen. A curve begins where k runs cannot all be without a value. Runs are chosen and scored by one evaluation "
        "here, which flatters the best of many a little: the section above says how much.",
    )
    return Section("best-of-k", "What a budget of k runs buys", "", [plot])


def _who_leads(rows: pd.DataFrame, goal: str) -> str:
    """Who is expected to do best with the smallest and with the largest budget that all models have a value of."""
    if rows.model.nunique() == 1:
        known = rows.dropna(subset="value")
        return f"the best of {known.k.iloc[-1]} runs is {known.value.iloc[-1]:.3g}." if len(known) else "no run has a value."
    by_budget = rows.pivot(index="k", columns="model", values="value").dropna()
    if by_budget.empty:
        return "no budget at which every model has an expected best."
    k, most = int(by_budget.index[0]), int(by_budget.index[-1])
    small, large = (_bests(by_budget.loc[budget], goal) for budget in (k, most))
    start = f"with {k} run{'s' * (k > 1)} {small} {'are' if ' and ' in small else 'is'} expected to do best"
    return f"{start}." if k == most else f"{start}, with {most} {'still' if small == large else large}."


def _bests(values: pd.Series, goal: str) -> str:
    """The models with the best value, by their titles."""
    best = values.max() if goal == "maximize" else values.min()
    return " and ".join(title(str(model)) for model in values.index[values == best])


def _equal_budget(table: pd.DataFrame, everyone: Sequence[str], folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        budget = f"{_name(metric, setting, table)}, {rows.configurations.iloc[0]} configurations of each model"
        budget += f" with {rows.seeds.iloc[0]} seeds each" if rows.seeds.iloc[0] > 1 else ""
        lost = [title(model) for model in rows.model[rows["median"].isna() | rows.best.isna()]]
        if lost:
            words.append(f"{budget}: not ranked, for most draws of {' and '.join(lost)} hold too many runs without a value.")
        else:
            values, goal = rows.set_index("model"), MEASURES[metric].goal
            words.append(
                f"{budget}: best by the median {_bests(values['median'], goal)}, by the best run {_bests(values.best, goal)}."
            )
    plot = folder.plot(
        "equal_budget",
        statistic_figures.equal_budget(table, everyone),
        " ".join(words),
        "Sweeps of different size are not compared by their bests: more tries find better runs. Here each model has as many "
        "configurations as the smallest sweep, and as many seeds of each, drawn at random 1,000 times: boxes are the "
        "quartiles and circles the best of a draw, medians over the draws, with the range of 95 % of the draws' bests.",
    )
    return Section("equal-budget", "At equal budget", "", [plot])


def _improvement(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        words.append(f"{_name(metric, setting, table)}: {_told_apart(rows)}")
    plot = folder.plot(
        "probability_of_improvement",
        statistic_figures.improvement(table),
        " ".join(words),
        "How often a random run of the row's model is better than a random run of the column's, ties half. Runs that diverged "
        "or failed are worse than any other.",
    )
    columns = {
        "metric": "metric",
        "model": "model",
        "than": "better than",
        "value": "probability",
        "low": "95 % from",
        "high": "to",
    }
    columns |= {"p_holm": "p (Holm)"}
    first = np.arange(len(table)) % 2 == 0  # pairs stand below each other; of a tie neither is the better one
    kept = table[(table.value > 0.5) | (first & (table.value == 0.5))]  # the other half says the same
    note = (
        "95 %: bootstrap over the configurations of both models; where two sweeps do not overlap it is [1, 1] however small "
        "they are, so go by p: Mann and Whitney's test of the configurations' mean ranks, exact for few, corrected for the "
        "number of pairs. Each pair stands once, from the side of the better one."
    )
    return Section("improvement", "Is one model better than another?", "", [plot], [_readable(kept, columns, note)])


def _told_apart(rows: pd.DataFrame) -> str:
    tested = rows[rows.p_holm.notna()]
    if tested.empty:
        return "a single configuration of a model says nothing about others, so no pair was tested."
    sure = tested[(tested.p_holm < SURE) & (tested.value > 0.5)]
    text = f"{len(sure)} of {len(tested) // 2} pairs of models can be told apart (p < {SURE:g} after Holm's correction)"
    pairs = [f"{title(row.model)} over {title(row.than)} ({row.value:.0%})" for row in sure.itertuples()]
    return text + (f": {', '.join(pairs)}." if pairs else ".")


def _agreement(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    pooled = table[(table.model == "") & table.spearman.notna()]
    for setting, rows in pooled.groupby("setting", sort=False):
        least, most = rows.loc[rows.spearman.idxmin()], rows.loc[rows.spearman.idxmax()]
        where = f"{setting}: " if table.setting.nunique() > 1 else ""
        words.append(
            f"{where}Over the runs of all models “{MEASURES[least.metric].title}” and “{MEASURES[least.other].title}” agree "
            f"least (rank correlation {least.spearman:.2f}; {least.disagreement:.0%} of the runs are in the better half by the "
            f"first and in the worse half by the second, {least.expected:.0%} if the two had nothing to do with each other)"
            + (
                f", “{MEASURES[most.metric].title}” and “{MEASURES[most.other].title}” most ({most.spearman:.2f})."
                if len(rows) > 1
                else "."
            )
        )
    plot = folder.plot(
        "agreement",
        statistic_figures.agreement(table),
        " ".join(words) or "No two metrics have values of enough runs.",
        "Left: 1 is the same order of the runs, 0 no relation; costs are compared, so better by one and better by the other "
        "is positive whatever the metrics' directions. Right: the paper reports 15 % between its two Inception scores on "
        "CIFAR-10; without any relation it would be 25 % for an even number of runs without ties, else what the table says.",
    )
    columns = {"metric": "metric", "other": "and", "model": "runs of", "n": "runs", "spearman": "rank correlation"}
    columns |= {
        "low": "95 % from",
        "high": "to",
        "disagreement": "better by the first, worse by the second",
        "expected": "without relation",
    }
    note = (
        "Runs that have a value by both. Over all models' runs a good part of an agreement is that models differ; within a "
        "model it is not."
    )
    return Section("agreement", "Do the metrics agree?", "", [plot], [_readable(table, columns, note)])


def _hyperparameters(those: Sequence[Comparison], table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    """One figure a model, by the first headline metric of each setting."""
    plots: list[Plot] = []
    for some in {some.setting: some for some in reversed(those)}.values():
        for model in some.models:
            rows = table[(table.metric == some.measure.metric) & (table.setting == some.setting) & (table.model == model)]
            if rows.empty:
                continue
            number = len(plots)
            shown = rows.loc[(rows.share - rows.chance).sort_values(ascending=False, kind="stable").index[:PANELS].sort_values()]
            plots.append(
                folder.plot(
                    f"hyperparameters_{number + 1}_{re.sub(r'[^a-z0-9_]+', '-', model.rpartition('.')[2].lower())}",
                    statistic_figures.hyperparameters(some, model, shown),
                    _which_matters(rows, title(model)),
                    f"Dots are runs{f' in {some.setting}' if table.setting.nunique() > 1 else ''}, bars medians. The share of "
                    "the variance of the configurations' ranks that lies between the values, beside what chance gives with as "
                    "many values. A sweep that draws its configurations at random varies several hyperparameters at once: a "
                    "share is a hint, not a proof.",
                )
            )
    if not plots:
        return None
    columns = {"metric": "metric", "model": "model", "hyperparameter": "hyperparameter", "share": "variance explained"}
    columns |= {"chance": "by chance", "p_value": "p (Kruskal-Wallis)", "configurations": "configurations", "levels": "values"}
    columns |= {"p_holm": "p (Holm)"}
    note = (
        "The unit is the configuration, its seeds together. The last p is corrected for the number of the model's "
        "hyperparameters. Lost runs rank worst, and are not drawn."
    )
    return Section("hyperparameters", "Which hyperparameter matters?", "", plots, [_readable(table, columns, note)])


def _which_matters(rows: pd.DataFrame, model: str) -> str:
    known = rows.dropna(subset="share")
    if known.empty:
        return (
            f"{model}: nothing can be told about a single hyperparameter; too few configurations share a value, or all rank "
            "alike."
        )
    first = known.loc[(known.share - known.chance).idxmax()]
    name = first.hyperparameter.replace("_", " ")
    text = (
        f"{model}: most goes with the {name}, {first.share:.0%} of the variance of the ranks (chance {first.chance:.0%}, p = "
        f"{first.p_holm:.2g} after Holm's correction)"
    )
    return text + ("." if first.p_holm < SURE else ", which chance may have made.")


def _seeds(those: Sequence[Comparison], table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        known = rows.dropna(subset="share_of_seeds")
        shares = [f"{title(row.model)} {row.share_of_seeds:.0%} [{row.low:.0%}, {row.high:.0%}]" for row in known.itertuples()]
        if shares:
            words.append(
                f"{_name(metric, setting, table)}: the seeds' share of the variance between runs is {', '.join(shares)}."
            )
    shown = [some for some in those if ((table.metric == some.measure.metric) & (table.setting == some.setting)).any()]
    plot = folder.plot(
        "seeds",
        statistic_figures.seeds(shown),
        " ".join(words) or "All runs score alike.",
        "Each vertical line is one configuration, its dots its seeds; configurations stand in the order of their means. What "
        "lies between dots on a line is noise of the seed, what lies between lines is the sweep. Neither is a substitute for "
        "the other: boxes over a sweep say nothing about repeated training.",
    )
    columns = {"metric": "metric", "model": "model", "seed_sd": "SD of seeds", "sweep_sd": "SD of configurations"}
    columns |= {
        "measurement_sd": "SD of measuring",
        "share_of_seeds": "share of seeds",
        "low": "95 % from",
        "high": "to",
        "configurations": "configurations",
        "runs": "runs",
    }
    note = (
        "Variance components of one-way random effects, over configurations with at least two seeds that have a value; a "
        "share of 100 % is where no spread of configurations beyond that of their seeds was found. Intervals of the share: F "
        "distribution. SD of measuring: of one run's value over redrawing its samples, the median over runs; the SD of seeds "
        "contains it. For a metric to match, all are of distances to real images."
    )
    return Section("seeds", "Seeds or hyperparameters?", "", [plot], [_readable(table, columns, note)])


def not_shown(tables: Tables) -> list[str]:
    """Why statistics may be missing from a page, in sentences."""
    seeds = tables.runs[~tables.runs.model.isin(["real", "noise"])].groupby("configuration").size()
    if len(seeds) and seeds.max() < 2:
        return ["Every configuration has one seed: nothing is said about the noise of seeds (SEEDS=2 or more would)."]
    return []
