"""Sections on what a sweep tells beyond its quartiles, each sentence from the numbers of its table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.measures import MEASURES
from benchmark.report import analysis, statistic_figures
from benchmark.report.content import Plot, Section, Table
from benchmark.report.figure_folder import FigureFolder
from benchmark.report.ranking import BEST
from benchmark.report.style import title
from benchmark.report.summary import missing_as_none
from benchmark.report.tables import Comparison, Tables


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
    for section in (
        _best_again(those),
        _best_of_k(tables["best_of_k"], folder),
        _equal_budget(tables["equal_budget"], folder),
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
            best = some.best(model, BEST).dropna(subset="second")
            if len(best):
                scores = [
                    score for pair in (best.iloc[0], best[["value", "second"]].mean()) for score in (pair.value, pair.second)
                ]
                rows.append([some.measure.title, some.setting, title(model), len(best), *scores, best.run.iloc[0]])
    if not rows:
        return None
    columns = ["metric", "setting", "model", "runs", "the best", "measured again", "mean of these", "measured again", "best run"]
    text = (
        "The best of many runs are chosen by the evaluation that the figures show. A score that was chosen for being high "
        "is partly "
        "luck of that evaluation's samples and of its critic; so each run is measured a second time, on other samples and by a "
        f"critic of another seed, and this is what the best run, and the best {BEST} of a model at most, score then."
    )
    return Section(
        "best-again", "The best runs, chosen by one evaluation and reported by another", text, (), [Table(columns, rows)]
    )


def _best_of_k(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        goal = MEASURES[metric].goal
        ends = [_winner(rows[rows.k == k], goal) for k in (1, _largest_common(rows))]
        if ends[0] and ends[1]:
            k = _largest_common(rows)
            change = "also" if ends[0] == ends[1] else f"{title(ends[1])}"
            words.append(
                f"{_name(metric, setting, table)}: with one run {title(ends[0])} is expected to do best, with {k} {change}"
                + (" it." if ends[0] == ends[1] else ".")
            )
    plot = folder.plot(
        "best_of_k",
        statistic_figures.best_of_k(table),
        " ".join(words) or "Too few runs have a value to tell what a larger budget buys.",
        "The expected best of k runs drawn without replacement from those that were made; k ends at their number. Bands: 95 % "
        "bootstrap over configurations, each with its seeds; near the right end too narrow, for no draw is better than "
        "the best seen. "
        "A curve begins where k runs cannot all be without a value.",
    )
    return Section("best-of-k", "What a budget of k runs buys", "", [plot])


def _largest_common(rows: pd.DataFrame) -> int:
    """The largest k that stands on every model's curve."""
    shared = set.intersection(*(set(mine.k) for _, mine in rows.groupby("model")))
    return max(shared)


def _winner(rows: pd.DataFrame, goal: str) -> str:
    known = rows.dropna(subset="value")
    if known.empty:
        return ""
    values = known.set_index("model").value
    return str(values.idxmax() if goal == "maximize" else values.idxmin())


def _equal_budget(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        goal = MEASURES[metric].goal
        by_median = _winner(rows.rename(columns={"median": "value"}), goal)
        by_best = _winner(rows.rename(columns={"best": "value"}), goal)
        if by_median and by_best:
            words.append(
                f"{_name(metric, setting, table)}, {rows.configurations.iloc[0]} configurations of each model: "
                f"{title(by_median)} has "
                f"the best median and {title(by_best)} the best expected best."
            )
    plot = folder.plot(
        "equal_budget",
        statistic_figures.equal_budget(table),
        " ".join(words) or "Too few runs have a value.",
        "Sweeps of different size are not compared by their bests: more tries find better runs. Here each model has as many "
        "configurations as the smallest sweep, drawn at random 1,000 times: boxes are the mean quartiles of the draws, "
        "circles the "
        "mean best with the range of 95 % of the draws.",
    )
    return Section("equal-budget", "At equal budget", "", [plot])


def _improvement(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        sure = rows[rows.low > 0.5].sort_values("value", ascending=False, kind="stable")
        if len(sure):
            first = sure.iloc[0]
            words.append(
                f"{_name(metric, setting, table)}: {len(sure)} of {len(rows) // 2} pairs can be told apart (the interval "
                f"excludes 50 %); "
                f"the clearest is {title(first.model)} over {title(first.than)} ({first.value:.0%})."
            )
        else:
            words.append(f"{_name(metric, setting, table)}: no pair of models can be told apart.")
    plot = folder.plot(
        "probability_of_improvement",
        statistic_figures.improvement(table),
        " ".join(words),
        "How often a random run of the row's model is better than a random run of the column's, ties half. Runs that diverged or "
        "failed are worse than any other.",
    )
    columns = {
        "metric": "metric",
        "model": "model",
        "than": "better than",
        "value": "probability",
        "low": "95 % from",
        "high": "to",
    }
    first = np.arange(len(table)) % 2 == 0  # pairs stand below each other; of a tie neither is the better one
    kept = table[(table.value > 0.5) | (first & (table.value == 0.5))]  # the other half says the same
    note = "95 %: bootstrap over the configurations of both models. Each pair stands once, from the side of the better one."
    return Section("improvement", "Is one model better than another?", "", [plot], [_readable(kept, columns, note)])


def _agreement(table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    pooled = table[(table.model == "") & table.spearman.notna()]
    for setting, rows in pooled.groupby("setting", sort=False):
        least, most = rows.loc[rows.spearman.idxmin()], rows.loc[rows.spearman.idxmax()]
        where = f"{setting}: " if table.setting.nunique() > 1 else ""
        words.append(
            f"{where}over the runs of all models “{MEASURES[least.metric].title}” and “{MEASURES[least.other].title}” "
            f"agree least "
            f"(rank correlation {least.spearman:.2f}; {least.disagreement:.0%} of the runs are in the better half by the "
            f"first and in the "
            f"worse half by the second, {least.expected:.0%} if the two had nothing to do with each other)"
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
        "Left: 1 is the same order of the runs, 0 no relation; costs are compared, so better by one and better by the other is "
        "positive whatever the metrics' directions. Right: the paper reports 15 % between its two Inception scores on CIFAR-10; "
        "without any relation it would be 25 %.",
    )
    columns = {"metric": "metric", "other": "and", "model": "runs of", "n": "runs", "spearman": "rank correlation"}
    columns |= {
        "low": "95 % from",
        "high": "to",
        "disagreement": "better by the first, worse by the second",
        "expected": "without relation",
    }
    note = (
        "Runs that have a value by both. Over all models' runs a good part of an agreement is that models differ; "
        "within a model it is not."
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
            plots.append(
                folder.plot(
                    f"hyperparameters_{number + 1}_{re.sub(r'[^a-z0-9_]+', '-', model.rpartition('.')[2].lower())}",
                    statistic_figures.hyperparameters(some, model, rows),
                    _which_matters(rows, title(model)),
                    f"Dots are runs{f' in {some.setting}' if table.setting.nunique() > 1 else ''}, bars medians. The "
                    f"share of the variance of "
                    "the configurations' ranks that lies between the values, beside what chance gives with as many "
                    "values. A sweep that "
                    "draws its configurations at random varies several hyperparameters at once: a share is a hint, not a proof.",
                )
            )
    if not plots:
        return None
    columns = {"metric": "metric", "model": "model", "hyperparameter": "hyperparameter", "share": "variance explained"}
    columns |= {"chance": "by chance", "p_value": "p (Kruskal-Wallis)", "configurations": "configurations", "levels": "values"}
    note = (
        "The unit is the configuration, its seeds together. With many hyperparameters some p are small by chance: they "
        "are not corrected."
    )
    return Section("hyperparameters", "Which hyperparameter matters?", "", plots, [_readable(table, columns, note)])


def _which_matters(rows: pd.DataFrame, model: str) -> str:
    known = rows.dropna(subset="share")
    if known.empty:
        return f"{model}: every configuration has values of its own, so nothing can be told about a single hyperparameter."
    first = known.loc[(known.share - known.chance).idxmax()]
    name = first.hyperparameter.replace("_", " ")
    text = (
        f"{model}: most goes with the {name}, {first.share:.0%} of the variance of the ranks (chance "
        f"{first.chance:.0%}, p = {first.p_value:.2g})"
    )
    return text + ("." if first.p_value < 0.05 else ", which chance may have made.")


def _seeds(those: Sequence[Comparison], table: pd.DataFrame, folder: FigureFolder) -> Section | None:
    if table.empty:
        return None
    words = []
    for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False):
        most = rows.loc[rows.share_of_seeds.idxmax()] if rows.share_of_seeds.notna().any() else rows.iloc[0]
        least = rows.loc[rows.share_of_seeds.idxmin()] if rows.share_of_seeds.notna().any() else rows.iloc[0]
        if np.isnan(most.share_of_seeds):
            continue
        words.append(
            f"{_name(metric, setting, table)}: seeds make {least.share_of_seeds:.0%} ({title(least.model)}) to "
            f"{most.share_of_seeds:.0%} "
            f"({title(most.model)}) of the variance between runs, the hyperparameters the rest."
        )
    shown = [some for some in those if ((table.metric == some.measure.metric) & (table.setting == some.setting)).any()]
    plot = folder.plot(
        "seeds",
        statistic_figures.seeds(shown),
        " ".join(words) or "All runs score alike.",
        "Each vertical line is one configuration, its dots its seeds; configurations stand in the order of their means. "
        "What lies "
        "between dots on a line is noise of the seed, what lies between lines is the sweep. Neither is a substitute for "
        "the other: "
        "boxes over a sweep say nothing about repeated training.",
    )
    columns = {"metric": "metric", "model": "model", "seed_sd": "SD of seeds", "sweep_sd": "SD of configurations"}
    columns |= {
        "measurement_sd": "SD of measuring",
        "share_of_seeds": "share of seeds",
        "configurations": "configurations",
        "runs": "runs",
    }
    note = (
        "Variance components of one-way random effects, over configurations with at least two seeds that have a value. SD of "
        "measuring: of one run's value over redrawing its samples, the median over runs; the SD of seeds contains it. For "
        "a metric to "
        "match, all are of distances to real images."
    )
    return Section("seeds", "Seeds or hyperparameters?", "", [plot], [_readable(table, columns, note)])


def not_shown(tables: Tables) -> list[str]:
    """Why statistics may be missing from a page, in sentences."""
    seeds = tables.runs[~tables.runs.model.isin(["real", "noise"])].groupby("configuration").size()
    if len(seeds) and seeds.max() < 2:
        return ["Every configuration has one seed: nothing is said about the noise of seeds (SEEDS=2 or more would)."]
    return []
