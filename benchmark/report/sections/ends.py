"""Count how the runs ended."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.model.registry import REFERENCES, in_order, title
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection

STATUSES = ("done", "diverged", "failed", "running", "missing")
NOTE = (
    "Diverged: losses or images stopped being finite. Failed: an exception, see the run's error.txt. Both rank worst in "
    "quartiles and statistics."
)


class Ends(ReportSection):
    """A table with a row a model: how many of its runs are done, diverged, failed, running and missing."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make one section in any case."""
        counts = _counts(results.tables)
        yield Section("how-runs-ended", "How the runs ended", "", (), [counts], _single_seeds(results.tables))


def _counts(tables: Tables) -> Table:
    several = tables.runs.setting.nunique() > 1
    rows = []
    for setting, of_setting in tables.runs.groupby("setting", sort=False):
        for model in [*REFERENCES, *in_order(set(of_setting.model) - set(REFERENCES))]:
            runs = of_setting[of_setting.model == model]
            if len(runs):
                counts = [int((runs.status == status).sum()) for status in STATUSES]
                where = [setting] if several else []
                rows.append([*where, title(model), runs.configuration.nunique(), runs.seed.nunique(), *counts])
    note = NOTE
    if open_runs := int(tables.runs.status.isin(["running", "missing"]).sum()):
        runs_are = f"{open_runs} run{'s are' if open_runs > 1 else ' is'}"
        note = f"{runs_are} still to come: what follows is of those that have ended, and will move. {note}"
    return Table([*(["setting"] if several else []), "model", "configurations", "seeds", *STATUSES], rows, note)


def _single_seeds(tables: Tables) -> list[str]:
    """Why nothing is said about seeds, in a sentence, where each configuration has one."""
    seeds = tables.runs[~tables.runs.model.isin(REFERENCES)].groupby("configuration").size()
    if len(seeds) and seeds.max() < 2:
        return ["Every configuration has one seed: nothing is said about the noise of seeds (SEEDS=2 or more would)."]
    return []
