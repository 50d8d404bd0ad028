"""Collect what the page shows of single runs: their values for the table, their curves and pictures for the dialog."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from PIL import Image

from benchmark.report.drawing.galleries import DAMAGED
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.results import Results
from benchmark.report.page.content import RunDetails, RunEntry, RunValue

CURVES = ("loss/", "critic_curve/")
"""How the names of rows begin that are a run's curves."""


def entries(results: Results) -> list[RunEntry]:
    """List all runs with their values, each metric by its main protocol."""
    values: dict[str, dict[str, RunValue]] = {}
    for metric, comparisons in results.main.items():
        for comparison in comparisons:
            for row in comparison.values.dropna(subset="value").itertuples():
                numbers = [None if pd.isna(number) else float(number) for number in (row.low, row.high, row.second)]
                values.setdefault(row.run, {})[metric] = RunValue(float(row.value), *numbers)
    return [
        RunEntry(
            key=run.run,
            study=run.study,
            model=run.model,
            setting=run.setting,
            seed=run.seed,
            status=run.status,
            reason=run.reason,
            seconds=run.seconds,
            hyperparameters=run.hyperparameters,
            values=values.get(run.run, {}),
        )
        for run in results.tables.runs.itertuples()
    ]


def shown_first(results: Results) -> list[str]:
    """Order all runs, the best of each model by each metric first: the page may not have room for the details of all."""
    bests = [
        comparison.best(model, BEST).run
        for comparisons in results.main.values()
        for comparison in comparisons
        for model in comparison.models
    ]
    in_turn = [run for place in itertools.zip_longest(*bests) for run in place if run is not None]
    return list(dict.fromkeys([*in_turn, *results.tables.runs.run]))


class Details(Mapping[str, RunDetails]):
    """Curves and pictures of runs, in the order of `shown_first`, read when they are asked for."""

    def __init__(self, results: Results) -> None:
        tables = results.tables
        self.folders = tables.runs.set_index("run").folder.to_dict()
        self.order = shown_first(results)
        curves = tables.records[tables.records.metric.str.startswith(CURVES) & tables.records.value.notna()]
        self.rows = dict(list(curves[["run", "metric", "iteration", "value"]].groupby("run", sort=False)))

    def __getitem__(self, run: str) -> RunDetails:
        curves: dict[str, list[tuple[int, float]]] = {}
        if run in self.rows:
            for row in self.rows[run].itertuples():
                curves.setdefault(row.metric, []).append((row.iteration, row.value))
        pictures = {kind: _picture(self.folders[run] / f"{kind}.png") for kind in ("samples", "reconstructions")}
        return RunDetails(curves, {kind: picture for kind, picture in pictures.items() if picture})

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


def _picture(path: Path) -> bytes:
    """What a picture's file holds; nothing where there is none or a damaged one, which must not cost the page."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except DAMAGED:
        return b""
    return content
