"""Studies' records as tables: every row, every run, and the values at the runs' ends by what they may be compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.ledger import RunFolder
from benchmark.measures import MEASURES, Measure
from benchmark.records import RecordFile
from benchmark.report.ranking import best_first, costs
from benchmark.report.statistics import Sweep
from benchmark.report.studies import read_study
from benchmark.report.style import REFERENCES, in_order

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
LOST = ("diverged", "failed")
COPIES = ("done", *LOST, "running", "missing")
"""Of a run that several studies hold, the copy counts whose status comes first here."""
SECOND = "second"
"""What the protocol of a finished run's second evaluation says under "evaluation"."""
FAMILIES = ("loss/", "critic_curve/", "sample_diversity/noise ", "critic_gap", "critic_in_training_gap")
"""Rows that are no scores; how their names begin."""


@dataclass(frozen=True)
class Tables:
    """What studies hold."""

    studies: list[dict[str, Any]]
    """What each study.json says."""
    runs: pd.DataFrame
    """One row a run: study, run, model, dataset, setting, seed, iterations, status, reason, hyperparameters, configuration,
    seconds, folder. A run that several studies share stands once."""
    records: pd.DataFrame
    """Every row of every run, the content of records.csv: `COLUMNS`."""

    @property
    def settings(self) -> list[str]:
        """What runs must share to be compared, in the order of the studies."""
        return list(self.runs.setting.unique())


def read_tables(folders: Sequence[Path]) -> Tables:
    """Read studies, also such that are still running.

    Raises:
        UserError: if a folder holds no study, a row is damaged, or no run has recorded anything yet.
    """
    studies = [read_study(folder) for folder in folders]
    found = [
        _read_runs(folder, study, setting)
        for folder, study, setting in zip(folders, studies, label_settings(studies), strict=True)
    ]
    runs = pd.concat(found, ignore_index=True)
    finished_first = runs.assign(place=runs.status.map(COPIES.index)).sort_values("place", kind="stable")
    runs = runs.loc[finished_first.drop_duplicates("run").index.sort_values()].reset_index(drop=True)
    records = _read_records(runs)
    if records.empty:
        raise UserError(f"{', '.join(map(str, folders))}: no records yet, its runs have not come so far")
    return Tables(studies, runs, records)


def label_settings(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each study the setting of its runs: the data set, and the iterations, width and so on where studies differ in them."""
    words = {"iterations": "{} iterations", "width": "width {:g}", "batch_size": "batch {}", "precision": "{}"}
    facts = [
        {
            "dataset": study["dataset"],
            **{key: word.format(study["settings"].get(key, "float32")) for key, word in words.items()},
            "fingerprint": f"data {study['fingerprint'][:6]}",
        }
        for study in studies
    ]
    differing = [
        key
        for key in facts[0]
        if key != "dataset" and any(a["dataset"] == b["dataset"] and a[key] != b[key] for a in facts for b in facts)
    ]
    return [", ".join([fact["dataset"], *(fact[key] for key in differing)]) for fact in facts]


def _read_runs(folder: Path, study: Mapping[str, Any], setting: str) -> pd.DataFrame:
    rows = []
    for name, planned in study["runs"].items():
        place = RunFolder(folder / "runs" / name)
        status = place.status() or {"status": "running" if place.is_claimed() else "missing"}
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
                "seconds": sum(status.get("seconds", {}).values()),
                "folder": folder / "runs" / name,
            }
        )
    columns = (
        "study run model dataset setting seed iterations status reason hyperparameters configuration seconds folder".split()  # noqa: SIM905
    )
    return pd.DataFrame(rows, columns=columns)


def _read_records(runs: pd.DataFrame) -> pd.DataFrame:
    """Every row of every run, tidy, in the studies' order; of rows that were written twice the last."""
    found: dict[tuple[str, int, str, str], tuple[Any, ...]] = {}
    for run in runs.itertuples():
        hyperparameters = json.dumps(run.hyperparameters, sort_keys=True)
        about = (run.study, run.run, run.model, run.dataset, run.seed)
        for row in RecordFile(run.folder / "records.jsonl").read():
            protocol, key = json.dumps(row.protocol, sort_keys=True), row.protocol_id
            measured = (row.metric, row.value, row.low, row.high, row.n, protocol, hyperparameters, key)
            found[run.run, row.iteration, row.metric, key] = (*about, row.iteration, run.status, *measured)
    records = pd.DataFrame(list(found.values()), columns=list(COLUMNS))
    return records.astype({"value": float, "low": float, "high": float, "n": "Int64"})


def final_values(tables: Tables) -> pd.DataFrame:
    """The scores at the end of each run that came to its end, missing ones too; those of second evaluations have a column.

    Returns:
        The columns of `tables.runs` with metric, value, low, high, n, protocol (JSON), protocol_id, and second: the value of the
        run's second evaluation by a protocol that is otherwise the same, NaN where there is none.
    """
    about = tables.runs.loc[tables.runs.status == "done"].drop(columns=["study", "model", "dataset", "seed", "status"])
    joined = tables.records.drop(columns=["hyperparameters"]).merge(about, on="run")
    final = joined[(joined.iteration == joined.iterations) & joined.metric.isin(list(MEASURES))]
    unlike = {protocol: _split_protocol(protocol) for protocol in final.protocol.unique()}
    final = final.assign(
        is_second=final.protocol.map(lambda protocol: unlike[protocol][1]).astype(bool),  # also where no run has come to its end
        alike=final.protocol.map(lambda protocol: unlike[protocol][2]),
        protocol=final.protocol.map(lambda protocol: unlike[protocol][0]),
    )
    second = final[final.is_second].drop_duplicates(["run", "metric", "alike"], keep="last")
    second = second.set_index(["run", "metric", "alike"]).value.rename("second")
    return final[~final.is_second].drop(columns="is_second").join(second, on=["run", "metric", "alike"])


def _split_protocol(protocol: str) -> tuple[str, bool, str]:
    """A protocol without the reason why a value is missing; whether it is a second evaluation's; what both evaluations share."""
    content = {key: value for key, value in json.loads(protocol).items() if key != "not_available"}
    own = {"evaluation", "seed", "split"}
    if content.get("split") in ("test", "validation"):  # other images, and as many as there are of them
        own.add("images")
    alike = {key: value for key, value in content.items() if key not in own}
    return json.dumps(content, sort_keys=True), content.get("evaluation") == SECOND, json.dumps(alike, sort_keys=True)


@dataclass(frozen=True)
class Comparison:
    """The values of one metric by one protocol in one setting: what may share a pair of axes."""

    measure: Measure
    setting: str
    protocol_id: str
    protocol: Mapping[str, Any]
    values: pd.DataFrame
    """Rows of `final_values`: every run that ended well and was measured by this protocol, the sanity rows too."""
    lost: pd.DataFrame
    """Rows of `Tables.runs`: the runs of this setting that diverged or failed."""

    @property
    def models(self) -> list[str]:
        """The models that have a run here, without the sanity rows."""
        return in_order(set(self.values.model) - set(REFERENCES))

    @property
    def reference(self) -> float:
        """What held-out real images score; NaN if it was not measured."""
        return float(self.values.loc[self.values.model == "real", "value"].median())

    @property
    def measured(self) -> pd.DataFrame:
        """The runs of models that have a value."""
        return self.values[self.values.value.notna() & ~self.values.model.isin(list(REFERENCES))]

    def of(self, model: str) -> pd.DataFrame:
        """The values of a model's runs, NaN where one is missing."""
        return self.values[self.values.model == model]

    def without_value(self, model: str) -> int:
        """How many of a model's runs that ended have no value here: lost ones, and finished ones that could not be measured."""
        return int((self.lost.model == model).sum() + self.of(model).value.isna().sum())

    def best(self, model: str, number: int) -> pd.DataFrame:
        """The best runs of a model, the best first; none where there is nothing to be near to."""
        return self.ranked(self.of(model))[:number]

    def ranked(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Rows of `values` that have a rank, the best first."""
        values = runs.value.to_numpy()
        order = best_first(values, self.measure, self.reference)
        known = np.isfinite(costs(values, self.measure, self.reference))[order]
        return runs.iloc[order[known]]

    def sweep(self, model: str) -> Sweep:
        """A model's runs as costs; those without a value rank worst."""
        mine, lost = self.of(model), self.lost[self.lost.model == model]
        values = np.concatenate([mine.value.to_numpy(float), np.full(len(lost), np.nan)])
        return Sweep(costs(values, self.measure, self.reference), np.array([*mine.configuration, *lost.configuration]))


def comparisons(tables: Tables, final: pd.DataFrame) -> dict[str, list[Comparison]]:
    """What may be compared, by metric in the order of `MEASURES`: settings in their order, in each the main protocol first.

    The main protocol is the one by which most runs have a value, the latest of equals.
    """
    return {metric: found for metric, measure in MEASURES.items() if (found := list(_comparisons(tables, final, measure)))}


def _comparisons(tables: Tables, final: pd.DataFrame, measure: Measure) -> Iterator[Comparison]:
    ours = final[final.metric == measure.metric]
    for setting in tables.settings:
        mine = ours[ours.setting == setting]
        counts = mine[mine.value.notna()].protocol_id.value_counts(sort=False)
        latest_first = list(counts.index)[::-1]
        lost = tables.runs[(tables.runs.setting == setting) & tables.runs.status.isin(LOST)]
        for protocol_id in sorted(latest_first, key=lambda name: -counts[name]):
            values = mine[mine.protocol_id == protocol_id]
            yield Comparison(measure, setting, protocol_id, json.loads(values.protocol.iloc[0]), values, lost)


def main_comparisons(found: Mapping[str, Sequence[Comparison]]) -> dict[str, list[Comparison]]:
    """Of each metric and setting the comparison by the main protocol."""
    return {
        metric: [some for number, some in enumerate(those) if some.setting not in {other.setting for other in those[:number]}]
        for metric, those in found.items()
    }


def not_measured(tables: Tables, found: Mapping[str, Sequence[Comparison]]) -> dict[str, str]:
    """Metrics that no run has a value of by some protocol, by their titles, and why."""
    known = {(metric, comparison.protocol_id) for metric, those in found.items() for comparison in those}
    absent = tables.records[tables.records.value.isna() & tables.records.metric.isin(list(MEASURES))]
    reasons: dict[str, list[str]] = {}
    for row in absent.drop_duplicates(["metric", "protocol_id"]).itertuples():
        protocol = json.loads(row.protocol)
        if (row.metric, row.protocol_id) not in known and protocol.get("evaluation") != SECOND:
            reason = protocol.get("not_available", "no reason was recorded")
            reasons.setdefault(MEASURES[str(row.metric)].title, []).append(f"{reason} (protocol {row.protocol_id})")
    return {title: "; ".join(texts) for title, texts in reasons.items()}


def unknown_metrics(tables: Tables) -> dict[str, int]:
    """Metrics in the records that this version cannot read, and in how many rows they stand."""
    counts = tables.records.metric.value_counts(sort=False)
    return {str(name): int(n) for name, n in counts.items() if name not in MEASURES and not str(name).startswith(FAMILIES)}
