"""The static figures of scores, for the page and for papers; each takes comparisons or tables and gives a figure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.model.registry import TITLES, in_order, title
from benchmark.report.drawing.style import REFERENCES, STYLE, colours, panels
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import BEST

MANY = 2_000
"""Points above which a panel's dots are drawn as a bitmap, also in an SVG."""


def box_plots(those: Sequence[Comparison], levels: Mapping[str, Mapping[str, float]] | None = None) -> Figure:
    """Quartiles of a metric over each model's sweep, all runs as dots, the ten best as black circles, the sanity rows as lines.

    Rosca et al. 2017, figures 2 and 5.

    Args:
        those: of one metric, one pair of axes each.
        levels: further lines to compare with, by setting and label.
    """
    widest = max(len(some.models) for some in those)
    with mpl.rc_context(STYLE):
        figure, every = panels(len(those), 1.2 + 0.85 * max(2, widest), 2.7)
        for some, axes in zip(those, every, strict=True):
            _boxes(axes, some, (levels or {}).get(some.setting, {}))
            heading = some.measure.title if len(those) == 1 else some.setting
            axes.set_title(textwrap.fill(heading, 8 + 12 * max(2, widest)))
        if len(those) > 1:
            figure.suptitle(those[0].measure.title, fontsize=9)
    return figure


def _boxes(axes: Axes, some: Comparison, levels: Mapping[str, float]) -> None:
    runs, models = some.measured, [model for model in some.models if model in set(some.measured.model)]
    if models:
        sns.boxplot(
            runs,
            x="model",
            y="value",
            order=models,
            hue="model",
            palette=some.colours,
            legend=False,
            ax=axes,
            width=0.55,
            fliersize=0,
            linewidth=0.9,
        )
        axes.set_xticks(range(len(models)), [box_label(some, model) for model in models])
    for position, model in enumerate(models):
        mine, best = some.of(model).dropna(subset="value"), some.best(model, BEST)
        places = pd.Series(position + spread_out(len(mine)), mine.run)
        axes.plot(places, mine.value, ".", color="0.35", markersize=2.5, rasterized=len(runs) > MANY)
        axes.scatter(places[best.run], best.value, s=22, facecolors="none", edgecolors="black", linewidths=0.9, zorder=5)
    _reference_lines(axes, some, levels)
    axes.set(xlabel="", ylabel=f"{some.measure.unit}\n({some.measure.direction})")


def box_label(some: Comparison, model: str) -> str:
    """The model's title, and below it of how many runs its box is made."""
    n, without = int(some.of(model).value.notna().sum()), some.without_value(model)
    return f"{title(model)}\nn = {n}" + (f" of {n + without}" if without else "")


def spread_out(n: int) -> np.ndarray:
    """Sideways places of n dots, the same ones every time: multiples of the golden ratio lie apart from each other."""
    return (np.arange(n) * 0.618034 % 1 - 0.5) * min(0.4, 0.04 * n)


def _reference_lines(axes: Axes, some: Comparison, levels: Mapping[str, float]) -> None:
    """Lines for real images, noise and further levels; one far from the runs is named at the edge, not to flatten boxes."""
    values = some.measured.value
    low, high = (values.min(), values.max()) if len(values) else (-math.inf, math.inf)
    spread = high - low
    lines = [(label, "#222222" if label == TITLES["real"] else "#777777", level) for label, level in lines_of(some, levels)]
    near = [line for line in lines if not spread > 0 or low - 1.5 * spread <= line[2] <= high + 1.5 * spread]
    for label, colour, level in near:
        axes.axhline(level, color=colour, linestyle="--" if label == TITLES["real"] else ":", linewidth=1, zorder=0)
    for (label, colour, _), place in zip(near, _apart(axes, [level for _, _, level in near]), strict=True):
        axes.annotate(
            label,
            (1, place),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="center",
            color=colour,
            fontsize=7,
            xytext=(2, 0),
            textcoords="offset points",
        )
    for above, edge, va, arrow in ((True, 0.98, "top", "↑"), (False, 0.02, "bottom", "↓")):
        far = [line for line in lines if line not in near and (line[2] > high if above else line[2] < low)]
        if far:
            words = "\n".join(f"{label}: {level:.3g} {arrow}" for label, _, level in far)
            axes.annotate(words, (0.99, edge), xycoords="axes fraction", ha="right", va=va, color="#555555", fontsize=6)


def lines_of(some: Comparison, levels: Mapping[str, float]) -> list[tuple[str, float]]:
    """What a comparison is held against, by label: the sanity rows that were measured, and further levels."""
    references = [(TITLES[name], float(some.of_reference(name).median())) for name in REFERENCES]
    return [(label, level) for label, level in [*references, *levels.items()] if not math.isnan(level)]


def _apart(axes: Axes, levels: list[float]) -> list[float]:
    """Heights for labels of these levels, moved up where one would hide another."""
    bottom, top = axes.get_ylim()
    step, placed = 0.05 * (top - bottom), dict[int, float]()
    for number in sorted(range(len(levels)), key=levels.__getitem__):
        placed[number] = max(levels[number], max(placed.values(), default=-math.inf) + step)
    return [placed[number] for number in range(len(levels))]


def critic_curves(points: pd.DataFrame, everyone: Sequence[str]) -> Figure:
    """The in-training critic on validation and test images along training, the median over each model's runs (figure 13).

    Args:
        points: columns setting, model, iteration, metric ("critic_curve/validation" or "critic_curve/test"), value.
        everyone: all models of the report, for their colours.
    """
    settings, models = list(points.setting.unique()), in_order(points.model)
    data = points.assign(split=points.metric.str.removeprefix("critic_curve/"))
    with mpl.rc_context(STYLE):
        figure, every = panels(len(settings), 3.4, 2.6)
        for setting, axes in zip(settings, every, strict=True):
            sns.lineplot(
                data[data.setting == setting],
                x="iteration",
                y="value",
                hue="model",
                hue_order=models,
                palette=colours(everyone),
                style="split",
                style_order=["validation", "test"],
                estimator="median",
                errorbar=None,
                marker="o",
                markersize=3,
                linewidth=1,
                legend=axes is every[-1],
                ax=axes,
            )
            axes.set(ylabel="E[f(samples)] − E[f(images)]", title=setting if len(settings) > 1 else "The critic along training")
        _legend_outside(every[-1])
    return figure


def scatter(x: Sequence[Comparison], y: Sequence[Comparison]) -> Figure:
    """Each run by two metrics, one pair of axes a setting (figure 15: critic against diversity).

    Args:
        x: by one metric.
        y: by another, of the same settings in the same order.
    """
    with mpl.rc_context(STYLE):
        figure, every = panels(len(x), 3.4, 2.7)
        for horizontal, vertical, axes in zip(x, y, every, strict=True):
            both = paired(horizontal, vertical)
            models = in_order(both.model)
            sns.scatterplot(
                both,
                x="x",
                y="y",
                hue="model",
                hue_order=models,
                palette={**horizontal.colours, **vertical.colours},
                s=14,
                linewidth=0.3,
                legend=axes is every[-1],
                rasterized=len(both) > MANY,
                ax=axes,
            )
            for some, line in ((horizontal, axes.axvline), (vertical, axes.axhline)):
                if some.measure.goal == "match" and not math.isnan(some.reference):
                    line(some.reference, color="#222222", linestyle="--", linewidth=1, zorder=0)
            axes.set(
                xlabel=f"{horizontal.measure.unit}\n({horizontal.measure.direction})",
                ylabel=f"{vertical.measure.unit}\n({vertical.measure.direction})",
                title=textwrap.fill(horizontal.setting, 40) if len(x) > 1 else "",
            )
        if every[-1].get_legend():
            _legend_outside(every[-1])
    return figure


def paired(x: Comparison, y: Comparison) -> pd.DataFrame:
    """Runs that have a value by both metrics: run, model, configuration, x, y, and their costs x_cost, y_cost."""
    left, right = (
        some.measured[["run", "model", "configuration", "value", "cost"]].rename(columns={"value": name, "cost": f"{name}_cost"})
        for name, some in (("x", x), ("y", y))
    )
    return left.merge(right[["run", "y", "y_cost"]], on="run")


def _legend_outside(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, [title(label) for label in labels], fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
