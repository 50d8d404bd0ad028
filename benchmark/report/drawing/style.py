"""How figures look: one colour a model everywhere, colour-blind-safe, type that is legible in a column of a paper."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.files import write_atomically
from benchmark.model.registry import ALIASES

REFERENCES = {"real": "#222222", "noise": "#888888"}
"""The sanity rows and the colours of their lines."""
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "svg.hashsalt": "alphagan",
    "text.parse_math": False,  # a user's name may hold a $
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def colours(models: Iterable[str]) -> dict[str, tuple[float, float, float]]:
    """A colour a model, red, green and blue in [0, 1]: fixed for ours, for others the free ones in the order of their names.

    Given all models of a report, whatever their order, they have the same colours in each of its figures.
    """
    palette = sns.color_palette("colorblind") + sns.color_palette("husl", 24)  # the first ten are told apart best
    fixed = dict(zip(ALIASES, palette, strict=False))
    others = sorted({*models} - {*fixed, *REFERENCES})
    free = palette[len(fixed) :]
    ours = {**fixed, **{name: free[number % len(free)] for number, name in enumerate(others)}}
    return {**ours, **{name: mpl.colors.to_rgb(grey) for name, grey in REFERENCES.items()}}


def panels(number: int, width: float, height: float, across: int | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of axes, each of this size in inches, in rows of so many, by default in one; inside `rc_context(STYLE)`."""
    across = across or number
    rows = -(-number // across)
    figure = Figure(figsize=(across * width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    every = list(figure.subplots(rows, across, squeeze=False).flat)
    for spare in every[number:]:
        spare.remove()
    return figure, every[:number]


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
