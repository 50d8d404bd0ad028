"""Hold what a report says as plain data: sections make it, the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunValue:
    """What a run scored by one metric, by the protocol that the report compares by."""

    value: float
    low: float | None = None
    """The 95 % interval over redrawing the samples."""
    high: float | None = None
    second: float | None = None
    """The value of the second evaluation: other samples, another critic."""


@dataclass(frozen=True)
class RunEntry:
    """One run, as the table of runs and the charts show it."""

    key: str
    """Unique in a report: its folder's name."""
    study: str
    model: str
    """The alias where there is one, else the dotted path."""
    setting: str
    """What runs must share to be compared: data set, iterations, width."""
    seed: int
    status: str
    """done, diverged, failed, running or missing."""
    reason: str
    seconds: float
    hyperparameters: Mapping[str, Any]
    values: Mapping[str, RunValue]
    """By metric; a metric without a value is not in it."""


@dataclass(frozen=True)
class RunDetails:
    """What is too large to show of every run at once."""

    curves: Mapping[str, Sequence[tuple[int, float]]]
    """By metric, such as "loss/generator": points (iteration, value)."""
    pictures: Mapping[str, bytes]
    """PNG or JPEG by kind: "samples", "reconstructions"."""


@dataclass(frozen=True)
class Point:
    """A run in a chart."""

    run: str
    """Its key."""
    model: str
    value: float
    x: float | None = None
    """Its place on the other axis, in a scatter plot."""


@dataclass(frozen=True)
class Box:
    """Quartiles of the runs of one model that have a value: its geometry, for screen and paper alike."""

    model: str
    label: str
    """Below the box: the model's title and its number of runs, on two lines."""
    low: float
    """The whisker's end: the last value within 1.5 IQR of the box."""
    quartile_1: float
    median: float
    quartile_3: float
    high: float


@dataclass(frozen=True)
class Line:
    """A horizontal line to compare with."""

    label: str
    value: float


@dataclass(frozen=True)
class Panel:
    """The values of one setting by one protocol, for one pair of axes."""

    title: str
    points: Sequence[Point]
    boxes: Sequence[Box] = ()
    """In their order on the axis; none in a scatter plot."""
    best: Sequence[str] = ()
    """Keys of the runs that are circled."""
    lines: Sequence[Line] = ()


@dataclass(frozen=True)
class Chart:
    """Axes on which one can hover and click: box plots, or a scatter plot where the panels' points have an x."""

    panels: Sequence[Panel]
    y_label: str
    x_label: str = ""


@dataclass(frozen=True)
class Table:
    """Rows for reading; a cell that is None is shown as missing."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture with its words."""

    name: str
    """Of its files: figures/NAME.png and .svg."""
    picture: bytes
    """PNG, for paper and for where nothing moves."""
    sentence: str
    """What it shows, from the numbers."""
    caption: str
    """How to read it."""
    paper: str = ""
    """Its number in the paper, such as "Figure 2"."""
    chart: Chart | None = None
    """The same on a screen."""


@dataclass(frozen=True)
class Section:
    """A heading with its plots and tables."""

    anchor: str
    title: str
    text: str = ""
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    """Small print: protocols, cautions."""


@dataclass(frozen=True)
class Report:
    """Everything that the page shows."""

    title: str
    facts: Sequence[str]
    """A sentence a study: data set, preset, versions."""
    sections: Sequence[Section]
    runs: Sequence[RunEntry]
    metrics: Mapping[str, str]
    """Titles of the metrics that runs have values of, in their order in the table of runs."""
    details: Mapping[str, RunDetails] = field(default_factory=dict)
    """By run, the runs that are shown first: the page holds as many of them as it has room for."""
