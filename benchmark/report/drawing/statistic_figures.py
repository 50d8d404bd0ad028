"""The static figures of what a sweep tells beyond its quartiles; each is drawn from a table of `analysis`."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.figures import MANY, spread_out
from benchmark.report.drawing.style import STYLE, colours, panels
from benchmark.report.numbers.analysis import swept
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import scale_of
from metrics.catalogue import MEASURES

COLUMNS = 3
"""Panels side by side, at most."""
LEVELS = 8
"""Values of a hyperparameter that have a place of their own on an axis, at most."""


def _grid(number: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Panels in rows of at most `COLUMNS`; to be used inside `rc_context(STYLE)`."""
    across = 2 if number == 4 else min(number, COLUMNS)
    return panels(number, width, height, across)


def _heading(setting: str, metric: str, several: bool) -> str:
    return textwrap.fill(f"{MEASURES[metric].title}{f', {setting}' if several else ''}", 30)


def _groups(table: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """The rows of each setting and metric, in the table's order."""
    return [(setting, metric, rows) for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False)]


def best_of_k(table: pd.DataFrame, everyone: Sequence[str]) -> Figure:
    """The expected best value over the number of runs that one can afford, with its interval."""
    groups, models = _groups(table), in_order(table.model)
    palette = colours([*everyone, *models])
    with mpl.rc_context(STYLE):
        figure, every = _grid(len(groups), 2.9, 2.5)
        for (setting, metric, rows), axes in zip(groups, every, strict=True):
            for model in models:
                mine = rows[rows.model == model]
                axes.plot(mine.k, mine.value, color=palette[model], linewidth=1.2, label=title(model), marker=".", markersize=3)
                axes.fill_between(mine.k, mine.low, mine.high, color=palette[model], alpha=0.15, linewidth=0)
            if rows.k.max() > 50:
                axes.set_xscale("log")
            else:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(
                xlabel="runs k that one can afford",
                ylabel=f"expected best\n({_better(metric)})",
                title=_heading(setting, metric, table.setting.nunique() > 1),
            )
        every[0].legend(fontsize=6, frameon=False)
    return figure


def _better(metric: str) -> str:
    return {"maximize": "higher is better", "minimize": "lower is better", "match": "distance to real, lower is better"}[
        MEASURES[metric].goal
    ]


def equal_budget(table: pd.DataFrame, everyone: Sequence[str]) -> Figure:
    """Quartiles of random subsets of the smallest sweep's size: boxes that no model has more tries for than another."""
    groups = _groups(table)
    with mpl.rc_context(STYLE):
        figure, every = _grid(len(groups), 2.9, 2.5)
        for (setting, metric, rows), axes in zip(groups, every, strict=True):
            models = in_order(rows.model)
            rows = rows.set_index("model").loc[models]
            quartiles = rows[["quartile_1", "median", "quartile_3"]].to_numpy()
            boxes = [{"q1": a, "med": b, "q3": c, "whislo": a, "whishi": c} for a, b, c in quartiles]
            drawn = axes.bxp(
                boxes, positions=range(len(models)), showfliers=False, showcaps=False, widths=0.55, patch_artist=True
            )
            for patch, model in zip(drawn["boxes"], models, strict=True):
                patch.set_facecolor(colours([*everyone, *models])[model])
            for line in drawn["medians"]:
                line.set_color("black")
            axes.errorbar(
                range(len(models)), rows.best, yerr=_around(rows), fmt="o", color="black", markersize=4, mfc="none", linewidth=0.8
            )
            axes.set_xticks(range(len(models)), [_short(title(model), rows.of[model]) for model in models], fontsize=6)
            axes.set(
                ylabel=f"{scale_of(MEASURES[metric])}\n({_better(metric)})",
                title=_heading(setting, metric, table.setting.nunique() > 1),
            )
    return figure


def _short(name: str, configurations: int) -> str:
    """A model's title on narrow lines, and how many configurations its subsets are drawn from."""
    return f"{textwrap.fill(name, 10)}\nof {configurations}"


def _around(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of error bars below and above the best values, (2, n)."""
    lengths = np.array([rows.best - rows.low, rows.high - rows.best], float)
    return np.where(np.isfinite(lengths), lengths, 0).clip(min=0)


def improvement(table: pd.DataFrame) -> Figure:
    """How often a run of one model beats a run of another, as a matrix."""
    groups = _groups(table)
    size = 1.2 + 0.55 * table.model.nunique()
    with mpl.rc_context(STYLE):
        figure, every = _grid(len(groups), size, size)
        for (setting, metric, rows), axes in zip(groups, every, strict=True):
            models = in_order(rows.model)
            matrix = rows.pivot(index="model", columns="than", values="value").reindex(index=models, columns=models)
            _heat(axes, matrix, 0, 1, "vlag", "{:.0%}")
            axes.set(xlabel="is worse", ylabel="is better", title=_heading(setting, metric, table.setting.nunique() > 1))
    return figure


def _heat(axes: Axes, matrix: pd.DataFrame, low: float, high: float, palette: str, form: str) -> None:
    words = matrix.map(lambda value: "" if np.isnan(value) else form.format(value))
    sns.heatmap(
        matrix,
        vmin=low,
        vmax=high,
        cmap=palette,
        annot=words,
        fmt="",
        square=True,
        cbar=False,
        linewidths=0.5,
        ax=axes,
        annot_kws={"fontsize": 6},
    )
    axes.set_xticklabels([_name(label) for label in matrix.columns], rotation=45, ha="right", fontsize=6)
    axes.set_yticklabels([_name(label) for label in matrix.index], rotation=0, fontsize=6)
    axes.tick_params(length=0)


def _name(label: str) -> str:
    """A model's title or a metric's name, on lines that fit beside a matrix."""
    return textwrap.fill(label.replace("_", " ") if label in MEASURES else title(label), 16)


def agreement(table: pd.DataFrame) -> Figure:
    """Rank correlations of metrics, and the share of runs that one calls better and another worse, over all models' runs."""
    pooled = table[table.model == ""]
    settings = list(pooled.setting.unique())
    size = 1.6 + 0.5 * len({*pooled.metric, *pooled.other})
    with mpl.rc_context(STYLE):
        figure, every = _grid(2 * len(settings), size, size)
        for (setting, (column, low, high, palette, form, name)), axes in zip(
            itertools.product(
                settings,
                (
                    ("spearman", -1, 1, "vlag", "{:.2f}", "Spearman's rank correlation"),
                    ("disagreement", 0, 0.5, "rocket_r", "{:.0%}", "Better half by one, worse half by the other"),
                ),
            ),
            every,
            strict=True,
        ):
            rows = pooled[pooled.setting == setting]
            metrics = list(dict.fromkeys([*rows.metric, *rows.other]))
            matrix = rows.pivot(index="other", columns="metric", values=column).reindex(index=metrics[1:], columns=metrics[:-1])
            _heat(axes, matrix, low, high, palette, form)
            axes.set(xlabel="", ylabel="", title=textwrap.fill(name + (f", {setting}" if len(settings) > 1 else ""), 34))
    return figure


def hyperparameters(some: Comparison, model: str, table: pd.DataFrame) -> Figure:
    """A metric over each value of each hyperparameter that a model's sweep varies, all runs as dots, medians as bars.

    Args:
        some: the comparison.
        model: the model.
        table: the rows of `hyperparameter_table` of this comparison and model, one panel each.
    """
    values, runs = swept(some, model), some.of(model)
    with mpl.rc_context(STYLE):
        figure, every = _grid(len(table), 2.3, 2.2)
        for row, axes in zip(table.itertuples(), every, strict=True):
            _by_level(axes, values[row.hyperparameter].to_numpy(), runs.value.to_numpy(), some.colours[model])
            words = f"{row.hyperparameter.replace('_', ' ')}\n" + (
                "nothing can be told" if np.isnan(row.share) else f"{row.share:.0%} of the variance (chance {row.chance:.0%})"
            )
            axes.set(title=words, xlabel="", ylabel=some.measure.unit if axes in every[::COLUMNS] else "")
            axes.title.set_fontsize(7)
        figure.suptitle(f"{title(model)}: {some.measure.title} ({some.measure.direction})", fontsize=8)
    return figure


def _by_level(axes: Axes, levels: np.ndarray, values: np.ndarray, colour: tuple[float, float, float]) -> None:
    plain = levels.tolist()  # numpy's integers are no ints
    numeric = all(isinstance(level, int | float) and not isinstance(level, bool) and level == level for level in plain)
    found = sorted(set(plain)) if numeric else sorted({*map(str, plain)})
    if not numeric:
        levels = np.array([*map(str, plain)])
    if numeric and len(found) > LEVELS:
        axes.plot(levels, values, ".", color=colour, markersize=3, rasterized=len(values) > MANY)
        return
    for position, level in enumerate(found):
        mine = values[levels == level]
        mine = mine[~np.isnan(mine)]
        axes.plot(position + spread_out(len(mine)), mine, ".", color=colour, markersize=4, rasterized=len(values) > MANY)
        if len(mine):
            axes.hlines(np.median(mine), position - 0.3, position + 0.3, color="black", linewidth=1)
    shown = range(0, len(found), -(-len(found) // LEVELS))
    words = [f"{found[place]:g}" if numeric else _cut(found[place]) for place in shown]
    long = sum(map(len, words)) > 20
    axes.set_xticks(shown, words, fontsize=6, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.6, len(found) - 0.4)


def _cut(level: str) -> str:
    return level if len(level) <= 14 else f"{level[:13]}…"


def seeds(those: Sequence[Comparison]) -> Figure:
    """Each configuration's seeds beside each other, configurations in the order of their means: two kinds of spread."""
    with mpl.rc_context(STYLE):
        figure, every = _grid(len(those), 2.9, 2.5)
        for some, axes in zip(those, every, strict=True):
            place, many = 0, len(some.values) > MANY
            for model in some.models:
                mine = some.of(model).dropna(subset="value")
                several = (
                    mine.groupby("configuration").value.agg(["mean", "min", "max", "size"]).sort_values("mean", kind="stable")
                )
                positions = pd.Series(range(place, place + len(several)), several.index)
                axes.vlines(positions, several["min"], several["max"], color="0.7", linewidth=0.8, rasterized=many)
                axes.plot(
                    positions[mine.configuration],
                    mine.value,
                    ".",
                    color=some.colours[model],
                    markersize=4,
                    label=title(model),
                    rasterized=many,
                )
                place += len(several) + 1
            axes.set(
                xlabel="configurations, by their mean",
                ylabel=f"{some.measure.unit}\n({some.measure.direction})",
                title=_heading(some.setting, some.measure.metric, len({each.setting for each in those}) > 1),
                xticks=[],
            )
        every[0].legend(fontsize=6, frameon=False)
    return figure
