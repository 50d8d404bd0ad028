"""Tell which hyperparameter matters: how much of the order of a model's configurations goes with each that its sweep varies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.model.registry import title
from benchmark.report.drawing.style import COLUMNS, MANY, STYLE, Colours, colours, grid, spread_out
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import holm, variance_explained
from benchmark.report.page.content import Plot, Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import SURE, readable

PANELS = 12
"""Hyperparameters in a figure, at most: those that explain most beyond chance."""
LEVELS = 8
"""Values of a hyperparameter that have a place of their own on an axis, at most."""
READABLE = {
    "metric": "metric",
    "model": "model",
    "hyperparameter": "hyperparameter",
    "share": "variance explained",
    "chance": "by chance",
    "p_value": "p (Kruskal-Wallis)",
    "configurations": "configurations",
    "levels": "values",
    "p_holm": "p (Holm)",
}
"""Columns of the table to those of the page."""
NOTE = (
    "The unit is the configuration, its seeds together. The last p is corrected for the number of the model's "
    "hyperparameters. Lost runs rank worst, and are not drawn."
)


class Hyperparameters(ReportSection):
    """A figure a model, by the first headline metric of each setting, and a table by all of them."""

    file = "hyperparameters"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute the share of each hyperparameter.

        Returns:
            setting, metric, model, hyperparameter, share (of the ranks' variance), chance (what it would be without any effect),
            p_value and p_holm (corrected for the number of the model's hyperparameters), configurations, levels.
        """
        rows = [row for comparison in results.headlines for model in comparison.models for row in _rows(comparison, model)]
        columns = ["setting", "metric", "model", "hyperparameter", "share", "chance", "p_value", "p_holm"]
        return pd.DataFrame(rows, columns=[*columns, "configurations", "levels"])

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where a sweep varies something."""
        plots: list[Plot] = []
        several = table.setting.nunique() > 1
        for comparison in {comparison.setting: comparison for comparison in reversed(results.headlines)}.values():
            of_metric = table[(table.metric == comparison.metric.name) & (table.setting == comparison.setting)]
            for model in comparison.models:
                rows = of_metric[of_metric.model == model]
                if len(rows):
                    figure = panels_of(comparison, model, _most_telling(rows), colours(results.models))
                    setting = comparison.setting if several else ""
                    plots.append(
                        figures.plot(_name(len(plots) + 1, model), figure, which_matters(rows, title(model)), _caption(setting))
                    )
        if plots:
            shown = readable(table, READABLE, NOTE, results)
            yield Section("hyperparameters", "Which hyperparameter matters?", "", plots, [shown])


def _rows(comparison: Comparison, model: str) -> Iterator[dict[str, Any]]:
    sweep, values = comparison.sweep(model), swept(comparison, model)
    explained = {name: variance_explained(sweep, values[name].map(repr).to_numpy(str)) for name in values}
    corrected = holm([share.p_value for share in explained.values()])
    for (name, share), p_holm in zip(explained.items(), corrected, strict=True):
        yield {
            "setting": comparison.setting,
            "metric": comparison.metric.name,
            "model": model,
            "hyperparameter": name,
            "share": share.share,
            "chance": share.chance,
            "p_value": share.p_value,
            "p_holm": p_holm,
            "configurations": share.n,
            "levels": share.levels,
        }


def swept(comparison: Comparison, model: str) -> pd.DataFrame:
    """Choose the hyperparameters that differ between a model's runs: a row for each run that counts, in their order."""
    values = pd.DataFrame([*comparison.of(model).hyperparameters])
    return values[[name for name in values if values[name].map(repr).nunique() > 1]]


def _most_telling(rows: pd.DataFrame) -> pd.DataFrame:
    beyond_chance = (rows.share - rows.chance).sort_values(ascending=False, kind="stable")
    return rows.loc[beyond_chance.index[:PANELS].sort_values()]


def _name(number: int, model: str) -> str:
    """The name of a figure's files: a model's name may hold anything."""
    return f"hyperparameters_{number}_{re.sub(r'[^a-z0-9_]+', '-', model.rpartition('.')[2].lower())}"


def _caption(setting: str) -> str:
    return (
        f"Dots are runs{f' in {setting}' if setting else ''}, bars medians. The share of "
        "the variance of the configurations' ranks that lies between the values, beside what chance gives with as "
        "many values. A sweep that draws its configurations at random varies several hyperparameters at once: a "
        "share is a hint, not a proof."
    )


def panels_of(comparison: Comparison, model: str, rows: pd.DataFrame, palette: Colours) -> Figure:
    """Draw a metric over each value of hyperparameters, all runs as dots, medians as bars.

    Args:
        comparison: the runs.
        model: the model.
        rows: of the table, of this comparison and model; a panel each.
        palette: a colour a model.
    """
    values, runs = swept(comparison, model), comparison.of(model)
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(rows), 2.3, 2.2)
        for row, axes in zip(rows.itertuples(), every_axes, strict=True):
            _by_level(axes, values[row.hyperparameter].to_numpy(), runs.value.to_numpy(), palette[model])
            share = f"{row.share:.0%} of the variance (chance {row.chance:.0%})"
            words = f"{row.hyperparameter.replace('_', ' ')}\n" + ("nothing can be told" if np.isnan(row.share) else share)
            axes.set(title=words, xlabel="", ylabel=comparison.metric.unit if axes in every_axes[::COLUMNS] else "")
            axes.title.set_fontsize(7)
        figure.suptitle(f"{title(model)}: {comparison.metric.title} ({comparison.metric.direction})", fontsize=8)
    return figure


def _by_level(axes: Axes, levels: np.ndarray, values: np.ndarray, colour: tuple[float, float, float]) -> None:
    """Numbers in their order, other values by their words; many numbers on an axis of numbers."""
    plain, many = levels.tolist(), len(values) > MANY  # numpy's integers are no ints
    numeric = all(isinstance(level, int | float) and not isinstance(level, bool) and level == level for level in plain)
    places = sorted(set(plain)) if numeric else sorted({*map(str, plain)})
    if not numeric:
        levels = np.array([*map(str, plain)])
    if numeric and len(places) > LEVELS:
        axes.plot(levels, values, ".", color=colour, markersize=3, rasterized=many)
        return
    for place, level in enumerate(places):
        at_level = values[levels == level]
        at_level = at_level[~np.isnan(at_level)]
        axes.plot(place + spread_out(len(at_level)), at_level, ".", color=colour, markersize=4, rasterized=many)
        if len(at_level):
            axes.hlines(np.median(at_level), place - 0.3, place + 0.3, color="black", linewidth=1)
    shown = range(0, len(places), -(-len(places) // LEVELS))
    words = [f"{places[place]:g}" if numeric else _cut(places[place]) for place in shown]
    is_long = sum(map(len, words)) > 20
    axes.set_xticks(shown, words, fontsize=6, rotation=30 if is_long else 0, ha="right" if is_long else "center")
    axes.set_xlim(-0.6, len(places) - 0.4)


def _cut(level: str) -> str:
    return level if len(level) <= 14 else f"{level[:13]}…"


def which_matters(rows: pd.DataFrame, model: str) -> str:
    """Say which hyperparameter of a model explains most beyond chance, and whether chance may have made it.

    Args:
        rows: of the table, of the model.
        model: its title.
    """
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
