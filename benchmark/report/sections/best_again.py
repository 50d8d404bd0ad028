"""Show what is left of the best runs when they are measured again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from benchmark.model.registry import title
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import BEST, costs, value_of
from benchmark.report.numbers.results import Results
from benchmark.report.page.content import Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection

COLUMNS = (
    "metric",
    "setting",
    "model",
    "best run",
    "its value",
    "measured again",
    "best runs",
    "their mean",
    "measured again",
)
TEXT = (
    "The best of many runs are chosen by the evaluation that the figures show. A score that was chosen for being high is "
    "partly luck of that evaluation's samples and of its critic; so each run is measured a second time, on other samples "
    f"and by a critic of another seed, and this is what the best run, and the best {BEST} of a model at most, score then. "
    "Of a metric to match, means are of distances to real images."
)


class BestAgain(ReportSection):
    """A table of the best run and the best ten of each model, by the evaluation that chose them and by the other."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where one of the best was measured twice."""
        rows = [row for comparison in results.headlines for row in _rows(comparison)]
        if rows:
            heading = "The best runs, chosen by one evaluation and reported by another"
            yield Section("best-again", heading, TEXT, (), [Table(COLUMNS, rows)])


def _rows(comparison: Comparison) -> Iterator[list[Any]]:
    metric = comparison.metric
    for model in comparison.models:
        best = comparison.best(model, BEST)
        again = best.dropna(subset="second")
        if len(again):
            first = best.iloc[0]
            second = costs(again.second.to_numpy(float), metric, comparison.reference)
            means = [value_of(float(mean), metric) for mean in (again.cost.mean(), second.mean())]
            of_best = [first.run, first.value, first.second]
            yield [metric.title, comparison.setting, title(model), *of_best, len(again), *means]
