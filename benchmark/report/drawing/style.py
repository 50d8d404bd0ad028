"""Draw in one style: one colour a model everywhere, colour-blind-safe, type that is legible in a column of a paper."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.files import write_atomically
from benchmark.model.registry import ALIASES, title
from metrics.catalogue import MetricInfo

Colours: TypeAlias = Mapping[str, tuple[float, float, float]]
"""Red, green and blue in [0, 1], by model."""

REFERENCE_COLOURS = {"real": "#222222", "noise": "#888888"}
"""Of the sanity rows."""
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "svg.hashsalt": "alphagan",
    "text.parse_math": False,  # a user's name may hold a $
    "axes.spines.top": False,
    "axes.spines.right": False,
}
MANY = 2_000
"""Points above which a panel's dots are drawn as a bitmap, also in an SVG."""
COLUMNS = 3
"""Panels side by side, at most."""


def colours(models: Iterable[str]) -> dict[str, tuple[float, float, float]]:
    """Choose a colour a model: fixed ones for ours, for others the free ones in the order of their names.

    Given all models of a report, whatever their order, they have the same colours in each of its figures.
    """
    palette = sns.color_palette("colorblind") + sns.color_palette("husl", 24)  # the first ten are told apart best
    fixed = dict(zip(ALIASES, palette, strict=False))
    others = sorted({*models} - {*fixed, *REFERENCE_COLOURS})
    free = palette[len(fixed) :]
    own = {name: free[number % len(free)] for number, name in enumerate(others)}
    return {**fixed, **own, **{name: mpl.colors.to_rgb(grey) for name, grey in REFERENCE_COLOURS.items()}}


def panels(number: int, width: float, height: float, across: int | None = None) -> tuple[Figure, list[Axes]]:
    """Make a figure of axes, each of this size in inches, in rows of so many, by default in one; inside `rc_context(STYLE)`."""
    across = across or number
    rows = -(-number // across)
    figure = Figure(figsize=(across * width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, across, squeeze=False).flat)
    for spare in axes[number:]:
        spare.remove()
    return figure, axes[:number]


def grid(number: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make panels in rows of at most `COLUMNS`; inside `rc_context(STYLE)`."""
    return panels(number, width, height, 2 if number == 4 else min(number, COLUMNS))


def heading(metric: MetricInfo, setting: str = "") -> str:
    """The title of a panel: its metric, and its setting where a figure has several."""
    return textwrap.fill(metric.title + (f", {setting}" if setting else ""), 30)


def spread_out(n: int) -> np.ndarray:
    """Sideways places of n dots, (n,), the same ones every time: multiples of the golden ratio lie apart from each other."""
    return (np.arange(n) * 0.618034 % 1 - 0.5) * min(0.4, 0.04 * n)


def legend_outside(axes: Axes) -> None:
    """Put the legend of models at the right of the axes."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, [title(label) for label in labels], fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )


def heat_map(
    axes: Axes, matrix: pd.DataFrame, name: Callable[[str], str], span: tuple[float, float], palette: str, form: str
) -> None:
    """Draw a matrix with its numbers.

    Args:
        axes: where.
        matrix: the numbers; NaN is an empty cell.
        name: what the label of a row or column is called.
        span: the numbers at the ends of the palette.
        palette: seaborn's name of it.
        form: of a number in its cell, such as "{:.0%}".
    """
    words = matrix.map(lambda value: "" if np.isnan(value) else form.format(value))
    low, high = span
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
    axes.set_xticklabels([textwrap.fill(name(label), 16) for label in matrix.columns], rotation=45, ha="right", fontsize=6)
    axes.set_yticklabels([textwrap.fill(name(label), 16) for label in matrix.index], rotation=0, fontsize=6)
    axes.tick_params(length=0)


def save(figure: Figure, path: Path) -> bytes:
    """Write path.png for screens and path.svg for papers, the same bytes for the same records; returns those of the PNG."""
    content = {}
    for suffix, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(buffer, format=suffix, **options)
        content[suffix] = buffer.getvalue()
        write_atomically(path.with_suffix(f".{suffix}"), content[suffix])
    return content["png"]
