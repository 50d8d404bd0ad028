"""One row a model, metric, setting and protocol: the numbers behind the figures, as CSV, Markdown and LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.measures import MEASURES, Measure
from benchmark.report.ranking import costs, ranked_quartiles, value_of
from benchmark.report.statistics import quartile_intervals
from benchmark.report.style import REFERENCES, title
from benchmark.report.tables import LOST, Comparison, Tables


def source(*purpose: str) -> np.random.Generator:
    """The random stream of a statistic: a function of what it is for, so that the same records give the same page."""
    return np.random.default_rng([*"/".join(purpose).encode()])


def summarize(tables: Tables, those: Iterable[Comparison]) -> pd.DataFrame:
    """Per comparison and model: how many runs, the best, the quartiles with an interval, and the median before training.

    Runs that diverged or failed have no value and rank worst; a quartile among them is empty.
    """
    start = tables.records[tables.records.iteration == 0]
    return pd.DataFrame([row for some in those for row in _rows(tables, some, start)])


def _rows(tables: Tables, some: Comparison, start: pd.DataFrame) -> Iterator[dict[str, Any]]:
    before_training = start[(start.metric == some.measure.metric) & (start.protocol_id == some.protocol_id)]
    here = tables.runs[tables.runs.setting == some.setting]
    for model in [*[name for name in REFERENCES if name in set(some.values.model)], *some.models]:
        mine = here[here.model == model]
        values = some.of(model)
        measured = values.value.dropna().to_numpy()
        before = before_training.loc[before_training.run.isin(mine.run), "value"].dropna()
        first, middle, third = ranked_quartiles(measured, some.without_value(model), some.measure, some.reference)
        best = some.best(model, 1)
        low, high = _median_interval(some, model)
        yield {
            "study": " + ".join(mine.study.unique()),
            "dataset": mine.dataset.iloc[0],
            "setting": some.setting,
            "model": model,
            "metric": some.measure.metric,
            "goal": some.measure.goal,
            "runs": len(mine),
            **{status: int((mine.status == status).sum()) for status in ("done", *LOST)},
            "n": len(measured),
            "without_value": some.without_value(model),
            "configurations": mine.configuration.nunique(),
            "best": best.value.iloc[0] if len(best) else None,
            "best_run": best.run.iloc[0] if len(best) else None,
            "best_again": best.second.iloc[0] if len(best) else None,
            "quartile_1": first,
            "median": middle,
            "quartile_3": third,
            "iqr": None if first is None or third is None else abs(third - first),
            "median_low": low,
            "median_high": high,
            "measurement_error": ((values.high - values.low) / 2).median(),
            "median_before_training": before.median() if len(before) else None,
            "protocol": json.dumps(some.protocol, sort_keys=True),
            "protocol_id": some.protocol_id,
        }


def _median_interval(some: Comparison, model: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a median over drawing other configurations, in the metric's unit; None for an end without a value."""
    if model in REFERENCES or some.measure.goal == "match":  # the median of a matched metric is a value, its cost a distance
        return None, None
    interval = quartile_intervals(some.sweep(model), source("median", some.setting, some.protocol_id, model))[1]
    ends = sorted(value_of(end, some.measure) for end in (interval.low, interval.high))
    low, high = (end if np.isfinite(end) else None for end in ends)
    return low, high


def best_model(rows: Sequence[Any], measure: Measure, reference: float) -> list[Any]:
    """Rows of a summary by their median, the best first; those without a median are left out."""
    known = [row for row in rows if row.median is not None and not pd.isna(row.median)]
    ranks = costs(np.array([row.median for row in known], float), measure, reference)
    return [known[position] for position in np.argsort(ranks, kind="stable")]


def missing_as_none(rows: pd.DataFrame) -> pd.DataFrame:
    """A table for reading: what is missing is None."""
    return rows.astype(object).where(rows.notna(), None)


def paper_table(summary: pd.DataFrame) -> pd.DataFrame:
    """What a paper prints: per metric and model the median with its quartiles, the best and how many runs were lost."""
    ours = summary[~summary.model.isin(list(REFERENCES))]
    several = ours.setting.nunique() > 1
    rows = [
        {
            **({"setting": row.setting} if several else {}),
            "metric": MEASURES[row.metric].title,
            "better": {"maximize": "higher", "minimize": "lower", "match": "nearer to real"}[row.goal],
            "model": title(row.model),
            "runs": f"{row.n} of {row.runs}",
            "diverged": row.diverged,
            "failed": row.failed,
            "lower quartile": _number(row.quartile_1),
            "median": _number(row.median),
            "upper quartile": _number(row.quartile_3),
            "best": _number(row.best),
            "best, measured again": _number(row.best_again),
        }
        for row in ours.itertuples()
    ]
    return pd.DataFrame(rows)


def _number(value: Any) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.4g}"


def as_markdown(table: pd.DataFrame) -> str:
    """A pipe table, escaped: a cell is no HTML, ends no cell and begins no markup."""
    cells = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    lines = ["| " + " | ".join(re.sub(r"([\\`*_{}\[\]<>|~$])", r"\\\1", cell) for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(table.columns), *lines[1:]]) + "\n"


def as_latex(table: pd.DataFrame) -> str:
    """A booktabs table, escaped."""
    shown = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    return str(shown.to_latex(hrules=True, column_format="l" * len(table.columns)))
