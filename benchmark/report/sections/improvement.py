"""Tell whether one model is better than another: how often a random run of it is, and whether chance explains that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.style import STYLE, grid, heading, heat_map
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import difference, holm, probability_of_improvement
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import SURE, Group, by_metric, readable

COLUMNS = {
    "metric": "metric",
    "model": "model",
    "than": "better than",
    "value": "probability",
    "low": "95 % from",
    "high": "to",
    "p_holm": "p (Holm)",
}
NOTE = (
    "95 %: bootstrap over the configurations of both models; where two sweeps do not overlap it is [1, 1] however small "
    "they are, so go by p: Mann and Whitney's test of the configurations' mean ranks, exact for few, corrected for the "
    "number of pairs. Each pair stands once, from the side of the better one."
)


class Improvement(ReportSection):
    """A matrix of the models against each other, by each headline metric, and a table with the tests."""

    file = "improvement"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute how often a random run of a model is better than one of another.

        Returns:
            setting, metric, model, than, value, low, high (95 %), p_value (`statistics.difference`) and p_holm, corrected for the
            number of pairs of the metric.
        """
        columns = ["setting", "metric", "model", "than", "value", "low", "high", "p_value", "p_holm"]
        return pd.DataFrame([row for comparison in results.headlines for row in _rows(comparison)], columns=columns)

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where there are two models."""
        if table.empty:
            return
        groups = by_metric(table, results.catalogue)
        plot = figures.plot(
            "probability_of_improvement",
            matrices(groups),
            " ".join(f"{group.name}: {told_apart(group.rows)}" for group in groups),
            "How often a random run of the row's model is better than a random run of the column's, ties half. Runs that "
            "diverged or failed are worse than any other.",
        )
        shown = readable(_each_pair_once(table), COLUMNS, NOTE, results)
        yield Section("improvement", "Is one model better than another?", "", [plot], [shown])


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    sweeps = {model: comparison.sweep(model) for model in comparison.models}
    pairs = list(itertools.combinations(comparison.models, 2))
    p_values = [difference(sweeps[model], sweeps[other]) for model, other in pairs]
    for (model, other), p_value, p_holm in zip(pairs, p_values, holm(p_values), strict=True):
        improvement = probability_of_improvement(sweeps[model], sweeps[other], comparison.source("improvement", model, other))
        value, low, high = improvement.probability, improvement.interval.low, improvement.interval.high
        shared = {"setting": comparison.setting, "metric": comparison.metric.name}
        tests = {"p_value": p_value, "p_holm": p_holm}
        yield {**shared, "model": model, "than": other, "value": value, "low": low, "high": high, **tests}
        yield {**shared, "model": other, "than": model, "value": 1 - value, "low": 1 - high, "high": 1 - low, **tests}


def matrices(groups: Sequence[Group]) -> Figure:
    """Draw how often a run of one model beats a run of another."""
    size = 1.2 + 0.55 * len({model for group in groups for model in group.rows.model})
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(groups), size, size)
        for group, axes in zip(groups, every_axes, strict=True):
            models = in_order(group.rows.model)
            matrix = group.rows.pivot(index="model", columns="than", values="value").reindex(index=models, columns=models)
            heat_map(axes, matrix, title, (0, 1), "vlag", "{:.0%}")
            axes.set(xlabel="is worse", ylabel="is better", title=heading(group.metric, group.setting))
    return figure


def told_apart(rows: pd.DataFrame) -> str:
    """Say how many pairs of models differ by more than chance, and which."""
    tested = rows[rows.p_holm.notna()]
    if tested.empty:
        return "a single configuration of a model says nothing about others, so no pair was tested."
    sure = tested[(tested.p_holm < SURE) & (tested.value > 0.5)]
    text = f"{len(sure)} of {len(tested) // 2} pairs of models can be told apart (p < {SURE:g} after Holm's correction)"
    pairs = [f"{title(row.model)} over {title(row.than)} ({row.value:.0%})" for row in sure.itertuples()]
    return text + (f": {', '.join(pairs)}." if pairs else ".")


def _each_pair_once(table: pd.DataFrame) -> pd.DataFrame:
    """From the side of the better model; the other half says the same."""
    is_first = np.arange(len(table)) % 2 == 0  # a pair's rows stand below each other; of a tie neither is the better one
    return table[(table.value > 0.5) | (is_first & (table.value == 0.5))]
