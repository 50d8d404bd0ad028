"""Say a section's numbers in words: models and metrics by their titles, tables with the page's headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from benchmark.model.registry import title
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.summary import missing_as_none
from benchmark.report.page.content import Table
from metrics.catalogue import MetricInfo

SURE = 0.05
"""The p-value below which something is said to be more than chance."""
BETTER = {"maximize": "higher is better", "minimize": "lower is better", "match": "distance to real, lower is better"}
"""Which way is better on an axis of costs in the metric's unit, by goal."""


class Group(NamedTuple):
    """The rows of a table that are about one metric in one setting."""

    metric: MetricInfo
    setting: str
    """Empty where the table has one only, which need not be named."""
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """What the rows are about."""
        return self.metric.title + (f" ({self.setting})" if self.setting else "")


def by_metric(table: pd.DataFrame, catalogue: Mapping[str, MetricInfo]) -> list[Group]:
    """Part a table with the columns setting and metric, in its order."""
    several = table.setting.nunique() > 1
    return [
        Group(catalogue[metric], setting if several else "", rows)
        for (metric, setting), rows in table.groupby(["metric", "setting"], sort=False)
    ]


def titles(models: Iterable[str]) -> str:
    """Name models by their titles: "A", "A and B", "A, B and C"."""
    *others, final = [title(str(model)) for model in models]
    return f"{', '.join(others)} and {final}" if others else final


def best_models(values: pd.Series, goal: str) -> list[str]:
    """Choose the models with the best of one value each, by model; several if they are equal."""
    best = values.max() if goal == "maximize" else values.min()
    return [str(model) for model in values.index[values == best]]


def readable(table: pd.DataFrame, columns: Mapping[str, str], note: str, results: Results) -> Table:
    """Turn a tidy table into one for the page.

    Args:
        table: with a column setting.
        columns: those that are shown, to their headings.
        note: below the table.
        results: has the metrics' titles.
    """
    shown = missing_as_none(table)
    for column in {"model", "than"} & {*shown}:
        shown[column] = [title(model) if model else "all models" for model in shown[column]]
    for column in {"metric", "other"} & {*shown}:
        shown[column] = [results.catalogue[metric].title for metric in shown[column]]
    several = {"setting": "setting"} if table.setting.nunique() > 1 else {}
    chosen = {**several, **columns}
    return Table(list(chosen.values()), shown[list(chosen)].to_numpy().tolist(), note)
