"""Specify what is drawn on a screen in Vega-Lite, without the runs' values, which the page holds once for all charts.

A specification names its data "points"; the page's script fills in one row a run:
i (the run's place in the report), x, y, c (its colour) and best (is it circled).
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt

from benchmark.report.page.content import Box, Chart, Line, Panel

HEIGHT = 300
"""Of the axes, in pixels; their width is that of the column."""
NEAR = 0.75
"""Lines that are farther from the runs than this share of their range are named at the edge, not to flatten the boxes."""
HALF_BOX = 0.3
MANY = 500
"""Runs of a chart from which on their dots are smaller and fainter."""
LABEL = 13
"""Pixels that a line of text needs."""


def panel_spec(chart: Chart, panel: Panel, labels: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    """Specify one pair of axes.

    Args:
        chart: whose axes' titles these are.
        panel: what is drawn.
        labels: below the places 0, 1, … of the horizontal axis; none in a scatter plot.
        colours: of the boxes, "#rrggbb".
    """
    values = [point.value for point in panel.points if math.isfinite(point.value)]
    values += [end for box in panel.boxes for end in (box.low, box.high) if math.isfinite(end)]
    lines = [line for line in panel.lines if math.isfinite(line.value)]
    domain = spanned(values, [line.value for line in lines])
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    y = alt.Y("y:Q", title=chart.y_label.split("\n"), scale=scale, axis=alt.Axis(tickCount=6))
    x = _places(labels) if labels else _across(chart, panel)
    layers = [*_boxes(panel.boxes, colours), *_points(x, y, len(values), scatter=not labels)]
    if lines:
        layers.append(_lines(lines, domain))
    spec: Any = alt.layer(*layers).resolve_axis(y="independent").properties(width="container", height=HEIGHT)
    spec = spec.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    if labels:
        widths = [("wide", 40), ("middle", 14), ("narrow", 8)]
        spec = spec.add_params(
            *(alt.param(name=name, value=[_wrapped(label, width) for label in labels]) for name, width in widths)
        )
    return _plain(spec)


def curves_spec() -> dict[str, Any]:
    """Specify curves of one run over its iterations: rows x, y and name, in the data "curves"."""
    spec: Any = (
        alt.Chart(alt.NamedData("curves"))
        .mark_line(point=alt.OverlayMarkDef(size=12), strokeWidth=1.5)
        .encode(
            x=alt.X("x:Q", title="iteration", axis=alt.Axis(tickCount=5, labelFlush=False)),
            y=alt.Y("y:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("name:N", title=None, sort=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=140)),
        )
        .properties(width="container", height=180, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    )
    return _plain(spec)


def spanned(values: Sequence[float], lines: Sequence[float]) -> tuple[float, float]:
    """Choose what an axis spans: the runs, the lines that are near them, and a little more."""
    if not values:
        values = lines or [0.0]
    low, high = min(values), max(values)
    spread = high - low
    near = [line for line in lines if not spread > 0 or low - NEAR * spread <= line <= high + NEAR * spread]
    low, high = min(low, *near, high), max(high, *near, low)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def line_labels(lines: Sequence[Line], domain: tuple[float, float]) -> list[tuple[float, str]]:
    """Place the lines' names, (height, words) each: apart where one would hide another; far ones have an arrow and a value."""
    low, high = domain
    step = (high - low) * LABEL / HEIGHT
    labels = []
    for line in sorted(lines, key=lambda line: line.value):
        far = "↑" if line.value > high else "↓" if line.value < low else ""
        text = f"{far} {line.label}: {line.value:.3g}".replace(": -", ": −") if far else line.label
        labels.append((min(max(line.value, low), high), text))
    for number in range(1, len(labels)):
        labels[number] = max(labels[number][0], labels[number - 1][0] + step), labels[number][1]
    # What was pushed above the upper end goes back below it, and pushes what it meets.
    ceiling = high
    for number in reversed(range(len(labels))):
        labels[number] = min(labels[number][0], ceiling), labels[number][1]
        ceiling = labels[number][0] - step
    return labels


def _places(labels: Sequence[str]) -> alt.X:
    """An axis of places; their labels are broken into more lines where there is less room for each."""
    room = f"width / {len(labels)}"
    axis = alt.Axis(
        values=list(range(len(labels))),
        labelExpr=f"({room} > 130 ? wide : {room} > 80 ? middle : narrow)[datum.value]",
        labelLimit=alt.ExprRef(f"max({room}, 40)"),
        labelOverlap=False,
        labelLineHeight=LABEL,
        grid=False,
        ticks=False,
        domain=True,
    )
    return alt.X("x:Q", title=None, axis=axis, scale=alt.Scale(domain=[-0.5, len(labels) - 0.5], nice=False, zero=False))


def _across(chart: Chart, panel: Panel) -> alt.X:
    domain = spanned([point.x for point in panel.points if point.x is not None and math.isfinite(point.x)], [])
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    return alt.X("x:Q", title=chart.x_label.split("\n"), scale=scale, axis=alt.Axis(tickCount=6))


def _wrapped(label: str, width: int) -> list[str]:
    return [part for line in label.split("\n") for part in textwrap.wrap(line, width, break_long_words=False) or [""]]


def _boxes(boxes: Sequence[Box], colours: Sequence[str]) -> list[Any]:
    """Boxes, whiskers with their ends, and medians."""
    if not boxes:
        return []
    rows: list[dict[str, Any]] = []
    whiskers: list[dict[str, Any]] = []
    medians: list[dict[str, Any]] = []
    for place, (box, colour) in enumerate(zip(boxes, colours, strict=True)):
        left, right = place - HALF_BOX, place + HALF_BOX
        rows.append({"x": left, "x2": right, "y": box.quartile_1, "y2": box.quartile_3, "c": colour})
        medians.append({"x": left, "x2": right, "y": box.median, "y2": box.median})
        for end, start in ((box.low, box.quartile_1), (box.high, box.quartile_3)):
            whiskers.append({"x": place, "x2": place, "y": start, "y2": end})
            whiskers.append({"x": place - HALF_BOX / 2, "x2": place + HALF_BOX / 2, "y": end, "y2": end})
    x, y = alt.X("x:Q"), alt.Y("y:Q", axis=None)  # the layer of the points has the axes
    corners: dict[str, Any] = {"x": x, "x2": "x2:Q", "y": y, "y2": "y2:Q"}
    fill = alt.Color("c:N", scale=None, legend=None)
    return [
        alt.Chart(alt.InlineData(rows)).mark_rect(style="quartiles").encode(color=fill, **corners),
        alt.Chart(alt.InlineData(whiskers)).mark_rule(style="whisker").encode(**corners),
        alt.Chart(alt.InlineData(medians)).mark_rule(style="median").encode(**corners),
    ]


def _points(x: alt.X, y: alt.Y, number: int, scatter: bool) -> list[Any]:
    """All runs, and circles around the best."""
    data = alt.Chart(alt.NamedData("points"))
    few = number <= MANY
    runs: Any = data.mark_point(style="run", size=18 if few else 8, opacity=0.7 if few else 0.35).encode(x=x, y=y)
    if scatter:
        runs = data.mark_point(style="dot", size=45 if few else 18, opacity=0.85 if few else 0.6).encode(
            x=x, y=y, fill=alt.Fill("c:N", scale=None, legend=None)
        )
    best = data.transform_filter("datum.best").mark_point(style="best").encode(x="x:Q", y=alt.Y("y:Q", axis=None))
    return [runs, best]


def _lines(lines: Sequence[Line], domain: tuple[float, float]) -> Any:
    """Dashed rules, and an axis on the right whose ticks' labels are their names: so Vega finds room for them."""
    labels = line_labels(lines, domain)
    heights, words = [height for height, _ in labels], [text for _, text in labels]
    axis = alt.Axis(
        orient="right",
        values=heights,
        labelExpr=f"{json.dumps(words)}[indexof({json.dumps(heights)}, datum.value)]",
        labelOverlap=False,
        labelLimit=110,
        labelBound=False,
        labelFlush=False,
        grid=False,
        ticks=False,
        domain=False,
    )
    rows = [{"y": line.value} for line in lines if domain[0] <= line.value <= domain[1]]
    rule = alt.Chart(alt.InlineData(rows)).mark_rule(style="reference")
    return rule.encode(y=alt.Y("y:Q", title=None, axis=axis))


def _plain(spec: Any) -> dict[str, Any]:
    content = spec.to_dict()
    del content["config"]  # the page's script has one for light and one for dark
    return dict(content)
