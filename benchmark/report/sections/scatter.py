"""Show whether runs that the critic prefers are as diverse as real images (Rosca et al. 2017, figure 15)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmark.model.registry import in_order
from benchmark.report.drawing.style import MANY, STYLE, Colours, colours, legend_outside, panels
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.statistics import rank_correlation
from benchmark.report.page.content import Chart, Panel, Point, Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from metrics.catalogue import MetricInfo


class Scatter(ReportSection):
    """Each run by two metrics, a pair of axes a setting."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where a setting has runs with a value by both."""
        pairs = [
            (x, y)
            for x in results.main.get("sample_diversity", [])
            for y in results.main.get("critic", [])
            if x.setting == y.setting and len(paired(x, y))
        ]
        if not pairs:
            return
        x, y = (comparison.metric for comparison in pairs[0])
        shown = [
            Panel(x.setting, [Point(row.run, row.model, row.y, row.x) for row in paired(x, y).itertuples()]) for x, y in pairs
        ]
        plot = figures.plot(
            "critic_against_diversity",
            scatter(pairs, colours(results.models)),
            " ".join(_agreement(x, y) for x, y in pairs),
            "Each dot is a run. The dashed line is the diversity of test images: nearest to it is best, and more than it is no "
            "better than less.",
            "Figure 15 of the paper",
            Chart(shown, f"{y.unit} ({y.direction})", f"{x.unit} ({x.direction})"),
        )
        yield Section("critic-against-diversity", "Critic against diversity", "", [plot])


def paired(x: Comparison, y: Comparison) -> pd.DataFrame:
    """Join the runs that have a value by both metrics: run, model, configuration, x, y, and their costs x_cost, y_cost."""
    columns = ["run", "model", "configuration", "value", "cost"]
    left = x.measured[columns].rename(columns={"value": "x", "cost": "x_cost"})
    right = y.measured[columns].rename(columns={"value": "y", "cost": "y_cost"})
    return left.merge(right[["run", "y", "y_cost"]], on="run")


def scatter(pairs: Sequence[tuple[Comparison, Comparison]], palette: Colours) -> Figure:
    """Draw each run by two metrics, for paper.

    Args:
        pairs: of one setting each: the comparison of the horizontal axis and that of the vertical one.
        palette: a colour a model.
    """
    with mpl.rc_context(STYLE):
        figure, every_axes = panels(len(pairs), 3.4, 2.7)
        for (x, y), axes in zip(pairs, every_axes, strict=True):
            runs = paired(x, y)
            sns.scatterplot(
                runs,
                x="x",
                y="y",
                hue="model",
                hue_order=in_order(runs.model),
                palette=palette,
                s=14,
                linewidth=0.3,
                legend=axes is every_axes[-1],
                rasterized=len(runs) > MANY,
                ax=axes,
            )
            for comparison, line in ((x, axes.axvline), (y, axes.axhline)):
                if comparison.metric.goal == "match" and not math.isnan(comparison.reference):
                    line(comparison.reference, color="#222222", linestyle="--", linewidth=1, zorder=0)
            title = textwrap.fill(x.setting, 40) if len(pairs) > 1 else ""
            axes.set(xlabel=_axis(x.metric), ylabel=_axis(y.metric), title=title)
        if every_axes[-1].get_legend():
            legend_outside(every_axes[-1])
    return figure


def _axis(metric: MetricInfo) -> str:
    return f"{metric.unit}\n({metric.direction})"


def _agreement(diversity: Comparison, critic: Comparison) -> str:
    """How the two metrics go together in a setting, in a sentence."""
    runs = paired(diversity, critic)
    correlation = rank_correlation(runs.x_cost, runs.y_cost) if len(runs) > 2 else float("nan")
    if math.isnan(correlation):
        return f"{diversity.setting}: too few runs to tell how diversity and critic go together."
    return (
        f"{diversity.setting}: over {len(runs)} runs of all models nearness to the diversity of real images and the critic "
        f"have a rank correlation of {correlation:.2f}; the paper found them “highly but not perfectly” correlated on "
        "CelebA."
    )
