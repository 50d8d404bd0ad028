"""Tell whether the critic overfits: its learning curves on both held-out splits (Rosca et al. 2017, figure 13), and its gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmark.model.registry import in_order, title
from benchmark.report.drawing.style import STYLE, Colours, colours, legend_outside, panels
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Plot, Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from metrics.catalogue import MetricInfo

CRITICS = ("critic", "critic_in_training")
OVERFITTING = 0.1
"""Share of a critic's distance that its gap between training and test images may reach."""
CURVE = "critic_curve/"
"""How the names of a curve's rows begin; the split follows."""
SPLITS = ("validation", "test")
NOTE = (
    "Gap: how much higher the critic scores the validation images that it was trained on than test images. It overfits "
    "where that is more than chance makes it (95 %) and more than a tenth of the distance. Then its distances are too "
    "small: it looks for its own images, not for what is real."
)


class Critic(ReportSection):
    """In how many runs the critic knows the images that it was trained on, and how far."""

    def table(self, results: Results) -> pd.DataFrame:
        """Count the runs in which a critic overfits.

        The gap E[f(validation images)] - E[f(test images)] counts where chance does not explain it (its 95 % interval is above 0)
        and more than a tenth of the distance that the critic reports.

        Returns:
            metric, setting, model, n (runs), remembers (of them), gap, distance (medians).
        """
        rows = [row for metric in CRITICS for row in _overfitting(results, metric)]
        return pd.DataFrame(rows, columns=["metric", "setting", "model", "n", "remembers", "gap", "distance"])

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section where there are curves or gaps."""
        plots = list(_curves(results.tables, colours(results.models), figures))
        if plots or len(table):
            tables = [_readable(table, results.catalogue)] if len(table) else []
            yield Section("critic-curves", "Does the critic overfit?", _verdict(table, results.catalogue), plots, tables)


def _overfitting(results: Results, metric: str) -> Iterator[tuple[str, str, str, int, int, float, float]]:
    tables = results.tables
    end = tables.records.merge(tables.runs.loc[tables.runs.status == "done", ["run", "iterations"]], on="run")
    end = end[(end.iteration == end.iterations) & (end.metric == f"{metric}_gap")]
    for comparison in results.main.get(metric, []):
        gaps = end[end.protocol_id == comparison.protocol_id].set_index("run")[["value", "low"]]
        distances = comparison.measured.set_index("run")[["model", "value"]].rename(columns={"value": "distance"})
        both = distances.join(gaps).dropna()
        both["distance"] = both.distance.abs()
        for model in comparison.models:
            runs = both[both.model == model]
            if len(runs):
                remembers = int(((runs.low > 0) & (runs.value > OVERFITTING * runs.distance)).sum())
                yield (metric, comparison.setting, model, len(runs), remembers, runs.value.median(), runs.distance.median())


def _readable(table: pd.DataFrame, catalogue: Mapping[str, MetricInfo]) -> Table:
    rows = [
        [
            catalogue[row.metric].title,
            row.setting,
            title(row.model),
            row.gap,
            row.distance,
            f"warning: {row.remembers} of {row.n}" if row.remembers else f"none of {row.n}",
        ]
        for row in table.itertuples()
    ]
    return Table(["critic", "setting", "model", "median gap", "median distance", "runs in which it overfits"], rows, NOTE)


def _verdict(table: pd.DataFrame, catalogue: Mapping[str, MetricInfo]) -> str:
    """The answer to the heading, by critic."""
    words = []
    for metric, rows in table.groupby("metric", sort=False):
        remembers, runs = rows.remembers.sum(), rows.n.sum()
        answer = f"yes, in {remembers} of {runs} runs" if remembers else f"in none of {runs} runs"
        words.append(f"{catalogue[metric].title}: {answer}.")
    return " ".join(words)


def _curves(tables: Tables, palette: Colours, figures: FigureFolder) -> Iterator[Plot]:
    """A figure a protocol."""
    about = tables.runs.loc[tables.runs.status == "done", ["run", "setting"]]
    points = tables.records[tables.records.metric.str.startswith(CURVE) & tables.records.value.notna()]
    points = points.merge(about, on="run")
    points = points.assign(split=points.metric.str.removeprefix(CURVE))
    for number, (_, of_protocol) in enumerate(points.groupby("protocol_id", sort=False)):
        several = of_protocol.setting.nunique() > 1
        yield figures.plot(
            "critic_curves" + (f"_{number + 1}" if number else ""),
            critic_curves(of_protocol, palette),
            " ".join(
                (f"{setting}: " if several else "") + _gap(rows) for setting, rows in of_protocol.groupby("setting", sort=False)
            ),
            "The critic that is trained beside each run from half way on, on the validation images that it is trained on and "
            "on test images; medians over the runs of a model. Validation images scored higher than test images would mean "
            "that the critic remembers them: its line on validation images would lie below the other. Points before the end "
            "of its budget are a learning curve, not scores.",
            "Figure 13 of the paper",
        )


def critic_curves(points: pd.DataFrame, palette: Colours) -> Figure:
    """Draw the in-training critic on validation and test images along training, the median over each model's runs.

    Args:
        points: columns setting, model, iteration, split ("validation" or "test"), value.
        palette: a colour a model.
    """
    settings, models = list(points.setting.unique()), in_order(points.model)
    with mpl.rc_context(STYLE):
        figure, every_axes = panels(len(settings), 3.4, 2.6)
        for setting, axes in zip(settings, every_axes, strict=True):
            sns.lineplot(
                points[points.setting == setting],
                x="iteration",
                y="value",
                hue="model",
                hue_order=models,
                palette=palette,
                style="split",
                style_order=list(SPLITS),
                estimator="median",
                errorbar=None,
                marker="o",
                markersize=3,
                linewidth=1,
                legend=axes is every_axes[-1],
                ax=axes,
            )
            axes.set(ylabel="E[f(samples)] − E[f(images)]", title=setting if len(settings) > 1 else "The critic along training")
        legend_outside(every_axes[-1])
    return figure


def _gap(points: pd.DataFrame) -> str:
    """How far the two lines of a run lie apart at the end, in words."""
    last = points[points.iteration == points.groupby("run").iteration.transform("max")]
    ends = last.groupby(["run", "split"]).value.mean().unstack().reindex(columns=list(SPLITS)).dropna()
    if ends.empty:
        return "no run has both lines."
    gap = ends.test - ends.validation  # how much higher it scores validation images
    distance, middle = ends.test.abs().median(), gap.median()
    how = f"{abs(middle):.2g} {'higher' if middle > 0 else 'lower'} than" if middle else "as high as"
    return (
        f"At the last point the critic scores validation images {how} test images (median over {len(gap)} "
        f"run{'s' * (len(gap) > 1)}, {gap.min():.2g} to {gap.max():.2g}), where the distance is {distance:.3g}."
    )
