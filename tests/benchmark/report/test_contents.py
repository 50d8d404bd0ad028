"""The table of contents: all sections' numbers together, and sections of a user's own."""

import numpy as np
import pandas as pd
import pytest

from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    tables_of,
    write_runs,
    write_study,
)


def test_another_study_moves_no_interval_of_the_first(tmp_path):
    """Though it gives the first study's setting another label."""
    digits = golden.FOLDER / "digits"
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -rate)], hyperparameters={"rate": rate}) for rate in (1, 2)]
    other = write_runs(tmp_path / "other", runs, settings={"width": 1}, fingerprint="d" * 64)
    alone, beside = results_of(digits), results_of(digits, other)
    (label,), labels = alone.tables.settings, beside.tables.settings
    assert labels == ["colormnist-mini, width 0.25", "colormnist-mini, width 1"]
    first, second = (tables_of(results) | {"summary": results.summary} for results in (alone, beside))
    for name, rows in first.items():
        of_both = second[name]
        assert set(of_both.setting) == {*labels} if name in ("summary", "best_of_k") else {*of_both.setting} <= {*labels}
        same = of_both[of_both.setting == labels[0]].assign(setting=label).reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), same, check_dtype=False)


def test_a_model_that_lost_every_run_loses_against_all(tmp_path):
    runs = [("dcgan", "done", -1.0), ("dcgan", "done", -2.0), ("age", "failed", None), ("age", "diverged", None)]
    results = results_of(write_study(tmp_path / "lost", [*runs, ("age", "missing", None)]))
    rows = tables_of(results)
    best = rows["best_of_k"].query("model == 'age'")
    assert best.k.tolist() == [1, 2]  # the one to come was not drawn
    assert best.value.isna().all()
    assert rows["improvement"].set_index("model").value.to_dict() == {"dcgan": 1, "age": 0}


def test_one_run_gives_no_interval_and_no_comparison(tmp_path):
    results = results_of(write_study(tmp_path / "one", [("dcgan", "done", -1.0)]))
    computed = tables_of(results)
    assert {name: len(rows) for name, rows in computed.items()} == {
        "best_of_k": 1, "equal_budget": 0, "improvement": 0, "agreement": 0, "hyperparameters": 0, "seeds": 0,
    }  # fmt: skip
    only = computed["best_of_k"].iloc[0]
    assert (only.k, only.value) == (1, -1)
    assert np.isnan([only.low, only.high]).all()


def test_sanity_rows_are_in_no_statistic(tmp_path):
    results = results_of(write_study(tmp_path / "sane", [("real", "done", -0.1), ("noise", "done", -8.0)]))
    assert all(rows.empty for rows in tables_of(results).values())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_huge_and_tiny_values_are_told_apart_like_others(tmp_path, size):
    values = {"dcgan": (-1, -2, -4), "age": (-3, -5, -6)}
    runs = [
        PretendedRun(model, rows=[at_end("critic", value * size)], hyperparameters={"rate": number})
        for model, numbers in values.items()
        for number, value in enumerate(numbers)
    ]
    results = results_of(write_runs(tmp_path / "size", runs))
    computed = tables_of(results)
    assert computed["improvement"].value.tolist() == pytest.approx([8 / 9, 1 / 9])
    best = computed["best_of_k"].query("model == 'dcgan'").value / size
    assert best.tolist() == pytest.approx([-7 / 3, -4 / 3, -1])
