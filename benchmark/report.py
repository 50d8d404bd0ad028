"""From records to figures, tables and one page. Reads the results folder only, and works on records made elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
import jinja2
import numpy as np
import pandas as pd

from benchmark import figures
from benchmark.errors import UserError
from benchmark.ledger import RunFolder
from benchmark.measures import MEASURES, Measure
from benchmark.models import ALIASES
from benchmark.records import RecordFile, read_json, write_atomically

REFERENCES = ("real", "noise")
COLUMNS = (
    "study",
    "run",
    "model",
    "dataset",
    "seed",
    "iteration",
    "status",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "protocol",
    "hyperparameters",
    "protocol_id",
)


def make_report(folder: Path) -> Path:
    """Write a study's report from its records.

    Args:
        folder: results/<study>.

    Returns:
        The page, results/<study>/report/index.html.

    Raises:
        UserError: if there is no study, or nothing measured in it yet.
    """
    study = read_study(folder)
    (folder / "report" / "figures").mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".report.lock"):  # two commands on one study may end together
        return _write_report(folder, study)


def _write_report(folder: Path, study: dict[str, Any]) -> Path:
    report = folder / "report"
    runs = read_runs(folder, study)
    records = read_records(folder, runs)
    if records.empty:
        raise UserError(f"{folder} has no records yet: its runs have not come so far")
    write_atomically(report / "records.csv", records.to_csv(index=False))
    final = final_values(records, runs)
    summary = summarize(final, records, runs)
    write_atomically(report / "summary.csv", summary.to_csv(index=False))
    measured = [measure for measure in MEASURES.values() if _has(final, measure)]
    for stale in (report / "figures").iterdir():
        stale.unlink()
    sections = [_section(measure, final, summary, records, report) for measure in measured]
    main = main_protocol(final)
    page = _template().render(
        study=study,
        counts=status_counts(runs),
        sections=sections,
        not_measured=not_measured(records, final),
        curves=_curves(records, runs, report),
        overfitting=overfitting(records, runs, main),
        galleries=_galleries(folder, main),
        runs=_run_rows(runs, main),
        measures=measured,
    )
    write_atomically(report / "index.html", page)
    return report / "index.html"


def read_study(folder: Path) -> dict[str, Any]:
    """The content of study.json.

    Raises:
        UserError: if it is missing, no JSON, or not a study's.
    """
    study = read_json(folder / "study.json")
    needed = ("study", "dataset", "fingerprint", "preset", "settings", "runs", "benchmark", "environment")
    missing = [key for key in needed if key not in study]
    if missing:
        raise UserError(f"{folder / 'study.json'} is no study of this version of the benchmark: it lacks {missing[0]!r}")
    return dict(study)


def read_runs(folder: Path, study: dict[str, Any]) -> pd.DataFrame:
    """One row a run of the study: run, model, status, reason, seed, iterations, hyperparameters, seconds."""
    rows = []
    for name, planned in study["runs"].items():
        place = RunFolder(folder / "runs" / name)
        status = place.status() or {"status": "running" if place.is_claimed() else "missing"}
        rows.append(
            {
                "study": study["study"],
                "run": name,
                "model": planned["model"],
                "dataset": study["dataset"],
                "seed": planned["seed"],
                "iterations": study["settings"]["iterations"],
                "status": status["status"],
                "reason": status.get("reason", ""),
                "hyperparameters": planned["hyperparameters"],
                "seconds": sum(status.get("seconds", {}).values()),
            }
        )
    return pd.DataFrame(rows)


def read_records(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Every row of every run, tidy, in the study's order: the content of records.csv."""
    rows = [
        {
            "study": run.study,
            "run": run.run,
            "model": run.model,
            "dataset": run.dataset,
            "seed": run.seed,
            "iteration": row.iteration,
            "status": run.status,
            "metric": row.metric,
            "value": row.value,
            "low": row.low,
            "high": row.high,
            "n": row.n,
            "protocol": json.dumps(row.protocol, sort_keys=True),
            "hyperparameters": json.dumps(run.hyperparameters, sort_keys=True),
            "protocol_id": row.protocol_id,
        }
        for run in runs.itertuples()
        for row in RecordFile(folder / "runs" / run.run / "records.jsonl").read()
    ]
    records = pd.DataFrame(rows, columns=list(COLUMNS))
    records = records.drop_duplicates(["run", "iteration", "metric", "protocol_id"], keep="last", ignore_index=True)
    return records.astype({"value": float, "low": float, "high": float, "n": "Int64"})


def final_values(records: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The values at the end of each run that came to its end, missing ones too, by the protocol that they were measured by."""
    ends = runs.loc[runs.status == "done", ["run", "iterations"]]
    joined = records.merge(ends, on="run")
    final = joined[(joined.iteration == joined.iterations) & joined.metric.isin(list(MEASURES))]
    return final.assign(protocol=final.protocol.map(_without_reason))


def main_protocol(final: pd.DataFrame) -> pd.DataFrame:
    """Of each metric the values by the one protocol that gave most runs a value, the latest of equals: what may share a table."""
    found = []
    for _, values in final[final.value.notna()].groupby("metric", sort=False):
        counts = values.protocol_id.value_counts(sort=False)
        latest = [name for name in values.protocol_id.unique() if counts[name] == counts.max()][-1]
        found.append(values[values.protocol_id == latest])
    return pd.concat(found) if found else final[final.value.notna()]


def _without_reason(protocol: str) -> str:
    """A value that is not available was to be measured like the others; why it is not is no part of how."""
    return json.dumps({key: value for key, value in json.loads(protocol).items() if key != "not_available"}, sort_keys=True)


def summarize(final: pd.DataFrame, records: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Per model, metric and protocol: how many runs, the best value, the quartiles, and the median before training.

    Runs that diverged or failed have no value and rank worst; a quartile among them is empty.
    """
    start = records[records.iteration == 0]
    rows = []
    for (metric, protocol), values in final.groupby(["metric", "protocol"], sort=False):
        measure = MEASURES[str(metric)]
        reference = values.loc[values.model == "real", "value"].median()
        for model in [name for name in runs.model.unique() if name in set(values.model)]:
            mine = runs[runs.model == model]
            lost = int(mine.status.isin(["diverged", "failed"]).sum())
            measured = values.loc[values.model == model, "value"]
            found = measured.dropna().to_numpy()
            before = start.loc[(start.model == model) & (start.metric == metric) & (start.protocol == protocol), "value"].dropna()
            intervals = values[values.model == model]
            error = ((intervals.high - intervals.low) / 2).median()
            first, middle, third = ranked_quartiles(found, len(measured) - len(found) + lost, measure, reference)
            rows.append(
                {
                    "study": mine.study.iloc[0],
                    "dataset": mine.dataset.iloc[0],
                    "model": model,
                    "metric": metric,
                    "goal": measure.goal,
                    "runs": len(mine),
                    **{status: int((mine.status == status).sum()) for status in ("done", "diverged", "failed")},
                    "n": len(found),
                    "without_value": len(measured) - len(found) + lost,
                    "best": best_first(found, measure, reference)[0] if len(found) else None,
                    "quartile_1": first,
                    "median": middle,
                    "quartile_3": third,
                    "iqr": None if first is None or third is None else abs(third - first),
                    "measurement_error": error,
                    "median_before_training": before.median() if len(before) else None,
                    "protocol": protocol,
                }
            )
    return pd.DataFrame(rows)


def best_first(values: np.ndarray, measure: Measure, reference: float) -> np.ndarray:
    """Values from the best to the worst by the metric's goal; `match` is nearest to the reference."""
    if measure.goal == "match" and np.isnan(reference):
        return np.full_like(values, np.nan)  # there is nothing to be near to
    key = {"maximize": -values, "minimize": values, "match": np.abs(values - reference)}[measure.goal]
    return values[np.argsort(key, kind="stable")]


def ranked_quartiles(
    values: np.ndarray, without: int, measure: Measure, reference: float
) -> tuple[float | None, float | None, float | None]:
    """Lower quartile, median and upper quartile of a sweep in which `without` runs have no value and rank worst.

    Interpolated linearly between neighbours in rank, as numpy does; None where a neighbour is a run without a value.
    """
    ordered = [float(value) for value in best_first(values, measure, reference)]
    ranked: list[float | None] = [*ordered, *[None] * without]
    if not ranked:
        return None, None, None
    quartiles = []
    for share in (0.25, 0.5, 0.75):
        position = share * (len(ranked) - 1)
        low, part = int(position), position % 1
        a, b = ranked[low], ranked[min(low + 1, len(ranked) - 1)]
        quartiles.append(a if part == 0 or a is None else None if b is None else a + (b - a) * part)
    if measure.goal == "maximize":  # rank 1 is the largest value
        quartiles.reverse()
    return quartiles[0], quartiles[1], quartiles[2]


def status_counts(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """How many runs of each model ended how, in the study's order."""
    statuses = ("done", "diverged", "failed", "running", "missing")
    return [
        {"model": model, **{s: int(((runs.model == model) & (runs.status == s)).sum()) for s in statuses}}
        for model in runs.model.unique()
    ]


def _has(final: pd.DataFrame, measure: Measure) -> bool:
    return bool((final.value.notna() & (final.metric == measure.metric)).any())


def not_measured(records: pd.DataFrame, final: pd.DataFrame) -> dict[str, str]:
    """Metrics that no run has a value of by some protocol, by their titles, and why."""
    absent = records[records.value.isna() & records.metric.isin(list(MEASURES))]
    known = set(final.loc[final.value.notna(), "metric"] + final.loc[final.value.notna(), "protocol_id"])
    found: dict[str, list[str]] = {}
    for row in absent.drop_duplicates(["metric", "protocol_id"]).itertuples():
        if row.metric + row.protocol_id not in known:
            reason = json.loads(row.protocol).get("not_available", "no reason was recorded")
            found.setdefault(MEASURES[str(row.metric)].title, []).append(f"{reason} (protocol {row.protocol_id})")
    return {title: "; ".join(reasons) for title, reasons in found.items()}


def noise_levels(records: pd.DataFrame, protocol_id: str) -> dict[str, float]:
    """The diversity of test images with noise, by the standard deviation of that noise (the paper's baseline)."""
    rows = records[records.metric.str.startswith("sample_diversity/noise ") & (records.protocol_id == protocol_id)]
    return {f"+ noise {row.metric.removeprefix('sample_diversity/noise ')}": row.value for row in rows.itertuples()}


OVERFITTING = 0.1
"""Share of a critic's distance that its gap between training and test images may reach."""


def overfitting(records: pd.DataFrame, runs: pd.DataFrame, main: pd.DataFrame) -> list[dict[str, Any]]:
    """Runs whose critic knows the images that it was trained on, by model: in how many, and how far.

    The gap E[f(validation images)] - E[f(test images)] counts where chance does not explain it (its 95 % interval is above 0)
    and more than a tenth of the distance that the critic reports.
    """
    end = records.merge(runs.loc[runs.status == "done", ["run", "iterations"]], on="run").query("iteration == iterations")
    found = []
    for critic in ("critic", "critic_in_training"):
        values = main[main.metric == critic].set_index(["run", "protocol_id"]).value
        gaps = end[end.metric == f"{critic}_gap"].set_index(["run", "protocol_id"])
        both = gaps.assign(distance=values.abs()).dropna(subset=["value", "distance"])
        both = both[~both.model.isin(REFERENCES)]
        for model, mine in both.groupby("model", sort=False):
            remembers = mine[(mine.low > 0) & (mine.value > OVERFITTING * mine.distance)]
            found.append(
                {
                    "critic": MEASURES[critic].title,
                    "model": model,
                    "n": len(mine),
                    "remembers": len(remembers),
                    "gap": mine.value.median(),
                    "distance": mine.distance.median(),
                }
            )
    return found


def _section(measure: Measure, final: pd.DataFrame, summary: pd.DataFrame, records: pd.DataFrame, report: Path) -> dict[str, Any]:
    """One metric: a figure for each of the protocols that gave values, and its rows of the summary."""
    mine = final[(final.metric == measure.metric)]
    mine = mine[mine.protocol.isin(mine.loc[mine.value.notna(), "protocol"])]
    parts = []
    for number, protocol in enumerate(mine.protocol.unique()):
        name = measure.metric + (f"_{number + 1}" if number else "")
        values = mine[mine.protocol == protocol]
        levels = noise_levels(records, values.protocol_id.iloc[0]) if measure.metric == "sample_diversity" else {}
        figure = figures.box_plot(values, measure, _without_value(summary, protocol, measure), levels)
        figures.save(figure, report / "figures" / name)
        rows = summary[(summary.metric == measure.metric) & (summary.protocol == protocol)]
        parts.append(
            {
                "image": _embed(report / "figures" / f"{name}.png"),
                "protocol": json.loads(protocol),
                "protocol_id": values.protocol_id.iloc[0],
                "sentence": sentence(rows, measure),
                "rows": rows.astype(object).where(rows.notna(), None).to_dict("records"),
            }
        )
    return {"measure": measure, "parts": parts}


def _without_value(summary: pd.DataFrame, protocol: str, measure: Measure) -> dict[str, int]:
    """How many ended runs of each model have no value by this protocol."""
    rows = summary[(summary.metric == measure.metric) & (summary.protocol == protocol)]
    return {row.model: int(row.without_value) for row in rows.itertuples()}


def sentence(rows: pd.DataFrame, measure: Measure) -> str:
    """What a box plot shows, in words, from its numbers."""
    models = rows[~rows.model.isin(REFERENCES) & rows["median"].notna()]
    if models.empty:
        return "No model has a median here: too few runs came to their end."
    reference = rows.loc[rows.model == "real", "median"]
    ordered = best_first(models["median"].to_numpy(), measure, reference.iloc[0] if len(reference) else np.nan)
    if np.isnan(ordered[0]):
        return "No ranking: the nearest to real images is best here, and they have no value."
    best, last = (figures.title(models.loc[models["median"] == value, "model"].iloc[0]) for value in (ordered[0], ordered[-1]))
    text = f"By the median over its configurations {best} is best here ({ordered[0]:.3g}) and {last} is last ({ordered[-1]:.3g})"
    if len(models) == 1:
        text = f"The median over the configurations of {best} is {ordered[0]:.3g}"
    elif ordered[0] == ordered[-1]:
        text = f"By the median over its configurations every model scores {ordered[0]:.3g}"
    for name, words in (("real", "real images score"), ("noise", "noise scores")):
        value = rows.loc[rows.model == name, "median"]
        if len(value):
            text += f"; {words} {value.iloc[0]:.3g}"
    worst = rows[~rows.model.isin(REFERENCES) & rows["median"].isna()]
    for row in worst.itertuples():
        ended = row.without_value + row.n
        text += f"; {figures.title(row.model)} has no median: {row.without_value} of its {ended} runs have no value"
    fewest, most = int(models.n.min()), int(models.n.max())
    runs = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return f"{text}. Each box holds {runs} run{'s' * (most > 1)}: a sweep over hyperparameters, not repeated seeds."


def _curves(records: pd.DataFrame, runs: pd.DataFrame, report: Path) -> list[dict[str, str]]:
    """Learning curves of the in-training critics (the paper's figure 13) of finished runs, one figure a protocol."""
    done = runs.loc[runs.status == "done", "run"]
    points = records[records.metric.str.startswith("critic_curve/") & records.value.notna() & records.run.isin(done)]
    found = []
    for number, (_, mine) in enumerate(points.groupby("protocol_id", sort=False)):
        name = "critic_curves" + (f"_{number + 1}" if number else "")
        figures.save(figures.critic_curves(mine), report / "figures" / name)
        found.append({"image": _embed(report / "figures" / f"{name}.png")})
    return found


def _galleries(folder: Path, main: pd.DataFrame) -> list[dict[str, str]]:
    """Samples and reconstructions of each model's best run by the post-hoc critic."""
    galleries = []
    values = main[main.metric == "critic"]
    order = {name: number for number, name in enumerate([*ALIASES])}
    for model in sorted(values.model.unique(), key=lambda name: (name in REFERENCES, order.get(name, len(order)), name)):
        best = values[values.model == model].sort_values("value", ascending=False, kind="stable").iloc[0]
        for kind in ("samples", "reconstructions"):
            picture = folder / "runs" / best.run / f"{kind}.png"
            if picture.exists():
                galleries.append({"model": model, "kind": kind, "run": best.run, "image": _embed(picture)})
    return galleries


def _run_rows(runs: pd.DataFrame, main: pd.DataFrame) -> list[dict[str, Any]]:
    """All runs with their values, each metric by its main protocol."""
    rows = []
    for run in runs.to_dict("records"):
        mine = main[main.run == run["run"]].set_index("metric")
        values = mine.value.to_dict()
        intervals = {metric: f"95 %: {row.low:.4g} to {row.high:.4g}" for metric, row in mine.dropna(subset=["low"]).iterrows()}
        rows.append({**run, "values": values, "intervals": intervals})
    return rows


def _embed(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("benchmark"), autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = lambda value: f"{value:.4g}" if isinstance(value, (int, float)) and value == value else "–"
    environment.filters["title"] = figures.title
    environment.filters["settings"] = lambda values: ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )
    return environment.get_template("report.html")


def study_folders(results: Path, names: Sequence[str]) -> list[Path]:
    """The folders of studies given by name or by path; all of them if none is given.

    Raises:
        UserError: for a study that is not there.
    """
    from benchmark.errors import unknown

    found = sorted(path.parent for path in results.glob("*/study.json"))
    if not names:
        if not found:
            raise UserError(f"there is no study in {results} yet: `make bench` makes one")
        return found
    folders = []
    for name in names:
        candidates = [path for path in (results / name, Path(name)) if (path / "study.json").exists()]
        if not candidates:
            raise unknown("study", name, [path.name for path in found] or [f"none in {results} yet"])
        folders.append(candidates[0])
    return folders
