import math

import pandas as pd
import pytest

from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import RUN_COLUMNS, Tables
from benchmark.report.sections.cost import Cost
from tests.benchmark.report.pretended import shown


def results_of(*rows: dict) -> Results:
    base = dict.fromkeys(RUN_COLUMNS, "") | {"setting": "a", "status": "done"}
    runs = pd.DataFrame([base | row for row in rows], columns=list(RUN_COLUMNS))
    return Results(Tables([], runs, pd.DataFrame()), {})


def run(model: str, training: float, critic: float, evaluation: float, **more) -> dict:
    seconds = {"seconds": training + critic + evaluation, "training_seconds": training, "evaluation_seconds": evaluation}
    return {"model": model, **seconds, **more}


def test_hours_medians_and_the_share_of_evaluation_by_hand(tmp_path):
    results = results_of(
        run("dcgan", 60, 20, 20), run("dcgan", 70, 30, 100), run("real", 0, 10, 90), run("dcgan", 1, 1, 1, status="failed")
    )
    (section,) = shown(Cost, results, tmp_path)
    dcgan, real = section.tables[0].rows
    assert dcgan[:2] == ["DCGAN", 2]
    assert dcgan[2] == pytest.approx(300 / 3600, abs=0.005)
    assert dcgan[3:] == [150.0, 65.0, 25.0, 60.0, "40%"]
    assert real[1:] == [1, pytest.approx(100 / 3600, abs=0.005), 100.0, 0.0, 10.0, 90.0, "90%"]


def test_settings_stand_apart_and_runs_without_a_clock_are_left_out(tmp_path):
    results = results_of(run("dcgan", 60, 20, 20), run("dcgan", 6, 2, 2, setting="b"), run("age", 0, 0, 0))
    (section,) = shown(Cost, results, tmp_path)
    assert [row[:2] for row in section.tables[0].rows] == [["a", "DCGAN"], ["b", "DCGAN"]]
    assert not shown(Cost, results_of(run("age", 0, 0, 0)), tmp_path)
    assert not math.isnan(section.tables[0].rows[0][3])
