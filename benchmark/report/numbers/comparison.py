"""Decide what may be compared: the values of one metric, by one protocol, of runs of one setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import REFERENCES, in_order
from benchmark.report.numbers.ranking import best_first, costs, quartiles
from benchmark.report.numbers.statistics import Sweep
from benchmark.report.numbers.tables import LOST, Tables
from metrics.catalogue import SECOND, MetricInfo

COUNTED = ("run", "model", "configuration", "seed", "hyperparameters", "folder", "value", "low", "high", "second")


@dataclass(frozen=True)
class Comparison:
    """What may share a pair of axes."""

    metric: MetricInfo
    setting: str
    protocol_id: str
    protocol: Mapping[str, Any]
    values: pd.DataFrame
    """Rows of `final_values` by this protocol: of every run that ended well, the sanity rows too."""
    runs: pd.DataFrame
    """Rows of `Tables.runs` of this setting, of the models that this metric applies to."""

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The models' runs that count, in the order of the study, the seeds of a configuration in theirs.

        Those with a value, and those that rank worst: runs that diverged or failed, and values that are not finite. A finished
        run that was not measured is missing, and not bad. Columns: `COUNTED`, and cost (`ranking.costs`).
        """
        measured = self.values[~self.values.is_unmeasured]
        lost = self.runs[self.runs.status.isin(LOST)]
        counted = pd.concat([measured.reindex(columns=list(COUNTED)), lost.reindex(columns=list(COUNTED))], ignore_index=True)
        counted = counted[~counted.model.isin(REFERENCES)]
        place = pd.Series(range(len(self.runs)), self.runs.run.to_numpy())
        first = self.runs.groupby("configuration", sort=False).run.first().map(place)
        order = np.lexsort((counted.seed.to_numpy(float), counted.configuration.map(first).to_numpy(float)))
        counted = counted.iloc[order].reset_index(drop=True)
        return counted.assign(cost=costs(counted.value.to_numpy(float), self.metric, self.reference))

    @cached_property
    def _by_model(self) -> dict[str, pd.DataFrame]:
        return dict(list(self.counted.groupby("model")))

    @cached_property
    def models(self) -> list[str]:
        """The models that have a run that counts."""
        return in_order(self._by_model)

    @cached_property
    def reference(self) -> float:
        """What held-out real images score; NaN if it was not measured."""
        return float(self.of_reference("real").median())

    def of_reference(self, name: str) -> pd.Series:
        """What a sanity row scores, without missing values."""
        return self.values.loc[self.values.model == name, "value"].dropna()

    @cached_property
    def is_ranked(self) -> bool:
        """Whether better and worse can be told; there may be nothing to match."""
        return self.metric.goal != "match" or not np.isnan(self.reference)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The runs that have a value."""
        return self.counted[self.counted.value.notna()]

    def of(self, model: str) -> pd.DataFrame:
        """The runs of a model that count; lost ones have NaN for a value."""
        return self._by_model.get(model, self.counted[:0])

    def without_value(self, model: str) -> int:
        """How many of a model's runs rank worst: they diverged, failed, or have a value that is not finite."""
        return int(self.of(model).value.isna().sum())

    def not_measured(self, model: str) -> int:
        """How many of a model's finished runs have no value by this protocol, through no fault of theirs."""
        done = int(((self.runs.model == model) & (self.runs.status == "done")).sum())
        values = self.values[self.values.model == model]
        return done - int((~values.is_unmeasured).sum())

    def best(self, model: str, number: int) -> pd.DataFrame:
        """The best runs of a model, the best first; none where there is nothing to be near to."""
        return self.ranked(self.of(model))[:number]

    def ranked(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Those of `counted` that have a rank, the best first."""
        order = best_first(runs.value.to_numpy(float), self.metric, self.reference)
        known = np.isfinite(runs.cost.to_numpy(float))[order]
        return runs.iloc[order[known]]

    def quartiles(self, model: str) -> tuple[float | None, float | None, float | None]:
        """Of the runs that count, lost ones the worst; of a metric to match, of their distances to real images."""
        return quartiles(self.of(model).cost.to_numpy(float), self.metric)

    def sweep(self, model: str) -> Sweep:
        """The costs of a model's runs that count."""
        runs = self.of(model)
        return Sweep(runs.cost.to_numpy(float), runs.configuration.to_numpy())

    def source(self, statistic: str, *purpose: str) -> np.random.Generator:
        """Make the random stream of a statistic: a function of what it is for, so that the same records give the same page."""
        words = (statistic, self.metric.name, self.protocol_id, *purpose)
        return np.random.default_rng([*"/".join(words).encode()])


def comparisons(tables: Tables, final: pd.DataFrame) -> dict[str, list[Comparison]]:
    """Decide what may be compared, by metric in the order of `Tables.catalogue`.

    A metric's comparisons stand in the order of the settings, in each the one by the main protocol first: that by which most runs
    have a value, the latest of equals; of a metric to match, among those by which real images have one too.
    """
    known = set(zip(tables.records.model, tables.records.metric, strict=True))
    by_metric = {}
    for name, metric in tables.catalogue.items():
        models = {model for model in tables.runs.model if (model, name) in known}
        runs = tables.runs
        if metric.kind == "autoencoder":
            runs = runs[runs.model.isin(models)]
        if of_metric := list(_comparisons(tables, runs, final[final.metric == name], metric)):
            by_metric[name] = of_metric
    return by_metric


def _comparisons(tables: Tables, runs: pd.DataFrame, final: pd.DataFrame, metric: MetricInfo) -> Iterator[Comparison]:
    for setting in tables.settings:
        of_setting = final[final.setting == setting]
        valued = of_setting[of_setting.value.notna()]
        is_model = ~valued.model.isin(REFERENCES)
        matched = set(valued.loc[valued.model == "real", "protocol_id"])
        latest_first = list(valued.protocol_id.unique())[::-1]

        def merit(name: str, valued: pd.DataFrame = valued, is_model: pd.Series = is_model, matched: set = matched) -> Any:
            return (metric.goal == "match" and name not in matched, -int((is_model & (valued.protocol_id == name)).sum()))

        for protocol_id in sorted(latest_first, key=merit):
            values = of_setting[of_setting.protocol_id == protocol_id]
            protocol = json.loads(values.protocol.iloc[0])
            yield Comparison(metric, setting, protocol_id, protocol, values, runs[runs.setting == setting])


def main_and_further(comparisons: Sequence[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Part a metric's comparisons into those by the main protocols, one a setting, and those by any others."""
    main = {comparison.setting: comparison for comparison in reversed(comparisons)}  # the main protocol's comes first
    return (
        [comparison for comparison in comparisons if main[comparison.setting] is comparison],
        [comparison for comparison in comparisons if main[comparison.setting] is not comparison],
    )


def not_measured(tables: Tables, comparisons: Mapping[str, Sequence[Comparison]]) -> dict[str, str]:
    """Find the metrics that no run of a setting has a value of by some protocol, by their titles, and why."""
    known = {
        (metric, comparison.setting, comparison.protocol_id)
        for metric, of_metric in comparisons.items()
        for comparison in of_metric
    }
    absent = tables.records[tables.records.value.isna() & tables.records.metric.isin(list(tables.catalogue))]
    absent = absent.merge(tables.runs[["run", "setting"]], on="run")
    several = len(tables.settings) > 1
    reasons: dict[str, list[str]] = {}
    for row in absent.drop_duplicates(["metric", "setting", "protocol_id"]).itertuples():
        is_second = json.loads(row.protocol).get("evaluation") == SECOND
        if (row.metric, row.setting, row.protocol_id) not in known and not is_second:
            reason = row.reason or "no reason was recorded"
            where = f", {row.setting}" if several else ""
            title = tables.catalogue[str(row.metric)].title
            reasons.setdefault(title, []).append(f"{reason} (protocol {row.protocol_id}{where})")
    return {title: "; ".join(texts) for title, texts in reasons.items()}
