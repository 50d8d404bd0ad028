"""One row a model, metric, setting and protocol: the numbers behind the figures, as CSV, Markdown and LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import title
from benchmark.report.drawing.style import REFERENCES
from benchmark.report.numbers import ranking
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.statistics import quartile_intervals
from benchmark.report.numbers.tables import LOST, Tables
from metrics.catalogue import MEASURES, Measure

COLUMNS = (
    "study",
    "dataset",
    "setting",
    "model",
    "metric",
    "goal",
    "runs",
    "done",
    "diverged",
    "failed",
    "n",
    "without_value",
    "not_measured",
    "configurations",
    "seeds",
    "best",
    "best_run",
    "best_again",
    "quartiles_of",
    "quartile_1",
    "median",
    "quartile_3",
    "iqr",
    "median_low",
    "median_high",
    "measurement_error",
    "median_before_training",
    "protocol",
    "protocol_id",
)


WHOLE = ("without_value", "not_measured", "configurations", "seeds")
"""Columns of counts that sanity rows do not have."""
REAL = ("best", "best_again", "quartile_1", "median", "quartile_3", "iqr", "median_low", "median_high")
"""Columns of numbers that may be missing in every row."""


def source(*purpose: str) -> np.random.Generator:
    """The random stream of a statistic: a function of what it is for, so that the same records give the same page."""
    return np.random.default_rng([*"/".join(purpose).encode()])


def summarize(tables: Tables, those: Iterable[Comparison]) -> pd.DataFrame:
    """Per comparison and model: how many runs, the best, the quartiles with an interval, and the median before training.

    Runs that diverged or failed have no value and rank worst; a quartile among them is empty. Of a metric to match, quartiles are
    of the distances to real images, as the column quartiles_of says; the best is a value.
    """
    start = tables.records[tables.records.iteration == 0]
    found = pd.DataFrame([row for some in those for row in _rows(some, start)], columns=list(COLUMNS))
    return found.astype({**dict.fromkeys(WHOLE, "Int64"), **dict.fromkeys(REAL, float)})


def _rows(some: Comparison, start: pd.DataFrame) -> Iterator[dict[str, Any]]:
    before_training = start[(start.metric == some.measure.metric) & (start.protocol_id == some.protocol_id)]
    shared = {
        "setting": some.setting,
        "metric": some.measure.metric,
        "goal": some.measure.goal,
        "quartiles_of": "distances to real images" if some.measure.goal == "match" else "values",
        "protocol": json.dumps(some.protocol, sort_keys=True),
        "protocol_id": some.protocol_id,
    }
    for name in REFERENCES:
        if len(values := some.of_reference(name)):
            again = some.values.loc[some.values.model == name, "second"]
            row = {"model": name, **_counts(some, name), "n": len(values), "best": values.iloc[0], "best_again": again.iloc[0]}
            quartiles = ranking.quartiles(ranking.costs(values.to_numpy(float), some.measure, some.reference), some.measure)
            mine = some.values[some.values.model == name]
            yield {**shared, **row, **_quartiles(quartiles), "measurement_error": ((mine.high - mine.low) / 2).median()}
    for model in some.models:
        mine, best = some.of(model), some.best(model, 1)
        runs = mine.groupby("configuration").size()
        before = before_training.loc[before_training.model == model, "value"].dropna()
        low, high = _median_interval(some, model)
        yield {
            **shared,
            "model": model,
            **_counts(some, model),
            "n": int(mine.value.notna().sum()),
            "without_value": some.without_value(model),
            "not_measured": some.not_measured(model),
            "configurations": len(runs),
            "seeds": int(runs.max()),
            "best": best.value.iloc[0] if len(best) else None,
            "best_run": best.run.iloc[0] if len(best) else None,
            "best_again": best.second.iloc[0] if len(best) else None,
            **_quartiles(some.quartiles(model)),
            "median_low": low,
            "median_high": high,
            "measurement_error": ((mine.high - mine.low) / 2).median(),
            "median_before_training": before.median() if len(before) else None,
        }


def _counts(some: Comparison, model: str) -> dict[str, Any]:
    """Of the study's runs of a model: how many there are, and how they ended."""
    mine = some.runs[some.runs.model == model]
    ends = {status: int((mine.status == status).sum()) for status in ("done", *LOST)}
    return {"study": " + ".join(mine.study.unique()), "dataset": mine.dataset.iloc[0], "runs": len(mine), **ends}


def _quartiles(quartiles: tuple[float | None, float | None, float | None]) -> dict[str, float | None]:
    first, middle, third = quartiles
    spread = None if first is None or third is None else third - first
    return {"quartile_1": first, "median": middle, "quartile_3": third, "iqr": spread}


def _median_interval(some: Comparison, model: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a median over drawing other configurations, in its unit; None for an end without a value."""
    if not some.is_ranked:
        return None, None
    interval = quartile_intervals(some.sweep(model), source("median", some.measure.metric, some.protocol_id, model))[1]
    ends = sorted(ranking.value_of(end, some.measure) for end in (interval.low, interval.high))
    low, high = (end if np.isfinite(end) else None for end in ends)
    return low, high


def by_median(rows: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The models' rows of a summary by their medians, the best first; those without a median come last."""
    ours = rows[~rows.model.isin(list(REFERENCES))]
    cost = -ours["median"] if measure.goal == "maximize" else ours["median"]
    return ours.loc[cost.sort_values(kind="stable", na_position="last").index]


def missing_as_none(rows: pd.DataFrame) -> pd.DataFrame:
    """A table for reading: what is missing is None."""
    return rows.astype(object).where(rows.notna(), None)


def paper_table(summary: pd.DataFrame) -> pd.DataFrame:
    """What a paper prints: per metric and model the median with its interval and quartiles, the best, and how many were lost."""
    ours = summary[~summary.model.isin(list(REFERENCES))]
    of_protocols = ours.groupby(["setting", "metric"]).protocol_id.nunique()
    rows = [
        {
            **({"setting": row.setting} if ours.setting.nunique() > 1 else {}),
            "metric": MEASURES[row.metric].title + (", distance" if row.goal == "match" else ""),
            **({"protocol": row.protocol_id} if (of_protocols > 1).any() else {}),
            "better": "higher" if row.goal == "maximize" else "lower",
            "model": title(row.model),
            "runs": f"{row.n} of {row.runs}",
            "diverged": row.diverged,
            "failed": row.failed,
            "lower quartile": _number(row.quartile_1),
            "median": _number(row.median),
            "95 %": _interval(row.median_low, row.median_high),
            "upper quartile": _number(row.quartile_3),
            "IQR": _number(row.iqr),
            "best": _number(row.best),
            "best, measured again": _number(row.best_again),
        }
        for row in ours.itertuples()
    ]
    return pd.DataFrame(rows)


def _interval(low: Any, high: Any) -> str:
    return "–" if pd.isna(low) and pd.isna(high) else f"{_number(low)} to {_number(high)}"


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
    text = str(shown.to_latex(hrules=True, column_format="l" * len(table.columns)))
    return text.replace("α", r"$\alpha$").replace("−", "$-$").replace("–", "--")
