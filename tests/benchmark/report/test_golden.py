"""The golden records: what their command writes, and what a report makes of them, by an independent reading and by hand."""

import json
import math
from collections import defaultdict
from itertools import product

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from metrics.catalogue import METRICS
from tests import golden

NOBODY = 1e9
"""In place of a missing value: what is interpolated with it is as huge."""


def test_the_command_writes_what_is_committed(tmp_path):
    golden.make_studies(tmp_path)
    written, committed = (
        {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and path.name != golden.SUMMARY}
        for folder in (tmp_path, golden.FOLDER)
    )
    assert set(written) == {path for path in committed if path.name not in (".lock", ".report.lock")}
    for name, path in written.items():
        if name.suffix == ".png":  # compressed alike by one version of zlib only
            np.testing.assert_array_equal(Image.open(path), Image.open(committed[name]))
        elif name.suffix == ".npz":
            with np.load(path) as one, np.load(committed[name]) as other:
                assert all(np.array_equal(one[key], other[key]) for key in ("mean", "covariance"))
        else:
            assert path.read_bytes() == committed[name].read_bytes(), name
    assert sum(path.stat().st_size for path in committed.values()) < 150_000


def test_the_summary_is_the_expected_one(golden_report):
    assert (golden_report / "summary.csv").read_text() == (golden.FOLDER / golden.SUMMARY).read_text()


def test_every_row_of_the_summary_against_an_independent_reading(golden_report):
    """Of the raw files: values by study, metric and model, interpolated by numpy.

    Lost runs and values that were not finite rank last; what nobody could measure is left out.
    """
    values, lost, known = defaultdict(list), defaultdict(int), set()
    for name in golden.STUDIES:
        study = json.loads((golden.FOLDER / name / "study.json").read_text())
        for run, planned in study["runs"].items():
            place = golden.FOLDER / name / "runs" / run
            status = json.loads((place / "status.json").read_text())["status"] if place.exists() else "missing"
            lost[name, planned["model"]] += status in ("diverged", "failed")
            rows = [json.loads(line) for line in (place / "records.jsonl").open()] if status == "done" else []
            for row in rows:
                if row["iteration"] == study["settings"]["iterations"] and row["protocol"].get("evaluation") != "second":
                    values[name, row["metric"], planned["model"]].append((row["value"], row.get("missing")))
                    known |= {(name, row["metric"])} if row["value"] is not None else set()
    summary = pd.read_csv(golden_report / "summary.csv").set_index(["study", "metric", "model"])
    compared = {key for key in values if key[1] in METRICS and key[:2] in known}
    assert set(summary.index) == compared
    for study, metric, model in compared:
        row = summary.loc[(study, metric, model)]
        finite = [value for value, _ in values[study, metric, model] if value is not None]
        missing = sum(why == "not_finite" for _, why in values[study, metric, model]) + lost[study, model]
        real = values[study, metric, "real"][0][0] if (study, metric, "real") in values else math.nan
        cost = {"maximize": lambda v: -v, "minimize": lambda v: v, "match": lambda v, real=real: abs(v - real)}[row.goal]
        best = min(finite, key=cost)
        assert row.quartiles_of == ("distances to real images" if row.goal == "match" else "values")
        if row.goal == "match":
            finite, cost = [abs(value - real) for value in finite], abs
        ranked = [*sorted(finite, key=cost), *[NOBODY] * missing]
        quartiles = np.interp(np.array([0.25, 0.5, 0.75]) * (len(ranked) - 1), range(len(ranked)), ranked)
        quartiles = [math.nan if abs(one) > NOBODY / 1e6 else one for one in quartiles]
        if row.goal == "maximize":
            quartiles.reverse()
        assert row[["quartile_1", "median", "quartile_3"]].tolist() == pytest.approx(quartiles, nan_ok=True), (
            study,
            metric,
            model,
        )
        assert row.iqr == pytest.approx(abs(quartiles[2] - quartiles[0]), nan_ok=True)
        assert (row.best, row.n) == (best, len(finite))
        if model in ("real", "noise"):
            assert row[["without_value", "not_measured", "configurations", "seeds"]].isna().all()
        else:
            unmeasured = len(values[study, metric, model]) + lost[study, model] - len(finite) - missing
            assert (row.without_value, row.not_measured) == (missing, unmeasured)


# By hand


@pytest.fixture(scope="module")
def summary(golden_report):
    return pd.read_csv(golden_report / "summary.csv").set_index(["study", "metric", "model"])


def quartiles(row):
    return row[["quartile_1", "median", "quartile_3"]].tolist()


def test_a_metric_to_maximize(summary):
    row = summary.loc[("digits", "critic", "alphagan")]
    # -1 -2 -2 -3 | -4 -5 -7 -8, the best first. The ranks of the quartiles are 1.75, 3.5 and 5.25 of 0 … 7:
    # -2 and -2; half way between -3 and -4; a quarter of the way from -5 to -7. The upper quartile is the better one.
    assert quartiles(row) == [-5.5, -3.5, -2]
    assert row.iqr == 5.5 - 2
    assert (row.best, row.best_run, row.best_again) == (-1, "alphagan-0-0", -2.5)  # -1.25 is measured again of another run
    assert (row.runs, row.done, row.n, row.without_value, row.configurations) == (8, 8, 8, 0, 4)
    assert row.median_before_training == -9
    assert row.measurement_error == 0.25


def test_a_metric_to_minimize(summary):
    row = summary.loc[("digits", "mode_kl", "alphagan")]
    # 0.5 1 1.5 2 | 2.5 3 3.5 4: 1 + 0.75 · 0.5, 2.25, 3 + 0.25 · 0.5
    assert quartiles(row) == [1.375, 2.25, 3.125]
    assert row.iqr == 1.75
    assert (row.best, row.median_before_training) == (0.5, 7)


def test_a_metric_to_match(summary):
    row = summary.loc[("digits", "sample_diversity", "alphagan")]
    # Real images have 0.5. The distances: 0 0.0625 0.125 0.1875 | 0.25 0.3125 0.375 0.4375, at the ranks 1.75, 3.5 and 5.25
    # 0.0625 + 0.75 · 0.0625; (0.1875 + 0.25) / 2; 0.3125 + 0.25 · 0.0625
    assert quartiles(row) == [0.109375, 0.21875, 0.328125]
    assert row.iqr == 0.21875
    assert (row.quartiles_of, row.goal) == ("distances to real images", "match")
    assert (row.best, row.best_run) == (0.5, "alphagan-0-0")  # a value
    # DCGAN: 0.125 0.25 0.375 0.375 0.5 none, at the ranks 1.25, 2.5 and 3.75
    assert quartiles(summary.loc[("digits", "sample_diversity", "dcgan")]) == [0.28125, 0.375, 0.46875]
    # AGE: 0 0.25 0.375 none none
    ages = summary.loc[("digits", "sample_diversity", "age")]
    assert quartiles(ages)[:2] == [0.25, 0.375]
    assert np.isnan([ages.quartile_3, ages.iqr]).all()
    assert np.isnan(row.best_again)
    assert summary.loc[("digits", "sample_diversity", "dcgan")].best == 0.375  # though 0.875 and 1 are larger, 0.25 smaller


def test_lost_runs_rank_worst(summary):
    row = summary.loc[("digits", "critic", "age")]
    # -3 -5 -7 none none; one more is missing, and counts in no rank. The ranks are 1, 2 and 3.
    assert quartiles(row)[1:] == [-7, -5]
    assert np.isnan(row.quartile_1)
    assert np.isnan(row.iqr)
    assert (row.runs, row.done, row.diverged, row.failed, row.n, row.without_value) == (6, 3, 1, 1, 3, 2)
    row = summary.loc[("digits", "critic", "dcgan")]
    # -1.5 -2.5 -3 -5 -6 none; ranks 1.25, 2.5 and 3.75
    assert quartiles(row) == [-5.75, -4, -2.625]


def test_a_finished_run_without_a_value_ranks_worst(summary):
    row = summary.loc[("digits", "reconstruction_l1", "alphagan")]
    # 0.25 0.25 0.25 0.5 | 0.5 0.5 0.75 none
    assert quartiles(row) == [0.25, 0.5, 0.5625]
    assert (row.n, row.without_value, row.done) == (7, 1, 8)
    row = summary.loc[("pictures", "inception_score", "dcgan")]
    # 5 4 none; ranks 0.5, 1 and 1.5
    assert quartiles(row)[1:] == [4, 4.5]
    assert np.isnan(row.quartile_1)


def test_a_run_that_could_not_be_measured_is_missing_and_not_bad(summary):
    row = summary.loc[("pictures", "inception_score", golden.OWN)]
    # 3, and one for which there were no weights
    assert quartiles(row) == [3, 3, 3]
    assert (row.runs, row.done, row.n, row.without_value, row.not_measured) == (2, 2, 1, 0, 1)
    assert (row.configurations, row.seeds) == (1, 1)
    assert np.isnan([row.median_low, row.median_high]).all()  # of one configuration
    row = summary.loc[("pictures", "inception_score", "dcgan")]
    assert (row.without_value, row.not_measured, row.configurations) == (1, 0, 3)  # it was measured, and was not finite


def test_the_interval_of_a_median_against_all_resamples(summary):
    """Of the four configurations with two seeds each there are 256 resamples; up to the Monte-Carlo error of 1,000."""
    pairs = [(-1, -3), (-2, -2), (-5, -7), (-4, -8)]
    medians = [np.median(drawn) for drawn in product(pairs, repeat=4)]
    row = summary.loc[("digits", "critic", "alphagan")]
    assert np.quantile(medians, 0.005) <= row.median_low <= np.quantile(medians, 0.045)
    assert np.quantile(medians, 0.955) <= row.median_high <= np.quantile(medians, 0.995)
    assert row.median_low < row["median"] < row.median_high
    users = summary.loc[("digits", "critic", golden.OWN)]
    assert (users.median_low, users["median"], users.median_high, users.iqr) == (-10, -10, -10, 0)
