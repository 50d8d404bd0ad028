"""What the runs took, and which share of it went into measuring them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.style import REFERENCES
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Section, Table

NOTE = (
    "Wall time by the runs' own clocks, all attempts together. Evaluation is all that is measured at the begin and at the end, "
    "the second time too; the critic beside the training takes a step for each iteration of the second half."
)


def cost_section(tables: Tables) -> Iterator[Section]:
    """A table of seconds by setting and model; nothing where no run tells what it took."""
    ended = tables.runs[(tables.runs.status == "done") & (tables.runs.seconds > 0)]
    if ended.empty:
        return
    several = ended.setting.nunique() > 1
    rows = []
    for setting, runs in ended.groupby("setting", sort=False):
        models = [*in_order(set(runs.model) - set(REFERENCES)), *(name for name in REFERENCES if name in set(runs.model))]
        rows += [[*([setting] if several else []), title(model), *_row(runs[runs.model == model])] for model in models]
    columns = ["runs", "hours in all", "seconds of a run", "training", "critic beside it", "evaluation", "evaluation's share"]
    yield Section("cost", "What it cost", "", (), [Table([*(["setting"] if several else []), "model", *columns], rows, NOTE)])


def _row(runs: pd.DataFrame) -> list[int | float | str]:
    """Medians of the runs but for their number and the hours; the share is that of all of them."""
    critic = runs.seconds - runs.training_seconds - runs.evaluation_seconds
    medians = [runs.seconds, runs.training_seconds, critic, runs.evaluation_seconds]
    share = runs.evaluation_seconds.sum() / runs.seconds.sum()
    return [len(runs), round(runs.seconds.sum() / 3600, 2), *(round(float(some.median()), 1) for some in medians), f"{share:.0%}"]
