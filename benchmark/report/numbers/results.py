"""Compute once what all sections of a report are made from: the studies' tables, what may be compared in them, the summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from benchmark.report.numbers.comparison import Comparison, comparisons, main_and_further
from benchmark.report.numbers.summary import summarize
from benchmark.report.numbers.tables import Tables, final_values
from metrics.catalogue import MetricInfo


@dataclass(frozen=True)
class Results:
    """What the runs of one study or several scored."""

    tables: Tables
    """The records and the runs, as they were read."""
    comparisons: Mapping[str, Sequence[Comparison]]
    """By metric in their order; of each setting the main protocol first."""

    @classmethod
    def of(cls, tables: Tables) -> Results:
        """Compare what the tables hold."""
        return cls(tables, comparisons(tables, final_values(tables)))

    @property
    def catalogue(self) -> Mapping[str, MetricInfo]:
        """How each metric is read: its title, goal, unit; those of a user's own too."""
        return self.tables.catalogue

    @cached_property
    def models(self) -> tuple[str, ...]:
        """All models and sanity rows, which have the same colours in every figure."""
        return tuple(self.tables.runs.model.unique())

    @cached_property
    def main(self) -> Mapping[str, Sequence[Comparison]]:
        """By metric: of each setting the comparison by its main protocol."""
        return {metric: main_and_further(of_metric)[0] for metric, of_metric in self.comparisons.items()}

    @cached_property
    def headlines(self) -> Sequence[Comparison]:
        """The main comparisons of the metrics that a study is judged by, where models can be ranked; metric by metric."""
        return [
            comparison
            for metric, of_metric in self.main.items()
            for comparison in of_metric
            if self.catalogue[metric].headline and comparison.models and comparison.is_ranked
        ]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The content of summary.csv."""
        return summarize(self.tables, self._all())

    def _all(self) -> Iterator[Comparison]:
        return (comparison for of_metric in self.comparisons.values() for comparison in of_metric)

    def by_setting(self, setting: str) -> dict[str, Comparison]:
        """Choose one setting's comparisons by the main protocol, by metric."""
        chosen = ((metric, comparison) for metric, of_metric in self.main.items() for comparison in of_metric)
        return {metric: comparison for metric, comparison in chosen if comparison.setting == setting}
