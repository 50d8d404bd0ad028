"""What may be compared: the values of one metric, by one protocol, of runs of one setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import in_order
from benchmark.report.drawing.style import REFERENCES, colours
from benchmark.report.numbers.ranking import best_first, costs, quartiles
from benchmark.report.numbers.statistics import Sweep
from benchmark.report.numbers.tables import LOST, Tables
from metrics.catalogue import MEASURES, SECOND, Measure

COUNTED = ("run", "model", "configuration", "seed", "hyperparameters", "folder", "value", "low", "high", "second")


@dataclass(frozen=True)
class Comparison:
    """What may share a pair of axes."""

    measure: Measure
    setting: str
    protocol_id: str
    protocol: Mapping[str, Any]
    values: pd.DataFrame
    """Rows of `final_values` by this protocol: of every run that ended well, the sanity rows too."""
    runs: pd.DataFrame
    """Rows of `Tables.runs` of this setting, of the models that this metric applies to."""
    everyone: tuple[str, ...] = ()
    """All models of the report, which have the same colours in every figure."""

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The models' runs that count, in the order of the study, the seeds of a configuration in theirs.

        Those with a value, and those that rank worst: runs that diverged or failed, and values that are not finite. A finished
        run that was not measured is missing, and not bad. Columns: `COUNTED`, and cost (`ranking.costs`).
        """
        measured = self.values[~self.values.is_unmeasured]
        lost = self.runs[self.runs.status.isin(LOST)]
        found = pd.concat([measured.reindex(columns=list(COUNTED)), lost.reindex(columns=list(COUNTED))], ignore_index=True)
        found = found[~found.model.isin(list(REFERENCES))]
        place = pd.Series(range(len(self.runs)), self.runs.run.to_numpy())
        first = self.runs.groupby("configuration", sort=False).run.first().map(place)
        order = np.lexsort((found.seed.to_numpy(float), found.configuration.map(first).to_numpy(float)))
        found = found.iloc[order].reset_index(drop=True)
        return found.assign(cost=costs(found.value.to_numpy(float), self.measure, self.reference))

    @cached_property
    def _by_model(self) -> dict[str, pd.DataFrame]:
        return dict(list(self.counted.groupby("model")))

    @cached_property
    def models(self) -> list[str]:
        """The models that have a run that counts."""
        return in_order(self._by_model)

    @property
    def colours(self) -> dict[str, tuple[float, float, float]]:
        """The models' colours."""
        return colours([*self.everyone, *self.models])

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
        return self.measure.goal != "match" or not np.isnan(self.reference)

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
        mine = self.values[self.values.model == model]
        return done - int((~mine.is_unmeasured).sum())

    def best(self, model: str, number: int) -> pd.DataFrame:
        """The best runs of a model, the best first; none where there is nothing to be near to."""
        return self.ranked(self.of(model))[:number]

    def ranked(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Those of `counted` that have a rank, the best first."""
        order = best_first(runs.value.to_numpy(float), self.measure, self.reference)
        known = np.isfinite(runs.cost.to_numpy(float))[order]
        return runs.iloc[order[known]]

    def quartiles(self, model: str) -> tuple[float | None, float | None, float | None]:
        """Of the runs that count, lost ones the worst; of a metric to match, of their distances to real images."""
        return quartiles(self.of(model).cost.to_numpy(float), self.measure)

    def sweep(self, model: str) -> Sweep:
        """The costs of a model's runs that count."""
        mine = self.of(model)
        return Sweep(mine.cost.to_numpy(float), mine.configuration.to_numpy())


def comparisons(tables: Tables, final: pd.DataFrame) -> dict[str, list[Comparison]]:
    """What may be compared, by metric in the order of `MEASURES`: settings in their order, in each the main protocol first.

    The main protocol is the one by which most runs have a value, the latest of equals; of a metric to match, among those by which
    real images have one too.
    """
    known = set(zip(tables.records.model, tables.records.metric, strict=True))
    found = {}
    for metric, measure in MEASURES.items():
        models = {model for model in tables.runs.model if (model, metric) in known}
        runs = tables.runs
        if measure.kind == "autoencoder":
            runs = runs[runs.model.isin(models)]
        if those := list(_comparisons(tables, runs, final[final.metric == metric], measure)):
            found[metric] = those
    return found


def _comparisons(tables: Tables, runs: pd.DataFrame, ours: pd.DataFrame, measure: Measure) -> Iterator[Comparison]:
    everyone = tuple(tables.runs.model.unique())
    for setting in tables.settings:
        mine = ours[ours.setting == setting]
        valued = mine[mine.value.notna()]
        is_model = ~valued.model.isin(list(REFERENCES))
        matched = set(valued.loc[valued.model == "real", "protocol_id"])
        latest_first = list(valued.protocol_id.unique())[::-1]

        def merit(name: str, valued: pd.DataFrame = valued, is_model: pd.Series = is_model, matched: set = matched) -> Any:
            return (measure.goal == "match" and name not in matched, -int((is_model & (valued.protocol_id == name)).sum()))

        for protocol_id in sorted(latest_first, key=merit):
            values = mine[mine.protocol_id == protocol_id]
            here = runs[runs.setting == setting]
            yield Comparison(measure, setting, protocol_id, json.loads(values.protocol.iloc[0]), values, here, everyone)


def main_comparisons(found: Mapping[str, Sequence[Comparison]]) -> dict[str, list[Comparison]]:
    """Of each metric and setting the comparison by the main protocol."""
    return {metric: main_and_further(those)[0] for metric, those in found.items()}


def main_and_further(those: Sequence[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """A metric's comparisons by the main protocols, one a setting, and those by any others."""
    main = {some.setting: some for some in reversed(those)}  # the main protocol's comes first
    return [some for some in those if main[some.setting] is some], [some for some in those if main[some.setting] is not some]


def not_measured(tables: Tables, found: Mapping[str, Sequence[Comparison]]) -> dict[str, str]:
    """Metrics that no run of a setting has a value of by some protocol, by their titles, and why."""
    known = {(metric, some.setting, some.protocol_id) for metric, those in found.items() for some in those}
    absent = tables.records[tables.records.value.isna() & tables.records.metric.isin(list(MEASURES))]
    absent = absent.merge(tables.runs[["run", "setting"]], on="run")
    several = len(tables.settings) > 1
    reasons: dict[str, list[str]] = {}
    for row in absent.drop_duplicates(["metric", "setting", "protocol_id"]).itertuples():
        protocol = json.loads(row.protocol)
        if (row.metric, row.setting, row.protocol_id) not in known and protocol.get("evaluation") != SECOND:
            reason = protocol.get("not_available", "no reason was recorded")
            where = f", {row.setting}" if several else ""
            reasons.setdefault(MEASURES[str(row.metric)].title, []).append(f"{reason} (protocol {row.protocol_id}{where})")
    return {title: "; ".join(texts) for title, texts in reasons.items()}
