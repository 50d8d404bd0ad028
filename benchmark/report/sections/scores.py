"""Show how the models' sweeps score: box plots as in figures 2 and 5 of Rosca et al. 2017, tables of quartiles, sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.model.registry import REFERENCES, TITLES, title
from benchmark.report.drawing.style import MANY, STYLE, Colours, colours, panels, spread_out
from benchmark.report.numbers.boxes import five_numbers
from benchmark.report.numbers.comparison import Comparison, main_and_further
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.summary import by_median, missing_as_none
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Box, Chart, Line, Panel, Plot, Point, Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.sections.prose import titles
from metrics.catalogue import MetricInfo

HOW_TO_READ = (
    "Boxes show quartiles of the runs that have a value; where some have none (“n = 3 of 4”) they rank worst in the table's "
    "quartiles, and the table is what counts. Dots are single runs, black circles the ten best, dashed lines the sanity rows."
)
WHAT_COLUMNS_ARE = (
    "± of one run: half of the 95 % interval of a single value over redrawing its samples, the median over runs. Not the "
    "spread of seeds or of the sweep. 95 % of the median: over drawing other configurations (bootstrap over configurations, "
    "each with its seeds); too narrow where there are fewer than about 15. Best, measured again: the run that the first "
    "evaluation ranks best, by a second one on other samples and by another critic; the best of many is partly luck, and this "
    "is what is left. Not measured: finished runs without a value by this protocol; they are missing, and count neither as "
    "good nor as bad."
)
REFERENCE_WORDS = {"real": "real images score", "noise": "noise scores"}
COLUMNS = {
    "model": "model",
    "with_a_value": "runs with a value",
    "diverged": "diverged",
    "failed": "failed",
    "not_measured": "not measured",
    "best": "best",
    "best_again": "best, measured again",
    "quartile_1": "lower quartile",
    "median": "median",
    "interval": "95 % of the median",
    "quartile_3": "upper quartile",
    "iqr": "IQR",
    "measurement_error": "± of one run",
    "median_before_training": "before training",
}
"""Columns of the summary to those of the page."""
NOISE = "sample_diversity/noise "
"""How the names of rows begin that hold the diversity of test images with noise; its standard deviation follows."""


class Scores(ReportSection):
    """A section a metric. A figure holds the settings side by side; values of other protocols have figures of their own."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section for each metric that runs have a value of."""
        for number, (metric, comparisons) in enumerate(results.comparisons.items()):
            columns = "Columns as above." if number else WHAT_COLUMNS_ARE
            yield Section(
                metric,
                results.catalogue[metric].title,
                "",
                list(
                    _plots(results, comparisons, "Boxes, dots, circles and lines as above." if number else HOW_TO_READ, figures)
                ),
                [_table(comparison, results.summary, len(comparisons) > 1, columns) for comparison in comparisons],
                [_protocol(comparison) for comparison in comparisons],
            )


def _plots(results: Results, comparisons: Sequence[Comparison], reading: str, figures: FigureFolder) -> Iterator[Plot]:
    """A figure of the main protocols of all settings together, then one of each further protocol."""
    metric = comparisons[0].metric
    main, further = main_and_further(comparisons)
    for number, shown in enumerate([main, *([comparison] for comparison in further)]):
        levels = noise_levels(results.tables, shown) if metric.name == "sample_diversity" else {}
        shown_panels = [panel_of(comparison, levels.get(comparison.setting, {})) for comparison in shown]
        sentences = [sentence(_rows(results.summary, comparison), metric) for comparison in shown]
        if len(shown) > 1:
            sentences = [f"{comparison.setting}: {words}" for comparison, words in zip(shown, sentences, strict=True)]
        yield figures.plot(
            metric.name + (f"_{number + 1}" if number else ""),
            box_plots(shown_panels, metric, colours(results.models)),
            " ".join(sentences),
            f"{reading} {metric.direction.capitalize()}. {metric.caution}".strip(),
            metric.figure,
            Chart(shown_panels, f"{metric.unit} ({metric.direction})"),
        )


def _rows(summary: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    of_metric = summary[(summary.metric == comparison.metric.name) & (summary.setting == comparison.setting)]
    return of_metric[of_metric.protocol_id == comparison.protocol_id]


def _protocol(comparison: Comparison) -> str:
    words = ", ".join(f"{key} {_plain(value)}" for key, value in comparison.protocol.items())
    return (
        f"{comparison.setting}, protocol {comparison.protocol_id}: {words}. Numbers of other protocols do not compare with these."
    )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def noise_levels(tables: Tables, comparisons: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    """Read the diversity of test images with noise, by setting and by the noise's standard deviation (the paper's baseline).

    Args:
        tables: the records.
        comparisons: of one figure; their own protocols count.
    """
    rows = tables.records[tables.records.metric.str.startswith(NOISE)]
    rows = rows.merge(tables.runs[["run", "setting"]], on="run")
    return {
        comparison.setting: {
            f"+ noise {row.metric.removeprefix(NOISE)}": row.value
            for row in rows[(rows.protocol_id == comparison.protocol_id) & (rows.setting == comparison.setting)].itertuples()
        }
        for comparison in comparisons
    }


# The table


def _table(comparison: Comparison, summary: pd.DataFrame, several: bool, note: str) -> Table:
    shown = missing_as_none(_rows(summary, comparison))
    shown["interval"] = [
        None if low is None or high is None else f"{low:.4g} to {high:.4g}".replace(" ", "\u00a0").replace("-", "−")
        for low, high in zip(shown.median_low, shown.median_high, strict=True)
    ]
    shown["with_a_value"] = [f"{n}\u00a0of\u00a0{runs}" for n, runs in zip(shown.n, shown.runs, strict=True)]
    shown["model"] = [title(model) for model in shown.model]
    if comparison.metric.goal == "match":
        note += " Quartiles, IQR and the interval are of the runs' distances to real images; the best are values."
    which = f"{comparison.setting}, protocol {comparison.protocol_id}. " if several else ""
    return Table(list(COLUMNS.values()), shown[list(COLUMNS)].to_numpy().tolist(), which + note)


# The figure: its geometry as plain data, which the page draws on a screen, and the same on paper


def panel_of(comparison: Comparison, levels: Mapping[str, float]) -> Panel:
    """Compute what a pair of axes shows: runs as dots, quartiles as boxes, the best as circles, the sanity rows as lines.

    Args:
        comparison: the runs.
        levels: further lines to compare with, by label.
    """
    measured = comparison.measured
    rows = zip(measured.run, measured.model, measured.value, strict=True)
    references = [(TITLES[name], float(comparison.of_reference(name).median())) for name in REFERENCES]
    return Panel(
        comparison.setting,
        [Point(run, model, value) for run, model, value in rows],
        [_box(comparison, model) for model in comparison.models if comparison.of(model).value.notna().any()],
        [run for model in comparison.models for run in comparison.best(model, BEST).run],
        [Line(label, level) for label, level in [*references, *levels.items()] if not math.isnan(level)],
    )


def _box(comparison: Comparison, model: str) -> Box:
    values, without = comparison.of(model).value.dropna().to_numpy(), comparison.without_value(model)
    label = f"{title(model)}\nn = {len(values)}" + (f" of {len(values) + without}" if without else "")
    return Box(model, label, **five_numbers(values)._asdict())


def box_plots(settings: Sequence[Panel], metric: MetricInfo, palette: Colours) -> Figure:
    """Draw panels on paper, one pair of axes a setting."""
    places = max(2, *(len(panel.boxes) for panel in settings))
    with mpl.rc_context(STYLE):
        figure, every_axes = panels(len(settings), 1.2 + 0.85 * places, 2.7)
        for panel, axes in zip(settings, every_axes, strict=True):
            _draw_boxes(axes, panel, palette)
            _draw_runs(axes, panel)
            _draw_lines(axes, panel)
            axes.set(xlabel="", ylabel=f"{metric.unit}\n({metric.direction})")
            axes.set_title(textwrap.fill(metric.title if len(settings) == 1 else panel.title, 8 + 12 * places))
        if len(settings) > 1:
            figure.suptitle(metric.title, fontsize=9)
    return figure


def _draw_boxes(axes: Axes, panel: Panel, palette: Colours) -> None:
    if not panel.boxes:
        return
    ink: dict[str, Any] = {"color": "0.08", "linewidth": 0.9}
    drawn = axes.bxp(
        [
            {"whislo": box.low, "q1": box.quartile_1, "med": box.median, "q3": box.quartile_3, "whishi": box.high}
            for box in panel.boxes
        ],
        positions=range(len(panel.boxes)),
        widths=0.55,
        patch_artist=True,
        showfliers=False,
        manage_ticks=False,
        boxprops={"edgecolor": ink["color"], "linewidth": ink["linewidth"]},
        medianprops={**ink, "solid_capstyle": "butt"},
        whiskerprops={**ink, "solid_capstyle": "butt"},
        capprops=ink,
    )
    for patch, box in zip(drawn["boxes"], panel.boxes, strict=True):
        patch.set_facecolor(sns.desaturate(palette[box.model], 0.75))
    axes.set_xticks(range(len(panel.boxes)), [box.label for box in panel.boxes])


def _draw_runs(axes: Axes, panel: Panel) -> None:
    """All runs as dots, the best of each model as black circles."""
    for position, box in enumerate(panel.boxes):
        points = [point for point in panel.points if point.model == box.model]
        places = position + spread_out(len(points))
        many = len(panel.points) > MANY
        axes.plot(places, [point.value for point in points], ".", color="0.35", markersize=2.5, rasterized=many)
        dots = {point.run: (place, point.value) for place, point in zip(places, points, strict=True)}
        circled = np.array([dots[run] for run in panel.best if run in dots]).reshape(-1, 2)
        axes.scatter(circled[:, 0], circled[:, 1], s=22, facecolors="none", edgecolors="black", linewidths=0.9, zorder=5)


def _draw_lines(axes: Axes, panel: Panel) -> None:
    """Lines for real images, noise and further levels; one far from the runs is named at the edge, not to flatten boxes."""
    values = [point.value for point in panel.points]
    low, high = min(values, default=-math.inf), max(values, default=math.inf)
    spread = high - low
    near = [line for line in panel.lines if not spread > 0 or low - 1.5 * spread <= line.value <= high + 1.5 * spread]
    for line in near:
        is_real = line.label == TITLES["real"]
        axes.axhline(line.value, color=_ink(line), linestyle="--" if is_real else ":", linewidth=1, zorder=0)
    for line, place in zip(near, _apart(axes, [line.value for line in near]), strict=True):
        axes.annotate(
            line.label,
            (1, place),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="center",
            color=_ink(line),
            fontsize=7,
            xytext=(2, 0),
            textcoords="offset points",
        )
    for is_above, edge, va, arrow in ((True, 0.98, "top", "↑"), (False, 0.02, "bottom", "↓")):
        far = [line for line in panel.lines if line not in near and (line.value > high if is_above else line.value < low)]
        if far:
            words = "\n".join(f"{line.label}: {line.value:.3g} {arrow}" for line in far)
            axes.annotate(words, (0.99, edge), xycoords="axes fraction", ha="right", va=va, color="#555555", fontsize=6)


def _ink(line: Line) -> str:
    return "#222222" if line.label == TITLES["real"] else "#777777"


def _apart(axes: Axes, levels: Sequence[float]) -> list[float]:
    """Heights for labels of these levels, moved up where one would hide another."""
    bottom, top = axes.get_ylim()
    step, placed = 0.05 * (top - bottom), dict[int, float]()
    for number in sorted(range(len(levels)), key=levels.__getitem__):
        placed[number] = max(levels[number], max(placed.values(), default=-math.inf) + step)
    return [placed[number] for number in range(len(levels))]


# The words


def sentence(rows: pd.DataFrame, metric: MetricInfo) -> str:
    """Say in words what a box plot shows, from its rows of the summary."""
    if metric.goal == "match" and "real" not in set(rows.model):
        return "No ranking: the nearest to real images is best here, and they have no value."
    models = by_median(rows, metric)
    ranked, unranked = models[models["median"].notna()], models[models["median"].isna()]
    if ranked.empty:
        return "No model has a median here: too few runs came to their end."
    references = {name: values.iloc[0] for name, values in rows[rows.model.isin(REFERENCES)].groupby("model").best}
    text = "; ".join(
        [
            _order(ranked, metric, complete=unranked.empty),
            *(f"{words} {references[name]:.3g}" for name, words in REFERENCE_WORDS.items() if name in references),
            *(
                f"{title(row.model)} has no median: {row.without_value} of its {row.n + row.without_value} runs have no value"
                for row in unranked.itertuples()
            ),
        ]
    )
    return f"{text}. {_what_a_box_is(ranked)}"


def _order(ranked: pd.DataFrame, metric: MetricInfo, complete: bool) -> str:
    """Which models are best and last by their medians, and whether the intervals tell the first two apart."""
    what = "median distance to real images" if metric.goal == "match" else "median"
    first, last = ranked.iloc[0], ranked.iloc[-1]
    if len(ranked) == 1:
        return f"The {what} of the runs of {title(first.model)} is {first['median']:.3g}"
    if first["median"] == last["median"]:
        return f"By the {what} of their runs {titles(ranked.model)} are equal ({first['median']:.3g})"
    best, last_models = (ranked.loc[ranked["median"] == end["median"], "model"] for end in (first, last))
    whose, are = ("its", "is") if len(best) == 1 else ("their", "are")
    text = f"By the {what} of {whose} runs {titles(best)} {are} best here ({first['median']:.3g}"
    second = ranked.iloc[1]
    overlap = len(best) == 1 and _overlap(first, second)
    text += f", with an interval that overlaps that of {title(second.model)})" if overlap else ")"
    if complete:
        text += f" and {titles(last_models)} {'is' if len(last_models) == 1 else 'are'} last ({last['median']:.3g})"
    return text


def _overlap(first: pd.Series, second: pd.Series) -> bool:
    """Whether the intervals of two medians do; an end that is missing lies among lost runs, and without both there is none."""
    ends = pd.DataFrame([first, second])[["median_low", "median_high"]].astype(float)
    if ends.isna().all(axis=1).any():
        return False
    return bool(ends.median_low.fillna(-np.inf).max() <= ends.median_high.fillna(np.inf).min())


def _what_a_box_is(ranked: pd.DataFrame) -> str:
    """A sweep over hyperparameters, repeated seeds, or both: never the one taken for the other."""
    fewest, most = int(ranked.n.min()), int(ranked.n.max())
    runs = f"Each box holds {fewest if fewest == most else f'{fewest} to {most}'} run{'s' * (most > 1)}"
    if most == 1:
        return f"{runs}."
    if ranked.configurations.max() == 1:
        return f"{runs}: repeated seeds of one configuration, not a sweep over hyperparameters."
    if ranked.seeds.max() == 1:
        return f"{runs}: a sweep over hyperparameters, not repeated seeds."
    return (
        f"{runs}: a sweep over up to {int(ranked.configurations.max())} configurations, with up to {int(ranked.seeds.max())} "
        "seeds of each."
    )
