"""Say what a section of a report is: subclass `ReportSection`, and name the class in `contents.py`, or by --sections.

What a section of one's own needs beside it is imported from here too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.report.numbers.results import Results
from benchmark.report.page.content import Plot, Section, Table
from benchmark.report.page.figure_folder import FigureFolder

__all__ = ["FigureFolder", "Plot", "ReportSection", "Results", "Section", "Table"]


class ReportSection:
    """One question that a report answers: the numbers, the figure that shows them, the words that say them."""

    file = ""
    """The name of the CSV file of its table, without ".csv"; "" for a section whose table is no file."""

    def table(self, results: Results) -> pd.DataFrame:
        """Compute the section's numbers, tidy: a row an observation. Where it has a `file`, they are written to it, also none."""
        return pd.DataFrame()

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make what the page says, from the results and the section's table: one heading, several, or none.

        Args:
            results: what the runs scored.
            table: what `table` returned.
            figures: keeps figures as files and for the page.
        """
        raise NotImplementedError
