"""Tell whether the metrics agree about the runs that both have a value of."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.model.registry import in_order
from benchmark.report.drawing.style import STYLE, grid, heat_map
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import Interval, disagreement, rank_correlation, rank_correlation_interval
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import readable
from metrics.catalogue import MetricInfo

FEWEST = 3
"""Runs that a rank correlation is computed of, at least."""
COLUMNS = {
    "metric": "metric",
    "other": "and",
    "model": "runs of",
    "n": "runs",
    "spearman": "rank correlation",
    "low": "95 % from",
    "high": "to",
    "disagreement": "better by the first, worse by the second",
    "expected": "without relation",
}
NOTE = (
    "Runs that have a value by both. Over all models' runs a good part of an agreement is that models differ; within a "
    "model it is not."
)


class Agreement(ReportSection):
    """Two matrices of the headline metrics against each other, and a table, also by model."""

    file = "agreement"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute how far pairs of metrics agree.

        Returns:
            setting, metric, other, model ("" for the runs of all models), n, spearman, low, high (95 %, of all models only),
            disagreement (share of runs in the better half by `metric` and in the worse half by `other`), expected (that share if
            they had nothing to do with each other).
        """
        pairs = itertools.combinations(results.headlines, 2)
        rows = [row for first, second in pairs if first.setting == second.setting for row in _rows(first, second)]
        columns = ["setting", "metric", "other", "model", "n", "spearman", "low", "high", "disagreement", "expected"]
        return pd.DataFrame(rows, columns=columns)

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where enough runs have values by two metrics."""
        if table.empty:
            return
        plot = figures.plot(
            "agreement",
            matrices(table[table.model == ""]),
            least_and_most(table, results.catalogue) or "No two metrics have values of enough runs.",
            "Left: 1 is the same order of the runs, 0 no relation; costs are compared, so better by one and better by the other "
            "is positive whatever the metrics' directions. Right: the paper reports 15 % between its two Inception scores on "
            "CIFAR-10; without any relation it would be 25 % for an even number of runs without ties, else what the table says.",
        )
        yield Section("agreement", "Do the metrics agree?", "", [plot], [readable(table, COLUMNS, NOTE, results)])


def _rows(first: Comparison, second: Comparison) -> Iterator[dict[str, Any]]:
    """Of the runs of all models together, then of each model."""
    left = first.measured[["run", "model", "configuration", "cost"]].rename(columns={"cost": "a"})
    pooled = left.merge(second.measured[["run", "cost"]].rename(columns={"cost": "b"}), on="run")
    for model in ["", *in_order(pooled.model)]:
        runs = pooled[pooled.model == model] if model else pooled
        if len(runs) < FEWEST:
            continue
        a, b = runs.a.to_numpy(), runs.b.to_numpy()
        interval, halves = Interval(np.nan, np.nan), disagreement(a, b)
        if not model:
            draws = first.source("agreement", second.metric.name)
            interval = rank_correlation_interval(a, b, runs.configuration.to_numpy(), draws)
        yield {
            "setting": first.setting,
            "metric": first.metric.name,
            "other": second.metric.name,
            "model": model,
            "n": len(runs),
            "spearman": rank_correlation(a, b),
            "low": interval.low,
            "high": interval.high,
            "disagreement": halves.share,
            "expected": halves.expected,
        }


class _Matrix(NamedTuple):
    """How a column of the table is drawn as a matrix of metrics."""

    column: str
    span: tuple[float, float]
    palette: str
    form: str
    title: str


MATRICES = (
    _Matrix("spearman", (-1, 1), "vlag", "{:.2f}", "Spearman's rank correlation"),
    _Matrix("disagreement", (0, 0.5), "rocket_r", "{:.0%}", "Better half by one, worse half by the other"),
)


def matrices(pooled: pd.DataFrame) -> Figure:
    """Draw rank correlations of metrics, and the share of runs that one calls better and another worse.

    Args:
        pooled: the table's rows of all models' runs.
    """
    settings = list(pooled.setting.unique())
    size = 1.6 + 0.5 * len({*pooled.metric, *pooled.other})
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(MATRICES) * len(settings), size, size)
        for (setting, drawn), axes in zip(itertools.product(settings, MATRICES), every_axes, strict=True):
            rows = pooled[pooled.setting == setting]
            metrics = list(dict.fromkeys([*rows.metric, *rows.other]))
            matrix = rows.pivot(index="other", columns="metric", values=drawn.column)
            matrix = matrix.reindex(index=metrics[1:], columns=metrics[:-1])
            heat_map(axes, matrix, _words, drawn.span, drawn.palette, drawn.form)
            where = f", {setting}" if len(settings) > 1 else ""
            axes.set(xlabel="", ylabel="", title=textwrap.fill(drawn.title + where, 34))
    return figure


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def least_and_most(table: pd.DataFrame, catalogue: Mapping[str, MetricInfo]) -> str:
    """Say which metrics agree least and most over the runs of all models, by setting; "" where nothing is known."""
    words = []
    pooled = table[(table.model == "") & table.spearman.notna()]
    for setting, rows in pooled.groupby("setting", sort=False):
        least, most = rows.loc[rows.spearman.idxmin()], rows.loc[rows.spearman.idxmax()]
        text = (
            f"Over the runs of all models {_pair(least, catalogue)} agree least (rank correlation {least.spearman:.2f}; "
            f"{least.disagreement:.0%} of the runs are in the better half by the first and in the worse half by the second, "
            f"{least.expected:.0%} if the two had nothing to do with each other)"
        )
        if len(rows) > 1:
            text += f", {_pair(most, catalogue)} most ({most.spearman:.2f})"
        words.append((f"{setting}: " if table.setting.nunique() > 1 else "") + text + ".")
    return " ".join(words)


def _pair(row: pd.Series, catalogue: Mapping[str, MetricInfo]) -> str:
    return f"“{catalogue[row.metric].title}” and “{catalogue[row.other].title}”"
