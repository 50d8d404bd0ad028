"""The best runs, chosen by one evaluation and reported by another."""

import math

import pytest

from benchmark.report.sections.best_again import BestAgain
from metrics.catalogue import METRICS
from tests.benchmark.report.pretended import (
    AGAIN,
    PretendedRun,
    at_end,
    results_of,
    shown,
    write_runs,
)


def test_the_best_are_reported_by_the_evaluation_that_did_not_choose_them(tmp_path, undrawn):
    rows = [[at_end("critic", one), at_end("critic", two, AGAIN)] for one, two in ((-1, -5), (-3, -2), (-4, -6))]
    runs = [*(PretendedRun("dcgan", rows=each) for each in rows), PretendedRun("age", rows=[at_end("critic", -1)])]
    results = results_of(write_runs(tmp_path / "again", runs))
    (section,) = shown(BestAgain, results, tmp_path / "figures")
    assert section.tables[0].rows == [
        [METRICS["critic"].title, "colormnist-mini", "DCGAN", "run-0", -1, -5, 3, pytest.approx(-8 / 3), pytest.approx(-13 / 3)]
    ]


def test_the_best_run_is_named_also_where_nobody_measured_it_again(tmp_path, undrawn):
    rows = [[at_end("critic", -2), at_end("critic", -3, AGAIN)], [at_end("critic", -1)]]
    results = results_of(write_runs(tmp_path / "again", [PretendedRun("dcgan", rows=each) for each in rows]))
    (section,) = shown(BestAgain, results, tmp_path / "figures")
    assert section.tables[0].columns == (
        "metric", "setting", "model", "best run", "its value", "measured again", "best runs", "their mean", "measured again",
    )  # fmt: skip
    assert section.tables[0].rows[0][2:] == ["DCGAN", "run-1", -1, pytest.approx(math.nan, nan_ok=True), 1, -2, -3]


def test_the_best_of_a_metric_to_match_have_the_mean_of_their_distances(tmp_path, undrawn):
    rows = {"real": (0.5, 0.5), "dcgan": (0.25, 0.125), "age": (0.625, 0.75)}
    runs = [
        PretendedRun(model, rows=[at_end("sample_diversity", one), at_end("sample_diversity", two, AGAIN)])
        for model, (one, two) in rows.items()
    ]
    runs.append(PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.625), at_end("sample_diversity", 1, AGAIN)]))
    results = results_of(write_runs(tmp_path / "match", runs))
    (section,) = shown(BestAgain, results, tmp_path / "figures")
    # DCGAN: 0.125 and 0.25 away, whose values' mean would be nearer than either; again 0.5 and 0.375.
    assert [row[2:] for row in section.tables[0].rows] == [
        ["DCGAN", "run-3", 0.625, 1, 2, 0.1875, 0.4375],
        ["AGE", "run-2", 0.625, 0.75, 1, 0.125, 0.25],
    ]
