"""A section for each metric: how the models' sweeps compare, and what the numbers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.model.registry import title
from benchmark.report.drawing import figures
from benchmark.report.drawing.style import REFERENCES
from benchmark.report.numbers.comparison import Comparison, main_and_further
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.statistics import rank_correlation
from benchmark.report.numbers.summary import by_median, missing_as_none
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Box, Chart, Line, Panel, Plot, Point, Section, Table
from benchmark.report.page.figure_folder import FigureFolder
from metrics.catalogue import MEASURES, Measure

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


def score_sections(
    tables: Tables, found: Mapping[str, Sequence[Comparison]], summary: pd.DataFrame, folder: FigureFolder
) -> Iterator[Section]:
    """A section a metric. A figure holds the settings side by side; values of other protocols have figures of their own."""
    for metric, those in found.items():
        plots, notes = [], []
        is_first = metric == next(iter(found))
        reading = HOW_TO_READ if is_first else "Boxes, dots, circles and lines as above."
        columns = WHAT_COLUMNS_ARE if is_first else "Columns as above."
        for number, some in enumerate(_by_figure(those)):
            levels = noise_levels(tables, some) if metric == "sample_diversity" else {}
            name = metric + (f"_{number + 1}" if number else "")
            rows = [_rows(summary, one) for one in some]
            plots.append(
                folder.plot(
                    name,
                    figures.box_plots(some, levels),
                    " ".join(_prefixed(one, some, sentence(mine, one.measure)) for one, mine in zip(some, rows, strict=True)),
                    f"{reading} {MEASURES[metric].direction.capitalize()}. {MEASURES[metric].caution}".strip(),
                    MEASURES[metric].figure,
                    Chart(
                        [_panel(one, levels.get(one.setting, {})) for one in some],
                        f"{some[0].measure.unit} ({some[0].measure.direction})",
                    ),
                )
            )
        for one in those:
            words = ", ".join(f"{key} {_plain(value)}" for key, value in one.protocol.items())
            notes.append(
                f"{one.setting}, protocol {one.protocol_id}: {words}. Numbers of other protocols do not compare with these."
            )
        yield Section(
            metric, MEASURES[metric].title, "", plots, [_table(_rows(summary, one), one, those, columns) for one in those], notes
        )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _prefixed(one: Comparison, those: Sequence[Comparison], text: str) -> str:
    return f"{one.setting}: {text}" if len(those) > 1 else text


def _by_figure(those: Sequence[Comparison]) -> list[list[Comparison]]:
    """The main protocols of all settings together, then each further one alone."""
    main, further = main_and_further(those)
    return [main, *([some] for some in further)]


def _rows(summary: pd.DataFrame, some: Comparison) -> pd.DataFrame:
    chosen = (
        (summary.metric == some.measure.metric) & (summary.setting == some.setting) & (summary.protocol_id == some.protocol_id)
    )
    return summary[chosen]


def _table(rows: pd.DataFrame, some: Comparison, those: Sequence[Comparison], note: str) -> Table:
    shown = missing_as_none(rows)
    shown["interval"] = [
        None if low is None or high is None else f"{low:.4g} to {high:.4g}".replace(" ", "\u00a0").replace("-", "−")
        for low, high in zip(shown.median_low, shown.median_high, strict=True)
    ]
    shown["with_a_value"] = [f"{n}\u00a0of\u00a0{runs}" for n, runs in zip(shown.n, shown.runs, strict=True)]
    shown["model"] = [title(model) for model in shown.model]
    if some.measure.goal == "match":
        note += " Quartiles, IQR and the interval are of the runs' distances to real images; the best are values."
    heading = f"{some.setting}, protocol {some.protocol_id}. " if len(those) > 1 else ""
    return Table(list(COLUMNS.values()), shown[list(COLUMNS)].to_numpy().tolist(), heading + note)


def _panel(some: Comparison, levels: Mapping[str, float]) -> Panel:
    measured = some.measured
    return Panel(
        some.setting,
        [Point(run, value) for run, value in zip(measured.run, measured.value, strict=True)],
        [_box(some, model) for model in some.models if some.of(model).value.notna().any()],
        [run for model in some.models for run in some.best(model, BEST).run],
        [Line(label, level) for label, level in figures.lines_of(some, levels)],
    )


def _box(some: Comparison, model: str) -> Box:
    values = some.of(model).value.dropna().to_numpy()
    first, middle, third = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    near = values[(values >= first - 1.5 * (third - first)) & (values <= third + 1.5 * (third - first))]
    return Box(model, figures.box_label(some, model), float(near.min()), first, middle, third, float(near.max()))


def noise_levels(tables: Tables, those: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    """The diversity of test images with noise, by setting and by the noise's standard deviation (the paper's baseline).

    Args:
        tables: the records.
        those: of one figure; their own protocols count.
    """
    prefix = "sample_diversity/noise "
    rows = tables.records[tables.records.metric.str.startswith(prefix)]
    rows = rows.merge(tables.runs[["run", "setting"]], on="run")
    return {
        some.setting: {
            f"+ noise {row.metric.removeprefix(prefix)}": row.value
            for row in rows[(rows.protocol_id == some.protocol_id) & (rows.setting == some.setting)].itertuples()
        }
        for some in those
    }


def sentence(rows: pd.DataFrame, measure: Measure) -> str:
    """What a box plot shows, in words, from its rows of the summary."""
    if measure.goal == "match" and "real" not in set(rows.model):
        return "No ranking: the nearest to real images is best here, and they have no value."
    ours = by_median(rows, measure)
    ranked, unranked = ours[ours["median"].notna()], ours[ours["median"].isna()]
    if ranked.empty:
        return "No model has a median here: too few runs came to their end."
    references = {name: values.iloc[0] for name, values in rows[rows.model.isin(list(REFERENCES))].groupby("model").best}
    text = "; ".join(
        [
            _order(ranked, measure, complete=unranked.empty),
            *(f"{words} {references[name]:.3g}" for name, words in REFERENCE_WORDS.items() if name in references),
            *(
                f"{title(row.model)} has no median: {row.without_value} of its {row.n + row.without_value} runs have no value"
                for row in unranked.itertuples()
            ),
        ]
    )
    return f"{text}. {_what_a_box_is(ranked)}"


def _order(ranked: pd.DataFrame, measure: Measure, complete: bool) -> str:
    """Which models are best and last by their medians, and whether the intervals tell the first two apart."""
    what = "median distance to real images" if measure.goal == "match" else "median"
    first, last = ranked.iloc[0], ranked.iloc[-1]
    if len(ranked) == 1:
        return f"The {what} of the runs of {title(first.model)} is {first['median']:.3g}"
    if first["median"] == last["median"]:
        return f"By the {what} of their runs {_and(ranked.model)} are equal ({first['median']:.3g})"
    bests, lasts = (ranked.loc[ranked["median"] == end["median"], "model"] for end in (first, last))
    whose, are = ("its", "is") if len(bests) == 1 else ("their", "are")
    text = f"By the {what} of {whose} runs {_and(bests)} {are} best here ({first['median']:.3g}"
    second = ranked.iloc[1]
    overlap = len(bests) == 1 and _overlap(first, second)
    text += f", with an interval that overlaps that of {title(second.model)})" if overlap else ")"
    if complete:
        text += f" and {_and(lasts)} {'is' if len(lasts) == 1 else 'are'} last ({last['median']:.3g})"
    return text


def _overlap(first: pd.Series, second: pd.Series) -> bool:
    """Whether the intervals of two medians do; an end that is missing lies among lost runs, and without both there is none."""
    ends = pd.DataFrame([first, second])[["median_low", "median_high"]].astype(float)
    if ends.isna().all(axis=1).any():
        return False
    return bool(ends.median_low.fillna(-np.inf).max() <= ends.median_high.fillna(np.inf).min())


def _and(models: Sequence[str]) -> str:
    *others, final = [title(model) for model in models]
    return f"{', '.join(others)} and {final}" if others else final


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


def scatter_section(main: Mapping[str, Sequence[Comparison]], folder: FigureFolder) -> Iterator[Section]:
    """Critic against diversity, figure 15."""
    pairs = [
        (x, y)
        for x in main.get("sample_diversity", [])
        for y in main.get("critic", [])
        if x.setting == y.setting and len(figures.paired(x, y))
    ]
    if not pairs:
        return
    panels, words = [], []
    for x, y in pairs:
        both = figures.paired(x, y)
        panels.append(Panel(x.setting, [Point(row.run, row.y, row.x) for row in both.itertuples()]))
        correlation = rank_correlation(both.x_cost, both.y_cost) if len(both) > 2 else float("nan")
        if np.isnan(correlation):
            words.append(f"{x.setting}: too few runs to tell how diversity and critic go together.")
        else:
            words.append(
                f"{x.setting}: over {len(both)} runs of all models nearness to the diversity of real images and the critic "
                f"have a rank correlation of {correlation:.2f}; the paper found them “highly but not perfectly” correlated on "
                "CelebA."
            )
    axis = "{0.measure.unit} ({0.measure.direction})".format
    plot = folder.plot(
        "critic_against_diversity",
        figures.scatter([x for x, _ in pairs], [y for _, y in pairs]),
        " ".join(words),
        "Each dot is a run. The dashed line is the diversity of test images: nearest to it is best, and more than it is no "
        "better than less.",
        "Figure 15 of the paper",
        Chart(panels, axis(pairs[0][1]), axis(pairs[0][0])),
    )
    yield Section("critic-against-diversity", "Critic against diversity", "", [plot])


OVERFITTING = 0.1
"""Share of a critic's distance that its gap between training and test images may reach."""


def overfitting(tables: Tables, main: Mapping[str, Sequence[Comparison]]) -> list[dict[str, Any]]:
    """Runs whose critic knows the images that it was trained on, by setting and model: in how many, and how far.

    The gap E[f(validation images)] - E[f(test images)] counts where chance does not explain it (its 95 % interval is above 0)
    and more than a tenth of the distance that the critic reports.
    """
    end = tables.records.merge(tables.runs.loc[tables.runs.status == "done", ["run", "iterations"]], on="run")
    end = end[end.iteration == end.iterations]
    found = []
    for critic in ("critic", "critic_in_training"):
        for some in main.get(critic, []):
            gaps = end[(end.metric == f"{critic}_gap") & (end.protocol_id == some.protocol_id)].set_index("run")[["value", "low"]]
            both = some.measured.set_index("run")[["model", "value"]].rename(columns={"value": "distance"}).join(gaps).dropna()
            both["distance"] = both.distance.abs()
            for model in some.models:
                mine = both[both.model == model]
                if mine.empty:
                    continue
                found.append(
                    {
                        "critic": MEASURES[critic].title,
                        "setting": some.setting,
                        "model": model,
                        "n": len(mine),
                        "remembers": int(((mine.low > 0) & (mine.value > OVERFITTING * mine.distance)).sum()),
                        "gap": mine.value.median(),
                        "distance": mine.distance.median(),
                    }
                )
    return found


def critic_section(tables: Tables, main: Mapping[str, Sequence[Comparison]], folder: FigureFolder) -> Iterator[Section]:
    """Does the critic overfit? Learning curves on both held-out splits, figure 13, and the gap at the end."""
    remembering = overfitting(tables, main)
    plots = _curves(tables, folder)
    if not plots and not remembering:
        return
    columns = ["critic", "setting", "model", "median gap", "median distance", "runs in which it overfits"]
    rows = [
        [
            row["critic"],
            row["setting"],
            title(row["model"]),
            row["gap"],
            row["distance"],
            f"warning: {row['remembers']} of {row['n']}" if row["remembers"] else f"none of {row['n']}",
        ]
        for row in remembering
    ]
    note = (
        "Gap: how much higher the critic scores the validation images that it was trained on than test images. It overfits "
        "where that is more than chance makes it (95 %) and more than a tenth of the distance. Then its distances are too "
        "small: it looks for its own images, not for what is real."
    )
    yield Section(
        "critic-curves", "Does the critic overfit?", _verdict(remembering), plots, [Table(columns, rows, note)] if rows else []
    )


SPLITS = ["critic_curve/validation", "critic_curve/test"]


def _verdict(remembering: Sequence[Mapping[str, Any]]) -> str:
    """The answer to the heading, by critic."""
    words = []
    for critic in dict.fromkeys(row["critic"] for row in remembering):
        mine = [row for row in remembering if row["critic"] == critic]
        runs, all_runs = sum(row["remembers"] for row in mine), sum(row["n"] for row in mine)
        words.append(f"{critic}: {f'yes, in {runs} of {all_runs} runs' if runs else f'in none of {all_runs} runs'}.")
    return " ".join(words)


def _curves(tables: Tables, folder: FigureFolder) -> list[Plot]:
    about = tables.runs.loc[tables.runs.status == "done", ["run", "setting"]]
    points = tables.records[tables.records.metric.str.startswith("critic_curve/") & tables.records.value.notna()]
    points = points.merge(about, on="run")
    return [
        folder.plot(
            "critic_curves" + (f"_{number + 1}" if number else ""),
            figures.critic_curves(mine, tables.runs.model),
            " ".join(_gap(setting, rows, mine.setting.nunique() > 1) for setting, rows in mine.groupby("setting", sort=False)),
            "The critic that is trained beside each run from half way on, on the validation images that it is trained on and "
            "on test images; medians over the runs of a model. Validation images scored higher than test images would mean "
            "that the critic remembers them: its line on validation images would lie below the other. Points before the end "
            "of its budget are a learning curve, not scores.",
            "Figure 13 of the paper",
        )
        for number, (_, mine) in enumerate(points.groupby("protocol_id", sort=False))
    ]


def _gap(setting: str, rows: pd.DataFrame, several: bool) -> str:
    """How far the two lines of a run lie apart at the end, in words."""
    last = rows[rows.iteration == rows.groupby("run").iteration.transform("max")]
    ends = last.groupby(["run", "metric"]).value.mean().unstack()
    ends = ends.reindex(columns=["critic_curve/validation", "critic_curve/test"]).dropna()
    where = f"{setting}: " if several else ""
    if ends.empty:
        return f"{where}no run has both lines."
    gap = ends["critic_curve/test"] - ends["critic_curve/validation"]  # how much higher it scores validation images
    distance = ends["critic_curve/test"].abs().median()
    middle = gap.median()
    how = f"{abs(middle):.2g} {'higher' if middle > 0 else 'lower'} than" if middle else "as high as"
    return (
        f"{where}At the last point the critic scores validation images {how} test images (median over {len(gap)} "
        f"run{'s' * (len(gap) > 1)}, {gap.min():.2g} to {gap.max():.2g}), where the distance is {distance:.3g}."
    )
