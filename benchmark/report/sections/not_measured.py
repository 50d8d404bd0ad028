"""List what is in the records and not in the figures, and why."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.report.numbers.comparison import not_measured
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import unknown_metrics
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection


class NotMeasured(ReportSection):
    """Metrics without a value, with their reasons, and rows of metrics that this version does not know."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where something is left out."""
        reasons = not_measured(results.tables, results.comparisons)
        notes = [f"{name}: {reason}" for name, reason in reasons.items()]
        notes += [
            f"{name}: {rows} rows of a metric that this version does not know; they are in records.csv"
            for name, rows in unknown_metrics(results.tables).items()
        ]
        if notes:
            yield Section("not-measured", "Not measured, not shown", "", (), (), notes)
