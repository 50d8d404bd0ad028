"""Show what the runs took, and which share of it went into measuring them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.model.registry import REFERENCES, in_order, title
from benchmark.report.numbers.results import Results
from benchmark.report.page.content import Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection

COLUMNS = ("runs", "hours in all", "seconds of a run", "training", "critic beside it", "evaluation", "evaluation's share")
NOTE = (
    "Wall time by the runs' own clocks, all attempts together. Evaluation is all that is measured at the start and at the end, "
    "the second time too; the critic beside the training takes a step for each iteration of the second half."
)


class Cost(ReportSection):
    """A table of seconds, a row a setting and model."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where a run tells what it took."""
        runs = results.tables.runs
        ended = runs[(runs.status == "done") & (runs.seconds > 0)]
        if len(ended):
            yield Section("cost", "What it cost", "", (), [cost_table(ended)])


def cost_table(runs: pd.DataFrame) -> Table:
    """Sum up the seconds of runs, rows of `Tables.runs` that took some."""
    several = runs.setting.nunique() > 1
    rows = []
    for setting, of_setting in runs.groupby("setting", sort=False):
        known = set(of_setting.model)
        for model in [*in_order(known - set(REFERENCES)), *(name for name in REFERENCES if name in known)]:
            where = [setting] if several else []
            rows.append([*where, title(model), *_row(of_setting[of_setting.model == model])])
    return Table([*(["setting"] if several else []), "model", *COLUMNS], rows, NOTE)


def _row(runs: pd.DataFrame) -> list[int | float | str]:
    """Medians of the runs but for their number and the hours; the share is that of all of them."""
    critic = runs.seconds - runs.training_seconds - runs.evaluation_seconds
    parts = [runs.seconds, runs.training_seconds, critic, runs.evaluation_seconds]
    medians = [round(float(seconds.median()), 1) for seconds in parts]
    share = runs.evaluation_seconds.sum() / runs.seconds.sum()
    return [len(runs), round(runs.seconds.sum() / 3600, 2), *medians, f"{share:.0%}"]
