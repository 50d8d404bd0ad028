"""Summarize results: one row a model, metric, setting and protocol, for CSV files and, as printed, for Markdown and LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import REFERENCES, title
from benchmark.report.numbers import ranking
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.statistics import quartile_intervals
from benchmark.report.numbers.tables import LOST, Tables
from metrics.catalogue import MetricInfo

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


def summarize(tables: Tables, comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """Count and rank the runs of each comparison and model: how many, the best, the quartiles, the median before training.

    Runs that diverged or failed have no value and rank worst; a quartile among them is empty. Of a metric to match, quartiles are
    of the distances to real images, as the column quartiles_of says; the best is a value.
    """
    start = tables.records[tables.records.iteration == 0]
    rows = [row for comparison in comparisons for row in _rows(comparison, start)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**dict.fromkeys(WHOLE, "Int64"), **dict.fromkeys(REAL, float)})


def _rows(comparison: Comparison, start: pd.DataFrame) -> Iterator[dict[str, Any]]:
    metric = comparison.metric
    before_training = start[(start.metric == metric.name) & (start.protocol_id == comparison.protocol_id)]
    shared = {
        "setting": comparison.setting,
        "metric": metric.name,
        "goal": metric.goal,
        "quartiles_of": "distances to real images" if metric.goal == "match" else "values",
        "protocol": json.dumps(comparison.protocol, sort_keys=True),
        "protocol_id": comparison.protocol_id,
    }
    for reference in REFERENCES:
        if len(comparison.of_reference(reference)):
            yield {**shared, "model": reference, **_counts(comparison, reference), **_of_reference(comparison, reference)}
    for model in comparison.models:
        before = before_training.loc[before_training.model == model, "value"].dropna()
        median_before = before.median() if len(before) else None
        row = {"model": model, **_counts(comparison, model), **_of_model(comparison, model)}
        yield {**shared, **row, "median_before_training": median_before}


def _of_reference(comparison: Comparison, reference: str) -> dict[str, Any]:
    """What a sanity row scores."""
    values, rows = comparison.of_reference(reference), comparison.values[comparison.values.model == reference]
    costs = ranking.costs(values.to_numpy(float), comparison.metric, comparison.reference)
    return {
        "n": len(values),
        "best": values.iloc[0],
        "best_again": rows.second.iloc[0],
        **_quartiles(ranking.quartiles(costs, comparison.metric)),
        "measurement_error": _measurement_error(rows),
    }


def _of_model(comparison: Comparison, model: str) -> dict[str, Any]:
    """What a model's runs score."""
    runs, best = comparison.of(model), comparison.best(model, 1)
    seeds = runs.groupby("configuration").size()
    low, high = _median_interval(comparison, model)
    return {
        "n": int(runs.value.notna().sum()),
        "without_value": comparison.without_value(model),
        "not_measured": comparison.not_measured(model),
        "configurations": len(seeds),
        "seeds": int(seeds.max()),
        "best": best.value.iloc[0] if len(best) else None,
        "best_run": best.run.iloc[0] if len(best) else None,
        "best_again": best.second.iloc[0] if len(best) else None,
        **_quartiles(comparison.quartiles(model)),
        "median_low": low,
        "median_high": high,
        "measurement_error": _measurement_error(runs),
    }


def _measurement_error(rows: pd.DataFrame) -> float:
    """Half of the 95 % interval of one run's value over redrawing its samples, the median over runs."""
    return float(((rows.high - rows.low) / 2).median())


def _counts(comparison: Comparison, model: str) -> dict[str, Any]:
    """Of the study's runs of a model: how many there are, and how they ended."""
    runs = comparison.runs[comparison.runs.model == model]
    ends = {status: int((runs.status == status).sum()) for status in ("done", *LOST)}
    return {"study": " + ".join(runs.study.unique()), "dataset": runs.dataset.iloc[0], "runs": len(runs), **ends}


def _quartiles(quartiles: tuple[float | None, float | None, float | None]) -> dict[str, float | None]:
    first, middle, third = quartiles
    spread = None if first is None or third is None else third - first
    return {"quartile_1": first, "median": middle, "quartile_3": third, "iqr": spread}


def _median_interval(comparison: Comparison, model: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a median over drawing other configurations, in its unit; None for an end without a value."""
    if not comparison.is_ranked:
        return None, None
    interval = quartile_intervals(comparison.sweep(model), comparison.source("median", model))[1]
    ends = sorted(ranking.value_of(end, comparison.metric) for end in (interval.low, interval.high))
    low, high = (end if np.isfinite(end) else None for end in ends)
    return low, high


def by_median(rows: pd.DataFrame, metric: MetricInfo) -> pd.DataFrame:
    """Sort the models' rows of a summary by their medians, the best first; those without a median come last."""
    models = rows[~rows.model.isin(REFERENCES)]
    cost = -models["median"] if metric.goal == "maximize" else models["median"]
    return models.loc[cost.sort_values(kind="stable", na_position="last").index]


def missing_as_none(rows: pd.DataFrame) -> pd.DataFrame:
    """Prepare a table for reading: what is missing is None."""
    return rows.astype(object).where(rows.notna(), None)


def paper_table(summary: pd.DataFrame, catalogue: Mapping[str, MetricInfo]) -> pd.DataFrame:
    """Format what a paper prints: a row a metric and model with the median, its interval, quartiles, the best, the lost runs."""
    models = summary[~summary.model.isin(REFERENCES)]
    of_protocols = models.groupby(["setting", "metric"]).protocol_id.nunique()
    rows = [
        {
            **({"setting": row.setting} if models.setting.nunique() > 1 else {}),
            "metric": catalogue[row.metric].title + (", distance" if row.goal == "match" else ""),
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
        for row in models.itertuples()
    ]
    return pd.DataFrame(rows)


def _interval(low: Any, high: Any) -> str:
    return "–" if pd.isna(low) and pd.isna(high) else f"{_number(low)} to {_number(high)}"


def _number(value: Any) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.4g}"


def as_markdown(table: pd.DataFrame) -> str:
    """Write a pipe table, escaped: a cell is no HTML, ends no cell and begins no markup."""
    cells = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    lines = ["| " + " | ".join(re.sub(r"([\\`*_{}\[\]<>|~$])", r"\\\1", cell) for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(table.columns), *lines[1:]]) + "\n"


def as_latex(table: pd.DataFrame) -> str:
    """Write a booktabs table, escaped."""
    shown = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    text = str(shown.to_latex(hrules=True, column_format="l" * len(table.columns)))
    return text.replace("α", r"$\alpha$").replace("−", "$-$").replace("–", "--")
