"""Read studies' records into tables: every row, every run, and the values at the runs' ends by what they may be compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.records.rows import RecordFile, Row
from benchmark.records.run_folder import RunFolder
from benchmark.records.study_folder import read_study, study_metrics
from metrics.catalogue import NOT_SCORES, SECOND, MetricInfo

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
    "missing",
    "reason",
)
RUN_COLUMNS = (
    "study",
    "run",
    "model",
    "dataset",
    "setting",
    "seed",
    "iterations",
    "status",
    "reason",
    "hyperparameters",
    "configuration",
    "seconds",
    "training_seconds",
    "evaluation_seconds",
    "folder",
)
LOST = ("diverged", "failed")
COPIES = ("done", *LOST, "running", "missing")
"""Of a run that several studies hold, the copy counts whose status comes first here."""


@dataclass(frozen=True)
class Tables:
    """What studies hold."""

    studies: list[dict[str, Any]]
    """What each study.json says."""
    runs: pd.DataFrame
    """One row a run: study, run, model, dataset, setting, seed, iterations, status, reason, hyperparameters, configuration,
    seconds, training_seconds, evaluation_seconds, folder. A run that several studies share stands once."""
    records: pd.DataFrame
    """Every row of every run, the content of records.csv: `COLUMNS`."""

    @property
    def settings(self) -> list[str]:
        """What runs must share to be compared, in the order of the studies."""
        return list(self.runs.setting.unique())

    @cached_property
    def catalogue(self) -> dict[str, MetricInfo]:
        """How every metric is read that may stand in the records: ours, and those that a study describes as its user's own."""
        return {name: metric for study in reversed(self.studies) for name, metric in study_metrics(study).items()}


def read_tables(folders: Sequence[Path]) -> Tables:
    """Read studies, also such that are still running.

    Raises:
        UserError: if a folder holds no study, a row is damaged, or no run has recorded anything yet.
    """
    studies = [read_study(folder) for folder in folders]
    runs_by_study = [
        _read_runs(folder, study, setting)
        for folder, study, setting in zip(folders, studies, label_settings(studies), strict=True)
    ]
    copies = pd.concat(runs_by_study, ignore_index=True)
    finished_first = copies.assign(place=copies.status.map(COPIES.index)).sort_values("place", kind="stable")
    runs = copies.loc[finished_first.drop_duplicates("run").index.sort_values()].reset_index(drop=True)
    records = _read_records(runs, finished_first)
    if records.empty:
        raise UserError(f"{', '.join(map(str, folders))}: no records yet, its runs have not come so far")
    return Tables(studies, runs, records)


def label_settings(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the setting of each study's runs: the data set, and the iterations, width and so on where studies differ in them."""
    words = {"iterations": "{} iterations", "width": "width {:g}", "batch_size": "batch {}", "threads": "{} threads"}
    defaults = {"threads": 1}
    versions = _versions(studies)
    facts = [
        {
            "dataset": study["dataset"],
            **{key: word.format(study["settings"].get(key, defaults.get(key))) for key, word in words.items()},
            "precision": study["settings"].get("precision", "float32"),
            "fingerprint": f"data {study['fingerprint'][:6]}",
            "code": f"models as in {version}",
        }
        for study, version in zip(studies, versions, strict=True)
    ]
    differing = [
        key
        for key in facts[0]
        if key != "dataset" and any(a["dataset"] == b["dataset"] and a[key] != b[key] for a in facts for b in facts)
    ]
    return [", ".join([fact["dataset"], *(fact[key] for key in differing)]) for fact in facts]


def _versions(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each study the first one that holds the same code of the models that both hold."""
    seen: dict[str, dict[str, str]] = {}
    versions = []
    for number, study in enumerate(studies):
        code = study.get("code", {})
        same = (name for name, other in seen.items() if all(other.get(path, hash_) == hash_ for path, hash_ in code.items()))
        own = study["study"] if study["study"] not in seen else f"{study['study']} ({number + 1})"  # one of the same name
        name = next(same, own)
        seen.setdefault(name, {}).update(code)
        versions.append(name)
    return versions


def _read_runs(folder: Path, study: Mapping[str, Any], setting: str) -> pd.DataFrame:
    rows = []
    for name, planned in study["runs"].items():
        place = RunFolder(folder / "runs" / name)
        status = place.status() or {"status": "running" if place.is_claimed() else "missing"}
        seconds = status.get("seconds", {})
        hyperparameters = dict(planned["hyperparameters"])
        rows.append(
            {
                "study": study["study"],
                "run": name,
                "model": planned["model"],
                "dataset": study["dataset"],
                "setting": setting,
                "seed": planned["seed"],
                "iterations": study["settings"]["iterations"],
                "status": status["status"],
                "reason": status.get("reason", ""),
                "hyperparameters": hyperparameters,
                "configuration": json.dumps([setting, planned["model"], hyperparameters], sort_keys=True),
                "seconds": sum(seconds.values()),
                "training_seconds": seconds.get("training", 0.0),
                "evaluation_seconds": seconds.get("evaluation", 0.0),
                "folder": folder / "runs" / name,
            }
        )
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _read_records(runs: pd.DataFrame, copies: pd.DataFrame) -> pd.DataFrame:
    """Every row of every run, tidy, in the studies' order; of rows that were written twice the last.

    Of a run that several studies hold all copies' rows: each may have been measured in ways of its own. The copy that counts
    stands first in `copies`, and its values win.
    """
    folders = copies.groupby("run", sort=False).folder.agg(list)
    rows: list[tuple[Any, ...]] = []
    for run in runs.itertuples():
        hyperparameters = json.dumps(run.hyperparameters, sort_keys=True)
        for (*_, key), row in _rows_of_copies(folders[run.run]).items():
            protocol = json.dumps(row.protocol, sort_keys=True)
            about = (run.study, run.run, run.model, run.dataset, run.seed, row.iteration, run.status)
            measured = (row.metric, row.value, row.low, row.high, row.n, protocol, hyperparameters, key)
            rows.append((*about, *measured, row.missing or "", row.reason))
    records = pd.DataFrame(rows, columns=list(COLUMNS))
    return records.astype({"value": float, "low": float, "high": float, "n": "Int64"})


def _rows_of_copies(folders: Sequence[Path]) -> dict[tuple[int, str, str], Row]:
    """The first copy's rows, and what only others have; a value where another has only a reason for having none.

    Returns:
        Rows by iteration, metric and the protocol's hash.
    """
    rows: dict[tuple[int, str, str], Row] = {}
    for folder in folders:
        copy = {(row.iteration, row.metric, row.protocol_id): row for row in RecordFile(folder / "records.jsonl").read()}
        rows |= {key: row for key, row in copy.items() if key not in rows or rows[key].value is None}
    return rows


def final_values(tables: Tables) -> pd.DataFrame:
    """The scores at the end of each run that came to its end, missing ones too; those of second evaluations have a column.

    Returns:
        The columns of `tables.runs` with metric, value, low, high, n, protocol (JSON), protocol_id; is_unmeasured: whether there
        is no value because nobody could measure it, not because it was not finite; and second: the value of the run's second
        evaluation by a protocol that is otherwise the same, NaN where there is none, or where it could be of two.
    """
    about = tables.runs.loc[tables.runs.status == "done"].drop(columns=["study", "model", "dataset", "seed", "status", "reason"])
    joined = tables.records.drop(columns=["hyperparameters"]).merge(about, on="run")
    final = joined[(joined.iteration == joined.iterations) & joined.metric.isin(list(tables.catalogue))]
    parts = {protocol: _parts(protocol) for protocol in final.protocol.unique()}
    final = final.assign(**{name: final.protocol.map(lambda text, name=name: parts[text][name]) for name in _parts("{}")})
    final["is_unmeasured"] = final.value.isna() & (final.missing != "not_finite")
    is_second = final.is_second.astype(bool)  # also where no run has come to its end
    first, key = final[~is_second], ["run", "metric", "alike"]
    second = final[is_second].drop_duplicates(key, keep="last").set_index(key).value.rename("second")
    first = first.join(second, on=key)
    first.loc[first.duplicated(key, keep=False), "second"] = np.nan
    return first.drop(columns=["is_second", "alike", "missing", "reason"])


def _parts(protocol: str) -> dict[str, Any]:
    """A protocol taken apart.

    Returns:
        is_second: whether it is a second evaluation's; alike: what both evaluations share.
    """
    content = json.loads(protocol)
    own = {"evaluation", "seed", "split"}
    if content.get("split") in ("test", "validation"):  # other images, and as many as there are of them
        own.add("images")
    alike = {key: value for key, value in content.items() if key not in own}
    return {
        "is_second": content.get("evaluation") == SECOND,
        "alike": json.dumps(alike, sort_keys=True),
    }


def unknown_metrics(tables: Tables) -> dict[str, int]:
    """Count the rows of metrics in the records that this version cannot read."""
    counts = tables.records.metric.value_counts(sort=False)
    return {
        str(name): int(n) for name, n in counts.items() if name not in tables.catalogue and not str(name).startswith(NOT_SCORES)
    }
