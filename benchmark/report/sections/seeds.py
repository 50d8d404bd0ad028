"""Tell the noise of seeds from the spread of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.model.registry import title
from benchmark.report.drawing.style import MANY, STYLE, Colours, colours, grid, heading
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import seed_noise
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import Group, by_metric, readable

COLUMNS = {
    "metric": "metric",
    "model": "model",
    "seed_sd": "SD of seeds",
    "sweep_sd": "SD of configurations",
    "measurement_sd": "SD of measuring",
    "share_of_seeds": "share of seeds",
    "low": "95 % from",
    "high": "to",
    "configurations": "configurations",
    "runs": "runs",
}
"""Columns of the table, beside the setting, to those of the page."""
NOTE = (
    "Variance components of one-way random effects, over configurations with at least two seeds that have a value; a "
    "share of 100 % is where no spread of configurations beyond that of their seeds was found. Intervals of the share: F "
    "distribution. SD of measuring: of one run's value over redrawing its samples, the median over runs; the SD of seeds "
    "contains it. For a metric to match, all are of distances to real images."
)


class Seeds(ReportSection):
    """Each configuration's seeds beside each other, and a table of three standard deviations a model."""

    file = "seeds"

    def table(self, results: Results) -> pd.DataFrame:
        """Compute three sources of spread, never taken for each other: seeds, configurations, and the measuring of one run.

        Returns:
            setting, metric, model, seed_sd, sweep_sd (beyond what seeds make), measurement_sd, share_of_seeds, low, high (95 % of
            the share), configurations, runs.
        """
        rows = [row for comparison in results.headlines for row in _rows(comparison)]
        return pd.DataFrame(rows, columns=["setting", *COLUMNS])

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where two configurations of a model have two seeds each."""
        if table.empty:
            return
        known = set(zip(table.metric, table.setting, strict=True))
        shown = [comparison for comparison in results.headlines if (comparison.metric.name, comparison.setting) in known]
        plot = figures.plot(
            "seeds",
            configurations(shown, colours(results.models)),
            " ".join(filter(None, map(shares, by_metric(table, results.catalogue)))) or "All runs score alike.",
            "Each vertical line is one configuration, its dots its seeds; configurations stand in the order of their means. What "
            "lies between dots on a line is noise of the seed, what lies between lines is the sweep. Neither is a substitute for "
            "the other: boxes over a sweep say nothing about repeated training.",
        )
        yield Section("seeds", "Seeds or hyperparameters?", "", [plot], [readable(table, COLUMNS, NOTE, results)])


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for model in comparison.models:
        noise, runs = seed_noise(comparison.sweep(model)), comparison.of(model)
        if noise is not None:
            yield {
                "setting": comparison.setting,
                "metric": comparison.metric.name,
                "model": model,
                "seed_sd": noise.seed_sd,
                "sweep_sd": noise.sweep_sd,
                "measurement_sd": ((runs.high - runs.low) / 2 / 1.96).median(),
                "share_of_seeds": noise.share_of_seeds,
                "low": noise.interval.low,
                "high": noise.interval.high,
                "configurations": noise.configurations,
                "runs": noise.runs,
            }


def configurations(comparisons: Sequence[Comparison], palette: Colours) -> Figure:
    """Draw each configuration's seeds on a vertical line, configurations in the order of their means: two kinds of spread."""
    several = len({comparison.setting for comparison in comparisons}) > 1
    with mpl.rc_context(STYLE):
        figure, every_axes = grid(len(comparisons), 2.9, 2.5)
        for comparison, axes in zip(comparisons, every_axes, strict=True):
            place = 0
            for model in comparison.models:
                place += 1 + _draw(axes, comparison, model, place, palette)
            axes.set(
                xlabel="configurations, by their mean",
                ylabel=f"{comparison.metric.unit}\n({comparison.metric.direction})",
                title=heading(comparison.metric, comparison.setting if several else ""),
                xticks=[],
            )
        every_axes[0].legend(fontsize=6, frameon=False)
    return figure


def _draw(axes: Axes, comparison: Comparison, model: str, place: int, palette: Colours) -> int:
    """Draw a model's configurations from a place on; returns how many."""
    runs, many = comparison.of(model).dropna(subset="value"), len(comparison.values) > MANY
    spread = runs.groupby("configuration").value.agg(["mean", "min", "max"]).sort_values("mean", kind="stable")
    places = pd.Series(range(place, place + len(spread)), spread.index)
    axes.vlines(places, spread["min"], spread["max"], color="0.7", linewidth=0.8, rasterized=many)
    axes.plot(
        places[runs.configuration],
        runs.value,
        ".",
        color=palette[model],
        markersize=4,
        label=title(model),
        rasterized=many,
    )
    return len(spread)


def shares(group: Group) -> str:
    """Say which share of the variance between runs the seeds have, by model; "" where nothing is known."""
    known = group.rows.dropna(subset="share_of_seeds")
    words = [f"{title(row.model)} {row.share_of_seeds:.0%} [{row.low:.0%}, {row.high:.0%}]" for row in known.itertuples()]
    return f"{group.name}: the seeds' share of the variance between runs is {', '.join(words)}." if words else ""
