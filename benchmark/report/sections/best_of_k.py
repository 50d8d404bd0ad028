"""Show what a budget of k runs buys: the expected best of k, for each model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.style import STYLE, Colours, colours, grid, heading
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import in_unit
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import best_of_k, best_of_k_intervals
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import BETTER, Group, best_models, by_metric, titles

POINTS = 30
"""Budgets on a curve, at most, beside the sizes of the sweeps."""
CAPTION = (
    "The expected best of k runs drawn without replacement from those that were made; k ends at their number. Bands: 95 % "
    "bootstrap over configurations, each with its seeds; near the right end too narrow, for no draw is better than the "
    "best seen. A curve begins where k runs cannot all be without a value. Runs are chosen and scored by one evaluation "
    "here, which flatters the best of many a little: the section above says how much."
)


class BestOfK(ReportSection):
    """A curve a model over the number of runs that one can afford, by each headline metric."""

    file = "best_of_k"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute the expected best value of k runs, for k up to all: setting, metric, model, k, value, low, high (95 %)."""
        rows = [row for comparison in results.headlines for row in _rows(comparison)]
        return pd.DataFrame(rows, columns=["setting", "metric", "model", "k", "value", "low", "high"])

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where models can be ranked."""
        if table.empty:
            return
        groups = by_metric(table, results.catalogue)
        plot = figures.plot(
            "best_of_k",
            curves(groups, colours(results.models)),
            " ".join(f"{group.name}: {who_leads(group)}" for group in groups),
            CAPTION,
        )
        yield Section("best-of-k", "What a budget of k runs buys", "", [plot])


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    sweeps = {model: comparison.sweep(model) for model in comparison.models}
    sizes = [len(sweep.costs) for sweep in sweeps.values()]
    # Each sweep's end, and the same budgets for all models before it.
    budgets = sorted({*sizes, *np.geomspace(1, max(sizes), POINTS).round().astype(int).tolist()})
    for model, sweep in sweeps.items():
        ks = [k for k in budgets if k <= len(sweep.costs)]
        intervals = best_of_k_intervals(sweep, ks, comparison.source("best of k", model))
        for k, cost, interval in zip(ks, best_of_k(sweep.costs, ks), intervals, strict=True):
            value, low, high = in_unit(cost, interval, comparison.metric)
            where = {"setting": comparison.setting, "metric": comparison.metric.name, "model": model}
            yield {**where, "k": k, "value": value, "low": low, "high": high}


def curves(groups: Sequence[Group], palette: Colours) -> Figure:
    """Draw the expected best value over the number of runs that one can afford, with its interval."""
    models = in_order(model for group in groups for model in group.rows.model)
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(groups), 2.9, 2.5)
        for group, axes in zip(groups, every_axes, strict=True):
            for model in models:
                rows = group.rows[group.rows.model == model]
                axes.plot(rows.k, rows.value, color=palette[model], linewidth=1.2, label=title(model), marker=".", markersize=3)
                axes.fill_between(rows.k, rows.low, rows.high, color=palette[model], alpha=0.15, linewidth=0)
            if group.rows.k.max() > 50:
                axes.set_xscale("log")
            else:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(
                xlabel="runs k that one can afford",
                ylabel=f"expected best\n({BETTER[group.metric.goal]})",
                title=heading(group.metric, group.setting),
            )
        every_axes[0].legend(fontsize=6, frameon=False)
    return figure


def who_leads(group: Group) -> str:
    """Say who is expected to do best with the smallest and with the largest budget that all models have a value of."""
    rows, goal = group.rows, group.metric.goal
    if rows.model.nunique() == 1:
        known = rows.dropna(subset="value")
        return f"the best of {known.k.iloc[-1]} runs is {known.value.iloc[-1]:.3g}." if len(known) else "no run has a value."
    by_budget = rows.pivot(index="k", columns="model", values="value").dropna()
    if by_budget.empty:
        return "no budget at which every model has an expected best."
    k, most = int(by_budget.index[0]), int(by_budget.index[-1])
    small, large = (best_models(by_budget.loc[budget], goal) for budget in (k, most))
    start = f"with {k} run{'s' * (k > 1)} {titles(small)} {'are' if len(small) > 1 else 'is'} expected to do best"
    return f"{start}." if k == most else f"{start}, with {most} {'still' if small == large else titles(large)}."
