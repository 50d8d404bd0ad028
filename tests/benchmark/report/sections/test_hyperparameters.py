"""Which hyperparameter matters? By hand, by scipy, and for values of every kind."""

import pytest
from scipy import stats

from benchmark.report.drawing.style import colours
from benchmark.report.sections.hyperparameters import Hyperparameters, panels_of
from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    shown,
    write_runs,
)


def test_which_hyperparameter_matters(table):
    rows = table("hyperparameters", metric="critic", model="alphagan").set_index("hyperparameter")
    # Mean ranks of the configurations 2.5 2.5 6.5 6.5, so their ranks 1.5 1.5 3.5 3.5: all lies between the learning rates.
    assert rows.share.to_dict() == {"learning_rate": 1, "latent_size": 0}
    assert rows.chance.tolist() == [1 / 3, 1 / 3]
    assert rows.configurations.tolist() == [4, 4]
    test = stats.kruskal([1.5, 1.5], [3.5, 3.5])
    assert rows.share["learning_rate"] == pytest.approx(test.statistic / 3)
    assert rows.p_value["learning_rate"] == pytest.approx(test.pvalue)
    assert rows.p_holm.to_dict() == pytest.approx({"learning_rate": 2 * test.pvalue, "latent_size": 1})  # the smaller of two
    users = table("hyperparameters", metric="critic", model=golden.OWN)
    assert users.hyperparameter.tolist() == ["layers"]  # a list and None; what does not vary is not in it


def test_no_two_runs_need_the_same_hyperparameters(tmp_path):
    """Lists, None, truth values and words; names that only some runs know."""
    cells = [
        {"layers": [1, 2]},
        {"layers": None, "late": True},
        {"layers": [1, 2], "late": False, "note": "$x"},
        {"layers": "deep"},
    ]
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -number)], hyperparameters=cell) for number, cell in enumerate(cells)]
    runs.append(PretendedRun("dcgan", "failed", hyperparameters={"layers": {"a": [1]}}))
    results = results_of(write_runs(tmp_path / "cells", runs))
    computed = Hyperparameters().table(results).set_index("hyperparameter")
    assert computed.levels.to_dict() == {"layers": 4, "late": 3, "note": 2}


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
    words = shown(Hyperparameters, results_of(study("one")), tmp_path / "a")[0].plots[0].sentence
    assert words.endswith("learning rate, 76% of the variance of the ranks (chance 14%, p = 0.021 after Holm's correction).")
    words = shown(Hyperparameters, results_of(study("three", "depth", "width")), tmp_path / "b")[0].plots[0].sentence
    assert words.endswith("(chance 14%, p = 0.063 after Holm's correction), which chance may have made.")


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
    results = results_of(write_runs(tmp_path / "levels", runs))
    rows = Hyperparameters().table(results)
    figure = panels_of(results.headlines[0], "dcgan", rows, colours(results.models))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == words
    dots = [(round(float(x)), y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)]
    assert sorted(y for _, y in dots) == [-2, -1, 0]
    if len(set(map(str, levels))) == 3 and levels != [8, None, 16]:
        order = sorted(levels) if all(isinstance(level, int | float) for level in levels) else sorted(levels, key=str)
        assert sorted(dots) == sorted((order.index(level), -number) for number, level in enumerate(levels))
    figure.draw_without_rendering()  # a formula that is none would be an error
