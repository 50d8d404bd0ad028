"""Compare the models at equal budget: no sweep has more tries than another."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.style import STYLE, Colours, colours, grid, heading
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import in_unit, or_nan, scale_of, value_of
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import Sweep, at_equal_budget
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import BETTER, Group, best_models, by_metric, titles

COLUMNS = (
    "setting",
    "metric",
    "model",
    "configurations",
    "seeds",
    "of",
    "quartile_1",
    "median",
    "quartile_3",
    "best",
    "low",
    "high",
)


class EqualBudget(ReportSection):
    """Quartiles and best of random subsets of the smallest sweep's size, where sweeps differ in configurations or in seeds."""

    file = "equal_budget"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute quartiles and best of random subsets of each sweep.

        Returns:
            setting, metric, model, configurations (of the smallest sweep), seeds (of each, as many as every configuration has),
            of (its own configurations), quartile_1, median, quartile_3, best (medians over the subsets), low, high (95 % of the
            subsets' bests, empty for the smallest sweep, of which there is one subset); of a metric to match, all are distances.
        """
        rows = [row for comparison in results.headlines for row in _rows(comparison)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where sweeps differ in size."""
        if table.empty:
            return
        groups = by_metric(table, results.catalogue)
        plot = figures.plot(
            "equal_budget",
            boxes(groups, colours(results.models)),
            " ".join(map(who_is_best, groups)),
            "Sweeps of different size are not compared by their bests: more tries find better runs. Here each model has as many "
            "configurations as the smallest sweep, and as many seeds of each, drawn at random 1,000 times: boxes are the "
            "quartiles and circles the best of a draw, medians over the draws, with the range of 95 % of the draws' bests.",
        )
        yield Section("equal-budget", "At equal budget", "", [plot])


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    seeds = {model: comparison.of(model).groupby("configuration").size() for model in comparison.models}
    fewest, each = min(map(len, seeds.values())), min(int(sizes.min()) for sizes in seeds.values())
    if all(len(sizes) == fewest and (sizes == each).all() for sizes in seeds.values()):
        return
    for model, sizes in seeds.items():
        runs = comparison.of(model).groupby("configuration", sort=False).head(each)  # the first seeds of each
        sweep = Sweep(runs.cost.to_numpy(float), runs.configuration.to_numpy())
        budget = at_equal_budget(sweep, fewest, comparison.source("equal budget", model))
        costs = (budget.quartile_1, budget.median, budget.quartile_3)
        first, middle, third = (or_nan(value) for value in sorted(value_of(cost, comparison.metric) for cost in costs))
        best, low, high = in_unit(budget.best, budget.best_interval, comparison.metric)
        if fewest == len(sizes):
            low = high = float("nan")
        yield {
            "setting": comparison.setting,
            "metric": comparison.metric.name,
            "model": model,
            "configurations": fewest,
            "seeds": each,
            "of": len(sizes),
            "quartile_1": first,
            "median": middle,
            "quartile_3": third,
            "best": best,
            "low": low,
            "high": high,
        }


def boxes(groups: Sequence[Group], palette: Colours) -> Figure:
    """Draw the quartiles of random subsets as boxes without whiskers, and their bests as circles with an interval."""
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(groups), 2.9, 2.5)
        for group, axes in zip(groups, every_axes, strict=True):
            _draw(axes, group.rows.set_index("model").loc[in_order(group.rows.model)], palette)
            axes.set(
                ylabel=f"{scale_of(group.metric)}\n({BETTER[group.metric.goal]})",
                title=heading(group.metric, group.setting),
            )
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, palette: Colours) -> None:
    places = range(len(rows))
    quartiles = rows[["quartile_1", "median", "quartile_3"]].to_numpy()
    boxes = [{"q1": a, "med": b, "q3": c, "whislo": a, "whishi": c} for a, b, c in quartiles]
    drawn = axes.bxp(boxes, positions=places, showfliers=False, showcaps=False, widths=0.55, patch_artist=True)
    for patch, model in zip(drawn["boxes"], rows.index, strict=True):
        patch.set_facecolor(palette[model])
    for line in drawn["medians"]:
        line.set_color("black")
    axes.errorbar(places, rows.best, yerr=_around(rows), fmt="o", color="black", markersize=4, mfc="none", linewidth=0.8)
    axes.set_xticks(places, [f"{textwrap.fill(title(model), 10)}\nof {rows.of[model]}" for model in rows.index], fontsize=6)


def _around(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of error bars below and above the best values, (2, n)."""
    lengths = np.array([rows.best - rows.low, rows.high - rows.best], float)
    return np.where(np.isfinite(lengths), lengths, 0).clip(min=0)


def who_is_best(group: Group) -> str:
    """Say which model is best at the common budget, by the median and by the best run."""
    rows = group.rows
    budget = f"{group.name}, {rows.configurations.iloc[0]} configurations of each model"
    budget += f" with {rows.seeds.iloc[0]} seeds each" if rows.seeds.iloc[0] > 1 else ""
    lost = rows.model[rows["median"].isna() | rows.best.isna()]
    if len(lost):
        return f"{budget}: not ranked, for most draws of {titles(lost)} hold too many runs without a value."
    values = rows.set_index("model")
    medians, bests = (titles(best_models(values[column], group.metric.goal)) for column in ("median", "best"))
    return f"{budget}: best by the median {medians}, by the best run {bests}."
