"""The static figures, for the page and for papers: seaborn, colour-blind-safe, one colour a model everywhere."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.measures import Measure
from benchmark.models import ALIASES
from benchmark.records import write_atomically

REFERENCES = {"real": "#222222", "noise": "#888888"}
BEST = 10
"""How many of the best runs are marked by black circles (Rosca et al. 2017, figure 2)."""
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "svg.hashsalt": "alphagan",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
TITLES = {
    "real": "real images",
    "noise": "noise",
    "alphagan": "α-GAN",
    "alphagan_kl": "α-GAN, empirical KL",
    "dcgan": "DCGAN",
    "wgan_gp": "WGAN-GP",
    "age": "AGE",
}


def box_plot(
    values: pd.DataFrame, measure: Measure, without_value: Mapping[str, int], levels: Mapping[str, float] | None = None
) -> Figure:
    """Quartiles of a metric over each model's sweep, all runs as dots, the ten best as black circles, the sanity rows as lines.

    Args:
        values: columns model, value, run; one row a run.
        measure: how the metric is read.
        without_value: how many runs of a model ended without a value; said below its box, which is made of the others.
        levels: further lines to compare with, by their labels.
    """
    values = values[values.value.notna()]
    runs = values[~values.model.isin(list(REFERENCES))]
    models = in_order(runs.model)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(1.2 + 0.85 * max(2, len(models)), 2.6)
        if models:
            sns.boxplot(
                runs,
                x="model",
                y="value",
                order=models,
                hue="model",
                palette=colours(models),
                legend=False,
                ax=axes,
                width=0.55,
                fliersize=0,
                linewidth=0.9,
            )
            sns.stripplot(runs, x="model", y="value", order=models, color="0.35", size=2.5, jitter=False, ax=axes)
            axes.set_xticks(
                range(len(models)), [_label(model, (runs.model == model).sum(), without_value.get(model, 0)) for model in models]
            )
        real = values.loc[values.model == "real", "value"].median()
        for position, model in enumerate(models):
            best = _best(runs[runs.model == model], measure, real)
            axes.scatter(
                [position] * len(best), best.value, s=22, facecolors="none", edgecolors="black", linewidths=0.9, zorder=5
            )
        _reference_lines(axes, values, runs, levels or {})
        axes.set(
            xlabel="",
            ylabel=f"{measure.unit}\n({measure.direction})",
            title=textwrap.fill(measure.title, 8 + 12 * max(2, len(models))),
        )
    return figure


def critic_curves(points: pd.DataFrame) -> Figure:
    """The in-training critic on validation and test images along training, the median over each model's runs.

    Args:
        points: columns model, iteration, metric ("critic_curve/validation" or "critic_curve/test"), value.
    """
    models = in_order(points.model)
    data = points.assign(split=points.metric.str.removeprefix("critic_curve/"))
    with mpl.rc_context(STYLE):
        figure, axes = _figure(4.2, 2.6)
        sns.lineplot(
            data,
            x="iteration",
            y="value",
            hue="model",
            hue_order=models,
            palette=colours(models),
            style="split",
            style_order=["validation", "test"],
            estimator="median",
            errorbar=None,
            marker="o",
            markersize=3,
            linewidth=1,
            ax=axes,
        )
        axes.set(ylabel="E[f(samples)] − E[f(images)]", title="The critic on its training images and on test images")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles, [title(label) for label in labels], fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    return figure


def _label(model: str, n: int, without_value: int) -> str:
    return f"{title(model)}\nn = {n}" + (f" of {n + without_value}" if without_value else "")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _best(runs: pd.DataFrame, measure: Measure, real: float) -> pd.DataFrame:
    if measure.goal == "match" and math.isnan(real):
        return runs[:0]  # there is nothing to be near to
    distance = {"maximize": -runs.value, "minimize": runs.value, "match": (runs.value - real).abs()}[measure.goal]
    return runs.loc[distance.sort_values(kind="stable").index[:BEST]]


def _reference_lines(axes: Axes, values: pd.DataFrame, runs: pd.DataFrame, levels: Mapping[str, float]) -> None:
    """Lines for real images, noise and further levels; one far from the runs is named at the edge, not to flatten boxes."""
    low, high = (runs.value.min(), runs.value.max()) if len(runs) else (-math.inf, math.inf)
    spread = high - low
    lines = [(TITLES[name], colour, values.loc[values.model == name, "value"].median()) for name, colour in REFERENCES.items()]
    lines += [(label, "#aaaaaa", level) for label, level in levels.items()]
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
        beyond = [f"{label}: {level:.3g} {arrow}" for label, _, level in lines if (level > high if above else level < low)]
        beyond = [text for text in beyond if not any(text.startswith(f"{label}:") for label, _, _ in near)]
        if beyond:
            axes.annotate(
                "\n".join(beyond), (0.99, edge), xycoords="axes fraction", ha="right", va=va, color="#555555", fontsize=6
            )


def _apart(axes: Axes, levels: list[float]) -> list[float]:
    """Heights for labels of these levels, moved up where one would hide another."""
    bottom, top = axes.get_ylim()
    step, placed = 0.05 * (top - bottom), dict[int, float]()
    for number in sorted(range(len(levels)), key=levels.__getitem__):
        placed[number] = max(levels[number], max(placed.values(), default=-math.inf) + step)
    return [placed[number] for number in range(len(levels))]


def in_order(models: pd.Series) -> list[str]:
    """Models as they are always shown: ours first, in the order of the aliases, then others by name."""
    known = {name: number for number, name in enumerate(ALIASES)}
    return sorted(models.unique(), key=lambda name: (known.get(name, len(known)), name))


def colours(models: list[str]) -> dict[str, tuple[float, float, float]]:
    """A colour a model: fixed for ours, the next free ones for others."""
    palette = sns.color_palette("colorblind")
    fixed = dict(zip(ALIASES, palette, strict=False))
    others = [name for name in models if name not in fixed]
    free = palette[len(fixed) :]
    return {**fixed, **{name: free[number % len(free)] for number, name in enumerate(others)}}


def title(model: str) -> str:
    """A model's name as prose writes it; a user's class without its package."""
    return TITLES.get(model, model.rpartition(".")[2])


def save(figure: Figure, path: Path) -> None:
    """Write path.png for screens and path.svg for papers; the same bytes for the same records."""
    for suffix, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(buffer, format=suffix, **options)
        write_atomically(path.with_suffix(f".{suffix}"), buffer.getvalue())
