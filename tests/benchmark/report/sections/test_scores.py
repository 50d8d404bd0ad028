"""The section of a metric: its sentence from the numbers, its boxes, circles and lines, its table."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmark.records.rows import Row
from benchmark.report.drawing.style import colours
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.summary import summarize
from benchmark.report.sections.scores import Scores, box_plots, noise_levels, panel_of, sentence
from metrics.catalogue import METRICS
from tests.benchmark.report.pretended import (
    PROTOCOL,
    PretendedRun,
    at_end,
    results_of,
    shown,
    write_runs,
    write_study,
)

REAL, NOISE = ("real", "done", -0.1), ("noise", "done", -8.0)
OTHER = {"steps": 200}


def compare(values, metric=METRICS["critic"], lost=()):
    """A comparison of runs by model."""
    runs = [(model, value) for model, numbers in values.items() for value in numbers]
    frame = pd.DataFrame(
        {
            "model": [m for m, _ in runs],
            "value": np.array([v for _, v in runs], float),
            "run": [f"run-{n}" for n in range(len(runs))],
        }
    )
    frame = frame.assign(configuration=frame.run, second=np.nan, seed=0, is_unmeasured=False)
    gone = pd.DataFrame({"run": [f"lost-{n}" for n in range(len(lost))], "model": list(lost), "configuration": "lost", "seed": 0})
    ended = pd.concat([frame.assign(status="done"), gone.assign(status="diverged")], ignore_index=True)
    return Comparison(metric, "here", "0", {}, frame, ended[["run", "model", "configuration", "seed", "status"]])


def drawn(comparison, levels=None):
    """The figure of a comparison alone."""
    return box_plots([panel_of(comparison, levels or {})], comparison.metric, colours(comparison.runs.model))


def said(folder, metric="critic"):
    results = results_of(folder)
    return sentence(summarize(results.tables, results.comparisons[metric][:1]), METRICS[metric])


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (
            [-1.0],
            "AGE is best here (-1) and DCGAN is last (-3); real images score -0.1; noise scores -8. Each box holds 1 to 2 runs",
        ),
        ([-4.0, -4.5], "DCGAN is best here (-3) and AGE is last (-4.25)"),
        ([-3.0], "By the median of their runs DCGAN and AGE are equal (-3); real"),
        ([], "The median of the runs of DCGAN is -3; real"),
    ],
)
def test_the_sentence_is_made_of_the_numbers(tmp_path, ages, expected):
    runs = [REAL, NOISE, ("dcgan", "done", -2.0), ("dcgan", "done", -4.0)]
    assert expected in said(write_study(tmp_path / "said", runs + [("age", "done", value) for value in ages]))


def test_a_model_that_lost_its_runs_is_named_in_the_sentence(tmp_path):
    runs = [
        ("dcgan", "done", -1.0),
        *(("age", "done", value) for value in (-2.0, -1.0)),
        ("age", "diverged", None),
        ("age", "failed", None),
    ]
    words = said(write_study(tmp_path / "lost", runs))
    assert words.startswith("The median of the runs of DCGAN is -1; AGE has no median: 2 of its 4 runs have no value. ")
    words = said(write_study(tmp_path / "beside", [REAL, *runs, ("alphagan", "done", -3.0)]))
    assert "AGE has no median: 2 of its 4 runs have no value" in words
    assert words.startswith("By the median of its runs DCGAN is best here (-1); real")
    assert "last" not in words  # who knows what AGE would score


def test_ties_are_all_named(tmp_path):
    values = {"alphagan": -2.0, "dcgan": -1.0, "age": -1.0, "wgan_gp": -2.0}
    runs = [(model, "done", value) for model, value in values.items()]
    assert said(write_study(tmp_path / "two", runs)).startswith(
        "By the median of their runs DCGAN and AGE are best here (-1) and α-GAN and WGAN-GP are last (-2). "
    )
    runs = [(model, "done", -1.0) for model in ("alphagan", "dcgan", "age")]
    assert said(write_study(tmp_path / "all", runs)).startswith(
        "By the median of their runs α-GAN, DCGAN and AGE are equal (-1). "
    )


def swept(tmp_path, values, metric="critic"):
    runs = [
        PretendedRun(model, "failed" if one is None else "done", [at_end(metric, one)] * (one is not None), {"rate": number})
        for model, numbers in values.items()
        for number, one in enumerate(numbers)
    ]
    return said(write_runs(tmp_path / metric, runs), metric)


@pytest.mark.parametrize(
    ("dcgan", "age", "overlap"),
    [
        # The interval of DCGAN's median is within 1 … 4; with one lost run of four its upper end is open.
        ([1, 2, 3, 4], [11, 12, 13, 14], False),
        ([1, 2, 3, 4], [1.25, 2.25, 3.25, 4.25], True),
        ([1, 2, 3, 4], [13, 13, 13, None], False),
        ([1, 2, 3, None], [1000, 1001, 1002, 1003], True),
        ([1, 2, 3, 4], [1, 3, 4, None], True),
        ([1, 2, 3, 4], [3], False),  # of a single configuration there is no interval
        ([2], [1, 2, 3, 4], False),
    ],
)
@pytest.mark.parametrize(("metric", "sign"), [("critic", -1), ("mode_kl", 1)])
def test_the_sentence_says_where_the_intervals_of_the_first_two_medians_overlap(tmp_path, dcgan, age, overlap, metric, sign):
    values = {
        model: [None if one is None else sign * one for one in numbers] for model, numbers in (("dcgan", dcgan), ("age", age))
    }
    words = swept(tmp_path, values, metric)
    assert words.startswith("By the median of its runs DCGAN is best here (")
    assert (", with an interval that overlaps that of AGE) and AGE is last (" in words) == overlap
    assert ("overlaps" in words) == overlap


def test_the_sentence_of_a_metric_to_match_says_who_is_nearest(tmp_path):
    values = {"real": 0.5, "dcgan": 1.0, "age": 0.25, "mine.Best": 0.625}
    folder = write_runs(
        tmp_path / "match", [PretendedRun(model, rows=[at_end("sample_diversity", value)]) for model, value in values.items()]
    )
    assert said(folder, "sample_diversity").startswith(
        "By the median distance to real images of its runs Best is best here (0.125) and DCGAN is last (0.5); "
        "real images score 0.5."
    )


def test_the_sentence_knows_sweeps_from_seeds(tmp_path):
    for rates, seeds, words in (
        (2, 1, "Each box holds 2 runs: a sweep over hyperparameters, not repeated seeds."),
        (1, 2, "Each box holds 2 runs: repeated seeds of one configuration, not a sweep over hyperparameters."),
        (2, 3, "Each box holds 6 runs: a sweep over up to 2 configurations, with up to 3 seeds of each."),
        (1, 1, "Each box holds 1 run."),
    ):
        runs = [
            PretendedRun("dcgan", rows=[at_end("critic", -1)], seed=seed, hyperparameters={"rate": rate})
            for rate in range(rates)
            for seed in range(seeds)
        ]
        assert said(write_runs(tmp_path / f"{rates}{seeds}", runs)).endswith(f". {words}")


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_where_no_median_is_left_the_sentence_says_so(tmp_path, status):
    runs = [("dcgan", "done", -1.0), *[("dcgan", status, None)] * 2]
    assert said(write_study(tmp_path / "none", runs)) == "No model has a median here: too few runs came to their end."


def test_the_ten_best_are_black_circles():
    comparison = compare({"dcgan": np.arange(-14.0, 0.0)}, lost=["dcgan"] * 2)
    figure = drawn(comparison)
    assert figure.axes[0].get_xticklabels()[0].get_text() == "DCGAN\nn = 14 of 16"
    circles = figure.axes[0].collections[-1]
    assert sorted(circles.get_offsets()[:, 1]) == list(np.arange(-float(BEST), 0.0))
    assert circles.get_edgecolor().tolist() == [[0, 0, 0, 1]]
    assert not circles.get_facecolor().size


def test_of_a_metric_to_match_the_nearest_to_real_are_circled():
    values = np.arange(0, 16) / 16
    comparison = compare({"real": [0.5], "dcgan": values}, METRICS["sample_diversity"])
    circles = drawn(comparison).axes[0].collections[-1]
    assert sorted(circles.get_offsets()[:, 1]) == [number / 16 for number in range(3, 13)]  # 3 and 13 are equally near: the first
    assert comparison.best("dcgan", 1).value.tolist() == [0.5]


def test_without_real_images_nothing_is_circled():
    comparison = compare({"dcgan": [0.25, 0.5]}, METRICS["sample_diversity"])
    assert len(comparison.best("dcgan", BEST)) == 0
    assert not len(drawn(comparison).axes[0].collections[-1].get_offsets())


def test_dots_are_the_runs_and_circles_stand_on_their_dots():
    comparison = compare({"dcgan": [-3, -1, -2], "age": [-5, math.nan, -4]})
    axes = drawn(comparison).axes[0]
    dots = {point for line in axes.lines if line.get_marker() == "." for point in zip(*line.get_data(), strict=True)}
    assert sorted(value for _, value in dots) == [-5, -4, -3, -2, -1]
    circled = {tuple(point) for circles in axes.collections for point in circles.get_offsets()}
    assert circled == dots
    assert [round(place) for place, _ in sorted(dots)] == [0, 0, 0, 1, 1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["DCGAN\nn = 3", "AGE\nn = 2 of 3"]


def test_lines_for_the_sanity_rows_and_for_noise():
    comparison = compare({"real": [-1.5], "noise": [-2.5], "dcgan": [-1, -2, -3]})
    axes = drawn(comparison, {"+ noise 0.1": -1.25, "far": 40.0}).axes[0]
    lines = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines if line.get_linestyle() in ("--", ":")}
    assert lines == {-1.5: "--", -2.5: ":", -1.25: ":"}
    words = {text.get_text() for text in axes.texts}
    assert words == {"real images", "noise", "+ noise 0.1", "far: 40 ↑"}  # one far away would flatten the boxes
    assert [(line.label, line.value) for line in panel_of(comparison, {"more": math.nan}).lines] == [
        ("real images", -1.5),
        ("noise", -2.5),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"real": [-1], "noise": [-2]},
        {"real": [-1], "dcgan": [-1]},
        {"dcgan": [-2, -2, -2], "mypackage.MyGAN": [-2, -2]},
        {"real": [1e30], "dcgan": [1e30, -1e30, 2e30]},
        {"real": [1e-30], "noise": [1.0], "dcgan": [1e-30, 2e-30]},
        {"dcgan": [math.nan, -1]},
        {"dcgan": [math.nan]},
    ],
    ids=str,
)
def test_every_comparison_can_be_drawn(values):
    for metric in (METRICS["critic"], METRICS["sample_diversity"]):
        comparison = compare(values, metric)
        drawn(comparison, {"+ noise": 0.5}).draw_without_rendering()
        panel = panel_of(comparison, {})
        assert len(panel.points) == len(comparison.measured)
        assert all(np.isfinite([box.low, box.quartile_1, box.median, box.quartile_3, box.high]).all() for box in panel.boxes)


def test_a_chart_has_the_runs_the_circles_and_the_boxes_of_its_figure():
    comparison = compare({"real": [-0.5], "dcgan": [-1, -2, -3, -4, -30], "age": [-7, math.nan]}, lost=["age"])
    panel = panel_of(comparison, {"+ noise": -9.0})
    assert [(point.run, point.value) for point in panel.points] == [
        (f"run-{n}", v) for n, v in zip(range(1, 7), (-1, -2, -3, -4, -30, -7), strict=True)
    ]
    boxes = {box.model: box for box in panel.boxes}
    one = boxes["dcgan"]
    assert (one.quartile_1, one.median, one.quartile_3) == (-4, -3, -2)
    assert (one.low, one.high) == (-4, -1)  # the whiskers end within 1.5 · 2 of the box: at -7 and 1
    assert boxes["age"].label == "AGE\nn = 1 of 3"
    assert set(panel.best) == {f"run-{number}" for number in range(1, 7)}
    assert [(line.label, line.value) for line in panel.lines] == [("real images", -0.5), ("+ noise", -9)]


def test_the_chart_and_the_figure_have_no_box_of_a_model_that_lost_every_run(tmp_path, undrawn):
    folder = write_study(tmp_path / "lost", [REAL, ("dcgan", "done", -1.0), ("age", "failed", None)])
    results = results_of(folder)
    (section,) = shown(Scores, results, tmp_path / "f")
    (panel,) = section.plots[0].chart.panels
    assert [box.model for box in panel.boxes] == ["dcgan"]
    axes = drawn(results.comparisons["critic"][0]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["DCGAN\nn = 1"]
    columns = dict(zip(section.tables[0].columns, zip(*section.tables[0].rows, strict=True), strict=True))
    assert columns["model"] == ("real images", "DCGAN", "AGE")
    assert columns["not measured"] == (None, 0, 0)
    assert [cell.split() for cell in columns["runs with a value"]][2] == ["0", "of", "1"]
    assert "AGE has no median: 1 of its 1 runs have no value" in section.plots[0].sentence


def test_the_section_of_a_metric_has_a_row_a_model_and_shows_what_is_missing_as_missing(tmp_path, undrawn):
    folder = write_study(tmp_path / "rows", [REAL, ("dcgan", "done", -1.0), ("age", "failed", None), ("age", "done", -2.0)])
    results = results_of(folder)
    (section,) = shown(Scores, results, tmp_path / "figures")
    (table,) = section.tables
    columns = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
    assert columns["model"] == ("real images", "DCGAN", "AGE")
    assert [cell.split() for cell in columns["runs with a value"]] == [["1", "of", "1"], ["1", "of", "1"], ["1", "of", "2"]]
    assert columns["failed"] == (0, 0, 1)
    assert columns["median"] == (-0.1, -1, None)
    assert columns["95 % of the median"] == (None, None, None)
    assert columns["before training"] == (None, -9, -9)
    assert section.plots[0].chart.panels[0].title == "colormnist-mini"
    assert "protocol" in section.notes[0]


def test_the_figure_of_another_protocol_has_its_own_noise_levels(tmp_path, undrawn):
    other = {"steps": 200}
    rows = [at_end("sample_diversity", 0.5), at_end("sample_diversity/noise 0.1", 0.625)]
    rows += [at_end("sample_diversity", 0.25, other), at_end("sample_diversity/noise 0.1", 0.375, other)]
    runs = [
        PretendedRun("real", rows=rows),
        *(PretendedRun("dcgan", rows=rows[:1]) for _ in range(2)),
        PretendedRun("dcgan", rows=rows[2:3]),
    ]
    results = results_of(write_runs(tmp_path / "levels", runs))
    (section,) = shown(Scores, results, tmp_path / "figures")
    lines = [[(line.label, line.value) for line in plot.chart.panels[0].lines] for plot in section.plots]
    assert lines == [[("real images", 0.5), ("+ noise 0.1", 0.625)], [("real images", 0.25), ("+ noise 0.1", 0.375)]]


def test_noise_levels_are_those_of_their_protocol_and_setting(tmp_path):
    def further(base):
        return lambda number: [
            Row(10, f"sample_diversity{name}", value + shift, n=5, protocol=protocol)
            for protocol, shift in ((PROTOCOL, 0.0), (OTHER, 0.25))
            for name, value in (("", base), ("/noise 0.05", base + 0.0625), ("/noise 0.1", base + 0.125))
            if number == 0 or (not name and protocol == PROTOCOL)
        ]

    runs = [("real", "done", -0.1), ("dcgan", "done", -1.0)]
    one = write_study(tmp_path / "one", runs, further=further(0.5))
    other = write_study(tmp_path / "other", runs, further=further(0.25), settings={"width": 1})
    for number, run in enumerate(("run-0", "run-1")):  # a run's name is the hash of what determines it
        (other / "runs" / run).rename(other / "runs" / f"other-{number}")
    text = (other / "study.json").read_text()
    (other / "study.json").write_text(text.replace('"run-', '"other-'))
    results = results_of(one, other)
    a, b = results.tables.settings
    assert (a, b) == ("colormnist-mini, width 0.25", "colormnist-mini, width 1")
    assert noise_levels(results.tables, results.main["sample_diversity"]) == {
        a: {"+ noise 0.05": 0.5625, "+ noise 0.1": 0.625},
        b: {"+ noise 0.05": 0.3125, "+ noise 0.1": 0.375},
    }
    further_one = [
        comparison
        for comparison in results.comparisons["sample_diversity"]
        if comparison.protocol == OTHER and comparison.setting == a
    ]
    assert noise_levels(results.tables, further_one) == {a: {"+ noise 0.05": 0.8125, "+ noise 0.1": 0.875}}
