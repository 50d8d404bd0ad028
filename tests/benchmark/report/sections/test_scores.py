"""What the page says and draws: sentences from the numbers, circles, lines, labels, pictures."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmark.records.rows import Row
from benchmark.report.drawing import figures, statistic_figures
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.summary import summarize
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.sections import scores as score_sections
from benchmark.report.sections import statistic_sections
from benchmark.report.sections.pictures import _best_runs, picture_sections
from benchmark.report.sections.scores import overfitting, sentence
from metrics.catalogue import MEASURES
from tests import golden
from tests.benchmark.report.pretended import (
    AGAIN,
    PROTOCOL,
    PretendedRun,
    at_end,
    compared,
    write_codes,
    write_grid,
    write_runs,
    write_study,
)

REAL, NOISE = ("real", "done", -0.1), ("noise", "done", -8.0)


def comparison(values, measure=MEASURES["critic"], lost=()):
    """A comparison of runs by model."""
    runs = [(model, value) for model, those in values.items() for value in those]
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
    return Comparison(measure, "here", "0", {}, frame, ended[["run", "model", "configuration", "seed", "status"]])


def said(folder, metric="critic"):
    tables, found, _ = compared(folder)
    return sentence(summarize(tables, found[metric][:1]), MEASURES[metric])


# Sentences


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


def test_the_chart_and_the_figure_have_no_box_of_a_model_that_lost_every_run(tmp_path, undrawn):
    folder = write_study(tmp_path / "lost", [REAL, ("dcgan", "done", -1.0), ("age", "failed", None)])
    tables, found, _ = compared(folder)
    (section,) = score_sections.score_sections(tables, found, summarize(tables, found["critic"]), FigureFolder(tmp_path / "f"))
    (panel,) = section.plots[0].chart.panels
    assert [box.model for box in panel.boxes] == ["dcgan"]
    axes = figures.box_plots(found["critic"]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["DCGAN\nn = 1"]
    columns = dict(zip(section.tables[0].columns, zip(*section.tables[0].rows, strict=True), strict=True))
    assert columns["model"] == ("real images", "DCGAN", "AGE")
    assert columns["not measured"] == (None, 0, 0)
    assert [cell.split() for cell in columns["runs with a value"]][2] == ["0", "of", "1"]
    assert "AGE has no median: 1 of its 1 runs have no value" in section.plots[0].sentence


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
        for model, those in values.items()
        for number, one in enumerate(those)
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
    values = {model: [None if one is None else sign * one for one in those] for model, those in (("dcgan", dcgan), ("age", age))}
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


# Box plots


def test_the_ten_best_are_black_circles():
    some = comparison({"dcgan": np.arange(-14.0, 0.0)}, lost=["dcgan"] * 2)
    figure = figures.box_plots([some])
    assert figure.axes[0].get_xticklabels()[0].get_text() == "DCGAN\nn = 14 of 16"
    circles = figure.axes[0].collections[-1]
    assert sorted(circles.get_offsets()[:, 1]) == list(np.arange(-float(BEST), 0.0))
    assert circles.get_edgecolor().tolist() == [[0, 0, 0, 1]]
    assert not circles.get_facecolor().size


def test_of_a_metric_to_match_the_nearest_to_real_are_circled():
    values = np.arange(0, 16) / 16
    some = comparison({"real": [0.5], "dcgan": values}, MEASURES["sample_diversity"])
    circles = figures.box_plots([some]).axes[0].collections[-1]
    assert sorted(circles.get_offsets()[:, 1]) == [number / 16 for number in range(3, 13)]  # 3 and 13 are equally near: the first
    assert some.best("dcgan", 1).value.tolist() == [0.5]


def test_without_real_images_nothing_is_circled():
    some = comparison({"dcgan": [0.25, 0.5]}, MEASURES["sample_diversity"])
    assert len(some.best("dcgan", BEST)) == 0
    assert not len(figures.box_plots([some]).axes[0].collections[-1].get_offsets())


def test_dots_are_the_runs_and_circles_stand_on_their_dots():
    some = comparison({"dcgan": [-3, -1, -2], "age": [-5, math.nan, -4]})
    axes = figures.box_plots([some]).axes[0]
    dots = {point for line in axes.lines if line.get_marker() == "." for point in zip(*line.get_data(), strict=True)}
    assert sorted(value for _, value in dots) == [-5, -4, -3, -2, -1]
    circled = {tuple(point) for circles in axes.collections for point in circles.get_offsets()}
    assert circled == dots
    assert [round(place) for place, _ in sorted(dots)] == [0, 0, 0, 1, 1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["DCGAN\nn = 3", "AGE\nn = 2 of 3"]


def test_lines_for_the_sanity_rows_and_for_noise():
    some = comparison({"real": [-1.5], "noise": [-2.5], "dcgan": [-1, -2, -3]})
    axes = figures.box_plots([some], {"here": {"+ noise 0.1": -1.25, "far": 40.0}}).axes[0]
    lines = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines if line.get_linestyle() in ("--", ":")}
    assert lines == {-1.5: "--", -2.5: ":", -1.25: ":"}
    words = {text.get_text() for text in axes.texts}
    assert words == {"real images", "noise", "+ noise 0.1", "far: 40 ↑"}  # one far away would flatten the boxes
    assert dict(figures.lines_of(some, {"more": math.nan})) == {"real images": -1.5, "noise": -2.5}


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
    for measure in (MEASURES["critic"], MEASURES["sample_diversity"]):
        some = comparison(values, measure)
        figures.box_plots([some], {"here": {"+ noise": 0.5}}).draw_without_rendering()
        panel = score_sections._panel(some, {})
        assert len(panel.points) == len(some.measured)
        assert all(np.isfinite([box.low, box.quartile_1, box.median, box.quartile_3, box.high]).all() for box in panel.boxes)


def test_a_chart_has_the_runs_the_circles_and_the_boxes_of_its_figure():
    some = comparison({"real": [-0.5], "dcgan": [-1, -2, -3, -4, -30], "age": [-7, math.nan]}, lost=["age"])
    panel = score_sections._panel(some, {"+ noise": -9.0})
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


# The critic


def test_a_critic_overfits_where_its_gap_is_more_than_chance_and_more_than_a_tenth():
    tables, _, main = compared(golden.FOLDER / "digits")
    found = {row["model"]: row for row in overfitting(tables, main)}
    # The gap of 0.25, from 0.125 on, is more than a tenth of 1, 2 and 2 of the α-GAN, and of 1.5 of DCGAN; of 2.5 it is a tenth.
    assert {model: (row["remembers"], row["n"]) for model, row in found.items()} == {
        "alphagan": (3, 8), "dcgan": (1, 5), "age": (0, 3), golden.OWN: (0, 4),
    }  # fmt: skip
    assert found["alphagan"]["distance"] == 3.5
    assert found["alphagan"]["gap"] == 0.25


def test_a_gap_that_chance_explains_is_none(tmp_path):
    gap = [Row(10, "critic_gap", 0.5, -0.1, 1.1, 5, PROTOCOL)]
    tables, _, main = compared(write_study(tmp_path / "chance", [("dcgan", "done", -1.0)], further=lambda _: gap))
    assert [row["remembers"] for row in overfitting(tables, main)] == [0]


def test_the_critic_along_training_on_both_splits(tmp_path, undrawn):
    def curve(*splits):
        return [
            Row(step, f"critic_curve/{split}", value, protocol=PROTOCOL)
            for step, value in ((5, -3.0), (10, -2.0))
            for split in splits
        ]

    both = [PretendedRun("dcgan", rows=curve("validation", "test")), PretendedRun("age", rows=curve("test"))]
    for runs, words in (
        (both, "scores validation images as high as test images (median over 1 run, 0 to 0), where the distance is 2."),
        (both[1:], "no run has both lines."),
    ):
        tables, _, main = compared(write_runs(tmp_path / str(len(runs)), runs))
        (section,) = score_sections.critic_section(tables, main, FigureFolder(tmp_path / "figures"))
        assert words in section.plots[0].sentence


def test_the_gap_of_the_critics_curves_has_a_sign_and_is_told_of_each_setting(tmp_path, undrawn):
    def study(name, validation, **facts):
        runs = [
            PretendedRun(
                "dcgan",
                rows=[
                    Row(step, f"critic_curve/{split}", value - 3 * (step == 5), protocol=PROTOCOL)
                    for step in (5, 10)
                    for split, value in (("validation", one), ("test", -2.0))
                ],
                name=f"{name}-{number}",
            )
            for number, one in enumerate(validation)
        ]
        return write_runs(tmp_path / name, runs, **facts)

    # The curves are -distance, E[f(samples)] - E[f(images)]: test - validation is what validation images score more.
    folders = study("one", [-2.5, -3, -2.25]), study("other", [-1.5], settings={"width": 1})
    tables, _, main = compared(*folders)
    (section,) = score_sections.critic_section(tables, main, FigureFolder(tmp_path / "figures"))
    assert section.plots[0].sentence == (
        "colormnist-mini, width 0.25: At the last point the critic scores validation images 0.5 higher than test images "
        "(median over 3 runs, 0.25 to 1), where the distance is 2. "
        "colormnist-mini, width 1: At the last point the critic scores validation images 0.5 lower than test images "
        "(median over 1 run, -0.5 to -0.5), where the distance is 2."
    )


# Statistics


def sentence_of(anchor, folder, place):
    _, _, main = compared(folder)
    sections = statistic_sections.statistic_sections(main, statistic_sections.analyses(main), FigureFolder(place))
    (section,) = (section for section in sections if section.anchor == anchor)
    return section.plots[0].sentence


def test_pairs_can_be_told_apart_by_the_corrected_p_value(tmp_path, undrawn):
    def study(name, size, *models):
        runs = [
            PretendedRun(model, rows=[at_end("critic", -100 * place - number)], hyperparameters={"rate": number})
            for place, model in enumerate(models)
            for number in range(size)
        ]
        return write_runs(tmp_path / name, runs)

    # Four and four that do not overlap have p = 2 / 70 = 0.029, which is no longer below 0.05 times two or three.
    words = sentence_of("improvement", study("two", 4, "dcgan", "age"), tmp_path / "a")
    title = MEASURES["critic"].title
    told = "pairs of models can be told apart (p < 0.05 after Holm's correction)"
    assert words == f"{title}: 1 of 1 {told}: DCGAN over AGE (100%)."
    words = sentence_of("improvement", study("three", 4, "dcgan", "age", "alphagan"), tmp_path / "b")
    assert words == f"{title}: 0 of 3 {told}."
    words = sentence_of("improvement", study("one", 1, "dcgan", "age"), tmp_path / "c")
    assert words == f"{title}: a single configuration of a model says nothing about others, so no pair was tested."


def test_a_hyperparameter_matters_by_the_corrected_p_value(tmp_path, undrawn):
    def study(name, *more):
        runs = [
            PretendedRun(
                "dcgan",
                rows=[at_end("critic", -10.0 * (number % 2) - number)],
                hyperparameters={"learning_rate": number % 2, "own": number, **dict.fromkeys(more, number // 4)},
            )
            for number in range(8)
        ]
        return write_runs(tmp_path / name, runs)

    # Of what is another in every configuration nothing is tested.
    # Ranks 1 … 4 and 5 … 8: of the total 42 lies 2 · 4 · 2² = 32 between, so H = 7 · 32 / 42 = 5.33 and p = 0.021.
    words = sentence_of("hyperparameters", study("one"), tmp_path / "a")
    assert words.endswith("learning rate, 76% of the variance of the ranks (chance 14%, p = 0.021 after Holm's correction).")
    words = sentence_of("hyperparameters", study("three", "depth", "width"), tmp_path / "b")
    assert words.endswith("(chance 14%, p = 0.063 after Holm's correction), which chance may have made.")


def test_of_several_that_are_expected_to_do_best_all_are_named(tmp_path, undrawn):
    values = {"dcgan": (-1, -2), "age": (-1, -2), "alphagan": (-3, -4)}
    runs = [
        PretendedRun(model, rows=[at_end("critic", value)], hyperparameters={"rate": number})
        for model, those in values.items()
        for number, value in enumerate(those)
    ]
    words = sentence_of("best-of-k", write_runs(tmp_path / "study", runs), tmp_path / "a")
    assert "with 1 run DCGAN and AGE are expected to do best, with 2 still." in words.replace("AGE and DCGAN", "DCGAN and AGE")


def test_a_pair_of_models_that_are_equally_good_stands_once(tmp_path, undrawn):
    runs = [(model, "done", value) for model in ("alphagan", "dcgan", "age") for value in (-1.0, -2.0)] + [
        ("mine.Worse", "done", -3.0)
    ]
    _, _, main = compared(write_study(tmp_path / "tied", runs))
    tables = statistic_sections.analyses(main)
    sections = {
        section.anchor: section
        for section in statistic_sections.statistic_sections(main, tables, FigureFolder(tmp_path / "figures"))
    }
    (table,) = sections["improvement"].tables
    pairs = [frozenset(row[1:3]) for row in table.rows]
    assert len(pairs) == len(set(pairs)) == 6
    assert [row[3] for row in table.rows] == [0.5, 0.5, 1, 0.5, 1, 1]


def test_the_best_are_reported_by_the_evaluation_that_did_not_choose_them(tmp_path, undrawn):
    rows = [[at_end("critic", one), at_end("critic", two, AGAIN)] for one, two in ((-1, -5), (-3, -2), (-4, -6))]
    runs = [*(PretendedRun("dcgan", rows=each) for each in rows), PretendedRun("age", rows=[at_end("critic", -1)])]
    _, _, main = compared(write_runs(tmp_path / "again", runs))
    tables = statistic_sections.analyses(main)
    first = next(iter(statistic_sections.statistic_sections(main, tables, FigureFolder(tmp_path / "figures"))))
    assert first.anchor == "best-again"
    assert first.tables[0].rows == [
        [MEASURES["critic"].title, "colormnist-mini", "DCGAN", "run-0", -1, -5, 3, pytest.approx(-8 / 3), pytest.approx(-13 / 3)]
    ]


def test_the_best_run_is_named_also_where_nobody_measured_it_again(tmp_path, undrawn):
    rows = [[at_end("critic", -2), at_end("critic", -3, AGAIN)], [at_end("critic", -1)]]
    _, _, main = compared(write_runs(tmp_path / "again", [PretendedRun("dcgan", rows=each) for each in rows]))
    section = next(
        iter(statistic_sections.statistic_sections(main, statistic_sections.analyses(main), FigureFolder(tmp_path / "f")))
    )
    assert section.tables[0].columns == [
        "metric", "setting", "model", "best run", "its value", "measured again", "best runs", "their mean", "measured again",
    ]  # fmt: skip
    assert section.tables[0].rows[0][2:] == ["DCGAN", "run-1", -1, pytest.approx(math.nan, nan_ok=True), 1, -2, -3]


def test_the_best_of_a_metric_to_match_have_the_mean_of_their_distances(tmp_path, undrawn):
    rows = {"real": (0.5, 0.5), "dcgan": (0.25, 0.125), "age": (0.625, 0.75)}
    runs = [
        PretendedRun(model, rows=[at_end("sample_diversity", one), at_end("sample_diversity", two, AGAIN)])
        for model, (one, two) in rows.items()
    ]
    runs.append(PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.625), at_end("sample_diversity", 1, AGAIN)]))
    _, _, main = compared(write_runs(tmp_path / "match", runs))
    section = next(
        iter(statistic_sections.statistic_sections(main, statistic_sections.analyses(main), FigureFolder(tmp_path / "f")))
    )
    # DCGAN: 0.125 and 0.25 away, whose values' mean would be nearer than either; again 0.5 and 0.375.
    assert [row[2:] for row in section.tables[0].rows] == [
        ["DCGAN", "run-3", 0.625, 1, 2, 0.1875, 0.4375],
        ["AGE", "run-2", 0.625, 0.75, 1, 0.125, 0.25],
    ]


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([128, 8, 16], ["8", "16", "128"]),
        ([0.1, 1e-4, 2.0], ["0.0001", "0.1", "2"]),
        ([True, False, True], ["False", "True"]),
        ([[16, 32], None, [16, 32]], ["None", "[16, 32]"]),
        (["$\\nosuch$y", "$x", "a_b"], ["$\\nosuch$y", "$x", "a_b"]),
        ([8, None, 16], ["16.0", "8.0", "nan"]),
    ],
    ids=str,
)
def test_hyperparameters_of_every_kind_have_places_of_their_own(tmp_path, levels, words):
    runs = [
        PretendedRun("dcgan", rows=[at_end("critic", -number)], hyperparameters={"level": level})
        for number, level in enumerate(levels)
    ]
    _, _, main = compared(write_runs(tmp_path / "levels", runs))
    table = statistic_sections.analyses(main)["hyperparameters"]
    figure = statistic_figures.hyperparameters(main["critic"][0], "dcgan", table)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == words
    dots = [(round(float(x)), y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)]
    assert sorted(y for _, y in dots) == [-2, -1, 0]
    if len(set(map(str, levels))) == 3 and levels != [8, None, 16]:
        order = sorted(levels) if all(isinstance(level, int | float) for level in levels) else sorted(levels, key=str)
        assert sorted(dots) == sorted((order.index(level), -number) for number, level in enumerate(levels))
    figure.draw_without_rendering()  # a formula that is none would be an error


# Pictures


def test_pictures_are_of_the_best_run_by_the_critic(tmp_path, undrawn):
    folder = write_study(
        tmp_path / "shown", [REAL, *(("dcgan", "done", value) for value in (-3.0, -1.0, -2.0)), ("age", "diverged", None)]
    )
    for number in range(4):
        write_grid(folder / "runs" / f"run-{number}" / "samples.png", number)
    tables, _, main = compared(folder)
    sections = list(picture_sections(tables, main, FigureFolder(tmp_path / "figures")))
    assert [section.anchor for section in sections] == ["samples", "best-by-metric"]
    best = _best_runs(tables, main, "colormnist-mini")
    assert {model: shown.folder.name for model, shown in best.items()} == {"real": "run-0", "dcgan": "run-2"}
    assert best["dcgan"].label == "critic -1"


def test_what_cannot_be_read_is_said_also_where_nothing_is_left_to_be_shown(tmp_path, undrawn):
    folder = write_study(tmp_path / "torn", [("dcgan", "done", -1.0)])
    (folder / "runs" / "run-0" / "samples.png").write_bytes(b"\x89PNG torn")
    tables, _, main = compared(folder)
    (section,) = picture_sections(tables, main, FigureFolder(tmp_path / "figures"))
    assert "run-0/samples.png cannot be read" in section.notes[0]
    write_codes(folder / "runs" / "run-0" / "codes.npz", [0, 1], [1, 1])
    assert [some.anchor for some in picture_sections(tables, main, FigureFolder(tmp_path / "figures"))] == [
        "codes",
        "unreadable-pictures",
    ]


def test_the_section_of_a_metric_has_a_row_a_model_and_shows_what_is_missing_as_missing(tmp_path, undrawn):
    folder = write_study(tmp_path / "rows", [REAL, ("dcgan", "done", -1.0), ("age", "failed", None), ("age", "done", -2.0)])
    tables, found, _ = compared(folder)
    summary = summarize(tables, found["critic"])
    (section,) = score_sections.score_sections(tables, found, summary, FigureFolder(tmp_path / "figures"))
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
    tables, found, _ = compared(write_runs(tmp_path / "levels", runs))
    summary = summarize(tables, found["sample_diversity"])
    (section,) = score_sections.score_sections(tables, found, summary, FigureFolder(tmp_path / "figures"))
    lines = [[(line.label, line.value) for line in plot.chart.panels[0].lines] for plot in section.plots]
    assert lines == [[("real images", 0.5), ("+ noise 0.1", 0.625)], [("real images", 0.25), ("+ noise 0.1", 0.375)]]
