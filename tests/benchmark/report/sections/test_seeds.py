"""Seeds or hyperparameters? By hand, from the golden records on disk."""

import math

import numpy as np
import pytest

from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    tables_of,
    write_runs,
)


def test_seeds_and_sweep(table):
    rows = table("seeds", metric="critic").set_index("model")
    assert set(rows.index) == {"alphagan", "dcgan", golden.OWN}  # of AGE one configuration has two values
    # Means -2 -2 -6 -6. Within: (1 + 1) + 0 + (1 + 1) + (4 + 4) over 8 - 4. Between: 2 · 4 · 2² over 4 - 1. Two runs each.
    one = rows.loc["alphagan"]
    assert one.seed_sd == pytest.approx(math.sqrt(3))
    assert one.sweep_sd == pytest.approx(math.sqrt((32 / 3 - 3) / 2))
    assert one.share_of_seeds == pytest.approx(3 / (3 + 23 / 6))
    assert one.measurement_sd == pytest.approx(0.25 / 1.96)
    assert (one.configurations, one.runs) == (4, 8)
    # -1.5 -2.5 | -3 -5; the third has one seed left. Within: (0.5 + 2) / 2. Between: 2 · (1 + 1) / 1.
    one = rows.loc["dcgan"]
    assert (one.configurations, one.runs) == (2, 4)
    assert one.share_of_seeds == pytest.approx(1.25 / (1.25 + (4 - 1.25) / 2))
    constant = rows.loc[golden.OWN]
    assert (constant.seed_sd, constant.sweep_sd) == (0, 0)
    assert np.isnan(constant.share_of_seeds)
    assert table("seeds", setting="cifar10").empty


def test_one_configuration_with_many_seeds(tmp_path):
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -seed)], seed=seed) for seed in range(1, 6)]
    results = results_of(write_runs(tmp_path / "seeds", runs))
    computed = tables_of(results)
    assert computed["seeds"].empty  # nothing to hold them against
    assert computed["best_of_k"].low.isna().all()  # no other configuration to draw
    assert computed["best_of_k"].value.tolist() == pytest.approx([-3, -2, -1.5, -1.2, -1])
